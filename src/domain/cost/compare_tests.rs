use std::time::Duration;

use super::super::{Download, Per, Route};
use super::*;
use crate::domain::capacity::Strategy;
use crate::domain::cost::assume::{Assumed, Assumptions};
use crate::domain::function::{Architecture, Region};
use crate::domain::schedule::Minute;

const HOUR: Duration = Duration::from_secs(3_600);

fn segment(from: i64, until: i64, desired: u32, rounds: u64) -> Segment {
    Segment { from: Minute::from_epoch(from), until: Minute::from_epoch(until), desired, rounds }
}

/// Returns four weeks of ten environments, 40 hours a week.
fn segments() -> Vec<Segment> {
    let days = (0..28).filter(|day| day % 7 < 5);
    days.map(|day| segment(day * 1_440 + 540, day * 1_440 + 1_020, 10, 96)).collect()
}

fn assume() -> Assumptions {
    Assumptions {
        memory_mb: Assumed::Given(1_024),
        architecture: Assumed::Given(Architecture::Arm64),
        ..Assumptions::default()
    }
}

fn compared(place: &str, assume: &Assumptions, segments: &[Segment]) -> Comparison {
    let downloads = [Download::example(Route::NatGateway, Per::ColdStart)];
    let coverage = Coverage {
        region: Region::parse(place).unwrap(),
        segments,
        steps: segments,
        strategy: Strategy::Pings,
        horizon: 28 * 24 * HOUR,
        interval: HOUR / 12,
        downloads: &downloads,
        assume,
        is_tenant: false,
    };
    compare(&PriceBook::embedded(), &coverage)
}

fn shown(comparison: &Comparison) -> String {
    let options = comparison.options.iter().map(|option| {
        let total = option.total().map_or("unknown".to_owned(), |total| total.to_string());
        let cold = option.cold_starts.map_or("unknown".to_owned(), |cold| cold.to_string());
        format!(
            "{}: {total}, cold starts {cold} ({})",
            option.alternative.title(),
            option.note.as_deref().unwrap_or("")
        )
    });
    let options: Vec<String> = options.collect();
    let cheapest = comparison.cheapest.map_or("none", CostAlternative::title);
    format!("{}\ncheapest {cheapest}, break-even {:?}", options.join("\n"), comparison.break_even_utilisation)
}

#[test]
fn compares_alternatives_for_office_hours() {
    let traffic =
        Traffic { requests_per_second: "0.9".parse().unwrap(), duration: Duration::from_millis(1_991) };
    let assume = Assumptions {
        traffic: Some(traffic),
        idle_life: Assumed::Given(Duration::from_secs(600)),
        ..assume()
    };
    insta::assert_snapshot!(shown(&compared("us-east-1", &assume, &segments())), @"
    pings: 7.49, cold starts 800 ()
    provisioned, in windows: 26.82, cold starts 0 (800 environments created in advance)
    provisioned, always: 111.88, cold starts 0 (3,360 environments created in advance)
    managed instances: 168.08, cold starts 0 (3 × c7g.large)
    EC2 instances: 146.16, cold starts 0 (3 × c7g.large)
    no warming: 6.06, cold starts 648 (648 users would wait for a cold start)
    cheapest no warming, break-even Some(0.60)
    ");
}

#[test]
fn unknown_cost_has_a_reason() {
    insta::assert_snapshot!(shown(&compared("eu-north-1", &assume(), &segments())), @r"
    pings: unknown, cold starts 800 ()
    provisioned, in windows: unknown, cold starts 0 (800 environments created in advance)
    provisioned, always: unknown, cold starts 0 (3,360 environments created in advance)
    managed instances: unknown, cold starts 0 (no arm64 instance has a price in eu-north-1; add one under `prices`)
    EC2 instances: unknown, cold starts 0 (no arm64 instance has a price in eu-north-1; add one under `prices`)
    no warming: unknown, cold starts unknown (needs assume: { requests_per_second, duration })
    cheapest none, break-even None
    ");
}

#[test]
fn no_instance_has_enough_memory() {
    use crate::domain::function::Architecture::X86_64;
    let large =
        Assumptions { memory_mb: Assumed::Given(10_240), architecture: Assumed::Given(X86_64), ..assume() };
    let compared = compared("us-east-1", &large, &segments());
    assert_eq!(
        compared.options[3].note.as_deref(),
        Some("no x86_64 instance with a price has enough memory")
    );
}

#[test]
fn json_has_every_option() {
    let json = serde_json::to_value(compared("us-east-1", &assume(), &segments())).unwrap();
    let names: Vec<&str> =
        json["options"].as_array().unwrap().iter().map(|o| o["option"].as_str().unwrap()).collect();
    assert_eq!(
        names,
        ["pings", "provisioned-windows", "provisioned-always", "managed-instances", "ec2", "nothing"]
    );
    assert_eq!(json["options"][5]["total"], serde_json::Value::Null);
    assert_eq!(json["options"][5]["lines"], serde_json::json!([]));
    assert_eq!(json["cheapest"], "pings");
    assert!(json["break_even_utilisation"].is_string());
}

#[test]
fn plan_without_segments_costs_nothing() {
    use CostAlternative::{Ec2, ManagedInstances, ProvisionedAlways, ProvisionedWindows};
    let comparison = compared("us-east-1", &assume(), &[]);
    for alternative in [ProvisionedWindows, ProvisionedAlways, ManagedInstances, Ec2] {
        let option = comparison.options.iter().find(|option| option.alternative == alternative).unwrap();
        assert_eq!(option.total(), Some(Decimal::new(0, 2)), "{alternative:?}");
    }
}

#[test]
fn provisioned_windows_are_billed_in_steps_of_five_minutes() {
    let quantity = |minutes| {
        let segments = [segment(0, minutes, 2, 0)];
        let comparison = compared("us-east-1", &assume(), &segments);
        comparison.options[1].bill.as_ref().unwrap().lines[0].quantity
    };
    assert_eq!(quantity(5), Decimal::from(600));
    assert_eq!(quantity(6), Decimal::from(1_200));
}

#[test]
fn instances_are_added_for_more_environments() {
    let segments = [segment(0, 60, 100, 0)];
    let comparison = compared("us-east-1", &assume(), &segments);
    // 100 GiB: 13 × 8 at .145, 7 × 16 at .1632, 4 × 32 at .214 an hour.
    assert_eq!(comparison.options[4].note.as_deref(), Some("4 × r7g.xlarge"));
}
