//! Measurements of a function: the life of its idle environments, its behaviour under parallel users, the hold that
//! proves a round, and the memory that it wants.
//!
//! The measurements decide what is sent next, and evaluate what came back. They send nothing themselves.

mod estimate;
mod hold;
mod idle;
mod memory;
mod parallel;
mod regime;
mod start;

pub use self::estimate::{Estimate, estimate};
pub use self::hold::{HoldSearch, LONGEST_HOLD, PROOFS, SHORTEST_HOLD};
pub use self::idle::{Bracket, Gap, IdlePlan, LIFE_OF_USE, bracket, interval};
pub use self::memory::{Candidate, Marks, marks};
pub use self::parallel::{Latency, Ramp, Step, StepResult, forecast, step_result};
pub use self::regime::{LEAST_FACTOR, LEAST_SAMPLES, semi_cold_below};
pub use self::start::{Measured, Start};
