//! Random durations: ranges and network delays.

use std::time::Duration;

/// A duration, or a range of durations to choose from at random.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The shortest.
    pub least: Duration,
    /// The longest; the same as the shortest for a fixed duration.
    pub most: Duration,
}

impl Span {
    /// Creates a fixed duration of that many milliseconds.
    pub fn millis(millis: u64) -> Self {
        Self::from(Duration::from_millis(millis))
    }

    /// Creates a range with a uniform distribution.
    pub fn between(least: Duration, most: Duration) -> Self {
        Self { least, most }
    }
}

impl From<Duration> for Span {
    fn from(fixed: Duration) -> Self {
        Self { least: fixed, most: fixed }
    }
}

/// The network between the caller and Lambda: lognormal one-way delays, sampled for each direction of each request.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Network {
    /// The median one-way delay. Zero means no delay at all.
    pub median: Duration,
    /// The sigma of the delay's natural logarithm.
    pub sigma: f64,
}
