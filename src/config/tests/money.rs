//! Prices of the user, and assumptions of estimates.

use std::time::Duration;

use insta::assert_snapshot;
use rust_decimal::Decimal;

use super::*;
use crate::config::read_prices;
use crate::domain::cost::assume::{Assumed, Traffic};
use crate::domain::cost::{Item, PriceBook};

fn region(name: &str) -> Region {
    Region::parse(name).unwrap()
}

fn dollars(text: &str) -> Option<Decimal> {
    Some(text.parse().unwrap())
}

const FUNCTION: &str = "functions:\n  f:\n    region: eu-west-2\n    windows: [{ days: daily, hours: all-day, concurrency: 1 }]\n";

/// Returns the prices of NAT gateways in London and in Virginia.
fn nat(prices: &str) -> [Option<Decimal>; 2] {
    let loaded = valid(&format!("version: 1\n{prices}\n{FUNCTION}"));
    ["eu-west-2", "us-east-1"].map(|place| loaded.fleet.prices.price(&Item::NatData, region(place)))
}

#[test]
fn own_prices_replace_those_of_the_book() {
    assert_eq!(nat(""), [dollars("0.05"), dollars("0.045")]);
    assert_eq!(nat("prices: {}"), [dollars("0.05"), dollars("0.045")]);
    assert_eq!(nat("prices: { nat-gateway.gb: 0.03 }"), [dollars("0.03"); 2]);
    assert_eq!(nat("prices: { nat-gateway.gb: \"0.03\" }"), [dollars("0.03"); 2]);
    assert_eq!(
        nat("prices: { nat-gateway.gb: { price: 0.03, region: us-east-1 } }"),
        [dollars("0.05"), dollars("0.03")]
    );
    // In any order, the price of a region has precedence over the price for all regions.
    assert_eq!(
        nat("prices: { nat-gateway.gb: [{ price: 0.03, regions: [us-east-1] }, { price: 0.01 }] }"),
        [dollars("0.01"), dollars("0.03")]
    );
}

#[test]
fn a_price_may_have_tiers_a_date_and_a_source() {
    let loaded = valid(&format!(
        "version: 1\nprices:\n  transfer.internet:\n    region: eu-west-2\n    source: our contract\n    date: 2026-10-01\n    tiers: [{{ up_to: 10240, price: 0.08 }}, {{ price: 0.07 }}]\n{FUNCTION}"
    ));
    let figure = loaded.fleet.prices.lookup(&Item::InternetData, region("eu-west-2")).unwrap();
    let tiers: Vec<_> = figure.tiers.iter().map(|tier| (tier.up_to, tier.price.to_string())).collect();
    assert_eq!(tiers, [(dollars("10240"), "0.08".to_owned()), (None, "0.07".to_owned())]);
    assert_eq!((&*figure.source.name, figure.date), ("our contract", Some("2026-10-01".parse().unwrap())));
    assert_eq!(figure.source.url, None);
}

#[test]
fn prices_can_be_in_a_separate_file() {
    let fleet = format!("version: 1\nprices: attached/prices.yaml\n{FUNCTION}");
    let load =
        |prices| resolve_all(&[("fleet.yaml", fleet.as_str()), ("attached/prices.yaml", prices)]).unwrap();
    let loaded = load("nat-gateway.gb: 0.03\n");
    assert_eq!(loaded.fleet.prices.price(&Item::NatData, region("eu-west-2")), dollars("0.03"));
    // Other prices are another configuration.
    assert_ne!(loaded.fleet.hash, load("nat-gateway.gb: 0.04\n").fleet.hash);
}

#[test]
fn a_price_file_is_not_read_as_configuration() {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(directory.path().join(name), text).unwrap();
    write("fleet.yaml", &format!("version: 1\nprices: prices.yaml\n{FUNCTION}"));
    write("prices.yaml", "nat-gateway.gb: 0.03\n");
    let loaded = load(&[directory.path().to_owned()], None).unwrap();
    assert_eq!(loaded.fleet.prices.price(&Item::NatData, region("us-east-1")), dollars("0.03"));
    assert_eq!(loaded.attachments(), [directory.path().join("prices.yaml")]);
}

#[test]
fn prices_can_be_json() {
    // JSON is YAML, and programs write it.
    let file = SourceFile {
        path: "p.json".into(),
        text: r#"{"s3.get": {"price": "0.0000003", "region": "eu-west-2"}}"#.into(),
    };
    let book = read_prices(&file, &PriceBook::embedded()).unwrap();
    assert_eq!(book.price(&Item::S3Get, region("eu-west-2")), dollars("0.0000003"));
}

#[test]
fn errors_in_prices() {
    let document = r#"
    version: 1
    prices:
      nat-gateway.bg: 0.03
      ^^^^^^^^^^^^^^ unknown item "nat-gateway.bg"
      = hint: did you mean `nat-gateway.gb`?
      lambda.requests: -1
                       ^^ expected a number of 0 or more, found -1
                       = hint: write plain digits, such as 50 or 0.045, up to 1000000000000000
      lambda.duration: 1
      ^^^^^^^^^^^^^^^ unknown item "lambda.duration"
      = hint: run `warmd price book` for a list of the items
    "#;
    check_document(document);
    let document = r#"
    version: 1
    prices:
      s3.get: { region: eu-west-2 }
              ^ missing key "price"
              = hint: add `price`, or `tiers`
      s3.put: { price: 1, tiers: [{ price: 1 }] }
                                 ^ "tiers" cannot be used with "price"
                                 = hint: remove one of the two
      s3.delete: { price: 1, region: eu-west-2, regions: [eu-west-1] }
                                                         ^ "regions" cannot be used with "region"
                                                         = hint: remove one of the two
    "#;
    check_document(document);
    let document = r"
    version: 1
    prices:
      transfer.internet: { tiers: [{ price: 1 }, { price: 2 }] }
                                  ^ expected prices of at least 0 in tiers with rising ends, the last without an end
                                  = hint: write tiers as `[{ up_to: 10240, price: 0.09 }, { price: 0.085 }]`
      nat-gateway.gb: [{ price: 1 }, { price: 2 }]
                                     ^ duplicate price for all regions
                                     = hint: remove one of the two
    ";
    check_document(document);
    let cases = r#"
    prices: prices.txt
            ^^^^^^^^^^ expected a map of prices, or the path of a .yaml file, found "prices.txt"
    prices: nowhere.yaml
            ^^^^^^^^^^^^ price file "nowhere.yaml": no such file
            = hint: check the path, which is relative to this file
    prices: 5
            ^ expected a map of prices, or the path of a .yaml file, found 5
    "#;
    check_cases(IN_FILE, cases);
    assert_snapshot!(errors_of(&[("a.yaml", "version: 1\nprices: { s3.get: 1 }\n"), ("b.yaml", "version: 1\nprices: { s3.get: 1 }\n")]), @r#"
    error: duplicate key "prices" in a second file
     --> b.yaml:2:9
      |
    2 | prices: { s3.get: 1 }
      |         ^
      |
      = hint: keep it in one file: it applies to the whole fleet
      = note: see also a.yaml:2:9
    "#);
    assert_snapshot!(errors_of(&[("fleet.yaml", "version: 1\nprices: attached/p.yaml\n"), ("attached/p.yaml", "version: 1\n")]), @r#"
    error: unknown item "version"
     --> attached/p.yaml:1:1
      |
    1 | version: 1
      | ^^^^^^^
      |
      = hint: run `warmd price book` for a list of the items
    "#);
    assert_snapshot!(errors_of(&[("fleet.yaml", "version: 1\nprices: attached/p.yaml\n"), ("attached/p.yaml", "# nothing\n")]), @r"
    error: the file is empty
     --> attached/p.yaml:1:1
      |
    1 | # nothing
      | ^
      |
      = hint: add a line of an item and its price, such as `nat-gateway.gb: 0.03`
    ");
}

#[test]
fn the_number_of_prices_is_limited() {
    let many: String = (0..2_001).map(|size| format!("  ec2.m7g.{size}xlarge: 1\n")).collect();
    assert_snapshot!(errors(&format!("version: 1\nprices:\n{many}")), @r"
    error: expected at most 2000 prices, found 2001
     --> fleet.yaml:3:3
      |
    3 |   ec2.m7g.0xlarge: 1
      |   ^^^^^^^^^^^^^^^
    ");
}

#[test]
fn assumptions_are_merged_key_by_key() {
    let loaded = valid(
        "version: 1\ndefaults:\n  region: eu-west-2\n  architecture: arm64\n  assume: { idle_life: 6m, init_duration: 3s, requests_per_second: 5, duration: 1s, semi_cold_below: 2s }\nfunctions:\n  f:\n    windows: [{ days: daily, hours: all-day, concurrency: 1 }]\n    assume: { init_duration: 8s, recycle_after: 90m, log_bytes_per_ping: 250 }\n  g:\n    memory: 512MB\n    windows: [{ days: daily, hours: all-day, concurrency: 1 }]\n    assume: { requests_per_second: 0.5, duration: 250ms, semi_cold_below: 900ms }\n",
    );
    let [f, g] = [0, 1].map(|index| loaded.fleet.targets[index].assume);
    let seconds = |seconds| Assumed::Given(Duration::from_secs(seconds));
    assert_eq!((f.idle_life, f.init_duration, f.recycle_after), (seconds(360), seconds(8), seconds(5_400)));
    assert_eq!(
        (f.ping_duration, f.log_bytes_per_ping),
        (Assumed::Assumed(Duration::from_millis(5)), Assumed::Given(250))
    );
    assert_eq!(f.assumed(), ["ping_duration", "memory"]);
    assert_eq!(g.assumed(), ["recycle_after", "ping_duration", "log_bytes_per_ping"]);
    let traffic = |rate: &str, ms| {
        Some(Traffic { requests_per_second: rate.parse().unwrap(), duration: Duration::from_millis(ms) })
    };
    assert_eq!((f.traffic, g.traffic), (traffic("5", 1_000), traffic("0.5", 250)));
    let thresholds = [0, 1].map(|index| loaded.fleet.targets[index].semi_cold_below);
    assert_eq!(thresholds, [2_000, 900].map(|ms| Some(Duration::from_millis(ms))));
}

#[test]
fn errors_in_assumptions() {
    let cases = r#"
    assume: { idle_lief: 5m, ping_duration: 5, log_bytes_per_ping: 1.5, recycle_after: 90s }
              ^^^^^^^^^ unknown key "idle_lief"
              = hint: did you mean `idle_life`?
                                            ^ expected a duration with a unit, found "5"
                                            = hint: write `5ms`
                                                                   ^^^ expected a whole number from 0 to 100000000, found 1.5
                                                                                       ^^^ expected whole minutes, found "90s"
                                                                                       = hint: write `1m` or `2m`
    assume: { requests_per_second: 5 }
                                   ^ missing key "duration"
                                   = hint: add the duration of a user's request: `requests_per_second` requires it
    assume: { duration: 5s }
                        ^^ missing key "requests_per_second"
                        = hint: add the rate of users' requests, or set `ping_duration` for the duration of a ping
    assume: { requests_per_second: 1000000, duration: 1s }
                                   ^^^^^^^ the traffic needs more than 100000 environments
                                   = hint: check the units of the rate and of `duration`
    assume: 5m
            ^^ expected a map, found "5m"
            = hint: indent its keys below it, or write them in braces: `{ key: value }`
    "#;
    check_cases(IN_FUNCTION, cases);
    // An error in the defaults is reported once for all functions.
    let document = r#"
    version: 1
    defaults: { assume: { duration: 1s } }
                                    ^^ missing key "requests_per_second"
                                    = hint: add the rate of users' requests, or set `ping_duration` for the duration of a ping
    functions:
      f:
        region: eu-west-2
        windows: [{ days: daily, hours: all-day, concurrency: 1 }]
      g:
        region: eu-west-2
        windows: [{ days: daily, hours: all-day, concurrency: 1 }]
    "#;
    check_document(document);
}
