//! What goes wrong, and when.

use std::time::Duration;

use super::chance::Chance;

/// Something that goes wrong, and when.
#[derive(Debug, Clone, PartialEq)]
pub struct Fault {
    /// What goes wrong.
    pub kind: FaultKind,
    /// On which requests.
    pub when: When,
}

impl Fault {
    /// The fault on every request.
    pub fn always(kind: FaultKind) -> Self {
        Self { kind, when: When::Always }
    }

    /// The fault on the first `n` requests.
    pub fn first(n: u64, kind: FaultKind) -> Self {
        Self { kind, when: When::First(n) }
    }

    /// The fault on every `n`-th request.
    pub fn every(n: u64, kind: FaultKind) -> Self {
        Self { kind, when: When::Every(n) }
    }
}

/// What goes wrong.
#[derive(Debug, Clone, PartialEq)]
pub enum FaultKind {
    /// 429 with this reason.
    Throttle {
        /// Lambda's `Reason`, such as `ReservedFunctionConcurrentInvocationLimitExceeded`.
        reason: String,
    },
    /// Any other refusal.
    Refuse {
        /// The HTTP status.
        status: u16,
        /// The exception, such as `ServiceException`.
        code: String,
        /// For people.
        message: String,
    },
    /// The request is served, and then the connection is closed instead of answered.
    Reset,
    /// The handler takes this much longer. PutMetricData and PutEvents: the request is processed at once, and answered
    /// this much later.
    Slow {
        /// How much longer.
        by: Duration,
    },
    /// The handler fails. A type that begins with `Runtime.` is a crash: the environment is reset.
    FunctionError {
        /// The error's type, such as `KeyError` or `Runtime.ExitError`.
        error_type: String,
    },
    /// The handler runs until the function's timeout.
    Timeout,
    /// The log tail is not base64 of anything.
    GarbageLog,
    /// The answer has no log tail.
    NoLog,
    /// The log tail's REPORT is another invocation's.
    ForeignReport,
    /// PutEvents: the entry is not taken.
    FailEntry,
}

impl FaultKind {
    /// The exception that stands for an HTTP status on Lambda.
    pub fn refuse(status: u16) -> Self {
        let (code, message) = match status {
            400 => ("InvalidParameterValueException", "The parameter is not valid."),
            403 => ("AccessDeniedException", "The caller is not authorized to perform this operation."),
            404 => ("ResourceNotFoundException", "Function not found"),
            408 => ("SnapStartTimeoutException", "The restore timed out."),
            409 => ("ResourceConflictException", "The operation cannot be performed at this time."),
            410 | 413 => ("RequestTooLargeException", "Request must be smaller than 6291456 bytes"),
            502 => ("EC2ThrottledException", "Lambda was throttled by Amazon EC2."),
            503 => ("ServiceUnavailableException", "The service is unavailable."),
            _ => ("ServiceException", "An error occurred and the request cannot be processed."),
        };
        Self::Refuse { status, code: code.to_owned(), message: message.to_owned() }
    }
}

/// On which requests something goes wrong. Requests of a function are counted from 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum When {
    /// On all.
    Always,
    /// On the first so many.
    First(u64),
    /// On every n-th: n, 2n, …
    Every(u64),
    /// With this probability, 0 to 1.
    Probability(f64),
}

impl When {
    /// Whether it goes wrong on the `n`-th request.
    pub(super) fn strikes(self, n: u64, chance: &mut Chance) -> bool {
        match self {
            Self::Always => true,
            Self::First(count) => n <= count,
            Self::Every(step) => step > 0 && n.is_multiple_of(step),
            Self::Probability(p) => chance.uniform() < p,
        }
    }
}
