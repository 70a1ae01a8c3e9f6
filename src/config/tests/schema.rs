//! The JSON Schema: its copy is current, and it agrees with the parser.

use std::fs;

use serde_json::Value;

use super::examples::directory;
use super::validator::Validator;
use super::*;

fn validator() -> Validator {
    Validator::new(schema())
}

fn json(text: &str) -> Value {
    // Editors use YAML 1.2, in which `yes` is a text.
    serde_yaml::from_str_with_options(text, serde_yaml::options! { strict_booleans: true }).unwrap()
}

#[test]
fn the_copy_beside_the_examples_is_current() {
    let path = directory().join("schema.json");
    if std::env::var_os("WARMD_UPDATE_SCHEMA").is_some() {
        fs::write(&path, schema_text()).unwrap();
    }
    let copy = fs::read_to_string(&path).unwrap_or_default().replace("\r\n", "\n");
    assert!(
        copy == schema_text(),
        "warm-configs/schema.json is out of date: run `cargo run -- schema > warm-configs/schema.json` \
         (or this test with WARMD_UPDATE_SCHEMA=1)"
    );
}

#[test]
fn every_map_is_closed_and_every_key_has_a_description() {
    fn walk(value: &Value, maps: &mut usize) {
        if let Some(properties) = value.get("properties").and_then(Value::as_object) {
            *maps += 1;
            assert_eq!(value.get("additionalProperties"), Some(&Value::Bool(false)), "{value:#}");
            for (key, property) in properties {
                assert!(property.get("description").is_some(), "{key} has no description");
            }
        }
        match value {
            Value::Array(items) => items.iter().for_each(|item| walk(item, maps)),
            Value::Object(map) => map.values().for_each(|item| walk(item, maps)),
            _ => {}
        }
    }
    let mut maps = 0;
    walk(&schema(), &mut maps);
    assert_eq!(maps, 25);
}

#[test]
fn the_examples_are_valid() {
    let validator = validator();
    for entry in fs::read_dir(directory()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "yaml") {
            let document = json(&fs::read_to_string(&path).unwrap());
            let errors = validator.errors(&document);
            assert!(errors.is_empty(), "{}: {errors:#?}", path.display());
        }
    }
}

/// Returns a file with one function that is valid without `keys`.
fn function(keys: &str) -> String {
    format!("{IN_FUNCTION}{keys}\n")
}

/// Returns a file with one pipeline of these stages.
fn pipeline(stages: &str) -> String {
    format!(
        "version: 1\npipelines:\n  p:\n    region: eu-west-2\n    timezone: UTC\n    enabled: true\n    owner: 5\n    lead: 5m\n    windows: [{{ days: daily, hours: all-day, load: {{ requests_per_second: 1 }} }}]\n    on_request: {{ max_concurrency: 1, max_for: 1h }}\n    backlog: {{ metric: {{ namespace: a, name: b, dimensions: {{}} }}, max: 1, drain: 1m }}\n    stages: [{stages}]\n"
    )
}

fn window(keys: &str) -> String {
    format!(
        "version: 1\ncalendars: {{ c: {{ dates: [2026-12-25] }} }}\nfunctions:\n  f:\n    region: eu-west-2\n    windows: [{{ {keys} }}]\n"
    )
}

#[test]
fn schema_and_parser_accept_the_same() {
    let validator = validator();
    let good = [
        "version: 1\n".to_owned(),
        "version: 1\nlimits: { max_in_flight: 1 }\nmetrics: { namespace: a/b, detail: function }\n".to_owned(),
        "version: 1\ncalendars: { a: { from: 2026-01-01, through: 2026-01-02 } }\n".to_owned(),
        "version: 1\nwindows: { w: { days: daily, lead: 5m } }\n".to_owned(),
        "version: 1\ndefaults: { regions: [eu-west-2], timezone: Asia/Kolkata, interval: 5m, protocol: bref, hold: auto, owner: 5, lead: 0s, spare: 0, stagger: true, architecture: arm64, memory: 128MB, timeout: 15m }\n".to_owned(),
        "version: 1\nprices: { nat-gateway.gb: 0.03, lambda.requests: \"0.0000002\", ec2.m7g.xlarge: { price: 0.1, region: us-east-1, date: 2026-10-01, source: contract }, transfer.internet: [{ regions: [us-east-1], tiers: [{ up_to: 10240, price: 0.08 }, { price: 0.07 }] }] }\n".to_owned(),
        function("assume: { idle_life: 5m, recycle_after: 2h, ping_duration: 5ms, init_duration: 0s, log_bytes_per_ping: 0, semi_cold_below: 900ms, requests_per_second: 0.5, duration: 2s }"),
        "version: 1\nlimits: { keep_history: 4000d }\ndefaults: { slo: { coverage: 99% } }\nbudget: { monthly_usd: 25 }\nowners: { a b: { budget: { monthly_usd: \"0.5\", on_exceed: warn } } }\n".to_owned(),
        function("slo: { coverage: 99.9999 %, over: 400d }\n    budget: { monthly_usd: 0.01, on_exceed: stop, stop_capacity: true }"),
        function("hold: 75ms\n    interval: 24h"),
        function("on_request: { max_concurrency: 1, max_for: 1h, hold_for: 90s }\n    backlog: { metric: { namespace: AWS/SQS, name: a b, dimensions: { \"a b\": c, d: 5 }, statistic: SampleCount }, rate: 0.5, drain: 10s, max: 1 }"),
        pipeline("{ function: \"a:$LATEST\", rate: 1, takes: 20, per_backlog: 6000, payload: 2MB, via: s3, route: inter-region, bucket_region: eu-west-1 }, { parts: [b, c:live], rate: \"0.5\", payload: 2MB, source: sync }"),
        pipeline("{ function: \"arn:aws:lambda:eu-west-2:123456789012:function:f:3\", rate: 1 }"),
        "version: 1\ncapacity: { owner: a-B_3.c }\ndefaults: { strategy: provisioned, provisioned: { by: direct, fallback: none }, managed: { floor: 0, max: 15000 } }\n".to_owned(),
        "version: 1\ndefaults: { strategy: managed, provisioned: { by: autoscaling, max: 50, utilization: 0.7, fallback: pings } }\n".to_owned(),
        function("tenants: [a, \"b c\", \"d:e/f=g+h-i@j.k_l\"]"),
        function("hold: 1 s\n    interval: 1d"),
        function("protocol: custom\n    payload: [1, { a: null }]"),
        function("downloads: [{ object: \"s3://abc/d\", size: 1.5 GiB, route: inter-region, bucket_region: eu-west-1 }]"),
        window("days: MON-Fri, hours: \"22:00-06:00\", concurrency: 1"),
        window("days: \"sat - mon, wednesday,daily\", hours: \"00:00-24:00\", concurrency: 1"),
        window("days: [tue, thurs-sat], hours: All-Day, concurrency: 1, only: [c], except: [c]"),
        window("dates: [2026-11-27], hours: all-day, load: { requests_per_second: 0.5, duration: 250ms }"),
        window("cron: \"30 7 * * mon-fri\", for: 2h, load: { requests_per_second: 5, per_environment: 2 }, ramp_up: 1m, ramp_down: 1m, from: 2026-01-01, enabled: false"),
    ];
    for text in good {
        valid(&text);
        let document = json(&text);
        assert!(validator.is_valid(&document), "{text}{:?}", validator.errors(&document).first());
    }
    let bad = [
        function("slo: { coverage: 100% }"),
        function("slo: { coverage: 99.99999% }"),
        function("slo: { over: 28d }"),
        function("budget: { monthly_usd: 0 }"),
        function("budget: { on_exceed: stop }"),
        function("on_request: { max_concurrency: 1, max_for: 1h, hold_for: 5 }"),
        function("backlog: { metric: { namespace: a, name: b }, rate: 1, drain: 1m }"),
        function("backlog: { metric: { namespace: \":a\", name: b }, rate: 1, drain: 1m, max: 1 }"),
        function("backlog: { metric: { namespace: a, name: \"\" }, rate: 1, drain: 1m, max: 1 }"),
        function("backlog: { metric: { namespace: a, name: b, statistic: p99 }, rate: 1, drain: 1m, max: 1 }"),
        function("backlog: { metric: { namespace: a, name: b, dimensions: { \":a\": b } }, rate: 1, drain: 1m, max: 1 }"),
        function("backlog: { metric: { namespace: a, name: b, dimensions: { a: é } }, rate: 1, drain: 1m, max: 1 }"),
        pipeline(""),
        pipeline("{ function: a }"),
        pipeline("{ function: \"a:b:c\", rate: 1 }"),
        pipeline("{ parts: [a b, c], rate: 1 }"),
        pipeline("{ function: a, rate: 0 }"),
        pipeline("{ function: a, rate: 1, takes: 0 }"),
        pipeline("{ function: a, rate: 1, payload: 1MB, source: sqs }"),
        pipeline("{ function: a, rate: 1, payload: 1MB, via: efs }"),
        "version: 1\npipelines: { p: { region: eu-west-2, on_request: { max_concurrency: 1, max_for: 1h } } }\n".to_owned(),
        pipeline("{ function: a, rate: 1 }").replace("  p:\n", "  nlp.v2:\n"),
        pipeline("{ function: a, rate: 1 }").replace("  p:\n", &format!("  {}:\n", "p".repeat(65))),
        "limits: {}\n".to_owned(),
        "version: 2\n".to_owned(),
        "version: \"1\"\n".to_owned(),
        "version: 1\npricing: {}\n".to_owned(),
        "version: 1\nprices: [1]\n".to_owned(),
        "version: 1\nprices: { nat-gateway.bg: 0.03 }\n".to_owned(),
        "version: 1\nprices: { nat-gateway.gb: -1 }\n".to_owned(),
        "version: 1\nprices: { nat-gateway.gb: cheap }\n".to_owned(),
        "version: 1\nprices: { nat-gateway.gb: { price: 1, regoin: eu-west-2 } }\n".to_owned(),
        function("assume: { idle_life: 5 }"),
        function("assume: { log_bytes_per_ping: -1 }"),
        function("assume: { memory: 128MB }"),
        function("assume: { semi_cold_below: 900 }"),
        "version: 1\nfunctions: []\n".to_owned(),
        "version: 1\nfunctions: { f: }\n".to_owned(),
        "version: 1\nlimits: { max_in_flight: 0 }\n".to_owned(),
        "version: 1\nlimits: { max_in_flight: 1.5 }\n".to_owned(),
        "version: 1\nmetrics: { namespace: AWS/Lambda }\n".to_owned(),
        "version: 1\nmetrics: { detail: all }\n".to_owned(),
        "version: 1\ncalendars: { a: { dates: [] } }\n".to_owned(),
        "version: 1\ncalendars: { a: { dates: [12-25] } }\n".to_owned(),
        "version: 1\ncalendars: { a: { file: a.csv } }\n".to_owned(),
        "version: 1\nwindows: { w: { use: x } }\n".to_owned(),
        "version: 1\ndefaults: { windows: [] }\n".to_owned(),
        "version: 1\ndefaults: { timezone: IST }\n".to_owned(),
        "version: 1\ndefaults: { region: [eu-west-2] }\n".to_owned(),
        "version: 1\ndefaults: { region: london }\n".to_owned(),
        "version: 1\ndefaults: { stagger: yes }\n".to_owned(),
        "version: 1\ndefaults: { owner: [a] }\n".to_owned(),
        function("hold: automatic"),
        function("interval: 5"),
        function("interval: 2w"),
        function("memory: 1024"),
        function("memory: 1GB"),
        function("architecture: arm"),
        function("protocol: nothing"),
        function("spare: -1"),
        "version: 1\ncapacity: { owner: \"my team\" }\n".to_owned(),
        "version: 1\ncapacity: { owner: 7 }\n".to_owned(),
        "version: 1\ndefaults: { strategy: provision }\n".to_owned(),
        "version: 1\ndefaults: { provisioned: { by: hand } }\n".to_owned(),
        "version: 1\ndefaults: { provisioned: { max: 0 } }\n".to_owned(),
        "version: 1\ndefaults: { provisioned: { utilization: 0.95 } }\n".to_owned(),
        "version: 1\ndefaults: { provisioned: { utilization: \"0.7\" } }\n".to_owned(),
        "version: 1\ndefaults: { provisioned: { fallback: nothing } }\n".to_owned(),
        "version: 1\ndefaults: { managed: { floor: 15001 } }\n".to_owned(),
        "version: 1\ndefaults: { managed: { max: 0 } }\n".to_owned(),
        function("tenants: []"),
        function("tenants: a"),
        function("tenants: [\" a\"]"),
        function("tenants: [\"a,b\"]"),
        function("tenants: [7]"),
        "version: 1\ndefaults: { tenants: [a] }\n".to_owned(),
        function("enabled: 1"),
        function("downloads: [{ object: \"s3://abc/d\", size: 1MB }]"),
        function("downloads: [{ object: abc/d, size: 1MB, route: internet }]"),
        function("downloads: [{ object: \"s3://abc/d\", size: 1 mb, route: internet }]"),
        function("downloads: [{ object: \"s3://abc/d\", size: 1MB, route: vpn }]"),
        function("downloads: [{ object: \"s3://abc/d\", size: 1MB, route: internet, per: hour }]"),
        window("days: dayly, hours: all-day, concurrency: 1"),
        window("days: [], hours: all-day, concurrency: 1"),
        window("days: daily, hours: \"08:00-25:00\", concurrency: 1"),
        window("days: daily, hours: \"08:00\", concurrency: 1"),
        window("days: daily, hours: \"24:00-06:00\", concurrency: 1"),
        window("days: daily, hours: all-day, concurrency: 0"),
        window("days: daily, hours: all-day, concurrency: \"1\""),
        window("days: daily, hours: all-day, concurrency: 1, except: c"),
        window("days: daily, hours: all-day, load: { duration: 1s }"),
        window("days: daily, hours: all-day, load: { requests_per_second: 0, duration: 1s }"),
        window("cron: 5, for: 2h, concurrency: 1"),
    ];
    for text in bad {
        errors(&text);
        assert!(!validator.is_valid(&json(&text)), "the schema accepts {text}");
    }
}
