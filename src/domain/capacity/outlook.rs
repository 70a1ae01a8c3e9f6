//! The capacity of a target ahead: its segments over a period, the bounds at a minute, and its scheduled actions.

use chrono::NaiveDateTime;

use super::observe::{Bounds, ScheduledAction};
use super::schedule::{actions, bounds, desired, steps};
use super::strategy::{Managed, Owner, Strategy};
use crate::domain::fleet::Target;
use crate::domain::schedule::{HORIZON_DAYS, Minute, Segment};

/// The capacity of a target at a minute, and what is scheduled from then on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outlook {
    /// The number of environments wanted, the floor of managed instances included.
    pub desired: u32,
    /// The bounds of the number.
    pub bounds: Bounds,
    /// The scheduled actions, by time. Without [`By::Autoscaling`](super::By) there are none.
    pub actions: Vec<(Minute, Bounds)>,
    /// The next minute at which the number differs, with that number; `None` when it is constant for [`HORIZON_DAYS`].
    pub next: Option<(Minute, u32)>,
}

/// Returns the capacity of a target at `minute`; `None` for pings.
pub fn outlook(target: &Target, owner: &Owner, minute: Minute) -> Option<Outlook> {
    let desired = number(target.strategy, desired(target, minute));
    let bounds = match target.strategy {
        Strategy::Pings => return None,
        Strategy::Provisioned(provisioned) => bounds(desired, provisioned.by),
        Strategy::Managed(_) if desired == 0 => Bounds::ZERO,
        Strategy::Managed(Managed { max, .. }) => Bounds { min: desired, max: max.max(desired) },
    };
    let is_autoscaling = matches!(target.strategy.by(), Some(super::By::Autoscaling { .. }));
    let actions = if is_autoscaling { actions(target, owner, minute) } else { Vec::new() };
    let actions = actions.iter().filter_map(|action| Some((time_of(action)?, action.bounds?)));
    let ahead = steps(target, minute, minute.plus(HORIZON_DAYS * 24 * 60)).into_iter();
    let next = ahead.map(|step| (step.at, number(target.strategy, step.desired)));
    let next = next.skip(1).find(|(_, number)| *number != desired);
    Some(Outlook { desired, bounds, actions: actions.collect(), next })
}

fn time_of(action: &ScheduledAction) -> Option<Minute> {
    let at = NaiveDateTime::parse_from_str(&action.schedule, "at(%Y-%m-%dT%H:%M:%S)").ok()?;
    Some(Minute::of(at.and_utc()))
}

/// Returns the number of environments that a strategy has where the windows want `desired`: at least the floor of
/// managed instances.
pub fn number(strategy: Strategy, desired: u32) -> u32 {
    match strategy {
        Strategy::Managed(managed) => desired.max(managed.floor),
        Strategy::Pings | Strategy::Provisioned(_) => desired,
    }
}

/// Returns the steps of a target's capacity in [`from`, `until`) as segments without rounds. Periods without capacity
/// are left out; managed instances have their floor in them.
pub fn segments(target: &Target, from: Minute, until: Minute) -> Vec<Segment> {
    let mut segments: Vec<Segment> = Vec::new();
    if from >= until {
        return segments;
    }
    let steps = steps(target, from, until);
    let ends = steps.iter().skip(1).map(|step| step.at).chain([until]);
    for (step, until) in steps.iter().zip(ends) {
        let desired = number(target.strategy, step.desired);
        match segments.last_mut().filter(|last| last.until == step.at && last.desired == desired) {
            Some(last) => last.until = until,
            None => segments.push(Segment { from: step.at, until, desired, rounds: 0 }),
        }
    }
    segments.retain(|segment| segment.desired > 0);
    segments
}
