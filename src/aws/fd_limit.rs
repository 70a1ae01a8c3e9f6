//! File descriptors: a round of N pings needs N connections at once, or one for each hundred over HTTP/2.

use std::io;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors that are not for pings: standard streams, the runtime, configuration, metrics, credentials, logs.
const RESERVED: u64 = 64;
/// What some systems (macOS) allow although their hard limit says more.
const MODEST: u64 = 10_240;

/// Raises the limit of open descriptors to the hard limit. To be called once, at start. Returns the limit in force.
///
/// # Errors
/// When the system refuses; the limit is then what it was.
pub fn raise() -> io::Result<u64> {
    let limit = getrlimit(Resource::Nofile);
    let raised = |to| Rlimit { current: to, maximum: limit.maximum };
    if limit.current != limit.maximum && setrlimit(Resource::Nofile, raised(limit.maximum)).is_err() {
        let enough = limit.current.is_none_or(|current| current >= MODEST);
        if !enough {
            setrlimit(Resource::Nofile, raised(Some(MODEST)))?;
        }
    }
    Ok(live_config())
}

/// The descriptors that pings in flight take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Demand {
    /// So many for each ping, at least 1: one connection, or both of its ends when the emulator is in the same process.
    PerPing(u32),
    /// One for so many pings, at least 1: they share a connection.
    Shared(u32),
}

/// The number of pings in flight for which the process has descriptors.
pub fn capacity(demand: Demand) -> usize {
    let left = live_config().saturating_sub(RESERVED);
    let pings = match demand {
        Demand::PerPing(descriptors) => left / u64::from(descriptors.max(1)),
        Demand::Shared(pings) => left.saturating_mul(u64::from(pings)),
    };
    usize::try_from(pings).unwrap_or(usize::MAX)
}

/// The number of descriptors that the process needs for so many pings in flight.
pub fn needed(pings: u32, demand: Demand) -> u64 {
    let connections = match demand {
        Demand::PerPing(descriptors) => u64::from(pings) * u64::from(descriptors.max(1)),
        Demand::Shared(sharing) => u64::from(pings.div_ceil(sharing.max(1))),
    };
    connections + RESERVED
}

fn live_config() -> u64 {
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_raised_and_the_emulator_halves_what_fits() {
        let limit = raise().unwrap();
        let hard = getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX);
        assert!(limit == hard || limit >= MODEST);
        let alone = capacity(Demand::PerPing(1));
        assert_eq!(u64::try_from(alone).unwrap(), limit - RESERVED);
        assert_eq!(capacity(Demand::PerPing(2)), alone / 2);
        assert_eq!(capacity(Demand::Shared(100)), alone * 100);
        assert_eq!(needed(1_000, Demand::PerPing(2)), 2_000 + RESERVED);
        assert_eq!(needed(1_001, Demand::Shared(100)), 11 + RESERVED);
    }
}
