//! Strategies: provisioned concurrency and managed instances.

use insta::assert_snapshot;
use proptest::prelude::*;

use super::*;
use crate::domain::capacity::{By, Strategy};
use crate::domain::fleet::Target;

/// The text before further keys of an otherwise valid function with an alias.
const IN_ALIAS: &str = "version: 1\nfunctions:\n  f:live:\n    region: eu-west-2\n    windows: [{ days: daily, hours: all-day, concurrency: 10 }]\n    ";

fn only(text: &str) -> Target {
    let [target] = &valid(text).fleet.targets[..] else { panic!("one target") };
    target.clone()
}

/// Returns the strategy of a function with `keys` and the defaults `base`.
fn strategy(base: &str, keys: &str) -> String {
    only(&format!(
        "version: 1\ndefaults: {{ region: eu-west-2, {base} }}\nfunctions:\n  f:live: {{ windows: [{{ days: daily, hours: all-day, concurrency: 10 }}], {keys} }}\n"
    ))
    .strategy
    .to_string()
}

/// Returns the only window of a function with the strategy, with `keys` and the defaults `base`, as minutes of lead,
/// number, and number by load.
fn window(base: &str, keys: &str, window: &str) -> (i64, u32, Option<u32>) {
    let target = only(&format!(
        "version: 1\nlimits: {{ max_in_flight: 100000 }}\ndefaults: {{ region: eu-west-2, {base} }}\nfunctions:\n  f:live: {{ windows: [{{ days: daily, hours: all-day, {window} }}], {keys} }}\n"
    ));
    let window = &target.windows[0];
    (window.lead.num_minutes(), window.concurrency, window.load_needs)
}

#[test]
fn the_settings_of_a_function_replace_those_of_the_defaults_key_by_key() {
    let cases = [
        ("", ""),
        ("", "strategy: pings"),
        ("", "strategy: provisioned"),
        ("spare: 2", "strategy: provisioned, on_request: { max_concurrency: 30, max_for: 1h }"),
        ("spare: 2", "strategy: provisioned"),
        ("", "strategy: provisioned, provisioned: { max: 50, utilization: 0.75, fallback: none }"),
        ("", "strategy: provisioned, provisioned: { by: direct }"),
        ("strategy: provisioned, provisioned: { max: 20, utilization: 0.9 }", "provisioned: { max: 40 }"),
        ("strategy: provisioned, provisioned: { max: 20, fallback: none }", "provisioned: { by: direct }"),
        ("provisioned: { by: direct }", "strategy: provisioned, provisioned: { by: autoscaling, max: 12 }"),
        ("strategy: provisioned, provisioned: { max: 20 }", "strategy: pings"),
        ("strategy: provisioned", "strategy: managed"),
        ("strategy: managed", "managed: { floor: 0 }"),
        ("strategy: managed, managed: { floor: 5, max: 15000 }", "managed: { floor: 15000 }"),
        ("managed: { floor: 5 }", "strategy: managed, managed: { max: 10 }"),
        ("spare: 0", "strategy: managed, managed: { max: 10 }"),
        // The defaults choose the strategy, so the settings of the other one may stay.
        ("strategy: pings", "provisioned: { max: 40 }, managed: { floor: 1 }"),
        ("strategy: managed", "provisioned: { max: 40 }"),
    ];
    let shown = cases.map(|(base, keys)| format!("[{base}] [{keys}]: {}", strategy(base, keys)));
    assert_snapshot!(shown.join("\n"), @"
    [] []: pings
    [] [strategy: pings]: pings
    [] [strategy: provisioned]: provisioned by autoscaling up to 10 at 70%, otherwise pings
    [spare: 2] [strategy: provisioned, on_request: { max_concurrency: 30, max_for: 1h }]: provisioned by autoscaling up to 30 at 70%, otherwise pings
    [spare: 2] [strategy: provisioned]: provisioned by autoscaling up to 12 at 70%, otherwise pings
    [] [strategy: provisioned, provisioned: { max: 50, utilization: 0.75, fallback: none }]: provisioned by autoscaling up to 50 at 75%
    [] [strategy: provisioned, provisioned: { by: direct }]: provisioned by direct, otherwise pings
    [strategy: provisioned, provisioned: { max: 20, utilization: 0.9 }] [provisioned: { max: 40 }]: provisioned by autoscaling up to 40 at 90%, otherwise pings
    [strategy: provisioned, provisioned: { max: 20, fallback: none }] [provisioned: { by: direct }]: provisioned by direct
    [provisioned: { by: direct }] [strategy: provisioned, provisioned: { by: autoscaling, max: 12 }]: provisioned by autoscaling up to 12 at 70%, otherwise pings
    [strategy: provisioned, provisioned: { max: 20 }] [strategy: pings]: pings
    [strategy: provisioned] [strategy: managed]: managed from 3 up to 100
    [strategy: managed] [managed: { floor: 0 }]: managed from 0 up to 100
    [strategy: managed, managed: { floor: 5, max: 15000 }] [managed: { floor: 15000 }]: managed from 15000 up to 15000
    [managed: { floor: 5 }] [strategy: managed, managed: { max: 10 }]: managed from 5 up to 10
    [spare: 0] [strategy: managed, managed: { max: 10 }]: managed from 3 up to 10
    [strategy: pings] [provisioned: { max: 40 }, managed: { floor: 1 }]: pings
    [strategy: managed] [provisioned: { max: 40 }]: managed from 3 up to 100
    ");
}

#[test]
fn a_default_maximum_is_that_of_the_region() {
    let text = "version: 1\nfunctions:\n  f:live:\n    strategy: provisioned\n    regions: [eu-west-2, us-east-1]\n    windows: [{ days: daily, hours: all-day, concurrency: 2 }, { days: daily, hours: all-day, concurrency: 7, regions: [us-east-1] }]\n";
    let most: Vec<_> = valid(text).fleet.targets.iter().map(|target| target.strategy.by()).collect();
    let up_to = |max| Some(By::Autoscaling { max, utilization: 70 });
    assert_eq!(most, [up_to(2), up_to(7)]);
}

#[test]
fn qualifiers_and_utilizations_that_are_accepted() {
    for (name, strategy) in [
        ("f:1", "provisioned"),
        ("f:live", "provisioned"),
        ("arn:aws:lambda:eu-west-2:123456789012:function:f:live", "provisioned"),
        ("f:live", "managed"),
        ("'f:$LATEST.PUBLISHED'", "managed"),
        ("'f:$LATEST'", "pings"),
    ] {
        let target = only(&format!(
            "version: 1\nfunctions:\n  {name}: {{ region: eu-west-2, strategy: {strategy}, on_request: {{ max_concurrency: 5, max_for: 1h }} }}\n"
        ));
        assert_eq!(target.strategy.name(), strategy);
    }
    let percent = |text: &str| {
        let text = format!("{IN_ALIAS}strategy: provisioned\n    provisioned: {{ utilization: {text} }}\n");
        match only(&text).strategy.by() {
            Some(By::Autoscaling { utilization, .. }) => utilization,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(["0.1", "0.57", "0.70", "0.900"].map(percent), [10, 57, 70, 90]);
}

#[test]
fn the_owner_is_warmd_by_default() {
    let owner = |keys: &str| valid(&format!("{IN_FILE}{keys}\n")).fleet.owner.to_string();
    assert_eq!(owner(""), "warmd");
    assert_eq!(owner("capacity: {}"), "warmd");
    assert_eq!(owner("capacity: { owner: Team_2.blue }"), "Team_2.blue");
}

#[test]
fn the_default_lead_prepares_all_environments() {
    let lead = |base: &str, keys: &str, given: &str| window(base, keys, given).0;
    let (provisioned, managed) = ("strategy: provisioned", "strategy: managed, managed: { max: 15000 }");
    assert_eq!(lead("", "", "concurrency: 10"), 0);
    for (keys, number, expected) in [
        (provisioned, 1, 4),
        (provisioned, 6_000, 4),
        (provisioned, 6_001, 5),
        (provisioned, 100_000, 20),
        (managed, 15_000, 6),
    ] {
        assert_eq!(lead("", keys, &format!("concurrency: {number}")), expected, "{keys} {number}");
    }
    assert_eq!(lead("spare: 1", provisioned, "concurrency: 6000"), 5, "the spare ones count");
    assert_eq!(lead("", provisioned, "load: { requests_per_second: 60010, duration: 1ms }"), 5);
    // The window, the function and the defaults have precedence, also with 0.
    assert_eq!(lead("", provisioned, "concurrency: 1, lead: 0s"), 0);
    assert_eq!(lead("", "strategy: provisioned, lead: 9m", "concurrency: 1"), 9);
    assert_eq!(lead("lead: 8m", provisioned, "concurrency: 1"), 8);
    assert_eq!(lead("lead: 8m", "strategy: managed, lead: 7m", "concurrency: 1, lead: 6m"), 6);
}

#[test]
fn the_rate_of_requests_needs_provisioned_environments() {
    let number = |keys: &str, load: &str| {
        let (_, number, by_load) = window("", keys, &format!("load: {{ requests_per_second: {load} }}"));
        (number, by_load)
    };
    let provisioned = "strategy: provisioned";
    for (load, expected) in [
        ("50, duration: 200ms", (10, None)),
        ("50, duration: 100ms", (5, None)),
        ("50, duration: 80ms", (5, Some(4))),
        ("51, duration: 80ms", (6, Some(5))),
        ("50.001, duration: 80ms", (6, Some(5))),
        ("0.1, duration: 1ms", (1, None)),
        ("300, per_environment: 30", (30, Some(10))),
        ("300, per_environment: 3", (100, None)),
        ("1000000, duration: 1ms", (100_000, Some(1_000))),
    ] {
        assert_eq!(number(provisioned, load), expected, "{load}");
    }
    assert_eq!(number("", "300, per_environment: 30"), (10, None), "pings");
    assert_eq!(number("strategy: managed", "300, per_environment: 30"), (10, None), "managed");
    assert_eq!(window("", provisioned, "concurrency: 10"), (4, 10, None));
}

#[test]
fn settings_that_do_not_fit_the_strategy() {
    let cases = r#"
    strategy: provisoned
    strategy: [pings]
    provisioned: { max: 50 }
    strategy: managed\n    provisioned: {}\n    managed: { floor: 4 }
    strategy: provisioned\n    provisioned: { by: direct, max: 50, utilization: 0.7 }
    strategy: provisioned\n    tenants: [a, b]
    strategy: managed\n    tenants: [a, b]
    strategy: provisioned\n    provisioned: { by: hand, max: 0, utilization: 0.95, fallback: ping, min: 1 }
    strategy: provisioned\n    provisioned: { utilization: "0.7" }
    strategy: provisioned\n    provisioned: { utilization: 0.705 }
    strategy: provisioned\n    provisioned: { utilization: 70% }
    strategy: provisioned\n    provisioned: { utilization: 7e-1 }
    strategy: managed\n    managed: { floor: 15001, max: 0 }
    strategy: managed\n    managed: { floor: 15, max: 12 }
    strategy: managed\n    managed: { floor: 101 }
    strategy: managed\n    managed: { floor: 101, max: 1000000 }
    strategy: managed\n    managed: { max: 9 }
    strategy: provisioned\n    provisioned: { max: 9 }\n    on_request: { max_concurrency: 12, max_for: 1h }
    strategy: managed\n    spare: 3\n    managed: { max: 12 }\n    on_request: { max_concurrency: 13, max_for: 1h }
    "#;
    let shown: Vec<String> = cases
        .trim()
        .lines()
        .map(|case| errors(&format!("{IN_ALIAS}{}\n", case.trim().replace("\\n", "\n"))))
        .collect();
    assert_snapshot!(shown.join("\n\n"), @r#"
    error: expected one of "pings", "provisioned", "managed", found "provisoned"
     --> fleet.yaml:6:15
      |
    6 |     strategy: provisoned
      |               ^^^^^^^^^^
      |
      = hint: did you mean `provisioned`?

    error: expected one of "pings", "provisioned", "managed", found a list
     --> fleet.yaml:6:15
      |
    6 |     strategy: [pings]
      |               ^

    error: "provisioned" requires the strategy "provisioned"
     --> fleet.yaml:6:18
      |
    6 |     provisioned: { max: 50 }
      |                  ^
      |
      = hint: remove it, or set `strategy: provisioned`

    error: "provisioned" requires the strategy "provisioned"
     --> fleet.yaml:7:18
      |
    7 |     provisioned: {}
      |                  ^
      |
      = hint: remove it, or set `strategy: provisioned`

    error: "max" cannot be used with "by: direct"
     --> fleet.yaml:7:37
      |
    7 |     provisioned: { by: direct, max: 50, utilization: 0.7 }
      |                                     ^^
      |
      = hint: remove it, or set `by: autoscaling`
      = note: see also fleet.yaml:7:24

    error: "utilization" cannot be used with "by: direct"
     --> fleet.yaml:7:54
      |
    7 |     provisioned: { by: direct, max: 50, utilization: 0.7 }
      |                                                      ^^^
      |
      = hint: remove it, or set `by: autoscaling`
      = note: see also fleet.yaml:7:24

    error: "tenants" cannot be used with the strategy "provisioned"
     --> fleet.yaml:7:14
      |
    7 |     tenants: [a, b]
      |              ^
      |
      = hint: set `strategy: pings`: Lambda has no capacity for single tenants
      = note: see also fleet.yaml:6:15

    error: "tenants" cannot be used with the strategy "managed"
     --> fleet.yaml:7:14
      |
    7 |     tenants: [a, b]
      |              ^
      |
      = hint: set `strategy: pings`: Lambda has no capacity for single tenants
      = note: see also fleet.yaml:6:15

    error: expected "autoscaling" or "direct", found "hand"
     --> fleet.yaml:7:24
      |
    7 |     provisioned: { by: hand, max: 0, utilization: 0.95, fallback: ping, min: 1 }
      |                        ^^^^

    error: expected a whole number from 1 to 100000, found 0
     --> fleet.yaml:7:35
      |
    7 |     provisioned: { by: hand, max: 0, utilization: 0.95, fallback: ping, min: 1 }
      |                                   ^

    error: expected a number from 0.1 to 0.9, found 0.95
     --> fleet.yaml:7:51
      |
    7 |     provisioned: { by: hand, max: 0, utilization: 0.95, fallback: ping, min: 1 }
      |                                                   ^^^^
      |
      = hint: write it with at most two decimals, such as `0.7`

    error: expected "pings" or "none", found "ping"
     --> fleet.yaml:7:67
      |
    7 |     provisioned: { by: hand, max: 0, utilization: 0.95, fallback: ping, min: 1 }
      |                                                                   ^^^^
      |
      = hint: did you mean `pings`?

    error: unknown key "min"
     --> fleet.yaml:7:73
      |
    7 |     provisioned: { by: hand, max: 0, utilization: 0.95, fallback: ping, min: 1 }
      |                                                                         ^^^
      |
      = hint: use one of by, max, utilization, fallback

    error: expected a number from 0.1 to 0.9, found "0.7"
     --> fleet.yaml:7:33
      |
    7 |     provisioned: { utilization: "0.7" }
      |                                 ^^^^^
      |
      = hint: write it with at most two decimals, such as `0.7`

    error: expected a number from 0.1 to 0.9, found 0.705
     --> fleet.yaml:7:33
      |
    7 |     provisioned: { utilization: 0.705 }
      |                                 ^^^^^
      |
      = hint: write it with at most two decimals, such as `0.7`

    error: expected a number from 0.1 to 0.9, found "70%"
     --> fleet.yaml:7:33
      |
    7 |     provisioned: { utilization: 70% }
      |                                 ^^^
      |
      = hint: write it with at most two decimals, such as `0.7`

    error: expected a number from 0.1 to 0.9, found 7e-1
     --> fleet.yaml:7:33
      |
    7 |     provisioned: { utilization: 7e-1 }
      |                                 ^^^^
      |
      = hint: write it with at most two decimals, such as `0.7`

    error: expected a whole number from 0 to 15000, found 15001
     --> fleet.yaml:7:23
      |
    7 |     managed: { floor: 15001, max: 0 }
      |                       ^^^^^

    error: expected a whole number from 1 to 15000, found 0
     --> fleet.yaml:7:35
      |
    7 |     managed: { floor: 15001, max: 0 }
      |                                   ^

    error: "floor" (15) must not be above "max" (12)
     --> fleet.yaml:7:23
      |
    7 |     managed: { floor: 15, max: 12 }
      |                       ^^
      |
      = hint: lower it, or raise `max`

    error: "floor" (101) must not be above "max" (100)
     --> fleet.yaml:7:23
      |
    7 |     managed: { floor: 101 }
      |                       ^^^
      |
      = hint: lower it, or raise `max`

    error: expected a whole number from 1 to 15000, found 1000000
     --> fleet.yaml:7:33
      |
    7 |     managed: { floor: 101, max: 1000000 }
      |                                 ^^^^^^^

    error: 10 environments exceed "managed.max" (9)
     --> fleet.yaml:5:59
      |
    5 |     windows: [{ days: daily, hours: all-day, concurrency: 10 }]
      |                                                           ^^
      |
      = hint: lower the number, or raise `max` to 10
      = note: see also fleet.yaml:7:21

    error: 10 environments exceed "provisioned.max" (9)
     --> fleet.yaml:5:59
      |
    5 |     windows: [{ days: daily, hours: all-day, concurrency: 10 }]
      |                                                           ^^
      |
      = hint: lower the number, or raise `max` to 10
      = note: see also fleet.yaml:7:25

    error: 12 environments exceed "provisioned.max" (9)
     --> fleet.yaml:8:36
      |
    8 |     on_request: { max_concurrency: 12, max_for: 1h }
      |                                    ^^
      |
      = hint: lower the number, or raise `max` to 12
      = note: see also fleet.yaml:7:25

    error: 10 environments and 3 spare ones exceed "managed.max" (12)
     --> fleet.yaml:5:59
      |
    5 |     windows: [{ days: daily, hours: all-day, concurrency: 10 }]
      |                                                           ^^
      |
      = hint: lower the number, or raise `max` to 13
      = note: see also fleet.yaml:8:21

    error: 13 environments exceed "managed.max" (12)
     --> fleet.yaml:9:36
      |
    9 |     on_request: { max_concurrency: 13, max_for: 1h }
      |                                    ^^
      |
      = hint: lower the number, or raise `max` to 13
      = note: see also fleet.yaml:8:21
    "#);
}

#[test]
fn functions_without_an_alias_or_a_version() {
    assert_snapshot!(errors("version: 1
defaults: { region: eu-west-2, strategy: provisioned }
functions:
  f: { windows: [{ days: daily, hours: all-day, concurrency: 1 }] }
  f:$LATEST: { windows: [{ days: daily, hours: all-day, concurrency: 1 }] }
  f:$LATEST.PUBLISHED: { windows: [{ days: daily, hours: all-day, concurrency: 1 }] }
  g: { strategy: managed, enabled: false }
  arn:aws:lambda:eu-west-2:123456789012:function:g: { strategy: managed, enabled: false }
  h: { strategy: pings, windows: [{ days: daily, hours: all-day, concurrency: 1 }] }
"), @r#"
    error: the strategy "provisioned" requires an alias or a version
     --> fleet.yaml:4:3
      |
    4 |   f: { windows: [{ days: daily, hours: all-day, concurrency: 1 }] }
      |   ^
      |
      = hint: add it to the name, such as `f:live`
      = note: see also fleet.yaml:2:42

    error: duplicate function "f:$LATEST" in eu-west-2
     --> fleet.yaml:5:3
      |
    5 |   f:$LATEST: { windows: [{ days: daily, hours: all-day, concurrency: 1 }] }
      |   ^^^^^^^^^
      |
      = hint: merge the two: a function can have several windows
      = note: see also fleet.yaml:4:3

    error: the strategy "provisioned" requires an alias or a version
     --> fleet.yaml:5:3
      |
    5 |   f:$LATEST: { windows: [{ days: daily, hours: all-day, concurrency: 1 }] }
      |   ^^^^^^^^^
      |
      = hint: add it to the name, such as `f:live`
      = note: see also fleet.yaml:2:42

    error: the strategy "provisioned" requires an alias or a version
     --> fleet.yaml:6:3
      |
    6 |   f:$LATEST.PUBLISHED: { windows: [{ days: daily, hours: all-day, concurrency: 1 }] }
      |   ^^^^^^^^^^^^^^^^^^^
      |
      = hint: add it to the name, such as `f:live`
      = note: see also fleet.yaml:2:42

    error: the strategy "managed" requires an alias or a version
     --> fleet.yaml:7:3
      |
    7 |   g: { strategy: managed, enabled: false }
      |   ^
      |
      = hint: add it to the name, such as `g:live`
      = note: see also fleet.yaml:7:18

    error: the strategy "managed" requires an alias or a version
     --> fleet.yaml:8:3
      |
    8 |   arn:aws:lambda:eu-west-2:123456789012:function:g: { strategy: managed, enabled: false }
      |   ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      |
      = hint: add it to the name, such as `arn:aws:lambda:eu-west-2:123456789012:function:g:live`
      = note: see also fleet.yaml:8:65
    "#);
}

#[test]
fn numbers_above_a_maximum() {
    // A round of pings is as large as the number; without a fallback there is none.
    assert_snapshot!(errors("version: 1
defaults: { region: eu-west-2, spare: 2, provisioned: { max: 9 } }
windows:
  many: { days: daily, hours: all-day, concurrency: 16000 }
functions:
  provisioned:live:
    strategy: provisioned
    windows: [{ days: daily, hours: all-day, concurrency: 7 }, { days: sat, hours: all-day, concurrency: 8 }]
  pinged:live:
    strategy: provisioned
    provisioned: { max: 1000 }
    windows: [{ days: daily, hours: all-day, load: { requests_per_second: 5000, duration: 1ms } }, { days: daily, hours: all-day, concurrency: 999 }]
  unpinged:live:
    strategy: provisioned
    provisioned: { max: 1000, fallback: none }
    windows: [{ days: daily, hours: all-day, concurrency: 998 }]
  direct:live:
    strategy: provisioned
    provisioned: { by: direct, fallback: none }
    windows: [{ days: daily, hours: all-day, concurrency: 99999 }]
  disabled:live:
    enabled: false
    strategy: provisioned
    windows: [{ days: daily, hours: all-day, concurrency: 99 }]
  managed:live:
    strategy: managed
    windows: [{ use: many }, { days: daily, hours: all-day, concurrency: 99 }]
  more:live:
    strategy: managed
    managed: { max: 15000 }
    windows: [{ days: daily, hours: all-day, concurrency: 14998 }, { days: daily, hours: all-day, concurrency: 14999 }]
  rate:live:
    strategy: provisioned
    windows: [{ days: daily, hours: all-day, load: { requests_per_second: 1000001, duration: 1ms } }]
"), @r#"
    error: 16000 environments and 2 spare ones exceed "managed.max" (100)
     --> fleet.yaml:4:53
      |
    4 |   many: { days: daily, hours: all-day, concurrency: 16000 }
      |                                                     ^^^^^
      |
      = hint: lower the number: Lambda keeps at most 15000 environments of a version

    error: 8 environments and 2 spare ones exceed "provisioned.max" (9)
     --> fleet.yaml:8:106
      |
    8 |     windows: [{ days: daily, hours: all-day, concurrency: 7 }, { days: sat, hours: all-day, concurrency: 8 }]
      |                                                                                                          ^
      |
      = hint: lower the number, or raise `max` to 10
      = note: see also fleet.yaml:2:62

    error: 500 environments and 2 spare ones exceed "limits.max_in_flight" (500)
      --> fleet.yaml:12:52
       |
    12 |     windows: [{ days: daily, hours: all-day, load: { requests_per_second: 5000, duration: 1ms } }, { days: daily, hours: all-day, co...
       |                                                    ^
       |
       = hint: lower the number, or raise `max_in_flight` to 502

    error: 999 environments and 2 spare ones exceed "provisioned.max" (1000)
      --> fleet.yaml:12:144
       |
    12 | ...duration: 1ms } }, { days: daily, hours: all-day, concurrency: 999 }]
       |                                                                   ^^^
       |
       = hint: lower the number, or raise `max` to 1001
       = note: see also fleet.yaml:11:25

    error: 999 environments and 2 spare ones exceed "limits.max_in_flight" (500)
      --> fleet.yaml:12:144
       |
    12 | ...duration: 1ms } }, { days: daily, hours: all-day, concurrency: 999 }]
       |                                                                   ^^^
       |
       = hint: lower the number, or raise `max_in_flight` to 1001

    error: 99 environments and 2 spare ones exceed "managed.max" (100)
      --> fleet.yaml:27:74
       |
    27 |     windows: [{ use: many }, { days: daily, hours: all-day, concurrency: 99 }]
       |                                                                          ^^
       |
       = hint: lower the number, or raise `max` to 101

    error: 14999 environments and 2 spare ones exceed "managed.max" (15000)
      --> fleet.yaml:31:112
       |
    31 |     windows: [{ days: daily, hours: all-day, concurrency: 14998 }, { days: daily, hours: all-day, concurrency: 14999 }]
       |                                                                                                                ^^^^^
       |
       = hint: lower the number: Lambda keeps at most 15000 environments of a version
       = note: see also fleet.yaml:30:21

    error: the load needs more than 100000 environments
      --> fleet.yaml:34:52
       |
    34 |     windows: [{ days: daily, hours: all-day, load: { requests_per_second: 1000001, duration: 1ms } }]
       |                                                    ^
       |
       = hint: lower the rate: a provisioned environment serves 10 requests a second
    "#);
}

#[test]
fn errors_of_the_defaults_are_reported_once() {
    assert_snapshot!(errors("version: 1
capacity: { owner: my team }
defaults:
  region: eu-west-2
  strategy: managed
  provisioned: { by: direct, max: 9 }
  managed: { floor: 7, max: 5 }
functions:
  f:live: { windows: [{ days: daily, hours: all-day, concurrency: 1 }] }
  g:live: { windows: [{ days: daily, hours: all-day, concurrency: 1 }] }
"), @r#"
    error: expected the name of an owner, found "my team"
     --> fleet.yaml:2:20
      |
    2 | capacity: { owner: my team }
      |                    ^^^^^^^
      |
      = hint: use 1 to 64 of A-Z a-z 0-9 - _ .

    error: "max" cannot be used with "by: direct"
     --> fleet.yaml:6:35
      |
    6 |   provisioned: { by: direct, max: 9 }
      |                                   ^
      |
      = hint: remove it, or set `by: autoscaling`
      = note: see also fleet.yaml:6:22

    error: "floor" (7) must not be above "max" (5)
     --> fleet.yaml:7:21
      |
    7 |   managed: { floor: 7, max: 5 }
      |                     ^
      |
      = hint: lower it, or raise `max`
    "#);
    assert_snapshot!(errors_of(&[
        ("a.yaml", "version: 1\ncapacity: { owner: a }\n"),
        ("b.yaml", "version: 1\ncapacity: { owner: a }\n"),
    ]), @r#"
    error: duplicate key "capacity" in a second file
     --> b.yaml:2:11
      |
    2 | capacity: { owner: a }
      |           ^
      |
      = hint: keep it in one file: it applies to the whole fleet
      = note: see also a.yaml:2:11
    "#);
}

#[test]
fn strategies_need_a_state_store() {
    let text = "version: 1
defaults: { region: eu-west-2, strategy: provisioned }
functions:
  f:live: { windows: [{ days: daily, hours: all-day, concurrency: 1 }] }
  g:live: { windows: [{ days: daily, hours: all-day, concurrency: 1 }] }
  h:live: { regions: [eu-west-2, us-east-1], strategy: managed, windows: [{ days: daily, hours: all-day, concurrency: 1 }] }
  i: { strategy: pings, windows: [{ days: daily, hours: all-day, concurrency: 1 }] }
";
    assert_snapshot!(valid(text).without_store().render_text(false), @r#"
    error: the strategy "provisioned" needs a state store
     --> fleet.yaml:2:42
      |
    2 | defaults: { region: eu-west-2, strategy: provisioned }
      |                                          ^^^^^^^^^^^
      |
      = hint: set --state or WARMD_STATE to a directory or s3://bucket/prefix

    error: the strategy "managed" needs a state store
     --> fleet.yaml:6:56
      |
    6 |   h:live: { regions: [eu-west-2, us-east-1], strategy: managed, windows: [{ days: daily, hours: all-day, concurrency: 1 }] }
      |                                                        ^^^^^^^
      |
      = hint: set --state or WARMD_STATE to a directory or s3://bucket/prefix
    "#);
    let elsewhere = [Region::parse("us-east-1").unwrap()];
    let file = SourceFile { path: "fleet.yaml".to_owned(), text: text.to_owned() };
    let loaded = resolve(vec![file], &mut |_| Err(String::new()), Some(&elsewhere)).unwrap();
    assert_eq!(loaded.without_store().list.len(), 1, "a function that is not served needs none");
    assert!(valid(&format!("{IN_FUNCTION}strategy: pings\n")).without_store().is_empty());
}

#[test]
fn quotas_of_provisioned_concurrency_are_warnings() {
    let fleet = |by: &str, count: usize| {
        let function =
            |index| format!("  f{index}:live: {{ on_request: {{ max_concurrency: 1, max_for: 1h }} }}\n");
        let functions: String = (0..count).map(function).collect();
        let loaded = valid(&format!(
            "version: 1\ndefaults: {{ regions: [eu-west-2, us-east-1], strategy: provisioned, provisioned: {{ by: {by} }} }}\nfunctions:\n{functions}  arn:aws:lambda:us-east-1:123456789012:function:f:live: {{ on_request: {{ max_concurrency: 1, max_for: 1h }} }}\n"
        ));
        loaded.warnings.iter().map(|warning| warning.render_text(false)).collect::<Vec<_>>().join("\n\n")
    };
    assert_eq!(fleet("autoscaling", 400), "");
    assert_eq!(fleet("direct", 401), "");
    assert_snapshot!(fleet("autoscaling", 402), @"
    warning: more than 400 scalable targets in eu-west-2 from here on; the quota is 500
       --> fleet.yaml:404:3
        |
    404 |   f400:live: { on_request: { max_concurrency: 1, max_for: 1h } }
        |   ^^^^^^^^^
        |
        = hint: raise the quota of Application Auto Scaling, or set `by: direct` for some

    warning: more than 400 scalable targets in us-east-1 from here on; the quota is 500
       --> fleet.yaml:404:3
        |
    404 |   f400:live: { on_request: { max_concurrency: 1, max_for: 1h } }
        |   ^^^^^^^^^
        |
        = hint: raise the quota of Application Auto Scaling, or set `by: direct` for some
    ");
    let rate = |keys: &str| {
        let warnings = valid(&format!(
            "version: 1\nfunctions:\n  f:live:\n    region: eu-west-2\n    spare: 1\n    assume: {{ requests_per_second: 110.5, duration: 10ms }}\n    windows: [{{ days: daily, hours: all-day, concurrency: 10 }}]\n    {keys}\n"
        ))
        .warnings;
        warnings.iter().map(|warning| warning.render_text(false)).collect::<Vec<_>>().join("\n\n")
    };
    assert_snapshot!(rate("strategy: provisioned"), @"
    warning: 11 provisioned environments serve 110 of 110.5 requests a second
     --> fleet.yaml:3:3
      |
    3 |   f:live:
      |   ^^^^^^
      |
      = hint: raise the number of a window to 12: each serves 10 a second
    ");
    assert_eq!(rate("strategy: managed"), "");
    assert_eq!(rate(""), "");
}

#[test]
fn capacity_by_name_and_by_arn_is_a_warning() {
    let window = "windows: [{ days: daily, hours: all-day, concurrency: 1 }]";
    let warnings = valid(&format!(
        "version: 1\nfunctions:\n  arn:aws:lambda:eu-west-2:123456789012:function:f:live: {{ strategy: provisioned, {window} }}\n  f:live: {{ region: eu-west-2, {window} }}\n"
    ))
    .warnings;
    let messages: Vec<&str> = warnings.iter().map(|warning| warning.message.as_str()).collect();
    assert_eq!(messages, ["f:live (eu-west-2) is kept warm twice if warmd runs in account 123456789012"]);
}

prop_compose! {
    fn any_function()(
        strategy in prop::sample::select(vec!["", "strategy: pings", "strategy: provisioned", "strategy: managed"]),
        provisioned in prop::option::of((0_u32..40, prop::bool::ANY, prop::bool::ANY)),
        managed in prop::option::of((0_u32..20, 0_u32..40)),
        spare in 0_u32..4,
        windows in prop::collection::vec((1_u32..40, prop::option::of(1_u32..400)), 1..4),
        request in prop::option::of(1_u32..40),
    ) -> String {
        let mut keys = vec![format!("spare: {spare}"), "region: eu-west-2".to_owned()];
        keys.extend(Some(strategy.to_owned()).filter(|text| !text.is_empty()));
        keys.extend(provisioned.map(|(max, has_max, is_direct)| {
            let max = if has_max { format!(", max: {max}") } else { String::new() };
            format!("provisioned: {{ by: {}{max} }}", if is_direct { "direct" } else { "autoscaling" })
        }));
        keys.extend(managed.map(|(floor, max)| format!("managed: {{ floor: {floor}, max: {max} }}")));
        keys.extend(request.map(|most| format!("on_request: {{ max_concurrency: {most}, max_for: 1h }}")));
        let windows: Vec<String> = windows
            .into_iter()
            .map(|(number, rate)| match rate {
                Some(rate) => format!("{{ days: daily, hours: all-day, load: {{ requests_per_second: {rate}, duration: {number}ms }} }}"),
                None => format!("{{ days: daily, hours: all-day, concurrency: {number} }}"),
            })
            .collect();
        keys.push(format!("windows: [{}]", windows.join(", ")));
        keys.join(", ")
    }
}

proptest! {
    #![proptest_config(ProptestConfig { max_global_rejects: 8_192, ..ProptestConfig::with_cases(256) })]

    #[test]
    fn no_number_of_a_valid_configuration_is_above_its_maximum(base in any_function(), function in any_function()) {
        // The defaults have only the keys that they share with functions.
        let base = base.split(", windows").next().unwrap().split(", on_request").next().unwrap().to_owned();
        let text = format!("version: 1\ndefaults: {{ {base} }}\nfunctions:\n  f:live: {{ {function} }}\n");
        let resolved = resolve_all(&[("fleet.yaml", &text)]);
        prop_assume!(resolved.is_ok());
        let loaded = resolved.unwrap();
        for target in &loaded.fleet.targets {
            match target.strategy {
                Strategy::Pings => {}
                Strategy::Provisioned(provisioned) => {
                    if let By::Autoscaling { max, utilization } = provisioned.by {
                        prop_assert!(target.highest() <= max && (10..=90).contains(&utilization), "{text}");
                    }
                    for window in &target.windows {
                        prop_assert!(window.load_needs.is_none_or(|needs| needs < window.concurrency), "{text}");
                    }
                }
                Strategy::Managed(managed) => {
                    prop_assert!(target.highest() <= managed.max && managed.floor <= managed.max, "{text}");
                    prop_assert!(managed.max <= 15_000);
                }
            }
        }
    }
}
