use proptest::prelude::*;

use super::super::{Per, Route};
use super::*;
use crate::domain::capacity::Strategy;
use crate::domain::cost::assume::Assumed;

fn region(name: &str) -> Region {
    Region::parse(name).unwrap()
}

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);

fn segment(from: i64, until: i64, desired: u32, rounds: u64) -> Segment {
    Segment { from: Minute::from_epoch(from), until: Minute::from_epoch(until), desired, rounds }
}

fn created(periods: &[(i64, i64, u32)]) -> u64 {
    let segments: Vec<Segment> =
        periods.iter().map(|(from, until, desired)| segment(*from, *until, *desired, 0)).collect();
    environments_created(&segments, 5 * MINUTE, 2 * HOUR)
}

#[test]
fn environments_are_created_after_recycling_and_long_pauses() {
    assert_eq!(created(&[]), 0);
    assert_eq!(created(&[(0, 1, 3)]), 3);
    assert_eq!(created(&[(0, 120, 1)]), 1);
    assert_eq!(created(&[(0, 121, 1)]), 2);
    // A pause of four minutes joins, one of five does not.
    assert_eq!(created(&[(0, 60, 1), (64, 120, 1)]), 1);
    assert_eq!(created(&[(0, 60, 1), (65, 120, 1)]), 2);
    // A ramp 1, 2, 3, 2: the first lives through all 240 minutes, the second through 180, the third 60.
    let ramp = [(0, 60, 1), (60, 120, 2), (120, 180, 3), (180, 240, 2)];
    assert_eq!(created(&ramp), 2 + 2 + 1);
    // The third is missing for an hour in between.
    assert_eq!(created(&[(0, 60, 3), (60, 120, 2), (120, 180, 3)]), 2 + 2 + 2);
}

fn download(per: Per) -> [Download; 1] {
    [Download::example(Route::NatGateway, per)]
}

/// Returns 20 working days of 8.6 hours: `mon-fri 09:00-17:36` in London from 2026-02-02 to 2026-03-02, with `rounds`
/// rounds a day of ten pings.
fn office_hours(rounds: u64) -> Vec<Segment> {
    let monday = 20_486 * 1_440;
    let days = (0..28).filter(|day| day % 7 < 5);
    days.map(|day| segment(monday + day * 1_440 + 540, monday + day * 1_440 + 1_056, 10, rounds)).collect()
}

#[test]
fn every_ping_downloads_with_interval_above_idle_life() {
    let downloads = download(Per::Ping);
    let assume = Assumptions { memory_mb: Assumed::Given(1_024), ..Assumptions::default() };
    let coverage = Coverage {
        region: region("us-east-1"),
        segments: &office_hours(43),
        steps: &[],
        strategy: Strategy::Pings,
        horizon: 28 * 24 * HOUR,
        interval: 12 * MINUTE,
        downloads: &downloads,
        assume: &assume,
        is_tenant: false,
    };
    let cost = coverage_cost(&PriceBook::embedded(), &coverage);
    assert_eq!(cost.s3.bytes(), 1_892_000_000_000);
    // Rounds are twelve minutes apart, and idle environments live for five: every ping is cold.
    assert_eq!(cost.cold_starts, 8_600);
    insta::assert_snapshot!(serde_json::to_string_pretty(&cost).unwrap(), @r#"
    {
      "pings": 8600,
      "cold_starts": 8600,
      "s3_egress_bytes": 1892000000000,
      "lines": [
        {
          "item": "Lambda requests",
          "quantity": "8600",
          "unit": "request",
          "unit_price": "0.0000002",
          "amount": "0.00"
        },
        {
          "item": "Lambda compute x86_64, first 6 billion GB-s",
          "quantity": "86043",
          "unit": "GB-s",
          "unit_price": "0.0000166667",
          "amount": "1.43"
        },
        {
          "item": "S3 GET requests",
          "quantity": "8600",
          "unit": "request",
          "unit_price": "0.0000004",
          "amount": "0.00"
        },
        {
          "item": "S3 egress by nat-gateway",
          "quantity": "1762.0623111724853515625",
          "unit": "GiB",
          "unit_price": "0.045",
          "amount": "79.29"
        },
        {
          "item": "CloudWatch Logs of pings",
          "quantity": "0.00320374965667724609375",
          "unit": "GiB",
          "unit_price": "0.5",
          "amount": "0.00"
        }
      ],
      "total": "80.72",
      "assumed": [
        "idle_life",
        "ping_duration",
        "init_duration",
        "log_bytes_per_ping",
        "architecture"
      ]
    }
    "#);
}

#[test]
fn only_new_environments_download_with_short_interval() {
    let downloads = download(Per::ColdStart);
    let assume = Assumptions::default();
    let coverage = Coverage {
        region: region("us-east-1"),
        segments: &office_hours(104),
        steps: &[],
        strategy: Strategy::Pings,
        horizon: 28 * 24 * HOUR,
        interval: 5 * MINUTE,
        downloads: &downloads,
        assume: &assume,
        is_tenant: false,
    };
    let cost = coverage_cost(&PriceBook::embedded(), &coverage);
    // 516 minutes a day are five periods of two hours or less, for ten environments on twenty days.
    assert_eq!(cost.cold_starts, 5 * 10 * 20);
    assert_eq!(cost.s3.bytes(), 1_000 * 220_000_000);
}

/// A reference model that visits every minute: the k-th environment is created when it is needed and absent or too old.
fn model(segments: &[Segment], idle_minutes: i64, recycle_minutes: i64) -> u64 {
    let highest = segments.iter().map(|segment| segment.desired).max().unwrap_or(0);
    let mut created = 0;
    for k in 1..=highest {
        let (mut last_needed, mut born) = (None, 0);
        let minutes =
            segments.iter().filter(|s| s.desired >= k).flat_map(|s| s.from.epoch()..s.until.epoch());
        for minute in minutes {
            let alive = last_needed.is_some_and(|last| minute - last - 1 < idle_minutes.max(1));
            if !alive || (minute - born) >= recycle_minutes {
                created += 1;
                born = minute;
            }
            last_needed = Some(minute);
        }
    }
    created
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn environments_agree_with_minute_model(
        parts in prop::collection::vec((0_i64..12, 1_i64..90, 1_u32..6), 0..8),
        idle in 1_i64..12,
    ) {
        let mut segments = Vec::new();
        let mut at = 0;
        for (pause, length, desired) in parts {
            segments.push(segment(at + pause, at + pause + length, desired, 0));
            at += pause + length;
        }
        // The model does not count pauses towards the age of an environment, so recycling is disabled.
        let never = 1_000_000;
        prop_assert_eq!(
            environments_created(&segments, MINUTE * idle as u32, MINUTE * never as u32),
            model(&segments, idle, never)
        );
    }
}

#[test]
fn new_environments_of_a_tenant_are_charged_by_memory() {
    let assume = Assumptions { memory_mb: Assumed::Given(2_048), ..Assumptions::default() };
    let cost = |place: &str, is_tenant| {
        let segments = &office_hours(43);
        let (region, interval) = (region(place), 12 * MINUTE);
        let (strategy, horizon) = (Strategy::Pings, 28 * 24 * HOUR);
        let coverage = Coverage {
            region,
            segments,
            steps: &[],
            strategy,
            horizon,
            interval,
            downloads: &[],
            assume: &assume,
            is_tenant,
        };
        coverage_cost(&PriceBook::embedded(), &coverage).bill
    };
    // 8,600 environments of 2 GB at $0.000167.
    let more = cost("us-east-1", true).total().unwrap() - cost("us-east-1", false).total().unwrap();
    assert_eq!(more.round_dp(2).to_string(), "2.87");
    assert_eq!(cost("us-east-1", true).lines.len(), cost("us-east-1", false).lines.len() + 1);
    assert_eq!(cost("eu-west-2", true).total(), None, "the price is not known there");
    assert!(cost("eu-west-2", false).total().is_some());
}
