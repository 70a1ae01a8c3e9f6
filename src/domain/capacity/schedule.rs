//! The number of environments over time, and the scheduled actions that carry it out without warmd.
//!
//! Capacity follows the windows of a target in steps of at least five minutes, because Lambda bills provisioned
//! concurrency in five-minute steps and prepares each change as a whole: from the first change on, five minutes have
//! the highest number wanted in them.

use std::borrow::Cow;

use chrono::TimeDelta;

use super::observe::{Bounds, ScheduledAction};
use super::strategy::{By, Owner, Strategy};
use crate::domain::fleet::{Fleet, Target};
use crate::domain::schedule::{Minute, segments};

/// The minutes for which a number is kept at least. Source: AWS Lambda pricing.
pub const LEAST_UP_MINUTES: i64 = 5;
/// The days ahead for which there are scheduled actions.
pub const AHEAD_DAYS: i64 = 7;
/// The most scheduled actions of a scalable target. The quota is 200, and changed actions exist beside new ones.
pub const MOST_ACTIONS: usize = 100;

/// The minutes that Lambda takes to prepare a few environments, with a margin.
const PREPARE_MINUTES: u32 = 3;
/// The environments that Lambda prepares in a minute. Source: AWS Lambda quotas.
const PREPARED_PER_MINUTE: u32 = 6_000;
/// The minutes in a day.
const DAY: i64 = 24 * 60;
/// The lead of pings that replace capacity at an opening.
const PING_LEAD: TimeDelta = TimeDelta::minutes(1);

/// Returns the default lead of a window with `concurrency` environments, in whole minutes: 3 minutes, and a minute for
/// each 6,000 environments. None of the environments is usable before all are.
pub fn default_lead_minutes(concurrency: u32) -> u32 {
    PREPARE_MINUTES + concurrency.div_ceil(PREPARED_PER_MINUTE)
}

/// A number of environments from a minute on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// The first minute.
    pub at: Minute,
    /// The number of environments.
    pub desired: u32,
}

/// Returns the steps of a target in [`from`, `until`), the first at `from`. Each is at least [`LEAST_UP_MINUTES`]
/// long, apart from those that the range cuts.
pub fn steps(target: &Target, from: Minute, until: Minute) -> Vec<Step> {
    // Steps depend on those before them. All that begin on the same day agree.
    let since = Minute::from_epoch((from.epoch().div_euclid(DAY) - 1) * DAY);
    let wanted = wanted(target, since, until.plus(LEAST_UP_MINUTES));
    let merged = merge(&wanted);
    let before = merged.iter().rev().find(|step| step.at <= from).map_or(0, |step| step.desired);
    let mut steps = vec![Step { at: from, desired: before }];
    steps.extend(merged.into_iter().filter(|step| step.at > from && step.at < until));
    steps
}

/// Returns the number of environments of a target at `minute`.
pub fn desired(target: &Target, minute: Minute) -> u32 {
    steps(target, minute, minute.plus(1)).last().map_or(0, |step| step.desired)
}

/// Returns the changes of the wanted number, the first at `from`.
fn wanted(target: &Target, from: Minute, until: Minute) -> Vec<Step> {
    let mut steps = vec![Step { at: from, desired: 0 }];
    let mut set = |at: Minute, desired: u32| match steps.last_mut() {
        Some(last) if last.at == at => last.desired = desired,
        Some(last) if last.desired == desired => {}
        _ => steps.push(Step { at, desired }),
    };
    for segment in segments(target, from, until) {
        set(segment.from, segment.desired);
        set(segment.until, 0);
    }
    steps
}

/// Merges changes within five minutes to the highest number.
fn merge(wanted: &[Step]) -> Vec<Step> {
    let Some(first) = wanted.first() else { return Vec::new() };
    let mut merged = vec![*first];
    let (mut now, mut value, mut free_from, mut next) = (first.desired, first.desired, first.at, 1);
    loop {
        // The number wanted at the end of the last step.
        while let Some(change) = wanted.get(next).filter(|change| change.at <= free_from) {
            value = change.desired;
            next += 1;
        }
        let (at, mut highest) = match wanted.get(next) {
            _ if value != now => (free_from, value),
            Some(change) => (change.at, change.desired),
            None => return merged,
        };
        free_from = at.plus(LEAST_UP_MINUTES);
        while let Some(change) = wanted.get(next).filter(|change| change.at < free_from) {
            value = change.desired;
            highest = highest.max(value);
            next += 1;
        }
        if highest != now {
            merged.push(Step { at, desired: highest });
            now = highest;
        }
    }
}

/// Returns the bounds of a scalable target for `desired` environments.
pub(super) fn bounds(desired: u32, by: By) -> Bounds {
    match (desired, by) {
        (0, _) => Bounds::ZERO,
        (min, By::Autoscaling { max, .. }) => Bounds { min, max: max.max(min) },
        (min, By::Direct) => Bounds { min, max: min },
    }
}

/// Returns the scheduled actions for the changes of the next [`AHEAD_DAYS`] after `now`, at most [`MOST_ACTIONS`]. The
/// last one always sets both bounds to 0: without warmd, capacity ends. The list changes at most once an hour while the
/// windows stay the same.
pub fn actions(target: &Target, owner: &Owner, now: Minute) -> Vec<ScheduledAction> {
    let Some(by) = target.strategy.by() else { return Vec::new() };
    let hour = now.epoch().div_euclid(60) * 60;
    let horizon = Minute::from_epoch(hour).plus(AHEAD_DAYS * DAY);
    let mut steps = steps(target, now, horizon);
    let is_open = steps.iter().any(|step| step.desired > 0);
    steps.remove(0);
    steps.truncate(MOST_ACTIONS);
    let ends_open = steps.last().map_or(is_open, |last| last.desired > 0);
    if let Some(last) = steps.get_mut(MOST_ACTIONS - 1) {
        last.desired = 0;
    } else if ends_open {
        steps.push(Step { at: horizon, desired: 0 });
    }
    let action = |step: Step| {
        let at = step.at.instant();
        ScheduledAction {
            name: format!("{}{}", owner.action_prefix(), at.format("%Y%m%dT%H%MZ")),
            schedule: format!("at({})", at.format("%Y-%m-%dT%H:%M:%S")),
            bounds: Some(bounds(step.desired, by)),
        }
    };
    steps.into_iter().map(action).collect()
}

/// Returns the fleet whose windows are those of pings. A target with capacity that `is_covered`, or without a fallback,
/// has no windows. The windows of other targets with capacity open a minute early, not with the lead of the capacity.
pub fn for_pings(fleet: &Fleet, is_covered: impl Fn(&Target) -> bool) -> Cow<'_, Fleet> {
    if fleet.targets.iter().all(|target| target.strategy == Strategy::Pings) {
        return Cow::Borrowed(fleet);
    }
    let mut fleet = fleet.clone();
    for target in fleet.targets.iter_mut().filter(|target| target.strategy.is_capacity()) {
        if !target.strategy.may_ping() || is_covered(target) {
            target.windows.clear();
        }
        for window in &mut target.windows {
            window.lead = window.lead.min(PING_LEAD);
        }
    }
    Cow::Owned(fleet)
}

#[cfg(test)]
#[path = "schedule_tests.rs"]
mod tests;
