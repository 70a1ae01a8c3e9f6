//! What the README says of the code is what the code says.

use warmd::domain::metrics;

#[test]
fn the_metric_table_is_that_of_the_code() {
    let readme = include_str!("../README.md");
    let table =
        readme.split("<!-- metrics -->\n").nth(1).and_then(|rest| rest.split("<!-- /metrics -->").next());
    assert_eq!(
        table,
        Some(metrics::markdown_table().as_str()),
        "the table between the two marks of README.md"
    );
}

#[test]
fn its_configuration_is_sound() {
    let readme = include_str!("../README.md");
    let yaml = readme.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("example.yaml");
    std::fs::write(&file, yaml).unwrap();
    let loaded = warmd::config::load(&[file], None).unwrap();
    assert_eq!(loaded.fleet.targets[0].label, "nlp-inference:live");
    assert_eq!(loaded.fleet.targets[0].downloads[0].size_bytes, 220_000_000);
}
