//! Dashboards and alarms end to end: the real SDK over HTTP against the emulator's CloudWatch, and hostile answers.

use std::sync::Arc;

use serde_json::{Value, json};
use warmd::aws::AwsObservability;
use warmd::deploy::alarms::{AlarmsInput, alarms};
use warmd::deploy::dashboard::{self, DashboardInput};
use warmd::domain::alarm::{Alarm, Step, deletions, prefix, steps};
use warmd::domain::capacity::Owner;
use warmd::domain::coverage::Slo;
use warmd::domain::fleet::{Fleet, Target};
use warmd::domain::function::{FunctionRef, Region};
use warmd::domain::metrics::Detail;
use warmd::emulator::fault::When;
use warmd::emulator::{Emulator, Fault, FaultKind, Operation, Scenario};
use warmd::engine::observability::Observability;
use warmd::engine::ports::ErrorKind;
use warmd::service::alarms::{Incomplete, apply};

use crate::{Connect, clients_through, emulator_dialer};

/// An emulator and a port without retries.
struct Rig {
    emulator: Emulator,
    port: AwsObservability,
}

impl Rig {
    fn new() -> Self {
        let emulator = Emulator::new(Scenario::default());
        let clients = Arc::new(clients_through(emulator_dialer(&emulator, |_| Connect::Serve)));
        let port = AwsObservability::without_retries(&clients, Region::parse("eu-west-2").unwrap());
        Self { emulator, port }
    }

    fn fail(&self, operation: Operation, fault: Option<Fault>) {
        let faults: Vec<Fault> = fault.into_iter().collect();
        self.emulator.change(|scenario| _ = scenario.reads.faults.insert(operation, faults.clone()));
    }

    fn answer(&self, operation: Operation, body: Value) {
        self.fail(operation, Some(Fault::always(FaultKind::Answer { body })));
    }

    /// Leads to the wanted alarms, and returns the lines of the steps.
    async fn put(&self, wanted: Vec<Alarm>, keep_actions: bool) -> (Vec<String>, Result<(), Incomplete>) {
        let found = self.port.alarms(&prefix(&owner())).await.unwrap();
        self.take(steps(wanted, &found, &owner(), keep_actions).unwrap()).await
    }

    async fn take(&self, steps: Vec<Step>) -> (Vec<String>, Result<(), Incomplete>) {
        let mut lines = Vec::new();
        let result = apply(&self.port, steps, |word, name| lines.push(format!("{word} {name}"))).await;
        (lines, result)
    }

    fn names(&self) -> Vec<String> {
        self.emulator.observe().put_alarms.into_iter().map(|alarm| alarm.name).collect()
    }

    fn calls(&self, operation: Operation) -> usize {
        self.emulator.observe().reads.iter().filter(|read| read.operation == operation).count()
    }
}

fn owner() -> Owner {
    Owner::parse("team").unwrap()
}

/// Returns the alarms of the fleet and of so many functions with an objective.
fn wanted(functions: usize, topic: Option<&str>) -> Vec<Alarm> {
    let target = |index: usize| {
        let function = FunctionRef::parse(&format!("f-{index}:live")).unwrap();
        let slo = Some(Slo { coverage_ppm: 999_500, ..Slo::DEFAULT });
        Target { slo, ..Target::bare(&function, Region::parse("eu-west-2").unwrap()) }
    };
    let mut fleet = Fleet::new((0..functions).map(target).collect());
    fleet.metrics.detail = Detail::Function;
    let (owner, objective) = (owner(), Some(Slo::DEFAULT));
    alarms(&AlarmsInput { fleet: &fleet, owner: &owner, objective, of_functions: true, topic }).unwrap()
}

#[tokio::test(start_paused = true)]
async fn what_was_put_is_read_back_unchanged() {
    let rig = Rig::new();
    let topic = "arn:aws:sns:eu-west-2:123456789012:ops";
    let (created, result) = rig.put(wanted(1, Some(topic)), false).await;
    assert_eq!((created.len(), result), (13, Ok(())));
    for keep in [true, false] {
        let again = if keep { None } else { Some(topic) };
        let (lines, result) = rig.put(wanted(1, again), keep).await;
        assert!(lines.iter().all(|line| line.starts_with("unchanged ")), "{lines:?}");
        assert_eq!((lines.len(), result), (13, Ok(())));
    }
    assert_eq!(rig.calls(Operation::PutMetricAlarm) + rig.calls(Operation::PutCompositeAlarm), 13);
    // Without topics, the composite alarms and the one on ticks lose them.
    let (lines, _) = rig.put(wanted(1, None), false).await;
    assert_eq!(lines.iter().filter(|line| line.starts_with("updated ")).count(), 5, "{lines:?}");
    // The function left the configuration.
    let (lines, _) = rig.put(wanted(0, None), true).await;
    let deleted: Vec<&String> = lines.iter().filter(|line| line.starts_with("deleted ")).collect();
    insta::assert_snapshot!(deleted.iter().map(|line| line.as_str()).collect::<Vec<_>>().join("\n"), @"
    deleted warmd-team-eu-west-2-f-0:live-fast
    deleted warmd-team-eu-west-2-f-0:live-slow
    deleted warmd-team-eu-west-2-f-0:live-fast-long
    deleted warmd-team-eu-west-2-f-0:live-fast-short
    deleted warmd-team-eu-west-2-f-0:live-slow-long
    deleted warmd-team-eu-west-2-f-0:live-slow-short
    ");
}

#[tokio::test(start_paused = true)]
async fn a_repetition_completes_what_failed() {
    let rig = Rig::new();
    let third = |kind| Some(Fault { kind, when: When::Every(3) });
    let throttle = FaultKind::Throttle { reason: String::new() };
    rig.fail(Operation::PutMetricAlarm, third(throttle));
    let (lines, result) = rig.put(wanted(0, None), true).await;
    let Err(Incomplete { names, reason, left }) = result else { panic!("{lines:?}") };
    assert_eq!((lines.len(), names.len(), reason.kind, left), (2, 1, ErrorKind::Throttled, 4));
    // The request of a cut connection was processed.
    rig.fail(Operation::PutMetricAlarm, third(FaultKind::Reset));
    let (_, result) = rig.put(wanted(0, None), true).await;
    assert!(result.is_err());
    rig.fail(Operation::PutMetricAlarm, None);
    let (lines, result) = rig.put(wanted(0, None), true).await;
    assert_eq!((lines.len(), result, rig.names().len()), (7, Ok(()), 7));

    rig.emulator.change(|scenario| scenario.denied.push(Operation::DeleteAlarms));
    let found = rig.port.alarms(&prefix(&owner())).await.unwrap();
    let (lines, result) = rig.take(deletions(&found, &owner())).await;
    let Err(Incomplete { reason, left, .. }) = result else { panic!("{lines:?}") };
    assert_eq!((lines.len(), reason.kind, left), (0, ErrorKind::AccessDenied, 6));
    rig.emulator.change(|scenario| scenario.denied.clear());
    let (lines, result) = rig.take(deletions(&found, &owner())).await;
    assert_eq!((lines.len(), result, rig.names().len()), (7, Ok(()), 0));
    // Another process was faster.
    assert_eq!(rig.take(deletions(&found, &owner())).await.1, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn many_alarms_are_read_in_pages_and_deleted_in_batches() {
    let rig = Rig::new();
    assert_eq!(rig.put(wanted(60, None), true).await.1, Ok(()));
    let found = rig.port.alarms(&prefix(&owner())).await.unwrap();
    assert_eq!(found.len(), 7 + 60 * 6);
    // The first read had no alarm.
    assert_eq!(rig.calls(Operation::DescribeAlarms), 1 + 4);
    assert_eq!(rig.take(deletions(&found, &owner())).await.1, Ok(()));
    // 122 composite alarms one by one, then 245 others.
    assert_eq!((rig.calls(Operation::DeleteAlarms), rig.names().len()), (122 + 3, 0));
}

#[tokio::test(start_paused = true)]
async fn lists_of_alarms_are_not_believed() {
    let rig = Rig::new();
    let alarm = |name: &str| json!({ "AlarmName": name, "AlarmDescription": "x", "AlarmRule": "TRUE" });
    rig.answer(
        Operation::DescribeAlarms,
        json!({
            "MetricAlarms": [{ "AlarmName": "warmd-team-odd", "EvaluationPeriods": -1 }, {}],
            "CompositeAlarms": [alarm("theirs"), alarm("warmd-team-whole"), { "AlarmRule": "TRUE" }],
        }),
    );
    let found = rig.port.alarms("warmd-team-").await.unwrap();
    let names: Vec<&str> = found.iter().map(|alarm| alarm.name.as_str()).collect();
    assert_eq!(names, ["warmd-team-odd", "warmd-team-whole"]);
    assert_eq!(deletions(&found, &owner()), [], "without the marker they are those of others");

    rig.answer(Operation::DescribeAlarms, json!({ "NextToken": "0" }));
    let endless = rig.port.alarms("warmd-team-").await.unwrap_err();
    assert_eq!(endless.message, "the list has a page twice");
    rig.answer(Operation::DescribeAlarms, json!(["garbage"]));
    assert_eq!(rig.port.alarms("warmd-team-").await.unwrap_err().kind, ErrorKind::Other);
}

#[tokio::test(start_paused = true)]
async fn a_dashboard_is_put_read_and_deleted() {
    let rig = Rig::new();
    let body = dashboard::body(&DashboardInput {
        namespace: "warmd",
        log_group: "/aws/lambda/warmd",
        region: "eu-west-2",
        objective: Slo::DEFAULT,
        observing_per_day: None,
    });
    assert_eq!(rig.port.dashboard("warmd").await, Ok(None));
    assert_eq!(rig.port.put_dashboard("warmd", &body.to_string()).await, Ok(Vec::new()));
    let read = rig.port.dashboard("warmd").await.unwrap().unwrap();
    assert_eq!(serde_json::from_str::<Value>(&read).unwrap(), body);
    assert_eq!(rig.emulator.observe().dashboards["warmd"], body);
    for _ in 0..2 {
        assert_eq!(rig.port.delete_dashboard("warmd").await, Ok(()));
    }
    assert!(rig.emulator.observe().dashboards.is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_findings_of_cloudwatch_have_their_place() {
    let rig = Rig::new();
    let body = json!({ "widgets": [
        { "type": "text", "properties": {} },
        { "type": "metric", "width": 25, "properties": { "region": "eu-west-2", "metrics": [["warmd"]] } },
    ] });
    let refused = rig.port.put_dashboard("warmd", &body.to_string()).await.unwrap_err();
    let lines = refused.findings.iter().map(|finding| format!("{}: {}", finding.path, finding.message));
    insta::assert_snapshot!(lines.collect::<Vec<_>>().join("\n"), @"
    /widgets/0/properties: Should have required property 'markdown'
    /widgets/1/width: Should be between 1 and 24
    /widgets/1/properties/metrics/0: Should be a metric or an expression
    ");
    assert_eq!(rig.port.put_dashboard("warmd", "no JSON").await.unwrap_err().findings.len(), 1);
    assert_eq!(rig.port.dashboard("warmd").await, Ok(None));
    // A body that was accepted may have findings as well.
    let finding = json!({ "DataPath": "/widgets/0", "Message": "line one\nline two \u{1b}[2J" });
    rig.answer(Operation::PutDashboard, json!({ "DashboardValidationMessages": [finding, {}] }));
    let findings = rig.port.put_dashboard("warmd", "{\"widgets\":[]}").await.unwrap();
    let shown: Vec<_> =
        findings.iter().map(|finding| (finding.path.as_str(), finding.message.as_str())).collect();
    assert_eq!(shown, [("/widgets/0", "line one"), ("", "")]);
}
