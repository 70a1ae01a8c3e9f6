//! The signs and states of windows.

use super::Tone;
use super::table::Sign;
use crate::domain::schedule::{WindowState, WindowView};

/// Returns the sign of the state of a window.
pub(super) fn sign(view: &WindowView<'_>) -> Sign {
    match view.state {
        WindowState::Open => ('✓', Tone::Good),
        WindowState::Leading | WindowState::RampingUp => ('↗', Tone::Good),
        WindowState::RampingDown => ('↘', Tone::Good),
        WindowState::Closed | WindowState::Excepted => ('-', Tone::Quiet),
        WindowState::Empty => ('!', Tone::Warning),
    }
}

/// Returns the state of a window as text.
pub(super) fn state(view: &WindowView<'_>) -> &'static str {
    match view.state {
        WindowState::Excepted => "excepted today",
        WindowState::Empty => "empty today, because of a clock change",
        WindowState::Open
        | WindowState::Leading
        | WindowState::RampingUp
        | WindowState::RampingDown
        | WindowState::Closed => view.state.as_str(),
    }
}
