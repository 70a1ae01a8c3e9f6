//! The unit of work of a tick.

use std::num::NonZeroU32;
use std::sync::Arc;

use crate::domain::fleet::Target;
use crate::domain::tick::{RoundRecord, SkipReason, Unfinished, UnfinishedReason};

/// A due target and the number of environments that it is to have.
#[derive(Debug, Clone)]
pub struct Due {
    /// The target.
    pub target: Arc<Target>,
    /// The number of environments wanted, which is the number of pings.
    pub concurrency: NonZeroU32,
}

impl Due {
    /// Returns the record of the round when it is skipped.
    pub fn skipped(&self, reason: SkipReason) -> RoundRecord {
        RoundRecord::skipped(&self.target, self.concurrency.get(), reason)
    }

    /// Returns the entry of the round when it has no result.
    pub fn unfinished(&self, reason: UnfinishedReason) -> Unfinished {
        Unfinished::new(&self.target, self.concurrency.get(), reason)
    }
}
