use proptest::prelude::*;

use super::super::{Per, Route};
use super::*;
use crate::domain::cost::assume::Assumed;

fn region(name: &str) -> Region {
    Region::parse(name).unwrap()
}

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);

fn stretch(from_minute: i64, until_minute: i64, target: u32) -> Stretch {
    Stretch { from_minute, until_minute, target }
}

fn made(stretches: &[Stretch]) -> u64 {
    environments_made(stretches, 5 * MINUTE, 2 * HOUR)
}

#[test]
fn environments_are_made_anew_each_recycle_and_after_long_pauses() {
    assert_eq!(made(&[]), 0);
    assert_eq!(made(&[stretch(0, 1, 3)]), 3);
    assert_eq!(made(&[stretch(0, 120, 1)]), 1);
    assert_eq!(made(&[stretch(0, 121, 1)]), 2);
    // A pause of four minutes joins, one of five does not.
    assert_eq!(made(&[stretch(0, 60, 1), stretch(64, 120, 1)]), 1);
    assert_eq!(made(&[stretch(0, 60, 1), stretch(65, 120, 1)]), 2);
    // A ramp 1, 2, 3, 2: the first lives through all 240 minutes, the second through 180, the third 60.
    let ramp = [stretch(0, 60, 1), stretch(60, 120, 2), stretch(120, 180, 3), stretch(180, 240, 2)];
    assert_eq!(made(&ramp), 2 + 2 + 1);
    // The third is missing for an hour in between.
    assert_eq!(made(&[stretch(0, 60, 3), stretch(60, 120, 2), stretch(120, 180, 3)]), 2 + 2 + 2);
}

fn download(per: Per) -> [Download; 1] {
    let object = "s3://models/nlp-v7.bin".to_owned();
    [Download { object, size_bytes: 220_000_000, route: Route::NatGateway, per }]
}

/// 20 working days of 8.6 hours: what `mon-fri 09:00-17:36` is in London from 2026-02-02 to 2026-03-02.
fn office_hours() -> Vec<Stretch> {
    let monday = 20_486 * 1_440;
    let days = (0..28).filter(|day| day % 7 < 5);
    days.map(|day| stretch(monday + day * 1_440 + 540, monday + day * 1_440 + 1_056, 10)).collect()
}

#[test]
fn ten_environments_through_office_hours_download_1_89_tb_a_month() {
    let downloads = download(Per::Ping);
    let assume = Assumptions { memory_mb: Assumed::Given(1_024), ..Assumptions::default() };
    let coverage = Coverage {
        region: region("us-east-1"),
        stretches: &office_hours(),
        pings: 8_600,
        interval: 12 * MINUTE,
        downloads: &downloads,
        assume: &assume,
    };
    let cost = coverage_cost(&PriceBook::embedded(), &coverage);
    assert_eq!(cost.s3.bytes(), 1_892_000_000_000);
    // Rounds twelve minutes apart, and an idle life of five: every ping is cold.
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
          "unit": "GB",
          "unit_price": "0.045",
          "amount": "79.29"
        },
        {
          "item": "CloudWatch Logs of pings",
          "quantity": "0.00320374965667724609375",
          "unit": "GB",
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
fn with_a_short_interval_only_new_environments_download() {
    let downloads = download(Per::ColdStart);
    let assume = Assumptions::default();
    let coverage = Coverage {
        region: region("us-east-1"),
        stretches: &office_hours(),
        pings: 20_800,
        interval: 5 * MINUTE,
        downloads: &downloads,
        assume: &assume,
    };
    let cost = coverage_cost(&PriceBook::embedded(), &coverage);
    // 516 minutes a day are five stretches of two hours or less; ten environments, twenty days.
    assert_eq!(cost.cold_starts, 5 * 10 * 20);
    assert_eq!(cost.s3.bytes(), 1_000 * 220_000_000);
}

/// Minute by minute: the k-th environment is made when it is wanted and not there, and when it is too old.
fn model(stretches: &[Stretch], idle_minutes: i64, recycle_minutes: i64) -> u64 {
    let highest = stretches.iter().map(|stretch| stretch.target).max().unwrap_or(0);
    let mut made = 0;
    for k in 1..=highest {
        let (mut last_wanted, mut born) = (None, 0);
        let minutes = stretches.iter().filter(|s| s.target >= k).flat_map(|s| s.from_minute..s.until_minute);
        for minute in minutes {
            let alive = last_wanted.is_some_and(|last| minute - last - 1 < idle_minutes.max(1));
            if !alive || (minute - born) >= recycle_minutes {
                made += 1;
                born = minute;
            }
            last_wanted = Some(minute);
        }
    }
    made
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn environments_agree_with_a_minute_model(
        parts in prop::collection::vec((0_i64..12, 1_i64..90, 1_u32..6), 0..8),
        idle in 1_i64..12,
    ) {
        let mut stretches = Vec::new();
        let mut at = 0;
        for (pause, length, target) in parts {
            stretches.push(stretch(at + pause, at + pause + length, target));
            at += pause + length;
        }
        // Without recycling: that counts from the start of a joined stretch, pauses included, and the model does not.
        let never = 1_000_000;
        prop_assert_eq!(
            environments_made(&stretches, MINUTE * idle as u32, MINUTE * never as u32),
            model(&stretches, idle, never)
        );
    }
}
