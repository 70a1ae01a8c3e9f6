//! Warm Requests with a backlog: the service with the real SDKs over HTTP against the emulator, on virtual time.

use std::time::Duration;

use aws_sdk_applicationautoscaling::types::ServiceNamespace;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use warmd::domain::backlog::DEFAULT_HOLD;
use warmd::domain::events::LambdaEvent;
use warmd::domain::fleet::{Fleet, OnRequest};
use warmd::domain::function::{FunctionRef, Region};
use warmd::domain::pipeline::{Pipeline, Stage};
use warmd::domain::tick::TickReport;
use warmd::engine::ports::Clock;
use warmd::service::{Policy, Trigger};

use crate::guards::{Account, Process, fleet, shown};
use crate::support::sdk;

/// Returns the trigger of a Warm Request with this detail, put on the bus `ago` seconds ago.
fn request(account: &Account, ago: i64, detail: &Value) -> Trigger {
    let time: DateTime<Utc> = account.clock.now() - TimeDelta::seconds(ago);
    let event = json!({
        "source": "shop", "detail-type": "Warm Request", "time": time.to_rfc3339(), "detail": detail,
    });
    let LambdaEvent::Request(request) = LambdaEvent::parse(&event).unwrap() else { panic!() };
    Trigger::Request(request)
}

/// A backlog for 30 environments, which work off 9,000 requests a minute.
fn backlog(messages: u32) -> Value {
    json!({ "function": "f:live", "backlog": messages, "rate": 5, "drain": "10m", "hold_for": "1s" })
}

/// Describes the capacity and the rounds of a tick.
fn line(report: &TickReport) -> String {
    let capacity = report.capacity.iter().map(|capacity| {
        let [available, requested] = [capacity.available, capacity.requested].map(Option::unwrap_or_default);
        format!("{available}/{requested} of {} {}", capacity.desired, capacity.status.name())
    });
    capacity.chain(shown(&json!(report))).collect::<Vec<_>>().join(", ")
}

/// Serves ticks, and describes each.
async fn ticks(process: &Process, number: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for _ in 0..number {
        lines.push(line(&process.outcome().await.report));
    }
    lines
}

const ON_REQUEST: &str = "on_request: { max_concurrency: 40, max_for: 1h }";

#[tokio::test(start_paused = true)]
async fn rounds_follow_the_falling_number() {
    let account = Account::new("functions: { f: { aliases: { live: 7 } } }");
    let config = fleet(&format!("functions: {{ f:live: {{ {ON_REQUEST} }} }}"));
    let process = account.process(config.clone(), Policy::default());
    let asked = request(&account, 0, &backlog(90_000));
    let mut rows = vec![line(&process.serve(asked.clone()).await.report)];
    rows.push(format!("repeated: {}", line(&process.serve(asked).await.report)));
    rows.extend(ticks(&process, 3).await);
    // The numbers are in the store: another process goes on with them.
    let process = account.process(config.clone(), Policy::default());
    rows.extend(ticks(&process, 2).await);
    let older = process.serve(request(&account, 310, &backlog(300_000))).await;
    rows.push(format!("older: {}", line(&older.report)));
    // A lower limit applies at once.
    let mut lower = config.clone();
    lower.targets[0].on_request.as_mut().unwrap().max_concurrency = 12;
    rows.extend(ticks(&account.process(lower, Policy::default()), 1).await);
    let process = account.process(config, Policy::default());
    let newer = process.serve(request(&account, 0, &backlog(9_000))).await;
    rows.push(format!("newer: {}", line(&newer.report)));
    rows.extend(ticks(&process, 2).await);
    let none = process.serve(request(&account, 0, &backlog(0))).await;
    rows.push(format!("none: {}", line(&none.report)));
    rows.extend(ticks(&process, 1).await);
    insta::assert_snapshot!(rows.join("\n"), @"
    f:live: 30 reached 0+30
    repeated: f:live: 30 coalesced 0+0
    f:live: 28 reached 0+28
    f:live: 25 reached 0+25
    f:live: 22 reached 0+22
    f:live: 20 reached 0+20
    f:live: 18 reached 0+18
    older: f:live: 30 coalesced 0+0
    f:live: 12 reached 0+12
    newer: f:live: 3 reached 0+3
    f:live: 3 reached 0+3
    f:live: 3 reached 0+3
    none:
    ");
}

#[tokio::test(start_paused = true)]
async fn the_minimum_of_provisioned_concurrency_rises_and_falls() {
    let mut rows = Vec::new();
    for way in ["by: direct", "max: 60"] {
        let account = Account::new("functions: { f: { aliases: { live: 7 }, prepare: 60s } }");
        // The emulator has the UTC of the first signed request.
        let client = aws_sdk_applicationautoscaling::Client::new(&sdk(&account.emulator, "eu-west-2"));
        client.describe_scalable_targets().service_namespace(ServiceNamespace::Lambda).send().await.unwrap();
        account.emulator.reset();
        let config = fleet(&format!(
            "functions:\n  f:live:\n    strategy: provisioned\n    provisioned: {{ {way} }}\n    {ON_REQUEST}\n"
        ));
        let process = account.process(config, Policy::default());
        let requested = || account.emulator.requested("eu-west-2", "f", "live");
        let asked = process.serve(request(&account, 0, &backlog(90_000))).await.report;
        rows.push(format!("{way}: {} | {}", line(&asked), requested()));
        for _ in 0..4 {
            let lines = ticks(&process, 3).await;
            rows.push(format!("  {} | {}", lines[2], requested()));
        }
        process.serve(request(&account, 0, &backlog(0))).await;
        rows.push(format!("  none: {} | {}", ticks(&process, 4).await[3], requested()));
    }
    insta::assert_snapshot!(rows.join("\n"), @"
    by: direct: 0/0 of 30 in-progress, f:live: 30 reached 0+30 | 30
      30/30 of 30 ready | 30
      30/30 of 15 in-progress | 15
      15/15 of 15 ready | 15
      5/5 of 5 ready | 5
      none: 0/0 of 0 closed | 0
    max: 60: 0/0 of 30 in-progress, f:live: 30 reached 0+30 | 30
      30/30 of 30 ready | 30
      30/30 of 15 in-progress | 15
      15/15 of 15 ready | 15
      5/5 of 5 in-progress | 5
      none: 0/0 of 0 closed | 0
    ");
}

/// The pipeline of the issue.
fn nlp(mut fleet: Fleet, max_concurrency: u32) -> Fleet {
    let region = Region::parse("eu-west-2").unwrap();
    let stage = |parts: &[&str], rate: u32, per_backlog| Stage {
        parts: parts.iter().map(|part| FunctionRef::parse(part).unwrap().identity(region)).collect(),
        takes: 1,
        rate: rate.into(),
        per_backlog,
        payload: None,
        windows: Vec::new(),
    };
    let hour = Duration::from_secs(3_600);
    let coalesce = Duration::from_secs(60);
    fleet.pipelines.push(Pipeline {
        name: "nlp".into(),
        region,
        stages: vec![
            stage(&["preprocess:live"], 600, Some(6_000)),
            stage(&["encode-a:live", "encode-b:live"], 300, None),
            stage(&["infer:live"], 300, Some(300)),
        ],
        loads: Vec::new(),
        on_request: Some(OnRequest { max_concurrency, max_for: hour, coalesce, hold_for: DEFAULT_HOLD }),
    });
    fleet
}

#[tokio::test(start_paused = true)]
async fn a_backlog_of_a_pipeline_warms_every_stage() {
    let names = ["preprocess", "encode-a", "encode-b", "infer"];
    let functions = names.map(|name| format!("{name}: {{ aliases: {{ live: 1 }} }}")).join(", ");
    let account = Account::new(&format!("functions: {{ {functions} }}"));
    let rule = "on_request: { max_concurrency: 300, max_for: 1h }";
    let targets = names.map(|name| format!("{name}:live: {{ {rule} }}")).join(", ");
    let config =
        fleet(&format!("limits: {{ account_share: 100%, max_in_flight: 1000 }}\nfunctions: {{ {targets} }}"));
    let process = account.process(nlp(config.clone(), 300), Policy::default());
    let detail = json!({ "pipeline": "nlp", "backlog": 90_000, "drain": "10s" });
    let report = process.serve(request(&account, 0, &detail)).await.report;
    insta::assert_snapshot!(line(&report), @"encode-a:live: 30 reached 0+30, encode-b:live: 30 reached 0+30, infer:live: 300 reached 0+300, preprocess:live: 15 reached 0+15");
    // The number is held, and the limit of the pipeline is lowered.
    let process = account.process(nlp(config, 20), Policy::default());
    insta::assert_snapshot!(ticks(&process, 1).await.join("\n"), @"encode-a:live: 20 reached 0+20, encode-b:live: 20 reached 0+20, infer:live: 20 reached 0+20, preprocess:live: 15 reached 0+15");
    // After the hold, the stages have worked it off.
    insta::assert_snapshot!(ticks(&process, 5).await[4], @"");
}
