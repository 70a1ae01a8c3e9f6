//! A round: outcomes of its pings, evidence of distinct environments, and its report.
//!
//! Data flow: [`classify`] turns the [`RawInvocation`] of each ping into a [`PingResult`]. The results of pings that were
//! released together form an [`Attempt`]. A round is one attempt and up to [`MOST_TOP_UPS`] more with a longer hold
//! ([`top_up`]). [`RoundReport`] evaluates all of them.

mod doubt;
mod evidence;
mod hold;
mod ids;
mod limit;
#[cfg(test)]
mod model;
mod outcome;
mod overlap;
mod report;
mod run;
#[cfg(test)]
mod wire_model;

use std::time::Duration;

pub use doubt::{Doubt, ForeignIds, SharedBy};
pub use evidence::{Evidence, Proof, proven};
pub use hold::{LONGEST_AUTO_HOLD, MOST_TOP_UPS, SkewHistory, skew, top_up};
pub use ids::{IdHistory, Ids};
pub use limit::AnswerTimes;
pub use outcome::{Outcome, PingResult, Ran, classify};
pub use report::{OutcomeCounts, ReportSums, RoundReport, Verdict};

/// The answer to one ping before its classification. Times are offsets from the round's release.
#[derive(Debug, Clone)]
pub struct RawInvocation {
    /// Just before the request was written to the wire.
    pub sent: Duration,
    /// When the answer had been read.
    pub received: Duration,
    /// The answer.
    pub answer: Answer,
}

/// The answer of Lambda, or of the network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// HTTP 200: the function ran.
    Responded {
        /// `X-Amz-Function-Error`.
        function_error: Option<String>,
        /// `X-Amz-Log-Result`, still base64.
        log_result: Option<String>,
        /// The handler's answer.
        payload: Vec<u8>,
        /// `X-Amz-Executed-Version`.
        executed_version: Option<String>,
        /// `x-amzn-RequestId`: the invocation's own id, which its REPORT line repeats.
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
        /// The reason, for people.
        message: String,
        /// True if the request may have been processed: a part of it was written.
        may_have_run: bool,
    },
}

/// Facts about a target that precede a round, and that its answers can neither prove nor disprove.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Known {
    /// The meaning of the ids of its handlers.
    pub ids: Ids,
}

/// Pings that were released together. A round is one attempt, or several when it was topped up.
#[derive(Debug, Clone, Default)]
pub struct Attempt {
    /// The hold in the pings; none when the protocol does not carry one.
    pub hold: Option<Duration>,
    /// The time for which a handler of the protocol keeps its environment busy before it answers; none when the protocol
    /// has no such time. The results of the pings show if the handler did so.
    pub handler_hold: Option<Duration>,
    /// The results of the pings. Times are offsets from the release of this attempt.
    pub pings: Vec<PingResult>,
    /// Pings that were sent a second time, after HTTP/2 had guaranteed that the first was not processed.
    pub resent: u32,
}
