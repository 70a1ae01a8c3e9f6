use chrono::{TimeZone, Utc};

use super::*;
use crate::cli::render::Fit;
use crate::domain::function::Region;
use crate::domain::tick::RoundCost;

fn round(function: &str, target: u32) -> RoundRecord {
    RoundRecord {
        function: function.to_owned(),
        qualifier: Some("live".to_owned()),
        region: Region::parse("eu-west-2").unwrap(),
        owner: None,
        target,
        pings: target,
        reached: Some(target),
        evidence: Some(Evidence::Ids),
        verdict: Verdict::Reached,
        warm: target,
        cold: 0,
        restored: 0,
        throttled: 0,
        function_errors: 0,
        timed_out: 0,
        denied: 0,
        not_found: 0,
        failed: 0,
        unclassified: 0,
        versions: vec!["7".to_owned()],
        hold_ms: Some(25),
        skew_ms: Some(3.1),
        top_ups: 0,
        resent: 0,
        quiet_for: None,
        skipped: None,
        billed_ms: Some(260),
        memory_mb: Some(1024),
        s3_egress_bytes: Some(0),
        routes: BTreeMap::new(),
        cost_usd: cost_of("0.0000065", "0"),
        problems: vec![],
        doubts: vec![],
        cost_unknown: vec![],
    }
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
    TickReport {
        tick: Utc.with_ymd_and_hms(2026, 11, 20, 9, 0, 0).unwrap(),
        config: Some("3fa9c1d27b0e".to_owned()),
        duration_ms: 512,
        partial: false,
        rounds,
        unfinished: vec![],
    }
}

fn cold() -> RoundRecord {
    RoundRecord {
        warm: 0,
        cold: 10,
        evidence: Some(Evidence::Overlap),
        s3_egress_bytes: Some(2_200_000_000),
        routes: BTreeMap::from([("nat-gateway", 2_200_000_000)]),
        cost_usd: cost_of("0.0016667", "0.1024455"),
        ..round("nlp-inference", 10)
    }
}

fn mixed() -> TickReport {
    let short = RoundRecord {
        verdict: Verdict::Short,
        reached: Some(6),
        evidence: Some(Evidence::Overlap),
        warm: 7,
        throttled: 2,
        function_errors: 1,
        problems: vec![
            "2 pings throttled: ReservedFunctionConcurrentInvocationLimitExceeded".to_owned(),
            "1 ping ended in a function error: KeyError: 'user'".to_owned(),
        ],
        ..round("billing", 10)
    };
    let unproven = RoundRecord {
        verdict: Verdict::Unproven,
        reached: Some(7),
        evidence: Some(Evidence::Overlap),
        hold_ms: None,
        skew_ms: Some(14.0),
        versions: vec!["7".to_owned(), "8".to_owned()],
        ..round("reports", 10)
    };
    let unknown = RoundRecord {
        verdict: Verdict::Unproven,
        reached: None,
        evidence: Some(Evidence::Unknown),
        warm: 0,
        unclassified: 3,
        hold_ms: None,
        skew_ms: None,
        billed_ms: None,
        memory_mb: None,
        cost_usd: RoundCost {
            requests: Some("0.0000006".parse().unwrap()),
            cost_at_least: Some("0.0000006".parse().unwrap()),
            cost_at_most: Some("0.08".parse().unwrap()),
            ..RoundCost::default()
        },
        cost_unknown: vec!["not every ping told its billed duration".to_owned()],
        ..round("silent", 3)
    };
    let skipped = RoundRecord {
        verdict: Verdict::Skipped,
        skipped: Some(Skipped::InFlight),
        reached: None,
        evidence: None,
        pings: 0,
        warm: 0,
        hold_ms: None,
        skew_ms: None,
        versions: vec![],
        ..round("slow", 4)
    };
    let mut report = report(vec![cold(), short, unproven, unknown, skipped]);
    report.unfinished.push(Unfinished {
        function: "late".to_owned(),
        qualifier: None,
        region: Region::parse("us-east-1").unwrap(),
        target: 3,
        reason: UnfinishedReason::Deadline,
    });
    report
}

#[test]
fn a_fine_tick_is_a_few_lines() {
    let shown = tick(&report(vec![cold(), round("opennext-server", 5)]), Style::default());
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
fn what_is_not_fine_is_named_with_its_remedy() {
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
    ✗ late (us-east-1) not sent: warmd was told to stop, or the tick ran out of time
    - slow:live (eu-west-2) skipped: its earlier round is still in flight
    ? silent:live (eu-west-2) unproven: 3 of 3 answers without a readable REPORT line of their own; a
      function that logs JSON sends it at the system log level INFO only
    ? unproven: nothing failed, but fewer environments are proven than wanted; handlers that answer with
      an id (`warmd handler`), or a longer hold, prove more
    ! reports:live (eu-west-2) ran versions 7, 8: a weighted alias, or a deployment under way
    ! silent:live (eu-west-2) cost unknown, from <$0.000001 to $0.080000: not every ping told its billed
      duration
    ");
}

#[test]
fn the_daemon_shows_a_line_and_what_is_not_fine() {
    insta::assert_snapshot!(tick_line(&mixed(), Style::default()), @r"
    2026-11-20T09:00:00Z 6 targets: ✓ 1 reached, ? 2 unproven, ✗ 1 short, - 1 skipped, ✗ 1 not sent; 33 pings: 17 warm, 10 cold, 3 failed, 3 unclassified; cost at least $0.104132: requests $0.000007, compute $0.001680, S3 egress $0.102446 (2.20 GB by nat-gateway)
    2026-11-20T09:00:00Z ✗ billing:live (eu-west-2) short: 2 pings throttled: ReservedFunctionConcurrentInvocationLimitExceeded; 1 ping ended in a function error: KeyError: 'user'
    2026-11-20T09:00:00Z ✗ late (us-east-1) not sent: warmd was told to stop, or the tick ran out of time
    2026-11-20T09:00:00Z - slow:live (eu-west-2) skipped: its earlier round is still in flight
    2026-11-20T09:00:00Z ? silent:live (eu-west-2) unproven: 3 of 3 answers without a readable REPORT line of their own; a function that logs JSON sends it at the system log level INFO only
    2026-11-20T09:00:00Z ? unproven: nothing failed, but fewer environments are proven than wanted; handlers that answer with an id (`warmd handler`), or a longer hold, prove more
    2026-11-20T09:00:00Z ! reports:live (eu-west-2) ran versions 7, 8: a weighted alias, or a deployment under way
    2026-11-20T09:00:00Z ! silent:live (eu-west-2) cost unknown, from <$0.000001 to $0.080000: not every ping told its billed duration
    ");
}

#[test]
fn top_ups_are_told() {
    let topped = RoundRecord { pings: 20, warm: 20, top_ups: 1, ..round("f", 10) };
    let shown = tick(&report(vec![topped]), Style::default());
    assert!(shown.contains("20 pings with 1 top-up: 20 warm"), "{shown}");
}

#[test]
fn an_empty_tick_says_so() {
    insta::assert_snapshot!(tick(&report(vec![]), Style::default()), @r"
    tick 2026-11-20T09:00:00Z, configuration 3fa9c1d2, took 512 ms
    nothing to do in this minute
    ");
}

#[test]
fn a_large_fleet_shows_what_is_not_fine_first() {
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
fn many_short_rounds_do_not_flood() {
    let short = |index| RoundRecord {
        verdict: Verdict::Short,
        warm: 0,
        denied: 2,
        problems: vec!["2 pings denied".to_owned()],
        ..round(&format!("f{index}"), 2)
    };
    let shown = tick(&report((0..50).map(short).collect()), Style::default());
    assert_eq!(shown.matches("2 pings denied").count(), NOTES);
    assert!(shown.contains("✗ … and 40 more targets like that, see --json"), "{shown}");
}

#[test]
fn nothing_on_a_terminal_is_wider_than_a_hundred_columns_and_nothing_elsewhere_is_cut() {
    let mut long =
        round("arn:aws:lambda:ap-southeast-1:123456789012:function:a-rather-long-function-name", 10_000);
    long.region = Region::parse("ap-southeast-1").unwrap();
    long.verdict = Verdict::Short;
    long.evidence = Some(Evidence::ColdStarts);
    long.reached = Some(9_999);
    long.throttled = 10_000;
    long.s3_egress_bytes = Some(2_200_000_000);
    long.cost_usd = cost_of("99.5", "0.2");
    let name = format!("{}:live", long.function);
    let report = report(vec![long, cold()]);
    let shown = tick(&report, Style { fit: Fit::Terminal, ..Style::default() });
    let table = shown.lines().skip(2).take(3);
    for line in table {
        assert!(line.chars().count() <= WIDTH, "{line}");
    }
    assert!(shown.contains("n-name:live"), "the end of a long name is what tells it apart: {shown}");
    let piped = tick(&report, Style::default());
    assert!(piped.lines().nth(3).unwrap().contains(&name), "{piped}");
}

#[test]
fn colour_changes_nothing_else() {
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
fn what_functions_and_services_say_is_shown_as_text() {
    let hostile = "2 × KeyError: \u{1b}[2Jx\n✓ forged\u{202e}\u{2028}";
    let short = RoundRecord {
        verdict: Verdict::Short,
        function_errors: 2,
        problems: vec![hostile.to_owned()],
        versions: vec!["7".to_owned(), hostile.to_owned()],
        cost_unknown: vec![hostile.to_owned()],
        cost_usd: RoundCost { total: None, ..cost_of("0", "0") },
        ..round(hostile, 2)
    };
    for style in [Style::default(), Style { fit: Fit::Terminal, ..Style::default() }] {
        for shown in
            [tick(&report(vec![short.clone()]), style), tick_line(&report(vec![short.clone()]), style)]
        {
            assert!(!shown.contains(['\u{1b}', '\u{202e}', '\u{2028}']), "{shown}");
            assert!(!shown.lines().any(|line| line.starts_with("✓ forged")), "{shown}");
            assert!(shown.contains(r"\u{1b}[2Jx\n✓"), "{shown}");
        }
    }
}
