//! The emulator, driven by the real SDKs and by raw HTTP.

mod support;

use std::time::Duration;

use aws_sdk_lambda::operation::invoke::InvokeOutput;
use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::LogType;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use support::{Road, sdk};
use tokio::time::Instant;
use warmd::emulator::{Emulator, Profile, Scenario};

fn over_pipes(scenario: Scenario) -> (Emulator, aws_sdk_lambda::Client) {
    let emulator = Emulator::new(scenario);
    let client = aws_sdk_lambda::Client::new(&sdk(Road::Pipe(emulator.clone()), "eu-west-2"));
    (emulator, client)
}

fn report(output: &InvokeOutput) -> String {
    let log = String::from_utf8(STANDARD.decode(output.log_result().unwrap()).unwrap()).unwrap();
    log.lines().find(|line| line.starts_with("REPORT")).unwrap().to_owned()
}

/// Init Duration of the call, and how long the call took.
async fn timed(client: &aws_sdk_lambda::Client, function: &str) -> (Option<f64>, Duration) {
    let begun = Instant::now();
    let output = client
        .invoke()
        .function_name(function)
        .log_type(LogType::Tail)
        .payload(Blob::new(r#"{"text":"real work"}"#))
        .send()
        .await
        .unwrap();
    let took = begun.elapsed();
    let report = report(&output);
    let init =
        report.split("Init Duration: ").nth(1).map(|rest| rest.split(' ').next().unwrap().parse().unwrap());
    (init, took)
}

#[tokio::test(start_paused = true)]
async fn a_container_image_is_cold_for_90_s_and_decays_in_two_stages() {
    let (_, client) = over_pipes(Scenario::default().with("ocr", Profile::container_image()));

    let (init, took) = timed(&client, "ocr").await;
    assert!((89_000.0..91_000.0).contains(&init.unwrap()), "{init:?}");
    assert!((89.0..91.0).contains(&took.as_secs_f64()), "{took:?}");

    let (init, took) = timed(&client, "ocr").await;
    assert_eq!(init, None);
    assert!((0.065..0.070).contains(&took.as_secs_f64()), "{took:?}");

    // The environment is gone after 5 minutes; the image is still cached.
    tokio::time::sleep(Duration::from_secs(6 * 60)).await;
    let (init, took) = timed(&client, "ocr").await;
    assert!((6_000.0..7_000.0).contains(&init.unwrap()), "{init:?}");
    assert!((6.0..7.2).contains(&took.as_secs_f64()), "{took:?}");

    // The image is gone after an hour.
    tokio::time::sleep(Duration::from_secs(61 * 60)).await;
    let (init, _) = timed(&client, "ocr").await;
    assert!((89_000.0..91_000.0).contains(&init.unwrap()), "{init:?}");
}
