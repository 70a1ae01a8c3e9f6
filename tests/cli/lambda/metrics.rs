//! Metrics that CloudWatch refuses are embedded-metric lines on standard output.

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::TimeDelta;
use serde_json::{Value, json};
use tokio::time::Instant;
use warmd::domain::metric_data::UNACKNOWLEDGED;
use warmd::emulator::{Fault, FaultKind, Scenario};

use super::support::{LambdaHarness, Setting, now, scheduled};

const FLEET: &str = "
version: 1
metrics: { namespace: warming, detail: function }
defaults: { region: eu-west-2, interval: 1m, canary: off }
functions:
  f: { windows: [{ days: daily, hours: all-day, concurrency: 3 }] }
  nlp:live: { windows: [{ days: daily, hours: all-day, concurrency: 2 }] }
";

async fn harness(fault: Fault) -> LambdaHarness {
    let scenario = Scenario { metrics: vec![fault], ..Scenario::default() };
    LambdaHarness::set(Setting { scenario, config: FLEET, variables: &[] }).await
}

/// Returns the lines in CloudWatch's embedded metric format. All other lines on standard output are ticks.
fn embedded(harness: &LambdaHarness) -> Vec<Value> {
    let stdout = harness.stdout();
    let lines = stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let (embedded, ticks): (Vec<_>, Vec<_>) = lines.partition(|line| line["_aws"].is_object());
    assert!(ticks.iter().all(|line| line["message"] == "tick"), "{stdout}");
    embedded
}

/// Returns name, function and value of each metric in an embedded-metric line.
fn extracted(line: &Value) -> Vec<(String, Option<String>, f64)> {
    assert!(line["_aws"]["Timestamp"].as_i64().unwrap().abs_diff(now().timestamp_millis()) < 3_600_000);
    let [directive] = line["_aws"]["CloudWatchMetrics"].as_array().unwrap().as_slice() else {
        panic!("{line}")
    };
    assert_eq!(directive["Namespace"], "warming");
    let [dimensions] = directive["Dimensions"].as_array().unwrap().as_slice() else { panic!("{line}") };
    let dimensions = dimensions.as_array().unwrap();
    assert!(dimensions.is_empty() || *dimensions == [json!("Function"), json!("Region")], "{line}");
    assert!(dimensions.iter().all(|name| line[name.as_str().unwrap()].is_string()), "each has its value");
    let function = (!dimensions.is_empty()).then(|| line["Function"].as_str().unwrap().to_owned());
    let metrics = directive["Metrics"].as_array().unwrap();
    let metric = |metric: &Value| {
        assert!(metric["Unit"].is_string(), "{line}");
        let name = metric["Name"].as_str().unwrap().to_owned();
        let value = line[&name].as_f64().unwrap();
        (name, function.clone(), value)
    };
    metrics.iter().map(metric).collect()
}

#[tokio::test]
async fn refused_metrics_are_embedded_with_the_numbers_of_the_tick() {
    let mut harness = harness(Fault::first(1, FaultKind::refuse(403))).await;
    let at = now();
    let tick = harness.tick(scheduled(at)).await;
    let rounds = tick["rounds"].as_array().unwrap();
    assert!(rounds.len() == 2 && rounds.iter().all(|round| round["verdict"] == "reached"), "{tick}");
    let lines = embedded(&harness);
    assert_eq!((lines.len(), harness.metric("Pings")), (3, None), "the fleet's, and one for each target");
    let metrics: Vec<_> = lines.iter().flat_map(extracted).collect();
    let value = |name: &str, function: Option<&str>| {
        let found = metrics.iter().find(|(own, of, _)| own == name && of.as_deref() == function);
        found.unwrap_or_else(|| panic!("no {name} of {function:?}")).2
    };
    let number = |of: &dyn Fn(&Value) -> f64| rounds.iter().map(of).sum::<f64>();
    let dollars = |round: &Value| round["cost_usd"]["total"].as_str().unwrap().parse::<f64>().unwrap();
    assert_eq!((value("Pings", None), value("ColdStarts", None), value("Functions", None)), (5.0, 5.0, 2.0));
    assert_eq!(value("TickDuration", None), tick["duration_ms"].as_f64().unwrap());
    let cost = number(&dollars);
    assert!(cost > 0.0 && (value("WarmingCost", None) - cost).abs() < 1e-9, "{cost}");
    for (round, label) in rounds.iter().zip(["f", "nlp:live"]) {
        assert_eq!(value("Target", Some(label)), round["target"].as_f64().unwrap());
        assert_eq!(value("Reached", Some(label)), round["reached"].as_f64().unwrap());
        assert!((value("WarmingCost", Some(label)) - dollars(round)).abs() < 1e-9);
    }

    // The next batch is accepted: the same metrics, those of the minute that it judges, and no further line.
    harness.tick(scheduled(at + TimeDelta::minutes(1))).await;
    assert_eq!(embedded(&harness).len(), 3);
    let taken: BTreeSet<_> = harness
        .emulator
        .observe()
        .metrics
        .iter()
        .filter(|metric| !["WindowMinutes", "WarmMinutes"].contains(&&*metric.name))
        .map(|metric| {
            let function = metric.dimensions.iter().find(|(name, _)| *name == "Function");
            (metric.name.clone(), function.map(|(_, value)| value.clone()))
        })
        .collect();
    assert_eq!(
        metrics.into_iter().map(|(name, function, _)| (name, function)).collect::<BTreeSet<_>>(),
        taken
    );
}

#[tokio::test]
async fn a_failing_cloudwatch_does_not_change_the_response() {
    let mut harness = harness(Fault::always(FaultKind::refuse(503))).await;
    let tick = harness.tick(scheduled(now())).await;
    let verdicts: Vec<_> = tick["rounds"].as_array().unwrap().iter().map(|round| &round["verdict"]).collect();
    assert_eq!(verdicts, ["reached", "reached"]);
    let metrics: Vec<_> = embedded(&harness).iter().flat_map(extracted).collect();
    assert!(metrics.contains(&("Pings".to_owned(), None, 5.0)), "{metrics:?}");
}

#[tokio::test]
async fn a_hanging_cloudwatch_is_waited_for_until_the_deadline() {
    let hung = FaultKind::Slow { by: Duration::from_secs(600) };
    let mut harness = harness(Fault::always(hung)).await;
    harness.ready().await;
    let begun = Instant::now();
    let answer = harness.invoke_within(scheduled(now()), 8_000).await;
    let took = begun.elapsed();
    assert!(!answer.error && took < Duration::from_secs(8), "{took:?}: {}", answer.body);
    let stdout = harness.stdout();
    let lines: Vec<Value> = stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    // CloudWatch has counted the metrics, so the log must not contain them in embedded metric format.
    assert_eq!((harness.metric("Pings"), stdout.contains("_aws")), (Some(5.0), false), "{stdout}");
    let fleet = lines.iter().find(|line| line["message"] == UNACKNOWLEDGED && line["Function"].is_null());
    assert_eq!(fleet.unwrap_or_else(|| panic!("{stdout}"))["Pings"], 5.0);
}
