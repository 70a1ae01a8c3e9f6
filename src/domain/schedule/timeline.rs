//! The desired number of a target over time: its value at a minute, and the minute until which the value holds.
//!
//! Nothing here steps through minutes. Two occurrences of a window determine its value: the latest that has begun
//! (lead included), which also closes last, and the earliest that has not begun.

use chrono::{NaiveDate, TimeDelta};

use super::minute::{Minute, instant_of};
use crate::domain::calendar::Window;
use crate::domain::fleet::Target;

/// Returns the concurrency that `window` contributes at `minute`, lead and ramps included.
pub fn concurrency_at(window: &Window, minute: Minute) -> u32 {
    WindowTimeline::at(window, minute, minute).value
}

/// Returns the desired number of environments of `target` at `minute`, spare ones included.
pub fn desired(target: &Target, minute: Minute) -> u32 {
    Timeline::at(target, minute, minute).value()
}

/// The desired number of a target, from a minute on.
pub(super) struct Timeline<'t> {
    windows: Vec<WindowTimeline<'t>>,
    spare: u32,
}

impl<'t> Timeline<'t> {
    /// Creates the timeline at `minute`. Changes after `horizon` are not looked up.
    pub(super) fn at(target: &'t Target, minute: Minute, horizon: Minute) -> Self {
        Self { spare: target.spare, ..Self::of(&target.windows, minute, horizon) }
    }

    /// Creates the timeline of windows without spare environments.
    pub(super) fn of(windows: impl IntoIterator<Item = &'t Window>, minute: Minute, horizon: Minute) -> Self {
        let windows = windows.into_iter().map(|window| WindowTimeline::at(window, minute, horizon));
        Self { windows: windows.collect(), spare: 0 }
    }

    /// Returns the value at the current minute.
    pub(super) fn value(&self) -> u32 {
        match self.windows.iter().map(|window| window.value).max().unwrap_or(0) {
            0 => 0,
            highest => highest.saturating_add(self.spare),
        }
    }

    /// Returns the first minute at which the value may differ, or `None` when it holds to the horizon.
    pub(super) fn holds_until(&self) -> Option<Minute> {
        self.windows.iter().filter_map(|window| window.holds_until).min()
    }

    /// Advances to `minute`, which must not be before the current minute.
    pub(super) fn advance(&mut self, minute: Minute) {
        for window in &mut self.windows {
            if window.holds_until.is_some_and(|until| until <= minute) {
                window.advance(minute);
            }
        }
    }
}

/// The timeline of one window. Durations and instants are in seconds.
struct WindowTimeline<'w> {
    window: &'w Window,
    lead: i64,
    up: i64,
    down: i64,
    horizon: Minute,
    /// The closing of the latest occurrence that has begun.
    closes: Option<i64>,
    /// Beginning (lead included) and closing of the earliest occurrence that has not begun. Not looked up while the
    /// window is open, because it has no effect before the closing.
    next: Option<(i64, i64)>,
    value: u32,
    holds_until: Option<Minute>,
}

impl<'w> WindowTimeline<'w> {
    fn at(window: &'w Window, minute: Minute, horizon: Minute) -> Self {
        let seconds = |duration: TimeDelta| duration.num_seconds().clamp(0, MAX_DURATION);
        let mut timeline = Self {
            window,
            lead: seconds(window.lead),
            up: seconds(window.ramp_up),
            down: seconds(window.ramp_down),
            horizon,
            closes: None,
            next: None,
            value: 0,
            holds_until: None,
        };
        timeline.look_up(minute.seconds());
        timeline.update_value(minute.seconds());
        timeline
    }

    /// Advances to `minute`, which must not be before `holds_until`.
    fn advance(&mut self, minute: Minute) {
        let now = minute.seconds();
        match self.next {
            // Later occurrences may have begun as well. They take effect when this one closes and are looked up then.
            Some((begins, closes)) if begins <= now && now < closes => {
                self.closes = Some(closes);
                self.next = None;
            }
            Some((begins, _)) if now < begins => {}
            _ => self.look_up(now),
        }
        self.update_value(now);
    }

    /// Looks up the two occurrences that determine the value.
    fn look_up(&mut self, now: i64) {
        let bound = instant_of(now + self.lead);
        let longest = self.window.longest().num_seconds().clamp(0, MAX_DURATION);
        let since = day_near(now - self.down - longest, -2);
        self.closes = self.window.latest_opening(bound, since).map(|latest| latest.closes.timestamp());
        self.next = if self.closes.is_some_and(|closes| now < closes) {
            None
        } else {
            let through = day_near(self.horizon.seconds() + self.lead + self.up, 2);
            let next = self.window.next_opening(bound, through);
            next.map(|next| (next.opens.timestamp() - self.lead, next.closes.timestamp()))
        };
    }

    /// Computes `value` and `holds_until`.
    fn update_value(&mut self, now: i64) {
        let n = i64::from(self.window.concurrency.max(1));
        let (mut value, mut until) = (0, i64::MAX);
        if let Some(closes) = self.closes {
            let left = closes + self.down - now;
            if now < closes {
                (value, until) = (n, closes);
            } else if left > 0 {
                // ⌈n·left/d⌉ is v for as long as n·left > (v − 1)·d.
                value = ceil_div(n * left, self.down);
                until = closes + self.down - (value - 1) * self.down / n;
            }
        }
        if let Some((begins, _)) = self.next {
            let passed = now - (begins - self.up);
            if passed < 0 {
                until = until.min(begins - self.up);
            } else {
                // ⌈n·passed/u⌉ is v for as long as n·passed ≤ v·u. The opening is ahead, so u is not zero.
                let rising = ceil_div(n * passed, self.up.max(1));
                value = value.max(rising);
                until = until.min(begins - self.up + rising * self.up / n + 1).min(begins.max(now + 1));
            }
        }
        self.value = u32::try_from(value).unwrap_or(self.window.concurrency);
        // `until` is after `now`, except in the last minute of the range.
        self.holds_until = Some(until)
            .filter(|until| *until < i64::MAX)
            .map(Minute::from_seconds_up)
            .filter(|until| until.seconds() > now);
    }
}

/// The longest lead, ramp or occurrence that is taken into account: ten years, in seconds. Products with up to 2^32
/// environments then fit 63 bits.
const MAX_DURATION: i64 = 10 * 366 * 86_400;

/// Returns the UTC day of a second since the epoch, shifted by whole days. Two days cover the wall clocks of all zones.
fn day_near(seconds: i64, days: i64) -> NaiveDate {
    instant_of(seconds.saturating_add(days * 86_400)).date_naive()
}

fn ceil_div(dividend: i64, divisor: i64) -> i64 {
    dividend.div_euclid(divisor) + i64::from(dividend.rem_euclid(divisor) > 0)
}
