//! What keeps the Lambda from starting is told to Lambda.

use warmd::emulator::Scenario;

use crate::support::{Setting, Stage};

const SOUND: &str = "version: 1\nfunctions: {}\n";

async fn error(config: &str, variables: &[(&str, &str)]) -> String {
    let mut stage = Stage::set(Setting { scenario: Scenario::default(), config, variables }).await;
    let error = stage.init_error().await;
    assert_eq!(error["errorType"], "InitRefused");
    error["errorMessage"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_configuration_that_is_refused_is_an_init_error_with_all_its_mistakes() {
    let told = error("version: 1\nfunctions:\n  f: { region: london }\n  g: { regoin: x }\n", &[]).await;
    assert!(told.contains("unknown region `london`") && told.contains("`regoin`"), "{told}");
}

#[tokio::test]
async fn settings_and_places_that_are_refused_are_init_errors() {
    assert!(error(SOUND, &[("WARMD_TICK", "soon")]).await.contains("WARMD_TICK: expected"));
    let told = error(SOUND, &[("WARMD_CONFIGS", "s3://warmd-config/live")]).await;
    assert!(told.contains("there is no .yaml object under this prefix"), "{told}");
}
