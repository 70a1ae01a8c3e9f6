//! Explains the desired number of a target at a minute, window by window.

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use serde::Serialize;

use super::due::{DueReason, due};
use super::minute::{Minute, shifted};
use super::segments::{HORIZON_DAYS, horizon, next_change, next_value};
use super::timeline::{Timeline, concurrency_at, desired};
use crate::domain::calendar::{DayState, Occurrence, Window, wall_time};
use crate::domain::fleet::Target;

/// The state of a window at a minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum WindowState {
    /// Between an opening and its closing.
    Open,
    /// Within the lead before an opening.
    Leading,
    /// On the ramp before an opening and its lead.
    RampingUp,
    /// On the ramp after a closing.
    RampingDown,
    /// None of the above.
    Closed,
    /// Closed, and a calendar suppresses today's opening. Today is the day on the window's wall clock.
    Excepted,
    /// Closed, and a clock change leaves today's opening without any time.
    Empty,
}

impl WindowState {
    /// Returns the name shown to users, such as `ramping-up`.
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WindowView<'t> {
    /// The window's name, or `windows[i]`.
    #[serde(rename = "window")]
    pub label: &'t str,
    /// Its state.
    pub state: WindowState,
    /// The opening of the occurrence to which the state refers: the next one unless open or ramping down. `None` when
    /// the window does not open within [`HORIZON_DAYS`].
    pub opens: Option<DateTime<Utc>>,
    /// The closing of that occurrence.
    pub closes: Option<DateTime<Utc>>,
    /// The concurrency that the window contributes now.
    #[serde(rename = "target")]
    pub desired: u32,
}

/// A target at a minute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation<'t> {
    /// The desired number of environments, spare ones included.
    pub desired: u32,
    /// The reason for which the minute is due, if it is.
    pub due: Option<DueReason>,
    /// Every window, in the target's order.
    pub windows: Vec<WindowView<'t>>,
    /// The next minute at which the desired number differs, with that number; `None` when it is constant for
    /// [`HORIZON_DAYS`].
    pub next_change: Option<(Minute, u32)>,
}

/// Explains `target` at `minute`.
pub fn explain(target: &Target, minute: Minute) -> Explanation<'_> {
    Explanation {
        desired: desired(target, minute),
        due: due(target, minute),
        windows: target.windows.iter().map(|window| view(window, minute)).collect(),
        next_change: next_change(target, minute),
    }
}

/// Explains windows at `minute`, without spare environments. No minute is due.
pub fn explain_windows<'w>(
    windows: impl IntoIterator<Item = &'w Window, IntoIter: Clone>,
    minute: Minute,
) -> Explanation<'w> {
    let windows = windows.into_iter();
    let timeline = Timeline::of(windows.clone(), minute, horizon(minute));
    Explanation {
        desired: timeline.value(),
        due: None,
        windows: windows.map(|window| view(window, minute)).collect(),
        next_change: next_value(timeline, minute),
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
        // When both ramps are active, the state is the ramp with the higher value.
        (_, _, Some(rising), Some(falling)) if up_is_higher(window, &rising, &falling, now) => {
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
        desired: concurrency_at(window, minute),
    }
}

/// Returns true if the ramp up to `rising` is at least as high as the ramp down from `falling`: passed / up ≥ left /
/// down, compared crosswise.
fn up_is_higher(window: &Window, rising: &Occurrence, falling: &Occurrence, now: DateTime<Utc>) -> bool {
    let (up, down) = (window.ramp_up.num_seconds(), window.ramp_down.num_seconds());
    let passed = up + window.lead.num_seconds() - (rising.opens - now).num_seconds();
    let left = down + (falling.closes - now).num_seconds();
    i128::from(passed) * i128::from(down) >= i128::from(left) * i128::from(up)
}

fn idle_state(window: &Window, today: NaiveDate) -> WindowState {
    match window.day_state(today) {
        DayState::Excepted => WindowState::Excepted,
        DayState::Empty => WindowState::Empty,
        DayState::Opens | DayState::NoOpening => WindowState::Closed,
    }
}

fn latest(window: &Window, at: DateTime<Utc>) -> Option<Occurrence> {
    let since =
        [window.longest(), window.lead, window.ramp_down].iter().fold(at, |at, back| shifted(at, -*back, 0));
    window.latest_opening(at, shifted(since, TimeDelta::zero(), -2).date_naive())
}
