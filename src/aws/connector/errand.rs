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

/// How long an errand may take. What is later would make its ping late too.
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
    heard: Option<Heard>,
}

/// An answer, as far as it matters.
#[derive(Debug, Clone, Copy)]
struct Heard {
    status: u16,
    /// Whether it names its error as AWS does.
    named: bool,
}

impl Errand {
    fn on(line: Line) -> Arc<Self> {
        Arc::new(Self { held: Mutex::new(Held { line: Some(line), heard: None }) })
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
        let named = answer.headers().contains_key("x-amzn-errortype");
        held.heard = Some(Heard { status: answer.status().as_u16(), named });
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
            let (line, came) = ask(line, preparation).await;
            if let Came::Back(heard) = came
                && let Some(refusal) = heard.refusal()
            {
                server.manners().0.lock().await.refuse(server.place(), refusal);
            }
            // One that is lost tells nothing of a server that took others.
            line
        }
        Known::Nothing | Known::RefusesUntil(_) => {
            let (line, came) = ask(line, preparation).await;
            match came {
                Came::NotSent => {}
                Came::Nothing => known.refuse(server.place(), format!("no answer within {PATIENCE:?}")),
                Came::Back(heard) => match heard.refusal() {
                    Some(refusal) => known.refuse(server.place(), refusal),
                    None => *known = Known::Understands,
                },
            }
            line
        }
    }
}

/// What came of an errand.
enum Came {
    Back(Heard),
    /// Nothing in time, or not HTTP.
    Nothing,
    /// The request never came to the connection: it could not be signed, say.
    NotSent,
}

async fn ask(line: Line, preparation: Preparation) -> (Option<Line>, Came) {
    let errand = Errand::on(line);
    let sent = Way::Errand(Arc::clone(&errand)).scope(preparation());
    // What is late is not waited for: the ping gets another connection.
    let _ = timeout(PATIENCE, sent).await;
    let mut held = errand.held();
    let came = match (held.heard, &held.line) {
        (Some(heard), _) => Came::Back(heard),
        (None, Some(_)) => Came::NotSent,
        (None, None) => Came::Nothing,
    };
    (held.line.take(), came)
}

impl Heard {
    /// Why no more errands are sent to this server; none when it understands them.
    ///
    /// Lambda answers a DryRun with 204, or with the refusal that the ping will get too (no permission, no such
    /// function, too many requests, trouble of its own). Whatever else comes back comes from something that does not
    /// know a DryRun: the answer of a real invocation above all.
    fn refusal(self) -> Option<String> {
        match self.status {
            204 | 500 | 502..=599 => None,
            400..=499 if self.named => None,
            200..=299 => Some(format!("it answered {}, so it has run the function", self.status)),
            _ => Some(format!("it answered {}", self.status)),
        }
    }
}

impl Known {
    /// Remembers a refusal, and says so the first time.
    fn refuse(&mut self, place: &Place, refusal: String) {
        let now = Instant::now();
        if !matches!(self, Self::RefusesUntil(then) if now < *then) {
            warn!(server = %place, minutes = REMEMBERED.as_secs() / 60,
                "limits.prepare: the server does not take a DryRun ({refusal}); none is sent for a while");
            *self = Self::RefusesUntil(now + REMEMBERED);
        }
    }
}
