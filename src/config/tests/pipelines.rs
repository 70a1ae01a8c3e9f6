//! Pipelines: their functions, windows, requests and backlogs.

use std::fmt::Write as _;

use insta::assert_snapshot;

use super::*;
use crate::domain::calendar::Window;
use crate::domain::fleet::Target;

/// The pipeline of the README.
const NLP: &str = r#"version: 1
defaults: { region: eu-west-2, timezone: Europe/London }
pipelines:
  nlp:
    windows: [{ days: mon-fri, hours: "08:00-18:00", load: { requests_per_second: 600 } }]
    stages:
      - { function: preprocess:live, takes: 20, rate: 600, per_backlog: 6000 }
      - { parts: [encode-a:live, encode-b:live], rate: 300 }
      - { function: infer:live, rate: 300, per_backlog: 300, payload: 2MB, via: s3 }
"#;

fn window(window: &Window) -> String {
    let Window { label, zone, concurrency, lead, pipeline, .. } = window;
    let pipeline = pipeline.as_deref().unwrap_or("-");
    format!("{label} ×{concurrency} {zone} lead {}m of {pipeline}", lead.num_minutes())
}

fn target(target: &Target) -> String {
    let mut line = format!(
        "{} {} every {}m+{}",
        target.id.shown(),
        target.region(),
        target.interval_minutes,
        target.phase_minutes
    );
    line.extend(target.windows.iter().map(|one| format!("; {}", window(one))));
    for rule in &target.backlogs {
        let (each, pipeline) = (rule.per_environment.normalize(), rule.pipeline.as_deref().unwrap_or("-"));
        write!(line, "; {} ÷ {each} up to {} of {pipeline}", rule.metric.name, rule.max).unwrap();
    }
    if let Some(rule) = target.on_request {
        let [max_for, coalesce, hold_for] =
            [rule.max_for, rule.coalesce, rule.hold_for].map(|time| time.as_secs());
        write!(line, "; on request {} for {max_for}s, {coalesce}s, {hold_for}s", rule.max_concurrency)
            .unwrap();
    }
    line + "\n"
}

fn targets(loaded: &Loaded) -> String {
    loaded.fleet.targets.iter().map(target).collect()
}

fn pipelines(loaded: &Loaded) -> String {
    let mut text = String::new();
    for pipeline in &loaded.fleet.pipelines {
        writeln!(text, "{} {}", pipeline.name, pipeline.region).unwrap();
        for stage in &pipeline.stages {
            let windows: Vec<String> = stage.windows.iter().map(window).collect();
            let (takes, rate) = (stage.takes, stage.rate);
            let line = format!("{} takes {takes} at {rate}, {:?}", stage.label(), stage.per_backlog);
            writeln!(text, "  {line}, {:?}: {}", stage.payload, windows.join(", ")).unwrap();
        }
    }
    text
}

#[test]
fn a_pipeline_makes_windows_of_its_functions() {
    let loaded = valid(NLP);
    assert_snapshot!(targets(&loaded), @"
    preprocess:live eu-west-2 every 5m+0; nlp: windows[0] ×1 Europe/London lead 1m of nlp
    encode-a:live eu-west-2 every 5m+0; nlp: windows[0] ×2 Europe/London lead 1m of nlp
    encode-b:live eu-west-2 every 5m+0; nlp: windows[0] ×2 Europe/London lead 1m of nlp
    infer:live eu-west-2 every 5m+0; nlp: windows[0] ×2 Europe/London lead 1m of nlp
    ");
    assert_snapshot!(pipelines(&loaded), @"
    nlp eu-west-2
      preprocess:live takes 20 at 600, Some(6000), None: nlp: windows[0] ×1 Europe/London lead 1m of nlp
      encode-a:live + encode-b:live takes 1 at 300, None, None: nlp: windows[0] ×2 Europe/London lead 1m of nlp
      infer:live takes 1 at 300, Some(300), Some(Payload { bytes: 2000000, is_via_s3: true, route: None }): nlp: windows[0] ×2 Europe/London lead 1m of nlp
    ");
    let windows = loaded.locations.iter().map(|locations| locations.windows.len());
    assert!(windows.eq(loaded.fleet.targets.iter().map(|target| target.windows.len())));
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
}
