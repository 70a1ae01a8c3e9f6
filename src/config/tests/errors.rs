//! The rendered text of every error.

mod calendars;
mod files;
mod functions;
mod quantities;
mod windows;

use super::*;
