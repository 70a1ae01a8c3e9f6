//! A round: outcomes of its pings, evidence of distinct environments, and the report of it all.

use std::time::Duration;

/// What came back for one ping, before anything is concluded from it. Times are offsets from the round's release.
#[derive(Debug, Clone)]
pub struct Exchange {
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
    },
}
