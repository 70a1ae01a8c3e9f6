//! Functions: keys, names, regions, protocols.

use insta::assert_snapshot;

use super::*;

#[test]
fn keys() {
    assert_snapshot!(errors("version: 1\nfunktions: {}\nprices: x\n"), @r#"
    error: unknown key "funktions"
     --> fleet.yaml:2:1
      |
    2 | funktions: {}
      | ^^^^^^^^^
      |
      = hint: did you mean `functions`?

    error: expected a map of prices, or the path of a .yaml file, found "x"
     --> fleet.yaml:3:9
      |
    3 | prices: x
      |         ^
    "#);
    assert_snapshot!(errors("version: 1\nversion: 1\nlimits: {}\nlimits: {}\n"), @r#"
    error: duplicate key "version"
     --> fleet.yaml:2:1
      |
    2 | version: 1
      | ^^^^^^^
      |
      = hint: remove one of the two
      = note: see also fleet.yaml:1:1

    error: duplicate key "limits"
     --> fleet.yaml:4:1
      |
    4 | limits: {}
      | ^^^^^^
      |
      = hint: remove one of the two
      = note: see also fleet.yaml:3:1
    "#);
    assert_snapshot!(errors("version: 1\nfunctions:\n  - name: f\n"), @r"
    error: expected a map, found a list
     --> fleet.yaml:3:3
      |
    3 |   - name: f
      |   ^
      |
      = hint: remove the `-` or `[]`: every entry is `key: value`
    ");
    assert_snapshot!(errors("version: 1\ndefaults:\nlimits: 5\n"), @r"
    error: expected a map, found nothing
     --> fleet.yaml:2:9
      |
    2 | defaults:
      |         ^
      |
      = hint: indent its keys below it, or remove it

    error: expected a map, found 5
     --> fleet.yaml:3:9
      |
    3 | limits: 5
      |         ^
      |
      = hint: indent its keys below it, or write them in braces: `{ key: value }`
    ");
    assert_snapshot!(function_errors("intervall: 5m\n    Owner: x"), @r#"
    error: unknown key "intervall"
     --> fleet.yaml:6:5
      |
    6 |     intervall: 5m
      |     ^^^^^^^^^
      |
      = hint: did you mean `interval`?

    error: unknown key "Owner"
     --> fleet.yaml:7:5
      |
    7 |     Owner: x
      |     ^^^^^
      |
      = hint: did you mean `owner`?
    "#);
    assert_snapshot!(errors("version: 1\ndefaults: { enabled: true }\n"), @r#"
    error: unknown key "enabled"
     --> fleet.yaml:2:13
      |
    2 | defaults: { enabled: true }
      |             ^^^^^^^
      |
      = hint: use one of region, regions, timezone, interval, protocol, payload, hold, owner, lead, spare, architecture, memory, timeout, trace, role_arn, external_id, assume, stagger
    "#);
}

#[test]
fn duplicate_functions() {
    let window = "windows: [{ days: daily, hours: all-day, concurrency: 1 }]";
    assert_snapshot!(errors_of(&[
        ("team-a.yaml", &format!("version: 1\nfunctions:\n  nlp:live:\n    regions: [eu-west-2, us-east-1]\n    {window}\n")),
        ("team-b.yaml", &format!("version: 1\nfunctions:\n  nlp:live:\n    region: us-east-1\n    {window}\n")),
    ]), @r#"
    error: duplicate function "nlp:live" in us-east-1
     --> team-b.yaml:3:3
      |
    3 |   nlp:live:
      |   ^^^^^^^^
      |
      = hint: merge the two: a function can have several windows
      = note: see also team-a.yaml:3:3
    "#);
    assert_snapshot!(errors(&format!("version: 1\ndefaults: {{ region: eu-west-2 }}\nfunctions:\n  f: {{ {window} }}\n  f:$LATEST: {{ {window} }}\n  f: {{ {window} }}\n")), @r#"
    error: duplicate function "f:$LATEST" in eu-west-2
     --> fleet.yaml:5:3
      |
    5 |   f:$LATEST: { windows: [{ days: daily, hours: all-day, concurrency: 1 }] }
      |   ^^^^^^^^^
      |
      = hint: merge the two: a function can have several windows
      = note: see also fleet.yaml:4:3

    error: duplicate key "f"
     --> fleet.yaml:6:3
      |
    6 |   f: { windows: [{ days: daily, hours: all-day, concurrency: 1 }] }
      |   ^
      |
      = hint: remove one of the two
      = note: see also fleet.yaml:4:3
    "#);
}

#[test]
fn functions_and_regions() {
    let window = "windows: [{ days: daily, hours: all-day, concurrency: 1 }]";
    assert_snapshot!(errors(&format!("version: 1\nfunctions:\n  f: {{ {window} }}\n")), @r#"
    error: missing key "region"
     --> fleet.yaml:3:3
      |
    3 |   f: { windows: [{ days: daily, hours: all-day, concurrency: 1 }] }
      |   ^
      |
      = hint: add `region: eu-west-2` here or under `defaults`, or use the ARN of the function
    "#);
    assert_snapshot!(errors(&format!("version: 1\nfunctions:\n  f: {{ region: eu-wset-2, {window} }}\n  g: {{ regions: eu-west-2, {window} }}\n  h: {{ region: [eu-west-2], {window} }}\n  i: {{ regions: [eu-west-2, eu-west-2], {window} }}\n  j: {{ regions: [eu-west-2], region: eu-west-2, {window} }}\n")), @r#"
    error: unknown region "eu-wset-2"
     --> fleet.yaml:3:16
      |
    3 |   f: { region: eu-wset-2, windows: [{ days: daily, hours: all-day, concurrency: 1 }] }
      |                ^^^^^^^^^
      |
      = hint: did you mean `eu-west-2`?

    error: expected a list, found "eu-west-2"
     --> fleet.yaml:4:17
      |
    4 |   g: { regions: eu-west-2, windows: [{ days: daily, hours: all-day, concurrency: 1 }] }
      |                 ^^^^^^^^^
      |
      = hint: write `[eu-west-2]`

    error: expected a region, found a list
     --> fleet.yaml:5:16
      |
    5 |   h: { region: [eu-west-2], windows: [{ days: daily, hours: all-day, concurrency: 1 }] }
      |                ^
      |
      = hint: use `regions` for a list

    error: duplicate region "eu-west-2"
     --> fleet.yaml:6:29
      |
    6 |   i: { regions: [eu-west-2, eu-west-2], windows: [{ days: daily, hours: all-day, concurrency: 1 }] }
      |                             ^^^^^^^^^
      |
      = hint: remove one of the two

    error: "regions" cannot be used with "region"
     --> fleet.yaml:7:17
      |
    7 |   j: { regions: [eu-west-2], region: eu-west-2, windows: [{ days: daily, hours: all-day, concurrency: 1 }] }
      |                 ^
      |
      = hint: remove one of the two: `region: x` is the short form of `regions: [x]`
      = note: see also fleet.yaml:7:38
    "#);
    assert_snapshot!(errors(&format!("version: 1\nfunctions:\n  my.function: {{ region: eu-west-2, {window} }}\n  arn:aws:lambda:eu-west-9:123456789012:function:f: {{ {window} }}\n  arn:aws:lambda:eu-west-2:123456789012:function:g: {{ region: us-east-1, {window} }}\n  arn:aws:s3:::bucket: {{ {window} }}\n")), @r#"
    error: expected a function name (1 to 64 of A-Z a-z 0-9 _ -), found "my.function"
     --> fleet.yaml:3:3
      |
    3 |   my.function: { region: eu-west-2, windows: [{ days: daily, hours: all-day, concurrency: 1 }] }
      |   ^^^^^^^^^^^

    error: unknown region "eu-west-9"
     --> fleet.yaml:4:3
      |
    4 |   arn:aws:lambda:eu-west-9:123456789012:function:f: { windows: [{ days: daily, hours: all-day, concurrency: 1 }] }
      |   ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      |
      = hint: did you mean `eu-west-1`?

    error: the region differs from that of the ARN, eu-west-2
     --> fleet.yaml:5:63
      |
    5 |   arn:aws:lambda:eu-west-2:123456789012:function:g: { region: us-east-1, windows: [{ days: daily, hours: all-day, concurrency: 1 }] }
      |                                                               ^^^^^^^^^
      |
      = hint: remove it

    error: expected a function ARN (arn:aws:lambda:REGION:ACCOUNT:function:NAME[:QUALIFIER]), found "arn:aws:s3:::bucket"
     --> fleet.yaml:6:3
      |
    6 |   arn:aws:s3:::bucket: { windows: [{ days: daily, hours: all-day, concurrency: 1 }] }
      |   ^^^^^^^^^^^^^^^^^^^
    "#);
    assert_snapshot!(function_errors("enabled: yes"), @r#"
    error: expected true or false, found "yes"
     --> fleet.yaml:6:14
      |
    6 |     enabled: yes
      |              ^^^
      |
      = hint: write `true`
    "#);
    assert_snapshot!(errors("version: 1\nfunctions:\n  f: { region: eu-west-2 }\n  g: { region: eu-west-2, windows: [] }\n  h:\n"), @r#"
    error: missing key "windows"
     --> fleet.yaml:3:3
      |
    3 |   f: { region: eu-west-2 }
      |   ^
      |
      = hint: add windows, or disable the function with `enabled: false`

    error: expected at least one item, found an empty list
     --> fleet.yaml:4:36
      |
    4 |   g: { region: eu-west-2, windows: [] }
      |                                    ^
      |
      = hint: add an item, or remove the key

    error: expected a map, found nothing
     --> fleet.yaml:5:4
      |
    5 |   h:
      |    ^
      |
      = hint: indent its keys below it, or remove it
    "#);
    assert_snapshot!(window_errors("{ days: daily, hours: all-day, concurrency: 1, regions: [us-east-1] }"), @r"
    error: the function is not in us-east-1
     --> fleet.yaml:6:66
      |
    6 |       - { days: daily, hours: all-day, concurrency: 1, regions: [us-east-1] }
      |                                                                  ^^^^^^^^^
      |
      = hint: use some of the function's regions: eu-west-2
    ");
}

#[test]
fn protocols() {
    assert_snapshot!(function_errors("protocol: lamda-warmer"), @r#"
    error: expected one of "warmd", "serverless-plugin-warmup", "lambda-warmer", "lambda-warmer-py", "opennext", "bref", "vapor", "thundra", "custom", found "lamda-warmer"
     --> fleet.yaml:6:15
      |
    6 |     protocol: lamda-warmer
      |               ^^^^^^^^^^^^
      |
      = hint: did you mean `lambda-warmer`?
    "#);
    assert_snapshot!(function_errors("protocol: custom"), @r#"
    error: the protocol "custom" requires "payload"
     --> fleet.yaml:6:15
      |
    6 |     protocol: custom
      |               ^^^^^^
      |
      = hint: add the JSON of a ping, such as `payload: { warm: true }`
    "#);
    assert_snapshot!(function_errors("payload: { warm: true }"), @r#"
    error: "payload" requires the protocol "custom"
     --> fleet.yaml:6:14
      |
    6 |     payload: { warm: true }
      |              ^
      |
      = hint: remove it, or set `protocol: custom`
    "#);
    assert_snapshot!(function_errors("protocol: custom\n    payload: { n: \"{{indx}}\" }"), @r#"
    error: unknown placeholder "{{indx}}"; did you mean `{{index}}`?
     --> fleet.yaml:7:14
      |
    7 |     payload: { n: "{{indx}}" }
      |              ^
    "#);
    assert_snapshot!(function_errors("protocol: custom\n    payload: { n: .inf }"), @r"
    error: expected a JSON number, found .inf
     --> fleet.yaml:7:19
      |
    7 |     payload: { n: .inf }
      |                   ^^^^
      |
      = hint: write plain digits, or put it in quotes
    ");
}
