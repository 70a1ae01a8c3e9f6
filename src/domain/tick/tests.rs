use std::time::Duration;

use insta::assert_snapshot;
use rust_decimal::Decimal;
use serde_json::{Value, json};

use super::*;
use crate::config::tests::validator::Validator;
use crate::domain::cost::{Download, Per, PriceBook, Route, round_cost};
use crate::domain::function::{FunctionRef, Region};
use crate::domain::report::Report;
use crate::domain::round::{Attempt, Initialization, Known, Outcome, PingResult, Ran};

fn target(function: &str) -> Target {
    let id = FunctionRef::parse(function).unwrap().identity(Region::parse("eu-west-2").unwrap());
    let download = Download::example(Route::NatGateway, Per::ColdStart);
    Target { label: id.label(), id, ..Target::example("nlp-inference", "eu-west-2", vec![download]) }
}

fn cold(index: u32) -> PingResult {
    PingResult {
        outcome: Outcome::Cold,
        ran: Ran::Yes,
        sent: Duration::ZERO,
        received: Duration::from_millis(900),
        report: Some(Report {
            duration_ms: 25.5,
            billed_ms: 106,
            memory_mb: Some(1024),
            init_ms: Some(80.0),
            ..Report::default()
        }),
        environment: Some(index.to_string()),
        initialization: None,
        version: Some("7".to_owned()),
        message: None,
    }
}

fn report(pings: Vec<PingResult>) -> RoundReport {
    RoundReport::new(
        2,
        &[Attempt { hold: Some(Duration::from_millis(25)), handler_hold: None, pings, resent: 0 }],
        true,
        Known::default(),
    )
}

fn record(target: &Target, report: &RoundReport) -> RoundRecord {
    let cost = RoundCost { requests: Some(Decimal::new(4, 7)), ..RoundCost::default() };
    let used = report.quantities(target);
    let (report, s3) = (report.clone(), used.s3.clone());
    let sent = SentRound {
        report,
        s3,
        cost,
        cost_unknown: Vec::new(),
        quiet_for: None,
        contact: None,
        versions: Vec::new(),
        through_alias: None,
    };
    RoundRecord::sent_to(target, 2, sent, &used)
}

fn example() -> TickReport {
    let target = target("nlp-inference:live");
    TickReport {
        duration_ms: 912,
        rounds: vec![
            record(&target, &report(vec![cold(0), cold(1)])),
            RoundRecord::skipped(&target, 2, SkipReason::InFlight),
        ],
        unfinished: vec![Unfinished::new(&target, 3, UnfinishedReason::Deadline)],
        ..TickReport::empty(DateTime::from_timestamp(1_795_165_200, 0).unwrap(), Some("3f2a".to_owned()))
    }
}

/// A round of four: two on provisioned environments, one of them never used before.
fn by_kind() -> RoundRecord {
    let kind = |kind, index| PingResult { initialization: Some(kind), ..cold(index) };
    let warm = |mut ping: PingResult| {
        (ping.outcome, ping.report.as_mut().unwrap().init_ms) = (Outcome::Warm, None);
        ping
    };
    let target = target("nlp-inference:live");
    let report = report(vec![
        kind(Initialization::ProvisionedConcurrency, 0),
        warm(kind(Initialization::ProvisionedConcurrency, 1)),
        kind(Initialization::OnDemand, 2),
        warm(kind(Initialization::OnDemand, 3)),
    ]);
    let used = report.quantities(&target);
    let (cost, cost_unknown) =
        round_cost(&PriceBook::embedded(), target.region(), target.architecture, &used);
    let sent = SentRound {
        report,
        s3: used.s3.clone(),
        cost,
        cost_unknown,
        quiet_for: None,
        contact: None,
        versions: Vec::new(),
        through_alias: None,
    };
    RoundRecord::sent_to(&target, 4, sent, &used)
}

#[test]
fn a_round_by_the_kind_of_environment() {
    let round = json!(by_kind());
    assert_eq!((&round["warm"], &round["cold"], &round["reached"]), (&json!(3), &json!(1), &json!(4)));
    assert_eq!((&round["billed_ms"], &round["s3_egress_bytes"]), (&json!(344), &json!(220_000_000)));
    assert_snapshot!(round["by_kind"], @r#"{"provisioned":{"environments":2,"cold_starts":0,"cost_usd":"0.0000015902044"},"on_demand":{"environments":2,"cold_starts":1,"cost_usd":"0.01024819500157"},"assumed":false}"#);
    let total = |pointer: &str| round.pointer(pointer).unwrap().as_str().unwrap().parse::<Decimal>().unwrap();
    assert_eq!(
        total("/by_kind/provisioned/cost_usd") + total("/by_kind/on_demand/cost_usd"),
        total("/cost_usd/total")
    );
}

/// The keys and their order are a contract.
#[test]
fn the_tick_object() {
    let tick = example();
    assert!(!tick.any_short());
    assert_snapshot!(serde_json::to_string(&tick).unwrap().replace("{\"function", "\n{\"function"), @r#"
    {"tick":"2026-11-20T09:00:00Z","config":"3f2a","duration_ms":912,"partial":false,"rounds":[
    {"function":"nlp-inference","qualifier":"live","region":"eu-west-2","tenant":null,"owner":"payments","target":2,"capped_from":null,"capped_by":null,"backed_off_from":null,"metric_age":null,"pings":2,"reached":2,"evidence":"ids","verdict":"reached","warm":0,"cold":2,"semi_cold":null,"preinitialized":0,"restored":0,"throttled":0,"function_errors":0,"timed_out":0,"denied":0,"not_found":0,"failed":0,"unclassified":0,"waited_at_most_ms":null,"versions":[{"version":"7","weight":null,"target":2,"reached":2,"evidence":"ids","serves_alias":null,"skipped":null}],"hold_ms":25,"skew_ms":null,"first_pings":0,"top_ups":0,"resent":0,"skipped":null,"billed_ms":212,"memory_mb":1024,"s3_egress_bytes":440000000,"routes":{"nat-gateway":440000000},"cost_usd":{"requests":"0.0000004","compute":null,"s3_requests":null,"s3_egress":null,"total":null},"by_kind":null},
    {"function":"nlp-inference","qualifier":"live","region":"eu-west-2","tenant":null,"owner":"payments","target":2,"capped_from":null,"capped_by":null,"backed_off_from":null,"metric_age":null,"pings":0,"reached":null,"evidence":null,"verdict":"skipped","warm":0,"cold":0,"semi_cold":null,"preinitialized":0,"restored":0,"throttled":0,"function_errors":0,"timed_out":0,"denied":0,"not_found":0,"failed":0,"unclassified":0,"waited_at_most_ms":null,"versions":[],"hold_ms":null,"skew_ms":null,"first_pings":0,"top_ups":0,"resent":0,"skipped":"in-flight","billed_ms":null,"memory_mb":null,"s3_egress_bytes":0,"routes":{},"cost_usd":{"requests":"0","compute":"0","s3_requests":"0","s3_egress":"0","total":"0"},"by_kind":null}],"unfinished":[
    {"function":"nlp-inference","qualifier":"live","region":"eu-west-2","tenant":null,"target":3,"reason":"deadline"}],"capacity":[],"pipelines":[]}
    "#);
}

#[test]
fn a_function_configured_by_arn_is_recorded_by_arn() {
    let arn = "arn:aws:lambda:us-east-1:123456789012:function:nlp";
    let record = RoundRecord::skipped(&target(&format!("{arn}:7")), 1, SkipReason::InFlight);
    let keys = serde_json::to_value(&record).unwrap();
    assert_eq!((&keys["function"], &keys["qualifier"]), (&json!(arn), &json!("7")));
    assert_eq!(keys["region"], "us-east-1");
}

#[test]
fn configured_memory_takes_precedence_over_the_reported() {
    let mut target = target("nlp");
    let report = report(vec![cold(0)]);
    assert_eq!(record(&target, &report).memory_mb, Some(1024));
    target.memory_mb = Some(512);
    assert_eq!(record(&target, &report).memory_mb, Some(512));
}

#[test]
fn downloads_are_unknown_when_cold_starts_are() {
    let silent = PingResult { outcome: Outcome::Unclassified, report: None, ..cold(0) };
    let record = record(&target("nlp"), &report(vec![silent]));
    assert_eq!((record.s3_bytes(), &serde_json::to_value(&record).unwrap()["routes"]), (None, &json!({})));
    assert_eq!((record.reached(), record.evidence()), (None, Some(Evidence::Unknown)));
}

#[test]
fn sent_nothing_is_true_only_when_certain() {
    let target = target("nlp");
    let tick = |rounds, unfinished| TickReport {
        rounds,
        unfinished,
        ..TickReport::empty(DateTime::UNIX_EPOCH, None)
    };
    let left = |reason| tick(Vec::new(), vec![Unfinished::new(&target, 1, reason)]).sent_nothing();
    assert!(left(UnfinishedReason::Deadline) && left(UnfinishedReason::TooLarge));
    assert!(!left(UnfinishedReason::InFlight) && !left(UnfinishedReason::HandedOn));
    assert!(!left(UnfinishedReason::Unexpected), "it may have been");
    let skipped = RoundRecord::skipped(&target, 1, SkipReason::InFlight);
    assert!(tick(vec![skipped.clone()], Vec::new()).sent_nothing());
    assert!(!tick(vec![skipped, record(&target, &report(vec![cold(0)]))], Vec::new()).sent_nothing());
}

#[test]
fn bounds_are_present_for_an_unknown_total_only() {
    let bounded = RoundCost {
        cost_at_least: Some(Decimal::new(4, 7)),
        cost_at_most: Some(Decimal::new(5, 2)),
        ..RoundCost::default()
    };
    assert_snapshot!(serde_json::to_string(&bounded).unwrap(), @r#"{"requests":null,"compute":null,"s3_requests":null,"s3_egress":null,"total":null,"cost_at_least":"0.0000004","cost_at_most":"0.05"}"#);
    let known = RoundRecord::skipped(&target("nlp"), 1, SkipReason::DryRun).cost();
    let keys = serde_json::to_value(known).unwrap();
    assert!(keys.get("cost_at_least").is_none() && keys.get("cost_at_most").is_none());
}

#[test]
fn one_short_round_makes_the_tick_short() {
    let target = target("nlp");
    let denied = PingResult { outcome: Outcome::Denied, report: None, environment: None, ..cold(0) };
    let rounds =
        vec![record(&target, &report(vec![cold(0), cold(1)])), record(&target, &report(vec![denied]))];
    assert!(TickReport { rounds, ..TickReport::empty(DateTime::UNIX_EPOCH, None) }.any_short());
}

fn validator() -> Validator {
    Validator::new(json!(schema()))
}

#[test]
fn reports_of_every_kind_match_the_schema() {
    let target = target("nlp-inference:live");
    let silent = PingResult { outcome: Outcome::Unclassified, report: None, environment: None, ..cold(0) };
    let mut bounded = record(&target, &report(vec![silent]));
    if let RoundOutcome::Sent(sent) = &mut bounded.outcome {
        sent.cost = RoundCost { cost_at_least: Some(Decimal::ZERO), ..sent.cost };
        sent.report.skew = Some(Duration::from_micros(3_140));
    }
    let reasons = [
        UnfinishedReason::Deadline,
        UnfinishedReason::InFlight,
        UnfinishedReason::HandedOn,
        UnfinishedReason::TooLarge,
        UnfinishedReason::Unexpected,
    ];
    let skipped = SkipReason::ALL.map(|reason| RoundRecord::skipped(&target, 1, reason));
    let all = TickReport {
        partial: true,
        rounds: [vec![bounded, by_kind()], example().rounds, skipped.to_vec()].concat(),
        unfinished: reasons.map(|reason| Unfinished::new(&target, 3, reason)).to_vec(),
        ..TickReport::empty(DateTime::UNIX_EPOCH, None)
    };
    let validator = validator();
    for report in [TickReport::empty(DateTime::UNIX_EPOCH, None), example(), all] {
        assert_eq!(validator.errors(&json!(report)), [""; 0]);
    }
}

#[test]
fn unknown_missing_and_mistyped_keys_do_not_match_the_schema() {
    let validator = validator();
    let changed = |pointer: &str, change: fn(&mut Value)| {
        let mut report = json!(TickReport { rounds: vec![by_kind()], ..example() });
        change(report.pointer_mut(pointer).unwrap());
        validator.is_valid(&report)
    };
    let by_kind = "/rounds/0/by_kind/provisioned";
    for object in ["", "/rounds/0", "/rounds/0/cost_usd", "/rounds/0/by_kind", by_kind, "/unfinished/0"] {
        assert!(changed(object, |_| ()));
        assert!(!changed(object, |object| object["extra"] = json!(1)), "{object}");
    }
    for object in ["/rounds/0", "/unfinished/0"] {
        assert!(
            !changed(object, |object| _ = object.as_object_mut().unwrap().shift_remove("target")),
            "{object}"
        );
    }
    assert!(!changed("/rounds/0/verdict", |verdict| *verdict = json!("fine")));
    assert!(!changed("/rounds/0/pings", |pings| *pings = json!(null)));
}

#[test]
fn the_schema_describes_every_key() {
    let schema = schema();
    let described = |properties: &Value| {
        let properties = properties.as_object().unwrap();
        let bare = properties.iter().filter(|(_, schema)| schema.get("description").is_none());
        bare.map(|(key, _)| key.clone()).collect::<Vec<_>>()
    };
    assert_eq!(described(&schema["properties"]), [""; 0]);
    for definition in ["RoundKeys", "RoundCost", "ByKindKeys", "KindKeys", "Unfinished"] {
        assert_eq!(described(&schema["definitions"][definition]["properties"]), [""; 0], "{definition}");
    }
}

#[test]
fn what_is_reached_or_paused_is_proven() {
    let target = Target::example("f", "eu-west-2", Vec::new());
    let round = |verdict, reached| RoundRecord::example(&target, 3, verdict, reached);
    let skipped = |reason| RoundRecord::skipped(&target, 3, reason);
    for (round, is_proven) in [
        (round(Verdict::Reached, Some(3)), true),
        (round(Verdict::Reached, Some(4)), true),
        (round(Verdict::Reached, Some(2)), false),
        (round(Verdict::Reached, None), false),
        (RoundRecord { capped_from: Some(5), ..round(Verdict::Reached, Some(3)) }, true),
        (RoundRecord { backed_off_from: Some(5), ..round(Verdict::Reached, Some(3)) }, false),
        (round(Verdict::Unproven, Some(3)), false),
        (round(Verdict::Short, Some(2)), false),
        (skipped(SkipReason::Paused), true),
        (skipped(SkipReason::Unsafe), false),
        (skipped(SkipReason::Breaker), false),
    ] {
        let report = TickReport { rounds: vec![round], ..TickReport::empty(DateTime::UNIX_EPOCH, None) };
        assert_eq!(report.is_proven(), is_proven, "{report:?}");
    }
    let nothing = TickReport::empty(DateTime::UNIX_EPOCH, None);
    let left = vec![Unfinished::new(&target, 3, UnfinishedReason::InFlight)];
    assert!(nothing.is_proven() && !TickReport { unfinished: left, ..nothing }.is_proven());
}
