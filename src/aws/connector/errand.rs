//! Making a new connection ready: a request that does nothing, on the connection that a ping will use.
//!
//! The server has then done for this connection what it does once (TLS tickets, its own look-ups and authorisations),
//! and so has this side; what is left for the release is one write on a connection known to work.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_smithy_types::body::SdkBody;
use tokio::time::{Instant, timeout};
use tracing::warn;

use super::line::{Line, Wanted};
use super::passage::{Preparation, Way};
use super::server::{Place, Server};
use super::{Failure, KEPT_OF_A_PING};

/// How long an errand may take. With the SDK's connect timeout of 3.1 s it is below the release's patience.
const PATIENCE: Duration = Duration::from_millis(1_500);
/// How long it is remembered that a server refuses errands.
const REMEMBERED: Duration = Duration::from_secs(15 * 60);

/// A request that makes a connection ready.
#[derive(Debug)]
pub(super) struct Errand {
    held: Mutex<Held>,
}

#[derive(Debug)]
struct Held {
    line: Option<Line>,
    status: Option<u16>,
}

impl Errand {
    fn on(line: Line) -> Arc<Self> {
        Arc::new(Self { held: Mutex::new(Held { line: Some(line), status: None }) })
    }

    fn held(&self) -> std::sync::MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends the errand's request on its connection.
    pub(super) async fn send(
        &self,
        server: &Server,
        request: http::Request<SdkBody>,
    ) -> Result<http::Response<SdkBody>, Failure> {
        let mut line = self.held().line.take().ok_or(Failure::SentBefore)?;
        let answer = line
            .exchange(request, Wanted::First(KEPT_OF_A_PING))
            .await
            .map_err(|cut| Failure::cut(server.place(), cut))?;
        let mut held = self.held();
        held.status = Some(answer.status().as_u16());
        held.line = Some(line);
        Ok(answer)
    }
}

/// What is known of a server's way with errands. The first one is sent alone, so that a server which takes it for
/// something else does so once and not a hundred times.
#[derive(Debug, Default)]
pub(super) struct Manners(tokio::sync::Mutex<Known>);

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Known {
    #[default]
    Nothing,
    Understands,
    RefusesUntil(Instant),
}

/// Makes `line` ready, if the server has manners. Gives back the line; none when it is used up.
pub(super) async fn run(server: &Server, line: Line, preparation: Preparation) -> Option<Line> {
    let mut known = server.manners().0.lock().await;
    match *known {
        Known::RefusesUntil(then) if Instant::now() < then => Some(line),
        Known::Understands => {
            drop(known);
            let (line, heard) = ask(line, preparation).await;
            if let Some(refusal) = heard.refusal() {
                *server.manners().0.lock().await = refuses(server.place(), &refusal);
            }
            line
        }
        Known::Nothing | Known::RefusesUntil(_) => {
            let (line, heard) = ask(line, preparation).await;
            *known = match (heard.refusal(), heard) {
                (Some(refusal), _) => refuses(server.place(), &refusal),
                (None, Heard::NotSent) => Known::Nothing,
                (None, _) => Known::Understands,
            };
            line
        }
    }
}

/// What came back.
enum Heard {
    Status(u16),
    /// Nothing in time, or not HTTP.
    Nothing,
    /// The request never came to the connection: it could not be signed, say.
    NotSent,
}

async fn ask(line: Line, preparation: Preparation) -> (Option<Line>, Heard) {
    let errand = Errand::on(line);
    let sent = Way::Errand(Arc::clone(&errand)).scope(preparation());
    // What is late is not waited for: the ping gets another connection.
    let _ = timeout(PATIENCE, sent).await;
    let mut held = errand.held();
    let heard = match (held.status, &held.line) {
        (Some(status), _) => Heard::Status(status),
        (None, Some(_)) => Heard::NotSent,
        (None, None) => Heard::Nothing,
    };
    (held.line.take(), heard)
}

impl Heard {
    /// Why no more errands are sent to this server; none when it understands them.
    ///
    /// Lambda answers a DryRun with 204, or with the refusal that the ping will get too (no permission, no such
    /// function, too many requests, trouble of its own). Whatever else comes back comes from something that does not
    /// know a DryRun: the answer of a real invocation above all.
    fn refusal(&self) -> Option<String> {
        match self {
            Self::Status(204 | 401 | 403 | 404 | 409 | 429 | 500 | 502..=599) | Self::NotSent => None,
            Self::Status(status @ 200..=299) => {
                Some(format!("it answered {status}, so it has run the function"))
            }
            Self::Status(status) => Some(format!("it answered {status}")),
            Self::Nothing => Some(format!("there was no answer, or none within {PATIENCE:?}")),
        }
    }
}

fn refuses(place: &Place, refusal: &str) -> Known {
    warn!(server = %place, minutes = REMEMBERED.as_secs() / 60,
        "limits.prepare: the server does not take a DryRun ({refusal}); none is sent for a while");
    Known::RefusesUntil(Instant::now() + REMEMBERED)
}
