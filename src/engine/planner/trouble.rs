//! The state that a tick could not read or write: one log line for all of it.

use tracing::error;

use super::StoreHealth;
use crate::engine::state::Unavailable;

/// The documents that could not be read or written, and the consequences.
#[derive(Debug, Default)]
pub(super) struct Trouble {
    first: Option<Unavailable>,
    consequences: Vec<&'static str>,
}

impl Trouble {
    /// Adds that something is unavailable.
    pub(super) fn met(&mut self, unavailable: Unavailable, consequence: &'static str) {
        self.first.get_or_insert(unavailable);
        self.consequences.push(consequence);
    }

    /// Adds what another met.
    pub(super) fn and(&mut self, other: Self) {
        if self.first.is_none() {
            self.first = other.first;
        }
        self.consequences.extend(other.consequences);
    }

    /// Logs it.
    pub(super) fn log(self) -> StoreHealth {
        let Some(unavailable) = &self.first else {
            return StoreHealth::Sound;
        };
        error!("StateUnavailable: {unavailable}; {}", self.consequences.join("; "));
        StoreHealth::Unavailable
    }

    /// Passes it over: it follows from what was logged for the same tick.
    pub(super) fn log_unless(self, logged: StoreHealth) -> StoreHealth {
        match logged {
            StoreHealth::Sound => self.log(),
            StoreHealth::Unavailable => logged,
        }
    }
}
