//! One round: N pings released together, and topped up when too few environments are proven.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use super::admission::{Admission, Slots, TooLarge};
use super::ports::{Lambda, Ping};
use super::release::Release;
use super::stop::Stop;
use crate::domain::fleet::{Prepare, Target};
use crate::domain::protocol::PingContext;
use crate::domain::round::{Answer, Attempt, Exchange, Known, conclude, top_up};

/// How long the release waits for the next ping to be ready. Above the SDK's connect timeout of 3.1 s, so that
/// a ping whose connection fails does not delay the others longer than it takes to know that.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a ping's answer may take beyond the function's own timeout: an init of 10 s that does not count towards
/// it, and the network.
const TIMEOUT_MARGIN: Duration = Duration::from_secs(20);

/// Why a round did not start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum NotStarted {
    #[error("stopped before the round was released")]
    Stopped,
    #[error(transparent)]
    TooLarge(#[from] TooLarge),
}

/// A round to be run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Round<'r> {
    /// What is pinged.
    pub target: &'r Target,
    /// With how many pings.
    pub concurrency: u32,
    /// The round's id.
    pub id: &'r str,
    /// How new connections are made ready.
    pub prepare: Prepare,
    /// What is known of the target from earlier rounds.
    pub known: Known,
}

/// Runs a round with its top-ups. Waits for room under the cap before each attempt.
pub(super) async fn run<L: Lambda>(
    lambda: &Arc<L>,
    admission: &Admission,
    round: Round<'_>,
    hold: Duration,
    stop: &mut Stop,
) -> Result<Vec<Attempt>, NotStarted> {
    let Round { target, concurrency, .. } = round;
    let mut attempts = Vec::with_capacity(1);
    let mut hold = hold;
    loop {
        let slots = tokio::select! {
            biased;
            () = stop.stopped() => Err(NotStarted::Stopped),
            slots = admission.admit(concurrency as usize) => slots.map_err(NotStarted::from),
        };
        let slots = match slots {
            Ok(slots) => slots,
            // What has been sent is reported; only a round that never began is left undone.
            Err(_) if !attempts.is_empty() => return Ok(attempts),
            Err(reason) => return Err(reason),
        };
        attempts.push(attempt(lambda, slots, round, hold).await);
        match top_up(concurrency, &attempts, &target.protocol, target.hold, round.known) {
            Some(longer) => hold = longer,
            None => return Ok(attempts),
        }
    }
}

async fn attempt<L: Lambda>(lambda: &Arc<L>, mut slots: Slots, round: Round<'_>, hold: Duration) -> Attempt {
    let Round { target, concurrency, id, prepare, .. } = round;
    let mut release = Release::new(concurrency as usize, PATIENCE);
    let mut pings = JoinSet::new();
    let hold_ms = u64::try_from(hold.as_millis()).unwrap_or(u64::MAX);
    let client_context = target.protocol.client_context();
    for index in 0..concurrency {
        let context = PingContext { round: id, index, concurrency, hold_ms };
        let ping = Ping {
            function: target.id.clone(),
            role: target.role.clone(),
            payload: target.protocol.payload(&context),
            client_context: client_context.clone(),
            prepare,
            timeout: target.timeout_or_max() + TIMEOUT_MARGIN,
        };
        let (lambda, ticket, slot) = (Arc::clone(lambda), release.ticket(), slots.take());
        pings.spawn(async move {
            let exchange = lambda.invoke(ping, ticket).await;
            drop(slot);
            exchange
        });
    }
    release.watch().await;
    let mut results = Vec::with_capacity(concurrency as usize);
    while let Some(joined) = pings.join_next().await {
        let exchange = joined.unwrap_or_else(|error| Exchange {
            sent: Duration::ZERO,
            received: Duration::ZERO,
            answer: Answer::Broken { message: format!("the ping's task ended: {error}"), may_have_run: true },
        });
        results.push(conclude(&target.protocol, exchange));
    }
    Attempt {
        hold: target.protocol.honours_hold().then_some(hold),
        handler_hold: target.protocol.handler_hold(hold),
        pings: results,
    }
}
