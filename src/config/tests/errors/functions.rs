//! Functions: keys, names, regions, protocols.

use insta::assert_snapshot;

use super::*;

#[test]
fn keys() {
    let document = r#"
    version: 1
    funktions: {}
    ^^^^^^^^^ unknown key "funktions"
    = hint: did you mean `functions`?
    prices: x
            ^ expected a map of prices, or the path of a .yaml file, found "x"
    "#;
    check_document(document);
    let document = r#"
    version: 1
    version: 1
    ^^^^^^^ duplicate key "version"
    = hint: remove one of the two
    = note: see also fleet.yaml:1:1
    limits: {}
    limits: {}
    ^^^^^^ duplicate key "limits"
    = hint: remove one of the two
    = note: see also fleet.yaml:3:1
    "#;
    check_document(document);
    let cases = r"
    version: 1
    functions:
      - name: f
      ^ expected a map, found a list
      = hint: remove the `-` or `[]`: every entry is `key: value`
    ";
    check_cases("", cases);
    let document = r"
    version: 1
    defaults:
            ^ expected a map, found nothing
            = hint: indent its keys below it, or remove it
    limits: 5
            ^ expected a map, found 5
            = hint: indent its keys below it, or write them in braces: `{ key: value }`
    ";
    check_document(document);
    let cases = r#"
    intervall: 5m
    ^^^^^^^^^ unknown key "intervall"
    = hint: did you mean `interval`?
    Owner: x
    ^^^^^ unknown key "Owner"
    = hint: did you mean `owner`?
    "#;
    check_cases(IN_FUNCTION, cases);
    let cases = r#"
    defaults: { enabled: true }
                ^^^^^^^ unknown key "enabled"
                = hint: use one of region, regions, timezone, interval, protocol, payload, hold, owner, lead, spare, architecture, memory, timeout, trace, canary, canary_max, role_arn, external_id, strategy, provisioned, managed, assume, slo, stagger
    "#;
    check_cases(IN_FILE, cases);
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
    let document = r#"
    version: 1
    defaults: { region: eu-west-2 }
    functions:
      f: { windows: [{ days: daily, hours: all-day, concurrency: 1 }] }
      f:$LATEST: { windows: [{ days: daily, hours: all-day, concurrency: 1 }] }
      ^^^^^^^^^ duplicate function "f:$LATEST" in eu-west-2
      = hint: merge the two: a function can have several windows
      = note: see also fleet.yaml:4:3
      f: { windows: [{ days: daily, hours: all-day, concurrency: 1 }] }
      ^ duplicate key "f"
      = hint: remove one of the two
      = note: see also fleet.yaml:4:3
    "#;
    check_document(document);
}

#[test]
fn functions_and_regions() {
    let cases = r#"
    version: 1
    functions:
      f: { windows: [{ days: daily, hours: all-day, concurrency: 1 }] }
      ^ missing key "region"
      = hint: add `region: eu-west-2` here or under `defaults`, or use the ARN of the function
    "#;
    check_cases("", cases);
    let document = r#"
    version: 1
    functions:
      f: { region: eu-wset-2, windows: [{ days: daily, hours: all-day, concurrency: 1 }] }
                   ^^^^^^^^^ unknown region "eu-wset-2"
                   = hint: did you mean `eu-west-2`?
      g: { regions: eu-west-2, windows: [{ days: daily, hours: all-day, concurrency: 1 }] }
                    ^^^^^^^^^ expected a list, found "eu-west-2"
                    = hint: write `[eu-west-2]`
      h: { region: [eu-west-2], windows: [{ days: daily, hours: all-day, concurrency: 1 }] }
                   ^ expected a region, found a list
                   = hint: use `regions` for a list
      i: { regions: [eu-west-2, eu-west-2], windows: [{ days: daily, hours: all-day, concurrency: 1 }] }
                                ^^^^^^^^^ duplicate region "eu-west-2"
                                = hint: remove one of the two
      j: { regions: [eu-west-2], region: eu-west-2, windows: [{ days: daily, hours: all-day, concurrency: 1 }] }
                    ^ "regions" cannot be used with "region"
                    = hint: remove one of the two: `region: x` is the short form of `regions: [x]`
                    = note: see also fleet.yaml:7:38
    "#;
    check_document(document);
    let document = r#"
    version: 1
    functions:
      my.function: { region: eu-west-2, windows: [{ days: daily, hours: all-day, concurrency: 1 }] }
      ^^^^^^^^^^^ expected a function name (1 to 64 of A-Z a-z 0-9 _ -), found "my.function"
      arn:aws:lambda:eu-west-9:123456789012:function:f: { windows: [{ days: daily, hours: all-day, concurrency: 1 }] }
      ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ unknown region "eu-west-9"
      = hint: did you mean `eu-west-1`?
      arn:aws:lambda:eu-west-2:123456789012:function:g: { region: us-east-1, windows: [{ days: daily, hours: all-day, concurrency: 1 }] }
                                                                  ^^^^^^^^^ the region differs from that of the ARN, eu-west-2
                                                                  = hint: remove it
      arn:aws:s3:::bucket: { windows: [{ days: daily, hours: all-day, concurrency: 1 }] }
      ^^^^^^^^^^^^^^^^^^^ expected a function ARN (arn:aws:lambda:REGION:ACCOUNT:function:NAME[:QUALIFIER]), found "arn:aws:s3:::bucket"
    "#;
    check_document(document);
    let cases = r#"
    enabled: yes
             ^^^ expected true or false, found "yes"
             = hint: write `true`
    "#;
    check_cases(IN_FUNCTION, cases);
    let document = r#"
    version: 1
    functions:
      f: { region: eu-west-2 }
      ^ missing key "windows"
      = hint: add windows, or disable the function with `enabled: false`
      g: { region: eu-west-2, windows: [] }
                                       ^ expected at least one item, found an empty list
                                       = hint: add an item, or remove the key
      h:
       ^ expected a map, found nothing
       = hint: indent its keys below it, or remove it
    "#;
    check_document(document);
    let cases = r"
    { days: daily, hours: all-day, concurrency: 1, regions: [us-east-1] }
                                                             ^^^^^^^^^ the function is not in us-east-1
                                                             = hint: use some of the function's regions: eu-west-2
    ";
    check_cases(IN_WINDOW, cases);
}

#[test]
fn tenants() {
    let cases = r#"
    tenants: []
             ^ expected at least one item, found an empty list
             = hint: add an item, or remove the key
    tenants: a
             ^ expected a list, found "a"
             = hint: write `[a]`
    tenants: [a, b, a]
                    ^ duplicate tenant "a"
                    = hint: remove one of the two
    tenants: [a, "b,c"]
                 ^^^^^ expected a tenant id, found "b,c"
                 = hint: use 1 to 256 of A-Z a-z 0-9 . _ : / = + - @ and spaces, with no space at its ends
    tenants: [" a"]
              ^^^^ expected a tenant id, found " a"
              = hint: use 1 to 256 of A-Z a-z 0-9 . _ : / = + - @ and spaces, with no space at its ends
    tenants: [7]
              ^ expected a tenant id, found 7
              = hint: put it in quotes: `"7"`
    "#;
    check_cases(IN_FUNCTION, cases);
    let document = r#"
    version: 1
    defaults: { tenants: [a] }
                ^^^^^^^ unknown key "tenants"
                = hint: use one of region, regions, timezone, interval, protocol, payload, hold, owner, lead, spare, architecture, memory, timeout, trace, canary, canary_max, role_arn, external_id, strategy, provisioned, managed, assume, slo, stagger
    "#;
    check_document(document);
    // The tenants of a function are configured at one place.
    let files = [("a", "[a]"), ("b", "[b]")]
        .map(|(name, tenants)| (format!("{name}.yaml"), format!("{IN_FUNCTION}tenants: {tenants}\n")));
    let errors = errors_of(&[(&files[0].0, &files[0].1), (&files[1].0, &files[1].1)]);
    assert!(errors.contains("duplicate function \"f\" in eu-west-2"), "{errors}");
}

#[test]
fn protocols() {
    let cases = r#"
    protocol: lamda-warmer
              ^^^^^^^^^^^^ expected one of "warmd", "serverless-plugin-warmup", "lambda-warmer", "lambda-warmer-py", "opennext", "bref", "vapor", "thundra", "custom", found "lamda-warmer"
              = hint: did you mean `lambda-warmer`?
    protocol: custom
              ^^^^^^ the protocol "custom" requires "payload"
              = hint: add the JSON of a ping, such as `payload: { warm: true }`
    payload: { warm: true }
             ^ "payload" requires the protocol "custom"
             = hint: remove it, or set `protocol: custom`
    protocol: custom
        payload: { n: "{{indx}}" }
                 ^ unknown placeholder "{{indx}}"; did you mean `{{index}}`?
    protocol: custom
        payload: { n: .inf }
                      ^^^^ expected a JSON number, found .inf
                      = hint: write plain digits, or put it in quotes
    protocol: custom
        payload: { a: [x, "a ${env:1A} b"] }
                             ^^^^^^^^^ expected the name of an environment variable, found "1A"
                             = hint: use ASCII letters, digits and `_`, with no digit at the beginning
    protocol: custom
        payload: { a: "${env:}", b: 'x ${foo:bar}', c: "${env:A", d: "$${env:}" }
                       ^^^^^^^ expected the name of an environment variable, found ""
                       = hint: use ASCII letters, digits and `_`, with no digit at the beginning
                                       ^^^^^^^^^^ expected "${env:NAME}", found "${foo:bar}"
                                       = hint: use an environment variable, or write `$${` for a literal `${`
                                                        ^^^^^^^ expected "}" after "${", found "${env:A"
                                                        = hint: write `${env:NAME}`, or `$${` for a literal `${`
    protocol: custom
        payload: { "${env:A}": 1 }
                   ^^^^^^^^^^ expected a key without variables, found "${env:A}"
                   = hint: use the variable in a value
    protocol: custom
        payload: ["${env:AWS_SECRET_ACCESS_KEY}"]
                   ^^^^^^^^^^^^^^^^^^^^^^^^^^^^ the environment variable "AWS_SECRET_ACCESS_KEY" cannot be used in a payload
                   = hint: use a variable of another name: those of AWS hold the credentials of warmd
    "#;
    check_cases(IN_FUNCTION, cases);
}
