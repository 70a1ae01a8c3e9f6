//! One round: N pings sent together, and top-ups when too few environments are proven.

use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::time::{Instant, timeout_at};
use tracing::error;

use super::admission::{Admission, Slots, TooLarge};
use super::ports::{Lambda, Payloads, PingEnd, PingRound};
use super::stop::Stop;
use super::together::Member;
use crate::domain::fleet::{Target, Trace, WireSettings};
use crate::domain::preflight::Room;
use crate::domain::protocol::PingContext;
use crate::domain::round::{
    Answer, AnswerTimes, Attempt, FirstPing, FirstResult, Known, RawInvocation, classify, conclude, top_up,
};

/// The time for opening connections, beyond a ping's own time limit, after which a ping counts as lost. An attempt
/// takes at most 43 s (TCP 3.1 s; a proxy's TLS and tunnel, the server's TLS and its SETTINGS 10 s each) and is made
/// twice in each of up to four searches. Over HTTP/1.1 128 connections are opened at a time.
const OPENING_LIMIT: Duration = Duration::from_secs(600);

/// The reason why a round did not start.
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
    /// The target.
    pub target: &'r Target,
    /// The number of pings.
    pub concurrency: NonZeroU32,
    /// The round's id.
    pub id: &'r str,
    /// The tick's instant.
    pub now: DateTime<Utc>,
    /// The way in which the pings reach Lambda.
    pub wire: WireSettings,
    /// The facts about the target from earlier rounds.
    pub known: Known,
    /// The history of its answers.
    pub answers: AnswerTimes,
    /// The concurrency that the pings share with other rounds.
    pub room: Option<&'r Room>,
    /// Receives the instant at which pings were sent last.
    pub sent: &'r Mutex<Option<Instant>>,
}

/// Runs a round with its top-ups. Waits for room under the cap before each attempt, and before the first one for the
/// other members of its group.
pub(super) async fn run<L: Lambda>(
    lambda: &Arc<L>,
    admission: &Admission,
    round: Round<'_>,
    mut member: Option<Member>,
    hold: Duration,
    stop: &mut Stop,
) -> Result<Vec<Attempt>, NotStarted> {
    let (target, pings) = (round.target, round.concurrency.get());
    let mut attempts = Vec::with_capacity(1);
    let mut hold = hold;
    loop {
        let member = member.take();
        let admitted = async {
            match member {
                Some(member) => member.admit(pings as usize, round.room).await,
                None => admission.admit(pings as usize, round.room).await,
            }
        };
        let slots = tokio::select! {
            biased;
            _ = stop.stopped() => Err(NotStarted::Stopped),
            slots = admitted => slots.map_err(NotStarted::from),
        };
        let slots = match slots {
            Ok(slots) => slots,
            // A round with a sent attempt has a report.
            Err(_) if !attempts.is_empty() => return Ok(attempts),
            Err(reason) => return Err(reason),
        };
        attempts.push(attempt(lambda, slots, round, hold).await);
        match top_up(pings, &attempts, &target.protocol, target.hold, round.known) {
            Some(longer) => hold = longer,
            None => return Ok(attempts),
        }
    }
}

/// Sends the pings that precede a round, one after the other. Returns them with the conclusion, which is
/// [`FirstResult::Again`] if the process was stopped before the next one.
pub(super) async fn first<L: Lambda>(
    lambda: &Arc<L>,
    admission: &Admission,
    round: Round<'_>,
    ping: &FirstPing,
    hold: Duration,
    stop: &mut Stop,
) -> Result<(Vec<Attempt>, FirstResult), NotStarted> {
    let round = Round { concurrency: NonZeroU32::MIN, ..round };
    let handler_hold = round.target.protocol.handler_hold(hold).unwrap_or(hold);
    let mut attempts = Vec::with_capacity(1);
    loop {
        let slots = tokio::select! {
            biased;
            _ = stop.stopped() => Err(NotStarted::Stopped),
            slots = admission.admit(1, round.room) => slots.map_err(NotStarted::from),
        };
        match slots {
            Ok(slots) => attempts.push(attempt(lambda, slots, round, hold).await),
            Err(_) if !attempts.is_empty() => return Ok((attempts, FirstResult::Again)),
            Err(reason) => return Err(reason),
        }
        match conclude(ping, &attempts, handler_hold) {
            FirstResult::Again => {}
            result => return Ok((attempts, result)),
        }
    }
}

/// Sends the pings of one attempt, without what precedes and follows it in a round. Waits for room under the cap.
pub(super) async fn measure<L: Lambda>(
    lambda: &Arc<L>,
    admission: &Admission,
    round: Round<'_>,
    hold: Duration,
    stop: &mut Stop,
) -> Result<Attempt, NotStarted> {
    let slots = tokio::select! {
        biased;
        _ = stop.stopped() => return Err(NotStarted::Stopped),
        slots = admission.admit(round.concurrency.get() as usize, round.room) => slots?,
    };
    Ok(attempt(lambda, slots, round, hold).await)
}

/// Sends the pings of one attempt and collects their results. Each ping gives its slot back when it ends.
async fn attempt<L: Lambda>(lambda: &Arc<L>, mut slots: Slots, round: Round<'_>, hold: Duration) -> Attempt {
    let target = round.target;
    let request = request(round, hold);
    let lost_at = Instant::now() + request.timeout + OPENING_LIMIT;
    // A lower bound: the pings are written when their connections are ready.
    *round.sent.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    let mut deliveries = lambda.send(request);
    let mut results = vec![None; round.concurrency.get() as usize];
    let (mut missing, mut resent) = (results.len(), 0);
    while missing > 0 {
        let Ok(Some(delivery)) = timeout_at(lost_at, deliveries.recv()).await else { break };
        let PingEnd { index, raw, resent: again } = delivery;
        match results.get_mut(index as usize) {
            Some(result @ None) => {
                *result = Some(classify(&target.protocol, raw));
                resent += u32::from(again);
                missing -= 1;
                drop(slots.take());
            }
            // A second answer to one ping must not release a second slot.
            _ => error!(index, "ignored an answer that belongs to no ping in flight"),
        }
    }
    if missing > 0 {
        error!(missing, function = %target.id.shown(), "pings ended without a result");
    }
    let lost = || {
        let answer = Answer::Broken { message: "the ping ended unexpectedly".to_owned(), may_have_run: true };
        classify(&target.protocol, RawInvocation { sent: Duration::ZERO, received: Duration::ZERO, answer })
    };
    let attempt = Attempt {
        hold: target.protocol.honours_hold().then_some(hold),
        handler_hold: target.protocol.handler_hold(hold),
        pings: results.into_iter().map(|result| result.unwrap_or_else(lost)).collect(),
        resent,
    };
    attempt.with_starts()
}

fn request(round: Round<'_>, hold: Duration) -> PingRound {
    let Round { target, id, now, wire, answers, .. } = round;
    debug_assert!(target.protocol.is_bound(), "configurations are bound before pings are sent");
    let concurrency = round.concurrency.get();
    let hold_ms = u64::try_from(hold.as_millis()).unwrap_or(u64::MAX);
    let payload = |index| target.protocol.payload(&PingContext { round: id, index, concurrency, hold_ms });
    PingRound {
        function: target.id.clone(),
        role: target.role.clone(),
        payloads: match target.protocol.is_uniform() {
            true => Payloads::Same { payload: payload(0), pings: concurrency },
            false => Payloads::Each((0..concurrency).map(payload).collect()),
        },
        client_context: target.protocol.client_context(),
        trace_id: match target.trace {
            Trace::Off => Some(not_sampled(now)),
            Trace::Inherit => None,
        },
        wire,
        timeout: answers.limit(target.timeout, hold),
    }
}

/// Returns an `X-Amzn-Trace-Id` of a new trace that is not sampled: version, epoch seconds, 96 random bits (X-Ray
/// developer guide, "Trace ID format").
fn not_sampled(now: DateTime<Utc>) -> String {
    let epoch = u32::try_from(now.timestamp()).unwrap_or_default();
    format!("Root=1-{epoch:08x}-{:024x};Sampled=0", rand::random::<u128>() >> 32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::function::{FunctionRef, Region};
    use crate::domain::protocol::{CustomPayload, Protocol};

    fn target() -> Target {
        Target::bare(&FunctionRef::parse("f").unwrap(), Region::parse("eu-west-2").unwrap())
    }

    fn request_of(target: &Target) -> PingRound {
        let sent = Mutex::default();
        let round = Round {
            target,
            concurrency: NonZeroU32::new(3).unwrap(),
            id: "r",
            now: "2026-11-20T09:00:00Z".parse().unwrap(),
            wire: WireSettings::default(),
            known: Known::default(),
            answers: AnswerTimes::default(),
            room: None,
            sent: &sent,
        };
        request(round, Duration::from_millis(100))
    }

    #[test]
    fn pings_are_not_sampled_unless_the_header_is_left_to_the_sdk() {
        let id = request_of(&target()).trace_id.unwrap();
        let root = id.strip_prefix("Root=1-").and_then(|rest| rest.strip_suffix(";Sampled=0")).unwrap();
        // 2026-11-20T09:00:00Z, and 96 random bits.
        let (epoch, random) = root.split_once('-').unwrap();
        assert_eq!(u32::from_str_radix(epoch, 16), Ok(1_795_165_200));
        assert!(random.len() == 24 && random.chars().all(|c| c.is_ascii_hexdigit()), "{id}");
        assert_ne!(request_of(&target()).trace_id.unwrap(), id, "each round has its own trace");
        assert_eq!(request_of(&Target { trace: Trace::Inherit, ..target() }).trace_id, None);
    }

    #[test]
    fn only_payloads_with_an_index_differ_by_ping() {
        assert!(matches!(request_of(&target()).payloads, Payloads::Same { pings: 3, .. }));
        let custom = CustomPayload::parse(serde_json::json!({ "n": "{{index}}" })).unwrap();
        let indexed = Target { protocol: Protocol::Custom(custom), ..target() };
        let each = [&br#"{"n":0}"#[..], br#"{"n":1}"#, br#"{"n":2}"#].map(<[u8]>::to_vec).to_vec();
        assert_eq!(request_of(&indexed).payloads, Payloads::Each(each));
    }
}
