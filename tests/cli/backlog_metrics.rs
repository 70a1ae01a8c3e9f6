//! Backlogs of metrics: every kind of tick and the check read them from CloudWatch.

use std::future::pending;
use std::net::{Ipv4Addr, SocketAddr};

use chrono::{DurationRound, TimeDelta};
use serde_json::Value;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use warmd::emulator::{self, Emulator, Operation, Scenario};
use warmd::engine::ports::Clock;
use warmd::service::clock::SystemClock;

use crate::support::{Done, done, warmd, with_aws, write};

const FLEET: &str = "version: 1
defaults: { region: eu-west-2, interval: 5m, timezone: UTC, memory: 512MB }
functions:
  busy:
    backlog: { metric: { namespace: AWS/SQS, name: ApproximateNumberOfMessagesVisible, dimensions: { QueueName: busy } }, rate: 10, drain: 30s, max: 100 }
    windows: [{ days: daily, hours: all-day, concurrency: 2 }]
  idle:
    backlog: { metric: { namespace: AWS/SQS, name: ApproximateNumberOfMessagesVisible, dimensions: { QueueName: idle } }, rate: 10, drain: 30s, max: 100 }
    windows: [{ days: daily, hours: all-day, concurrency: 2 }]
";

/// An account in which 900 messages waited in the queue `busy` a minute ago.
struct Account {
    emulator: Emulator,
    endpoint: String,
    folder: TempDir,
    _runtime: Runtime,
}

impl Account {
    fn new() -> Self {
        let (runtime, emulator) = (Runtime::new().unwrap(), Emulator::new(Scenario::default()));
        let minute = SystemClock.now().duration_trunc(TimeDelta::minutes(1)).unwrap() - TimeDelta::minutes(1);
        let metric = ("AWS/SQS", "ApproximateNumberOfMessagesVisible");
        emulator.set_metric("eu-west-2", metric, &[("QueueName", "busy")], (minute, 900.0));
        let endpoint = runtime.block_on(async {
            let listener = emulator::listen(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
            let endpoint = format!("http://{}", listener.local_addr().unwrap());
            let serving = emulator.clone();
            tokio::spawn(async move { serving.serve(listener, None, pending()).await });
            endpoint
        });
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "fleet.yaml", FLEET);
        Self { emulator, endpoint, folder, _runtime: runtime }
    }

    fn run(&self, args: &[&str]) -> Done {
        let mut command = with_aws(warmd(args), &self.endpoint);
        command.current_dir(self.folder.path());
        done(command)
    }
}

/// Returns the number and the age of the metric of a function's round.
fn round(done: &Done, function: &str) -> Option<(u64, Option<u64>)> {
    let tick = done.json();
    let rounds = tick["rounds"].as_array().unwrap();
    let round = rounds.iter().find(|round| round["function"] == function)?;
    Some((round["target"].as_u64().unwrap(), round["metric_age"].as_u64()))
}

#[test]
fn every_tick_reads_the_metrics() {
    let account = Account::new();
    for flags in [&[][..], &["--due-only"], &["--dry-run"], &["--dry-run", "--state", "state"]] {
        let args = [&["run", "--once", "--json", "--configs", "fleet.yaml"], flags].concat();
        let tick = account.run(&args);
        let (number, age) = round(&tick, "busy").unwrap();
        assert_eq!(number, 3, "{flags:?} {}", tick.stderr);
        assert!((60..300).contains(&age.unwrap()), "{flags:?} {age:?}");
        // The windows alone; --due-only may not have it.
        assert!(round(&tick, "idle").is_none_or(|idle| idle == (2, None)), "{flags:?}");
        let warning = "the metric of the backlog has no effect: it has no value of the last minutes";
        assert!(tick.stderr.contains(warning), "{}", tick.stderr);
        assert!(tick.stderr.contains("function=\"idle\"") || tick.stderr.contains("idle"), "{}", tick.stderr);
    }
    // The embedded emulator has no metrics.
    let local = account.run(&["run", "--once", "--json", "--local", "--configs", "fleet.yaml"]);
    assert_eq!(round(&local, "busy"), Some((2, None)));
    let reads = account.emulator.observe().reads;
    let metrics = reads.iter().filter(|read| read.operation == Operation::GetMetricData).count();
    assert_eq!(metrics, 4, "one request a tick");
}

#[test]
fn the_check_names_metrics_that_have_no_effect() {
    let account = Account::new();
    let live = ["check", "fleet.yaml", "--live", "--format", "json"];
    let found = |done: &Done| -> Vec<String> {
        let problems = done.json()["problems"].as_array().unwrap().clone();
        let text = |problem: &Value| format!("{}: {}", problem["severity"], problem["message"]);
        problems.iter().map(text).filter(|problem| problem.contains("metric")).collect()
    };
    let checked = account.run(&live);
    insta::assert_snapshot!(found(&checked).join("\n"), @r#""warning": "the metric AWS/SQS/ApproximateNumberOfMessagesVisible {QueueName=idle} of the backlog of `idle` in eu-west-2 has had no value for 3h""#);
    assert_eq!(checked.code, 0, "{}", checked.stderr);
    account.emulator.change(|scenario| scenario.denied.push(Operation::GetMetricData));
    insta::assert_snapshot!(found(&account.run(&live)).join("\n"), @r#"
    "warning": "no permission to read the metric AWS/SQS/ApproximateNumberOfMessagesVisible {QueueName=busy} of the backlog of `busy` in eu-west-2"
    "warning": "no permission to read the metric AWS/SQS/ApproximateNumberOfMessagesVisible {QueueName=idle} of the backlog of `idle` in eu-west-2"
    "#);
}

#[test]
fn a_month_of_reads_is_priced_and_allowed() {
    let account = Account::new();
    let month = ["plan", "fleet.yaml", "--from", "2026-11-01", "--until", "2026-12-01", "--json"];
    let plan = account.run(&month);
    assert_eq!(plan.code, 0, "{}", plan.stderr);
    assert!(
        plan.stdout.contains("GetMetricData metrics") && plan.stdout.contains("86400"),
        "{}",
        plan.stdout
    );
    let policies = account.run(&["iam", "fleet.yaml"]);
    assert!(policies.stdout.contains("cloudwatch:GetMetricData"), "{}{}", policies.stdout, policies.stderr);
}
