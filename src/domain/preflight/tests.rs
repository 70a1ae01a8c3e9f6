use std::sync::Arc;

use chrono::TimeDelta;

use super::*;
use crate::domain::calendar::{DaySet, Hours, Opening, Window};
use crate::domain::fleet::{Fleet, Hold, Limits, OnRequest, Target};
use crate::domain::function::{FunctionRef, Identity, Qualifier, Tenant};
use crate::domain::protocol::Protocol;
use crate::domain::routing::{Routing, Weight};
use crate::domain::schedule::{Minute, Mode, plan_tick};

fn region() -> Region {
    Region::parse("eu-west-2").unwrap()
}

/// Returns a target with rounds of ten pings on request.
fn target(function: &str) -> Target {
    let hour = Duration::from_secs(3600);
    let on_request = OnRequest {
        max_concurrency: 10,
        max_for: hour,
        coalesce: Duration::from_secs(60),
        hold_for: crate::domain::backlog::DEFAULT_HOLD,
    };
    Target { on_request: Some(on_request), ..Target::bare(&FunctionRef::parse(function).unwrap(), region()) }
}

fn sound() -> TargetObservation {
    TargetObservation {
        invoke: Lookup::Known(()),
        configuration: Lookup::Known(deployed()),
        reserved: Lookup::Known(None),
        provisioned: Lookup::Known(None),
        alias: Lookup::NotRead,
    }
}

fn deployed() -> Deployed {
    Deployed {
        arn: Some("arn:aws:lambda:eu-west-2:123456789012:function:f".to_owned()),
        memory_mb: Some(512),
        timeout: Some(Duration::from_secs(60)),
        architecture: Some(Architecture::X86_64),
        ..Deployed::default()
    }
}

fn account(unreserved: u32) -> AccountObservation {
    let limits = Lookup::Known(AccountLimits { concurrent: 1000, unreserved });
    AccountObservation { region: region(), role: None, limits }
}

fn now() -> Minute {
    Minute::of("2026-11-20T09:00:00Z".parse().unwrap())
}

fn shown(found: &[Finding]) -> Vec<String> {
    let severity = |finding: &Finding| if finding.severity == Severity::Error { "error" } else { "warning" };
    found.iter().map(|finding| format!("{}: {}", severity(finding), finding.message)).collect()
}

/// Returns the findings of a single target, as `severity: message`.
fn found(target: Target, seen: TargetObservation, account: AccountObservation) -> Vec<String> {
    let seen = Observations { targets: vec![seen], accounts: vec![account] };
    shown(&findings(&Fleet::new(vec![target]), &seen, now()))
}

fn found_for(target: Target, deployed: Deployed) -> Vec<String> {
    let seen = TargetObservation { configuration: Lookup::Known(deployed), ..sound() };
    found(target, seen, account(1000))
}

const NONE: [&str; 0] = [];

#[test]
fn matching_or_unknown_deployment_has_no_findings() {
    let blank = TargetObservation {
        invoke: Lookup::Failed("501".to_owned()),
        configuration: Lookup::Denied("no".to_owned()),
        reserved: Lookup::Denied("no".to_owned()),
        provisioned: Lookup::NotRead,
        alias: Lookup::NotRead,
    };
    for seen in [sound(), blank, TargetObservation::unreachable("no route".to_owned())] {
        assert_eq!(found(target("f:live"), seen, account(50)), NONE);
    }
    // Targets without rounds have no findings.
    let idle = Target { on_request: None, ..target("f") };
    let missing = TargetObservation { invoke: Lookup::Missing, ..sound() };
    assert_eq!(found(idle, missing, account(0)), NONE);
}

#[test]
fn denied_and_missing_functions_are_errors() {
    let denied = TargetObservation { invoke: Lookup::Denied("User: … is not".to_owned()), ..sound() };
    let seen = Observations { targets: vec![denied], accounts: vec![account(1000)] };
    let denied = findings(&Fleet::new(vec![target("f")]), &seen, now());
    assert_eq!(shown(&denied), ["error: no permission to invoke `f` in eu-west-2"]);
    insta::assert_snapshot!(denied[0].hint.as_deref().unwrap(), @r"
    allow lambda:InvokeFunction on arn:aws:lambda:eu-west-2:123456789012:function:f; `warmd iam` prints the policies
    Lambda reports: User: … is not
    ");
    let gone = |reserved| TargetObservation {
        invoke: Lookup::Missing,
        configuration: Lookup::NotRead,
        reserved,
        ..sound()
    };
    let no_version = "error: the function, version or alias `f:live` in eu-west-2 does not exist";
    let cases = [
        ("f", Lookup::Missing, "error: the function `f` in eu-west-2 does not exist"),
        ("f:live", Lookup::Missing, no_version),
        // A function with known reserved concurrency exists.
        ("f:live", Lookup::Known(None), "error: `f` in eu-west-2 has no version or alias `live`"),
        ("f:live", Lookup::Denied("no".to_owned()), no_version),
    ];
    for (function, reserved, message) in cases {
        assert_eq!(found(target(function), gone(reserved), account(0)), [message], "{function}");
    }
    // A server without dry runs.
    let no_dry_run = TargetObservation {
        invoke: Lookup::Failed("501".to_owned()),
        configuration: Lookup::Missing,
        reserved: Lookup::Missing,
        ..sound()
    };
    assert_eq!(
        found(target("f"), no_dry_run, account(1000)),
        ["error: the function `f` in eu-west-2 does not exist"]
    );
}

#[test]
fn states_updates_and_models_have_messages_and_hints() {
    let mut deployments: Vec<Deployed> = Vec::new();
    for state in [FunctionState::Pending, FunctionState::Inactive, FunctionState::Failed, FunctionState::Off]
    {
        deployments.push(Deployed { state, ..deployed() });
    }
    let reason = Some("Out of space.".to_owned());
    deployments.push(Deployed { state: FunctionState::Inactive, state_reason: reason.clone(), ..deployed() });
    for update in [UpdateStatus::InProgress, UpdateStatus::Failed] {
        deployments.push(Deployed { update, update_reason: None, ..deployed() });
    }
    deployments.push(Deployed { update: UpdateStatus::Failed, update_reason: reason, ..deployed() });
    for model in [
        ExecutionModel::Durable,
        ExecutionModel::PerTenant,
        ExecutionModel::Managed,
        ExecutionModel::SnapStart,
    ] {
        deployments.push(Deployed { model, ..deployed() });
    }
    let mut out = String::new();
    for deployed in deployments {
        let seen = TargetObservation { configuration: Lookup::Known(deployed), ..sound() };
        let seen = Observations { targets: vec![seen], accounts: vec![account(1000)] };
        for finding in findings(&Fleet::new(vec![target("f")]), &seen, now()) {
            out.extend(shown(std::slice::from_ref(&finding)).into_iter().map(|line| line + "\n"));
            out.extend(finding.hint.map(|hint| format!("  {hint}\n")));
        }
    }
    insta::assert_snapshot!(out, @r"
    warning: `f` in eu-west-2 is still being created and cannot be invoked yet
    warning: `f` in eu-west-2 is inactive: its next invocation fails
      invoke it once: that invocation fails and reactivates the function
    error: the creation of `f` in eu-west-2 failed: every invocation fails
    error: `f` in eu-west-2 is deactivated or being deleted
    warning: `f` in eu-west-2 is inactive: its next invocation fails
      Lambda reports: Out of space.
    warning: an update of `f` in eu-west-2 is in progress: these findings may change
      check again after the update
    warning: the last update of `f` in eu-west-2 failed: the previous deployment is still active
    warning: the last update of `f` in eu-west-2 failed: the previous deployment is still active
      Lambda reports: Out of space.
    error: `f` in eu-west-2 is a durable function: every ping begins a durable execution
      remove it from the configuration
    error: `f` in eu-west-2 uses tenant isolation: Lambda rejects pings, because they name no tenant
      add the tenants whose environments to keep warm, such as `tenants: [a, b]`
    warning: `f` in eu-west-2 runs on managed instances, which have no cold starts: warming has no effect
      set the minimum number of environments in its function scaling configuration
    warning: `f` in eu-west-2 uses SnapStart: its cold starts are short, and warming has less effect
    ");
}

#[test]
fn routing_weights_are_a_warning() {
    let version = |number: &str| Qualifier::parse(number).unwrap();
    let mut routing = Routing::to(version("7"));
    let with = |routing: &Routing| {
        let seen = TargetObservation { alias: Lookup::Known(routing.clone()), ..sound() };
        found(target("f:live"), seen, account(1000))
    };
    assert_eq!(with(&routing), NONE);
    routing.others.insert(version("8"), Weight::new(0.1).unwrap());
    assert_eq!(
        with(&routing),
        [
            "warning: `f:live` in eu-west-2 has routing weights, 90% to version 7, 10% to version 8: each version gets rounds of 10 pings"
        ]
    );
}

#[test]
fn settings_are_compared_with_deployment() {
    let with = |change: fn(&mut Target)| {
        let mut target = target("f");
        change(&mut target);
        found_for(target, deployed())
    };
    assert_eq!(with(|target| target.memory_mb = Some(512)), NONE);
    assert_eq!(
        with(|target| target.memory_mb = Some(1024)),
        [
            "warning: `f` in eu-west-2 has 512 MB of memory, but 1,024 MB is configured: its cost estimate is wrong"
        ]
    );
    assert_eq!(
        with(|target| target.timeout = Some(Duration::from_secs(30))),
        ["warning: `f` in eu-west-2 has a timeout of 1m, but 30s is configured"]
    );
    assert_eq!(
        with(|target| target.architecture = Architecture::Arm64),
        ["warning: `f` in eu-west-2 is x86_64, but estimated as arm64: its cost estimate is wrong"]
    );
    let message =
        "error: the hold of 1m is not shorter than the timeout of `f` in eu-west-2, 1m: every ping times out";
    assert_eq!(with(|target| target.hold = Hold::Fixed(Duration::from_secs(60))), [message]);
    assert_eq!(with(|target| target.hold = Hold::Fixed(Duration::from_secs(59))), NONE);
    // The protocol does not carry a hold.
    let bref = |target: &mut Target| {
        (target.hold, target.protocol) = (Hold::Fixed(Duration::from_secs(60)), Protocol::Bref)
    };
    assert_eq!(with(bref), NONE);
}

#[test]
fn concurrency_is_compared_with_largest_round() {
    let reserved = |reserved| {
        let seen = TargetObservation { reserved: Lookup::Known(Some(reserved)), ..sound() };
        // The unreserved concurrency of the account does not apply.
        found(target("f"), seen, account(0))
    };
    let messages: Vec<String> = [0, 9, 10, 11].into_iter().flat_map(reserved).collect();
    insta::assert_snapshot!(messages.join("\n"), @"
    error: `f` in eu-west-2 is disabled: its reserved concurrency is 0, so every invocation is throttled
    error: `f` in eu-west-2 has a reserved concurrency of 9, less than its largest round of 10 pings: its rounds are lowered to 8
    warning: a round of 10 pings leaves less than 1 of the reserved concurrency of `f` in eu-west-2 to its users: its rounds are lowered to 9
    ");
    assert_eq!(
        found(target("f"), sound(), account(9)),
        [
            "error: a round of 10 pings to `f` in eu-west-2 exceeds the account's unreserved concurrency of 9: its rounds are lowered to 5"
        ]
    );
    assert_eq!(found(target("f"), sound(), account(50)), NONE);
    let provisioned = |provisioned| {
        let seen = TargetObservation { provisioned: Lookup::Known(Some(provisioned)), ..sound() };
        found(target("f:live"), seen, account(1000))
    };
    let messages: Vec<String> = [4, 10].into_iter().flat_map(provisioned).collect();
    insta::assert_snapshot!(messages.join("\n"), @r"
    warning: `f:live` in eu-west-2 has 4 provisioned environments, which receive pings first: of 10 pings at most 6 reach others
    warning: `f:live` in eu-west-2 has 10 provisioned environments for rounds of 10 pings: warming has no effect
    ");
}

#[test]
fn finding_locates_the_window_of_the_round() {
    let seen = TargetObservation { reserved: Lookup::Known(Some(5)), ..sound() };
    let windows = [windowed("f", "08:00-10:00", 3, 5, 0), windowed("f", "12:00-14:00", 9, 5, 0)];
    let windows = windows.into_iter().flat_map(|target| target.windows).collect();
    let target = Target { windows, spare: 1, on_request: None, ..target("f") };
    let seen = Observations { targets: vec![seen], accounts: vec![account(0)] };
    let found = findings(&Fleet::new(vec![target]), &seen, now());
    assert_eq!(found.iter().map(|finding| finding.window).collect::<Vec<_>>(), [Some(1)]);
}

#[test]
fn account_limits_apply_to_functions_of_the_account() {
    let other = "arn:aws:lambda:eu-west-2:999999999999:function:g";
    let own = "arn:aws:lambda:eu-west-2:123456789012:function:g";
    let found = |function: &str| {
        let seen = Observations { targets: vec![sound(), sound()], accounts: vec![account(50)] };
        let named = Target {
            on_request: target("f").on_request.map(|r| OnRequest { max_concurrency: 20, ..r }),
            ..target(function)
        };
        findings(&Fleet::new(vec![target("f"), named]), &seen, now())
    };
    assert_eq!(found(other), []);
    assert_eq!(found(own).iter().map(|finding| finding.target).collect::<Vec<_>>(), [1]);
    // The role belongs to another account.
    let role = Some(Arc::new(Role { arn: "arn:aws:iam::999999999999:role/r".to_owned(), external_id: None }));
    let seen = Observations { targets: vec![sound()], accounts: vec![account(1)] };
    assert_eq!(findings(&Fleet::new(vec![Target { role, ..target("f") }]), &seen, now()), []);
}

#[test]
fn failed_reads_are_merged_by_reason() {
    let blind = || TargetObservation {
        invoke: Lookup::Denied("that is a finding".to_owned()),
        configuration: Lookup::Denied("no".to_owned()),
        reserved: Lookup::Denied("no".to_owned()),
        provisioned: Lookup::NotRead,
        alias: Lookup::NotRead,
    };
    let lost = |reason: &str| TargetObservation { invoke: Lookup::Failed(reason.to_owned()), ..blind() };
    let far = TargetObservation::unreachable("no route".to_owned());
    let observed = vec![blind(), lost("501"), lost("501"), lost("502"), far];
    let seen = Observations { targets: observed, accounts: vec![account(1000)] };
    let us = |name| Target::bare(&FunctionRef::parse(name).unwrap(), Region::parse("us-east-1").unwrap());
    let second = Target { on_request: target("g").on_request, ..us("g") };
    let fleet = Fleet::new(vec![target("f"), target("g"), second, target("h"), target("i")]);
    let failed = unchecked(&fleet, &seen);
    let failed: Vec<_> = failed
        .iter()
        .map(|lost| {
            let regions: Vec<&str> = lost.regions.iter().map(|region| region.as_str()).collect();
            (lost.why, lost.read, lost.count, lost.reason.as_str(), regions.join(" "))
        })
        .collect();
    let (one, both) = ("eu-west-2".to_owned(), "eu-west-2 us-east-1".to_owned());
    assert_eq!(
        failed,
        [
            (UncheckedReason::Unreachable, Read::Invoke, 1, "no route", one.clone()),
            (UncheckedReason::Denied, Read::Configuration, 4, "no", both.clone()),
            (UncheckedReason::Denied, Read::Reserved, 4, "no", both.clone()),
            (UncheckedReason::Failed, Read::Invoke, 2, "501", both),
            (UncheckedReason::Failed, Read::Invoke, 1, "502", one),
        ]
    );
}

fn windowed(function: &str, hours: &str, concurrency: u32, interval_minutes: u32, ramp: i64) -> Target {
    let opening = Opening::Weekly(DaySet::DAILY, Hours::parse(hours).unwrap());
    let window = Window {
        ramp_up: TimeDelta::minutes(ramp),
        ..Window::new(hours, chrono_tz::UTC, opening, concurrency)
    };
    Target { on_request: None, windows: vec![window], interval_minutes, ..target(function) }
}

#[test]
fn peak_agrees_with_ticks() {
    let fleets = [
        vec![windowed("f", "08:00-18:00", 7, 5, 0), windowed("g", "08:02-18:00", 4, 3, 0)],
        // Rises within an interval, a phase, and a ramp.
        vec![
            windowed("f", "09:01-09:03", 7, 7, 0),
            Target { phase_minutes: 2, ..windowed("g", "08:00-18:00", 4, 7, 0) },
            windowed("h", "12:00-18:00", 9, 7, 5),
        ],
        vec![windowed("f", "all-day", 3, 60, 0)],
    ];
    for targets in fleets {
        let fleet = Fleet::new(targets);
        let sum = |minute: Minute| {
            let due = plan_tick(&fleet, minute, Mode::DueOnly);
            (due.iter().map(|due| u64::from(due.desired)).sum::<u64>(), due.len())
        };
        // The windows open every day, but the due minutes may differ between days.
        let minutes = || (0..31 * 1440).map(|ahead| now().plus(ahead));
        let (pings, _) = minutes().map(sum).max_by_key(|(pings, _)| *pings).unwrap();
        let minute = minutes().find(|minute| sum(*minute).0 == pings).unwrap();
        let places: Vec<(usize, &Target)> = fleet.targets.iter().enumerate().collect();
        let peak = peak(&places, now()).unwrap();
        assert_eq!((peak.minute, peak.pings, peak.targets), (minute, pings, sum(minute).1));
    }
    assert_eq!(peak(&[(0, &target("f"))], now()), None, "requests are not planned");
}

#[test]
fn simultaneous_rounds_are_compared_with_unreserved_concurrency() {
    let targets = vec![windowed("f", "all-day", 8, 5, 0), windowed("g", "all-day", 9, 5, 0)];
    let found = |reserved, limits: AccountLimits| {
        let limit = Limits { account_share: 100, ..Limits::default() };
        let fleet = Fleet { limits: limit, ..Fleet::new(targets.clone()) };
        let own = TargetObservation { reserved: Lookup::Known(reserved), ..sound() };
        let account = AccountObservation { limits: Lookup::Known(limits), ..account(0) };
        let seen = Observations { targets: vec![sound(), own], accounts: vec![account] };
        findings(&fleet, &seen, now())
    };
    let limits = AccountLimits { concurrent: 100, unreserved: 16 };
    assert_eq!(found(None, AccountLimits { unreserved: 17, ..limits }), []);
    assert_eq!(found(Some(20), limits), []);
    let slow = AccountLimits { concurrent: 1, unreserved: 9 };
    let [one] = &found(None, limits)[..] else { panic!("one finding") };
    let [other] = &found(None, slow)[..] else { panic!("one finding") };
    assert_eq!((one.target, one.severity), (1, Severity::Warning));
    insta::assert_snapshot!([one, other].map(|f| format!("{}\n  {}", f.message, f.hint.as_ref().unwrap())).join("\n"), @"
    17 pings to 2 targets are due at the same time in eu-west-2 at 2026-11-20 09:00 UTC, most of them to `g`; the account has an unreserved concurrency of 16: the rounds wait for room
      spread the rounds with `stagger: true`, raise `limits.account_share`, or request a higher quota
    17 pings to 2 targets are due at the same time in eu-west-2 at 2026-11-20 09:00 UTC, most of them to `g`; the account has an unreserved concurrency of 9, and a rate limit of 10 requests per second: the rounds wait for room
      spread the rounds with `stagger: true`, raise `limits.account_share`, or request a higher quota
    ");
}

#[test]
fn qualifiers_share_reserved_concurrency_of_their_function() {
    let live = windowed("f:live", "all-day", 6, 5, 0);
    let canary = |hours, phase_minutes| Target { phase_minutes, ..windowed("f:canary", hours, 7, 5, 0) };
    let found = |canary: Target, reserved| {
        let seen = TargetObservation { reserved: Lookup::Known(Some(reserved)), ..sound() };
        let seen = Observations { targets: vec![seen.clone(), seen], accounts: vec![account(0)] };
        let found = findings(&Fleet::new(vec![live.clone(), canary]), &seen, now());
        assert!(found.iter().all(|finding| finding.target == 1));
        shown(&found)
    };
    let messages: Vec<String> =
        [12, 13, 14].into_iter().flat_map(|reserved| found(canary("all-day", 0), reserved)).collect();
    insta::assert_snapshot!(messages.join("\n"), @"
    warning: 13 pings to 2 targets of `f` are due at the same time in eu-west-2 at 2026-11-20 09:00 UTC, most of them to `f:canary`; the function has a reserved concurrency of 12: the rounds wait for each other
    warning: 13 pings to 2 targets of `f` are due at the same time in eu-west-2 at 2026-11-20 09:00 UTC, most of them to `f:canary`; the function has a reserved concurrency of 13: the rounds wait for each other
    ");
    // The rounds are never due at the same time.
    assert_eq!(found(canary("all-day", 1), 12), NONE);
    // Another function, or a function of the same name in another account.
    assert_eq!(found(windowed("g", "all-day", 7, 5, 0), 12), NONE);
    let role = Some(Arc::new(Role { arn: "arn:aws:iam::999999999999:role/r".to_owned(), external_id: None }));
    assert_eq!(found(Target { role, ..canary("all-day", 0) }, 12), NONE);
}

#[test]
fn tenants_share_findings_and_the_concurrency_of_their_function() {
    let tenants = |isolated: bool, reserved: Option<u32>| {
        let of = |tenant: &str| {
            let target = windowed("f", "all-day", 5, 5, 0);
            Target { id: Identity { tenant: Tenant::parse(tenant).ok(), ..target.id }, ..target }
        };
        let model = if isolated { ExecutionModel::PerTenant } else { ExecutionModel::OnDemand };
        let configuration = Lookup::Known(Deployed { model, ..deployed() });
        let seen = TargetObservation { configuration, reserved: Lookup::Known(reserved), ..sound() };
        let seen = Observations { targets: vec![seen; 3], accounts: vec![account(1000)] };
        shown(&findings(&Fleet::new(["a", "b", "c"].map(of).to_vec()), &seen, now()))
    };
    assert_eq!(tenants(true, None), NONE);
    assert_eq!(
        tenants(false, None),
        [
            "error: `f` in eu-west-2 does not use tenant isolation: Lambda rejects pings, because they name a tenant"
        ]
    );
    assert_eq!(
        tenants(true, Some(14)),
        [
            "warning: 15 pings to 3 targets of `f` are due at the same time in eu-west-2 at 2026-11-20 09:00 UTC, most of them to `f`; the function has a reserved concurrency of 14: the rounds wait for each other"
        ]
    );
    let one = tenants(true, Some(4));
    assert_eq!(one.len(), 2, "one about the round of each, one about all together: {one:?}");
}
