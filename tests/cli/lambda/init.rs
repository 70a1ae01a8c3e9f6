//! Errors of the init, which the Lambda reports to the runtime interface.

use serde_json::{Value, json};
use warmd::emulator::{Emulator, Scenario};
use warmd::engine::ports::{Condition, ObjectStore};

use super::support::{LambdaHarness, Setting, now, scheduled};

const EMPTY: &str = "version: 1\nfunctions: {}\n";

async fn error(config: &str, variables: &[(&str, &str)]) -> String {
    let mut harness = LambdaHarness::set(Setting { scenario: Scenario::default(), config, variables }).await;
    let error = harness.init_error().await;
    assert_eq!(error["errorType"], "InitRefused");
    error["errorMessage"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_configuration_that_is_refused_is_an_init_error_with_all_its_mistakes() {
    let message = error("version: 1\nfunctions:\n  f: { region: london }\n  g: { regoin: x }\n", &[]).await;
    assert!(message.contains("unknown region \"london\"") && message.contains("\"regoin\""), "{message}");
}

#[tokio::test]
async fn refused_settings_and_locations_are_init_errors() {
    assert!(error(EMPTY, &[("WARMD_TICK", "soon")]).await.contains("WARMD_TICK: expected"));
    let message = error(EMPTY, &[("WARMD_CONFIGS", "s3://warmd-config/live")]).await;
    assert!(message.contains("there is no .yaml object under this prefix"), "{message}");
}

const GOOD: &str = "
version: 1
defaults: { region: eu-west-2, interval: 1m }
functions: { f: { windows: [{ days: daily, hours: all-day, concurrency: 2 }] } }
";
const LIVE: [(&str, &str); 1] = [("WARMD_CONFIGS", "s3://warmd-config/live")];

/// Returns an account with published versions: the first 90 minutes ago, and each further one 10 minutes earlier.
async fn published(versions: &[&str]) -> Emulator {
    let account =
        LambdaHarness::set(Setting { scenario: Scenario::default(), config: EMPTY, variables: &[] }).await;
    let bucket = account.clients().bucket("warmd-config", "live").unwrap();
    let mut manifests: Vec<Value> = Vec::new();
    for (index, text) in versions.iter().enumerate() {
        let key = format!("objects/{index}/fleet.yaml");
        bucket.put(&key, text.as_bytes().to_vec(), Condition::Always).await.unwrap();
        let at = now() - chrono::TimeDelta::minutes(90 + 10 * i64::try_from(index).unwrap());
        manifests.push(json!({
            "config": format!("version-{index}"), "published": at.to_rfc3339(),
            "files": [{ "path": "fleet.yaml", "key": key, "configuration": true }],
        }));
    }
    let mut live = manifests.remove(0);
    live["before"] = json!(manifests);
    bucket.put("manifest.json", live.to_string().into_bytes(), Condition::Always).await.unwrap();
    account.emulator.clone()
}

#[tokio::test]
async fn an_earlier_version_replaces_a_broken_one() {
    for (versions, minutes) in
        [(&["version: 2\n", GOOD][..], 90), (&["version: 2\n", "version: 3\n", GOOD, "version: 4\n"], 100)]
    {
        let mut harness = LambdaHarness::beside(published(versions).await, EMPTY, &LIVE).await;
        let tick = harness.tick(scheduled(now())).await;
        assert_eq!(
            (&tick["rounds"][0]["verdict"], &tick["rounds"][0]["target"]),
            (&json!("reached"), &json!(2))
        );
        assert_eq!(
            tick["config"],
            format!("version-{}", versions.iter().position(|text| *text == GOOD).unwrap())
        );
        let age = harness.metric("ConfigAge").unwrap();
        let since = f64::from(minutes * 60);
        assert!((since..since + 600.0).contains(&age), "since the valid version was replaced: {age}");
        let message = harness.stderr();
        assert_eq!(message.matches("expected version 1").count(), 1, "{message}");
        assert!(message.contains("an earlier version is"), "{message}");
    }
}

#[tokio::test]
async fn a_broken_version_without_a_valid_earlier_one_is_an_init_error() {
    for versions in [&["version: 2\n"][..], &["version: 2\n", "version: 3\n"]] {
        let mut harness = LambdaHarness::beside(published(versions).await, EMPTY, &LIVE).await;
        let error = harness.init_error().await;
        let message = error["errorMessage"].as_str().unwrap();
        assert!(message.contains("expected version 1"), "{message}");
    }
}

const PROVISIONED: &str = "
version: 1
defaults: { region: eu-west-2, strategy: provisioned }
functions: { \"f:live\": { windows: [{ days: daily, hours: all-day, concurrency: 2 }] } }
";

#[tokio::test]
async fn capacity_needs_a_state_store() {
    for variables in [&[][..], &[("WARMD_ALLOW_CUSTOM_PAYLOAD", "true")], &[("WARMD_STATE", " ")]] {
        let message = error(PROVISIONED, variables).await;
        assert!(message.contains("the strategy \"provisioned\" needs a state store"), "{message}");
        assert!(message.contains("hint: set --state or WARMD_STATE"), "{message}");
    }
    let variables = [("WARMD_STATE", "{folder}/state")];
    let setting = Setting { scenario: Scenario::default(), config: PROVISIONED, variables: &variables };
    LambdaHarness::set(setting).await.ready().await;
    // A published version that the process cannot carry out is replaced like a broken one.
    let account = published(&[PROVISIONED, PROVISIONED, GOOD]).await;
    let mut harness = LambdaHarness::beside(account, EMPTY, &LIVE).await;
    assert_eq!(harness.tick(scheduled(now())).await["config"], "version-2");
    assert!(harness.stderr().contains("needs a state store"), "{}", harness.stderr());
}
