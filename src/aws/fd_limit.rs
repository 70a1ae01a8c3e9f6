//! The limit of open file descriptors. A round of N pings needs N connections, or one for each hundred pings over
//! HTTP/2.

use std::io;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors for other uses: standard streams, the runtime, configuration, metrics, credentials, logs.
const RESERVED: u64 = 64;
/// The limit that some systems (macOS) enforce although their hard limit is higher.
const FALLBACK_LIMIT: u64 = 10_240;

/// Raises the limit of open descriptors to the hard limit, once at start. Returns the effective limit.
///
/// # Errors
/// The system's refusal; the limit is then unchanged.
pub fn raise() -> io::Result<u64> {
    let limit = getrlimit(Resource::Nofile);
    let raised = |to| Rlimit { current: to, maximum: limit.maximum };
    if limit.current != limit.maximum && setrlimit(Resource::Nofile, raised(limit.maximum)).is_err() {
        let enough = limit.current.is_none_or(|current| current >= FALLBACK_LIMIT);
        if !enough {
            setrlimit(Resource::Nofile, raised(Some(FALLBACK_LIMIT)))?;
        }
    }
    Ok(current_limit())
}

/// The descriptors that pings in flight use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Demand {
    /// The descriptors of each ping, at least 1: one for its connection, or two when the emulator is in the same
    /// process.
    PerPing(u32),
    /// One descriptor for this many pings, at least 1, which share a connection.
    Shared(u32),
}

/// Returns the number of pings in flight for which the process has descriptors.
pub fn capacity(demand: Demand) -> usize {
    let left = current_limit().saturating_sub(RESERVED);
    let pings = match demand {
        Demand::PerPing(descriptors) => left / u64::from(descriptors.max(1)),
        Demand::Shared(pings) => left.saturating_mul(u64::from(pings)),
    };
    usize::try_from(pings).unwrap_or(usize::MAX)
}

/// Returns the number of descriptors that the process needs for this many pings in flight.
pub fn needed(pings: u32, demand: Demand) -> u64 {
    let connections = match demand {
        Demand::PerPing(descriptors) => u64::from(pings) * u64::from(descriptors.max(1)),
        Demand::Shared(sharing) => u64::from(pings.div_ceil(sharing.max(1))),
    };
    connections + RESERVED
}

fn current_limit() -> u64 {
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_raised_and_the_emulator_halves_the_capacity() {
        let limit = raise().unwrap();
        let hard = getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX);
        assert!(limit == hard || limit >= FALLBACK_LIMIT);
        let alone = capacity(Demand::PerPing(1));
        assert_eq!(u64::try_from(alone).unwrap(), limit - RESERVED);
        assert_eq!(capacity(Demand::PerPing(2)), alone / 2);
        assert_eq!(capacity(Demand::Shared(100)), alone * 100);
        assert_eq!(needed(1_000, Demand::PerPing(2)), 2_000 + RESERVED);
        assert_eq!(needed(1_001, Demand::Shared(100)), 11 + RESERVED);
    }
}
