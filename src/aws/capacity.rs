//! The number of pings that fit in flight within the limit of open files.

use std::sync::Arc;

use tracing::warn;

use super::Clients;
use super::connector::STREAMS_PER_CONNECTION;
use super::fd_limit::{self, Demand};
use crate::domain::fleet::{HttpVersions, Limits};

/// Computes the number of pings that fit in flight.
#[derive(Debug, Clone)]
pub struct PingCapacity {
    clients: Arc<Clients>,
    /// True if the emulator in this process has the other end of every connection.
    is_local: bool,
}

impl PingCapacity {
    /// Creates the capacity of a process that pings through `clients`.
    pub fn new(clients: Arc<Clients>, is_local: bool) -> Self {
        Self { clients, is_local }
    }

    /// Returns the number of pings that may be in flight: `max_in_flight`, or less with a warning.
    ///
    /// # Errors
    /// When `largest`, the pings of the largest round, do not fit: a round is never cut. The text is for people.
    pub fn in_flight(&self, limits: Limits, largest: u32) -> Result<usize, String> {
        let capacity = self.check(limits, largest)?;
        let max_in_flight = usize::try_from(limits.max_in_flight).unwrap_or(usize::MAX);
        if max_in_flight > capacity {
            warn!(
                max_in_flight,
                capacity, "the limit of open files allows fewer pings in flight than limits.max_in_flight"
            );
        }
        Ok(max_in_flight.min(capacity))
    }

    /// Returns the number of pings for which the process has open files.
    ///
    /// # Errors
    /// As [`PingCapacity::in_flight`].
    pub fn check(&self, limits: Limits, largest: u32) -> Result<usize, String> {
        let demand = match limits.wire.http {
            _ if self.is_local => Demand::PerPing(2),
            HttpVersions::Auto if self.clients.lambda_has_tls() => Demand::Shared(STREAMS_PER_CONNECTION),
            HttpVersions::Auto | HttpVersions::Http1 => Demand::PerPing(1),
        };
        let capacity = fd_limit::capacity(demand);
        if u64::from(largest) > capacity as u64 {
            let needed = fd_limit::needed(largest, demand);
            return Err(format!(
                "a round of {largest} pings does not fit: the limit of open files leaves room for {capacity} in \
                 flight\n\
                 hint: raise it with `ulimit -n {needed}` (`LimitNOFILE={needed}` in a systemd unit), or warm fewer \
                 environments at once"
            ));
        }
        Ok(capacity)
    }
}
