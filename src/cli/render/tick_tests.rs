use chrono::{TimeZone, Utc};

use super::notes::NOTES;
use super::*;
use crate::cli::render::Fit;
use crate::domain::by_kind::ByKind;
use crate::domain::cost::{Download, Per, RoundQuantities, Route, s3_quantities};
use crate::domain::fleet::Target;
use crate::domain::round::{Known, PingUsage};
use crate::domain::routing::Weight;
use crate::domain::tick::{SkipReason, UnfinishedReason, VersionRound, sum};

fn target(function: &str) -> Target {
    Target::example(function, "eu-west-2", Vec::new())
}

/// A round that reached `desired` warm environments, with a `change`.
fn sent(function: &str, desired: u32, change: impl FnOnce(&mut SentRound)) -> RoundRecord {
    let report = RoundReport::new(desired, &[], true, Known::default());
    let mut sent = SentRound {
        report: RoundReport {
            pings: desired,
            counts: OutcomeCounts { warm: desired, ..OutcomeCounts::default() },
            reached: Some(desired),
            evidence: Evidence::Ids,
            verdict: Verdict::Reached,
            versions: vec!["7".to_owned()],
            hold: Some(Duration::from_millis(25)),
            skew: Some(Duration::from_micros(3_100)),
            billed_ms: Some(260),
            ..report
        },
        s3: s3(0),
        cost: cost_of("0.0000065", "0"),
        cost_unknown: Vec::new(),
        quiet_for: None,
        contact: None,
        versions: Vec::new(),
        through_alias: None,
    };
    change(&mut sent);
    RoundRecord::sent_to(&target(function), desired, sent, &RoundQuantities::default())
}

#[test]
fn pipelines_have_a_line_each() {
    let pipeline = |name: &str, region: &str, warm, cold: &[&str]| PipelineReport {
        name: name.to_owned(),
        region: crate::domain::function::Region::parse(region).unwrap(),
        warm,
        cold_stages: cold.iter().map(|stage| (*stage).to_owned()).collect(),
    };
    let report = TickReport {
        rounds: vec![round("infer:live", 2)],
        pipelines: vec![
            pipeline("nlp", "eu-west-2", Some(false), &["a:live + b:live", "infer:live"]),
            pipeline("ocr", "eu-west-2", Some(true), &[]),
            pipeline("ocr", "eu-west-1", None, &[]),
        ],
        ..TickReport::empty(Utc.with_ymd_and_hms(2026, 11, 20, 9, 0, 0).unwrap(), None)
    };
    insta::assert_snapshot!(tick(&report, Style::default()), @"
    tick 2026-11-20T09:00:00Z, took 0 ms

      FUNCTION    REGION     REACHED  WARM  COLD  SKEW/HOLD       COST
    ✓ infer:live  eu-west-2  2/2 ids     2     0  3.1/25 ms  $0.000009

    pipeline nlp: cold: a:live + b:live, infer:live
    pipeline ocr eu-west-2: warm
    pipeline ocr eu-west-1: unknown

    1 target: ✓ 1 reached
    2 pings: 2 warm
    cost $0.000009: requests $0.000002, compute $0.000007
    ");
    insta::assert_snapshot!(tick_line(&report, Style::default()), @"
    2026-11-20T09:00:00Z 1 target: ✓ 1 reached; 2 pings: 2 warm; cost $0.000009: requests $0.000002, compute $0.000007
    2026-11-20T09:00:00Z pipeline nlp: cold: a:live + b:live, infer:live
    ");
}

fn round(function: &str, desired: u32) -> RoundRecord {
    sent(function, desired, |_| ())
}

fn s3(cold_starts: u64) -> Option<crate::domain::cost::S3Quantities> {
    let download = Download::example(Route::NatGateway, Per::ColdStart);
    s3_quantities(&[download], cold_starts, Some(cold_starts))
}

fn cost_of(compute: &str, s3_egress: &str) -> RoundCost {
    let requests: Decimal = "0.000002".parse().unwrap();
    let [compute, s3_egress] = [compute, s3_egress].map(|amount| amount.parse::<Decimal>().unwrap());
    RoundCost {
        requests: Some(requests),
        compute: Some(compute),
        s3_requests: Some(Decimal::ZERO),
        s3_egress: Some(s3_egress),
        total: Some(requests + compute + s3_egress),
        ..RoundCost::default()
    }
}

fn report(rounds: Vec<RoundRecord>) -> TickReport {
    let tick = Utc.with_ymd_and_hms(2026, 11, 20, 9, 0, 0).unwrap();
    TickReport { duration_ms: 512, rounds, ..TickReport::empty(tick, Some("3fa9c1d27b0e".to_owned())) }
}

fn cold() -> RoundRecord {
    sent("nlp-inference:live", 10, |round| {
        round.report.counts = OutcomeCounts { cold: 10, ..OutcomeCounts::default() };
        round.report.evidence = Evidence::Overlap;
        round.s3 = s3(10);
        round.cost = cost_of("0.0016667", "0.1024455");
    })
}

#[test]
fn new_environments_are_shown_by_kind() {
    let counted = |name, counts| sent(name, 10, |round| round.report.counts = counts);
    let none = OutcomeCounts::default();
    let some = OutcomeCounts { warm: 1, cold: 5, semi_cold: Some(2), preinitialized: 4, ..none };
    let restored = OutcomeCounts { warm: 8, restored: 2, ..none };
    let shown = tick(&report(vec![counted("nlp:live", some), counted("java:7", restored)]), Style::default());
    insta::assert_snapshot!(shown, @"
    tick 2026-11-20T09:00:00Z, configuration 3fa9c1d2, took 512 ms

      FUNCTION  REGION     REACHED    WARM             COLD  RESTORED  PREINITIALIZED  SKEW/HOLD       COST
    ✓ nlp:live  eu-west-2  10/10 ids     1  5 (2 semi-cold)                         4  3.1/25 ms  $0.000009
    ✓ java:7    eu-west-2  10/10 ids     8                0         2                  3.1/25 ms  $0.000009

    2 targets: ✓ 2 reached
    20 pings: 9 warm, 5 cold (2 semi-cold), 2 restored, 4 preinitialized
    cost $0.000017: requests $0.000004, compute $0.000013
    ");
}

#[test]
fn the_versions_behind_a_weighted_alias_have_a_note() {
    let version = |number: &str, weight, is_confirmed, record: RoundRecord| VersionRound {
        weight: Weight::new(weight).unwrap(),
        is_confirmed,
        record: RoundRecord { id: target(&format!("infer:{number}")).id, ..record },
    };
    let rounds = vec![
        version("7", 0.895, false, round("infer:7", 2)),
        version("8", 0.105, false, RoundRecord::skipped(&target("infer:8"), 2, SkipReason::Denied)),
    ];
    let through_alias = Some(round("infer:live", 2));
    let sum = sum(RoundRecord::skipped(&target("infer:live"), 2, SkipReason::Denied), rounds, through_alias);
    let split = sent("split:live", 2, |SentRound { report, .. }| {
        (report.verdict, report.versions) = (Verdict::Unproven, vec!["7".to_owned(), "8".to_owned()]);
        report.messages = vec!["several versions executed".to_owned()];
    });
    let shown = tick(&report(vec![sum, split]), Style::default());
    let (_, notes) = shown.split_once("cost").unwrap();
    insta::assert_snapshot!(notes, @"
     $0.000026: requests $0.000006, compute $0.000020
    ? infer:live (eu-west-2) unproven: version 8: pings by the number of the version are denied, and the
      alias is pinged instead: allow lambda:InvokeFunction on `function:NAME:*` (`warmd iam` grants it);
      they are tried again after an hour
    ? split:live (eu-west-2) unproven: several versions executed
    ! infer:live (eu-west-2) has weights; its versions, pinged by number: 7 (89.5 %) 2/2 ids, assumed to
      serve the alias; 8 (10.5 %) denied
    ! split:live (eu-west-2) ran versions 7, 8: a weighted alias, or a deployment in progress
    ");
}

fn mixed() -> TickReport {
    let short = sent("billing:live", 10, |SentRound { report, .. }| {
        (report.verdict, report.reached, report.evidence) = (Verdict::Short, Some(6), Evidence::Overlap);
        report.counts =
            OutcomeCounts { warm: 7, throttled: 2, function_errors: 1, ..OutcomeCounts::default() };
        report.messages = vec![
            "2 pings throttled: ReservedFunctionConcurrentInvocationLimitExceeded".to_owned(),
            "1 ping ended in a function error: KeyError: 'user'".to_owned(),
        ];
    });
    let unproven = sent("reports:live", 10, |SentRound { report, .. }| {
        (report.verdict, report.reached, report.evidence) = (Verdict::Unproven, Some(7), Evidence::Overlap);
        (report.hold, report.skew) = (None, Some(Duration::from_millis(14)));
        report.versions = vec!["7".to_owned(), "8".to_owned()];
    });
    let unknown = sent("silent:live", 3, |SentRound { report, cost, cost_unknown, .. }| {
        (report.verdict, report.reached, report.evidence) = (Verdict::Unproven, None, Evidence::Unknown);
        report.counts = OutcomeCounts { unclassified: 3, ..OutcomeCounts::default() };
        (report.hold, report.skew, report.billed_ms) = (None, None, None);
        *cost = RoundCost {
            requests: Some("0.0000006".parse().unwrap()),
            cost_at_least: Some("0.0000006".parse().unwrap()),
            cost_at_most: Some("0.08".parse().unwrap()),
            ..RoundCost::default()
        };
        *cost_unknown = vec!["the billed duration of some pings is unknown".to_owned()];
    });
    let skipped = RoundRecord::skipped(&target("slow:live"), 4, SkipReason::InFlight);
    let late = Target::example("late", "us-east-1", Vec::new());
    TickReport {
        unfinished: vec![Unfinished::new(&late, 3, UnfinishedReason::Deadline)],
        ..report(vec![cold(), short, unproven, unknown, skipped])
    }
}

#[test]
fn a_tick_without_problems_is_a_few_lines() {
    let shown = tick(&report(vec![cold(), round("opennext-server:live", 5)]), Style::default());
    insta::assert_snapshot!(shown, @r"
    tick 2026-11-20T09:00:00Z, configuration 3fa9c1d2, took 512 ms

      FUNCTION              REGION     REACHED        WARM  COLD  SKEW/HOLD  S3 EGRESS       COST
    ✓ nlp-inference:live    eu-west-2  10/10 overlap     0    10  3.1/25 ms    2.20 GB  $0.104114
    ✓ opennext-server:live  eu-west-2  5/5 ids           5     0  3.1/25 ms             $0.000009

    2 targets: ✓ 2 reached
    15 pings: 5 warm, 10 cold
    cost $0.104123: requests $0.000004, compute $0.001673, S3 egress $0.102446 (2.20 GB by nat-gateway)
    ");
}

#[test]
fn every_problem_has_a_note_with_its_remedy() {
    insta::assert_snapshot!(tick(&mixed(), Style::default()), @r"
    tick 2026-11-20T09:00:00Z, configuration 3fa9c1d2, took 512 ms

      FUNCTION            REGION     REACHED        WARM  COLD  SKEW/HOLD  S3 EGRESS       COST
    ✓ nlp-inference:live  eu-west-2  10/10 overlap     0    10  3.1/25 ms    2.20 GB  $0.104114
    ✗ billing:live        eu-west-2  ≥6/10 overlap     7     0  3.1/25 ms             $0.000009
    ? reports:live        eu-west-2  ≥7/10 overlap    10     0      14 ms             $0.000009
    ? silent:live         eu-west-2  ?/3               0     0                          unknown
    - slow:live           eu-west-2  0/4
    ✗ late                us-east-1  0/3

    6 targets: ✓ 1 reached, ? 2 unproven, ✗ 1 short, - 1 skipped, ✗ 1 not sent
    33 pings: 17 warm, 10 cold, 3 failed, 3 unclassified
    cost at least $0.104132: requests $0.000007, compute $0.001680, S3 egress $0.102446 (2.20 GB by
      nat-gateway)
    ✗ billing:live (eu-west-2) short: 2 pings throttled:
      ReservedFunctionConcurrentInvocationLimitExceeded; 1 ping ended in a function error: KeyError:
      'user'
    ✗ late (us-east-1) not sent: warmd was stopped, or the tick ran out of time
    - slow:live (eu-west-2) skipped: its earlier round is still in flight, or a ping of it may still run
    ? silent:live (eu-west-2) unproven: 3 of 3 responses have no readable REPORT line; set the system
      log level of a function that logs JSON to INFO
    ? unproven: no ping failed, but fewer environments are proven than desired; return an id from the
      handler (`warmd handler`), or set a longer `hold`
    ! reports:live (eu-west-2) ran versions 7, 8: a weighted alias, or a deployment in progress
    ! silent:live (eu-west-2) cost unknown, from <$0.000001 to $0.080000: the billed duration of some
      pings is unknown
    ");
}

#[test]
fn the_daemon_shows_a_line_and_the_notes() {
    insta::assert_snapshot!(tick_line(&mixed(), Style::default()), @r"
    2026-11-20T09:00:00Z 6 targets: ✓ 1 reached, ? 2 unproven, ✗ 1 short, - 1 skipped, ✗ 1 not sent; 33 pings: 17 warm, 10 cold, 3 failed, 3 unclassified; cost at least $0.104132: requests $0.000007, compute $0.001680, S3 egress $0.102446 (2.20 GB by nat-gateway)
    2026-11-20T09:00:00Z ✗ billing:live (eu-west-2) short: 2 pings throttled: ReservedFunctionConcurrentInvocationLimitExceeded; 1 ping ended in a function error: KeyError: 'user'
    2026-11-20T09:00:00Z ✗ late (us-east-1) not sent: warmd was stopped, or the tick ran out of time
    2026-11-20T09:00:00Z - slow:live (eu-west-2) skipped: its earlier round is still in flight, or a ping of it may still run
    2026-11-20T09:00:00Z ? silent:live (eu-west-2) unproven: 3 of 3 responses have no readable REPORT line; set the system log level of a function that logs JSON to INFO
    2026-11-20T09:00:00Z ? unproven: no ping failed, but fewer environments are proven than desired; return an id from the handler (`warmd handler`), or set a longer `hold`
    2026-11-20T09:00:00Z ! reports:live (eu-west-2) ran versions 7, 8: a weighted alias, or a deployment in progress
    2026-11-20T09:00:00Z ! silent:live (eu-west-2) cost unknown, from <$0.000001 to $0.080000: the billed duration of some pings is unknown
    ");
}

#[test]
fn top_ups_are_counted() {
    let topped = sent("f", 10, |round| {
        (round.report.pings, round.report.counts.warm, round.report.top_ups) = (20, 20, 1);
    });
    let shown = tick(&report(vec![topped]), Style::default());
    assert!(shown.contains("20 pings with 1 top-up: 20 warm"), "{shown}");
}

#[test]
fn an_empty_tick() {
    insta::assert_snapshot!(tick(&report(vec![]), Style::default()), @r"
    tick 2026-11-20T09:00:00Z, configuration 3fa9c1d2, took 512 ms
    nothing to do in this minute
    ");
}

#[test]
fn a_large_fleet_shows_problems_first() {
    let mut rounds: Vec<_> = (0..998).map(|index| round(&format!("function-{index}"), 2)).collect();
    rounds.extend(mixed().rounds.into_iter().skip(1).take(2));
    let shown = tick(&report(rounds), Style::default());
    let lines: Vec<_> = shown.lines().collect();
    assert!(lines[3].starts_with("✗ billing:live"), "{shown}");
    assert!(lines[4].starts_with("? reports:live"), "{shown}");
    assert!(shown.contains("… and 980 more targets, see --json"), "{shown}");
    assert!(shown.contains("1,000 targets: ✓ 998 reached, ? 1 unproven, ✗ 1 short"), "{shown}");
    assert!(lines.len() < 40, "{shown}");
}

#[test]
fn the_number_of_notes_is_limited() {
    let short = |index| {
        sent(&format!("f{index}"), 2, |SentRound { report, .. }| {
            report.verdict = Verdict::Short;
            report.counts = OutcomeCounts { denied: 2, ..OutcomeCounts::default() };
            report.messages = vec!["2 pings denied".to_owned()];
        })
    };
    let shown = tick(&report((0..50).map(short).collect()), Style::default());
    assert_eq!(shown.matches("2 pings denied").count(), NOTES);
    assert!(shown.contains("✗ … and 40 more targets like that, see --json"), "{shown}");
}

#[test]
fn lines_are_shortened_to_a_hundred_columns_on_a_terminal_only() {
    let name = "arn:aws:lambda:ap-southeast-1:123456789012:function:a-rather-long-function-name:live";
    let long = sent(name, 10_000, |round| {
        round.report.verdict = Verdict::Short;
        (round.report.reached, round.report.evidence) = (Some(9_999), Evidence::ColdStarts);
        round.report.counts.throttled = 10_000;
        (round.s3, round.cost) = (s3(10), cost_of("99.5", "0.2"));
    });
    let report = report(vec![long, cold()]);
    let shown = tick(&report, Style { fit: Fit::Terminal(100), ..Style::default() });
    let table = shown.lines().skip(2).take(3);
    for line in table {
        assert!(line.chars().count() <= 100, "{line}");
    }
    assert!(shown.contains("n-name:live"), "the end of a long name stays: {shown}");
    let piped = tick(&report, Style::default());
    assert!(piped.lines().nth(3).unwrap().contains(name), "{piped}");
}

#[test]
fn colour_does_not_change_the_text() {
    let plain = tick(&mixed(), Style::default());
    let coloured = tick(&mixed(), Style { color: true, ..Style::default() });
    assert_ne!(plain, coloured);
    let mut stripped = String::new();
    let mut rest = coloured.as_str();
    while let Some((before, after)) = rest.split_once('\x1b') {
        stripped.push_str(before);
        rest = after.split_once('m').unwrap().1;
    }
    stripped.push_str(rest);
    assert_eq!(stripped, plain);
}

#[test]
fn targets_with_provisioned_environments_have_a_line_by_kind() {
    let part = |environments, cold_starts| KindReport {
        environments,
        usage: PingUsage { cold_starts: Some(cold_starts), ..PingUsage::default() },
    };
    let parted = |function, environments: [Option<u32>; 2], assumed| {
        sent(function, 10, |SentRound { report, cost, .. }| {
            let [provisioned, on_demand] = environments.map(|environments| part(environments, 0));
            report.by_kind = Some(KindReports { parts: ByKind { provisioned, on_demand }, assumed });
            let cents = |cents| Some(Decimal::new(cents, 2));
            cost.by_kind = Some(ByKind { provisioned: cents(1), on_demand: cents(2).filter(|_| !assumed) });
        })
    };
    let reported = parted("nlp:live", [Some(2), Some(8)], false);
    let assumed = parted("ocr:live", [Some(3), None], true);
    let line = |rounds| tick(&report(rounds), Style::default()).lines().last().unwrap().to_owned();
    let shown = [vec![reported.clone(), round("plain", 10)], vec![reported, assumed]].map(line).join("\n");
    insta::assert_snapshot!(shown, @"
    1 target by kind: 2 provisioned ($0.010000), 8 on demand ($0.020000)
    2 targets by kind: 5 provisioned ($0.020000), ≥8 on demand (cost unknown), assumed
    ");
}

#[test]
fn control_characters_of_messages_are_escaped() {
    let hostile = "2 × KeyError: \u{1b}[2Jx\n✓ forged\u{202e}\u{2028}";
    let short = sent("f", 2, |round| {
        round.report.verdict = Verdict::Short;
        round.report.counts.function_errors = 2;
        round.report.messages = vec![hostile.to_owned()];
        round.report.versions = vec!["7".to_owned(), hostile.to_owned()];
        round.cost_unknown = vec![hostile.to_owned()];
        round.cost = RoundCost { total: None, ..cost_of("0", "0") };
    });
    for style in [Style::default(), Style { fit: Fit::Terminal(100), ..Style::default() }] {
        for shown in
            [tick(&report(vec![short.clone()]), style), tick_line(&report(vec![short.clone()]), style)]
        {
            assert!(!shown.contains(['\u{1b}', '\u{202e}', '\u{2028}']), "{shown}");
            assert!(!shown.lines().any(|line| line.starts_with("✓ forged")), "{shown}");
            assert!(shown.contains(r"\u{1b}[2Jx\n✓"), "{shown}");
        }
    }
}

#[test]
fn capacity_has_a_table_of_its_own() {
    use crate::domain::capacity::{By, CapacityReport, Fallback, Provisioned, Status, Strategy};
    let strategy = Strategy::Provisioned(Provisioned { by: By::Direct, fallback: Fallback::Pings });
    let of = Target { strategy, ..target("checkout-api:live") };
    let capacity = vec![CapacityReport {
        available: Some(4),
        status: Status::InProgress,
        cost_usd: Some("0.0125".parse().unwrap()),
        changes: vec!["put provisioned concurrency 10".to_owned()],
        ..CapacityReport::new(&of, 10)
    }];
    let alone = TickReport { capacity: capacity.clone(), ..report(Vec::new()) };
    insta::assert_snapshot!(tick(&alone, Style::default()), @"
    tick 2026-11-20T09:00:00Z, configuration 3fa9c1d2, took 512 ms

      CAPACITY           REGION     STRATEGY     AVAILABLE       COST  STATUS
    … checkout-api:live  eu-west-2  provisioned       4/10  $0.012500  in-progress
    checkout-api:live (eu-west-2): put provisioned concurrency 10

    capacity of 1 target: 1 in-progress; cost $0.012500
    ");
    let beside = TickReport { capacity, ..report(vec![round("opennext-server:live", 5)]) };
    insta::assert_snapshot!(tick(&beside, Style::default()), @"
    tick 2026-11-20T09:00:00Z, configuration 3fa9c1d2, took 512 ms

      FUNCTION              REGION     REACHED  WARM  COLD  SKEW/HOLD       COST
    ✓ opennext-server:live  eu-west-2  5/5 ids     5     0  3.1/25 ms  $0.000009

      CAPACITY           REGION     STRATEGY     AVAILABLE       COST  STATUS
    … checkout-api:live  eu-west-2  provisioned       4/10  $0.012500  in-progress
    checkout-api:live (eu-west-2): put provisioned concurrency 10

    1 target: ✓ 1 reached
    5 pings: 5 warm
    cost $0.000009: requests $0.000002, compute $0.000007
    capacity of 1 target: 1 in-progress; cost $0.012500
    ");
    insta::assert_snapshot!(tick_line(&beside, Style::default()), @"2026-11-20T09:00:00Z 1 target: ✓ 1 reached; 5 pings: 5 warm; cost $0.000009: requests $0.000002, compute $0.000007; capacity of 1 target: 1 in-progress; cost $0.012500");
}
