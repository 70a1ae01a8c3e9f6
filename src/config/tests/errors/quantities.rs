//! Quantities and downloads.

use super::*;

#[test]
fn quantities() {
    let cases = r#"
    interval: 90s
              ^^^ expected whole minutes, found "90s"
              = hint: write `1m` or `2m`
    interval: 5
              ^ expected a duration with a unit, found "5"
              = hint: write `5m`
    interval: 25h
              ^^^ expected a duration from 1m to 1d, found "25h"
    interval: 5min
              ^^^^ expected a duration, found "5min"
              = hint: write a whole number and a unit, such as `75ms`, `90s`, `5m`, `2h` or `7d`
    interval: 30s
              ^^^ expected a duration from 1m to 1d, found "30s"
    timeout: 16m
             ^^^ expected a duration from 1s to 15m, found "16m"
    hold: automatic
          ^^^^^^^^^ expected a duration, found "automatic"
          = hint: write a whole number and a unit, such as `75ms`, `90s`, `5m`, `2h` or `7d`
    memory: 1024
            ^^^^ expected a memory size with a unit, found "1024"
            = hint: write `1024MB`
    memory: 1GB
            ^^^ expected a memory size from 128MB to 10240MB, found "1GB"
            = hint: write the memory in Lambda's MB, such as `1024MB`
    memory: 64MB
            ^^^^ expected a memory size from 128MB to 10240MB, found "64MB"
            = hint: write the memory in Lambda's MB, such as `1024MB`
    architecture: arm
                  ^^^ expected "x86_64" or "arm64", found "arm"
    spare: -1
           ^^ expected a whole number from 0 to 100000, found -1
    "#;
    check_cases(IN_FUNCTION, cases);
    let document = r#"
    version: 1
    limits: { max_in_flight: 010 }
                             ^^^ expected a whole number from 1 to 100000, found 010
    metrics: { namespace: AWS/Lambda, detail: all }
                          ^^^^^^^^^^ expected a CloudWatch namespace, found "AWS/Lambda"
                          = hint: use 1 to 255 of A-Z a-z 0-9 . - _ / # : and space, not beginning with `AWS/` or `:`
                                              ^^^ expected "fleet" or "function", found "all"
    "#;
    check_document(document);
}

#[test]
fn downloads() {
    let cases = r#"
    downloads: [{ object: "s3://models/a", size: 220MB }]
                ^ missing key "route"
                = hint: add `route` with same-region, nat-gateway, interface-endpoint, inter-region or internet: it decides the price, so there is no default
    downloads: [{ object: models/a, size: 220mb, route: nat, per: cold_start }]
                          ^^^^^^^^ expected an object in S3, found "models/a"
                          = hint: write `s3://bucket/key`
                                          ^^^^^ expected a size, found "220mb"
                                          = hint: write `220MB`
                                                        ^^^ expected one of "same-region", "nat-gateway", "interface-endpoint", "inter-region", "internet", found "nat"
                                                                  ^^^^^^^^^^ expected "cold-start" or "ping", found "cold_start"
                                                                  = hint: did you mean `cold-start`?
    downloads: [{ object: "s3://models/a", size: 220, route: inter-region }, { object: "s3://models/a", size: 1.5B, route: internet, bucket_region: eu-west-1 }]
                                                 ^^^ expected a size with a unit, found "220"
                                                 = hint: write a number and a unit: `220MB` (10^6 bytes) or `210MiB` (2^20 bytes)
                                                                                                              ^^^^ expected a whole number of bytes, found "1.5B"
                                                                                                              = hint: write a number and a unit: `220MB` (10^6 bytes) or `210MiB` (2^20 bytes)
                                                                                                                                                    ^^^^^^^^^ "bucket_region" requires the route "inter-region"
                                                                                                                                                    = hint: remove it, or change the route
    downloads: { object: "s3://models/a", size: 220MB, route: internet }
               ^ expected a list, found a map
               = hint: put `- ` before each item
    "#;
    check_cases(IN_FUNCTION, cases);
}
