//! The system clock: the only file that reads the wall clock.

use chrono::{DateTime, Utc};

use crate::engine::ports::Clock;

/// The system clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[allow(
        clippy::disallowed_methods,
        reason = "every other file takes the time as an argument or from a `Clock`"
    )]
    fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }
}
