//! Capacity end to end: the service with the real SDKs over HTTP against the emulator, on virtual time.

mod changes;
mod dead;
mod fallback;
mod lost;
mod managed;
mod traffic;
mod week;

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_applicationautoscaling::types::ServiceNamespace;
use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use serde_json::{Value, json};
use warmd::aws::AwsScaling;
use warmd::domain::capacity::CapacityReport;
use warmd::domain::cost::{Item, PriceBook};
use warmd::domain::fleet::Fleet;
use warmd::domain::function::{Architecture, Region};
use warmd::domain::schedule::Minute;
use warmd::domain::tick::TickReport;
use warmd::emulator::Operation;
use warmd::engine::ports::Clock;
use warmd::engine::stop::stop;
use warmd::service::capacity::{CapacityKeeper, Context};
use warmd::service::facts::Snapshot;
use warmd::service::planner::TickPlanner;
use warmd::service::{Policy, preview};

use crate::guards::{Account, Process, fleet, shown};
use crate::support::sdk;
use crate::{Connect, clients_through, emulator_dialer};

const REGION: &str = "eu-west-2";

/// Returns an instant of UTC, written without seconds.
fn at(text: &str) -> DateTime<Utc> {
    format!("{text}:00Z").parse().unwrap()
}

fn minute(text: &str) -> Minute {
    Minute::of(at(text))
}

/// An account whose UTC begins at 2026-11-20T09:00, a Friday, with a process that keeps capacity.
struct Rig {
    account: Account,
    process: Process,
    fleet: Fleet,
}

impl Rig {
    async fn new(functions: &str, config: &str) -> Self {
        let account = Account::new(functions);
        // The emulator has the UTC of the first signed request.
        let client = aws_sdk_applicationautoscaling::Client::new(&sdk(&account.emulator, REGION));
        let request = client.describe_scalable_targets().service_namespace(ServiceNamespace::Lambda);
        request.send().await.unwrap();
        account.emulator.reset();
        Self::of(account, config)
    }

    /// Starts a process in an account.
    fn of(account: Account, config: &str) -> Self {
        let fleet = fleet(config);
        Self { process: account.process(fleet.clone(), Policy::default()), account, fleet }
    }

    /// Starts another process with another configuration in place of the present one.
    fn restarted(self, config: &str) -> Self {
        Self::of(self.account, config)
    }

    /// Waits without ticks.
    async fn wait(&self, until: &str) {
        let left = at(until) - self.account.clock.now();
        tokio::time::sleep(left.to_std().unwrap()).await;
    }

    async fn tick(&self) -> TickReport {
        self.process.outcome().await.report
    }

    /// Serves a tick in each minute before `until`.
    async fn run(&self, until: &str) -> Vec<TickReport> {
        let mut reports = Vec::new();
        while Minute::of(self.account.clock.now()).plus(1) < minute(until) || reports.is_empty() {
            reports.push(self.tick().await);
        }
        reports
    }

    /// Returns the requested and the available environments at an instant.
    fn level(&self, qualifier: &str, at: DateTime<Utc>) -> (u32, u32) {
        let observed = self.account.emulator.provisioned(REGION, "f", qualifier);
        let since = (at - self.account.clock.start).to_std().unwrap();
        let levels = observed.map(|observed| observed.levels).unwrap_or_default();
        let level = levels.iter().rev().find(|level| level.at <= since);
        level.map_or((0, 0), |level| (level.requested, level.available))
    }

    /// Returns the requested environments now.
    fn requested(&self, function: &str) -> u32 {
        let (name, qualifier) = function.split_once(':').unwrap();
        self.account.emulator.requested(REGION, name, qualifier)
    }

    /// Returns the bounds of the scalable targets by resource.
    fn targets(&self) -> Vec<String> {
        let operation = Operation::DescribeScalableTargets;
        let input = json!({ "ServiceNamespace": "lambda" });
        let answer = self.account.emulator.autoscaling(REGION, operation, input).unwrap();
        let target = |target: &Value| {
            let is_suspended = target["SuspendedState"]["ScheduledScalingSuspended"] == true;
            let [id, min, max] = ["ResourceId", "MinCapacity", "MaxCapacity"].map(|key| target[key].clone());
            format!("{} {min}..{max}{}", id.as_str().unwrap(), if is_suspended { " suspended" } else { "" })
        };
        answer["ScalableTargets"].as_array().unwrap().iter().map(target).collect()
    }

    /// Returns the environment-seconds that are billed until now.
    fn bill(&self, function: &str) -> u64 {
        let (name, qualifier) = function.split_once(':').unwrap();
        let observed = self.account.emulator.provisioned(REGION, name, qualifier);
        observed.map_or(0, |observed| observed.environment_seconds)
    }

    /// Sends the order of an operator to the keeper of another process.
    async fn order(&self, order: Order) -> Vec<CapacityReport> {
        let clients = Arc::new(clients_through(emulator_dialer(&self.account.emulator, |_| Connect::Serve)));
        let store = self.account.store.clone();
        let keeper = CapacityKeeper::new(store.clone(), Arc::new(AwsScaling::new(clients)), true);
        let now = self.account.clock.now();
        let plan = preview(&TickPlanner::new(store), &self.fleet, None, false, now).await.capacity.unwrap();
        let (_stopper, stop) = stop();
        let until = tokio::time::Instant::now() + Duration::from_secs(30);
        let context = Context { plan: &plan, facts: &Snapshot::default(), now, until, stop: &stop };
        match order {
            Order::Adopt => keeper.adopt(&context, false, |_| true).await,
            Order::Release => keeper.release(&context, false, |_| true).await,
        }
    }
}

/// An order of an operator.
#[derive(Debug, Clone, Copy)]
enum Order {
    Adopt,
    Release,
}

/// Describes a capacity: available, requested and wanted environments, status and reason.
fn capacity(report: &CapacityReport) -> String {
    let number = |number: Option<u32>| number.map_or("?".to_owned(), |number| number.to_string());
    let reason = report.reason.as_deref().map(|reason| format!(" ({reason})")).unwrap_or_default();
    format!(
        "{} {}/{} of {} {}{reason}",
        report.id.label(),
        number(report.available),
        number(report.requested),
        report.desired,
        report.status.name()
    )
}

/// Describes the capacity and the rounds of a tick.
fn line(report: &TickReport) -> String {
    let all = report.capacity.iter().map(capacity).chain(shown(&json!(report)));
    all.collect::<Vec<_>>().join(", ")
}

/// Describes ticks with their times. Of equal ones that follow each other, only the first is shown.
fn lines(reports: &[TickReport]) -> String {
    let mut lines: Vec<(String, String)> = Vec::new();
    for report in reports {
        let line = line(report);
        if lines.last().is_none_or(|(_, last)| *last != line) {
            lines.push((report.tick.format("%H:%M").to_string(), line));
        }
    }
    lines.iter().map(|(time, line)| format!("{time} {line}")).collect::<Vec<_>>().join("\n")
}

/// Returns the cost of the capacity in reports, as environment-seconds of 1,024 MB on arm64.
fn seconds<'r>(reports: impl IntoIterator<Item = &'r TickReport>) -> u64 {
    let capacity = reports.into_iter().flat_map(|report| &report.capacity);
    let cost: Decimal = capacity.filter_map(|capacity| capacity.cost_usd).sum();
    (cost / price()).round().to_u64().unwrap()
}

/// Returns the price of a GB-second of provisioned concurrency on arm64.
fn price() -> Decimal {
    let item = Item::ProvisionedIdle(Architecture::Arm64);
    PriceBook::embedded().price(&item, Region::parse(REGION).unwrap()).unwrap()
}

/// Returns a configuration of f:live with these settings and windows.
fn provisioned(settings: &str, windows: &str) -> String {
    format!(
        "functions:\n  f:live:\n    memory: 1024MB\n    architecture: arm64\n    strategy: provisioned\n    provisioned: \
         {{ {settings} }}\n    windows: [{windows}]\n"
    )
}
