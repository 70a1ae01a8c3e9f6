//! File descriptors: a round of N pings needs N connections at once.

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
    Ok(in_force())
}

/// How many pings fit into the process at once, when each takes `descriptors_per_ping`: one, or two with the emulator
/// in the same process.
pub fn capacity(descriptors_per_ping: u32) -> usize {
    let pings = in_force().saturating_sub(RESERVED) / u64::from(descriptors_per_ping.max(1));
    usize::try_from(pings).unwrap_or(usize::MAX)
}

/// How many descriptors the process needs for so many pings at once, each taking `descriptors_per_ping`.
pub fn needed(pings: u32, descriptors_per_ping: u32) -> u64 {
    u64::from(pings) * u64::from(descriptors_per_ping.max(1)) + RESERVED
}

fn in_force() -> u64 {
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
        let alone = capacity(1);
        assert_eq!(u64::try_from(alone).unwrap(), limit - RESERVED);
        assert_eq!(capacity(2), alone / 2);
        assert_eq!(
            needed(u32::try_from(alone.min(1_000_000)).unwrap(), 1),
            alone.min(1_000_000) as u64 + RESERVED
        );
    }
}
