//! Every mistake: its caret, its reason, its hint.

mod calendars;
mod files;
mod functions;
mod quantities;
mod windows;

use super::*;
