//! One ping of a round on its way.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::aws::answer;
use crate::aws::connector::{Reply, Report};
use crate::aws::error::Failure;
use crate::domain::round::{Answer, RawInvocation};
use crate::engine::ports::PingEnd;

/// The maximum number of searches of a ping for a connection: the first, one after a refused stream, and one after a
/// connection that was closed before the ping was written to it.
const MAX_SEARCHES: u8 = 3;

/// A ping that has not ended.
pub(super) struct Ping {
    pub index: u32,
    searches: u8,
    pub was_refused: bool,
    /// True once it was sent after a refusal.
    pub resent: bool,
    pub round: Arc<InFlight>,
}

/// State that the pings of a round share after the release.
pub(super) struct InFlight {
    pub released: Instant,
    pub limit: Duration,
    pub deliveries: mpsc::UnboundedSender<PingEnd>,
    /// Pings that need another connection. The channel closes when the last ping has ended.
    pub retries: mpsc::UnboundedSender<Ping>,
}

impl Ping {
    pub(super) fn new(index: u32, round: Arc<InFlight>) -> Self {
        Self { index, searches: 1, was_refused: false, resent: false, round }
    }

    fn deliver(self, sent: Instant, received: Instant, answer: Answer) {
        let since_release = |at: Instant| at.saturating_duration_since(self.round.released);
        let raw = RawInvocation { sent: since_release(sent), received: since_release(received), answer };
        // The receiver is gone when the round was cancelled.
        let _ = self.round.deliveries.send(PingEnd { index: self.index, raw, resent: self.resent });
    }

    /// Reports that the ping was not sent.
    pub(super) fn not_sent(self, message: String) {
        let now = self.round.released;
        self.deliver(now, now, Answer::Broken { message, may_have_run: false });
    }

    /// Queues the ping for another connection, up to [`MAX_SEARCHES`].
    fn retry(mut self, reason: String) {
        if self.searches >= MAX_SEARCHES {
            return self.not_sent(reason);
        }
        let retries = self.round.retries.clone();
        self.searches += 1;
        // The receiver exists until the last sender is dropped.
        let _ = retries.send(self);
    }
}

impl Report for Ping {
    fn ended(self: Box<Self>, sent: Instant, received: Instant, reply: Reply) {
        let mut ping = *self;
        match reply {
            Reply::Answered(response) => ping.deliver(sent, received, answer::parse(response)),
            Reply::NotSent(reason) => ping.retry(reason),
            // A refused ping is sent again once.
            Reply::NotProcessed(reason) if ping.was_refused => {
                ping.not_sent(format!("the server refused the request twice: {reason}"));
            }
            Reply::NotProcessed(reason) => {
                ping.was_refused = true;
                ping.retry(reason);
            }
            Reply::Failed(failure) => {
                let answer = match &failure {
                    Failure::NoAnswer { .. } => Answer::TimedOut,
                    other => {
                        Answer::Broken { message: other.to_string(), may_have_run: other.may_have_run() }
                    }
                };
                ping.deliver(sent, received, answer);
            }
        }
    }
}
