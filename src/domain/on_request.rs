//! The limits of Warm Requests.

use std::time::Duration;

/// The limits of Warm Requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OnRequest {
    /// The maximum number of environments, at least 1.
    pub max_concurrency: u32,
    /// The maximum time for which they are kept warm.
    pub max_for: Duration,
    /// The time within which requests are treated as one.
    pub coalesce: Duration,
    /// The time for which the number of a backlog is kept at least.
    pub hold_for: Duration,
}
