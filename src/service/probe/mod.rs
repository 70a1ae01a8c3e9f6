//! Measurements of a function: sends what [`domain::probe`](crate::domain::probe) decides.

mod pause;
mod run;

pub use self::pause::{PROBE, ProbePause};
pub use self::run::{Ended, MemoryResult, Observe, Prober, Spent};
