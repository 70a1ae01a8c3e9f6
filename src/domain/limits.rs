//! The limits of payloads, with their dates.

/// Types of invocation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Invocation {
    /// The caller waits for the response.
    Sync,
    /// Lambda queues the event.
    #[default]
    Async,
}

impl Invocation {
    /// Both with their names in the configuration.
    pub const NAMES: [(&'static str, Self); 2] = [("sync", Self::Sync), ("async", Self::Async)];

    /// Returns the adjective of an invocation.
    pub fn adjective(self) -> &'static str {
        match self {
            Self::Sync => "synchronous",
            Self::Async => "asynchronous",
        }
    }

    /// Returns the current limit of the payload.
    pub fn payload_limit(self) -> PayloadLimit {
        let of_this = PAYLOADS.into_iter().rfind(|limit| limit.invocation == self);
        of_this.expect("the table has a limit for each kind of invocation")
    }
}

/// The largest payload of an invocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PayloadLimit {
    /// The kind of invocation.
    pub invocation: Invocation,
    /// The size in bytes.
    pub bytes: u64,
    /// The month since which it applies, or in which it was checked, as `since 2025-10` or `as of 2026-11`.
    pub dated: &'static str,
}

/// The limits of payloads, the current one of each kind last.
///
/// Sources: AWS Lambda quotas; the AWS announcements of 2018-11 (asynchronous payloads doubled to 256 KB) and 2025-10
/// (raised to 1 MB).
pub const PAYLOADS: [PayloadLimit; 3] = [
    PayloadLimit { invocation: Invocation::Sync, bytes: 6 << 20, dated: "as of 2026-11" },
    PayloadLimit { invocation: Invocation::Async, bytes: 256 << 10, dated: "since 2018-11" },
    PayloadLimit { invocation: Invocation::Async, bytes: 1 << 20, dated: "since 2025-10" },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_current_limits_are_those_of_the_quotas() {
        let limit = |invocation: Invocation| invocation.payload_limit();
        assert_eq!((limit(Invocation::Sync).bytes, limit(Invocation::Async).bytes), (6_291_456, 1_048_576));
        assert_eq!(limit(Invocation::Async).dated, "since 2025-10");
    }
}
