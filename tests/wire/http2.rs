//! Rounds over HTTP/2: limits, refusals, and connections that end, against a server written frame by frame.

use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use h2::server::{Builder, Connection, SendResponse};
use h2::{Reason, RecvStream};
use http::{Request, Response};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::time::{Instant, sleep};
use tokio_rustls::server::TlsStream;
use warmd::aws::connector::{Connector, Dialer, Proxies, Roots};
use warmd::aws::{AwsLambda, Clients};
use warmd::domain::round::{Answer, RawInvocation};
use warmd::engine::ports::{Lambda, Payloads, PingEnd, PingRound};

use crate::server::{Server, answer, trust};
use crate::{deliveries, freeze, ping, pings, round};

type Wire = Connection<TlsStream<DuplexStream>, Bytes>;
type Stream = (Request<RecvStream>, SendResponse<Bytes>);

/// What the server has seen, over all connections.
#[derive(Debug, Default)]
struct Seen {
    connections: AtomicUsize,
    streams: AtomicUsize,
    /// Connections there were when the first stream came.
    before: Mutex<Option<usize>>,
}

impl Seen {
    fn stream(&self) {
        self.streams.fetch_add(1, Ordering::SeqCst);
        self.before.lock().unwrap().get_or_insert(self.connections.load(Ordering::SeqCst));
    }

    fn counts(&self) -> (usize, usize) {
        (self.connections.load(Ordering::SeqCst), self.streams.load(Ordering::SeqCst))
    }
}

/// Lambda behind TLS, on a server that runs `script` for each connection; it is given the connection's number.
fn lambda<F, Fut>(streams: u32, script: F) -> (AwsLambda, Arc<Seen>)
where
    F: Fn(usize, Wire, Arc<Seen>) -> Fut + Send + Sync + Clone + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    let trust = trust();
    let seen = Arc::new(Seen::default());
    let counted = Arc::clone(&seen);
    let dialer = Dialer::custom(move |_: &str, _| {
        let (near, far) = tokio::io::duplex(64 << 10);
        let (acceptor, script, seen) = (trust.acceptor.clone(), script.clone(), Arc::clone(&counted));
        tokio::spawn(async move {
            let Ok(stream) = acceptor.accept(far).await else { return };
            let number = seen.connections.fetch_add(1, Ordering::SeqCst);
            let handshake = Builder::new().max_concurrent_streams(streams).handshake(stream).await;
            if let Ok(connection) = handshake {
                script(number, connection, seen).await;
            }
        });
        async move { Ok(near) }
    });
    let connector = Connector::new(dialer, Roots::Given(trust.roots), Proxies::Direct);
    (AwsLambda::new(Arc::new(Clients::local_through("https://localhost", connector))), seen)
}

fn reply((_, mut stream): Stream) {
    let response = Response::builder().status(200).body(()).unwrap();
    let mut body = stream.send_response(response, false).unwrap();
    body.send_data(Bytes::from_static(b"null"), true).unwrap();
}

/// Answers every stream at once.
async fn answering(_: usize, mut wire: Wire, seen: Arc<Seen>) {
    while let Some(Ok(stream)) = wire.accept().await {
        seen.stream();
        reply(stream);
    }
}

fn responded(exchange: &RawInvocation) -> bool {
    matches!(exchange.answer, Answer::Responded { .. })
}

fn all_responded(delivered: &[PingEnd]) {
    assert!(delivered.iter().all(|delivery| responded(&delivery.raw)), "{delivered:?}");
}

#[tokio::test(start_paused = true)]
async fn more_connections_are_opened_where_settings_allow_fewer_streams_and_that_is_remembered() {
    let (lambda, seen) = lambda(30, answering);
    let (_, exchanges) = round(&lambda, pings("f", 100)).await;
    assert!(exchanges.iter().all(responded), "{exchanges:?}");
    assert_eq!(seen.counts(), (4, 100), "30 + 30 + 30 + 10");
    assert_eq!(*seen.before.lock().unwrap(), Some(4), "all are ready before a byte is sent");
    // After five minutes they are closed; the next four are opened side by side.
    sleep(Duration::from_secs(400)).await;
    let (began, exchanges) = round(&lambda, pings("f", 100)).await;
    assert!(exchanges.iter().all(responded));
    assert_eq!((seen.counts(), began.elapsed()), ((8, 200), Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn rounds_of_the_process_share_the_connections() {
    let (lambda, seen) = lambda(128, |_, mut wire: Wire, seen: Arc<Seen>| async move {
        let mut held = Vec::new();
        while let Some(Ok(stream)) = wire.accept().await {
            seen.stream();
            held.push(stream);
            // Nothing is answered before all pings of all rounds are here.
            if seen.streams.load(Ordering::SeqCst) == 1_000 {
                break;
            }
            if held.len() == 100 {
                break;
            }
        }
        while seen.streams.load(Ordering::SeqCst) < 1_000 {
            sleep(Duration::from_millis(1)).await;
        }
        held.drain(..).for_each(reply);
        while let Some(Ok(stream)) = wire.accept().await {
            reply(stream);
        }
    });
    let rounds: Vec<_> = (0..200).map(|_| lambda.send(pings("f", 5))).collect();
    for mut delivered in rounds {
        while let Some(delivery) = delivered.recv().await {
            assert!(responded(&delivery.raw), "{delivery:?}");
        }
    }
    assert_eq!(seen.counts(), (10, 1_000));
}

#[tokio::test(start_paused = true)]
async fn a_refused_stream_goes_once_more_on_another_connection_and_is_counted() {
    let (lambda, seen) = lambda(128, |number, mut wire: Wire, seen: Arc<Seen>| async move {
        let mut streams = 0;
        while let Some(Ok(mut stream)) = wire.accept().await {
            seen.stream();
            streams += 1;
            match (number, streams) {
                (0, 1..=3) => stream.1.send_reset(Reason::REFUSED_STREAM),
                _ => reply(stream),
            }
        }
    });
    let delivered = deliveries(&lambda, pings("f", 10)).await;
    all_responded(&delivered);
    assert_eq!(delivered.iter().filter(|delivery| delivery.resent).count(), 3);
    assert_eq!(seen.counts(), (2, 13));
}

#[tokio::test(start_paused = true)]
async fn a_stream_refused_twice_has_failed_and_did_not_run() {
    let (lambda, seen) = lambda(128, |_, mut wire: Wire, seen: Arc<Seen>| async move {
        while let Some(Ok((_, mut stream))) = wire.accept().await {
            seen.stream();
            stream.send_reset(Reason::REFUSED_STREAM);
        }
    });
    for delivery in deliveries(&lambda, pings("f", 4)).await {
        let Answer::Broken { message, may_have_run } = &delivery.raw.answer else { panic!("{delivery:?}") };
        assert!(message.starts_with("the server refused the request twice"), "{message}");
        assert!(!may_have_run && delivery.resent);
    }
    assert_eq!(seen.counts().1, 8, "twice each, and no oftener");
}

#[tokio::test(start_paused = true)]
async fn any_other_reset_fails_its_ping_alone() {
    for reason in [Reason::INTERNAL_ERROR, Reason::CANCEL, Reason::ENHANCE_YOUR_CALM] {
        let (lambda, seen) = lambda(128, move |_, mut wire: Wire, seen: Arc<Seen>| async move {
            while let Some(Ok(mut stream)) = wire.accept().await {
                seen.stream();
                match seen.counts().1 {
                    1 => stream.1.send_reset(reason),
                    _ => reply(stream),
                }
            }
        });
        let delivered = deliveries(&lambda, pings("f", 5)).await;
        let failed: Vec<_> = delivered.iter().filter(|delivery| !responded(&delivery.raw)).collect();
        assert_eq!((failed.len(), seen.counts()), (1, (1, 5)), "{reason}");
        assert!(matches!(failed[0].raw.answer, Answer::Broken { may_have_run: true, .. }), "{failed:?}");
    }
}

/// An HTTP/2 frame on stream 0 (RFC 9113, section 4.1).
fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &[0; 4], payload].concat()
}

/// A server by hand: reads until it has the HEADERS of `streams` requests, says goodbye with this last stream id, and
/// closes the connection.
async fn goaway(mut wire: TlsStream<DuplexStream>, streams: usize, last: u32, reason: u32) {
    const SETTINGS: u8 = 4;
    let mut preface = [0; 24];
    wire.read_exact(&mut preface).await.unwrap();
    wire.write_all(&frame(SETTINGS, 0, &[])).await.unwrap();
    let mut headers = 0;
    while headers < streams {
        let mut head = [0; 9];
        wire.read_exact(&mut head).await.unwrap();
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        wire.read_exact(&mut vec![0; length as usize]).await.unwrap();
        headers += usize::from(head[3] == 1);
        if head[3] == SETTINGS && head[4] == 0 {
            wire.write_all(&frame(SETTINGS, 1, &[])).await.unwrap();
        }
    }
    let payload = [last.to_be_bytes(), reason.to_be_bytes()].concat();
    wire.write_all(&frame(7, 0, &payload)).await.unwrap();
    wire.flush().await.unwrap();
    sleep(Duration::from_secs(1)).await;
}

#[tokio::test(start_paused = true)]
async fn pings_above_the_last_stream_of_a_goaway_go_once_more_and_those_below_never() {
    // NO_ERROR, ENHANCE_YOUR_CALM, INTERNAL_ERROR: the reason does not matter.
    for reason in [0, 11, 2] {
        let trust = trust();
        let seen = Arc::new(Seen::default());
        let counted = Arc::clone(&seen);
        let dialer = Dialer::custom(move |_: &str, _| {
            let (near, far) = tokio::io::duplex(64 << 10);
            let (acceptor, seen) = (trust.acceptor.clone(), Arc::clone(&counted));
            tokio::spawn(async move {
                let stream = acceptor.accept(far).await.unwrap();
                match seen.connections.fetch_add(1, Ordering::SeqCst) {
                    // Ten requests are streams 1, 3, … 19.
                    0 => goaway(stream, 10, 5, reason).await,
                    number => answering(number, Builder::new().handshake(stream).await.unwrap(), seen).await,
                }
            });
            async move { Ok(near) }
        });
        let connector = Connector::new(dialer, Roots::Given(trust.roots), Proxies::Direct);
        let lambda = AwsLambda::new(Arc::new(Clients::local_through("https://localhost", connector)));
        let delivered = deliveries(&lambda, pings("f", 10)).await;
        for delivery in &delivered[..3] {
            let Answer::Broken { message, may_have_run: true } = &delivery.raw.answer else {
                panic!("{delivery:?}")
            };
            assert!(message.starts_with("the connection to localhost:443 broke"), "{message}");
            assert!(!delivery.resent, "it may have run");
        }
        for delivery in &delivered[3..] {
            assert!(responded(&delivery.raw) && delivery.resent, "{delivery:?}");
        }
        assert_eq!(seen.counts(), (2, 7));
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_breaks_fails_its_pings_and_none_is_repeated() {
    let (lambda, seen) = lambda(128, |_, mut wire: Wire, seen: Arc<Seen>| async move {
        for _ in 0..50 {
            let Some(Ok(stream)) = wire.accept().await else { return };
            seen.stream();
            if seen.counts().1 <= 20 {
                reply(stream);
            }
        }
    });
    let delivered = deliveries(&lambda, pings("f", 50)).await;
    assert_eq!(seen.counts(), (1, 50));
    for delivery in delivered.iter().filter(|delivery| !responded(&delivery.raw)) {
        let Answer::Broken { message, may_have_run: true } = &delivery.raw.answer else {
            panic!("{delivery:?}")
        };
        assert!(message.starts_with("the connection to localhost:443 broke"), "{message}");
        assert!(!delivery.resent);
    }
}

#[tokio::test(start_paused = true)]
async fn a_hung_ping_occupies_a_stream_until_its_timeout_and_not_its_connection() {
    let (lambda, seen) = lambda(128, |_, mut wire: Wire, seen: Arc<Seen>| async move {
        let mut hung = Vec::new();
        while let Some(Ok(stream)) = wire.accept().await {
            seen.stream();
            match seen.counts().1 {
                1 => hung.push(stream),
                _ => reply(stream),
            }
        }
    });
    let mut first = lambda.send(PingRound { timeout: Duration::from_secs(900), ..pings("f", 3) });
    for _ in 0..2 {
        assert!(responded(&first.recv().await.unwrap().raw));
    }
    let (_, exchanges) = round(&lambda, pings("g", 99)).await;
    assert!(exchanges.iter().all(responded));
    assert_eq!(seen.counts(), (1, 102), "the other 99 streams serve other rounds");
    let hung = first.recv().await.unwrap().raw;
    assert_eq!((hung.answer, hung.received), (Answer::TimedOut, Duration::from_secs(900)));
    let (_, exchanges) = round(&lambda, pings("g", 100)).await;
    assert!(exchanges.iter().all(responded));
    assert_eq!(seen.counts().0, 1, "with all its streams");
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_that_answers_a_ping_frame_is_used_again() {
    let (lambda, seen) = lambda(128, answering);
    for (minute, connections) in [(0, 1), (1, 1), (2, 1), (3, 1)] {
        let (_, exchanges) = round(&lambda, pings("f", 50)).await;
        assert!(exchanges.iter().all(responded));
        assert_eq!(seen.counts().0, connections, "minute {minute}");
        freeze(Duration::from_secs(60));
    }
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_that_is_silent_is_replaced_within_a_second() {
    let (lambda, seen) = lambda(128, |number, mut wire: Wire, seen: Arc<Seen>| async move {
        for _ in 0..20 {
            let Some(Ok(stream)) = wire.accept().await else { return };
            seen.stream();
            reply(stream);
        }
        if number > 0 {
            return answering(number, wire, seen).await;
        }
        // Long enough to send the answers; then nothing is read any more, as when a NAT gateway has forgotten it.
        drop(tokio::time::timeout(Duration::from_millis(100), wire.accept()).await);
        std::future::pending::<()>().await;
    });
    let (_, exchanges) = round(&lambda, pings("f", 20)).await;
    assert!(exchanges.iter().all(responded));
    sleep(Duration::from_secs(60)).await;
    // Several rounds find the same connection: none of them relies on it unproven.
    let began = Instant::now();
    let rounds: Vec<_> = (0..4).map(|_| lambda.send(pings("f", 5))).collect();
    for mut ends in rounds {
        while let Some(end) = ends.recv().await {
            assert!(responded(&end.raw), "{end:?}");
        }
    }
    assert_eq!(began.elapsed(), Duration::from_secs(1));
    assert_eq!(seen.counts(), (2, 40));
}

/// A round smaller than a connection would try the dead ones one after the other.
#[tokio::test(start_paused = true)]
async fn however_many_idle_connections_are_dead_a_small_round_finds_a_new_one() {
    let (lambda, seen) = lambda(128, |number, mut wire: Wire, seen: Arc<Seen>| async move {
        if number >= 10 {
            return answering(number, wire, seen).await;
        }
        for _ in 0..100 {
            let Some(Ok(stream)) = wire.accept().await else { return };
            seen.stream();
            reply(stream);
        }
        drop(tokio::time::timeout(Duration::from_millis(100), wire.accept()).await);
        std::future::pending::<()>().await;
    });
    let (_, exchanges) = round(&lambda, pings("f", 1_000)).await;
    assert!(exchanges.iter().all(responded));
    assert_eq!(seen.counts(), (10, 1_000));
    sleep(Duration::from_secs(60)).await;
    let (began, exchanges) = round(&lambda, pings("f", 5)).await;
    assert!(exchanges.iter().all(responded), "{exchanges:?}");
    assert_eq!((began.elapsed(), seen.counts()), (Duration::from_secs(1), (11, 1_005)));
}

/// Connections that have said goodbye serve what they have, and nothing more.
#[tokio::test(start_paused = true)]
async fn connections_that_said_goodbye_are_not_offered_again() {
    let (lambda, seen) = lambda(128, |number, mut wire: Wire, seen: Arc<Seen>| async move {
        if number >= 5 {
            return answering(number, wire, seen).await;
        }
        let mut hung = Vec::new();
        while hung.len() < 100 {
            let Some(Ok(stream)) = wire.accept().await else { return };
            seen.stream();
            hung.push(stream);
        }
        // Draining: no stream is refused, and PING frames are still answered.
        wire.graceful_shutdown();
        drop(tokio::time::timeout(Duration::from_secs(60), wire.accept()).await);
        hung.drain(..).for_each(reply);
        drop(wire.accept().await);
    });
    let slow = lambda.send(pings("slow", 500));
    sleep(Duration::from_secs(5)).await;
    let delivered = deliveries(&lambda, pings("f", 20)).await;
    all_responded(&delivered);
    assert!(delivered.iter().all(|end| !end.resent), "none of them was sent to a connection that is leaving");
    assert_eq!(seen.counts(), (6, 520));
    drop(slow);
}

#[tokio::test(start_paused = true)]
async fn a_round_that_was_given_up_sends_nothing_more() {
    let server = Server::new(|_| async { answer(200, "null") });
    let dialed = server.clone();
    let dialer = Dialer::custom(move |_: &str, _| {
        let (near, far) = tokio::io::duplex(64 << 10);
        tokio::spawn(dialed.clone().connection(far));
        async move {
            sleep(Duration::from_secs(2)).await;
            Ok(near)
        }
    });
    let lambda = crate::lambda_through(dialer);
    drop(lambda.send(pings("f", 5)));
    sleep(Duration::from_secs(60)).await;
    assert_eq!((server.seen.connections(), server.seen.count()), (5, 0));
}

#[tokio::test(start_paused = true)]
async fn a_server_without_settings_is_given_up() {
    let trust = trust();
    let acceptor = trust.acceptor;
    let dialer = Dialer::custom(move |_: &str, _| {
        let (near, far) = tokio::io::duplex(64 << 10);
        let acceptor = acceptor.clone();
        tokio::spawn(async move {
            let _silent = acceptor.accept(far).await;
            std::future::pending::<()>().await;
        });
        async move { Ok(near) }
    });
    let connector = Connector::new(dialer, Roots::Given(trust.roots), Proxies::Direct);
    let lambda = AwsLambda::new(Arc::new(Clients::local_through("https://localhost", connector)));
    let (began, exchanges) = round(&lambda, pings("f", 3)).await;
    for exchange in exchanges {
        assert_eq!(
            exchange.answer,
            Answer::Broken {
                message: "connect to localhost:443: no connection within 10s".to_owned(),
                may_have_run: false
            }
        );
    }
    assert_eq!(began.elapsed(), Duration::from_secs(20), "tried once more");
}

#[tokio::test(start_paused = true)]
async fn where_tls_ends_in_http1_each_ping_has_a_connection() {
    let trust = trust();
    let mut config = rustls_config(&trust.acceptor);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let server = Server::new(|_| async { answer(200, "null") });
    let connector =
        Connector::new(server.secure_dialer(acceptor), Roots::Given(trust.roots), Proxies::Direct);
    let lambda = AwsLambda::new(Arc::new(Clients::local_through("https://localhost", connector)));
    for _ in 0..2 {
        let (_, exchanges) = round(&lambda, pings("f", 150)).await;
        assert!(exchanges.iter().all(responded), "{exchanges:?}");
    }
    assert_eq!((server.seen.count(), server.seen.http2.load(Ordering::SeqCst)), (300, 0));
    assert_eq!(server.seen.connections(), 150, "those that were opened for HTTP/2 are used too");
}

fn rustls_config(acceptor: &tokio_rustls::TlsAcceptor) -> tokio_rustls::rustls::ServerConfig {
    tokio_rustls::rustls::ServerConfig::clone(acceptor.config())
}

/// Payloads above a connection's window of 64 KB: every ping arrives whole, later than it is said to have been sent.
#[tokio::test(start_paused = true)]
async fn payloads_above_the_window_arrive_whole_and_never_before_they_were_sent() {
    const SIZE: usize = 100_000;
    let arrived = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&arrived);
    let (lambda, _) = lambda(128, move |_, mut wire: Wire, seen: Arc<Seen>| {
        let noted = Arc::clone(&noted);
        async move {
            while let Some(Ok((request, mut stream))) = wire.accept().await {
                seen.stream();
                let noted = Arc::clone(&noted);
                tokio::spawn(async move {
                    let began = Instant::now();
                    let mut body = request.into_body();
                    let mut size = 0;
                    while let Some(Ok(data)) = body.data().await {
                        size += data.len();
                        // A slow reader.
                        sleep(Duration::from_millis(1)).await;
                        body.flow_control().release_capacity(data.len()).unwrap();
                    }
                    noted.lock().unwrap().push((began, Instant::now(), size));
                    stream.send_response(Response::new(()), true).unwrap();
                });
            }
        }
    });
    let payload = vec![b' '; SIZE];
    let wanted = PingRound { payloads: Payloads::Same { payload, pings: 20 }, ..pings("f", 0) };
    let (began, exchanges) = round(&lambda, wanted).await;
    let arrived = arrived.lock().unwrap().clone();
    assert_eq!(arrived.len(), 20);
    assert!(arrived.iter().all(|(_, _, size)| *size == SIZE));
    let last = arrived.iter().map(|(_, whole, _)| *whole).max().unwrap();
    assert!(last - began > Duration::from_millis(10), "the window did hold some back");
    for exchange in &exchanges {
        assert!(responded(exchange));
        assert_eq!(exchange.sent, Duration::ZERO, "the instant before the first byte of the batch");
    }
    let latest = exchanges.iter().map(|exchange| exchange.received).max().unwrap();
    assert!(began + latest >= last, "no answer is said to have come before it was given");
}

/// A session token goes over each connection once: HTTP/2 compresses the headers that repeat.
#[tokio::test(start_paused = true)]
async fn headers_are_compressed_once_a_connection() {
    let bytes = Arc::new(AtomicUsize::new(0));
    let trust = trust();
    let counted = Arc::clone(&bytes);
    let acceptor = trust.acceptor;
    let dialer = Dialer::custom(move |_: &str, _| {
        let (near, far) = tokio::io::duplex(1 << 20);
        let (acceptor, counted) = (acceptor.clone(), Arc::clone(&counted));
        tokio::spawn(async move {
            let stream = acceptor.accept(Counting(far, counted)).await.unwrap();
            let mut wire = Builder::new().handshake::<_, Bytes>(stream).await.unwrap();
            while let Some(Ok((_, mut stream))) = wire.accept().await {
                stream.send_response(Response::new(()), true).unwrap();
            }
        });
        async move { Ok(near) }
    });
    let connector = Connector::new(dialer, Roots::Given(trust.roots), Proxies::Direct);
    let token = "t".repeat(1_200);
    let clients = Clients::local_with_token("https://localhost", connector, &token);
    let lambda = AwsLambda::new(Arc::new(clients));
    round(&lambda, ping("f")).await;
    let before = bytes.load(Ordering::SeqCst);
    round(&lambda, pings("f", 90)).await;
    let each = (bytes.load(Ordering::SeqCst) - before) / 90;
    assert!(each < 600, "{each} bytes a ping");
}

/// Counts the bytes that are read.
struct Counting(DuplexStream, Arc<AtomicUsize>);

impl tokio::io::AsyncRead for Counting {
    fn poll_read(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
        buffer: &mut tokio::io::ReadBuf<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        let before = buffer.filled().len();
        let polled = std::pin::Pin::new(&mut self.0).poll_read(cx, buffer);
        self.1.fetch_add(buffer.filled().len() - before, Ordering::SeqCst);
        polled
    }
}

impl tokio::io::AsyncWrite for Counting {
    fn poll_write(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
        bytes: &[u8],
    ) -> std::task::Poll<std::io::Result<usize>> {
        std::pin::Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        std::pin::Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        std::pin::Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
