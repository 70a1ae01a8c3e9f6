//! The examples: they load together, and refer to the schema.

use std::fs;
use std::path::Path;

use insta::assert_snapshot;

use super::*;

pub(super) fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("warm-configs")
}

#[test]
fn the_examples_are_one_fleet() {
    let loaded = load(&[directory()], None).unwrap_or_else(|problems| panic!("{problems}"));
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
    let line = |target: &crate::domain::fleet::Target| {
        let labels: Vec<String> =
            target.windows.iter().map(|window| format!("{} ×{}", window.label, window.concurrency)).collect();
        format!("{} {}: {}\n", target.label, target.region(), labels.join(", "))
    };
    let lines: String = loaded.fleet.targets.iter().map(line).collect();
    assert_snapshot!(lines, @r#"
    checkout-api:live eu-west-2: windows[0] ×2
    nlp-by-ping us-east-1: windows[0] ×10
    nlp-inference:live eu-west-2: london-office ×10, windows[3] ×2
    nlp-inference:live us-east-1: windows[1] ×4, windows[2] ×2
    storefront-ssr:live eu-west-1: windows[0] ×5, windows[1] ×15, windows[2] ×25, windows[3] ×8
    thumbnails eu-west-1: london-office ×10
    month-end-report eu-west-1: windows[0] ×3
    arn:aws:lambda:eu-central-1:123456789012:function:partner-quotes:live eu-central-1:
    "#);
}

#[test]
fn the_example_of_a_pipeline_can_be_enabled() {
    let mut paths: Vec<PathBuf> =
        fs::read_dir(directory()).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    let enabled = |path: &PathBuf| {
        let text =
            fs::read_to_string(path).unwrap().replace("enabled: false # an example", "enabled: true #");
        SourceFile { path: path.to_string_lossy().into_owned(), text }
    };
    let files = paths.iter().map(enabled).collect();
    let mut read = |path: &str| fs::read_to_string(path).map_err(|error| error.to_string());
    let loaded = resolve(files, &mut read, None).unwrap_or_else(|problems| panic!("{problems}"));
    let [pipeline] = &loaded.fleet.pipelines[..] else { panic!("one pipeline") };
    let numbers = |stage: &crate::domain::pipeline::Stage| (stage.windows[0].concurrency, stage.per_backlog);
    let numbers: Vec<_> = pipeline.stages.iter().map(numbers).collect();
    assert_eq!(numbers, [(1, Some(6_000)), (2, Some(3_000)), (2, Some(300))]);
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
}

#[test]
fn every_example_names_the_schema() {
    for entry in fs::read_dir(directory()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "yaml") {
            let text = fs::read_to_string(&path).unwrap();
            let first = text.lines().next();
            assert_eq!(first, Some("# yaml-language-server: $schema=schema.json"), "{}", path.display());
        }
    }
}
