//! Injected faults.

use std::time::Duration;

use super::errors::ErrorResponse;
use super::random::SeededRng;

/// A fault and the requests it applies to.
#[derive(Debug, Clone, PartialEq)]
pub struct Fault {
    /// The fault.
    pub kind: FaultKind,
    /// The requests.
    pub when: When,
}

impl Fault {
    /// Creates a fault of every request.
    pub fn always(kind: FaultKind) -> Self {
        Self { kind, when: When::Always }
    }

    /// Creates a fault of the first `n` requests.
    pub fn first(n: u64, kind: FaultKind) -> Self {
        Self { kind, when: When::First(n) }
    }

    /// Creates a fault of every `n`-th request.
    pub fn every(n: u64, kind: FaultKind) -> Self {
        Self { kind, when: When::Every(n) }
    }
}

/// The kinds of faults.
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
        /// The message.
        message: String,
    },
    /// The request is served, and the connection is closed instead of answered.
    Reset,
    /// The handler takes longer. PutMetricData, PutEvents and reads: the request is processed at once and answered
    /// later.
    Slow {
        /// The additional time.
        by: Duration,
    },
    /// The handler fails. A type that begins with `Runtime.` is a crash: the environment is reset.
    FunctionError {
        /// The error's type, such as `KeyError` or `Runtime.ExitError`.
        error_type: String,
    },
    /// The handler runs until the function's timeout.
    Timeout,
    /// The log tail is not base64 of a log.
    GarbageLog,
    /// The answer has no log tail.
    NoLog,
    /// The log tail has the REPORT of another invocation.
    ForeignReport,
    /// PutEvents: the entry is refused.
    FailEntry,
    /// Reads: the answer has other contents.
    Answer {
        /// An object replaces the fields it has; `null` removes one. Any other value is the whole body; a text is the
        /// body as it is, which need not be JSON.
        body: serde_json::Value,
    },
}

impl FaultKind {
    /// Creates the refusal with Lambda's usual exception for an HTTP status.
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

/// The combined effect of faults on a call of CloudWatch or EventBridge, or on a read.
#[derive(Debug, Default)]
pub(super) struct CallEffect {
    /// The refusal, if the call is refused.
    pub refusal: Option<ErrorResponse>,
    /// The delay of the answer.
    pub delay: Duration,
    /// True when the connection is closed instead of answered.
    pub cut: bool,
    /// The contents of the answer, as in [`FaultKind::Answer`]. Only reads use them.
    pub answer: Option<serde_json::Value>,
}

impl CallEffect {
    /// Combines faults. Faults of handlers and of single entries have no effect on a call.
    pub(super) fn of(faults: &[&FaultKind]) -> Self {
        let mut effect = Self::default();
        for fault in faults {
            match fault {
                FaultKind::Throttle { .. } => {
                    effect.refusal = Some(ErrorResponse::new(400, "ThrottlingException", "Rate exceeded"));
                }
                FaultKind::Refuse { status, code, message } => {
                    effect.refusal = Some(ErrorResponse::new(*status, code, message));
                }
                FaultKind::Reset => effect.cut = true,
                FaultKind::Slow { by } => effect.delay += *by,
                FaultKind::Answer { body } => effect.answer = Some(body.clone()),
                _ => {}
            }
        }
        effect
    }
}

/// The requests that a fault applies to. Requests of a function are counted from 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum When {
    /// All.
    Always,
    /// The first ones, up to this number.
    First(u64),
    /// Every n-th: n, 2n, …
    Every(u64),
    /// Each with this probability, 0 to 1.
    Probability(f64),
}

impl When {
    /// Returns true when the fault applies to the `n`-th request.
    pub(super) fn applies_to(self, n: u64, rng: &mut SeededRng) -> bool {
        match self {
            Self::Always => true,
            Self::First(count) => n <= count,
            Self::Every(step) => step > 0 && n.is_multiple_of(step),
            Self::Probability(p) => rng.uniform() < p,
        }
    }
}
