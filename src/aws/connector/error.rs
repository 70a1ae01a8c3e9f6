//! Errors of connections and requests, in words for people.

use std::error::Error;
use std::io;
use std::time::Duration;

use aws_smithy_runtime_api::client::result::ConnectorError;

use super::http1::Cut;
use super::origin::Origin;

/// The reason why a request has no answer.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// No connection. Nothing was sent.
    #[error("connect to {origin}: {cause}")]
    Open {
        /// The server.
        origin: Origin,
        /// The reason.
        cause: OpenCause,
    },
    /// The connection or its stream broke before the whole answer had been read.
    #[error("the connection to {origin} broke: {reason}")]
    Broke {
        /// The server.
        origin: Origin,
        /// The reason.
        reason: String,
    },
    /// The answer is not HTTP, or is too long.
    #[error("the answer of {origin} is not usable: {reason}")]
    NotHttp {
        /// The server.
        origin: Origin,
        /// The reason.
        reason: String,
    },
    /// The time limit passed.
    #[error("no answer from {origin} within {limit:?}")]
    NoAnswer {
        /// The server.
        origin: Origin,
        /// The time limit.
        limit: Duration,
    },
    /// The request cannot be sent as it is.
    #[error("the request cannot be sent: {0}")]
    Request(String),
}

/// The reason why no connection was opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenCause {
    /// Name lookup or TCP.
    #[error("{}", plain(.0))]
    Io(io::Error),
    /// The TLS handshake.
    #[error("TLS: {}", plain(.0))]
    Tls(io::Error),
    /// No root certificates.
    #[error("TLS: {0}")]
    Roots(String),
    /// It took too long.
    #[error("no connection within {0:?}")]
    Slow(Duration),
    /// HTTP/1.1 refused the stream.
    #[error("{0}")]
    Http(hyper::Error),
    /// HTTP/2 refused the stream.
    #[error("HTTP/2: {0}")]
    Http2(h2::Error),
    /// The proxy refused, or is not usable.
    #[error("{0}")]
    Proxy(String),
}

impl Failure {
    pub(super) fn cut(origin: &Origin, cut: Cut) -> Self {
        let origin = origin.clone();
        match cut {
            Cut::Http(error) if error.is_parse() => Self::NotHttp { origin, reason: reasons(&error) },
            Cut::Http(error) => Self::Broke { origin, reason: reasons(&error) },
            Cut::TooLong(_) => Self::NotHttp { origin, reason: cut.to_string() },
        }
    }

    /// Returns true when the request may have been processed: something of it may have been written.
    pub(in crate::aws) fn may_have_run(&self) -> bool {
        match self {
            Self::Open { .. } | Self::Request(_) => false,
            Self::Broke { .. } | Self::NotHttp { .. } | Self::NoAnswer { .. } => true,
        }
    }
}

impl From<Failure> for ConnectorError {
    fn from(failure: Failure) -> Self {
        match &failure {
            Failure::Open { cause: OpenCause::Slow(_), .. } => {
                Self::timeout(failure.into()).never_connected()
            }
            Failure::Open { .. } => Self::io(failure.into()).never_connected(),
            Failure::Broke { .. } => Self::io(failure.into()),
            Failure::NoAnswer { .. } => Self::timeout(failure.into()),
            Failure::Request(_) => Self::user(failure.into()),
            Failure::NotHttp { .. } => Self::other(failure.into(), None),
        }
    }
}

/// An error and its sources, joined by colons. A source that an outer error already includes is not repeated.
pub(in crate::aws) fn reasons(error: &(dyn Error + 'static)) -> String {
    let mut joined = String::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let text = error.to_string();
        if !joined.contains(&text) {
            if !joined.is_empty() {
                joined.push_str(": ");
            }
            joined.push_str(&text);
        }
        next = error.source();
    }
    joined
}

/// An I/O error without the system's error number.
fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    match text.split_once(" (os error ") {
        Some((reason, _)) => reason.to_lowercase(),
        None => text,
    }
}
