use super::super::observe::{ScalingConfig, ScalingPolicy};
use super::super::strategy::{Fallback, Provisioned};
use super::*;
use crate::domain::calendar::{DaySet, Hours, Opening, Window};
use crate::domain::function::Qualifier;
use crate::domain::routing::{Routing, Weight};

const OPEN: &str = "2026-11-20T10:00:00Z";
const CLOSED: &str = "2026-11-20T20:00:00Z";

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

/// A target with ten environments from 08:00 to 18:00 UTC.
fn target(strategy: Strategy) -> Target {
    let hours = Hours::Between { start: "08:00:00".parse().unwrap(), end: "18:00:00".parse().ok() };
    let window = Window::new("w", chrono_tz::UTC, Opening::Weekly(DaySet::DAILY, hours), 10);
    Target {
        strategy,
        windows: vec![window],
        ..Target::example("checkout-api:live", "eu-west-2", Vec::new())
    }
}

fn provisioned(by: By) -> Target {
    target(Strategy::Provisioned(Provisioned { by, fallback: Fallback::Pings }))
}

fn scaled() -> Target {
    provisioned(By::Autoscaling { max: 50, utilization: 70 })
}

fn state(requested: u32, available: u32, status: ProvisionedStatus) -> ProvisionedState {
    ProvisionedState { requested, allocated: available, available, status, reason: None }
}

fn ready(number: u32) -> Lookup<Option<ProvisionedState>> {
    Lookup::Known(Some(state(number, number, ProvisionedStatus::Ready)))
}

fn scalable(min: u32, max: u32) -> ScalableTarget {
    ScalableTarget {
        arn: "arn".to_owned(),
        bounds: Bounds { min, max },
        is_suspended: false,
        owner: Lookup::Known(Some("warmd".to_owned())),
    }
}

fn own_policy() -> Lookup<Vec<ScalingPolicy>> {
    Lookup::Known(vec![ScalingPolicy { name: Owner::default().policy(), utilization: Some(70) }])
}

/// Nothing but the knowledge that there is no scalable target.
fn unscaled() -> Observed {
    Observed { scalable: Lookup::Known(None), ..Observed::default() }
}

/// The state at `now` if everything is as it should be.
fn settled(now: &str) -> Observed {
    let desired = if now == OPEN { 10 } else { 0 };
    Observed {
        provisioned: if desired > 0 { ready(desired) } else { Lookup::Known(None) },
        scalable: Lookup::Known(Some(if desired > 0 { scalable(10, 50) } else { scalable(0, 0) })),
        policies: own_policy(),
        actions: Lookup::Known(actions(&scaled(), &Owner::default(), Minute::of(at(now)))),
        ..Observed::default()
    }
}

fn kept(by: MadeBy, numbers: &[u32]) -> Kept {
    let made = Made { numbers: numbers.to_vec(), ..Made::new(by, at("2026-11-20T07:00:00Z")) };
    Kept { made: Some(made), ..Kept::default() }
}

/// The record of what was made.
fn record(made: Made) -> Kept {
    Kept { made: Some(made), ..Kept::default() }
}

/// The observation at `now` with this number wanted and requested.
fn saw(now: &str, number: u32, status: Status) -> Seen {
    let numbers = Some(number);
    let (requested, allocated, available) = (numbers, numbers, numbers);
    Seen { at: at(now), desired: number, requested, allocated, available, status, reason: None }
}

fn decided(
    target: &Target,
    now: &str,
    observed: &Observed,
    kept: Option<&Kept>,
    is_paused: bool,
) -> Decision {
    let owner = Owner::default();
    decide(&Situation { target, owner: &owner, now: at(now), is_paused, kept, observed })
}

/// The changes but the scheduled actions, the status and the reason.
fn shown(decision: &Decision) -> String {
    let changes = decision.changes.iter().filter(|change| !matches!(change, Change::PutAction(_)));
    let changes: Vec<String> = changes.map(ToString::to_string).collect();
    let reason = decision.reason.as_deref().map(|reason| format!(" ({reason})")).unwrap_or_default();
    format!("{}{reason}: {}", decision.status.name(), changes.join("; "))
}

#[test]
fn a_scalable_target_is_made_with_policy_and_actions() {
    let observed =
        Observed { provisioned: Lookup::Known(None), scalable: Lookup::Known(None), ..Observed::default() };
    let decision = decided(&scaled(), OPEN, &observed, None, false);
    assert_eq!(
        shown(&decision),
        "in-progress: register scalable target 10 to 50; put scaling policy warmd-warmd-utilization at 70%"
    );
    let Some(Change::Register { owner, .. }) = decision.changes.first() else { panic!("{decision:?}") };
    assert_eq!(owner.as_deref(), Some("warmd"));
    let puts: Vec<_> = decision
        .changes
        .iter()
        .filter_map(|change| match change {
            Change::PutAction(action) => Some(action),
            _ => None,
        })
        .collect();
    assert_eq!(puts.len(), 15);
    // The action that closes at last is the first to be put.
    assert_eq!(puts[0].bounds, Some(Bounds::ZERO));
    assert_eq!(decision.made.map(|made| made.by), Some(MadeBy::Autoscaling));
    let closed = decided(&scaled(), CLOSED, &observed, None, false);
    assert_eq!(
        shown(&closed),
        "closed: register scalable target 0 to 0; put scaling policy warmd-warmd-utilization at 70%"
    );
}

#[test]
fn what_is_right_is_left_alone() {
    for now in [OPEN, CLOSED] {
        let decision = decided(&scaled(), now, &settled(now), Some(&kept(MadeBy::Autoscaling, &[])), false);
        assert_eq!(decision.changes, []);
        assert_eq!(decision.status, if now == OPEN { Status::Ready } else { Status::Closed });
    }
    let direct = provisioned(By::Direct);
    let kept = kept(MadeBy::Direct, &[10]);
    let observed = Observed { provisioned: ready(10), ..unscaled() };
    assert_eq!(shown(&decided(&direct, OPEN, &observed, Some(&kept), false)), "ready: ");
}

#[test]
fn differences_of_a_scalable_target_are_repaired() {
    let kept = kept(MadeBy::Autoscaling, &[]);
    type Case<'c> = (&'c str, &'c str, &'c dyn Fn(&mut Observed), &'c str);
    let cases: [Case<'_>; 11] = [
        (
            "failed action",
            OPEN,
            &|seen| seen.scalable = Lookup::Known(Some(scalable(0, 0))),
            "ready: register scalable target 10 to 50",
        ),
        (
            "failed closing",
            CLOSED,
            &|seen| {
                seen.scalable = Lookup::Known(Some(scalable(10, 50)));
                seen.provisioned = ready(10);
            },
            "in-progress: register scalable target 0 to 0",
        ),
        (
            "weights",
            CLOSED,
            &|seen| {
                seen.provisioned = ready(10);
                let [version, other] = ["7", "8"].map(|number| Qualifier::parse(number).unwrap());
                let others = [(other, Weight::new(0.1).unwrap())].into();
                seen.alias = Lookup::Known(Routing { version, others });
            },
            "waiting (alias-weights): register scalable target 0 to 0",
        ),
        (
            "update",
            OPEN,
            &|seen| {
                seen.provisioned = ready(4);
                seen.is_updating = Some(true);
            },
            "waiting (function-updating): register scalable target 10 to 50",
        ),
        (
            "in progress",
            OPEN,
            &|seen| {
                seen.provisioned = Lookup::Known(Some(state(10, 0, ProvisionedStatus::InProgress)));
            },
            "in-progress: ",
        ),
        ("scaled out", OPEN, &|seen| seen.provisioned = ready(30), "ready: "),
        (
            "silence after a burst",
            OPEN,
            &|seen| {
                seen.provisioned = ready(30);
                seen.last_utilization = Lookup::Known(None);
            },
            "in-progress: register scalable target 10 to 10",
        ),
        (
            "traffic after a burst",
            OPEN,
            &|seen| {
                seen.provisioned = ready(30);
                seen.last_utilization = Lookup::Known(Some(at("2026-11-20T09:59:00Z")));
            },
            "ready: ",
        ),
        (
            "silence has ended it",
            OPEN,
            &|seen| seen.scalable = Lookup::Known(Some(scalable(10, 10))),
            "ready: register scalable target 10 to 50",
        ),
        (
            "policy",
            OPEN,
            &|seen| seen.policies = Lookup::Known(Vec::new()),
            "ready: put scaling policy warmd-warmd-utilization at 70%",
        ),
        (
            "action",
            OPEN,
            &|seen| {
                let Lookup::Known(actions) = &mut seen.actions else { return };
                actions[3].name = "warmd-warmd-20260101T0000Z".to_owned();
            },
            "ready: delete scheduled action warmd-warmd-20260101T0000Z",
        ),
    ];
    for (name, now, change, expected) in cases {
        let mut observed = settled(now);
        change(&mut observed);
        let decision = decided(&scaled(), now, &observed, Some(&kept), false);
        assert_eq!(shown(&decision), expected, "{name}");
    }
    // A lowered maximum stays until the data points are known again.
    let mut observed = settled(OPEN);
    (observed.scalable, observed.provisioned) = (Lookup::Known(Some(scalable(10, 10))), ready(10));
    observed.provisioned = ready(30);
    let decision = decided(&scaled(), OPEN, &observed, Some(&kept), false);
    assert_eq!(shown(&decision), "in-progress: register scalable target 10 to 10");
}

#[test]
fn nothing_of_others_is_changed() {
    let own = kept(MadeBy::Autoscaling, &[]);
    let foreign = |change: &dyn Fn(&mut Observed)| {
        let mut observed = settled(OPEN);
        change(&mut observed);
        let decisions = [
            decided(&scaled(), OPEN, &observed, Some(&own), false),
            decided(&scaled(), OPEN, &observed, None, false),
        ];
        decisions.map(|decision| shown(&decision))
    };
    let tag = |owner: Option<&str>| {
        Lookup::Known(Some(ScalableTarget {
            owner: Lookup::Known(owner.map(str::to_owned)),
            ..scalable(3, 9)
        }))
    };
    for owner in [None, Some("other-stack")] {
        let all = foreign(&|seen| seen.scalable = tag(owner));
        assert_eq!(all, ["conflict (foreign-scalable-target): "; 2].map(str::to_owned));
    }
    let policy = ScalingPolicy { name: "team".to_owned(), utilization: Some(50) };
    let all = foreign(&|seen| seen.policies = Lookup::Known(vec![policy.clone()]));
    assert_eq!(all, ["conflict (foreign-policy): "; 2].map(str::to_owned));
    let action =
        ScheduledAction { name: "night".to_owned(), schedule: "cron(0 0 * * ? *)".to_owned(), bounds: None };
    let all = foreign(&|seen| seen.actions = Lookup::Known(vec![action.clone()]));
    assert_eq!(all, ["conflict (foreign-scheduled-action): "; 2].map(str::to_owned));

    let none = Observed { provisioned: ready(7), scalable: Lookup::Known(None), ..Observed::default() };
    let direct = provisioned(By::Direct);
    for (target, kept, expected) in [
        (&scaled(), None, "conflict (foreign-configuration): "),
        (&direct, None, "conflict (foreign-configuration): "),
        (&direct, Some(&kept(MadeBy::Direct, &[10])), "conflict (foreign-change): "),
    ] {
        for now in [OPEN, CLOSED] {
            assert_eq!(shown(&decided(target, now, &none, kept, false)), expected);
        }
    }
    let all = Observed { scalable: tag(None), ..none };
    let decision = decided(&direct, OPEN, &all, Some(&kept(MadeBy::Direct, &[7])), false);
    assert_eq!(shown(&decision), "conflict (foreign-scalable-target): ");
}

#[test]
fn what_is_unknown_leads_to_no_change() {
    let denied = || Lookup::Denied("no".to_owned());
    let cases = [
        (Observed::default(), "unknown (not-read): "),
        (Observed { scalable: denied(), ..Observed::default() }, "refused (access-denied): "),
        (unscaled(), "unknown (not-read): "),
        (
            Observed { scalable: Lookup::Known(None), provisioned: Lookup::Missing, ..Observed::default() },
            "refused (not-found): ",
        ),
        (
            Observed { scalable: Lookup::Throttled("slow".to_owned()), ..Observed::default() },
            "waiting (throttled): ",
        ),
    ];
    for (observed, expected) in cases {
        assert_eq!(shown(&decided(&scaled(), OPEN, &observed, None, false)), expected);
    }
    let untagged = ScalableTarget { owner: Lookup::Denied("no".to_owned()), ..scalable(3, 9) };
    let observed = Observed { scalable: Lookup::Known(Some(untagged)), ..settled(OPEN) };
    assert_eq!(shown(&decided(&scaled(), OPEN, &observed, None, false)), "refused (access-denied): ");
}

#[test]
fn direct_changes_follow_the_number_and_are_recorded_before() {
    let direct = provisioned(By::Direct);
    let seen = |provisioned| Observed { provisioned, ..unscaled() };
    let in_progress = |number| Lookup::Known(Some(state(number, 0, ProvisionedStatus::InProgress)));
    let failed = || Lookup::Known(Some(state(10, 0, ProvisionedStatus::Failed)));
    let put = "in-progress: put provisioned concurrency 10";
    let cases = [
        (OPEN, Lookup::Known(None), None, put, Some(vec![10])),
        (OPEN, ready(4), Some(vec![4]), put, Some(vec![4, 10])),
        (OPEN, in_progress(4), Some(vec![4]), "in-progress: ", Some(vec![4])),
        (OPEN, ready(10), Some(vec![4, 10]), "ready: ", Some(vec![10])),
        (OPEN, failed(), Some(vec![10]), "failed: put provisioned concurrency 10", Some(vec![10])),
        ("2026-11-20T10:01:00Z", failed(), Some(vec![10]), "failed: ", Some(vec![10])),
        (CLOSED, ready(10), Some(vec![10]), "in-progress: delete provisioned concurrency", Some(vec![10])),
        (CLOSED, Lookup::Known(None), Some(vec![10]), "closed: ", Some(vec![])),
    ];
    for (now, provisioned, numbers, expected, recorded) in cases {
        let kept = numbers.map(|numbers| Kept {
            // The attempt of this quarter of an hour was at 10:00.
            seen: now.ends_with("01:00Z").then(|| saw(OPEN, 10, Status::Failed)),
            ..kept(MadeBy::Direct, &numbers)
        });
        let decision = decided(&direct, now, &seen(provisioned), kept.as_ref(), false);
        assert_eq!(shown(&decision), expected);
        assert_eq!(decision.made.map(|made| made.numbers), recorded, "{expected}");
    }
}

#[test]
fn what_application_auto_scaling_could_not_do_is_named_and_requested_again() {
    let failed = |kind| {
        let error = ChangeError { kind, message: "no".to_owned() };
        Observed { provisioned: Lookup::Known(None), last_failure: Some(error), ..settled(OPEN) }
    };
    for (kind, expected) in [
        (ChangeErrorKind::Quota, "waiting (quota)"),
        (ChangeErrorKind::AccessDenied, "refused (access-denied)"),
        (ChangeErrorKind::Refused, "refused (no)"),
        (ChangeErrorKind::AliasWeights, "waiting (alias-weights)"),
        (ChangeErrorKind::Unknown, "in-progress"),
    ] {
        let shown = shown(&decided(&scaled(), OPEN, &failed(kind), None, false));
        assert_eq!(shown, format!("{expected}: register scalable target 10 to 50"));
    }
    // The weights are gone since.
    let version = Qualifier::parse("7").unwrap();
    let alias = Lookup::Known(Routing::to(version));
    let observed = Observed { alias, ..failed(ChangeErrorKind::AliasWeights) };
    let decision = decided(&scaled(), OPEN, &observed, None, false);
    assert_eq!(shown(&decision), "in-progress: register scalable target 10 to 50");
    // A number that Lambda failed to prepare is requested from Lambda: a minimum that it has changes nothing.
    let failed = Lookup::Known(Some(state(10, 0, ProvisionedStatus::Failed)));
    for (now, change) in [(OPEN, "put provisioned concurrency 10"), ("2026-11-20T10:01:00Z", "")] {
        let observed = Observed { provisioned: failed.clone(), ..settled(OPEN) };
        let kept = Kept {
            seen: now.ends_with("01:00Z").then(|| saw(OPEN, 10, Status::Failed)),
            ..kept(MadeBy::Autoscaling, &[])
        };
        let decision = decided(&scaled(), now, &observed, Some(&kept), false);
        assert_eq!(shown(&decision), format!("failed: {change}"));
    }
}

#[test]
fn the_way_can_be_changed() {
    let observed = settled(OPEN);
    let to_direct =
        decided(&provisioned(By::Direct), OPEN, &observed, Some(&kept(MadeBy::Autoscaling, &[])), false);
    assert_eq!(shown(&to_direct), "in-progress: deregister scalable target");
    assert_eq!(
        to_direct.made.clone().map(|made| (made.by, made.numbers)),
        Some((MadeBy::Autoscaling, vec![]))
    );
    let observed = Observed { scalable: Lookup::Known(None), ..observed };
    let taken =
        decided(&provisioned(By::Direct), OPEN, &observed, to_direct.made.map(record).as_ref(), false);
    assert_eq!(taken.made.map(|made| (made.by, made.numbers)), Some((MadeBy::Direct, vec![10])));
    let to_scaled = decided(&scaled(), OPEN, &observed, Some(&kept(MadeBy::Direct, &[10])), false);
    assert!(shown(&to_scaled).starts_with("ready: register scalable target 10 to 50"), "{to_scaled:?}");
}

#[test]
fn a_pause_freezes() {
    let own = kept(MadeBy::Autoscaling, &[]);
    let observed = Observed { scalable: Lookup::Known(Some(scalable(3, 9))), ..settled(OPEN) };
    let decision = decided(&scaled(), OPEN, &observed, Some(&own), true);
    assert_eq!(shown(&decision), "paused: register scalable target, suspend scheduled scaling");
    let suspended = ScalableTarget { is_suspended: true, ..scalable(3, 9) };
    let observed = Observed { scalable: Lookup::Known(Some(suspended)), ..observed };
    assert_eq!(shown(&decided(&scaled(), OPEN, &observed, Some(&own), true)), "paused: ");
    assert_eq!(
        shown(&decided(&scaled(), OPEN, &observed, Some(&own), false)),
        "ready: register scalable target 10 to 50, resume scheduled scaling"
    );
    let direct = decided(
        &provisioned(By::Direct),
        CLOSED,
        &Observed { provisioned: ready(10), ..unscaled() },
        Some(&kept(MadeBy::Direct, &[10])),
        true,
    );
    assert_eq!(shown(&direct), "paused: ");
    let observed = Observed { provisioned: ready(10), ..settled(OPEN) };
    let kept = kept(MadeBy::Autoscaling, &[]);
    let direct = decided(&provisioned(By::Direct), OPEN, &observed, Some(&kept), true);
    assert_eq!(shown(&direct), "paused: ");
}

#[test]
fn a_new_version_takes_over_before_the_old_one_is_restored() {
    let managed = target(Strategy::Managed(Managed { floor: 3, max: 100 }));
    let version = |text: &str| Qualifier::parse(text).unwrap();
    let bounds = |min| Some(Bounds { min, max: 100 });
    let config = |requested, applied| Lookup::Known(ScalingConfig { requested, applied });
    let mut kept = kept(MadeBy::Managed, &[]);
    let mut decide = |scaling: &[(&str, Lookup<ScalingConfig>)], alias: &str, now: &str| {
        let observed = Observed {
            alias: Lookup::Known(Routing::to(version(alias))),
            scaling: scaling.iter().map(|(of, config)| (version(of), config.clone())).collect(),
            ..Observed::default()
        };
        let decision = decided(&managed, now, &observed, Some(&kept), false);
        let versions: Vec<String> =
            decision.made.iter().flat_map(|made| &made.versions).map(ToString::to_string).collect();
        if decision.made.is_some() {
            kept.made.clone_from(&decision.made);
        }
        format!("{} [{}]", shown(&decision), versions.join(" "))
    };
    let none = || config(None, None);
    let put = |number: u32, of: u32| format!("put scaling configuration {number} to 100 on version {of}");
    let told = [
        decide(&[("7", none())], "7", OPEN),
        decide(&[("7", config(bounds(10), bounds(3)))], "7", OPEN),
        decide(&[("7", config(bounds(10), bounds(10)))], "7", OPEN),
        decide(&[("7", config(bounds(10), bounds(10))), ("8", none())], "8", OPEN),
        decide(&[("7", config(bounds(10), bounds(10))), ("8", config(bounds(10), bounds(3)))], "8", OPEN),
        decide(&[("7", config(bounds(10), bounds(10))), ("8", config(bounds(10), bounds(10)))], "8", OPEN),
        decide(&[("7", config(bounds(3), bounds(10))), ("8", config(bounds(10), bounds(10)))], "8", OPEN),
        decide(&[("8", config(bounds(10), bounds(10)))], "8", CLOSED),
        decide(&[("8", config(bounds(3), bounds(3)))], "8", CLOSED),
        decide(&[("9", config(bounds(5), bounds(5)))], "9", CLOSED),
        decide(&[("9", config(None, bounds(5)))], "9", CLOSED),
        decide(&[("9", config(None, bounds(3))), ("8", config(None, bounds(3)))], "9", CLOSED),
    ];
    let expected = [
        format!("in-progress: {} [7]", put(10, 7)),
        "in-progress:  [7]".to_owned(),
        "ready:  [7]".to_owned(),
        format!("in-progress: {} [7 8]", put(10, 8)),
        "in-progress:  [7 8]".to_owned(),
        format!("ready: {} [7 8]", put(3, 7)),
        "ready:  [8]".to_owned(),
        format!("in-progress: {} [8]", put(3, 8)),
        "closed:  [8]".to_owned(),
        // The old version is restored nevertheless.
        format!("conflict (foreign-configuration): {} [8]", put(3, 8)),
        format!("conflict (foreign-configuration): {} [8]", put(3, 8)),
        "closed:  [9]".to_owned(),
    ];
    assert_eq!(told, expected);
}

#[test]
fn a_release_deletes_what_was_made_and_nothing_else() {
    let owner = Owner::default();
    let made = |by, numbers: &[u32]| kept(by, numbers).made.unwrap();
    let text = |made: &Made, observed: &Observed| {
        release(made, &owner, observed).iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    };
    let both = "deregister scalable target; delete provisioned concurrency";
    assert_eq!(text(&made(MadeBy::Autoscaling, &[]), &settled(OPEN)), both);
    let stranger = ScalableTarget { owner: Lookup::Known(None), ..scalable(1, 2) };
    let foreign = Observed { scalable: Lookup::Known(Some(stranger)), ..settled(OPEN) };
    assert_eq!(text(&made(MadeBy::Autoscaling, &[]), &foreign), "");
    let left = Observed { scalable: Lookup::Known(None), ..settled(OPEN) };
    assert_eq!(text(&made(MadeBy::Autoscaling, &[]), &left), "delete provisioned concurrency");
    assert_eq!(text(&made(MadeBy::Direct, &[10]), &left), "delete provisioned concurrency");
    assert_eq!(text(&made(MadeBy::Direct, &[9]), &left), "");
    assert_eq!(text(&made(MadeBy::Direct, &[9]), &Observed::default()), "");
}

#[test]
fn failures_have_a_status_and_a_name() {
    let decision = decided(
        &provisioned(By::Direct),
        OPEN,
        &Observed { provisioned: Lookup::Known(None), ..unscaled() },
        None,
        false,
    );
    let kinds = [
        (ChangeErrorKind::AliasWeights, "waiting alias-weights"),
        (ChangeErrorKind::FunctionUpdating, "waiting function-updating"),
        (ChangeErrorKind::Quota, "waiting quota"),
        (ChangeErrorKind::Throttled, "waiting throttled"),
        (ChangeErrorKind::AccessDenied, "refused access-denied"),
        (ChangeErrorKind::ServiceLinkedRole, "refused service-linked-role"),
        (ChangeErrorKind::NotFound, "refused not-found"),
        (ChangeErrorKind::Unknown, "unknown no-answer"),
        (ChangeErrorKind::Refused, "refused the message"),
    ];
    for (kind, expected) in kinds {
        let error = ChangeError { kind, message: "the message".to_owned() };
        let (status, reason) = conclude(&decision, Some(&error));
        assert_eq!(format!("{} {}", status.name(), reason.unwrap()), expected);
    }
    assert_eq!(conclude(&decision, None), (Status::InProgress, None));
}

#[test]
fn an_owner_can_be_renamed() {
    let owner = Owner::parse("new").unwrap();
    let made = Made { owner: Some("warmd".to_owned()), ..Made::new(MadeBy::Autoscaling, at(OPEN)) };
    let kept = record(made.clone());
    let (target, observed) = (scaled(), settled(OPEN));
    let situation = Situation {
        target: &target,
        owner: &owner,
        now: at(OPEN),
        is_paused: false,
        kept: Some(&kept),
        observed: &observed,
    };
    let decision = decide(&situation);
    let shown = shown(&decision);
    assert!(
        shown.starts_with("ready: tag scalable target warmd:owner=new; delete scaling policy warmd-warmd-"),
        "{shown}"
    );
    assert!(
        shown.contains(
            "put scaling policy warmd-new-utilization at 70%; delete scheduled action warmd-warmd-"
        ),
        "{shown}"
    );
    // Until the new tag is seen, both are the owner's.
    assert_eq!(decision.made.and_then(|made| made.owner).as_deref(), Some("warmd"));
    assert_eq!(release(&made, &owner, &observed).len(), 2);
    assert_eq!(decide(&Situation { kept: None, ..situation }).status, Status::Conflict);
}

#[test]
fn a_number_of_others_is_not_taken_for_what_was_made() {
    let alone = |number| Observed { provisioned: ready(number), ..unscaled() };
    let made = Made { bounds: vec![Bounds { min: 10, max: 50 }], ..Made::new(MadeBy::Autoscaling, at(OPEN)) };
    let kept = record(made.clone());
    let conflict = "conflict (foreign-configuration): ";
    assert_eq!(shown(&decided(&scaled(), OPEN, &alone(60), Some(&kept), false)), conflict);
    assert!(shown(&decided(&scaled(), OPEN, &alone(30), Some(&kept), false)).starts_with("ready: register"));
    assert_eq!(release(&made, &Owner::default(), &alone(60)), []);
    // Somebody requests capacity by hand while there is none.
    for (requested, status, expected) in [
        (0, Status::Closed, conflict),
        (7, Status::Conflict, conflict),
        (7, Status::InProgress, "in-progress: register scalable target 0 to 0"),
    ] {
        let kept = Kept { seen: Some(saw("2026-11-20T19:59:00Z", requested, status)), ..kept.clone() };
        let observed = Observed { provisioned: ready(7), ..settled(CLOSED) };
        assert_eq!(shown(&decided(&scaled(), CLOSED, &observed, Some(&kept), false)), expected);
    }
    // A foreign scalable target on a number of warmd.
    let stranger = ScalableTarget { owner: Lookup::Known(None), ..scalable(1, 20) };
    let observed =
        Observed { scalable: Lookup::Known(Some(stranger)), provisioned: ready(10), ..Observed::default() };
    let numbers = Made { numbers: vec![10], ..Made::new(MadeBy::Direct, at(OPEN)) };
    assert_eq!(release(&numbers, &Owner::default(), &observed), []);
}
