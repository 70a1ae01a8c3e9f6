//! Scalable targets, and what the service does with them by itself: scheduled actions and target tracking.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

use super::super::capacity::Place;
use super::super::errors::ErrorResponse;
use super::super::observe::ScalingChange;
use super::super::random::SeededRng;
use super::tracking::{Tracking, Wish, combined};

const MINUTE: Duration = Duration::from_secs(60);
/// The number of activities and of changes kept. The oldest are deleted first.
const REMEMBERED: usize = 100_000;

/// The capacity that the service measures and changes.
pub(in super::super) trait Capacity {
    /// Checks that a function and its qualifier exist.
    fn check(&self, place: &Place) -> Result<(), ErrorResponse>;
    /// Requests a number of environments at the emulated time `at`.
    fn request(&self, place: &Place, number: u32, at: Duration) -> Result<(), ErrorResponse>;
    /// Returns the number that is requested at the emulated time `at`.
    fn requested(&self, place: &Place, at: Duration) -> u32;
    /// Returns the utilization in the minute that ends at the emulated time `end`; `None` without a point.
    fn utilization(&self, place: &Place, end: Duration) -> Option<f64>;
    /// Returns the time from a request of more environments until they are available.
    fn prepare(&self, place: &Place) -> Duration;
}

/// Application Auto Scaling in all regions.
#[derive(Debug)]
pub(in super::super) struct Scaling {
    pub(super) targets: BTreeMap<Place, Target>,
    pub(super) activities: VecDeque<Activity>,
    /// The number of activities so far.
    counted: u64,
    /// The changes for [`super::super::Observations`].
    pub(in super::super) changes: VecDeque<ScalingChange>,
    /// The targets whose capacity the service cannot change, with Lambda's message.
    failing: BTreeMap<Place, String>,
    pub(super) rng: SeededRng,
    /// Everything up to this emulated time is done.
    advanced: Duration,
    /// Nothing happens before this emulated time.
    pub(super) quiet_until: Duration,
}

/// A scalable target.
#[derive(Debug, Default)]
pub(super) struct Target {
    pub arn: String,
    pub min: u32,
    pub max: u32,
    pub created: Duration,
    pub suspended: Suspended,
    pub tags: BTreeMap<String, String>,
    pub policies: BTreeMap<String, Policy>,
    pub actions: BTreeMap<String, Action>,
    /// The end of the latest change of capacity, and the ends of the latest additions and removals by policies.
    busy_until: Duration,
    scaled: (Option<Duration>, Option<Duration>),
    /// The bounds and the requested capacity in the latest entry of [`Scaling::changes`].
    noted: Option<(u32, u32, u32)>,
}

/// The suspended kinds of scaling.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Suspended {
    pub scaling_in: bool,
    pub scaling_out: bool,
    pub scheduled: bool,
}

/// A scaling policy.
#[derive(Debug)]
pub(super) struct Policy {
    pub arn: String,
    pub kind: String,
    /// The configuration by its key in requests and answers.
    pub settings: Map<String, Value>,
    pub created: Duration,
    /// The names of the alarms.
    pub alarms: Vec<String>,
    /// `None` unless the policy is target tracking on the utilization of provisioned concurrency. Other policies are
    /// stored and have no effect.
    pub tracking: Option<Tracking>,
}

/// A scheduled action.
#[derive(Debug)]
pub(super) struct Action {
    pub arn: String,
    pub schedule: String,
    pub timezone: Option<String>,
    pub period: (Option<DateTime<Utc>>, Option<DateTime<Utc>>),
    pub min: Option<u32>,
    pub max: Option<u32>,
    pub created: Duration,
    /// The instant at which it happens. `None` after that, and for a schedule that recurs, which has no effect.
    pub due: Option<DateTime<Utc>>,
}

/// A scaling activity.
#[derive(Debug)]
pub(super) struct Activity {
    /// Its number, from 1.
    pub number: u64,
    pub id: String,
    pub place: Place,
    pub effect: Effect,
    pub cause: String,
    pub started: Duration,
    pub ended: Duration,
    pub failure: Option<String>,
}

/// The effect of an activity.
#[derive(Debug)]
pub(super) enum Effect {
    /// The bounds that a scheduled action sets.
    Bounds(Option<u32>, Option<u32>),
    /// The requested capacity.
    Capacity(u32),
}

/// Returns the emulated time of an instant; `None` before the origin.
fn emulated(instant: DateTime<Utc>, origin: DateTime<Utc>) -> Option<Duration> {
    (instant - origin).to_std().ok()
}

/// Returns the end of the first minute of UTC that ends after the emulated time `after`.
pub(in super::super) fn next_minute(after: Duration, origin: DateTime<Utc>) -> Duration {
    let seconds = u64::try_from(origin.timestamp().rem_euclid(60)).unwrap_or_default();
    let offset = Duration::new(seconds, origin.timestamp_subsec_nanos());
    let minutes = (after + offset).as_nanos() / MINUTE.as_nanos() + 1;
    MINUTE * u32::try_from(minutes).unwrap_or(u32::MAX) - offset
}

impl Target {
    /// Creates a target with the bounds 0 and 0.
    pub(super) fn new(arn: String, tags: BTreeMap<String, String>, created: Duration) -> Self {
        Self { arn, tags, created, ..Self::default() }
    }

    /// Adds a minute's point to the policies. Returns the change that they then ask for: true for an addition, the
    /// number and the cause.
    fn wish(&mut self, point: Option<f64>, requested: u32, at: Duration) -> Option<(bool, u32, String)> {
        let tracked = self.policies.iter_mut().filter_map(|(name, policy)| {
            let tracking = policy.tracking.as_mut()?;
            tracking.add(point);
            Some((tracking.wish(requested), tracking.cooldowns, name, &policy.alarms))
        });
        let tracked: Vec<_> = tracked.collect();
        let wishes: Vec<Option<Wish>> = tracked.iter().map(|(wish, ..)| *wish).collect();
        let wish = combined(&wishes)?;
        let (_, cooldowns, name, alarms) = tracked.iter().find(|(own, ..)| *own == Some(wish))?;
        let (is_out, number, kind, is_suspended, (last, cooldown)) = match wish {
            Wish::Out(number) => {
                (true, number, "-AlarmHigh-", self.suspended.scaling_out, (self.scaled.0, cooldowns.0))
            }
            Wish::In(number) => {
                (false, number, "-AlarmLow-", self.suspended.scaling_in, (self.scaled.1, cooldowns.1))
            }
        };
        let number = number.clamp(self.min, self.max);
        let is_change = if is_out { number > requested } else { number < requested };
        let is_waiting = at < self.busy_until || last.is_some_and(|last| at < last + cooldown);
        if !is_change || is_suspended || is_waiting {
            return None;
        }
        let alarm = alarms.iter().find(|alarm| alarm.contains(kind)).map_or("", String::as_str);
        Some((is_out, number, format!("monitor alarm {alarm} in state ALARM triggered policy {name}")))
    }
}

impl Scaling {
    /// Creates the service without any target.
    pub(in super::super) fn new(seed: u64) -> Self {
        Self {
            targets: BTreeMap::new(),
            activities: VecDeque::new(),
            counted: 0,
            changes: VecDeque::new(),
            failing: BTreeMap::new(),
            rng: SeededRng::new(seed, "autoscaling"),
            advanced: Duration::ZERO,
            quiet_until: Duration::ZERO,
        }
    }

    /// Returns the number of alarms of all policies.
    pub(in super::super) fn alarms(&self) -> usize {
        let policies = self.targets.values().flat_map(|target| target.policies.values());
        policies.map(|policy| policy.alarms.len()).sum()
    }

    /// Makes changes of capacity of a target fail with Lambda's message, or succeed again.
    pub(super) fn fail(&mut self, place: Place, failure: Option<&str>) {
        match failure {
            Some(message) => self.failing.insert(place, message.to_owned()),
            None => self.failing.remove(&place),
        };
    }

    /// Does what has become due up to the emulated time `until`, in the order of time. `origin` is the UTC of the
    /// emulator's origin.
    pub(in super::super) fn advance(
        &mut self,
        capacity: &impl Capacity,
        origin: DateTime<Utc>,
        until: Duration,
    ) {
        if until < self.quiet_until {
            return;
        }
        let mut actions = self.due(origin);
        actions.sort();
        let mut actions = actions.into_iter().peekable();
        let is_tracked = self
            .targets
            .values()
            .any(|target| target.policies.values().any(|policy| policy.tracking.is_some()));
        let minute = |after| if is_tracked { next_minute(after, origin) } else { Duration::MAX };
        let mut next_minute = minute(self.advanced);
        loop {
            let next = actions.peek().map_or(next_minute, |(at, ..)| next_minute.min(*at));
            if next > until {
                self.quiet_until = next;
                break;
            }
            while let Some((at, place, name)) = actions.next_if(|(at, ..)| *at <= next) {
                self.fire(&place, &name, at, capacity);
            }
            if next == next_minute {
                self.track(next, capacity);
                next_minute = minute(next);
            }
        }
        self.advanced = until;
    }

    /// Returns the scheduled actions that have not happened yet, with their emulated times.
    fn due(&self, origin: DateTime<Utc>) -> Vec<(Duration, Place, String)> {
        let of = |(place, target): (&Place, &Target)| -> Vec<(Duration, Place, String)> {
            let actions = target.actions.iter();
            let due = actions.filter_map(|(name, action)| Some((emulated(action.due?, origin)?, name)));
            due.map(|(at, name)| (at, place.clone(), name.clone())).collect()
        };
        self.targets.iter().flat_map(of).collect()
    }

    /// Executes a scheduled action. A one-time action is lost while scheduled scaling is suspended.
    fn fire(&mut self, place: &Place, name: &str, at: Duration, capacity: &impl Capacity) {
        let Some(target) = self.targets.get_mut(place) else { return };
        let Some(action) = target.actions.get_mut(name) else { return };
        let (due, (from, until)) = (action.due.take(), action.period);
        let is_outside =
            from.is_some_and(|from| due < Some(from)) || until.is_some_and(|until| due > Some(until));
        if target.suspended.scheduled || is_outside {
            return;
        }
        let bounds = (action.min, action.max);
        let (min, max) = (bounds.0.unwrap_or(target.min), bounds.1.unwrap_or(target.max));
        let failure =
            (min > max).then(|| "Reason: Maximum capacity cannot be less than minimum capacity".to_owned());
        if failure.is_none() {
            (target.min, target.max) = (min, max);
        }
        let cause = format!("scheduled action name {name} was triggered");
        self.record(place, Effect::Bounds(bounds.0, bounds.1), cause, (at, at), failure);
        self.enforce(place, at, capacity);
        self.note(place, at, capacity);
    }

    /// Evaluates the policies at the end of a minute.
    fn track(&mut self, at: Duration, capacity: &impl Capacity) {
        let tracked = |target: &Target| target.policies.values().any(|policy| policy.tracking.is_some());
        let places: Vec<Place> = self
            .targets
            .iter()
            .filter(|(_, target)| tracked(target))
            .map(|(place, _)| place.clone())
            .collect();
        for place in places {
            let (point, requested) = (capacity.utilization(&place, at), capacity.requested(&place, at));
            let Some(target) = self.targets.get_mut(&place) else { continue };
            let Some((is_out, number, cause)) = target.wish(point, requested, at) else { continue };
            let ended = self.scale(&place, number, at, cause, capacity);
            if let Some(target) = self.targets.get_mut(&place) {
                *if is_out { &mut target.scaled.0 } else { &mut target.scaled.1 } = Some(ended);
            }
            self.note(&place, at, capacity);
        }
    }

    /// Moves the requested capacity into the bounds.
    pub(super) fn enforce(&mut self, place: &Place, at: Duration, capacity: &impl Capacity) {
        let Some(Target { min, max, .. }) = self.targets.get(place) else { return };
        let requested = capacity.requested(place, at);
        if requested < *min {
            let (number, cause) = (*min, format!("minimum capacity was set to {min}"));
            self.scale(place, number, at, cause, capacity);
        } else if requested > *max {
            let (number, cause) = (*max, format!("maximum capacity was set to {max}"));
            self.scale(place, number, at, cause, capacity);
        }
    }

    /// Requests capacity as the service. Returns the end of the activity. A failed one is not repeated.
    fn scale(
        &mut self,
        place: &Place,
        number: u32,
        at: Duration,
        cause: String,
        capacity: &impl Capacity,
    ) -> Duration {
        let is_addition = number > capacity.requested(place, at);
        let result = match self.failing.get(place) {
            Some(message) => Err(ErrorResponse::invalid(message)),
            None => capacity.request(place, number, at),
        };
        let ended = if result.is_ok() && is_addition { at + capacity.prepare(place) } else { at };
        let failure = result.err().map(|ErrorResponse { status, code, message, .. }| {
            let request = self.rng.uuid();
            format!(
                "Reason: {message} (Service: AWSLambda; Status Code: {status}; Error Code: {code}; Request ID: \
                 {request}; Proxy: null)"
            )
        });
        self.record(place, Effect::Capacity(number), cause, (at, ended), failure);
        if let Some(target) = self.targets.get_mut(place) {
            target.busy_until = ended;
        }
        ended
    }

    fn record(
        &mut self,
        place: &Place,
        effect: Effect,
        cause: String,
        (started, ended): (Duration, Duration),
        failure: Option<String>,
    ) {
        self.counted += 1;
        let (number, id, place) = (self.counted, self.rng.uuid(), place.clone());
        self.activities.push_back(Activity { number, id, place, effect, cause, started, ended, failure });
        if self.activities.len() > REMEMBERED {
            self.activities.pop_front();
        }
    }

    /// Adds the present bounds and capacity of a target to the changes, if they differ from the last ones.
    pub(super) fn note(&mut self, place: &Place, at: Duration, capacity: &impl Capacity) {
        let (account, region) = place.scope.split_once('/').unwrap_or_default();
        let change = ScalingChange {
            at,
            account: account.to_owned(),
            region: region.to_owned(),
            function: place.function.clone(),
            qualifier: place.qualifier.clone(),
            bounds: self.targets.get(place).map(|target| (target.min, target.max)),
            requested: capacity.requested(place, at),
        };
        if let Some(target) = self.targets.get_mut(place)
            && target.noted.replace((target.min, target.max, change.requested))
                == Some((target.min, target.max, change.requested))
        {
            return;
        }
        self.changes.push_back(change);
        if self.changes.len() > REMEMBERED {
            self.changes.pop_front();
        }
    }
}
