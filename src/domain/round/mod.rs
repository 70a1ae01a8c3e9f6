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

/// What came back for one ping, before anything is concluded from it. Times are offsets from the round's release.
#[derive(Debug, Clone)]
pub struct RawInvocation {
    /// Just before the request was written to the wire.
    pub sent: Duration,
    /// When the answer had been read.
    pub received: Duration,
    /// The answer.
    pub answer: Answer,
}

/// What Lambda, or the network, answered.
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
        /// What went wrong, for people.
        message: String,
        /// True if the request may have been processed: something of it was written.
        may_have_run: bool,
    },
}

/// Facts about a target that precede a round, and that its answers can neither prove nor disprove.
///
/// Facts about the function belong here, such as that it runs on managed instances; see [`SharedBy`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Known {
    /// The meaning of the ids of its handlers.
    pub ids: Ids,
}

/// Pings that were released together. A round is one attempt, or several when it was topped up.
#[derive(Debug, Clone, Default)]
pub struct Attempt {
    /// The hold that was asked for; none when the protocol cannot ask.
    pub hold: Option<Duration>,
    /// The time that a handler of the protocol keeps its environment busy on such a ping, before it answers; none when
    /// the protocol has no such time. Whether it did is seen from the pings.
    pub handler_hold: Option<Duration>,
    /// What became of each ping. Times are offsets from this attempt's own release.
    pub pings: Vec<PingResult>,
    /// Pings that were sent a second time, after HTTP/2 had guaranteed that the first was not processed.
    pub resent: u32,
}
