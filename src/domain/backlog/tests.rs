use std::time::Duration;

use super::*;
use crate::domain::backlog::{DEFAULT_HOLD, environments};
use crate::domain::cost::BillLine;
use crate::domain::fleet::OnRequest;
use crate::domain::plan::{Period, Scope, TargetPlan, fleet_cost};
use crate::domain::schedule::Minute;

const NOW: &str = "2026-11-20T09:00:00Z";

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn metric(queue: &str) -> Arc<Metric> {
    Arc::new(Metric {
        namespace: "AWS/SQS".to_owned(),
        name: "ApproximateNumberOfMessagesVisible".to_owned(),
        dimensions: [("QueueName".to_owned(), queue.to_owned())].into(),
        statistic: "Maximum",
    })
}

fn rule(queue: &str, per_environment: u32, max: u32, pipeline: Option<&str>) -> Rule {
    let per_environment = per_environment.into();
    Rule { metric: metric(queue), per_environment, max, pipeline: pipeline.map(Arc::from) }
}

fn target(function: &str, backlogs: Vec<Rule>) -> Target {
    Target { backlogs, ..Target::example(function, "eu-west-2", Vec::new()) }
}

fn samples(of: &[(&str, Lookup<Option<Sample>>)]) -> Samples {
    let region = Region::parse("eu-west-2").unwrap();
    of.iter().map(|(queue, read)| ((region, None, metric(queue)), read.clone())).collect()
}

fn value(time: &str, value: u32) -> Lookup<Option<Sample>> {
    Lookup::Known(Some(Sample { at: at(time), value: value.into() }))
}

#[test]
fn environments_are_rounded_up_and_never_overflow() {
    let table = [
        ("0", "300", 0),
        ("-5", "300", 0),
        ("1", "300", 1),
        ("90000", "300", 300),
        ("90001", "300", 301),
        ("0.5", "0.1", 5),
        ("0", "0", 0),
        ("-1", "0", 0),
        ("1", "0", u32::MAX),
        ("79228162514264337593543950335", "0.0000000001", u32::MAX),
        ("79228162514264337593543950335", "1", u32::MAX),
    ];
    for (messages, per, expected) in table {
        assert_eq!(environments(messages.parse().unwrap(), per.parse().unwrap()), expected, "{messages}");
    }
}

#[test]
fn the_highest_fresh_number_of_several_rules_counts() {
    let rules =
        vec![rule("a", 300, 100, None), rule("b", 6_000, 50, Some("nlp")), rule("c", 1, 10, Some("x"))];
    let fleet = Fleet::new(vec![target("f", rules), target("plain", Vec::new())]);
    let read = |of: &[(&str, Lookup<Option<Sample>>)]| {
        let mut readings = readings(&fleet, &samples(of), at(NOW));
        assert_eq!(readings.len(), 1, "targets without rules have none");
        let reading = readings.remove(&fleet.targets[0].id).unwrap();
        (
            reading.number,
            reading.age,
            reading.by_pipeline.iter().map(|(_, number)| *number).collect::<Vec<_>>(),
        )
    };
    let (one, two) = (value("2026-11-20T08:59:00Z", 3_001), value("2026-11-20T08:58:00Z", 90_000));
    let zero = value("2026-11-20T08:59:00Z", 0);
    assert_eq!(read(&[("a", one.clone()), ("b", two.clone()), ("c", zero)]), (15, Some(120), vec![15, 0]));
    // The maximum of the rule.
    assert_eq!(read(&[("a", value(NOW, u32::MAX)), ("b", two.clone()), ("c", two.clone())]).0, 100);
    // One is missing: the others count.
    assert_eq!(read(&[("a", one.clone()), ("b", two)]), (15, None, vec![15, 0]));
    // Five minutes are fresh, a second more is not. The clock of CloudWatch may be a minute ahead.
    let aged = |time: &str| read(&[("a", value(time, 900)), ("b", value(NOW, 0)), ("c", value(NOW, 0))]);
    assert_eq!(aged("2026-11-20T08:55:00Z"), (3, Some(300), vec![0, 0]));
    assert_eq!(aged("2026-11-20T08:54:59Z"), (0, Some(301), vec![0, 0]));
    assert_eq!(aged("2026-11-20T09:01:00Z"), (3, Some(0), vec![0, 0]));
    assert_eq!(aged("2026-11-20T09:01:01Z"), (0, None, vec![0, 0]));
}

#[test]
fn reasons_without_effect_are_sentences() {
    let reason = |text: &str| text.to_owned();
    let reads = [
        None,
        Some(Lookup::Known(None)),
        Some(value("2026-11-20T08:54:30Z", 1)),
        Some(value("2026-11-20T09:01:30Z", 1)),
        Some(Lookup::Denied(reason("User: arn:aws:iam::1:user/a is not authorized"))),
        Some(Lookup::Throttled(reason("Rate exceeded"))),
        Some(Lookup::Failed(reason("InternalError"))),
        Some(Lookup::Unreachable(reason("connect: refused"))),
        Some(Lookup::Missing),
        Some(Lookup::NotRead),
    ];
    let obstacles = reads.iter().map(|read| fresh(read.as_ref(), at(NOW)).unwrap_err());
    let lines: Vec<String> = obstacles.map(|obstacle| obstacle.to_string()).collect();
    insta::assert_snapshot!(lines.join("\n"), @"
    it cannot be read: no answer in time
    it has no value of the last minutes
    its latest value is 5m 30s old, more than 5m
    its latest value is in the future
    no permission cloudwatch:GetMetricData: User: arn:aws:iam::1:user/a is not authorized
    CloudWatch throttles its reads: Rate exceeded
    it cannot be read: InternalError
    it cannot be read: connect: refused
    it cannot be read: CloudWatch does not know the operation
    it cannot be read: no answer in time
    ");
    assert!(Obstacle::Stale(TimeDelta::minutes(6)).is_like(&Obstacle::Stale(TimeDelta::minutes(7))));
    assert!(!Obstacle::Missing.is_like(&Obstacle::Denied(String::new())));
}

#[test]
fn each_metric_is_read_once_for_a_region_and_role() {
    let role = Arc::new(Role { arn: "arn:aws:iam::1:role/r".to_owned(), external_id: None });
    let with_role = |target: Target| Target { role: Some(Arc::clone(&role)), ..target };
    let shared = || vec![rule("a", 300, 100, None), rule("a", 10, 5, Some("nlp")), rule("b", 1, 1, None)];
    let far = Target { backlogs: shared(), ..Target::example("f", "us-east-1", Vec::new()) };
    let unwarmed = target("off", Vec::new());
    let targets =
        [target("f", shared()), target("g", shared()), with_role(target("h", shared())), far, unwarmed];
    let shown = |(region, role, metric): &Source| {
        format!(
            "{region} {} {}",
            role.as_ref().map_or("own", |role| &role.arn),
            metric.dimensions["QueueName"]
        )
    };
    let lines: Vec<String> = sources(&targets).iter().map(shown).collect();
    insta::assert_snapshot!(lines.join("\n"), @"
    eu-west-2 own a
    eu-west-2 own b
    eu-west-2 arn:aws:iam::1:role/r a
    eu-west-2 arn:aws:iam::1:role/r b
    us-east-1 own a
    us-east-1 own b
    ");
}

#[test]
fn plans_name_what_they_cannot_know() {
    let rules = vec![rule("a", 300, 100, None), rule("b", 1, 15, Some("nlp"))];
    let on_request = OnRequest {
        max_concurrency: 1,
        max_for: Duration::from_secs(60),
        coalesce: Duration::ZERO,
        hold_for: DEFAULT_HOLD,
    };
    let target = Target { on_request: Some(on_request), ..target("f", rules) };
    insta::assert_snapshot!(
        not_planned(&target).join("\n"),
        @"up to 100 by backlog of AWS/SQS/ApproximateNumberOfMessagesVisible, not planned ahead"
    );
    let mut odd = (*metric("a\n::error::x")).clone();
    odd.namespace = "My\u{1b}[2J".to_owned();
    insta::assert_snapshot!(odd, @r"My\u{1b}[2J/ApproximateNumberOfMessagesVisible {QueueName=a\n::error::x}");
}

#[test]
fn the_cost_of_reads_is_that_of_each_metric_once_a_minute() {
    let period = Period { from: Minute::of(at(NOW)), until: Minute::of(at(NOW)).plus(30 * 24 * 60) };
    let cost = |targets: Vec<Target>| {
        let fleet = Fleet::new(targets);
        let plans: Vec<_> =
            fleet.targets.iter().map(|target| TargetPlan::new(target, period, &fleet.prices)).collect();
        let cost = fleet_cost(&fleet, &plans, period, Scope::Fleet);
        let is_read = |line: &&BillLine| line.item.contains("GetMetricData") && !line.quantity.is_zero();
        let line = cost.bill.lines.iter().find(is_read);
        line.map(|line| format!("{} {}", line.quantity, line.exact().unwrap().normalize()))
    };
    assert_eq!(cost(vec![target("f", Vec::new())]), None);
    let rules = |queue: &str| vec![rule(queue, 300, 100, None), rule(queue, 10, 5, Some("nlp"))];
    let month = cost(vec![target("f", rules("a")), target("g", rules("a"))]);
    assert_eq!(month.as_deref(), Some("43200 0.432"), "43,200 reads at $0.01 per 1,000");
    assert_eq!(cost(vec![target("f", rules("a")), target("g", rules("b"))]).as_deref(), Some("86400 0.864"));
}
