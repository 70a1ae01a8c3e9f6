use std::time::Duration;

use super::super::fault::{Fault, FaultKind, When};
use super::super::profile::{
    Ahead, Handler, HoldBehavior, Ids, LogFormat, Preset, Profile, Span, Unrecognized,
};
use super::*;

fn error(text: &str) -> String {
    parse("functions.yaml", text).unwrap_err().to_string()
}

#[test]
fn every_key_is_read() {
    let scenario = parse(
        "functions.yaml",
        r#"
account: { id: "210987654321", concurrency: 100, in_use_by_others: 30 }
reads: { rate: 15, faults: { GetFunction: [{ fault: answer, body: { Code: ~ } }] } }
seed: 7
speed: 60
max_concurrent_streams: 100
default: { profile: rust }
profiles:
  slow: { profile: python, init: 3s..4s, memory: 1024MB }
functions:
  ocr: { profile: container-image, reserved: 20, aliases: { live: 7, blue: { 7: 0.9, 8: 0.1 } } }
  flaky:
    profile: slow
    code: 7
    runtime: ruby3.4
    memory: 2048
    package: image
    fetch: 1.5s
    init_limit: 10s
    restore: 400ms
    ahead: { share: 0.7, by: 50ms..5s }
    duration: 1s
    ping: 2ms
    handler: opennext
    unrecognized: KeyError
    provisioned: 4
    provisioned_on: [live, 8]
    denied_on: [9]
    prepare: 90s
    provisioned_fails: INIT
    moving: 60s
    inactive: 30s
    versions: { 8: { code: b }, 9: { profile: rust } }
    hold: 40ms
    extension: 20ms..30ms
    ids: invocations
    at_once: 10
    timeout: 3s
    idle_life: 5m
    recycle_after: 2h
    code_life: 1h
    network: { median: 15ms, sigma: 0.6 }
    log: json
    xray: true
    chatter: 5000
    configuration: { DurableConfig: { ExecutionTimeout: 60 } }
    faults:
      - { fault: throttle, first: 3, reason: CallerRateLimitExceeded }
      - { fault: slow, by: 2s, every: 10 }
      - { fault: function-error, type: Runtime.ExitError, probability: 0.01 }
      - { fault: refuse, status: 502, code: ENILimitReachedException }
      - { fault: foreign-report, every: 5 }
changes:
  - { after: 2m, functions: { flaky: ~, ocr: { profile: slow, reserved: 7 } } }
  - { after: 1m, account: { concurrency: 50 }, default: { memory: 1024 }, metrics: { faults: [] } }
metrics: { faults: [{ fault: service-error, first: 1 }] }
events: { faults: [{ fault: fail-entry, every: 2 }] }
"#,
    )
    .unwrap();
    assert_eq!((scenario.account.id.as_str(), scenario.account.concurrency), ("210987654321", 100));
    assert_eq!((scenario.seed, scenario.speed, scenario.max_concurrent_streams), (7, 60.0, 100));
    assert_eq!(scenario.default.as_ref().map(|profile| profile.memory_mb), Some(128));
    assert_eq!(scenario.unreserved(), 80);
    let ocr = &scenario.functions["ocr"];
    assert_eq!(ocr.fetch, Profile::container_image().fetch);
    assert_eq!(ocr.aliases["live"][0].version, "7");
    assert_eq!(ocr.aliases["blue"].iter().map(|route| route.weight).collect::<Vec<_>>(), [0.9, 0.1]);

    let flaky = &scenario.functions["flaky"];
    assert_eq!(flaky.init, Span::between(Duration::from_secs(3), Duration::from_secs(4)));
    assert_eq!((flaky.memory_mb, flaky.fetch), (2048, Span::millis(1500)));
    assert_eq!((flaky.handler, flaky.log), (Handler::Only(Preset::OpenNext), LogFormat::Json));
    assert_eq!(flaky.hold, HoldBehavior::Fixed(Duration::from_millis(40)));
    assert_eq!(flaky.extension, Span::between(Duration::from_millis(20), Duration::from_millis(30)));
    let by = Span::between(Duration::from_millis(50), Duration::from_secs(5));
    assert_eq!(flaky.ahead, Some(Ahead { share: 0.7, by }));
    assert_eq!((flaky.ids, flaky.at_once.get()), (Ids::Invocations, 10));
    assert_eq!(flaky.faults[4], Fault::every(5, FaultKind::ForeignReport));
    assert_eq!(flaky.network.median, Duration::from_millis(15));
    assert_eq!(flaky.configuration["DurableConfig"]["ExecutionTimeout"], 60);
    let crash = FaultKind::FunctionError { error_type: "Runtime.ExitError".to_owned() };
    assert_eq!(flaky.faults[1], Fault::every(10, FaultKind::Slow { by: Duration::from_secs(2) }));
    assert_eq!(flaky.faults[2], Fault { kind: crash, when: When::Probability(0.01) });
    assert!(
        matches!(&flaky.faults[3].kind, FaultKind::Refuse { status: 502, code, .. } if code == "ENILimitReachedException")
    );
    assert_eq!((scenario.metrics.len(), scenario.events.len()), (1, 1));
    assert_eq!((flaky.code.as_str(), flaky.runtime.as_deref()), ("7", Some("ruby3.4")));
    assert_eq!(flaky.unrecognized, Unrecognized::Fail("KeyError".to_owned()));
    assert_eq!((flaky.provisioned, flaky.provisioned_on.join(" ").as_str()), (Some(4), "live 8"));
    assert_eq!(flaky.denied_on, ["9"]);
    assert_eq!((flaky.prepare.as_secs(), flaky.inactive), (90, Some(Duration::from_secs(30))));
    let version =
        |version: &str| (flaky.of_version(version).code.as_str(), flaky.of_version(version).memory_mb);
    assert_eq!([version("7"), version("8"), version("9")], [("7", 2048), ("b", 2048), ("", 128)]);
    assert_eq!((scenario.account.in_use_by_others, scenario.reads.rate), (30, Some(15)));
    assert_eq!(scenario.provisioned(), 8, "two qualifiers of `flaky`");
    assert_eq!((flaky.provisioned_fails.as_deref(), flaky.moving.as_secs()), (Some("INIT"), 60));

    let mut changed = scenario.clone();
    assert_eq!(scenario.changes.iter().map(|change| change.after.as_secs()).collect::<Vec<_>>(), [60, 120]);
    for timed in &scenario.changes {
        (timed.make)(&mut changed);
    }
    assert_eq!((changed.account.concurrency, changed.account.in_use_by_others), (50, 30));
    assert_eq!(changed.default.as_ref().map(|profile| profile.memory_mb), Some(1024));
    assert_eq!(changed.functions.keys().collect::<Vec<_>>(), ["ocr"]);
    let ocr = &changed.functions["ocr"];
    assert_eq!((ocr.memory_mb, ocr.reserved, ocr.aliases.len()), (1024, Some(7), 0), "it begins with `slow`");
    assert_eq!((changed.metrics.len(), changed.events.len()), (0, 1));
}

#[test]
fn without_a_default_other_functions_do_not_exist() {
    assert!(parse("f", "functions: { a: {} }").unwrap().profile("b").is_none());
    assert!(parse("f", "functions: { a: {} }\ndefault: {}").unwrap().profile("b").is_some());
}

#[test]
fn errors_have_a_location() {
    insta::assert_snapshot!(error("functions:\n  a: { memry: 128 }"), @"functions.yaml:2:8: unknown field `memry`, expected one of profile, versions, code, runtime, memory, package, fetch, init, init_limit, restore, ahead, duration, ping, handler, unrecognized, hold, extension, ids, at_once, timeout, idle_life, recycle_after, code_life, network, reserved, provisioned, provisioned_on, denied_on, prepare, provisioned_fails, moving, inactive, aliases, log, xray, chatter, faults, configuration");
    insta::assert_snapshot!(error("functions:\n  a:\n    profile: pyhton"), @r#"functions.yaml:3:14: unknown profile "pyhton"; known profiles: python, node, rust, java, java-snapstart, container-image, model-download, model-serving"#);
    insta::assert_snapshot!(error("functions:\n  a:\n    init: 5 parsecs"), @r#"functions.yaml:3:11: expected a duration such as 250ms, 1.5s, 5m or 2h, found "5 parsecs""#);
    insta::assert_snapshot!(error("functions:\n  a:\n    faults:\n      - { fault: slow }"), @"functions.yaml:4:9: `slow` requires `by`, a duration");
    insta::assert_snapshot!(error("functions:\n  a:\n    handler: nobody"), @r#"functions.yaml:3:14: expected any, none, warmd, serverless-plugin-warmup, lambda-warmer, lambda-warmer-py, opennext, bref, vapor or thundra, found "nobody""#);
    insta::assert_snapshot!(error("speed: 0"), @"functions.yaml:1:8: expected a speed above 0, found 0");
}

#[test]
fn invalid_values_are_refused() {
    for text in [
        "functions: { a: { memory: 64 } }",
        "functions: { a: { init: 4s..3s } }",
        "functions: { a: { faults: [{ fault: throttle, first: 1, every: 2 }] } }",
        "functions: { a: { faults: [{ fault: throttle, by: 2s }] } }",
        "functions: { a: { faults: [{ fault: throttle, every: 0 }] } }",
        "functions: { a: { faults: [{ fault: throttle, probability: 1.5 }] } }",
        "functions: { a: { faults: [{ fault: refuse }] } }",
        "functions: { a: { at_once: 0 } }",
        "functions: { a: { ahead: { share: 1.1, by: 1s } } }",
        "functions: { a: { ahead: { share: 1 } } }",
        "functions: { a: { ids: runs } }",
        "functions: { a: { faults: [{ fault: refuse, status: 200 }] } }",
        "functions: { a: {}, a: {} }",
        "speed: .inf",
        "changes: [{ functions: {} }]",
        "changes: [{ after: 1m, seed: 3 }]",
        "changes: [{ after: 1m, functions: { a: { profile: none } } }]",
        "reads: { faults: { GetFunction: [{ fault: answer }] } }",
        "reads: { faults: { DeleteFunction: [] } }",
    ] {
        assert!(parse("f", text).is_err(), "{text}");
    }
}
