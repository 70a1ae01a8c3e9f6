//! Quantities and downloads.

use insta::assert_snapshot;

use super::*;

#[test]
fn quantities() {
    assert_snapshot!(function_errors("interval: 90s"), @r#"
    error: expected whole minutes, found "90s"
     --> fleet.yaml:6:15
      |
    6 |     interval: 90s
      |               ^^^
      |
      = hint: write `1m` or `2m`
    "#);
    assert_snapshot!(function_errors("interval: 5"), @r#"
    error: expected a duration with a unit, found "5"
     --> fleet.yaml:6:15
      |
    6 |     interval: 5
      |               ^
      |
      = hint: write `5m`
    "#);
    assert_snapshot!(function_errors("interval: 25h"), @r#"
    error: expected a duration from 1m to 1d, found "25h"
     --> fleet.yaml:6:15
      |
    6 |     interval: 25h
      |               ^^^
    "#);
    assert_snapshot!(function_errors("interval: 5min"), @r#"
    error: expected a duration, found "5min"
     --> fleet.yaml:6:15
      |
    6 |     interval: 5min
      |               ^^^^
      |
      = hint: write a whole number and a unit, such as `75ms`, `90s`, `5m`, `2h` or `7d`
    "#);
    assert_snapshot!(function_errors("interval: 30s"), @r#"
    error: expected a duration from 1m to 1d, found "30s"
     --> fleet.yaml:6:15
      |
    6 |     interval: 30s
      |               ^^^
    "#);
    assert_snapshot!(function_errors("timeout: 16m"), @r#"
    error: expected a duration from 1s to 15m, found "16m"
     --> fleet.yaml:6:14
      |
    6 |     timeout: 16m
      |              ^^^
    "#);
    assert_snapshot!(function_errors("hold: automatic"), @r#"
    error: expected a duration, found "automatic"
     --> fleet.yaml:6:11
      |
    6 |     hold: automatic
      |           ^^^^^^^^^
      |
      = hint: write a whole number and a unit, such as `75ms`, `90s`, `5m`, `2h` or `7d`
    "#);
    assert_snapshot!(function_errors("memory: 1024"), @r#"
    error: expected a memory size with a unit, found "1024"
     --> fleet.yaml:6:13
      |
    6 |     memory: 1024
      |             ^^^^
      |
      = hint: write `1024MB`
    "#);
    assert_snapshot!(function_errors("memory: 1GB"), @r#"
    error: expected a memory size from 128MB to 10240MB, found "1GB"
     --> fleet.yaml:6:13
      |
    6 |     memory: 1GB
      |             ^^^
      |
      = hint: write the memory in Lambda's MB, such as `1024MB`
    "#);
    assert_snapshot!(function_errors("memory: 64MB"), @r#"
    error: expected a memory size from 128MB to 10240MB, found "64MB"
     --> fleet.yaml:6:13
      |
    6 |     memory: 64MB
      |             ^^^^
      |
      = hint: write the memory in Lambda's MB, such as `1024MB`
    "#);
    assert_snapshot!(function_errors("architecture: arm"), @r#"
    error: expected "x86_64" or "arm64", found "arm"
     --> fleet.yaml:6:19
      |
    6 |     architecture: arm
      |                   ^^^
    "#);
    assert_snapshot!(function_errors("spare: -1"), @r"
    error: expected a whole number from 0 to 100000, found -1
     --> fleet.yaml:6:12
      |
    6 |     spare: -1
      |            ^^
    ");
    assert_snapshot!(errors("version: 1\nlimits: { max_in_flight: 010 }\nmetrics: { namespace: AWS/Lambda, detail: all }\n"), @r#"
    error: expected a whole number from 1 to 100000, found 010
     --> fleet.yaml:2:26
      |
    2 | limits: { max_in_flight: 010 }
      |                          ^^^

    error: expected a CloudWatch namespace, found "AWS/Lambda"
     --> fleet.yaml:3:23
      |
    3 | metrics: { namespace: AWS/Lambda, detail: all }
      |                       ^^^^^^^^^^
      |
      = hint: use 1 to 255 of A-Z a-z 0-9 . - _ / # : and space, not beginning with `AWS/` or `:`

    error: expected "fleet" or "function", found "all"
     --> fleet.yaml:3:43
      |
    3 | metrics: { namespace: AWS/Lambda, detail: all }
      |                                           ^^^
    "#);
}

#[test]
fn downloads() {
    assert_snapshot!(function_errors("downloads: [{ object: \"s3://models/a\", size: 220MB }]"), @r#"
    error: missing key "route"
     --> fleet.yaml:6:17
      |
    6 |     downloads: [{ object: "s3://models/a", size: 220MB }]
      |                 ^
      |
      = hint: add `route` with same-region, nat-gateway, interface-endpoint, inter-region or internet: it decides the price, so there is no default
    "#);
    assert_snapshot!(function_errors("downloads: [{ object: models/a, size: 220mb, route: nat, per: cold_start }]"), @r#"
    error: expected an object in S3, found "models/a"
     --> fleet.yaml:6:27
      |
    6 |     downloads: [{ object: models/a, size: 220mb, route: nat, per: cold_start }]
      |                           ^^^^^^^^
      |
      = hint: write `s3://bucket/key`

    error: expected a size, found "220mb"
     --> fleet.yaml:6:43
      |
    6 |     downloads: [{ object: models/a, size: 220mb, route: nat, per: cold_start }]
      |                                           ^^^^^
      |
      = hint: write `220MB`

    error: expected one of "same-region", "nat-gateway", "interface-endpoint", "inter-region", "internet", found "nat"
     --> fleet.yaml:6:57
      |
    6 |     downloads: [{ object: models/a, size: 220mb, route: nat, per: cold_start }]
      |                                                         ^^^

    error: expected "cold-start" or "ping", found "cold_start"
     --> fleet.yaml:6:67
      |
    6 |     downloads: [{ object: models/a, size: 220mb, route: nat, per: cold_start }]
      |                                                                   ^^^^^^^^^^
      |
      = hint: did you mean `cold-start`?
    "#);
    assert_snapshot!(function_errors("downloads: [{ object: \"s3://models/a\", size: 220, route: inter-region }, { object: \"s3://models/a\", size: 1.5B, route: internet, bucket_region: eu-west-1 }]"), @r#"
    error: expected a size with a unit, found "220"
     --> fleet.yaml:6:50
      |
    6 |     downloads: [{ object: "s3://models/a", size: 220, route: inter-region }, { object: "s3://models/a", size: 1.5B, route: internet, ...
      |                                                  ^^^
      |
      = hint: write a number and a unit: `220MB` (10^6 bytes) or `210MiB` (2^20 bytes)

    error: expected a whole number of bytes, found "1.5B"
     --> fleet.yaml:6:111
      |
    6 |     downloads: [{ object: "s3://models/a", size: 220, route: inter-region }, { object: "s3://models/a", size: 1.5B, route: internet, ...
      |                                                                                                               ^^^^
      |
      = hint: write a number and a unit: `220MB` (10^6 bytes) or `210MiB` (2^20 bytes)

    error: "bucket_region" requires the route "inter-region"
     --> fleet.yaml:6:149
      |
    6 | ...s3://models/a", size: 1.5B, route: internet, bucket_region: eu-west-1 }]
      |                                                                ^^^^^^^^^
      |
      = hint: remove it, or change the route
    "#);
    assert_snapshot!(function_errors("downloads: { object: \"s3://models/a\", size: 220MB, route: internet }"), @r#"
    error: expected a list, found a map
     --> fleet.yaml:6:16
      |
    6 |     downloads: { object: "s3://models/a", size: 220MB, route: internet }
      |                ^
      |
      = hint: put `- ` before each item
    "#);
}
