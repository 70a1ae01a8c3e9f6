//! The only place that reads the wall clock.

use chrono::{DateTime, Utc};

use crate::engine::ports::Clock;

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[allow(
        clippy::disallowed_methods,
        reason = "the one door to the wall clock: everything else is handed its `now`"
    )]
    fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }
}
