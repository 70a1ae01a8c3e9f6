//! Backlogs of functions, and the time for which requests are held.

use super::*;

#[test]
fn a_function_can_have_a_backlog_without_windows() {
    let loaded = valid(
        "version: 1\ndefaults: { region: eu-west-2 }\nfunctions:\n  f:\n    backlog: { metric: { namespace: AWS/SQS, name: ApproximateNumberOfMessagesVisible, dimensions: { QueueName: orders, Shard: 7 }, statistic: Average }, rate: 0.5, drain: 1m, max: 100 }\n  off:\n    enabled: false\n    backlog: { metric: { namespace: a, name: b }, rate: 1, drain: 1d, max: 1 }\n",
    );
    let [f, off] = &loaded.fleet.targets[..] else { panic!("two targets") };
    let [rule] = &f.backlogs[..] else { panic!("one rule") };
    insta::assert_snapshot!(format!("{rule:?}"), @r#"Rule { metric: Metric { namespace: "AWS/SQS", name: "ApproximateNumberOfMessagesVisible", dimensions: {"QueueName": "orders", "Shard": "7"}, statistic: "Average" }, per_environment: 30.0, max: 100, pipeline: None }"#);
    assert_eq!((rule.number(90.into()), rule.number(91.into()), rule.number(90_000.into())), (3, 4, 100));
    assert_eq!((f.highest(), f.windows.len(), off.backlogs.len()), (100, 0, 0));
}

#[test]
fn errors_in_backlogs() {
    let cases = r#"
    backlog: { metric: { namespace: AWS/SQS, name: Waiting }, rate: 1, drain: 1m }
             ^ missing key "max"
    backlog: { metric: { namespace: AWS/SQS, name: Waiting }, rate: 0, drain: 100ms, max: 501 }
                                                                    ^ expected a number above 0, found 0
                                                                    = hint: write plain digits, such as 50 or 0.045, up to 1000000000
                                                                              ^^^^^ expected a duration from 1s to 1d, found "100ms"
                                                                                          ^^^ 501 environments exceed "limits.max_in_flight" (500)
                                                                                          = hint: lower the number, or raise `max_in_flight` to 501
    backlog: { metric: { namespace: AWS/SQS, name: Waiting }, rate: 1, drain: 1m, max: 501 }
                                                                                       ^^^ 501 environments exceed "limits.max_in_flight" (500)
                                                                                       = hint: lower the number, or raise `max_in_flight` to 501
    backlog: { metric: { namespace: "", name: "", statistic: p99 }, rate: 1, drain: 1m, max: 5 }
                                    ^^ expected a CloudWatch namespace, found ""
                                    = hint: use 1 to 255 of A-Z a-z 0-9 . - _ / # : and space, not beginning with `:`
                                              ^^ expected the name of a metric, found ""
                                              = hint: use 1 to 255 ASCII characters
                                                             ^^^ expected one of "Maximum", "Average", "Minimum", "Sum", "SampleCount", found "p99"
    backlog: { metric: { namespace: ":a", name: é, dimensions: { ":a": 1, b: "" } }, rate: 1, drain: 1m, max: 5 }
                                    ^^^^ expected a CloudWatch namespace, found ":a"
                                    = hint: use 1 to 255 of A-Z a-z 0-9 . - _ / # : and space, not beginning with `:`
                                                ^ expected the name of a metric, found "é"
                                                = hint: use 1 to 255 ASCII characters
                                                                 ^^^^ expected the name of a dimension, found ":a"
                                                                 = hint: use 1 to 255 ASCII characters, not beginning with `:`
                                                                             ^^ expected the value of a dimension, found ""
                                                                             = hint: use 1 to 1,024 ASCII characters
    backlog: { metric: { namespace: a, name: a, dimensions: [b] }, rate: 1, drain: 1m, max: 5 }
                                                            ^ expected a map, found a list
                                                            = hint: remove the `-` or `[]`: every entry is `key: value`
    backlog: { metric: AWS/SQS, rate: 1, drain: 25h, max: 5 }
                       ^^^^^^^ expected a map, found "AWS/SQS"
                       = hint: indent its keys below it, or write them in braces: `{ key: value }`
                                                ^^^ expected a duration from 1s to 1d, found "25h"
    "#;
    check_cases(IN_FUNCTION, cases);
    let cases = r#"
    { region: eu-west-2, spare: 5, backlog: { metric: { namespace: a, name: b }, rate: 1, drain: 1m, max: 5 } }
                                                                                                          ^ "max" must be above "spare" (5)
                                                                                                          = hint: raise it: the environments of a backlog include the spare ones
    { region: eu-west-2, strategy: provisioned, provisioned: { max: 5 }, backlog: { metric: { namespace: a, name: b }, rate: 1, drain: 1m, max: 6 } }
                                                                                                                                                ^ 6 environments exceed "provisioned.max" (5)
                                                                                                                                                = hint: lower the number, or raise `max` to 6
                                                                                                                                                = note: see also fleet.yaml:3:75
    { region: eu-west-2, strategy: managed, managed: { max: 5 }, backlog: { metric: { namespace: a, name: b }, rate: 1, drain: 1m, max: 6 } }
                                                                                                                                        ^ 6 environments exceed "managed.max" (5)
                                                                                                                                        = hint: lower the number, or raise `max` to 6
                                                                                                                                        = note: see also fleet.yaml:3:67
    "#;
    check_cases("version: 1\nfunctions:\n  f:live: ", cases);
    let dimensions: Vec<String> = (0..31).map(|n| format!("d{n}: x")).collect();
    let text = |count: usize| {
        let dimensions = dimensions[..count].join(", ");
        format!(
            "{IN_FUNCTION}backlog: {{ metric: {{ namespace: a, name: b, dimensions: {{ {dimensions} }} }}, rate: 1, drain: 1m, max: 5 }}\n"
        )
    };
    assert_eq!(valid(&text(30)).fleet.targets[0].backlogs[0].metric.dimensions.len(), 30);
    assert!(errors(&text(31)).starts_with("error: expected at most 30 dimensions, found 31\n"));
}

#[test]
fn a_number_is_held_for_five_minutes_or_as_long_as_requests_last() {
    let hold = |keys: &str| {
        let text = format!("{IN_FUNCTION}on_request: {{ max_concurrency: 1, {keys} }}\n");
        valid(&text).fleet.targets[0].on_request.unwrap().hold_for.as_secs()
    };
    assert_eq!((hold("max_for: 2m"), hold("max_for: 1h")), (120, 300));
    assert_eq!((hold("max_for: 2m, hold_for: 0s"), hold("max_for: 2m, hold_for: 90s")), (0, 90));
    let cases = r#"
    on_request: { max_concurrency: 1, max_for: 2m, hold_for: 121s }
                                                             ^^^^ "hold_for" (2m 1s) must not be above "max_for" (2m)
                                                             = hint: lower it, or raise `max_for`
    on_request: { max_concurrency: 1, max_for: 2m, hold_for: 100ms }
                                                             ^^^^^ expected whole seconds, found "100ms"
                                                             = hint: write `1s`
    "#;
    check_cases(IN_FUNCTION, cases);
}
