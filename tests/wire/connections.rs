//! One connection per ping, all ready before the release, none used when in doubt.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use warmd::aws::connector::{Connector, Dialer, Proxies, Roots};
use warmd::aws::{AwsLambda, Clients, fd_limit};
use warmd::domain::fleet::{HttpVersions, WireSettings};
use warmd::domain::round::{Answer, RawInvocation};
use warmd::engine::ports::PingRound;

use crate::server::{Server, answer, trust};
use crate::{freeze, lambda_through, one, ping, pings, round};

fn responded(exchange: &RawInvocation) -> bool {
    matches!(exchange.answer, Answer::Responded { .. })
}

/// A server that answers only when `n` requests are there together.
fn together(n: usize) -> Server {
    let seen = Arc::<std::sync::OnceLock<Arc<crate::server::Seen>>>::default();
    let server = Server::new({
        let seen = Arc::clone(&seen);
        move |_| {
            let seen = Arc::clone(seen.get().unwrap());
            async move {
                seen.all_in_flight(n).await;
                answer(200, "null")
            }
        }
    });
    seen.set(Arc::clone(&server.seen)).ok().unwrap();
    server
}

/// A server with TLS on loopback, and Lambda there.
async fn over_tls(server: &Server) -> AwsLambda {
    let trust = trust();
    let address = server.listen(Some(trust.acceptor)).await;
    let connector = Connector::new(Dialer::Tcp, Roots::Given(trust.roots), Proxies::Direct);
    let endpoint = format!("https://127.0.0.1:{}", address.port());
    AwsLambda::new(Arc::new(Clients::local_through(&endpoint, connector)))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_pings_are_in_flight_together_on_ten_connections() {
    const N: usize = 1_000;
    let server = together(N);
    let lambda = over_tls(&server).await;
    let (_, exchanges) = round(&lambda, pings("f", N as u32)).await;
    assert_eq!(exchanges.iter().filter(|exchange| responded(exchange)).count(), N);
    assert_eq!(server.seen.most_in_flight(), N);
    assert_eq!((server.seen.count(), server.seen.http2.load(Ordering::SeqCst)), (N, N));
    assert_eq!(server.seen.connections_before.get(), Some(&10), "all connected before the first was sent");
    round(&lambda, pings("f", N as u32)).await;
    assert_eq!(server.seen.connections(), 10, "the next round uses them again");
}

#[tokio::test(flavor = "multi_thread")]
async fn over_http1_each_of_a_thousand_pings_has_a_connection() {
    const N: usize = 1_000;
    fd_limit::raise().unwrap();
    assert!(
        fd_limit::capacity(fd_limit::Demand::PerPing(2)) >= N,
        "this test needs {} descriptors",
        2 * N + 64
    );
    let server = together(N);
    let lambda = over_tls(&server).await;
    let wire = WireSettings { http: HttpVersions::Http1, ..WireSettings::default() };
    let (_, exchanges) = round(&lambda, PingRound { wire, ..pings("f", N as u32) }).await;
    assert_eq!(exchanges.iter().filter(|exchange| responded(exchange)).count(), N);
    assert_eq!(server.seen.most_in_flight(), N);
    assert_eq!((server.seen.count(), server.seen.http2.load(Ordering::SeqCst)), (N, 0));
    assert_eq!(server.seen.connections_before.get(), Some(&N), "all connected before the first was sent");
}

#[tokio::test(start_paused = true)]
async fn tls_sessions_are_resumed_by_every_http1_ping_of_the_next_round() {
    const N: usize = 40;
    let trust = trust();
    let server = Server::new(|_| async { answer(200, "null") });
    let connector =
        Connector::new(server.secure_dialer(trust.acceptor), Roots::Given(trust.roots), Proxies::Direct);
    let lambda = AwsLambda::new(Arc::new(Clients::local_through("https://localhost", connector)));
    let wire = WireSettings { http: HttpVersions::Http1, ..WireSettings::default() };
    for _ in 0..2 {
        let (_, exchanges) = round(&lambda, PingRound { wire, ..pings("f", N as u32) }).await;
        assert!(exchanges.iter().all(responded), "{exchanges:?}");
        tokio::time::sleep(Duration::from_secs(60)).await;
    }
    assert_eq!(server.seen.connections(), 2 * N);
    assert_eq!(server.seen.resumed.load(Ordering::SeqCst), N);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_written_before_the_release_and_times_count_from_it() {
    let server = Server::new(|_| async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        answer(200, "null")
    });
    let seen = Arc::clone(&server.seen);
    // The second of three connections takes a second to open.
    let dials = AtomicUsize::new(0);
    let slow = server.clone();
    let dialer = Dialer::custom(move |_: &str, _| {
        let (near, far) = tokio::io::duplex(64 << 10);
        tokio::spawn(slow.clone().connection(far));
        let wait = if dials.fetch_add(1, Ordering::SeqCst) == 1 { 1_000 } else { 0 };
        async move {
            tokio::time::sleep(Duration::from_millis(wait)).await;
            Ok(near)
        }
    });
    let lambda = lambda_through(dialer);
    let watcher = tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(900)).await;
        (seen.connections(), seen.count())
    });
    let (began, exchanges) = round(&lambda, pings("f", 3)).await;
    assert_eq!(watcher.await.unwrap(), (3, 0), "connected, and nothing sent");
    assert_eq!(began.elapsed(), Duration::from_millis(1_100), "released after one second");
    for exchange in exchanges {
        assert_eq!(exchange.sent, Duration::ZERO);
        assert_eq!(exchange.received, Duration::from_millis(100));
    }
}

#[tokio::test(start_paused = true)]
async fn one_slow_connection_delays_no_other_beyond_the_patience() {
    let server = Server::new(|_| async { answer(200, "null") });
    let dials = AtomicUsize::new(0);
    let slow = server.clone();
    let dialer = Dialer::custom(move |_: &str, _| {
        let (near, far) = tokio::io::duplex(64 << 10);
        tokio::spawn(slow.clone().connection(far));
        // One connection takes three seconds and fails, and three more until it stands.
        let wait = if dials.fetch_add(1, Ordering::SeqCst) == 1 { 3_000 } else { 0 };
        let retried = dials.load(Ordering::SeqCst) == 4;
        async move {
            tokio::time::sleep(Duration::from_millis(if retried { 3_000 } else { wait })).await;
            if wait > 0 { Err(std::io::ErrorKind::ConnectionReset.into()) } else { Ok(near) }
        }
    });
    let lambda = lambda_through(dialer);
    let (_, exchanges) = round(&lambda, pings("f", 3)).await;
    let mut sent: Vec<_> = exchanges.iter().map(|exchange| exchange.sent.as_millis()).collect();
    sent.sort();
    assert_eq!(sent, [0, 0, 1_000], "released after five seconds, the late one as soon as it can be");
}

#[tokio::test(start_paused = true)]
async fn a_ping_that_cannot_connect_gives_its_place_up() {
    let server = Server::new(|_| async { answer(200, "null") });
    let dialled = Arc::new(AtomicUsize::new(0));
    let dials = Arc::clone(&dialled);
    let other = server.clone();
    let dialer = Dialer::custom(move |_: &str, _| {
        let (near, far) = tokio::io::duplex(64 << 10);
        tokio::spawn(other.clone().connection(far));
        let dial = dials.fetch_add(1, Ordering::SeqCst);
        async move {
            match dial {
                0 | 1 => Err(std::io::Error::from(std::io::ErrorKind::ConnectionRefused)),
                2 | 4 => std::future::pending().await,
                _ => Ok(near),
            }
        }
    });
    let lambda = lambda_through(dialer);
    let (_, mut exchanges) = round(&lambda, pings("f", 3)).await;
    exchanges.sort_by_key(responded);
    assert!(responded(&exchanges[2]));
    let mut messages: Vec<_> = exchanges[..2]
        .iter()
        .map(|exchange| match &exchange.answer {
            Answer::Broken { message, .. } => message.as_str(),
            other => panic!("{other:?}"),
        })
        .collect();
    messages.sort();
    assert_eq!(
        messages,
        [
            "connect to lambda.test:80: connection refused",
            "connect to lambda.test:80: no connection within 3.1s"
        ]
    );
    assert_eq!(server.seen.count(), 1);
    assert_eq!(dialled.load(Ordering::SeqCst), 5, "a failed opening is tried once more");
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_the_server_closed_at_the_gate_is_replaced() {
    let mut server = Server::new(|_| async { answer(200, "null") });
    server.keep = Some(Duration::from_millis(300));
    let dials = AtomicUsize::new(0);
    let closing = server.clone();
    let dialer = Dialer::custom(move |_: &str, _| {
        let (near, far) = tokio::io::duplex(64 << 10);
        tokio::spawn(closing.clone().connection(far));
        let wait = if dials.fetch_add(1, Ordering::SeqCst) == 1 { 1_000 } else { 0 };
        async move {
            tokio::time::sleep(Duration::from_millis(wait)).await;
            Ok(near)
        }
    });
    let lambda = lambda_through(dialer);
    let (_, exchanges) = round(&lambda, pings("f", 2)).await;
    assert!(exchanges.iter().all(responded), "{exchanges:?}");
    assert_eq!(server.seen.count(), 2);
    assert!(server.seen.connections() > 2);
}

#[tokio::test(start_paused = true)]
async fn a_connection_is_used_again_unless_it_was_idle_for_more_than_five_seconds() {
    let server = Server::new(|_| async { answer(200, "null") });
    let lambda = lambda_through(server.dialer());
    for (pause, connections) in [(0, 1), (4_900, 1), (5_100, 2), (1_000, 2)] {
        tokio::time::sleep(Duration::from_millis(pause)).await;
        assert!(responded(&one(&lambda, ping("f")).await));
        assert_eq!(server.seen.connections(), connections, "after {pause} ms");
    }
    assert_eq!(server.seen.count(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_was_idle_while_the_process_was_frozen_is_not_used_again() {
    let server = Server::new(|_| async { answer(200, "null") });
    let lambda = lambda_through(server.dialer());
    let (_, exchanges) = round(&lambda, pings("f", 3)).await;
    assert!(exchanges.iter().all(responded));
    for (frozen, connections) in [(4_900, 3), (5_100, 4), (55_000, 5)] {
        freeze(Duration::from_millis(frozen));
        assert!(responded(&one(&lambda, ping("f")).await));
        assert_eq!(server.seen.connections(), connections, "after {frozen} ms");
    }
    assert_eq!(server.seen.count(), 6);
}

#[tokio::test(start_paused = true)]
async fn a_connection_is_not_used_again_after_a_server_error() {
    let server = Server::new(|_| async { answer(503, "{}") });
    let lambda = lambda_through(server.dialer());
    for connections in 1..=2 {
        let exchange = one(&lambda, ping("f")).await;
        assert!(matches!(exchange.answer, Answer::Refused { status: 503, .. }), "{exchange:?}");
        assert_eq!(server.seen.connections(), connections);
    }
}

#[tokio::test(start_paused = true)]
async fn the_ping_s_timeout_runs_from_the_release() {
    let server = Server::new(|_| async { std::future::pending().await });
    let dialer = server.dialer();
    let lambda = lambda_through(dialer);
    let slow = warmd::engine::ports::PingRound { timeout: Duration::from_secs(903), ..ping("f") };
    let exchange = one(&lambda, slow).await;
    assert_eq!(exchange.answer, Answer::TimedOut);
    assert_eq!(exchange.sent, Duration::ZERO);
    assert_eq!(exchange.received, Duration::from_secs(903));
    assert_eq!(server.seen.count(), 1, "and it is not sent again");
}
