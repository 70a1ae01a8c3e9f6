//! A round: outcomes of its pings, evidence of distinct environments, and its report.
//!
//! Every ping results in a [`RawInvocation`], which [`classify`] converts to a [`PingResult`]. The results of pings
//! that are sent together form an [`Attempt`]. A round is one attempt, and up to [`MAX_TOP_UPS`] more with a longer
//! hold ([`top_up`]). [`RoundReport`] describes all attempts.

mod busy_interval;
mod doubt;
mod evidence;
mod first;
mod hold;
mod ids;
mod kind;
mod limit;
#[cfg(test)]
mod model;
mod outcome;
mod overlap;
mod report;
mod start;
mod usage;
#[cfg(test)]
mod wire_model;

use std::time::Duration;

pub use doubt::{Doubt, ForeignIds, SharedBy};
pub use evidence::{Evidence, Proof, proven};
pub use first::{FirstPing, FirstResult, Purpose, conclude};
pub use hold::{MAX_AUTO_HOLD, MAX_TOP_UPS, SkewHistory, skew, top_up};
pub use ids::{IdHistory, Ids, id_hash};
pub use kind::{KindReport, KindReports};
pub use limit::AnswerTimes;
pub use outcome::{Initialization, Outcome, PingResult, Ran, classify};
pub use report::{NewEnvironments, OutcomeCounts, RoundReport, Verdict};
pub use usage::{PingUsage, ReportSums};

/// The unclassified result of a ping. Times are offsets from the start of the round.
#[derive(Debug, Clone)]
pub struct RawInvocation {
    /// The time just before the request was written to the connection.
    pub sent: Duration,
    /// The time at which the answer had been read.
    pub received: Duration,
    /// The answer.
    pub answer: Answer,
}

/// The answer of Lambda or the network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// HTTP 200: the function ran.
    Responded {
        /// `X-Amz-Function-Error`.
        function_error: Option<String>,
        /// `X-Amz-Log-Result`, in base64.
        log_result: Option<String>,
        /// The handler's answer.
        payload: Vec<u8>,
        /// `X-Amz-Executed-Version`.
        executed_version: Option<String>,
        /// `x-amzn-RequestId`, the invocation's id, which is also in its REPORT line.
        request_id: Option<String>,
    },
    /// Any other HTTP status.
    Refused {
        /// The HTTP status.
        status: u16,
        /// The exception's name, without namespace, such as `TooManyRequestsException`.
        code: Option<String>,
        /// `Reason` of a throttle.
        reason: Option<String>,
        /// Lambda's message.
        message: Option<String>,
    },
    /// The client stopped waiting.
    TimedOut,
    /// No answer: network, TLS, credentials, or an answer that is not HTTP.
    Broken {
        /// The error, for users.
        message: String,
        /// True if a part of the request was written, so that it may have been processed.
        may_have_run: bool,
    },
}

/// Facts about a target that are known before a round and cannot be derived from its answers. See also [`SharedBy`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Known {
    /// The meaning of the ids of its handlers.
    pub ids: Ids,
    /// The number of provisioned environments of the qualifier; `None` if it is not known to have any.
    pub provisioned: Option<u32>,
    /// The time below which a cold start is semi-cold; `None` if it is unknown.
    pub semi_cold_below: Option<Duration>,
}

/// Pings that were sent together. A round has one attempt, or several after top-ups.
#[derive(Debug, Clone, Default)]
pub struct Attempt {
    /// The requested hold; `None` when the protocol does not carry one.
    pub hold: Option<Duration>,
    /// The time for which a handler of the protocol keeps its environment busy before it answers; `None` when the
    /// protocol does not define it. The pings show whether the handler kept it.
    pub handler_hold: Option<Duration>,
    /// The result of each ping. Times are offsets from the start of this attempt.
    pub pings: Vec<PingResult>,
    /// Pings that were sent again after HTTP/2 had guaranteed that the first request was not processed.
    pub resent: u32,
}
