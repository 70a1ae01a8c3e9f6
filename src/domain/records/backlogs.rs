//! Warm Requests with a backlog. Their number of environments falls as the waiting requests are worked off.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::{Decision, REQUESTS_LIVE, Requests};
use crate::domain::backlog::environments;
use crate::domain::calendar::{Opening, Window};
use crate::domain::capacity::LEAST_UP_MINUTES;
use crate::domain::fleet::{Fleet, OnRequest, Target};
use crate::domain::function::Identity;
use crate::domain::future::{is_future, later};
use crate::domain::schedule::Minute;

/// The latest request with a backlog for a target, of the function or of one pipeline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backlog {
    /// The pipeline that the request names; `None` if it names the function.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pipeline: Option<String>,
    /// The waiting requests at the arrival.
    pub messages: u32,
    /// The requests a second that one environment works off, above zero.
    pub rate: Decimal,
    /// The waiting requests for which there is one environment, above zero.
    pub per_environment: Decimal,
    /// The maximum number of environments that the configuration had at the arrival.
    pub most: u32,
    /// The arrival.
    pub asked: DateTime<Utc>,
    /// The time until which the number is at least that of the arrival.
    pub hold_until: DateTime<Utc>,
    /// The end, this instant not included.
    pub until: DateTime<Utc>,
    /// The last round of a request with a backlog.
    pub round: RequestRound,
    /// The requests that were worked off until `counted`.
    pub worked_off: Decimal,
    /// The time of the last report on the environments; the arrival before the first. Until then, as the local clock
    /// has it, nothing more is worked off: another clock may be ahead.
    pub counted: DateTime<Utc>,
    /// The environments that work on it since `counted`; `None` if unknown, which counts as none.
    pub reached: Option<u32>,
    /// The last step of capacity before `counted`; `None` before the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<CapacityStep>,
    /// The reason as text.
    pub reason: Option<String>,
}

/// A time at which capacity follows the falling number: the end of the hold, or a multiple of [`LEAST_UP_MINUTES`]
/// after it. Between two of them it stays, because Lambda prepares and bills each change as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CapacityStep {
    /// The time.
    pub at: DateTime<Utc>,
    /// The requests that waited then.
    pub waiting: Decimal,
}

/// A round for a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RequestRound {
    /// The arrival of the request.
    pub at: DateTime<Utc>,
    /// The number of environments.
    pub environments: u32,
}

/// The terms of a request with a backlog as it arrives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BacklogTerms {
    /// The arrival.
    pub at: DateTime<Utc>,
    /// The pipeline that the request names; `None` if it names the function.
    pub pipeline: Option<String>,
    /// The waiting requests.
    pub messages: u32,
    /// The requests a second that one environment works off, above zero.
    pub rate: Decimal,
    /// The waiting requests for which there is one environment, above zero.
    pub per_environment: Decimal,
    /// The time for which the number is kept at least; `None` means that of the configuration.
    pub hold_for: Option<Duration>,
    /// The reason as text.
    pub reason: Option<String>,
}

fn span(length: Duration) -> TimeDelta {
    TimeDelta::from_std(length).unwrap_or(TimeDelta::MAX)
}

impl BacklogTerms {
    /// Returns the number of environments at the arrival.
    pub fn number(&self, rule: &OnRequest) -> u32 {
        environments(self.messages.into(), self.per_environment).min(rule.max_concurrency)
    }
}

impl Backlog {
    /// Returns true if the request is later than `now`. It has no effect then.
    pub fn is_future(&self, now: DateTime<Utc>) -> bool {
        is_future(self.asked, now)
    }

    /// Returns true if the request can still want environments at `now`.
    fn is_open(&self, now: DateTime<Utc>) -> bool {
        !self.is_future(now) && self.number(now, u32::MAX) > 0
    }

    /// Returns the requests that still wait at `now`, rounded up.
    pub fn left(&self, now: DateTime<Utc>) -> u32 {
        environments(self.waiting(now), Decimal::ONE)
    }

    fn waiting(&self, now: DateTime<Utc>) -> Decimal {
        let messages = Decimal::from(self.messages);
        let left = messages.checked_sub(self.worked_off_by(now)).unwrap_or(Decimal::ZERO);
        left.clamp(Decimal::ZERO, messages)
    }

    fn worked_off_by(&self, now: DateTime<Utc>) -> Decimal {
        let ms = now.signed_duration_since(self.counted).num_milliseconds().max(0);
        let a_second = self.rate.checked_mul(self.reached.unwrap_or(0).into());
        let since = a_second.and_then(|a_second| a_second.checked_mul(Decimal::new(ms, 3)));
        since.and_then(|since| since.checked_add(self.worked_off)).unwrap_or(Decimal::MAX)
    }

    /// Returns the number of environments at `now`, at most `most`; 0 when the request has ended.
    pub fn number(&self, now: DateTime<Utc>, most: u32) -> u32 {
        self.number_for(self.waiting(now), now, most)
    }

    /// Returns the number of environments at `now` if these requests wait after the hold.
    fn number_for(&self, waiting: Decimal, now: DateTime<Utc>, most: u32) -> u32 {
        if now >= self.until {
            return 0;
        }
        let waiting = if now < self.hold_until { self.messages.into() } else { waiting };
        environments(waiting, self.per_environment).min(most)
    }

    /// Returns the time of the last step of capacity up to `now`; `None` during the hold.
    fn last_step(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let minutes = now.signed_duration_since(self.hold_until).num_minutes();
        let since = TimeDelta::minutes(minutes - minutes % LEAST_UP_MINUTES);
        (now >= self.hold_until).then(|| later(self.hold_until, since))
    }

    /// Returns the requests that waited at the last step of capacity up to `now`.
    fn waiting_at_step(&self, now: DateTime<Utc>) -> Decimal {
        match (self.last_step(now), self.step) {
            (Some(at), _) if self.counted <= at => self.waiting(at),
            (Some(at), Some(step)) if at <= step.at => step.waiting,
            _ => self.waiting(now),
        }
    }

    /// Returns the number of environments for the requests that still wait at `now`.
    fn needed(&self, now: DateTime<Utc>) -> u32 {
        environments(self.waiting(now), self.per_environment).min(self.most)
    }

    /// Records at `now` that `reached` environments work from now on. A report from before the last one, or from a
    /// clock behind that of the last one, is ignored.
    fn note(&mut self, reached: Option<u32>, now: DateTime<Utc>) {
        if now < self.counted {
            return;
        }
        let step = self.last_step(now).filter(|at| self.counted <= *at);
        self.step = step.map(|at| CapacityStep { at, waiting: self.waiting(at) }).or(self.step);
        self.worked_off = self.worked_off_by(now);
        self.counted = now;
        self.reached = reached;
    }

    /// Returns the limits of the request in the configuration; `None` if they are gone, or the function is disabled.
    fn rule<'f>(&self, fleet: &'f Fleet, target: &'f Target) -> Option<&'f OnRequest> {
        let own = target.on_request.as_ref()?;
        let Some(name) = &self.pipeline else { return Some(own) };
        let is_its = |id: &Identity| *id == target.id.without_tenant();
        let named = fleet.pipelines.iter().find(|pipeline| {
            *pipeline.name == **name
                && pipeline.region == target.region()
                && pipeline.stages.iter().flat_map(|stage| &stage.parts).any(is_its)
        });
        named?.on_request.as_ref()
    }

    /// Returns the request at `now` as a window of the schedule; `None` if it has no effect.
    fn window(&self, target: &Target, rule: &OnRequest, now: DateTime<Utc>) -> Option<Window> {
        let since = Minute::of(self.asked).instant();
        // The configuration may allow less than it did when the request arrived.
        let end = self.until.min(later(self.asked, span(rule.max_for)));
        let waiting =
            if target.strategy.is_capacity() { self.waiting_at_step(now) } else { self.waiting(now) };
        let number = self.number_for(waiting, now, rule.max_concurrency);
        if number == 0 || now < since || end <= now {
            return None;
        }
        let end = if waiting.is_zero() { end.min(self.hold_until) } else { end };
        let label = match &self.reason {
            Some(reason) => format!("backlog request: {reason}"),
            None => "backlog request".to_owned(),
        };
        // The schedule adds the spare ones.
        let wanted = number.saturating_sub(target.spare).max(1);
        let opening = Opening::Once(since, end.signed_duration_since(since));
        let window = Window::new(label, chrono_tz::UTC, opening, wanted);
        Some(Window { pipeline: self.pipeline.as_deref().map(Into::into), ..window })
    }
}

impl Requests {
    /// Adds a request with a backlog, limited by `rule`. It replaces an earlier one of the same function or pipeline,
    /// also with a lower number. An older one, and a repeated delivery, change nothing. The times of events are whole
    /// seconds: of two different ones in the same second, the one that arrives later counts.
    ///
    /// The decision is a round for 0 environments if nothing waits.
    pub fn add_backlog(
        &mut self,
        id: &Identity,
        terms: &BacklogTerms,
        rule: &OnRequest,
        now: DateTime<Utc>,
    ) -> Decision {
        self.prune(terms.at.min(now), now);
        let (at, number) = (terms.at, terms.number(rule));
        let known = self.backlogs.get(id).into_iter().flatten();
        let before = known.into_iter().find(|before| before.pipeline == terms.pipeline);
        let until = later(at, span(rule.max_for));
        let hold_until = later(at, span(terms.hold_for.unwrap_or(rule.hold_for))).min(until);
        let is_repeated = |before: &Backlog| {
            let Backlog { messages, rate, per_environment, reason, .. } = before;
            (messages, rate, per_environment, reason, before.hold_until)
                == (&terms.messages, &terms.rate, &terms.per_environment, &terms.reason, hold_until)
        };
        let is_kept = |before: &&Backlog| before.asked > at || before.asked == at && is_repeated(before);
        if let Some(newer) = before.filter(is_kept) {
            return Decision::Coalesced(newer.number(newer.asked, rule.max_concurrency));
        }
        let apart = |round: &RequestRound| at.signed_duration_since(round.at).abs();
        let coalesced = self.round(id, number).filter(|round| apart(round) < span(rule.coalesce));
        let backlog = Backlog {
            pipeline: terms.pipeline.clone(),
            messages: terms.messages,
            rate: terms.rate,
            per_environment: terms.per_environment,
            most: rule.max_concurrency,
            asked: at,
            hold_until,
            until,
            round: coalesced.unwrap_or(RequestRound { at, environments: number }),
            worked_off: Decimal::ZERO,
            counted: at,
            // The environments that work off the earlier one work off this one as well.
            reached: before.filter(|before| before.is_open(at)).and_then(|before| before.reached),
            step: None,
            reason: terms.reason.clone(),
        };
        let backlogs = self.backlogs.entry(id.clone()).or_default();
        backlogs.retain(|before| before.pipeline != backlog.pipeline);
        backlogs.push(backlog);
        match coalesced {
            Some(round) if number > 0 => Decision::Coalesced(round.environments),
            _ => Decision::Round(number),
        }
    }

    /// Returns the last round of a request for at least this number of environments of a target.
    pub fn round(&self, id: &Identity, environments: u32) -> Option<RequestRound> {
        let plain = self.targets.get(id);
        let plain = plain.map(|plain| RequestRound { at: plain.asked, environments: plain.concurrency });
        let backlogs = self.backlogs.get(id).into_iter().flatten().map(|backlog| backlog.round);
        plain.into_iter().chain(backlogs).filter(|round| round.environments >= environments).max()
    }

    /// Returns the backlogs that can still want environments at `now`.
    pub fn open_backlogs(&self, now: DateTime<Utc>) -> impl Iterator<Item = (&Identity, &Backlog)> {
        let all = self.backlogs.iter().flat_map(|(id, backlogs)| backlogs.iter().map(move |one| (id, one)));
        all.filter(move |(_, backlog)| backlog.is_open(now))
    }

    /// Records the numbers of environments that work from `now` on; `None` if a number is unknown. The open backlogs
    /// of a target divide its environments in proportion to the numbers that their waiting requests need.
    pub fn note_reached(&mut self, reached: &BTreeMap<Identity, Option<u32>>, now: DateTime<Utc>) {
        for (id, reached) in reached {
            let backlogs = self.backlogs.get_mut(id).into_iter().flatten().filter(|one| one.is_open(now));
            let open: Vec<(u64, &mut Backlog)> = backlogs.map(|one| (one.needed(now).into(), one)).collect();
            let mut needed: u64 = open.iter().map(|(own, _)| own).sum();
            let mut left = reached.map(u64::from);
            for (own, backlog) in open {
                let share = left.map(|left| (left * own).checked_div(needed).unwrap_or(left));
                backlog.note(share.map(|share| u32::try_from(share).unwrap_or(u32::MAX)), now);
                left = left.zip(share).map(|(left, share)| left - share);
                needed -= own;
            }
        }
    }

    /// Keeps the backlogs for which `is_kept` is true.
    pub fn retain_backlogs(&mut self, is_kept: impl Fn(&Identity, &Backlog) -> bool) {
        self.backlogs.retain(|id, backlogs| {
            backlogs.retain(|backlog| is_kept(id, backlog));
            !backlogs.is_empty()
        });
    }

    /// Drops backlogs that have ended at `at`, and those in the future of `now`.
    pub(super) fn prune_backlogs(&mut self, at: DateTime<Utc>, now: DateTime<Utc>) {
        let lives = |backlog: &Backlog| backlog.until.max(later(backlog.asked, REQUESTS_LIVE)) > at;
        self.retain_backlogs(|_, backlog| lives(backlog) && !backlog.is_future(now));
    }

    /// Returns the backlogs of a target that have an effect at `now`, each as a window.
    pub(super) fn backlog_windows(&self, fleet: &Fleet, target: &Target, now: DateTime<Utc>) -> Vec<Window> {
        let backlogs = self.backlogs.get(&target.id).into_iter().flatten();
        let windows = backlogs.filter_map(|one| one.window(target, one.rule(fleet, target)?, now));
        windows.collect()
    }
}

#[cfg(test)]
mod tests;
