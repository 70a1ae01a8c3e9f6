//! Why a target is what it is, window by window.

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};

use super::course::{target, want};
use super::due::{Why, due};
use super::minute::{Minute, shifted};
use super::segments::{HORIZON_DAYS, next_change};
use crate::domain::calendar::{DayState, Occurrence, Window, wall_time};
use crate::domain::fleet::Target;

/// What a window is doing at a minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WindowState {
    /// Between an opening and its closing.
    Open,
    /// Within the lead before an opening.
    Leading,
    /// On the way up, before an opening and its lead.
    RampingUp,
    /// On the way down, after a closing.
    RampingDown,
    /// None of these.
    Closed,
    /// Closed, and today's opening is suppressed by a calendar. Today is the day on the window's wall clock.
    Excepted,
    /// Closed, and a clock change leaves nothing of today's opening.
    Empty,
}

impl WindowState {
    /// As people read it, such as `ramping-up`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Leading => "leading",
            Self::RampingUp => "ramping-up",
            Self::RampingDown => "ramping-down",
            Self::Closed => "closed",
            Self::Excepted => "excepted",
            Self::Empty => "empty",
        }
    }
}

/// One window at a minute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WindowView<'t> {
    /// The window's name, or `windows[i]`.
    pub label: &'t str,
    /// What it is doing.
    pub state: WindowState,
    /// When the occurrence that the state is about opens: the next one unless open or ramping down. `None`
    /// when none opens within [`HORIZON_DAYS`].
    pub opens: Option<DateTime<Utc>>,
    /// When that occurrence closes.
    pub closes: Option<DateTime<Utc>>,
    /// Environments the window wants now.
    pub target: u32,
}

/// A target at a minute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation<'t> {
    /// Environments wanted, spare ones included.
    pub target: u32,
    /// Why the minute is due, when it is.
    pub due: Option<Why>,
    /// Every window, in the target's order.
    pub windows: Vec<WindowView<'t>>,
    /// The next minute at which the target is another, and what it is then; `None` when it stays for
    /// [`HORIZON_DAYS`].
    pub next_change: Option<(Minute, u32)>,
}

/// Explains `wanted` at `minute`.
pub fn explain(wanted: &Target, minute: Minute) -> Explanation<'_> {
    Explanation {
        target: target(wanted, minute),
        due: due(wanted, minute),
        windows: wanted.windows.iter().map(|window| view(window, minute)).collect(),
        next_change: next_change(wanted, minute),
    }
}

fn view(window: &Window, minute: Minute) -> WindowView<'_> {
    let now = minute.instant();
    let with_lead = shifted(now, window.lead, 0);
    let opened = latest(window, now).filter(|opened| now < opened.closes);
    let begun = latest(window, with_lead);
    let next =
        window.next_opening(with_lead, shifted(with_lead, TimeDelta::zero(), HORIZON_DAYS).date_naive());
    let leading = begun.filter(|begun| now < begun.closes);
    let falling = begun.filter(|begun| now < shifted(begun.closes, window.ramp_down, 0));
    let rising = next.filter(|next| next.opens <= shifted(with_lead, window.ramp_up, 0));
    let (state, occurrence) = match (opened, leading, rising, falling) {
        (Some(opened), ..) => (WindowState::Open, Some(opened)),
        (_, Some(leading), ..) => (WindowState::Leading, Some(leading)),
        // Both ramps may be under way: the one that decides the value is named.
        (_, _, Some(rising), Some(falling)) if up_wins(window, &rising, &falling, now) => {
            (WindowState::RampingUp, Some(rising))
        }
        (_, _, _, Some(falling)) => (WindowState::RampingDown, Some(falling)),
        (_, _, Some(rising), None) => (WindowState::RampingUp, Some(rising)),
        (None, None, None, None) => (idle_state(window, wall_time(now, window.zone).date()), next),
    };
    WindowView {
        label: &window.label,
        state,
        opens: occurrence.map(|occurrence| occurrence.opens),
        closes: occurrence.map(|occurrence| occurrence.closes),
        target: want(window, minute),
    }
}

/// Whether the way up to `rising` is at least as far as the way down from `falling`. Compared as fractions of
/// the ramps, crosswise: passed / up ≥ left / down.
fn up_wins(window: &Window, rising: &Occurrence, falling: &Occurrence, now: DateTime<Utc>) -> bool {
    let (up, down) = (window.ramp_up.num_seconds(), window.ramp_down.num_seconds());
    let passed = up + window.lead.num_seconds() - (rising.opens - now).num_seconds();
    let left = down + (falling.closes - now).num_seconds();
    i128::from(passed) * i128::from(down) >= i128::from(left) * i128::from(up)
}

fn idle_state(window: &Window, today: NaiveDate) -> WindowState {
    match window.day_state(today) {
        DayState::Excepted => WindowState::Excepted,
        DayState::Empty => WindowState::Empty,
        DayState::Opens | DayState::Not => WindowState::Closed,
    }
}

fn latest(window: &Window, at: DateTime<Utc>) -> Option<Occurrence> {
    let since =
        [window.longest(), window.lead, window.ramp_down].iter().fold(at, |at, back| shifted(at, -*back, 0));
    window.latest_opening(at, shifted(since, TimeDelta::zero(), -2).date_naive())
}
