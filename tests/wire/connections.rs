//! The connections of pings: all are ready before the release, and old ones are not reused.

use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::time::sleep;
use warmd::aws::connector::{Connector, Dialer, Proxies, Roots};
use warmd::aws::{AwsLambda, Clients, fd_limit};
use warmd::domain::fleet::{HttpVersions, WireSettings};
use warmd::domain::round::Answer;
use warmd::engine::ports::PingRound;

use crate::server::{Server, answer, trust};
use crate::{freeze, lambda_through, one, ping, pings, responded, round, secure_lambda_through};

/// Creates a server that answers once `n` requests are in flight together.
fn together(n: usize) -> Server {
    let observed = Arc::<std::sync::OnceLock<Arc<crate::server::Observed>>>::default();
    let server = Server::new({
        let observed = Arc::clone(&observed);
        move |_| {
            let observed = Arc::clone(observed.get().unwrap());
            async move {
                observed.all_in_flight(n).await;
                answer(200, "null")
            }
        }
    });
    observed.set(Arc::clone(&server.observed)).ok().unwrap();
    server
}

/// Starts a server with TLS on loopback and creates a Lambda port for it.
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
    let (_, raws) = round(&lambda, pings("f", N as u32)).await;
    assert_eq!(raws.iter().filter(|raw| responded(raw)).count(), N);
    assert_eq!(server.observed.most_in_flight(), N);
    assert_eq!((server.observed.count(), server.observed.http2.load(Ordering::SeqCst)), (N, N));
    assert_eq!(
        server.observed.connections_before.get(),
        Some(&10),
        "all connected before the first was sent"
    );
    round(&lambda, pings("f", N as u32)).await;
    assert_eq!(server.observed.connections(), 10, "the next round reuses them");
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
    let (_, raws) = round(&lambda, PingRound { wire, ..pings("f", N as u32) }).await;
    assert_eq!(raws.iter().filter(|raw| responded(raw)).count(), N);
    assert_eq!(server.observed.most_in_flight(), N);
    assert_eq!((server.observed.count(), server.observed.http2.load(Ordering::SeqCst)), (N, 0));
    assert_eq!(server.observed.connections_before.get(), Some(&N), "all connected before the first was sent");
}

#[tokio::test(start_paused = true)]
async fn tls_sessions_are_resumed_by_every_http1_ping_of_the_next_round() {
    const N: usize = 40;
    let trust = trust();
    let server = Server::new(|_| async { answer(200, "null") });
    let lambda = secure_lambda_through(server.secure_dialer(trust.acceptor), trust.roots);
    let wire = WireSettings { http: HttpVersions::Http1, ..WireSettings::default() };
    for _ in 0..2 {
        let (_, raws) = round(&lambda, PingRound { wire, ..pings("f", N as u32) }).await;
        assert!(raws.iter().all(responded), "{raws:?}");
        sleep(Duration::from_secs(60)).await;
    }
    assert_eq!(server.observed.connections(), 2 * N);
    assert_eq!(server.observed.resumed.load(Ordering::SeqCst), N);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_written_before_the_release_and_times_count_from_it() {
    let server = Server::new(|_| async {
        sleep(Duration::from_millis(100)).await;
        answer(200, "null")
    });
    let observed = Arc::clone(&server.observed);
    // The second of three connections takes a second to open.
    let dialer = server.dialer_after(|dial| async move {
        sleep(Duration::from_secs(u64::from(dial == 1))).await;
        Ok(())
    });
    let lambda = lambda_through(dialer);
    let watcher = tokio::spawn(async move {
        sleep(Duration::from_millis(900)).await;
        (observed.connections(), observed.count())
    });
    let (began, raws) = round(&lambda, pings("f", 3)).await;
    assert_eq!(watcher.await.unwrap(), (3, 0), "connected, and nothing sent");
    assert_eq!(began.elapsed(), Duration::from_millis(1_100), "released after one second");
    for raw in raws {
        assert_eq!(raw.sent, Duration::ZERO);
        assert_eq!(raw.received, Duration::from_millis(100));
    }
}

#[tokio::test(start_paused = true)]
async fn one_slow_connection_delays_the_others_by_five_seconds_at_most() {
    let server = Server::new(|_| async { answer(200, "null") });
    // One connection fails after three seconds, and its retry takes three more.
    let dialer = server.dialer_after(|dial| async move {
        if dial == 1 || dial == 3 {
            sleep(Duration::from_secs(3)).await;
        }
        if dial == 1 { Err(ErrorKind::ConnectionReset.into()) } else { Ok(()) }
    });
    let lambda = lambda_through(dialer);
    let (_, raws) = round(&lambda, pings("f", 3)).await;
    let mut sent: Vec<_> = raws.iter().map(|raw| raw.sent.as_millis()).collect();
    sent.sort();
    assert_eq!(sent, [0, 0, 1_000], "released after five seconds; the late one when its connection is ready");
}

#[tokio::test(start_paused = true)]
async fn a_ping_that_cannot_connect_does_not_delay_the_others() {
    let server = Server::new(|_| async { answer(200, "null") });
    let dials = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&dials);
    let dialer = server.dialer_after(move |dial| {
        counted.fetch_add(1, Ordering::SeqCst);
        async move {
            match dial {
                0 | 1 => Err(ErrorKind::ConnectionRefused.into()),
                2 | 4 => std::future::pending().await,
                _ => Ok(()),
            }
        }
    });
    let lambda = lambda_through(dialer);
    let (_, mut raws) = round(&lambda, pings("f", 3)).await;
    raws.sort_by_key(responded);
    assert!(responded(&raws[2]));
    let mut messages: Vec<_> = raws[..2]
        .iter()
        .map(|raw| match &raw.answer {
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
    assert_eq!(server.observed.count(), 1);
    assert_eq!(dials.load(Ordering::SeqCst), 5, "a failed opening is retried once");
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_the_server_closed_before_the_release_is_replaced() {
    let mut server = Server::new(|_| async { answer(200, "null") });
    server.keep = Some(Duration::from_millis(300));
    let dialer = server.dialer_after(|dial| async move {
        sleep(Duration::from_secs(u64::from(dial == 1))).await;
        Ok(())
    });
    let lambda = lambda_through(dialer);
    let (_, raws) = round(&lambda, pings("f", 2)).await;
    assert!(raws.iter().all(responded), "{raws:?}");
    assert_eq!(server.observed.count(), 2);
    assert!(server.observed.connections() > 2);
}

#[tokio::test(start_paused = true)]
async fn a_connection_is_reused_unless_it_was_idle_for_more_than_five_seconds() {
    let server = Server::new(|_| async { answer(200, "null") });
    let lambda = lambda_through(server.dialer());
    for (pause, connections) in [(0, 1), (4_900, 1), (5_100, 2), (1_000, 2)] {
        sleep(Duration::from_millis(pause)).await;
        assert!(responded(&one(&lambda, ping("f")).await));
        assert_eq!(server.observed.connections(), connections, "after {pause} ms");
    }
    assert_eq!(server.observed.count(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_was_idle_while_the_process_was_frozen_is_not_reused() {
    let server = Server::new(|_| async { answer(200, "null") });
    let lambda = lambda_through(server.dialer());
    let (_, raws) = round(&lambda, pings("f", 3)).await;
    assert!(raws.iter().all(responded));
    for (frozen, connections) in [(4_900, 3), (5_100, 4), (55_000, 5)] {
        freeze(Duration::from_millis(frozen));
        assert!(responded(&one(&lambda, ping("f")).await));
        assert_eq!(server.observed.connections(), connections, "after {frozen} ms");
    }
    assert_eq!(server.observed.count(), 6);
}

#[tokio::test(start_paused = true)]
async fn a_connection_is_not_reused_after_a_server_error() {
    let server = Server::new(|_| async { answer(503, "{}") });
    let lambda = lambda_through(server.dialer());
    for connections in 1..=2 {
        let raw = one(&lambda, ping("f")).await;
        assert!(matches!(raw.answer, Answer::Refused { status: 503, .. }), "{raw:?}");
        assert_eq!(server.observed.connections(), connections);
    }
}

#[tokio::test(start_paused = true)]
async fn the_timeout_of_a_ping_begins_with_the_release() {
    let server = Server::new(|_| async { std::future::pending().await });
    let lambda = lambda_through(server.dialer());
    let slow = PingRound { timeout: Duration::from_secs(903), ..ping("f") };
    let raw = one(&lambda, slow).await;
    assert_eq!(raw.answer, Answer::TimedOut);
    assert_eq!(raw.sent, Duration::ZERO);
    assert_eq!(raw.received, Duration::from_secs(903));
    assert_eq!(server.observed.count(), 1, "it is not sent again");
}
