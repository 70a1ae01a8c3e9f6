//! How many environments are wanted at a minute, what is due then, and what will be.
//!
//! A window that opens at o and closes at c, with lead L, ramps u and d, and concurrency n wants, at minute t:
//!
//! ```text
//! ⌈n(t − (o − L − u)) / u⌉   on [o − L − u, o − L)
//! n                          on [o − L, c)
//! ⌈n(c + d − t) / d⌉         on [c, c + d)
//! 0                          elsewhere
//! ```
//!
//! A target wants the most that any of its windows does, plus its spare environments when that is above zero.
//! Openings and closings are exact instants, to the second; t is the instant at which minute t begins.

mod advice;
mod course;
mod due;
mod explain;
mod minute;
mod segments;

pub use self::advice::{Lint, advise};
pub use self::course::{target, want};
pub use self::due::{Due, Mode, Why, due, due_since, phase, plan_tick};
pub use self::explain::{Explanation, WindowState, WindowView, explain};
pub use self::minute::Minute;
pub use self::segments::{HORIZON_DAYS, Segment, next_change, segments};

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;
