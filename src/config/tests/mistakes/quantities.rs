//! Quantities and downloads.

use insta::assert_snapshot;

use super::*;

#[test]
fn quantities() {
    assert_snapshot!(wrong_function("interval: 90s"), @r#"
    error: `90s` is not a whole number of minutes
     --> fleet.yaml:6:15
      |
    6 |     interval: 90s
      |               ^^^
      |
      = hint: write `1m` or `2m`
    "#);
    assert_snapshot!(wrong_function("interval: 5"), @r#"
    error: `5` has no unit
     --> fleet.yaml:6:15
      |
    6 |     interval: 5
      |               ^
      |
      = hint: write `5m`?
    "#);
    assert_snapshot!(wrong_function("interval: 25h"), @r#"
    error: `25h` is outside of 1m to 24h
     --> fleet.yaml:6:15
      |
    6 |     interval: 25h
      |               ^^^
    "#);
    assert_snapshot!(wrong_function("interval: 5min"), @r#"
    error: `5min` is not a duration
     --> fleet.yaml:6:15
      |
    6 |     interval: 5min
      |               ^^^^
      |
      = hint: durations are a number and a unit: 250ms, 90s, 5m, 2h; this one from 1m to 24h
    "#);
    assert_snapshot!(wrong_function("interval: 30s"), @r#"
    error: `30s` is outside of 1m to 24h
     --> fleet.yaml:6:15
      |
    6 |     interval: 30s
      |               ^^^
    "#);
    assert_snapshot!(wrong_function("timeout: 16m"), @r#"
    error: `16m` is outside of 1s to 15m
     --> fleet.yaml:6:14
      |
    6 |     timeout: 16m
      |              ^^^
    "#);
    assert_snapshot!(wrong_function("hold: automatic"), @r#"
    error: `automatic` is not a duration
     --> fleet.yaml:6:11
      |
    6 |     hold: automatic
      |           ^^^^^^^^^
      |
      = hint: durations are a number and a unit: 250ms, 90s, 5m, 2h; this one from 0s to 15m
    "#);
    assert_snapshot!(wrong_function("memory: 1024"), @r#"
    error: `1024` has no unit
     --> fleet.yaml:6:13
      |
    6 |     memory: 1024
      |             ^^^^
      |
      = hint: write `1024MB`
    "#);
    assert_snapshot!(wrong_function("memory: 1GB"), @r#"
    error: `1GB` is not a memory size
     --> fleet.yaml:6:13
      |
    6 |     memory: 1GB
      |             ^^^
      |
      = hint: memory is written in Lambda's MB, such as `1024MB`, from 128MB to 10240MB
    "#);
    assert_snapshot!(wrong_function("memory: 64MB"), @r#"
    error: `64MB` is not a memory size
     --> fleet.yaml:6:13
      |
    6 |     memory: 64MB
      |             ^^^^
      |
      = hint: memory is written in Lambda's MB, such as `1024MB`, from 128MB to 10240MB
    "#);
    assert_snapshot!(wrong_function("architecture: arm"), @r#"
    error: `arm` is not `x86_64` or `arm64`
     --> fleet.yaml:6:19
      |
    6 |     architecture: arm
      |                   ^^^
    "#);
    assert_snapshot!(wrong_function("spare: -1"), @r#"
    error: `-1` is not a whole number from 0 to 100000
     --> fleet.yaml:6:12
      |
    6 |     spare: -1
      |            ^^
    "#);
    assert_snapshot!(wrong("version: 1\nlimits: { max_in_flight: 010 }\nmetrics: { namespace: AWS/Lambda, detail: all }\n"), @r#"
    error: `010` is not a whole number from 1 to 100000
     --> fleet.yaml:2:26
      |
    2 | limits: { max_in_flight: 010 }
      |                          ^^^

    error: `AWS/Lambda` is not a CloudWatch namespace
     --> fleet.yaml:3:23
      |
    3 | metrics: { namespace: AWS/Lambda, detail: all }
      |                       ^^^^^^^^^^
      |
      = hint: 1 to 255 of A-Z a-z 0-9 . - _ / # : and space, not beginning with `AWS/` or `:`

    error: `all` is not `fleet` or `function`
     --> fleet.yaml:3:43
      |
    3 | metrics: { namespace: AWS/Lambda, detail: all }
      |                                           ^^^
    "#);
}

#[test]
fn downloads() {
    assert_snapshot!(wrong_function("downloads: [{ object: \"s3://models/a\", size: 220MB }]"), @r#"
    error: the key `route` is missing
     --> fleet.yaml:6:17
      |
    6 |     downloads: [{ object: "s3://models/a", size: 220MB }]
      |                 ^
      |
      = hint: the route decides the price, so there is no default: same-region, nat-gateway, interface-endpoint, inter-region or internet
    "#);
    assert_snapshot!(wrong_function("downloads: [{ object: models/a, size: 220mb, route: nat, per: cold_start }]"), @r#"
    error: `models/a` is not an object in S3
     --> fleet.yaml:6:27
      |
    6 |     downloads: [{ object: models/a, size: 220mb, route: nat, per: cold_start }]
      |                           ^^^^^^^^
      |
      = hint: write `s3://bucket/key`

    error: `220mb` is not a size
     --> fleet.yaml:6:43
      |
    6 |     downloads: [{ object: models/a, size: 220mb, route: nat, per: cold_start }]
      |                                           ^^^^^
      |
      = hint: write `220MB`

    error: `nat` is not a route
     --> fleet.yaml:6:57
      |
    6 |     downloads: [{ object: models/a, size: 220mb, route: nat, per: cold_start }]
      |                                                         ^^^
      |
      = hint: it is one of `same-region`, `nat-gateway`, `interface-endpoint`, `inter-region`, `internet`

    error: `cold_start` is not `cold-start` or `ping`
     --> fleet.yaml:6:67
      |
    6 |     downloads: [{ object: models/a, size: 220mb, route: nat, per: cold_start }]
      |                                                                   ^^^^^^^^^^
      |
      = hint: did you mean `cold-start`?
    "#);
    assert_snapshot!(wrong_function("downloads: [{ object: \"s3://models/a\", size: 220, route: inter-region }, { object: \"s3://models/a\", size: 1.5B, route: internet, bucket_region: eu-west-1 }]"), @r#"
    error: `220` has no unit
     --> fleet.yaml:6:50
      |
    6 |     downloads: [{ object: "s3://models/a", size: 220, route: inter-region }, { object: "s3://models/a", size: 1.5B, route: internet, ...
      |                                                  ^^^
      |
      = hint: sizes are a number and a unit: 220MB (10^6 bytes) or 210MiB (2^20 bytes)

    error: `1.5B` is not a whole number of bytes
     --> fleet.yaml:6:111
      |
    6 |     downloads: [{ object: "s3://models/a", size: 220, route: inter-region }, { object: "s3://models/a", size: 1.5B, route: internet, ...
      |                                                                                                               ^^^^
      |
      = hint: sizes are a number and a unit: 220MB (10^6 bytes) or 210MiB (2^20 bytes)

    error: `bucket_region` goes with the route `inter-region` only
     --> fleet.yaml:6:149
      |
    6 | ...s3://models/a", size: 1.5B, route: internet, bucket_region: eu-west-1 }]
      |                                                                ^^^^^^^^^
      |
      = hint: the other routes do not ask where the bucket is
    "#);
    assert_snapshot!(wrong_function("downloads: { object: \"s3://models/a\", size: 220MB, route: internet }"), @r#"
    error: a list belongs here, not a map
     --> fleet.yaml:6:16
      |
    6 |     downloads: { object: "s3://models/a", size: 220MB, route: internet }
      |                ^
      |
      = hint: put `- ` before each item
    "#);
}
