use super::super::coverage::Stretch;
use super::super::{Download, Per, Route};
use super::*;
use crate::domain::cost::assume::{Assumed, Assumptions};
use crate::domain::fleet::Architecture;
use crate::domain::function::Region;

const HOUR: Duration = Duration::from_secs(3_600);

/// Four weeks of ten environments, 40 hours a week, 1 GB of memory.
fn stretches() -> Vec<Stretch> {
    let days = (0..28).filter(|day| day % 7 < 5);
    days.map(|day| Stretch { from_minute: day * 1_440 + 540, until_minute: day * 1_440 + 1_020, target: 10 })
        .collect()
}

fn assume() -> Assumptions {
    Assumptions {
        memory_mb: Assumed::Given(1_024),
        architecture: Assumed::Given(Architecture::Arm64),
        ..Assumptions::default()
    }
}

fn compared(place: &str, assume: &Assumptions, stretches: &[Stretch]) -> Comparison {
    let object = "s3://models/nlp-v7.bin".to_owned();
    let downloads =
        [Download { object, size_bytes: 220_000_000, route: Route::NatGateway, per: Per::ColdStart }];
    let coverage = Coverage {
        region: Region::parse(place).unwrap(),
        stretches,
        pings: 19_200,
        interval: HOUR / 12,
        downloads: &downloads,
        assume,
    };
    compare(&PriceBook::embedded(), &coverage, 28 * 24 * HOUR)
}

fn shown(comparison: &Comparison) -> String {
    let offers = comparison.options.iter().map(|offer| {
        let total = offer.total().map_or("unknown".to_owned(), |total| total.to_string());
        let cold = offer.cold_starts.map_or("unknown".to_owned(), |cold| cold.to_string());
        format!("{}: {total}, cold starts {cold} ({})", offer.way.name(), offer.note.as_deref().unwrap_or(""))
    });
    let offers: Vec<String> = offers.collect();
    let cheapest = comparison.cheapest.map_or("none", Way::name);
    format!("{}\ncheapest {cheapest}, break-even {:?}", offers.join("\n"), comparison.break_even_utilisation)
}

#[test]
fn every_way_for_ten_environments_in_office_hours() {
    let traffic =
        Traffic { requests_per_second: "0.9".parse().unwrap(), duration: Duration::from_millis(1_991) };
    let assume = Assumptions {
        traffic: Some(traffic),
        idle_life: Assumed::Given(Duration::from_secs(600)),
        ..assume()
    };
    insta::assert_snapshot!(shown(&compared("us-east-1", &assume, &stretches())), @r"
    pings: 7.49, cold starts 800 ()
    provisioned-windows: 26.64, cold starts 0 (800 environments made ahead)
    provisioned-always: 111.88, cold starts 0 (3,360 environments made ahead)
    managed-instances: 168.08, cold starts 0 (3 × c7g.large)
    ec2: 146.16, cold starts 0 (3 × c7g.large)
    nothing: 6.06, cold starts 648 (648 users would wait for a cold start)
    cheapest nothing, break-even Some(0.60)
    ");
}

#[test]
fn what_cannot_be_told_is_unknown_with_its_reason() {
    insta::assert_snapshot!(shown(&compared("eu-north-1", &assume(), &stretches())), @r"
    pings: unknown, cold starts 800 ()
    provisioned-windows: unknown, cold starts 0 (800 environments made ahead)
    provisioned-always: unknown, cold starts 0 (3,360 environments made ahead)
    managed-instances: unknown, cold starts 0 (no arm64 instance with a price holds it)
    ec2: unknown, cold starts 0 (no arm64 instance with a price holds it)
    nothing: unknown, cold starts unknown (needs assume: { requests_per_second, duration })
    cheapest none, break-even None
    ");
}

#[test]
fn the_json_has_every_option() {
    let json = serde_json::to_value(compared("us-east-1", &assume(), &stretches())).unwrap();
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
fn nothing_wanted_costs_nothing() {
    let comparison = compared("us-east-1", &assume(), &[]);
    for way in [Way::ProvisionedWindows, Way::ProvisionedAlways, Way::ManagedInstances, Way::Ec2] {
        let offer = comparison.options.iter().find(|offer| offer.way == way).unwrap();
        assert_eq!(offer.total(), Some(Decimal::new(0, 2)), "{}", way.name());
    }
}

#[test]
fn provisioned_windows_are_billed_in_steps_of_five_minutes() {
    let quantity = |minutes| {
        let stretches = [Stretch { from_minute: 0, until_minute: minutes, target: 2 }];
        let comparison = compared("us-east-1", &assume(), &stretches);
        comparison.options[1].bill.as_ref().unwrap().lines[0].quantity
    };
    assert_eq!(quantity(5), Decimal::from(600));
    assert_eq!(quantity(6), Decimal::from(1_200));
}

#[test]
fn more_environments_than_three_instances_hold_take_more_instances() {
    let stretches = [Stretch { from_minute: 0, until_minute: 60, target: 100 }];
    let comparison = compared("us-east-1", &assume(), &stretches);
    // 100 GB: 13 × 8 at .145, 7 × 16 at .1632, 4 × 32 at .214 an hour.
    assert_eq!(comparison.options[4].note.as_deref(), Some("4 × r7g.xlarge"));
}
