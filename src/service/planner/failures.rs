//! The failures of the state store during a tick: one log line for all of them.

use tracing::error;

use super::StoreHealth;
use crate::service::store::Unavailable;

/// The documents that could not be read or written, and the consequences.
#[derive(Debug, Default)]
pub(super) struct StoreFailures {
    first: Option<Unavailable>,
    consequences: Vec<&'static str>,
}

impl StoreFailures {
    /// Adds a failure.
    pub(super) fn add(&mut self, unavailable: Unavailable, consequence: &'static str) {
        self.first.get_or_insert(unavailable);
        self.consequences.push(consequence);
    }

    /// Appends other failures.
    pub(super) fn append(&mut self, other: Self) {
        if self.first.is_none() {
            self.first = other.first;
        }
        self.consequences.extend(other.consequences);
    }

    /// Logs the failures, if any.
    pub(super) fn log(self) -> StoreHealth {
        let Some(unavailable) = &self.first else {
            return StoreHealth::Sound;
        };
        error!("StateUnavailable: {unavailable}; {}", self.consequences.join("; "));
        StoreHealth::Unavailable
    }

    /// Logs the failures, unless failures of the same tick were logged before.
    pub(super) fn log_unless(self, earlier: StoreHealth) -> StoreHealth {
        match earlier {
            StoreHealth::Sound => self.log(),
            StoreHealth::Unavailable => earlier,
        }
    }
}
