//! The course of a target over time: its value at a minute, and the minute until which that holds.
//!
//! Nothing here steps through minutes. A window's value is decided by two of its occurrences only: the latest
//! that has begun (lead included), since it also closes last, and the earliest that has not.

use chrono::{NaiveDate, TimeDelta};

use super::minute::{Minute, instant_of};
use crate::domain::calendar::Window;
use crate::domain::fleet::Target;

/// The environments that `window` wants at `minute`.
pub fn want(window: &Window, minute: Minute) -> u32 {
    WindowCourse::at(window, minute, minute).value
}

/// The environments that `target` wants at `minute`, spare ones included.
pub fn target(target: &Target, minute: Minute) -> u32 {
    let most = target.windows.iter().map(|window| want(window, minute)).max().unwrap_or(0);
    with_spare(most, target.spare)
}

fn with_spare(most: u32, spare: u32) -> u32 {
    match most {
        0 => 0,
        most => most.saturating_add(spare),
    }
}

/// A target's value from a minute on.
pub(super) struct Course<'t> {
    windows: Vec<WindowCourse<'t>>,
    spare: u32,
}

impl<'t> Course<'t> {
    /// The course at `minute`. Nothing after `horizon` is looked at.
    pub(super) fn at(target: &'t Target, minute: Minute, horizon: Minute) -> Self {
        let windows = target.windows.iter().map(|window| WindowCourse::at(window, minute, horizon)).collect();
        Self { windows, spare: target.spare }
    }

    /// The value at the course's minute.
    pub(super) fn value(&self) -> u32 {
        with_spare(self.windows.iter().map(|window| window.value).max().unwrap_or(0), self.spare)
    }

    /// The first minute at which the value may be another; `None` when it holds to the horizon.
    pub(super) fn holds_until(&self) -> Option<Minute> {
        self.windows.iter().filter_map(|window| window.holds_until).min()
    }

    /// Goes on to `minute`, which must not be earlier than where the course is.
    pub(super) fn advance(&mut self, minute: Minute) {
        for window in &mut self.windows {
            if window.holds_until.is_some_and(|until| until <= minute) {
                window.seek(minute);
            }
        }
    }
}

/// One window's part of a course. Stretches and instants in seconds.
struct WindowCourse<'w> {
    window: &'w Window,
    lead: i64,
    up: i64,
    down: i64,
    horizon: Minute,
    /// When the latest occurrence that has begun closes.
    closes: Option<i64>,
    /// When the earliest occurrence that has not begun does, lead included, and when it closes. Not looked up
    /// while the window is open: it cannot matter before the closing.
    next: Option<(i64, i64)>,
    value: u32,
    holds_until: Option<Minute>,
}

impl<'w> WindowCourse<'w> {
    fn at(window: &'w Window, minute: Minute, horizon: Minute) -> Self {
        let seconds = |stretch: TimeDelta| stretch.num_seconds().clamp(0, LONGEST_STRETCH);
        let mut course = Self {
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
        course.look_up(minute.seconds());
        course.settle(minute.seconds());
        course
    }

    /// Goes on to `minute`, which is not before the end of what holds.
    fn seek(&mut self, minute: Minute) {
        let now = minute.seconds();
        match self.next {
            // Others may have begun as well. They matter when this one closes, and are found then.
            Some((begins, closes)) if begins <= now && now < closes => {
                self.closes = Some(closes);
                self.next = None;
            }
            Some((begins, _)) if now < begins => {}
            _ => self.look_up(now),
        }
        self.settle(now);
    }

    /// Finds the two occurrences that decide.
    fn look_up(&mut self, now: i64) {
        let bound = instant_of(now + self.lead);
        let longest = self.window.longest().num_seconds().clamp(0, LONGEST_STRETCH);
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

    /// Derives value and holding time.
    fn settle(&mut self, now: i64) {
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
                // ⌈n·passed/u⌉ is v for as long as n·passed ≤ v·u. Before the opening, so u is not zero.
                let rising = ceil_div(n * passed, self.up.max(1));
                value = value.max(rising);
                until = until.min(begins - self.up + rising * self.up / n + 1).min(begins.max(now + 1));
            }
        }
        self.value = u32::try_from(value).unwrap_or(self.window.concurrency);
        // Later than now always, save in the very last minute there is.
        self.holds_until = Some(until)
            .filter(|until| *until < i64::MAX)
            .map(Minute::from_seconds_up)
            .filter(|until| until.seconds() > now);
    }
}

/// Ten years, in seconds: leads, ramps and occurrences count as no longer. It keeps what is multiplied with up to
/// 2^32 environments within 63 bits.
const LONGEST_STRETCH: i64 = 10 * 366 * 86_400;

/// The UTC day of a second since the epoch, shifted by whole days (two cover the wall clocks of all zones).
fn day_near(seconds: i64, days: i64) -> NaiveDate {
    instant_of(seconds.saturating_add(days * 86_400)).date_naive()
}

fn ceil_div(dividend: i64, divisor: i64) -> i64 {
    dividend.div_euclid(divisor) + i64::from(dividend.rem_euclid(divisor) > 0)
}
