//! Warm Requests, roles, and the transport of pings.

use std::time::Duration;

use super::*;
use crate::domain::fleet::{HttpVersions, OnRequest, Sign, Trace};

#[test]
fn a_function_can_have_requests_without_windows() {
    let loaded = valid(
        "version: 1\nlimits: { sign: ping, http: http1 }\ndefaults:\n  trace: inherit\n  region: eu-west-2\n  role_arn: arn:aws:iam::123456789012:role/path/warmd\n  external_id: e-1\nfunctions:\n  nlp:live:\n    on_request: { max_concurrency: 5, max_for: 30m }\n  other:\n    trace: off\n    role_arn: arn:aws:iam::210987654321:role/w\n    on_request: { max_concurrency: 5, max_for: 1h, coalesce: 10s, hold_for: 10m }\n  off:\n    enabled: false\n    on_request: { max_concurrency: 5, max_for: 1h }\n",
    );
    let [nlp, other, off] = &loaded.fleet.targets[..] else { panic!("three targets") };
    let rule = OnRequest {
        max_concurrency: 5,
        max_for: Duration::from_secs(1_800),
        coalesce: Duration::from_secs(60),
        hold_for: crate::domain::backlog::DEFAULT_HOLD,
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
fn errors_in_requests_and_roles() {
    let first = |text: String| text.lines().next().unwrap_or_default().to_owned();
    for (keys, message) in [
        ("on_request: {}", "error: missing key \"max_concurrency\""),
        ("on_request: { max_concurrency: 5 }", "error: missing key \"max_for\""),
        (
            "on_request: { max_concurrency: 501, max_for: 5m }",
            "error: 501 environments exceed \"limits.max_in_flight\" (500)",
        ),
        ("on_request: { max_concurrency: 5, max_for: 90s }", "error: expected whole minutes, found \"90s\""),
        (
            "spare: 5\n    on_request: { max_concurrency: 5, max_for: 5m }",
            "error: \"max_concurrency\" must be above \"spare\" (5)",
        ),
        ("role_arn: warmd", "error: expected the ARN of a role, found \"warmd\""),
        (
            "role_arn: arn:aws:iam::123:role/x",
            "error: expected the ARN of a role, found \"arn:aws:iam::123:role/x\"",
        ),
        ("external_id: e-1", "error: \"external_id\" requires \"role_arn\""),
    ] {
        assert_eq!(first(function_errors(keys)), message, "{keys}");
    }
}

#[test]
fn a_removed_key_has_its_own_hint() {
    let cases = r#"
    limits: { prepare: dry-run }
              ^^^^^^^ the key "prepare" was removed
              = hint: remove it: connections are opened before the first ping without it
    "#;
    check_cases(IN_FILE, cases);
}
