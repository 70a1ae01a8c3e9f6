//! The guards of a round: whether it is sent, with how many pings, and whether one ping precedes it.

mod denials;
mod versions;

use std::num::NonZeroU32;
use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::budget::Cap;
use super::fleet::{Canary, Limits, Target};
use super::preflight::{AccountLimits, Deployed, Room, TargetObservation, allowance};
use super::records::{BREAKER_AFTER, Guards, Health, Trust};
use super::round::{FirstPing, Purpose};
use super::tick::{RoundRecord, SkipReason};

pub use denials::Denials;
pub use versions::{
    VersionDecision, decide_versions, forbids_alias, is_of_function, of_version, seen_of, weighted,
};

/// The number of pings of a round, and its conditions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Terms {
    /// The configured number, if the headroom or a budget is lower.
    pub capped_from: Option<u32>,
    /// The setting that lowered it; `None` if `capped_from` is.
    pub capped_by: Option<Arc<str>>,
    /// The number before throttles lowered it.
    pub backed_off_from: Option<u32>,
    /// The concurrency that the pings share with other rounds; `None` if it is unknown.
    pub room: Option<Room>,
    /// The ping that precedes the round.
    pub first: Option<FirstPing>,
    /// The provisioned environments of the qualifier; `None` without any.
    pub provisioned: Option<u32>,
    /// The language of the handler, as `warmd handler` names it; `None` if unknown.
    pub language: Option<&'static str>,
}

/// The decision on a round.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::large_enum_variant)] // Most rounds are sent, and no decision outlives its round.
pub enum Decision {
    /// The round is sent with this number of pings.
    Send(NonZeroU32, Terms),
    /// The round is skipped.
    Skip(SkipReason),
}

/// A round that the headroom of its account or function, or a budget, lowers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capped {
    /// The configured number of pings.
    pub from: u32,
    /// The allowed number; 0 if the round is skipped.
    pub to: u32,
    /// The setting that limits it, such as `limits.account_share`.
    pub by: Arc<str>,
}

impl Decision {
    /// Returns the reduction of a round of `desired` pings by the headroom or a budget; `None` without one.
    pub fn capped(&self, desired: NonZeroU32) -> Option<Capped> {
        match self {
            Self::Send(
                pings,
                Terms { capped_from: Some(from), capped_by: Some(by), backed_off_from, .. },
            ) => {
                let to = backed_off_from.unwrap_or(pings.get());
                Some(Capped { from: *from, to, by: Arc::clone(by) })
            }
            Self::Skip(SkipReason::NoHeadroom) => {
                Some(Capped { from: desired.get(), to: 0, by: "limits.leave_free".into() })
            }
            Self::Send(..) | Self::Skip(_) => None,
        }
    }
}

/// The knowledge about a target.
#[derive(Debug, Clone, Copy, Default)]
pub struct Knowledge<'k> {
    /// The facts about the function.
    pub facts: Option<&'k TargetObservation>,
    /// The limits of its account.
    pub account: Option<&'k AccountLimits>,
    /// The records of earlier rounds.
    pub guards: Option<&'k Guards>,
    /// True if no round has followed the last deployment: an open breaker allows one ping, since the code that failed
    /// may be repaired.
    pub is_deployed: bool,
    /// The limit of a budget on the round.
    pub budget: Option<&'k Cap>,
}

impl Knowledge<'_> {
    /// Returns the deployed function, if known.
    pub fn deployed(&self) -> Option<&Deployed> {
        self.facts?.configuration.known()
    }

    /// Returns the hash of the code that invocations execute, if known.
    pub fn code(&self) -> Option<&str> {
        self.deployed()?.code()
    }
}

/// Decides on a round of `desired` pings. `checks_contact` is false for callers that send no canaries.
pub fn decide(
    target: &Target,
    desired: NonZeroU32,
    known: Knowledge<'_>,
    limits: &Limits,
    checks_contact: bool,
    now: DateTime<Utc>,
) -> Decision {
    let allowed = allowance(target, desired.get(), known.facts, known.account, limits);
    if let Some(reason) = allowed.refusal {
        return Decision::Skip(reason);
    }
    if known.budget.is_some_and(|budget| budget.to == 0) {
        return Decision::Skip(SkipReason::Budget);
    }
    let trust = known.guards.map_or(Trust::None, |guards| guards.trust(target, known.code()));
    let canary = match (target.canary, trust) {
        (Canary::Off, _) | (Canary::On(_), Trust::Trusted) => None,
        (Canary::On(_), Trust::Unsafe(_)) => return Decision::Skip(SkipReason::Unsafe),
        (Canary::On(max), Trust::None) => checks_contact.then_some(max),
    };
    let health = known.guards.and_then(|guards| guards.health(&target.id, now));
    let next_try = health.and_then(Health::next_try);
    if !known.is_deployed && next_try.is_some_and(|next_try| now < next_try) {
        return Decision::Skip(SkipReason::Breaker);
    }
    let by_room = lower(desired, allowed.room.as_ref().map(|room| room.limit));
    let capped = lower(by_room, known.budget.map(|budget| budget.to));
    let capped_by = || match known.budget.filter(|_| capped < by_room) {
        Some(budget) => Some(budget.scope.setting().into()),
        None => allowed.room.as_ref().map(|room| room.pool.setting().into()),
    };
    let backed_off = lower(capped, health.and_then(|health| health.limit));
    let purpose = match (allowed.is_inactive, next_try.is_some(), canary) {
        (true, _, _) => Some(Purpose::Wake),
        (false, true, _) => Some(Purpose::Retry),
        (false, false, Some(_)) => Some(Purpose::Contact),
        (false, false, None) => None,
    };
    let terms = Terms {
        capped_from: (capped < desired).then_some(desired.get()),
        capped_by: if capped < desired { capped_by() } else { None },
        backed_off_from: (backed_off < capped).then_some(capped.get()),
        room: allowed.room,
        first: purpose.map(|purpose| FirstPing { purpose, canary }),
        provisioned: allowed.provisioned,
        language: known.deployed().and_then(Deployed::language),
    };
    Decision::Send(backed_off, terms)
}

fn lower(number: NonZeroU32, limit: Option<u32>) -> NonZeroU32 {
    limit.and_then(NonZeroU32::new).map_or(number, |limit| number.min(limit))
}

/// Returns the health of a target after a round that was planned at `now`; `None` if nothing is known against it.
pub fn health_after(
    target: &Target,
    before: Option<&Health>,
    round: &RoundRecord,
    now: DateTime<Utc>,
) -> Option<Health> {
    let Some(sent) = round.sent() else { return before.cloned() };
    let (counts, pings) = (&sent.report.counts, sent.report.pings);
    let failed = counts.function_errors.saturating_add(counts.denied).saturating_add(counts.not_found);
    let failures = before.map_or(0, |before| before.failures);
    let is_open = before.is_some_and(Health::is_open);
    let failures = if is_open && round.skip_reason() == Some(SkipReason::Breaker) {
        // The ping that tried again had no answer, or a failure of any kind.
        failures
    } else if pings > 0 && failed == pings {
        failures.saturating_add(1).min(BREAKER_AFTER)
    } else if counts.throttled == pings {
        // Neither the function's fault nor a sign that it works.
        failures
    } else {
        0
    };
    let limit = match before.and_then(|before| before.limit) {
        _ if counts.throttled > 0 => Some((round.desired / 2).max(1)),
        Some(limit) if counts.errors() == 0 => {
            Some(limit.saturating_mul(2)).filter(|limit| *limit < target.highest())
        }
        limit => limit,
    };
    (failures > 0 || limit.is_some()).then_some(Health { at: now, failures, limit })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::fleet::OnRequest;
    use crate::domain::preflight::{ExecutionModel, FunctionState, Lookup};
    use crate::domain::round::{Known, RoundReport, Verdict};

    fn at(minute: u32) -> DateTime<Utc> {
        format!("2026-11-20T09:{minute:02}:00Z").parse().unwrap()
    }

    fn target() -> Target {
        let (hour, minute) = (std::time::Duration::from_secs(3600), std::time::Duration::from_secs(60));
        let on_request = OnRequest {
            max_concurrency: 100,
            max_for: hour,
            coalesce: minute,
            hold_for: crate::domain::backlog::DEFAULT_HOLD,
        };
        Target { on_request: Some(on_request), ..Target::example("f:live", "eu-west-2", Vec::new()) }
    }

    fn deployed(change: impl Fn(&mut Deployed)) -> TargetObservation {
        let mut deployed = Deployed { code_sha256: Some("code-1".to_owned()), ..Deployed::default() };
        change(&mut deployed);
        let (invoke, none) = (Lookup::NotRead, Lookup::Known(None));
        TargetObservation {
            invoke,
            configuration: Lookup::Known(deployed),
            reserved: none.clone(),
            provisioned: none,
            alias: Lookup::NotRead,
        }
    }

    fn trusted() -> Guards {
        let mut guards = Guards::default();
        guards.note_contact(&target(), Some("code-1"), None, at(0));
        guards
    }

    fn number(number: u32) -> NonZeroU32 {
        NonZeroU32::new(number).unwrap()
    }

    fn decided(seen: &TargetObservation, guards: &Guards, account: u32, desired: u32) -> Decision {
        let account = AccountLimits { concurrent: account, unreserved: account };
        let known = Knowledge {
            facts: Some(seen),
            account: Some(&account),
            guards: Some(guards),
            ..Knowledge::default()
        };
        decide(&target(), number(desired), known, &Limits::default(), true, at(10))
    }

    #[test]
    fn functions_that_must_not_be_pinged_are_refused() {
        let model = |model| deployed(|deployed| deployed.model = model);
        let with = |reserved, provisioned| TargetObservation {
            reserved: Lookup::Known(reserved),
            provisioned: Lookup::Known(provisioned),
            ..deployed(|_| {})
        };
        for (seen, expected) in [
            (model(ExecutionModel::Durable), "durable"),
            (model(ExecutionModel::Managed), "managed-instances"),
            (model(ExecutionModel::PerTenant), "needs-tenants"),
            (with(Some(0), None), "switched-off"),
            (with(Some(1), None), "no-headroom"),
            (with(None, Some(10)), "provisioned"),
            (with(None, Some(11)), "provisioned"),
        ] {
            let Decision::Skip(reason) = decided(&seen, &trusted(), 1_000, 10) else { panic!("{expected}") };
            assert_eq!(reason.name(), expected);
        }
        for seen in [model(ExecutionModel::SnapStart), with(Some(11), Some(9)), deployed(|_| {})] {
            let Decision::Send(pings, terms) = decided(&seen, &trusted(), 1_000, 10) else { panic!() };
            assert_eq!((pings, terms.capped_from, terms.first), (number(10), None, None));
        }
    }

    #[test]
    fn a_round_is_lowered_to_the_room_of_its_account_or_function() {
        let capped = |reserved: Option<u32>, account, desired| {
            let seen = TargetObservation { reserved: Lookup::Known(reserved), ..deployed(|_| {}) };
            let Decision::Send(pings, terms) = decided(&seen, &trusted(), account, desired) else { panic!() };
            (pings.get(), terms.capped_from)
        };
        assert_eq!(capped(None, 1_000, 200), (200, None));
        assert_eq!(capped(None, 1_000, 201), (200, Some(201)));
        assert_eq!(capped(None, 10, 50), (5, Some(50)), "never less than one round of five");
        assert_eq!(capped(Some(8), 10, 50), (7, Some(50)), "a reserved concurrency is not the account's");
        assert_eq!(capped(Some(8), 10, 7), (7, None));
    }

    #[test]
    fn a_reduction_names_its_setting() {
        let capped = |reserved: Option<u32>, desired| {
            let seen = TargetObservation { reserved: Lookup::Known(reserved), ..deployed(|_| {}) };
            decided(&seen, &trusted(), 1_000, desired).capped(number(desired))
        };
        assert_eq!(capped(None, 200), None);
        assert_eq!(capped(None, 201), Some(Capped { from: 201, to: 200, by: "limits.account_share".into() }));
        assert_eq!(capped(Some(8), 50), Some(Capped { from: 50, to: 7, by: "limits.leave_free".into() }));
        assert_eq!(capped(Some(1), 50), Some(Capped { from: 50, to: 0, by: "limits.leave_free".into() }));
        assert_eq!(capped(Some(0), 50), None, "it is switched off");
        let mut guards = trusted();
        guards.set_health(&target().id, Some(Health { at: at(5), failures: 0, limit: Some(3) }), at(5));
        let decision = decided(&deployed(|_| {}), &guards, 50, 20);
        assert!(matches!(&decision, Decision::Send(pings, _) if pings.get() == 3));
        assert_eq!(
            decision.capped(number(20)),
            Some(Capped { from: 20, to: 10, by: "limits.account_share".into() })
        );
    }

    #[test]
    fn the_language_of_a_handler_is_that_of_a_snippet() {
        let language = |runtime: Option<&str>| {
            let seen = deployed(|deployed| deployed.runtime = runtime.map(str::to_owned));
            let Decision::Send(_, terms) = decided(&seen, &trusted(), 1_000, 1) else { panic!() };
            terms.language
        };
        assert_eq!([Some("python3.13"), Some("nodejs22.x")].map(language), [Some("python"), Some("node")]);
        assert_eq!([Some("java21"), Some("provided.al2023"), None].map(language), [None; 3]);
    }

    proptest! {
        #[test]
        fn a_round_never_exceeds_its_room(
            unreserved in 0_u32..20_000, share in 1_u32..=100, free in 0_u32..20,
            reserved in proptest::option::of(0_u32..500), desired in 1_u32..5_000,
        ) {
            let seen = TargetObservation { reserved: Lookup::Known(reserved), ..deployed(|_| {}) };
            let account = AccountLimits { concurrent: unreserved, unreserved };
            let known = Knowledge { facts: Some(&seen), account: Some(&account), ..Knowledge::default() };
            let limits = Limits { account_share: share, leave_free: free, ..Limits::default() };
            match decide(&target(), number(desired), known, &limits, false, at(0)) {
                Decision::Skip(reason) => {
                    prop_assert!(reserved.is_some_and(|reserved| reserved <= free), "{:?}", reason);
                }
                Decision::Send(pings, terms) => {
                    let room = terms.room.unwrap();
                    prop_assert!(pings.get() <= room.limit && pings.get() <= desired);
                    prop_assert_eq!(terms.capped_from, (pings.get() < desired).then_some(desired));
                    match reserved {
                        Some(reserved) => prop_assert!(room.limit + free <= reserved),
                        None => prop_assert!(
                            room.limit <= 5 || u64::from(room.limit) * 100 <= u64::from(unreserved) * u64::from(share)
                        ),
                    }
                }
            }
        }
    }

    fn first(seen: &TargetObservation, guards: &Guards) -> Option<FirstPing> {
        let Decision::Send(_, terms) = decided(seen, guards, 1_000, 10) else { panic!() };
        terms.first
    }

    #[test]
    fn a_handler_without_trust_is_contacted_until_code_and_payload_are_known() {
        let purpose =
            |seen: &TargetObservation, guards: &Guards| first(seen, guards).map(|first| first.purpose);
        let (seen, guards) = (deployed(|_| {}), trusted());
        assert_eq!(purpose(&seen, &Guards::default()), Some(Purpose::Contact));
        assert_eq!(purpose(&seen, &guards), None);
        let changed = deployed(|deployed| deployed.code_sha256 = Some("code-2".to_owned()));
        assert_eq!(purpose(&changed, &guards), Some(Purpose::Contact));
        // A version that was warmed by its number is trusted behind the alias.
        let version = Target::example("f:7", "eu-west-2", Vec::new());
        let mut guards = Guards::default();
        guards.note_contact(&version, Some("code-1"), None, at(0));
        assert_eq!(guards.trust(&target(), Some("code-1")), Trust::Trusted);
        let other = Target { protocol: crate::domain::protocol::Protocol::Bref, ..target() };
        assert_eq!(guards.trust(&other, Some("code-1")), Trust::None);
        let off = Target { canary: Canary::Off, ..target() };
        let known = Knowledge { guards: Some(&guards), ..Knowledge::default() };
        for (target, checks) in [(&off, true), (&target(), false)] {
            let decision = decide(target, number(3), known, &Limits::default(), checks, at(0));
            assert_eq!(decision, Decision::Send(number(3), Terms::default()));
        }
        let inactive = deployed(|deployed| deployed.state = FunctionState::Inactive);
        assert_eq!(purpose(&inactive, &trusted()), Some(Purpose::Wake));
    }

    #[test]
    fn an_unsafe_handler_is_left_alone_until_its_code_changes_or_it_is_cleared() {
        let mut guards = trusted();
        guards.note_contact(&target(), Some("code-1"), Some("it ran 3 s".to_owned()), at(1));
        let seen = deployed(|_| {});
        assert_eq!(decided(&seen, &guards, 1_000, 10), Decision::Skip(SkipReason::Unsafe));
        let changed = deployed(|deployed| deployed.code_sha256 = Some("code-2".to_owned()));
        assert!(first(&changed, &guards).is_some());
        let unknown = deployed(|deployed| deployed.code_sha256 = None);
        assert_eq!(decided(&unknown, &guards, 1_000, 10), Decision::Skip(SkipReason::Unsafe));
        assert_eq!(guards.clear(|id| id.name.as_str() == "g"), 0);
        assert_eq!(guards.clear(|id| id.name.as_str() == "f"), 1);
        assert!(first(&seen, &guards).is_some());
    }

    fn round(desired: u32, counts: impl Fn(&mut crate::domain::round::OutcomeCounts)) -> RoundRecord {
        let mut record = RoundRecord::example(&target(), desired, Verdict::Short, None);
        let crate::domain::tick::RoundOutcome::Sent(sent) = &mut record.outcome else { panic!() };
        sent.report =
            RoundReport { pings: desired, ..RoundReport::new(desired, &[], true, Known::default()) };
        counts(&mut sent.report.counts);
        record
    }

    #[test]
    fn three_failed_rounds_open_the_breaker_and_one_ping_each_quarter_of_an_hour_tries_again() {
        let mut guards = trusted();
        let after = |guards: &mut Guards, record: &RoundRecord, minute| {
            let health = health_after(&target(), guards.health(&target().id, at(minute)), record, at(minute));
            guards.set_health(&target().id, health, at(minute));
        };
        let denied = round(4, |counts| (counts.denied, counts.function_errors, counts.not_found) = (2, 1, 1));
        let mixed = round(4, |counts| (counts.denied, counts.warm) = (3, 1));
        let seen = deployed(|_| {});
        for record in [&denied, &denied, &mixed, &denied, &denied] {
            after(&mut guards, record, 5);
            assert!(matches!(decided(&seen, &guards, 1_000, 10), Decision::Send(..)));
        }
        after(&mut guards, &denied, 5);
        assert_eq!(decided(&seen, &guards, 1_000, 10), Decision::Skip(SkipReason::Breaker));
        let later = |minute| {
            let known = Knowledge { facts: Some(&seen), guards: Some(&guards), ..Knowledge::default() };
            decide(&target(), number(10), known, &Limits::default(), true, at(minute))
        };
        assert_eq!(later(19), Decision::Skip(SkipReason::Breaker));
        let known = Knowledge { guards: Some(&guards), is_deployed: true, ..Knowledge::default() };
        let deployed = decide(&target(), number(10), known, &Limits::default(), false, at(6));
        let Decision::Send(_, terms) = deployed else { panic!("a deployment may have repaired it") };
        assert_eq!(terms.first.map(|first| first.purpose), Some(Purpose::Retry));
        let Decision::Send(_, terms) = later(20) else { panic!() };
        assert_eq!(terms.first, Some(FirstPing { purpose: Purpose::Retry, canary: None }));
        after(&mut guards, &mixed, 20);
        assert_eq!(guards.health(&target().id, at(20)), None);
    }

    #[test]
    fn a_try_without_a_success_leaves_the_breaker_open() {
        let open = Health { at: at(0), failures: BREAKER_AFTER, limit: None };
        let tried = |counts: fn(&mut crate::domain::round::OutcomeCounts)| {
            let mut record = round(1, counts);
            if let crate::domain::tick::RoundOutcome::Sent(sent) = record.outcome.clone() {
                record.outcome = crate::domain::tick::RoundOutcome::Withheld(sent, SkipReason::Breaker);
            }
            health_after(&target(), Some(&open), &record, at(15)).unwrap()
        };
        for health in [tried(|counts| counts.timed_out = 1), tried(|counts| counts.failed = 1)] {
            assert!(health.is_open() && health.at == at(15));
        }
        // The firings of two ticks vary by milliseconds.
        let mut guards = trusted();
        guards.set_health(
            &target().id,
            Some(Health { at: at(0) + chrono::TimeDelta::milliseconds(9), ..open }),
            at(0),
        );
        let known = Knowledge { guards: Some(&guards), ..Knowledge::default() };
        let decided = |minute| decide(&target(), number(3), known, &Limits::default(), false, at(minute));
        assert_eq!(decided(14), Decision::Skip(SkipReason::Breaker));
        assert!(matches!(decided(15), Decision::Send(..)));
    }

    #[test]
    fn throttles_halve_the_round_and_clean_ones_double_it() {
        let mut health = None;
        let mut sizes = Vec::new();
        for throttled in [true, true, true, true, false, false, false, false] {
            let desired = health.as_ref().and_then(|health: &Health| health.limit).unwrap_or(9).min(9);
            sizes.push(desired);
            let record = round(desired, |counts| counts.throttled = u32::from(throttled));
            health = health_after(&target(), health.as_ref(), &record, at(1));
        }
        assert_eq!(sizes, [9, 4, 2, 1, 1, 2, 4, 8]);
        let failed = round(8, |counts| counts.failed = 1);
        let kept = Health { at: at(0), failures: 0, limit: Some(8) };
        assert_eq!(health_after(&target(), Some(&kept), &failed, at(1)).unwrap().limit, Some(8));
        let all_throttled = round(8, |counts| counts.throttled = 8);
        let failing = Health { at: at(0), failures: 2, limit: None };
        assert_eq!(health_after(&target(), Some(&failing), &all_throttled, at(1)).unwrap().failures, 2);
    }
}
