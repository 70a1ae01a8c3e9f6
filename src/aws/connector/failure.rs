//! Why a request came to nothing, in words for people.

use std::error::Error;
use std::io;
use std::time::Duration;

use aws_smithy_runtime_api::client::result::ConnectorError;

use super::line::Cut;
use super::server::Place;

/// Why a request came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// No connection. Nothing was sent.
    #[error("connect to {place}: {cause}")]
    Open {
        /// The server.
        place: Place,
        /// Why.
        cause: OpenCause,
    },
    /// The connection broke before the whole answer was there.
    #[error("the connection to {place} broke: {reason}")]
    Broke {
        /// The server.
        place: Place,
        /// Why.
        reason: String,
    },
    /// The answer is not HTTP, or not what was asked for.
    #[error("the answer of {place} is not usable: {reason}")]
    NotHttp {
        /// The server.
        place: Place,
        /// What is wrong with it.
        reason: String,
    },
    /// The time was over.
    #[error("no answer from {place} within {patience:?}")]
    NoAnswer {
        /// The server.
        place: Place,
        /// How long was waited.
        patience: Duration,
    },
    /// The request cannot be sent as it is.
    #[error("the request cannot be sent: {0}")]
    Request(String),
    /// Somebody asked for a ping to be sent again.
    #[error("a ping is sent once and never again")]
    SentBefore,
}

/// Why no connection came to stand.
#[derive(Debug, thiserror::Error)]
pub enum OpenCause {
    /// Name look-up or TCP.
    #[error("{}", plain(.0))]
    Io(io::Error),
    /// The TLS handshake.
    #[error("TLS: {}", plain(.0))]
    Tls(io::Error),
    /// Nobody to trust.
    #[error("TLS: {0}")]
    Roots(String),
    /// It took too long.
    #[error("no connection within {0:?}")]
    Slow(Duration),
    /// HTTP refused the stream.
    #[error("{0}")]
    Http(hyper::Error),
}

impl Failure {
    pub(super) fn cut(place: &Place, cut: Cut) -> Self {
        let place = place.clone();
        match cut {
            Cut::Http(error) if error.is_parse() => Self::NotHttp { place, reason: reasons(&error) },
            Cut::Http(error) => Self::Broke { place, reason: reasons(&error) },
            Cut::TooLong(_) => Self::NotHttp { place, reason: cut.to_string() },
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
            Failure::Request(_) | Failure::SentBefore => Self::user(failure.into()),
            Failure::NotHttp { .. } => Self::other(failure.into(), None),
        }
    }
}

/// An error and its sources, joined by colons; what an outer one says already is not repeated.
pub(in crate::aws) fn reasons(error: &(dyn Error + 'static)) -> String {
    let mut told = String::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let text = error.to_string();
        if !told.contains(&text) {
            if !told.is_empty() {
                told.push_str(": ");
            }
            told.push_str(&text);
        }
        next = error.source();
    }
    told
}

/// An I/O error without the system's error number.
fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    match text.split_once(" (os error ") {
        Some((reason, _)) => reason.to_lowercase(),
        None => text,
    }
}
