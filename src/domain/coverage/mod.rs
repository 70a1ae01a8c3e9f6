//! The minutes of open windows in which a target was warm.
//!
//! A round proves environments at an instant. Between two rounds, the environments that the first one reached are warm
//! if the second one finds as many of them still warm: a function whose every ping is cold is never covered.
//!
//! For a minute between round k and round k + 1, with the number `desired` at that minute:
//!
//! ```text
//! warm      min(reached in k, found warm in k + 1) ≥ desired
//! unknown   the minimum is unknown, and no known part of it is below desired
//! not warm  otherwise; and after the interval of round k, when nobody has served the target
//! ```
//!
//! Round k + 1 looks at the environments that it wants. If it found all of them warm, those beyond, which were wanted
//! before the number fell, are judged by what round k reached.
//!
//! No round follows the last round k of an opening, nor before a round that is skipped. If round k reached the number,
//! the minutes after it are
//!
//! ```text
//! warm      if round k found an environment warm: it has outlived the time since an earlier round of the opening
//! not warm  if it found none
//! unknown   if there was no earlier round in the opening
//! ```
//!
//! Provisioned capacity counts as a round that reaches and finds what is available, and Lambda keeps it. Minutes are
//! whole, and begin with the minute of a round.
//!
//! Minutes of a pause are not warm, and have no mark: users met cold starts.

mod look;
mod minutes;
mod slo;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::fleet::Target;
use super::schedule::{Minute, Segment, desired, segments};

pub use self::look::{Found, Look};
pub use self::minutes::Minutes;
pub use self::slo::{BurnAlarm, Slo};

/// The longest time that is filled in when nobody served a target: longer outages begin later.
pub const MOST_FILLED: i64 = 31 * 24 * 60;

/// Minutes by the hour in which they are, in hours since the Unix epoch.
pub type ByHour = BTreeMap<i64, Minutes>;

/// The minutes after the interval of a round in which the result of the next one may still come.
const LATE: i64 = 2;

/// The state of a target between two rounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watch {
    /// The epoch minute before which every minute is judged.
    until: i64,
    /// The last round; `None` before the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last: Option<Last>,
}

/// The last round of a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Last {
    /// The epoch minute before which the next round is due.
    until: i64,
    /// The environments reached; `None` if unknown.
    reached: Option<u32>,
    /// True if a guard or a budget lowered the number.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    is_capped: bool,
    /// The epoch minute of the last round that was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sent: Option<i64>,
    /// True if this round found an environment warm after an earlier one of the opening, or if Lambda keeps the number;
    /// false if it found none; `None` if unknown, or without an earlier one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    survived: Option<bool>,
}

impl Watch {
    /// Returns the epoch minute before which every minute is judged.
    pub fn until(&self) -> i64 {
        self.until
    }

    /// Returns the state with the minutes before `until` judged.
    #[must_use]
    pub fn moved(self, until: i64) -> Self {
        Self { until, ..self }
    }

    /// Returns true if the next round was due long ago in the window that is open at `at`, so that none is awaited.
    pub fn is_overdue(&self, target: &Target, at: Minute) -> bool {
        let due = at.plus(-LATE);
        self.last.map_or(self.until, |last| last.until) <= due.epoch() && desired(target, due) > 0
    }

    /// Returns the state after a look at `at` whose earlier minutes are judged already. Later ones are judged by it,
    /// unless a later look is known.
    #[must_use]
    pub fn with_late(self, target: &Target, at: Minute, look: &Look) -> Self {
        let late = Last::new(target, at, look, self.last);
        let is_known = self.last.is_some_and(|last| last.until >= late.until);
        Self { last: if is_known { self.last } else { Some(late) }, ..self }
    }

    /// Returns the whole hours before `at` in which nobody has served the target, as epoch minutes; `None` if there are
    /// none. Nothing that is seen later changes the judgement of their minutes.
    pub fn unserved(&self, at: Minute) -> Option<(i64, i64)> {
        let served = self.last.map_or(self.until, |last| last.until.max(self.until));
        let until = at.epoch().div_euclid(60) * 60;
        let from = served.max(at.epoch() - MOST_FILLED).min(until);
        let from = from.saturating_add(59).div_euclid(60) * 60;
        (from < until).then_some((from, until))
    }
}

/// The judgement of one minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Judgement {
    Warm,
    Unknown,
    Cold,
    Capped,
}

impl Last {
    /// Creates the round of a look. `before` is the last one before it.
    fn new(target: &Target, at: Minute, look: &Look, before: Option<Self>) -> Self {
        let Look { reached, found, is_capped, serves_minutes } = *look;
        let earlier = before.and_then(|before| before.sent);
        let survived = match found {
            Found::Kept => Some(true),
            Found::Unknown | Found::NotLooked => None,
            // The second round in a minute shows nothing more.
            _ if earlier >= Some(at.epoch()) => before.and_then(|before| before.survived),
            Found::All | Found::Warm(_) => {
                let since = earlier.map(|sent| Minute::from_epoch(sent.max(at.epoch() - MOST_FILLED)));
                let is_same =
                    since.is_some_and(|since| opening_until(&segments(target, since, at), at) <= since);
                is_same.then_some(found != Found::Warm(0))
            }
        };
        let sent = if found == Found::NotLooked { earlier } else { Some(at.epoch()) };
        Self { until: at.epoch().saturating_add(serves_minutes), reached, is_capped, sent, survived }
    }

    /// Judges a minute with the number `desired`. `found` is the look that follows in the same opening.
    fn judge(&self, minute: i64, desired: u32, found: Found) -> Judgement {
        let found = match found {
            Found::Warm(number) => Some(number),
            Found::Unknown => None,
            Found::All | Found::Kept => Some(u32::MAX),
            Found::NotLooked => self.survived.map(|survived| if survived { u32::MAX } else { 0 }),
        };
        let is_below = |number: Option<u32>| number.is_some_and(|number| number < desired);
        if minute >= self.until {
            Judgement::Cold
        } else if self.is_capped {
            Judgement::Capped
        } else if is_below(self.reached) || is_below(found) {
            Judgement::Cold
        } else if self.reached.is_some() && found.is_some() {
            Judgement::Warm
        } else {
            Judgement::Unknown
        }
    }
}

impl Judgement {
    fn minutes(self, number: u64) -> Minutes {
        let window = Minutes { window: number, ..Minutes::default() };
        match self {
            Self::Warm => Minutes { warm: number, ..window },
            Self::Unknown => Minutes { unknown: number, ..Minutes::default() },
            Self::Cold => window,
            Self::Capped => Minutes { capped: number, ..window },
        }
    }
}

/// Judges the minutes of a target before `at` that are not judged yet, and returns them with the next state.
///
/// `look` is what a tick at `at` saw of the target; `None` when its windows have closed, or its round is overdue. `watch`
/// is the state before, `None` if the target is new. Call it for every round, and for the first tick after a window has
/// closed.
///
/// A state of the future, which a wrong clock wrote, counts as a new target.
pub fn advance(watch: Option<&Watch>, target: &Target, at: Minute, look: Option<&Look>) -> (Watch, ByHour) {
    let now = at.epoch();
    let known = watch.filter(|watch| watch.until <= now);
    let mut hours = ByHour::new();
    if let Some(watch) = known {
        let from = Minute::from_epoch(watch.until.max(now - MOST_FILLED));
        let open = segments(target, from, at);
        let opening = look.map(|_| opening_until(&open, at));
        for segment in &open {
            let is_same = opening.is_some_and(|opening| segment.from >= opening);
            let found = look.filter(|_| is_same).map_or(Found::NotLooked, |look| look.found);
            judge(watch.last.as_ref(), segment, found, &mut hours);
        }
    }
    let before = known.and_then(|watch| watch.last);
    let last = look.map(|look| Last::new(target, at, look, before)).or(before);
    (Watch { until: now, last }, hours)
}

/// Returns the first minute of the opening that lasts until `at`; `at` if the target was not open before it.
fn opening_until(open: &[Segment], at: Minute) -> Minute {
    open.iter().rev().fold(at, |begin, segment| if segment.until == begin { segment.from } else { begin })
}

/// Judges the minutes of a segment.
fn judge(last: Option<&Last>, segment: &Segment, found: Found, hours: &mut ByHour) {
    let (mut minute, end) = (segment.from.epoch(), segment.until.epoch());
    while minute < end {
        let hour = minute.div_euclid(60);
        let mut until = end.min((hour + 1) * 60);
        let judgement = match last {
            Some(last) => {
                // What the last round proves ends within the hour.
                if minute < last.until {
                    until = until.min(last.until);
                }
                last.judge(minute, segment.desired, found)
            }
            None => Judgement::Cold,
        };
        *hours.entry(hour).or_default() += judgement.minutes(u64::try_from(until - minute).unwrap_or(0));
        minute = until;
    }
}
