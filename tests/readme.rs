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

#[test]
fn every_setting_of_the_lambda_is_in_its_table() {
    let readme = include_str!("../README.md");
    let section =
        readme.split("### Settings of the Lambda").nth(1).and_then(|rest| rest.split("\n##").next());
    let told: Vec<&str> =
        section.unwrap().split("| `").skip(1).filter_map(|row| row.split('`').next()).collect();
    // Only what `Settings` reads: the names stand nowhere else.
    let code = include_str!("../src/lambda/settings.rs").split("#[cfg(test)]").next().unwrap();
    let mut read: Vec<&str> = code.split('"').filter(|text| text.starts_with("WARMD_")).collect();
    read.retain(|name| name.chars().all(|letter| letter.is_ascii_uppercase() || letter == '_'));
    read.sort_unstable();
    read.dedup();
    let mut settings: Vec<&str> = told.into_iter().filter(|name| name.starts_with("WARMD_")).collect();
    settings.sort_unstable();
    assert_eq!(settings, read);
}
