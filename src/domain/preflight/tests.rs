use std::sync::Arc;

use chrono::TimeDelta;

use super::*;
use crate::domain::calendar::{DaySet, Hours, Opening, Window};
use crate::domain::fleet::{Fleet, Hold, Limits, MetricsSettings, OnRequest, Target};
use crate::domain::function::FunctionRef;
use crate::domain::protocol::Protocol;
use crate::domain::schedule::{Minute, Mode, plan_tick};

fn region() -> Region {
    Region::parse("eu-west-2").unwrap()
}

/// Ten environments on request.
fn target(function: &str) -> Target {
    let hour = Duration::from_secs(3600);
    let on_request = OnRequest { max_concurrency: 10, max_for: hour, coalesce: Duration::from_secs(60) };
    Target { on_request: Some(on_request), ..Target::bare(&FunctionRef::parse(function).unwrap(), region()) }
}

fn fleet(targets: Vec<Target>) -> Fleet {
    let prices = crate::domain::cost::PriceBook::embedded();
    let metrics = MetricsSettings::default();
    Fleet { targets, limits: Limits::default(), metrics, prices, hash: String::new() }
}

fn sound() -> Observed {
    Observed {
        invoke: Lookup::Known(()),
        configuration: Lookup::Known(deployed()),
        reserved: Lookup::Known(None),
        provisioned: Lookup::Known(None),
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

fn account(unreserved: u32) -> AccountSeen {
    let limits = Lookup::Known(AccountLimits { concurrent: 1000, unreserved });
    AccountSeen { region: region(), role: None, limits }
}

fn now() -> Minute {
    Minute::of("2026-11-20T09:00:00Z".parse().unwrap())
}

/// What follows, the severity in front.
fn follows(target: Target, seen: Observed, account: AccountSeen) -> Vec<(Severity, Kind)> {
    let seen = Observations { targets: vec![seen], accounts: vec![account] };
    let found = findings(&fleet(vec![target]), &seen, now());
    found.into_iter().map(|finding| (finding.kind.severity(), finding.kind)).collect()
}

fn of_deployed(target: Target, deployed: Deployed) -> Vec<(Severity, Kind)> {
    follows(target, Observed { configuration: Lookup::Known(deployed), ..sound() }, account(1000))
}

#[test]
fn nothing_follows_from_what_fits_or_is_not_known() {
    let blank = Observed {
        invoke: Lookup::Failed("501".to_owned()),
        configuration: Lookup::Denied("no".to_owned()),
        reserved: Lookup::Denied("no".to_owned()),
        provisioned: Lookup::NotAsked,
    };
    for seen in [sound(), blank, Observed::unreachable("no route".to_owned())] {
        assert_eq!(follows(target("f:live"), seen, account(10)), []);
    }
    // What is never pinged may look as it likes.
    let idle = Target { on_request: None, ..target("f") };
    assert_eq!(follows(idle, Observed { invoke: Lookup::Missing, ..sound() }, account(0)), []);
}

#[test]
fn what_may_not_be_invoked_or_is_not_there_is_an_error() {
    use Severity::Error;
    let denied = Observed { invoke: Lookup::Denied("User: … is not".to_owned()), ..sound() };
    let kind = Kind::MayNotInvoke { said: "User: … is not".to_owned(), arn: deployed().arn };
    assert_eq!(follows(target("f"), denied, account(1000)), [(Error, kind)]);
    let gone =
        |reserved| Observed { invoke: Lookup::Missing, configuration: Lookup::NotAsked, reserved, ..sound() };
    let cases = [
        ("f", Lookup::Missing, Kind::NoFunction),
        ("f:live", Lookup::Missing, Kind::NoFunction),
        // Who has reserved concurrency, or has none, is there.
        ("f:live", Lookup::Known(None), Kind::NoQualifier),
        ("f:live", Lookup::Denied("no".to_owned()), Kind::NoFunction),
    ];
    for (function, reserved, kind) in cases {
        assert_eq!(follows(target(function), gone(reserved), account(0)), [(Error, kind)], "{function}");
    }
    // A server that knows no dry runs, and knows no such function either.
    let odd = Observed {
        invoke: Lookup::Failed("501".to_owned()),
        configuration: Lookup::Missing,
        reserved: Lookup::Missing,
        ..sound()
    };
    assert_eq!(follows(target("f"), odd, account(1000)), [(Error, Kind::NoFunction)]);
}

#[test]
fn states_and_models_that_are_in_the_way_are_errors_and_the_others_warnings() {
    use Severity::{Error, Warning};
    let states =
        [(State::Pending, Warning), (State::Inactive, Warning), (State::Failed, Error), (State::Off, Error)];
    for (state, severity) in states {
        let kind = Kind::State { state, reason: Some("why".to_owned()) };
        let deployed = Deployed { state, state_reason: Some("why".to_owned()), ..deployed() };
        assert_eq!(of_deployed(target("f"), deployed), [(severity, kind)]);
    }
    for update in [Update::InProgress, Update::Failed] {
        let kind = Kind::Update { update, reason: None };
        assert_eq!(of_deployed(target("f"), Deployed { update, ..deployed() }), [(Warning, kind)]);
    }
    let models = [
        (Model::Durable, Error),
        (Model::PerTenant, Error),
        (Model::Managed, Warning),
        (Model::SnapStart, Warning),
    ];
    for (model, severity) in models {
        assert_eq!(
            of_deployed(target("f"), Deployed { model, ..deployed() }),
            [(severity, Kind::Model(model))]
        );
    }
}

#[test]
fn what_is_configured_is_held_against_what_is_deployed() {
    use Severity::{Error, Warning};
    let seconds = Duration::from_secs;
    let with = |change: fn(&mut Target)| {
        let mut target = target("f");
        change(&mut target);
        of_deployed(target, deployed())
    };
    assert_eq!(with(|target| target.memory_mb = Some(512)), []);
    let kind = Kind::Memory { deployed: 512, configured: 1024 };
    assert_eq!(with(|target| target.memory_mb = Some(1024)), [(Warning, kind)]);
    let kind = Kind::Timeout { deployed: seconds(60), configured: seconds(30) };
    assert_eq!(with(|target| target.timeout = Some(Duration::from_secs(30))), [(Warning, kind)]);
    let kind = Kind::Architecture { deployed: Architecture::X86_64, configured: Architecture::Arm64 };
    assert_eq!(with(|target| target.architecture = Architecture::Arm64), [(Warning, kind)]);
    let kind = Kind::HoldOutlasts { hold: seconds(60), timeout: seconds(60) };
    assert_eq!(with(|target| target.hold = Hold::Fixed(Duration::from_secs(60))), [(Error, kind)]);
    assert_eq!(with(|target| target.hold = Hold::Fixed(Duration::from_secs(59))), []);
    // A ping that carries no hold holds nothing.
    let bref = |target: &mut Target| {
        (target.hold, target.protocol) = (Hold::Fixed(Duration::from_secs(60)), Protocol::Bref)
    };
    assert_eq!(with(bref), []);
}

#[test]
fn concurrency_is_held_against_the_largest_round() {
    use Severity::{Error, Warning};
    let reserved = |reserved| {
        let seen = Observed { reserved: Lookup::Known(Some(reserved)), ..sound() };
        // The account's own does not matter to who has reserved some.
        follows(target("f"), seen, account(0))
    };
    assert_eq!(reserved(0), [(Error, Kind::Reserved { reserved: 0, wanted: 10 })]);
    assert_eq!(reserved(9), [(Error, Kind::Reserved { reserved: 9, wanted: 10 })]);
    assert_eq!(reserved(10), [(Warning, Kind::ReservedAll { reserved: 10 })]);
    assert_eq!(reserved(11), []);
    let kind = Kind::Account { unreserved: 9, wanted: 10 };
    assert_eq!(follows(target("f"), sound(), account(9)), [(Error, kind)]);
    assert_eq!(follows(target("f"), sound(), account(10)), []);
    let provisioned = Observed { provisioned: Lookup::Known(Some(4)), ..sound() };
    let kind = Kind::Provisioned { provisioned: 4, wanted: 10 };
    assert_eq!(follows(target("f:live"), provisioned, account(1000)), [(Warning, kind)]);
}

#[test]
fn an_account_s_limits_are_about_its_own_functions() {
    let other = "arn:aws:lambda:eu-west-2:999999999999:function:g";
    let own = "arn:aws:lambda:eu-west-2:123456789012:function:g";
    let found = |function: &str| {
        let seen = Observations { targets: vec![sound(), sound()], accounts: vec![account(10)] };
        let named = Target {
            on_request: target("f").on_request.map(|r| OnRequest { max_concurrency: 20, ..r }),
            ..target(function)
        };
        findings(&fleet(vec![target("f"), named]), &seen, now())
    };
    assert_eq!(found(other), []);
    let kind = Kind::Account { unreserved: 10, wanted: 20 };
    assert_eq!(found(own), [Finding { target: 1, kind }]);
    // Another role, another account.
    let role = Some(Arc::new(Role { arn: "arn:aws:iam::999999999999:role/r".to_owned(), external_id: None }));
    let seen = Observations { targets: vec![sound()], accounts: vec![account(1)] };
    assert_eq!(findings(&fleet(vec![Target { role, ..target("f") }]), &seen, now()), []);
}

#[test]
fn what_could_not_be_read_is_told_once_for_each_reason() {
    let blind = || Observed {
        invoke: Lookup::Denied("that is a finding".to_owned()),
        configuration: Lookup::Denied("no".to_owned()),
        reserved: Lookup::Denied("no".to_owned()),
        provisioned: Lookup::NotAsked,
    };
    let lost = |reason: &str| Observed { invoke: Lookup::Failed(reason.to_owned()), ..blind() };
    let far = Observed::unreachable("no route".to_owned());
    let observed = vec![blind(), lost("501"), lost("501"), lost("502"), far];
    let seen = Observations { targets: observed, accounts: vec![account(1000)] };
    let us = |name| Target::bare(&FunctionRef::parse(name).unwrap(), Region::parse("us-east-1").unwrap());
    let second = Target { on_request: target("g").on_request, ..us("g") };
    let fleet = fleet(vec![target("f"), target("g"), second, target("h"), target("i")]);
    let told = unchecked(&fleet, &seen);
    let told: Vec<_> = told
        .iter()
        .map(|lost| {
            let regions: Vec<&str> = lost.regions.iter().map(|region| region.as_str()).collect();
            (lost.why, lost.read, lost.count, lost.reason.as_str(), regions.join(" "))
        })
        .collect();
    let (one, both) = ("eu-west-2".to_owned(), "eu-west-2 us-east-1".to_owned());
    assert_eq!(
        told,
        [
            (Why::Unreachable, Read::Invoke, 1, "no route", one.clone()),
            (Why::Denied, Read::Configuration, 4, "no", both.clone()),
            (Why::Denied, Read::Reserved, 4, "no", both.clone()),
            (Why::Failed, Read::Invoke, 2, "501", both),
            (Why::Failed, Read::Invoke, 1, "502", one),
        ]
    );
}

fn windowed(function: &str, hours: &str, concurrency: u32, interval_minutes: u32, ramp: i64) -> Target {
    let window = Window {
        label: hours.to_owned(),
        opening: Opening::Weekly(DaySet::DAILY, Hours::parse(hours).unwrap()),
        zone: chrono_tz::UTC,
        concurrency,
        lead: TimeDelta::zero(),
        ramp_up: TimeDelta::minutes(ramp),
        ramp_down: TimeDelta::zero(),
        from: None,
        through: None,
        only: Vec::new(),
        except: Vec::new(),
    };
    Target { on_request: None, windows: vec![window], interval_minutes, ..target(function) }
}

#[test]
fn the_peak_is_that_of_the_ticks_themselves() {
    let fleets = [
        vec![windowed("f", "08:00-18:00", 7, 5, 0), windowed("g", "08:02-18:00", 4, 3, 0)],
        // Rises between two beats, an offset, and a ramp.
        vec![
            windowed("f", "09:01-09:03", 7, 7, 0),
            Target { phase_minutes: 2, ..windowed("g", "08:00-18:00", 4, 7, 0) },
            windowed("h", "12:00-18:00", 9, 7, 5),
        ],
        vec![windowed("f", "all-day", 3, 60, 0)],
    ];
    for targets in fleets {
        let fleet = fleet(targets);
        let sum = |minute: Minute| {
            let due = plan_tick(&fleet, minute, Mode::DueOnly);
            (due.iter().map(|due| u64::from(due.target)).sum::<u64>(), due.len())
        };
        // Windows of every day: what is not on the first day is not on a later one, except for the beat.
        let minutes = || (0..31 * 1440).map(|ahead| now().plus(ahead));
        let (pings, _) = minutes().map(sum).max_by_key(|(pings, _)| *pings).unwrap();
        let minute = minutes().find(|minute| sum(*minute).0 == pings).unwrap();
        let places: Vec<(usize, &Target)> = fleet.targets.iter().enumerate().collect();
        let peak = peak(&places, now()).unwrap();
        assert_eq!((peak.minute, peak.pings, peak.targets), (minute, pings, sum(minute).1));
    }
    assert_eq!(peak(&[(0, &target("f"))], now()), None, "what is asked for is not known beforehand");
}

#[test]
fn a_crowd_is_told_of_the_largest_and_leaves_out_what_has_concurrency_of_its_own() {
    let fleet = fleet(vec![windowed("f", "all-day", 8, 5, 0), windowed("g", "all-day", 9, 5, 0)]);
    let crowd = |reserved, limits: AccountLimits| {
        let own = Observed { reserved: Lookup::Known(reserved), ..sound() };
        let account = AccountSeen { limits: Lookup::Known(limits), ..account(0) };
        let seen = Observations { targets: vec![sound(), own], accounts: vec![account] };
        findings(&fleet, &seen, now())
    };
    let limits = AccountLimits { concurrent: 100, unreserved: 16 };
    let found = crowd(None, limits);
    let peak = Peak { minute: now(), pings: 17, targets: 2, largest: 1 };
    let kind = Kind::Crowd { peak, limits, rate: Rate::Kept, max_in_flight: 500 };
    assert_eq!(found, [Finding { target: 1, kind }]);
    assert_eq!(crowd(None, AccountLimits { unreserved: 17, ..limits }), []);
    assert_eq!(crowd(Some(20), limits), []);
    let tiny = AccountLimits { concurrent: 1, unreserved: 9 };
    let found = crowd(None, tiny);
    assert!(matches!(found[0].kind, Kind::Crowd { rate: Rate::Above(10), .. }), "{found:?}");
}

#[test]
fn qualifiers_share_what_is_reserved_for_their_function() {
    use Severity::{Error, Warning};
    let live = windowed("f:live", "all-day", 6, 5, 0);
    let canary = |hours, phase_minutes| Target { phase_minutes, ..windowed("f:canary", hours, 7, 5, 0) };
    let found = |canary: Target, reserved| {
        let seen = Observed { reserved: Lookup::Known(Some(reserved)), ..sound() };
        let seen = Observations { targets: vec![seen.clone(), seen], accounts: vec![account(0)] };
        let found = findings(&fleet(vec![live.clone(), canary]), &seen, now());
        found.into_iter().map(|it| (it.target, it.kind.severity(), it.kind)).collect::<Vec<_>>()
    };
    let peak = Peak { minute: now(), pings: 13, targets: 2, largest: 1 };
    let together = |reserved| Kind::ReservedTogether { reserved, peak };
    assert_eq!(found(canary("all-day", 0), 12), [(1, Error, together(12))]);
    assert_eq!(found(canary("all-day", 0), 13), [(1, Warning, together(13))]);
    assert_eq!(found(canary("all-day", 0), 14), []);
    // Spread, they are never due together.
    assert_eq!(found(canary("all-day", 1), 12), []);
    // Another function, or the same name in another account.
    assert_eq!(found(windowed("g", "all-day", 7, 5, 0), 12), []);
    let role = Some(Arc::new(Role { arn: "arn:aws:iam::999999999999:role/r".to_owned(), external_id: None }));
    assert_eq!(found(Target { role, ..canary("all-day", 0) }, 12), []);
}
