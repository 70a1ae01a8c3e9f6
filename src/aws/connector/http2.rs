//! One HTTP/2 connection that carries pings. A task drives the connection and all its streams.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{FuturesUnordered, StreamExt};
use h2::client::{ResponseFuture, SendRequest};
use h2::{Ping as HealthCheck, PingPong, Reason};
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::KEPT_OF_A_PING;
use super::body::{BodyLimit, Collector};
use super::open::NewHttp2;
use super::origin::Origin;
use super::streams::{Lease, StreamSlot, StreamUse};
use crate::aws::error::Failure;

/// An idle connection is closed after this time. NAT gateways drop a silent connection after 350 s.
const IDLE_LIFE: Duration = Duration::from_secs(300);
/// The time limit of the answer to a PING, and the time for which an answer proves that the connection is alive.
const HEALTH_CHECK_LIMIT: Duration = Duration::from_secs(1);

/// A ping to be sent. Its end is reported through its [`Report`].
pub(in crate::aws) struct Outgoing {
    /// The request, without its body.
    pub request: http::Request<()>,
    /// The body.
    pub body: Bytes,
    /// The deadline of the answer.
    pub deadline: Instant,
    /// The time limit that led to the deadline, for the report.
    pub limit: Duration,
    /// Receives the end of the ping.
    pub report: Box<dyn Report>,
}

/// The end of one ping.
pub(in crate::aws) enum Reply {
    /// The answer. A long body is cut.
    Answered(http::Response<Bytes>),
    /// The request never left this process.
    NotSent(String),
    /// The server refused the stream, and HTTP/2 guarantees that the request was not processed.
    NotProcessed(String),
    /// No usable answer.
    Failed(Failure),
}

/// Receives the end of a ping. A report that is dropped unused means that the ping ended unexpectedly.
pub(in crate::aws) trait Report: Send {
    /// Takes the end of the ping, which was written at `sent` or later and ended at `received` or earlier.
    fn ended(self: Box<Self>, sent: Instant, received: Instant, reply: Reply);
}

pub(super) enum Command {
    Send(Vec<Outgoing>, Lease),
    /// Answers when the server has answered a PING.
    Check(oneshot::Sender<()>),
}

/// Sends commands to the task of an open connection.
#[derive(Debug, Clone)]
pub(super) struct Handle {
    commands: mpsc::UnboundedSender<Command>,
    liveness: Arc<Mutex<Liveness>>,
    /// Streams that may be open at once, at least 1.
    pub streams: usize,
}

/// The latest proof that a connection is alive.
#[derive(Debug, Clone, Copy)]
enum Liveness {
    AliveAt(Instant),
    Dead,
}

impl Handle {
    /// Starts the task of a connection. The task retires `stream_use` when the connection accepts no more streams.
    pub(super) fn start(new: NewHttp2, origin: Origin, stream_use: Arc<StreamUse>) -> Self {
        let (commands, received) = mpsc::unbounded_channel();
        let streams = new.streams;
        tokio::spawn(drive(new, Arc::new(origin), received, stream_use));
        Self { commands, liveness: Arc::new(Mutex::new(Liveness::AliveAt(Instant::now()))), streams }
    }

    /// Returns true when the connection was opened within the last second, or when the server answers a PING in time.
    /// Concurrent callers share one PING.
    pub(super) async fn is_alive(&self) -> bool {
        let mut liveness = self.liveness.lock().await;
        match *liveness {
            Liveness::Dead => false,
            Liveness::AliveAt(proven) if proven.elapsed() < HEALTH_CHECK_LIMIT => true,
            Liveness::AliveAt(_) => {
                let (answered, answer) = oneshot::channel();
                let is_alive = self.commands.send(Command::Check(answered)).is_ok()
                    && matches!(timeout(HEALTH_CHECK_LIMIT, answer).await, Ok(Ok(())));
                *liveness = if is_alive { Liveness::AliveAt(Instant::now()) } else { Liveness::Dead };
                is_alive
            }
        }
    }

    /// Sends pings, together, on streams of `lease`.
    pub(super) fn send(&self, pings: Vec<Outgoing>, lease: Lease) {
        if let Err(mpsc::error::SendError(command)) = self.commands.send(Command::Send(pings, lease)) {
            refuse(command);
        }
    }
}

/// Reports that the pings of a command were not sent: the connection is closed.
fn refuse(command: Command) {
    if let Command::Send(pings, _) = command {
        let now = Instant::now();
        for ping in pings {
            ping.report.ended(now, now, Reply::NotSent("the connection was closed".to_owned()));
        }
    }
}

/// Drives a connection until either side closes it, or until it has been idle for [`IDLE_LIFE`].
async fn drive(
    new: NewHttp2,
    origin: Arc<Origin>,
    mut commands: mpsc::UnboundedReceiver<Command>,
    stream_use: Arc<StreamUse>,
) {
    let NewHttp2 { mut sender, mut connection, .. } = new;
    let mut checks = Checks { pings: connection.ping_pong(), waiting: Vec::new() };
    let mut streams = FuturesUnordered::new();
    // Dropped as soon as it has ended, which ends its streams.
    let mut connection = Some(connection);
    let mut is_draining = false;
    let mut idle_end = pin!(sleep(IDLE_LIFE));
    poll_fn(|cx| {
        // True when neither the pool nor a round has a handle any more.
        let mut is_abandoned = false;
        while connection.is_some()
            && let Poll::Ready(command) = commands.poll_recv(cx)
        {
            match command {
                Some(Command::Check(answered)) if is_draining => drop(answered),
                Some(Command::Send(pings, lease)) => send(&sender, pings, lease, |sent, stream, slot| {
                    streams.push(finish(Arc::clone(&origin), sent, stream, slot));
                }),
                Some(Command::Check(answered)) => checks.begin(answered),
                None => {
                    is_abandoned = true;
                    break;
                }
            }
        }
        // Writes everything queued above, together.
        if connection.as_mut().is_some_and(|connection| Pin::new(connection).poll(cx).is_ready()) {
            connection = None;
            checks.waiting.clear();
            commands.close();
            while let Ok(command) = commands.try_recv() {
                refuse(command);
            }
            stream_use.retire();
        }
        // An error on a sender without a request means that the server has sent GOAWAY.
        if connection.is_some() && !is_draining && matches!(sender.poll_ready(cx), Poll::Ready(Err(_))) {
            is_draining = true;
            checks.waiting.clear();
            stream_use.retire();
        }
        checks.poll(cx);
        let before = streams.len();
        while let Poll::Ready(Some(())) = streams.poll_next_unpin(cx) {}
        if before > 0 && streams.is_empty() {
            idle_end.as_mut().reset(Instant::now() + IDLE_LIFE);
        }
        if streams.is_empty() && stream_use.is_finished() {
            commands.close();
            return Poll::Ready(());
        }
        if connection.is_none() || is_abandoned {
            return if streams.is_empty() { Poll::Ready(()) } else { Poll::Pending };
        }
        if streams.is_empty() && idle_end.as_mut().poll(cx).is_ready() {
            if stream_use.retire_if_idle() {
                commands.close();
                return Poll::Ready(());
            }
            idle_end.as_mut().reset(Instant::now() + IDLE_LIFE);
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    })
    .await;
    while let Some(command) = commands.recv().await {
        refuse(command);
    }
}

/// Health checks. Those that wait share one PING.
struct Checks {
    pings: Option<PingPong>,
    waiting: Vec<oneshot::Sender<()>>,
}

impl Checks {
    fn begin(&mut self, answered: oneshot::Sender<()>) {
        let Some(pings) = &mut self.pings else { return };
        // The answer to an earlier check that timed out serves as well.
        let _ = pings.send_ping(HealthCheck::opaque());
        self.waiting.push(answered);
    }

    fn poll(&mut self, cx: &mut Context<'_>) {
        let Some(pings) = self.pings.as_mut().filter(|_| !self.waiting.is_empty()) else { return };
        if let Poll::Ready(answer) = pings.poll_pong(cx) {
            for waiting in self.waiting.drain(..) {
                if answer.is_ok() {
                    let _ = waiting.send(());
                }
            }
        }
    }
}

/// A stream whose request is queued.
struct Queued {
    response: ResponseFuture,
    deadline: Instant,
    limit: Duration,
    report: Box<dyn Report>,
}

/// Queues the requests of all pings. `queued` takes each, with an instant before the first of them can be written.
fn send(
    sender: &SendRequest<Bytes>,
    pings: Vec<Outgoing>,
    mut lease: Lease,
    mut queued: impl FnMut(Instant, Queued, Option<StreamSlot>),
) {
    let mut all = Vec::with_capacity(pings.len());
    for Outgoing { request, body, deadline, limit, report } in pings {
        // One clone for each: h2 lets a sender queue a single request beyond the open streams.
        match sender.clone().send_request(request, body.is_empty()) {
            Ok((response, mut stream)) => {
                if !body.is_empty() {
                    // An error means that the stream was reset, which the response reports.
                    let _ = stream.send_data(body, true);
                }
                all.push(Queued { response, deadline, limit, report });
            }
            Err(error) => {
                lease.retire();
                let now = Instant::now();
                report.ended(now, now, Reply::NotSent(error.to_string()));
            }
        }
    }
    // The requests are written when the connection is polled, after this.
    let sent = Instant::now();
    for stream in all {
        queued(sent, stream, lease.take());
    }
}

/// Waits for the answer of one stream and reports it. At the deadline the stream is reset.
async fn finish(origin: Arc<Origin>, sent: Instant, stream: Queued, slot: Option<StreamSlot>) {
    let Queued { response, deadline, limit, report } = stream;
    let reply = match timeout_at(deadline, answer(&origin, response)).await {
        Ok(reply) => reply,
        Err(_) => Reply::Failed(Failure::NoAnswer { origin: Origin::clone(&origin), limit }),
    };
    let received = Instant::now();
    if let (Some(slot), Reply::NotProcessed(_)) = (&slot, &reply) {
        // The pings are sent again on another connection.
        slot.retire();
    }
    drop(slot);
    report.ended(sent, received, reply);
}

async fn answer(origin: &Origin, response: ResponseFuture) -> Reply {
    let response = match response.await {
        Ok(response) => response,
        Err(error) if is_unprocessed(&error) => return Reply::NotProcessed(error.to_string()),
        Err(error) => return Reply::Failed(broke(origin, &error)),
    };
    let (head, mut body) = response.into_parts();
    let mut collector = Collector::new(BodyLimit::First(KEPT_OF_A_PING));
    while let Some(data) = body.data().await {
        match data {
            Ok(data) => {
                // An error means that the stream has ended.
                let _ = body.flow_control().release_capacity(data.len());
                // Never fails: the rest of a long body is dropped.
                let _ = collector.push(data);
            }
            Err(error) => return Reply::Failed(broke(origin, &error)),
        }
    }
    Reply::Answered(http::Response::from_parts(head, collector.finish().0))
}

fn broke(origin: &Origin, error: &h2::Error) -> Failure {
    Failure::Broke { origin: origin.clone(), reason: error.to_string() }
}

/// Returns true when HTTP/2 guarantees that the request was not processed (RFC 9113, section 8.7): the server reset the
/// stream with REFUSED_STREAM, or sent a GOAWAY whose last stream id is below the stream's. h2 reports a GOAWAY error
/// to those streams only; the others end with an I/O error when the connection does.
fn is_unprocessed(error: &h2::Error) -> bool {
    error.is_remote()
        && (error.is_go_away() || (error.is_reset() && error.reason() == Some(Reason::REFUSED_STREAM)))
}
