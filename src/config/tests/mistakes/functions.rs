//! Functions: keys, names, regions, protocols.

use insta::assert_snapshot;

use super::*;

#[test]
fn keys() {
    assert_snapshot!(wrong("version: 1\nfunktions: {}\nprices: x\n"), @r"
    error: unknown key `funktions`
     --> fleet.yaml:2:1
      |
    2 | funktions: {}
      | ^^^^^^^^^
      |
      = hint: did you mean `functions`?

    error: `x` is not a .yaml file
     --> fleet.yaml:3:9
      |
    3 | prices: x
      |         ^
      |
      = hint: prices stand here as a map, or in a YAML file of their own
    ");
    assert_snapshot!(wrong("version: 1\nversion: 1\nlimits: {}\nlimits: {}\n"), @r#"
    error: the key `version` stands twice
     --> fleet.yaml:2:1
      |
    2 | version: 1
      | ^^^^^^^
      |
      = hint: keep one of the two
      = note: the other place is fleet.yaml:1:1

    error: the key `limits` stands twice
     --> fleet.yaml:4:1
      |
    4 | limits: {}
      | ^^^^^^
      |
      = hint: keep one of the two
      = note: the other place is fleet.yaml:3:1
    "#);
    assert_snapshot!(wrong("version: 1\nfunctions:\n  - name: f\n"), @r#"
    error: a map (`key: value`) belongs here, not a list
     --> fleet.yaml:3:3
      |
    3 |   - name: f
      |   ^
      |
      = hint: leave out the `-` or `[]`: every entry is `name: value`
    "#);
    assert_snapshot!(wrong("version: 1\ndefaults:\nlimits: 5\n"), @r#"
    error: a map (`key: value`) belongs here, not nothing
     --> fleet.yaml:2:9
      |
    2 | defaults:
      |         ^
      |
      = hint: put its keys below it, indented, or leave it out

    error: a map (`key: value`) belongs here, not a number
     --> fleet.yaml:3:9
      |
    3 | limits: 5
      |         ^
      |
      = hint: put its keys below it, indented, or in braces: `{ key: value }`
    "#);
    assert_snapshot!(wrong_function("intervall: 5m\n    Owner: x"), @r#"
    error: unknown key `intervall`
     --> fleet.yaml:6:5
      |
    6 |     intervall: 5m
      |     ^^^^^^^^^
      |
      = hint: did you mean `interval`?

    error: unknown key `Owner`
     --> fleet.yaml:7:5
      |
    7 |     Owner: x
      |     ^^^^^
      |
      = hint: did you mean `owner`?
    "#);
    assert_snapshot!(wrong("version: 1\ndefaults: { enabled: true }\n"), @r"
    error: unknown key `enabled`
     --> fleet.yaml:2:13
      |
    2 | defaults: { enabled: true }
      |             ^^^^^^^
      |
      = hint: the keys here are region, regions, timezone, interval, protocol, payload, hold, owner, lead, spare, stagger, architecture, memory, timeout, trace, role_arn, external_id, assume
    ");
}

#[test]
fn the_same_function_twice() {
    let window = "windows: [{ days: daily, hours: all-day, concurrency: 1 }]";
    assert_snapshot!(mistakes(&[
        ("team-a.yaml", &format!("version: 1\nfunctions:\n  nlp:live:\n    regions: [eu-west-2, us-east-1]\n    {window}\n")),
        ("team-b.yaml", &format!("version: 1\nfunctions:\n  nlp:live:\n    region: us-east-1\n    {window}\n")),
    ]), @r#"
    error: nlp:live in us-east-1 is configured twice
     --> team-b.yaml:3:3
      |
    3 |   nlp:live:
      |   ^^^^^^^^
      |
      = hint: keep one of the two; several windows can stand under one function
      = note: the other place is team-a.yaml:3:3
    "#);
    assert_snapshot!(wrong(&format!("version: 1\ndefaults: {{ region: eu-west-2 }}\nfunctions:\n  f: {{ {window} }}\n  f:$LATEST: {{ {window} }}\n  f: {{ {window} }}\n")), @r#"
    error: f:$LATEST in eu-west-2 is configured twice
     --> fleet.yaml:5:3
      |
    5 |   f:$LATEST: { windows: [{ days: daily, hours: all-day, concurrency: 1 }] }
      |   ^^^^^^^^^
      |
      = hint: keep one of the two; several windows can stand under one function
      = note: the other place is fleet.yaml:4:3

    error: the key `f` stands twice
     --> fleet.yaml:6:3
      |
    6 |   f: { windows: [{ days: daily, hours: all-day, concurrency: 1 }] }
      |   ^
      |
      = hint: keep one of the two
      = note: the other place is fleet.yaml:4:3
    "#);
}

#[test]
fn functions_and_regions() {
    let window = "windows: [{ days: daily, hours: all-day, concurrency: 1 }]";
    assert_snapshot!(wrong(&format!("version: 1\nfunctions:\n  f: {{ {window} }}\n")), @r#"
    error: the function has no region
     --> fleet.yaml:3:3
      |
    3 |   f: { windows: [{ days: daily, hours: all-day, concurrency: 1 }] }
      |   ^
      |
      = hint: give `region: eu-west-2` here or under `defaults`, or name the function by its ARN
    "#);
    assert_snapshot!(wrong(&format!("version: 1\nfunctions:\n  f: {{ region: eu-wset-2, {window} }}\n  g: {{ regions: eu-west-2, {window} }}\n  h: {{ region: [eu-west-2], {window} }}\n  i: {{ regions: [eu-west-2, eu-west-2], {window} }}\n  j: {{ regions: [eu-west-2], region: eu-west-2, {window} }}\n")), @r#"
    error: unknown region `eu-wset-2`
     --> fleet.yaml:3:16
      |
    3 |   f: { region: eu-wset-2, windows: [{ days: daily, hours: all-day, concurrency: 1 }] }
      |                ^^^^^^^^^
      |
      = hint: did you mean `eu-west-2`?

    error: a list belongs here, not a text
     --> fleet.yaml:4:17
      |
    4 |   g: { regions: eu-west-2, windows: [{ days: daily, hours: all-day, concurrency: 1 }] }
      |                 ^^^^^^^^^
      |
      = hint: write `[eu-west-2]`

    error: a region such as `eu-west-2` belongs here, not a list
     --> fleet.yaml:5:16
      |
    5 |   h: { region: [eu-west-2], windows: [{ days: daily, hours: all-day, concurrency: 1 }] }
      |                ^
      |
      = hint: `regions` takes a list

    error: eu-west-2 stands in the list twice
     --> fleet.yaml:6:29
      |
    6 |   i: { regions: [eu-west-2, eu-west-2], windows: [{ days: daily, hours: all-day, concurrency: 1 }] }
      |                             ^^^^^^^^^

    error: `region` and `regions` exclude each other
     --> fleet.yaml:7:17
      |
    7 |   j: { regions: [eu-west-2], region: eu-west-2, windows: [{ days: daily, hours: all-day, concurrency: 1 }] }
      |                 ^
      |
      = hint: `region: x` is the short form of `regions: [x]`
      = note: the other place is fleet.yaml:7:38
    "#);
    assert_snapshot!(wrong(&format!("version: 1\nfunctions:\n  my.function: {{ region: eu-west-2, {window} }}\n  arn:aws:lambda:eu-west-9:123456789012:function:f: {{ {window} }}\n  arn:aws:lambda:eu-west-2:123456789012:function:g: {{ region: us-east-1, {window} }}\n  arn:aws:s3:::bucket: {{ {window} }}\n")), @r#"
    error: expected a function name (1 to 64 of A-Z a-z 0-9 _ -), found `my.function`
     --> fleet.yaml:3:3
      |
    3 |   my.function: { region: eu-west-2, windows: [{ days: daily, hours: all-day, concurrency: 1 }] }
      |   ^^^^^^^^^^^

    error: unknown region `eu-west-9` in this ARN
     --> fleet.yaml:4:3
      |
    4 |   arn:aws:lambda:eu-west-9:123456789012:function:f: { windows: [{ days: daily, hours: all-day, concurrency: 1 }] }
      |   ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      |
      = hint: did you mean `eu-west-1`?

    error: the ARN is in eu-west-2
     --> fleet.yaml:5:63
      |
    5 |   arn:aws:lambda:eu-west-2:123456789012:function:g: { region: us-east-1, windows: [{ days: daily, hours: all-day, concurrency: 1 }] }
      |                                                               ^^^^^^^^^
      |
      = hint: leave the region out: the ARN names it

    error: expected a function ARN (arn:aws:lambda:REGION:ACCOUNT:function:NAME[:QUALIFIER]), found `arn:aws:s3:::bucket`
     --> fleet.yaml:6:3
      |
    6 |   arn:aws:s3:::bucket: { windows: [{ days: daily, hours: all-day, concurrency: 1 }] }
      |   ^^^^^^^^^^^^^^^^^^^
    "#);
    assert_snapshot!(wrong_function("enabled: yes"), @r#"
    error: `true` or `false` belongs here, not a text
     --> fleet.yaml:6:14
      |
    6 |     enabled: yes
      |              ^^^
      |
      = hint: write `true`
    "#);
    assert_snapshot!(wrong("version: 1\nfunctions:\n  f: { region: eu-west-2 }\n  g: { region: eu-west-2, windows: [] }\n  h:\n"), @r#"
    error: the function has no windows
     --> fleet.yaml:3:3
      |
    3 |   f: { region: eu-west-2 }
      |   ^
      |
      = hint: without `windows` it is never warm; `enabled: false` says so

    error: the list is empty
     --> fleet.yaml:4:36
      |
    4 |   g: { region: eu-west-2, windows: [] }
      |                                    ^
      |
      = hint: leave the key out, or put something in

    error: a map (`key: value`) belongs here, not nothing
     --> fleet.yaml:5:4
      |
    5 |   h:
      |    ^
      |
      = hint: put its keys below it, indented, or leave it out
    "#);
    assert_snapshot!(wrong_window("{ days: daily, hours: all-day, concurrency: 1, regions: [us-east-1] }"), @r#"
    error: the window is for us-east-1, which the function is not in
     --> fleet.yaml:6:66
      |
    6 |       - { days: daily, hours: all-day, concurrency: 1, regions: [us-east-1] }
      |                                                                  ^^^^^^^^^
      |
      = hint: the function is in eu-west-2
    "#);
}

#[test]
fn protocols() {
    assert_snapshot!(wrong_function("protocol: lamda-warmer"), @r#"
    error: `lamda-warmer` is not a protocol
     --> fleet.yaml:6:15
      |
    6 |     protocol: lamda-warmer
      |               ^^^^^^^^^^^^
      |
      = hint: did you mean `lambda-warmer`?
    "#);
    assert_snapshot!(wrong_function("protocol: custom"), @r#"
    error: the protocol `custom` needs a `payload`
     --> fleet.yaml:6:15
      |
    6 |     protocol: custom
      |               ^^^^^^
      |
      = hint: any JSON, such as `payload: { warm: true }`
    "#);
    assert_snapshot!(wrong_function("payload: { warm: true }"), @r#"
    error: `payload` goes with `protocol: custom` only
     --> fleet.yaml:6:14
      |
    6 |     payload: { warm: true }
      |              ^
      |
      = hint: the other protocols say what they have to say
    "#);
    assert_snapshot!(wrong_function("protocol: custom\n    payload: { n: \"{{indx}}\" }"), @r#"
    error: unknown placeholder `{{indx}}`, did you mean `{{index}}`?
     --> fleet.yaml:7:14
      |
    7 |     payload: { n: "{{indx}}" }
      |              ^
    "#);
    assert_snapshot!(wrong_function("protocol: custom\n    payload: { n: .inf }"), @r#"
    error: `.inf` is not a number of JSON
     --> fleet.yaml:7:19
      |
    7 |     payload: { n: .inf }
      |                   ^^^^
      |
      = hint: write plain digits, or put it in quotes
    "#);
}
