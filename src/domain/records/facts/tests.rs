//! Tests of the facts.

use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::domain::calendar::{DaySet, Hours, Opening, Window};
use crate::domain::fleet::{Fleet, OnRequest};
use crate::domain::function::{Architecture, Qualifier};
use crate::domain::preflight::{Observations, findings, unchecked};
use crate::domain::records::{Bounded, MOST_BYTES};
use crate::domain::routing::Weight;
use crate::domain::schedule::Minute;

fn at(text: &str) -> DateTime<Utc> {
    format!("2026-11-20T{text}Z").parse().unwrap()
}

fn target(function: &str) -> Target {
    let minute = Duration::from_secs(60);
    let on_request = OnRequest {
        max_concurrency: 5,
        max_for: minute,
        coalesce: minute,
        hold_for: crate::domain::backlog::DEFAULT_HOLD,
    };
    Target { on_request: Some(on_request), ..Target::example(function, "eu-west-2", Vec::new()) }
}

fn deployed(account: &str) -> Lookup<Deployed> {
    let arn = format!("arn:aws:lambda:eu-west-2:{account}:function:f");
    Lookup::Known(Deployed { arn: Some(arn), ..Deployed::default() })
}

/// Returns the results of a whole read.
fn reads(configuration: Lookup<Deployed>, reserved: Lookup<Option<u32>>) -> FunctionReads {
    FunctionReads {
        configuration: Some(configuration),
        reserved: Some(reserved),
        provisioned: None,
        alias: None,
        is_partial: false,
    }
}

fn denied<T>() -> Lookup<T> {
    Lookup::Denied("no".to_owned())
}

#[test]
fn a_failed_read_keeps_the_known_value_for_a_day() {
    let known = FunctionFacts::after(None, reads(deployed("1"), Lookup::Known(Some(7))), at("00:00:00"));
    let mut facts = known.clone();
    for hour in 1..23 {
        let now = at("00:00:00") + TimeDelta::hours(hour);
        facts = FunctionFacts::after(Some(&facts), reads(deployed("1"), denied()), now);
        assert_eq!(facts.seen.reserved, Lookup::Known(Some(7)), "{hour}");
        assert_eq!((facts.at, facts.since()), (now, at("00:00:00")));
    }
    let failed = facts.failed[&Read::Reserved];
    assert_eq!((failed.at, failed.kept_from), (at("22:00:00"), Some(at("00:00:00"))));
    let late = FunctionFacts::after(Some(&facts), reads(deployed("1"), denied()), at("23:00:00"));
    assert_eq!((&late.seen.reserved, late.failed[&Read::Reserved].kept_from), (&denied(), None));
    let back = FunctionFacts::after(Some(&late), reads(deployed("1"), Lookup::Known(None)), at("23:30:00"));
    assert_eq!((back.seen.reserved, back.failed.len()), (Lookup::Known(None), 0));
    // A function that is gone is a fact.
    let gone = FunctionFacts::after(Some(&known), reads(Lookup::Missing, Lookup::Missing), at("01:00:00"));
    assert_eq!(gone.seen.configuration, Lookup::Missing);
    let limits = |limits, before: Option<&AccountFacts>, time| AccountFacts::after(before, limits, at(time));
    let known = Lookup::Known(AccountLimits { concurrent: 1000, unreserved: 900 });
    let account = limits(known.clone(), None, "00:00:00");
    assert_eq!(limits(denied(), Some(&account), "01:00:00").limits, known);
    assert_eq!(limits(denied(), Some(&account), "23:30:00").limits, denied());
}

#[test]
fn partial_reads_keep_the_time_of_the_rest() {
    let whole = FunctionFacts::after(None, reads(deployed("1"), Lookup::Known(None)), at("09:00:00"));
    let partial =
        || FunctionReads { configuration: Some(deployed("2")), is_partial: true, ..FunctionReads::default() };
    let facts = FunctionFacts::after(Some(&whole), partial(), at("09:30:00"));
    assert_eq!((facts.at, &facts.seen.reserved), (at("09:00:00"), &Lookup::Known(None)));
    assert_eq!(facts.seen.configuration, deployed("2"));
    // Without earlier facts the rest is read first.
    let first = FunctionFacts::after(None, partial(), at("09:30:00"));
    assert_eq!((first.is_doubtful, &first.seen.reserved), (true, &Lookup::NotRead));
}

#[test]
fn doubtful_functions_come_first_and_the_oldest_before_the_rest() {
    let targets: Vec<Target> =
        ["fresh", "old", "older", "new", "broken", "odd", "denied", "old:live"].map(target).into();
    let fleet = Fleet::new(targets);
    let now = at("12:00:00");
    let known = |time| FunctionFacts::after(None, reads(deployed("1"), Lookup::Known(None)), at(time));
    let mut facts = Facts::default();
    let mut add = |name: &str, function: FunctionFacts| facts.functions.insert(target(name).id, function);
    add("fresh", known("11:30:00"));
    add("old", known("10:30:00"));
    add("old:live", known("11:59:00"));
    add("older", known("10:00:00"));
    add("broken", known("11:59:00"));
    add("odd", FunctionFacts { is_doubtful: true, ..known("11:59:00") });
    add("denied", FunctionFacts::after(None, reads(denied(), denied()), at("11:01:00")));
    let order = |now| -> Vec<String> {
        let is_doubted = |target: &Target| ["broken", "denied"].contains(&target.label.as_str());
        let order = refresh_order(&fleet, |_| None, |target| facts.of(target), is_doubted, now);
        let labels = |what: Refresh<'_>| match what {
            Refresh::Account(region, _) => region.to_string(),
            Refresh::Alias(target) => format!("alias of {}", target.label),
            Refresh::Function(names) => {
                names.iter().map(|name| name.label.as_str()).collect::<Vec<_>>().join(" ")
            }
        };
        order.into_iter().map(labels).collect()
    };
    assert_eq!(order(now), ["broken", "odd", "eu-west-2", "new", "alias of old:live", "older", "old"]);
    // Denied reads are repeated after an hour, and a function is read with all its due qualifiers.
    assert_eq!(
        order(at("13:00:00")),
        ["broken", "odd", "denied", "eu-west-2", "new", "older", "old old:live", "fresh"]
    );
    // After another day nothing is known.
    assert_eq!(order(at("12:00:00") + TimeDelta::days(1)).len(), 8);
}

#[test]
fn only_reads_without_permission_wait_for_an_hour() {
    let facts = FunctionFacts::after(None, reads(deployed("1"), denied()), at("09:00:00"));
    let live = target("f:7");
    let due = |read, time| is_due(&live, Some(&facts), read, at(time));
    assert!(due(Read::Configuration, "09:00:01") && !due(Read::Reserved, "09:59:59"));
    assert!(due(Read::Reserved, "10:00:00") && due(Read::Provisioned, "09:00:01"));
    assert!(!is_due(&target("f"), None, Read::Provisioned, at("09:00:00")));
    // Another failure is repeated after five minutes.
    let lost = reads(deployed("1"), Lookup::Failed("501".to_owned()));
    let facts = FunctionFacts::after(None, lost, at("09:00:00"));
    let fleet = Fleet::new(vec![live]);
    let account = AccountFacts::after(
        None,
        Lookup::Known(AccountLimits { concurrent: 1, unreserved: 1 }),
        at("09:00:00"),
    );
    let order = |time| refresh_order(&fleet, |_| Some(&account), |_| Some(&facts), |_| false, at(time)).len();
    assert_eq!((order("09:04:59"), order("09:05:00")), (0, 1));
}

#[test]
fn of_two_entries_the_newer_one_wins() {
    let facts = |time, unreserved| {
        let function =
            FunctionFacts::after(None, reads(deployed("1"), Lookup::Known(Some(unreserved))), at(time));
        let limits = Lookup::Known(AccountLimits { concurrent: 1000, unreserved });
        Facts {
            accounts: [(String::new(), AccountFacts::after(None, limits, at(time)))].into(),
            functions: [(target("f").id, function)].into(),
        }
    };
    let (old, new) = (facts("09:00:00", 1), facts("09:00:01", 2));
    for (mut ours, theirs) in [(old.clone(), &new), (new.clone(), &old)] {
        ours.merge(theirs);
        assert_eq!(ours, new);
    }
    // A doubt lasts until a newer read.
    let mut doubtful = old.clone();
    doubtful.functions.values_mut().for_each(|facts| facts.is_doubtful = true);
    let mut merged = doubtful.clone();
    merged.merge(&old);
    assert_eq!(merged, doubtful);
    merged.merge(&new);
    assert_eq!(merged, new);
}

#[test]
fn entries_of_the_future_and_unconfigured_ones_are_dropped() {
    let now = at("09:00:00");
    let known = |at| FunctionFacts::after(None, reads(deployed("1"), Lookup::Known(None)), at);
    let limits = |at| AccountFacts::after(None, denied(), at);
    let later = now + TimeDelta::minutes(2);
    let kept_from = Some(later);
    let failed = FailedRead { at: now, why: UncheckedReason::Denied, kept_from };
    let facts = Facts {
        accounts: [(String::new(), limits(later)), ("r".to_owned(), limits(now))].into(),
        functions: [
            (target("f").id, known(later)),
            (target("g").id, known(now)),
            (target("h").id, FunctionFacts { failed: [(Read::Reserved, failed)].into(), ..known(now) }),
        ]
        .into(),
    };
    let mut facts = facts.plausible(now);
    assert_eq!(facts.accounts.keys().collect::<Vec<_>>(), ["r"]);
    assert_eq!(facts.functions.keys().collect::<Vec<_>>(), [&target("g").id]);
    facts.prune(&[], now + TimeDelta::hours(47));
    assert_eq!(facts.functions.len(), 1);
    facts.prune(&[target("g")], now + TimeDelta::hours(48));
    assert_eq!((facts.functions.len(), facts.accounts.len()), (1, 0));
    facts.prune(&[], now + TimeDelta::hours(48));
    assert!(facts.is_empty());
}

#[test]
fn limits_apply_to_functions_of_the_account() {
    let role = |account: &str| {
        Some(Arc::new(Role { arn: format!("arn:aws:iam::{account}:role/r"), external_id: None }))
    };
    let arn = |account: &str| format!("arn:aws:lambda:eu-west-2:{account}:function:g");
    let (own, foreign) = (target(&arn("111111111111")), target(&arn("222222222222")));
    let theirs = Target { role: role("222222222222"), ..target(&arn("222222222222")) };
    let named = target("f");
    let now = at("09:00:00");
    let limits = |unreserved| Lookup::Known(AccountLimits { concurrent: 1000, unreserved });
    let facts = Facts {
        accounts: [
            (String::new(), AccountFacts::after(None, limits(1), now)),
            (role("222222222222").unwrap().arn.clone(), AccountFacts::after(None, limits(2), now)),
        ]
        .into(),
        functions: [(
            named.id.clone(),
            FunctionFacts::after(None, reads(deployed("111111111111"), Lookup::Known(None)), now),
        )]
        .into(),
    };
    let fleet = Fleet::new(vec![named.clone(), own.clone(), foreign.clone(), theirs.clone()]);
    let regions: BTreeMap<Region, Arc<Facts>> = [(named.region(), Arc::new(facts))].into();
    let snapshot = Snapshot::new(regions.clone(), &fleet, now);
    let of = |snapshot: &Snapshot, target| snapshot.limits(target).map(|limits| limits.unreserved);
    assert_eq!(
        [&named, &own, &foreign, &theirs].map(|target| of(&snapshot, target)),
        [Some(1), Some(1), None, Some(2)]
    );
    // A day later they are unknown.
    let late = Snapshot::new(regions, &fleet, now + TimeDelta::hours(24));
    assert_eq!((of(&late, &named), late.of(&named)), (None, None));
    assert!(snapshot.of(&named).is_some() && snapshot.of(&own).is_none());
    // A tick has no dry runs: nothing is claimed about them.
    let observations = snapshot.observations(&fleet);
    assert_eq!((observations.targets.len(), observations.accounts.len()), (4, 2));
    let now = Minute::of(now);
    let ample = Observations { accounts: Vec::new(), ..observations };
    assert_eq!((findings(&fleet, &ample, now), unchecked(&fleet, &ample)), (Vec::new(), Vec::new()));
}

/// Long names, and the longest text in every reason.
#[test]
fn the_facts_about_thousands_of_functions_fit_into_a_document() {
    let reason = "User: \"arn\" is\nnot authorized é ".repeat(50);
    let now = "2026-11-20T09:00:00.123456789Z".parse().unwrap();
    let known = Deployed {
        arn: Some(format!("arn:aws:lambda:ap-southeast-2:123456789012:function:{:064}:{:024}", 0, 0)),
        memory_mb: Some(10_240),
        timeout: Some(Duration::from_secs(900)),
        architecture: Some(Architecture::Arm64),
        version: Some("$LATEST".to_owned()),
        code_sha256: Some("x".repeat(44)),
        runtime: Some("provided.al2023".to_owned()),
        update_reason: Some(reason.clone()),
        ..Deployed::default()
    };
    let denied = || Lookup::Denied(reason.clone());
    let whole = |configuration, others: fn() -> Lookup<Option<u32>>| FunctionReads {
        configuration: Some(configuration),
        reserved: Some(others()),
        provisioned: Some(others()),
        alias: Some(Lookup::Known(routing("7", Some("8")))),
        is_partial: false,
    };
    let all_known =
        FunctionFacts::after(None, whole(Lookup::Known(known), || Lookup::Known(Some(1000))), now);
    let all_denied = FunctionReads {
        configuration: Some(denied().then(|(): ()| Lookup::NotRead)),
        reserved: Some(denied().then(|(): ()| Lookup::NotRead)),
        provisioned: Some(denied().then(|(): ()| Lookup::NotRead)),
        alias: Some(denied().then(|(): ()| Lookup::NotRead)),
        is_partial: false,
    };
    let kept = FunctionFacts::after(Some(&all_known), all_denied.clone(), now + TimeDelta::hours(1));
    assert!(kept.failed.len() == 3 && kept.seen.configuration.known().is_some());
    let none = FunctionFacts::after(None, all_denied, now);
    // An alias adds to each entry.
    for (facts, number) in [(all_known, 10_000), (kept, 8_000), (none, 8_000)] {
        let id = |index: usize| target(&format!("{index:064}:{index:024}")).id;
        let functions = (0..number).map(|index| (id(index), facts.clone())).collect();
        let document = Facts { functions, ..Facts::default() };
        let text = serde_json::to_string(&document).unwrap();
        assert!(text.len() < MOST_BYTES, "{} bytes, such as {}", text.len(), &text[..1000]);
        assert_eq!(serde_json::from_str::<Facts>(&text).unwrap(), document);
        let mut halved = document;
        assert!(halved.drop_oldest(text.len() / 2) >= number * 49 / 100);
    }
}

#[test]
fn texts_of_a_hostile_server_are_cut() {
    let hostile = Deployed {
        arn: Some("a".repeat(10_000)),
        state: FunctionState::Failed,
        state_reason: Some("\u{1}".repeat(10_000)),
        ..Deployed::default()
    };
    let facts = FunctionFacts::after(
        None,
        reads(Lookup::Known(hostile), Lookup::Denied("é".repeat(10_000))),
        at("09:00:00"),
    );
    assert!(serde_json::to_string(&facts).unwrap().len() < 500);
    let Lookup::Denied(reason) = &facts.seen.reserved else { panic!() };
    assert_eq!(reason.len(), MOST_REASON_BYTES);
    // Also those of a document.
    let hostile =
        TargetObservation { reserved: Lookup::Denied("é".repeat(10_000)), ..TargetObservation::default() };
    let functions = [(target("f").id, FunctionFacts::new(at("09:00:00"), hostile))].into();
    let facts = Facts { functions, ..Facts::default() }.plausible(at("09:00:00"));
    assert!(serde_json::to_string(&facts).unwrap().len() < 300);
}

/// Returns the results of a read of an alias alone.
fn routed(alias: Lookup<Routing>) -> FunctionReads {
    FunctionReads { alias: Some(alias), is_partial: true, ..FunctionReads::default() }
}

fn version(number: &str) -> Qualifier {
    Qualifier::parse(number).unwrap()
}

/// Returns a routing to the first version, with a share of 10 % for the second.
fn routing(own: &str, other: Option<&str>) -> Routing {
    let others = other.map(|other| (version(other), Weight::new(0.1).unwrap()));
    Routing { version: version(own), others: others.into_iter().collect() }
}

#[test]
fn an_alias_has_a_time_of_its_own() {
    let whole = FunctionFacts::after(None, reads(deployed("1"), Lookup::Known(None)), at("09:00:00"));
    let known = FunctionFacts::after(Some(&whole), routed(Lookup::Known(routing("7", None))), at("09:20:00"));
    assert_eq!((known.at, known.alias.unwrap().at), (at("09:00:00"), at("09:20:00")));
    assert!(!whole.is_same_but_alias_read(&known), "it was unknown");
    let again = FunctionFacts::after(Some(&known), routed(Lookup::Known(routing("7", None))), at("09:21:00"));
    assert!(known.is_same_but_alias_read(&again) && known != again);
    // Without permission the versions are kept for 90 minutes. Earlier versions of warmd can read the document.
    let lost = FunctionFacts::after(Some(&known), routed(denied()), at("10:49:59"));
    assert_eq!((&lost.seen.alias, lost.failed.len()), (&known.seen.alias, 0));
    assert!(lost.is_denied(Read::Alias, at("11:49:58")) && !lost.is_denied(Read::Alias, at("11:49:59")));
    assert!(lost.is_alias_denied() && !known.is_alias_denied());
    let late = FunctionFacts::after(Some(&lost), routed(denied()), at("10:50:00"));
    assert_eq!(late.seen.alias, denied());
    let functions = [(target("f:live").id, lost), (target("g:live").id, known.clone())].into();
    let facts = Facts { functions, ..Facts::default() };
    let text = serde_json::to_string(&facts).unwrap();
    assert_eq!(serde_json::from_str::<Facts>(&text).unwrap(), facts);
    assert!(!text.contains("\"failed\":{\"alias\""), "{text}");
    // Old versions behind an alias are unknown, and so are impossible ones and those of the future.
    let of = |facts: Facts, now| facts.plausible(at(now)).functions[&target("g:live").id].seen.alias.clone();
    assert_eq!(of(facts.clone(), "10:49:59"), known.seen.alias);
    assert_eq!(
        [of(facts.clone(), "10:50:00"), of(facts.clone(), "09:18:59")],
        [Lookup::NotRead, Lookup::NotRead]
    );
    let mut made_up = facts;
    let alias = &mut made_up.functions.get_mut(&target("g:live").id).unwrap().seen.alias;
    *alias = Lookup::Known(Routing::to(version("live")));
    assert!(matches!(of(made_up, "09:30:00"), Lookup::Failed(_)));
}

#[test]
fn of_two_entries_the_newer_alias_wins() {
    let whole = |time| FunctionFacts::after(None, reads(deployed("1"), Lookup::Known(None)), at(time));
    let with = |facts: &FunctionFacts, own: &str, time| {
        let routed = routed(Lookup::Known(routing(own, None)));
        let functions = [(target("f:live").id, FunctionFacts::after(Some(facts), routed, at(time)))];
        Facts { functions: functions.into(), ..Facts::default() }
    };
    let older = with(&whole("09:00:00"), "8", "09:20:00");
    let newer = with(&whole("09:10:00"), "7", "09:10:00");
    for (mut ours, theirs) in [(older.clone(), &newer), (newer.clone(), &older)] {
        ours.merge(theirs);
        let merged = &ours.functions[&target("f:live").id];
        assert_eq!((merged.at, merged.alias.unwrap().at), (at("09:10:00"), at("09:20:00")));
        assert_eq!(merged.seen.alias, Lookup::Known(routing("8", None)));
    }
}

#[test]
fn aliases_are_read_once_in_an_interval_and_the_most_overdue_first() {
    let names: Vec<String> = (0..1_000).map(|index| format!("f{index}:live")).collect();
    let with_interval =
        |(index, name): (usize, &String)| Target { interval_minutes: [1, 5][index % 2], ..target(name) };
    let fleet = Fleet::new(names.iter().enumerate().map(with_interval).collect());
    let account = AccountFacts::after(
        None,
        Lookup::Known(AccountLimits { concurrent: 1, unreserved: 1 }),
        at("09:00:00"),
    );
    let mut facts = Facts::default();
    for target in &fleet.targets {
        let mut whole = reads(deployed("1"), Lookup::Known(None));
        whole.alias = Some(Lookup::Known(routing("7", None)));
        facts.functions.insert(target.id.clone(), FunctionFacts::after(None, whole, at("09:00:00")));
    }
    let mut read = vec![0; names.len()];
    for minute in 1..=50 {
        let now = at("09:00:30") + TimeDelta::minutes(minute);
        let order = refresh_order(&fleet, |_| Some(&account), |target| facts.of(target), |_| false, now);
        let aliases = order.iter().map(|what| match what {
            Refresh::Alias(target) => *target,
            other => panic!("{other:?}"),
        });
        // As many as a refresh can read.
        let aliases: Vec<Target> = aliases.take(40).cloned().collect();
        if minute < 5 {
            assert!(aliases.iter().all(|target| target.interval_minutes == 1), "{minute}");
        }
        for target in aliases {
            assert!(is_due(&target, facts.of(&target), Read::Alias, now));
            let before = facts.of(&target).cloned();
            let after = FunctionFacts::after(before.as_ref(), routed(Lookup::Known(routing("7", None))), now);
            assert!(
                !is_due(&target, Some(&after), Read::Alias, now + TimeDelta::seconds(29)),
                "in this minute"
            );
            facts.functions.insert(target.id.clone(), after);
            read[names.iter().position(|name| *name == target.label).unwrap()] += 1;
        }
    }
    assert!(read.iter().all(|times| (1..=4).contains(times)), "each in turn: {read:?}");
    // What is old for two hours is not left aside for them.
    let late = at("11:01:00");
    let order = refresh_order(&fleet, |_| Some(&account), |target| facts.of(target), |_| false, late);
    assert!(matches!(order[0], Refresh::Account(..)) && matches!(order[1], Refresh::Function(_)));
}

#[test]
fn only_aliases_that_may_be_pinged_are_read() {
    let whole = FunctionFacts::after(None, reads(deployed("1"), Lookup::Known(None)), at("09:00:00"));
    let live = target("f:live");
    let is_read = |target: &Target| {
        let fleet = Fleet::new(vec![target.clone()]);
        let account = AccountFacts::after(None, Lookup::NotRead, at("09:00:00"));
        let order = |target| refresh_order(&fleet, |_| Some(&account), |_| Some(&whole), |_| false, target);
        order(at("09:00:01")).iter().any(|what| matches!(what, Refresh::Alias(_)))
    };
    assert!(is_read(&live));
    for name in ["f", "f:7", "f:$LATEST"] {
        assert!(!is_read(&target(name)), "{name}");
        assert!(!is_due(&target(name), None, Read::Alias, at("09:00:00")));
    }
    let opening = Opening::Weekly(DaySet::DAILY, Hours::parse("10:00-11:00").unwrap());
    let closed = Window::new("later", chrono_tz::UTC, opening, 3);
    assert!(
        !is_read(&Target { on_request: None, windows: vec![closed], ..live.clone() }),
        "its window is closed"
    );
    // A failure is repeated after five minutes, a missing permission after an hour.
    let minute = Target { interval_minutes: 1, ..live };
    let next = |lost: Lookup<Routing>, now| {
        let facts = FunctionFacts::after(Some(&whole), routed(lost), at("09:00:00"));
        let fleet = Fleet::new(vec![minute.clone()]);
        let account = AccountFacts::after(None, Lookup::NotRead, at("09:00:00"));
        let order = refresh_order(&fleet, |_| Some(&account), |_| Some(&facts), |_| false, at(now));
        order.iter().any(|what| matches!(what, Refresh::Alias(_)))
    };
    assert!(next(Lookup::Missing, "09:01:00") && !next(Lookup::Missing, "09:00:59"));
    let failed = || Lookup::Failed("501".to_owned());
    assert!(next(failed(), "09:05:00") && !next(failed(), "09:04:59"));
    assert!(!next(denied(), "09:59:59"));
}

#[test]
fn other_code_or_another_routing_is_a_deployment_once() {
    let code = |version: Option<&str>, code: &str| {
        let (version, code_sha256) = (version.map(str::to_owned), Some(code.to_owned()));
        Lookup::Known(Deployed { version, code_sha256, ..Deployed::default() })
    };
    let seen = |configuration: &Lookup<Deployed>, routing: Option<Routing>| TargetObservation {
        configuration: configuration.clone(),
        alias: routing.map_or(Lookup::NotRead, Lookup::Known),
        ..TargetObservation::default()
    };
    let (seven, eight) = (code(Some("7"), "a"), code(Some("8"), "b"));
    let during = |code: &str, update| {
        let code_sha256 = Some(code.to_owned());
        Lookup::Known(Deployed { update, code_sha256, ..Deployed::default() })
    };
    let [old, new] = ["a", "b"].map(|code| seen(&during(code, UpdateStatus::Successful), None));
    let [updating, failed] =
        [UpdateStatus::InProgress, UpdateStatus::Failed].map(|update| seen(&during("b", update), None));
    let to = |own| Some(routing(own, None));
    let canary = || Some(routing("7", Some("8")));
    for (before, after, expected, why) in [
        (seen(&code(None, "a"), None), seen(&code(None, "b"), None), true, "other code"),
        (seen(&code(None, "a"), None), seen(&code(None, "a"), None), false, "the same code"),
        (seen(&Lookup::NotRead, None), seen(&seven, to("7")), false, "the first sight"),
        (seen(&denied(), None), seen(&seven, None), false, "unknown before"),
        (seen(&seven, to("7")), seen(&denied(), to("7")), false, "unknown now"),
        (seen(&seven, None), seen(&eight, None), true, "another version"),
        (seen(&seven, to("7")), seen(&seven, to("8")), true, "the alias was read first"),
        (seen(&seven, to("8")), seen(&eight, to("8")), false, "and the configuration then"),
        (seen(&seven, to("7")), seen(&eight, to("7")), true, "the configuration was read first"),
        (seen(&eight, to("7")), seen(&eight, to("8")), false, "and the alias then"),
        (seen(&seven, to("7")), seen(&seven, canary()), true, "weights"),
        (seen(&seven, canary()), seen(&seven, canary()), false, "the same weights"),
        (seen(&seven, canary()), seen(&seven, to("8")), true, "the end of a deployment"),
        (old, updating.clone(), false, "the earlier code runs"),
        (updating.clone(), updating.clone(), false, "and still runs"),
        (updating.clone(), new, true, "the end of an update, whose hash was known"),
        (updating, failed, false, "the earlier code stays"),
    ] {
        assert_eq!(shows_deployment(&before, &after), expected, "{why}");
    }
}
