//! Rounds over HTTP/2: stream limits, refused streams, and connections that end, against scripted servers.

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
use warmd::domain::round::Answer;
use warmd::engine::ports::{Lambda, Payloads, PingEnd, PingRound};

use crate::server::{Server, answer, trust};
use crate::{deliveries, freeze, lambda_through, ping, pings, responded, round, secure_lambda_through};

type Wire = Connection<TlsStream<DuplexStream>, Bytes>;
type Stream = (Request<RecvStream>, SendResponse<Bytes>);

/// The observations of the server over all connections.
#[derive(Debug, Default)]
struct Observed {
    connections: AtomicUsize,
    streams: AtomicUsize,
    /// The number of connections before the first stream.
    before: Mutex<Option<usize>>,
}

impl Observed {
    fn stream(&self) {
        self.streams.fetch_add(1, Ordering::SeqCst);
        self.before.lock().unwrap().get_or_insert(self.connections.load(Ordering::SeqCst));
    }

    fn counts(&self) -> (usize, usize) {
        (self.connections.load(Ordering::SeqCst), self.streams.load(Ordering::SeqCst))
    }
}

/// Creates a Lambda port with TLS on a server that runs `script` for each connection, with the connection's number.
fn lambda<F, Fut>(streams: u32, script: F) -> (AwsLambda, Arc<Observed>)
where
    F: Fn(usize, Wire, Arc<Observed>) -> Fut + Send + Sync + Clone + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    let trust = trust();
    let observed = Arc::new(Observed::default());
    let counted = Arc::clone(&observed);
    let dialer = Dialer::custom(move |_: &str, _| {
        let (near, far) = tokio::io::duplex(64 << 10);
        let (acceptor, script, observed) = (trust.acceptor.clone(), script.clone(), Arc::clone(&counted));
        tokio::spawn(async move {
            let Ok(stream) = acceptor.accept(far).await else { return };
            let number = observed.connections.fetch_add(1, Ordering::SeqCst);
            let handshake = Builder::new().max_concurrent_streams(streams).handshake(stream).await;
            if let Ok(connection) = handshake {
                script(number, connection, observed).await;
            }
        });
        async move { Ok(near) }
    });
    (secure_lambda_through(dialer, trust.roots), observed)
}

fn reply((_, mut stream): Stream) {
    let response = Response::builder().status(200).body(()).unwrap();
    let mut body = stream.send_response(response, false).unwrap();
    body.send_data(Bytes::from_static(b"null"), true).unwrap();
}

/// Answers every stream at once.
async fn answering(_: usize, mut wire: Wire, observed: Arc<Observed>) {
    while let Some(Ok(stream)) = wire.accept().await {
        observed.stream();
        reply(stream);
    }
}

fn all_responded(delivered: &[PingEnd]) {
    assert!(delivered.iter().all(|delivery| responded(&delivery.raw)), "{delivered:?}");
}

#[tokio::test(start_paused = true)]
async fn more_connections_are_opened_where_settings_allow_fewer_streams() {
    let (lambda, observed) = lambda(30, answering);
    let (_, raws) = round(&lambda, pings("f", 100)).await;
    assert!(raws.iter().all(responded), "{raws:?}");
    assert_eq!(observed.counts(), (4, 100), "30 + 30 + 30 + 10");
    assert_eq!(*observed.before.lock().unwrap(), Some(4), "all are ready before a byte is sent");
    // They are closed after five minutes. The next four are opened concurrently.
    sleep(Duration::from_secs(400)).await;
    let (began, raws) = round(&lambda, pings("f", 100)).await;
    assert!(raws.iter().all(responded));
    assert_eq!((observed.counts(), began.elapsed()), ((8, 200), Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn rounds_of_the_process_share_the_connections() {
    let (lambda, observed) = lambda(128, |_, mut wire: Wire, observed: Arc<Observed>| async move {
        let mut held = Vec::new();
        while let Some(Ok(stream)) = wire.accept().await {
            observed.stream();
            held.push(stream);
            // Nothing is answered before all pings of all rounds have arrived.
            if observed.streams.load(Ordering::SeqCst) == 1_000 {
                break;
            }
            if held.len() == 100 {
                break;
            }
        }
        while observed.streams.load(Ordering::SeqCst) < 1_000 {
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
    assert_eq!(observed.counts(), (10, 1_000));
}

#[tokio::test(start_paused = true)]
async fn a_refused_stream_is_sent_again_on_another_connection() {
    let (lambda, observed) = lambda(128, |number, mut wire: Wire, observed: Arc<Observed>| async move {
        let mut streams = 0;
        while let Some(Ok(mut stream)) = wire.accept().await {
            observed.stream();
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
    assert_eq!(observed.counts(), (2, 13));
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_refused_twice_fails_and_did_not_run() {
    let (lambda, observed) = lambda(128, |_, mut wire: Wire, observed: Arc<Observed>| async move {
        while let Some(Ok((_, mut stream))) = wire.accept().await {
            observed.stream();
            stream.send_reset(Reason::REFUSED_STREAM);
        }
    });
    for delivery in deliveries(&lambda, pings("f", 4)).await {
        let Answer::Broken { message, may_have_run } = &delivery.raw.answer else { panic!("{delivery:?}") };
        assert!(message.starts_with("the server refused the request twice"), "{message}");
        assert!(!may_have_run && delivery.resent);
    }
    assert_eq!(observed.counts().1, 8, "twice each");
}

#[tokio::test(start_paused = true)]
async fn any_other_reset_fails_only_its_ping() {
    for reason in [Reason::INTERNAL_ERROR, Reason::CANCEL, Reason::ENHANCE_YOUR_CALM] {
        let (lambda, observed) = lambda(128, move |_, mut wire: Wire, observed: Arc<Observed>| async move {
            while let Some(Ok(mut stream)) = wire.accept().await {
                observed.stream();
                match observed.counts().1 {
                    1 => stream.1.send_reset(reason),
                    _ => reply(stream),
                }
            }
        });
        let delivered = deliveries(&lambda, pings("f", 5)).await;
        let failed: Vec<_> = delivered.iter().filter(|delivery| !responded(&delivery.raw)).collect();
        assert_eq!((failed.len(), observed.counts()), (1, (1, 5)), "{reason}");
        assert!(matches!(failed[0].raw.answer, Answer::Broken { may_have_run: true, .. }), "{failed:?}");
    }
}

/// Encodes an HTTP/2 frame on stream 0 (RFC 9113, section 4.1).
fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &[0; 4], payload].concat()
}

/// Serves HTTP/2 frame by frame: reads the HEADERS of `streams` requests, sends GOAWAY with this last stream id, and
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
async fn only_pings_above_the_last_stream_of_a_goaway_are_sent_again() {
    // NO_ERROR, ENHANCE_YOUR_CALM, INTERNAL_ERROR: the reason does not matter.
    for reason in [0, 11, 2] {
        let trust = trust();
        let observed = Arc::new(Observed::default());
        let counted = Arc::clone(&observed);
        let dialer = Dialer::custom(move |_: &str, _| {
            let (near, far) = tokio::io::duplex(64 << 10);
            let (acceptor, observed) = (trust.acceptor.clone(), Arc::clone(&counted));
            tokio::spawn(async move {
                let stream = acceptor.accept(far).await.unwrap();
                match observed.connections.fetch_add(1, Ordering::SeqCst) {
                    // Ten requests are streams 1, 3, … 19.
                    0 => goaway(stream, 10, 5, reason).await,
                    number => {
                        answering(number, Builder::new().handshake(stream).await.unwrap(), observed).await
                    }
                }
            });
            async move { Ok(near) }
        });
        let lambda = secure_lambda_through(dialer, trust.roots);
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
        assert_eq!(observed.counts(), (2, 7));
    }
}

#[tokio::test(start_paused = true)]
async fn a_broken_connection_fails_its_pings_and_none_is_sent_again() {
    let (lambda, observed) = lambda(128, |_, mut wire: Wire, observed: Arc<Observed>| async move {
        for _ in 0..50 {
            let Some(Ok(stream)) = wire.accept().await else { return };
            observed.stream();
            if observed.counts().1 <= 20 {
                reply(stream);
            }
        }
    });
    let delivered = deliveries(&lambda, pings("f", 50)).await;
    assert_eq!(observed.counts(), (1, 50));
    for delivery in delivered.iter().filter(|delivery| !responded(&delivery.raw)) {
        let Answer::Broken { message, may_have_run: true } = &delivery.raw.answer else {
            panic!("{delivery:?}")
        };
        assert!(message.starts_with("the connection to localhost:443 broke"), "{message}");
        assert!(!delivery.resent);
    }
}

#[tokio::test(start_paused = true)]
async fn a_ping_without_an_answer_occupies_one_stream_until_its_timeout() {
    let (lambda, observed) = lambda(128, |_, mut wire: Wire, observed: Arc<Observed>| async move {
        let mut hung = Vec::new();
        while let Some(Ok(stream)) = wire.accept().await {
            observed.stream();
            match observed.counts().1 {
                1 => hung.push(stream),
                _ => reply(stream),
            }
        }
    });
    let mut first = lambda.send(PingRound { timeout: Duration::from_secs(900), ..pings("f", 3) });
    for _ in 0..2 {
        assert!(responded(&first.recv().await.unwrap().raw));
    }
    let (_, raws) = round(&lambda, pings("g", 99)).await;
    assert!(raws.iter().all(responded));
    assert_eq!(observed.counts(), (1, 102), "the other 99 streams serve other rounds");
    let hung = first.recv().await.unwrap().raw;
    assert_eq!((hung.answer, hung.received), (Answer::TimedOut, Duration::from_secs(900)));
    let (_, raws) = round(&lambda, pings("g", 100)).await;
    assert!(raws.iter().all(responded));
    assert_eq!(observed.counts().0, 1, "all its streams are free again");
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_that_answers_a_ping_frame_is_reused() {
    let (lambda, observed) = lambda(128, answering);
    for (minute, connections) in [(0, 1), (1, 1), (2, 1), (3, 1)] {
        let (_, raws) = round(&lambda, pings("f", 50)).await;
        assert!(raws.iter().all(responded));
        assert_eq!(observed.counts().0, connections, "minute {minute}");
        freeze(Duration::from_secs(60));
    }
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_that_is_silent_is_replaced_within_a_second() {
    let (lambda, observed) = lambda(128, |number, mut wire: Wire, observed: Arc<Observed>| async move {
        for _ in 0..20 {
            let Some(Ok(stream)) = wire.accept().await else { return };
            observed.stream();
            reply(stream);
        }
        if number > 0 {
            return answering(number, wire, observed).await;
        }
        // Long enough to send the answers. After that nothing is read, like behind a NAT gateway that dropped the
        // connection.
        drop(tokio::time::timeout(Duration::from_millis(100), wire.accept()).await);
        std::future::pending::<()>().await;
    });
    let (_, raws) = round(&lambda, pings("f", 20)).await;
    assert!(raws.iter().all(responded));
    sleep(Duration::from_secs(60)).await;
    // Several rounds find the same connection, and all wait for the health check.
    let began = Instant::now();
    let rounds: Vec<_> = (0..4).map(|_| lambda.send(pings("f", 5))).collect();
    for mut ends in rounds {
        while let Some(end) = ends.recv().await {
            assert!(responded(&end.raw), "{end:?}");
        }
    }
    assert_eq!(began.elapsed(), Duration::from_secs(1));
    assert_eq!(observed.counts(), (2, 40));
}

/// Without the rule that a second search ignores open connections, a small round would try the dead ones in turn.
#[tokio::test(start_paused = true)]
async fn a_small_round_opens_a_connection_when_all_idle_ones_are_dead() {
    let (lambda, observed) = lambda(128, |number, mut wire: Wire, observed: Arc<Observed>| async move {
        if number >= 10 {
            return answering(number, wire, observed).await;
        }
        for _ in 0..100 {
            let Some(Ok(stream)) = wire.accept().await else { return };
            observed.stream();
            reply(stream);
        }
        drop(tokio::time::timeout(Duration::from_millis(100), wire.accept()).await);
        std::future::pending::<()>().await;
    });
    let (_, raws) = round(&lambda, pings("f", 1_000)).await;
    assert!(raws.iter().all(responded));
    assert_eq!(observed.counts(), (10, 1_000));
    sleep(Duration::from_secs(60)).await;
    let (began, raws) = round(&lambda, pings("f", 5)).await;
    assert!(raws.iter().all(responded), "{raws:?}");
    assert_eq!((began.elapsed(), observed.counts()), (Duration::from_secs(1), (11, 1_005)));
}

#[tokio::test(start_paused = true)]
async fn connections_after_a_goaway_get_no_more_pings() {
    let (lambda, observed) = lambda(128, |number, mut wire: Wire, observed: Arc<Observed>| async move {
        if number >= 5 {
            return answering(number, wire, observed).await;
        }
        let mut hung = Vec::new();
        while hung.len() < 100 {
            let Some(Ok(stream)) = wire.accept().await else { return };
            observed.stream();
            hung.push(stream);
        }
        // Sends GOAWAY, refuses no stream, and still answers PING frames.
        wire.graceful_shutdown();
        drop(tokio::time::timeout(Duration::from_secs(60), wire.accept()).await);
        hung.drain(..).for_each(reply);
        drop(wire.accept().await);
    });
    let slow = lambda.send(pings("slow", 500));
    sleep(Duration::from_secs(5)).await;
    let delivered = deliveries(&lambda, pings("f", 20)).await;
    all_responded(&delivered);
    assert!(delivered.iter().all(|end| !end.resent), "none was sent on a closing connection");
    assert_eq!(observed.counts(), (6, 520));
    drop(slow);
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_round_sends_nothing() {
    let server = Server::new(|_| async { answer(200, "null") });
    let dialer = server.dialer_after(|_| async {
        sleep(Duration::from_secs(2)).await;
        Ok(())
    });
    let lambda = lambda_through(dialer);
    drop(lambda.send(pings("f", 5)));
    sleep(Duration::from_secs(60)).await;
    assert_eq!((server.observed.connections(), server.observed.count()), (5, 0));
}

#[tokio::test(start_paused = true)]
async fn a_server_without_settings_fails_the_connection() {
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
    let lambda = secure_lambda_through(dialer, trust.roots);
    let (began, raws) = round(&lambda, pings("f", 3)).await;
    for raw in raws {
        assert_eq!(
            raw.answer,
            Answer::Broken {
                message: "connect to localhost:443: no connection within 10s".to_owned(),
                may_have_run: false
            }
        );
    }
    assert_eq!(began.elapsed(), Duration::from_secs(20), "one retry");
}

#[tokio::test(start_paused = true)]
async fn each_ping_has_a_connection_where_http2_is_not_offered() {
    let trust = trust();
    let mut config = rustls_config(&trust.acceptor);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let server = Server::new(|_| async { answer(200, "null") });
    let lambda = secure_lambda_through(server.secure_dialer(acceptor), trust.roots);
    for _ in 0..2 {
        let (_, raws) = round(&lambda, pings("f", 150)).await;
        assert!(raws.iter().all(responded), "{raws:?}");
    }
    assert_eq!((server.observed.count(), server.observed.http2.load(Ordering::SeqCst)), (300, 0));
    assert_eq!(server.observed.connections(), 150, "the connections opened for HTTP/2 are used too");
}

fn rustls_config(acceptor: &tokio_rustls::TlsAcceptor) -> tokio_rustls::rustls::ServerConfig {
    tokio_rustls::rustls::ServerConfig::clone(acceptor.config())
}

/// Payloads above the flow-control window of 64 KB.
#[tokio::test(start_paused = true)]
async fn large_payloads_arrive_whole_and_after_their_time_of_sending() {
    const SIZE: usize = 100_000;
    let arrived = Arc::new(Mutex::new(Vec::new()));
    let recorded = Arc::clone(&arrived);
    let (lambda, _) = lambda(128, move |_, mut wire: Wire, observed: Arc<Observed>| {
        let recorded = Arc::clone(&recorded);
        async move {
            while let Some(Ok((request, mut stream))) = wire.accept().await {
                observed.stream();
                let recorded = Arc::clone(&recorded);
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
                    recorded.lock().unwrap().push((began, Instant::now(), size));
                    stream.send_response(Response::new(()), true).unwrap();
                });
            }
        }
    });
    let payload = vec![b' '; SIZE];
    let sent = PingRound { payloads: Payloads::Same { payload, pings: 20 }, ..pings("f", 0) };
    let (began, raws) = round(&lambda, sent).await;
    let arrived = arrived.lock().unwrap().clone();
    assert_eq!(arrived.len(), 20);
    assert!(arrived.iter().all(|(_, _, size)| *size == SIZE));
    let last = arrived.iter().map(|(_, whole, _)| *whole).max().unwrap();
    assert!(last - began > Duration::from_millis(10), "the window delayed some of them");
    for raw in &raws {
        assert!(responded(raw));
        assert_eq!(raw.sent, Duration::ZERO, "the instant before the first byte of the batch");
    }
    let latest = raws.iter().map(|raw| raw.received).max().unwrap();
    assert!(began + latest >= last, "no answer is received before it was sent");
}

/// A session token is sent once on each connection: HTTP/2 compresses repeated headers.
#[tokio::test(start_paused = true)]
async fn repeated_headers_are_compressed() {
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
