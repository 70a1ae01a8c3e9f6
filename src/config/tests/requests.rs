//! Warm Requests, roles, and how pings are sent.

use std::time::Duration;

use super::*;
use crate::domain::fleet::{HttpVersions, OnRequest, Sign, Trace};

#[test]
fn a_function_may_be_warmed_on_request_alone() {
    let loaded = sound(
        "version: 1\nlimits: { sign: ping, http: http1 }\ndefaults:\n  trace: inherit\n  region: eu-west-2\n  role_arn: arn:aws:iam::123456789012:role/path/warmd\n  external_id: e-1\nfunctions:\n  nlp:live:\n    on_request: { max_concurrency: 5, max_for: 30m }\n  other:\n    trace: off\n    role_arn: arn:aws:iam::210987654321:role/w\n    on_request: { max_concurrency: 5, max_for: 1h, coalesce: 10s }\n  off:\n    enabled: false\n    on_request: { max_concurrency: 5, max_for: 1h }\n",
    );
    let [nlp, other, off] = &loaded.fleet.targets[..] else { panic!("three targets") };
    let rule = OnRequest {
        max_concurrency: 5,
        max_for: Duration::from_secs(1_800),
        coalesce: Duration::from_secs(60),
    };
    assert_eq!((nlp.on_request, nlp.windows.len()), (Some(rule), 0));
    assert_eq!(other.on_request.unwrap().coalesce, Duration::from_secs(10));
    assert_eq!(off.on_request, None, "disabled for requests too");
    let role = |target: &crate::domain::fleet::Target| {
        let role = target.role.clone().unwrap();
        (role.arn.clone(), role.external_id.clone())
    };
    assert_eq!(role(nlp), ("arn:aws:iam::123456789012:role/path/warmd".to_owned(), Some("e-1".to_owned())));
    assert_eq!(role(other).1, None, "the external id of the defaults belongs to the role of the defaults");
    let wire = loaded.fleet.limits.wire;
    assert_eq!((wire.sign, wire.http), (Sign::Ping, HttpVersions::Http1));
    assert_eq!((nlp.trace, other.trace), (Trace::Inherit, Trace::Off));
}

#[test]
fn mistakes_in_requests_and_roles() {
    let first = |text: String| text.lines().next().unwrap_or_default().to_owned();
    for (keys, message) in [
        ("on_request: {}", "error: the key `max_concurrency` is missing"),
        ("on_request: { max_concurrency: 5 }", "error: the key `max_for` is missing"),
        (
            "on_request: { max_concurrency: 501, max_for: 5m }",
            "error: 501 environments are more than limits.max_in_flight (500)",
        ),
        ("on_request: { max_concurrency: 5, max_for: 90s }", "error: `90s` is not a whole number of minutes"),
        (
            "spare: 5\n    on_request: { max_concurrency: 5, max_for: 5m }",
            "error: `max_concurrency` must be above the 5 environments that are spare",
        ),
        ("role_arn: warmd", "error: `warmd` is not the ARN of a role"),
        ("role_arn: arn:aws:iam::123:role/x", "error: `arn:aws:iam::123:role/x` is not the ARN of a role"),
        ("external_id: e-1", "error: `external_id` goes with a `role_arn`"),
    ] {
        assert_eq!(first(wrong_function(keys)), message, "{keys}");
    }
}

#[test]
fn a_removed_key_gets_its_own_hint() {
    insta::assert_snapshot!(wrong("version: 1\nlimits: { prepare: dry-run }\n"), @r"
    error: the key `prepare` was removed
     --> fleet.yaml:2:11
      |
    2 | limits: { prepare: dry-run }
      |           ^^^^^^^
      |
      = hint: delete it: a DryRun on each connection made rounds slower, and connections are opened before the first ping anyway
    ");
}
