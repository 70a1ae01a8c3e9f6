//! The desired number of environments at each minute, the targets due at a tick, and the schedule ahead.
//!
//! A window that opens at o and closes at c, with lead L, ramps u and d, and concurrency n, contributes at minute t:
//!
//! ```text
//! ⌈n(t − (o − L − u)) / u⌉   on [o − L − u, o − L)
//! n                          on [o − L, c)
//! ⌈n(c + d − t) / d⌉         on [c, c + d)
//! 0                          elsewhere
//! ```
//!
//! The desired number of a target is the maximum over its windows, plus its spare environments when that maximum is
//! above zero. Openings and closings are exact to the second; t is the instant at which minute t begins.

mod due;
mod explain;
mod lint;
mod minute;
mod segments;
mod timeline;

pub use self::due::{DueReason, DueTarget, Mode, due, due_since, has_interval_minute, phase, plan_tick};
pub use self::explain::{Explanation, WindowState, WindowView, explain, explain_windows};
pub use self::lint::{Lint, LintLocation, lints};
pub use self::minute::Minute;
pub(crate) use self::segments::seconds_between;
pub use self::segments::{HORIZON_DAYS, Segment, next_change, segments, window_segments};
pub use self::timeline::{concurrency_at, desired};

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;
