//! `limits.prepare: dry-run`: new connections are made ready with a request that runs nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use tokio::time::{Instant, sleep};
use warmd::aws::AwsLambda;
use warmd::aws::connector::Dialer;
use warmd::domain::fleet::Prepare;
use warmd::domain::round::{Answer, Exchange};
use warmd::engine::ports::Ping;

use crate::server::{Server, answer};
use crate::{PATIENCE, lambda_through, ping, round};

const N: usize = 20;
/// What a request and its answer take together.
const TRIP: Duration = Duration::from_millis(50);

fn is_dry(request: &Request<Bytes>) -> bool {
    request.headers()["x-amz-invocation-type"] == "DryRun"
}

/// A server that answers a DryRun with `status`, and pings as Lambda does.
fn server(status: u16, error: Option<&'static str>) -> Server {
    Server::new(move |request| async move {
        sleep(TRIP).await;
        if !is_dry(&request) {
            return answer(200, "null");
        }
        let mut refused = answer(status, "");
        if let Some(error) = error {
            refused.headers_mut().insert("x-amzn-errortype", http::HeaderValue::from_static(error));
        }
        refused
    })
}

fn pings() -> Vec<Ping> {
    vec![Ping { prepare: Prepare::DryRun, payload: b"{\"ping\":1}".to_vec(), ..ping("f:live") }; N]
}

async fn all_answered(lambda: &AwsLambda) -> Vec<Exchange> {
    let (_, exchanges) = round(lambda, pings(), PATIENCE).await;
    assert!(
        exchanges.iter().all(|exchange| matches!(exchange.answer, Answer::Responded { .. })),
        "{exchanges:?}"
    );
    exchanges
}

/// How many requests were DryRuns, of how many.
fn dry_of_all(server: &Server) -> (usize, usize) {
    let requests = server.seen.requests.lock().unwrap();
    (requests.iter().filter(|request| is_dry(request)).count(), requests.len())
}

#[tokio::test(start_paused = true)]
async fn each_new_connection_carries_one_before_the_release_and_then_its_ping() {
    let server = server(204, None);
    let lambda = lambda_through(server.dialer());
    let began = Instant::now();
    let (opened, exchanges) = round(&lambda, pings(), PATIENCE).await;
    assert!(
        exchanges.iter().all(|exchange| exchange.sent.is_zero() && exchange.received == TRIP),
        "{exchanges:?}"
    );
    assert_eq!(opened - began, 2 * TRIP, "the first alone, then all the others");
    assert_eq!((dry_of_all(&server), server.seen.connections()), ((N, 2 * N), N));
    let requests = server.seen.requests.lock().unwrap().clone();
    assert!(requests[..N].iter().all(is_dry), "all before the first ping");
    let (dry, sent) = (&requests[0], &requests[N]);
    assert_eq!(
        (dry.uri(), dry.body()),
        (sent.uri(), sent.body()),
        "whoever runs it after all has a ping to answer"
    );

    all_answered(&lambda).await;
    assert_eq!(
        (dry_of_all(&server), server.seen.connections()),
        ((N, 3 * N), N),
        "open connections need none"
    );
    sleep(Duration::from_secs(60)).await;
    all_answered(&lambda).await;
    assert_eq!((dry_of_all(&server), server.seen.connections()), ((2 * N, 5 * N), 2 * N), "new ones do");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_runs_it_is_asked_once_in_a_while() {
    for (status, error, asked) in [
        (200, None, 1),
        (501, None, 1),
        (403, None, 1),
        (403, Some("AccessDeniedException"), N),
        (400, Some("InvalidParameterValueException"), N),
        (429, Some("TooManyRequestsException"), N),
        (502, None, N),
    ] {
        let server = server(status, error);
        let lambda = lambda_through(server.dialer());
        all_answered(&lambda).await;
        assert_eq!(dry_of_all(&server), (asked, asked + N), "{status}");
        sleep(Duration::from_secs(14 * 60)).await;
        all_answered(&lambda).await;
        sleep(Duration::from_secs(2 * 60)).await;
        let before = dry_of_all(&server).0;
        assert_eq!(before, if asked == 1 { 1 } else { 2 * N }, "{status}: remembered");
        all_answered(&lambda).await;
        assert_eq!(dry_of_all(&server).0, before + asked, "{status}: but not for ever");
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_is_not_answered_costs_a_connection_and_no_ping() {
    let server = Server::new(|request| async move {
        if is_dry(&request) {
            std::future::pending::<()>().await;
        }
        answer(200, "null")
    });
    let lambda = lambda_through(server.dialer());
    let began = Instant::now();
    let (opened, exchanges) = round(&lambda, pings(), PATIENCE).await;
    assert!(exchanges.iter().all(|exchange| exchange.sent.is_zero()), "{exchanges:?}");
    assert!(opened - began < Duration::from_secs(2), "{:?}", opened - began);
    assert_eq!((dry_of_all(&server), server.seen.connections()), ((1, 1 + N), 1 + N));
}

#[tokio::test(start_paused = true)]
async fn one_that_is_lost_says_nothing_of_a_server_that_took_others() {
    let lost = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&lost);
    let server = Server::new(move |request| {
        let counted = Arc::clone(&counted);
        async move {
            if is_dry(&request) {
                if counted.fetch_add(1, Ordering::SeqCst) == 5 {
                    std::future::pending::<()>().await;
                }
                return answer(204, "");
            }
            answer(200, "null")
        }
    });
    let lambda = lambda_through(server.dialer());
    all_answered(&lambda).await;
    assert_eq!((dry_of_all(&server).0, server.seen.connections()), (N, N + 1));
    sleep(Duration::from_secs(60)).await;
    all_answered(&lambda).await;
    assert_eq!(dry_of_all(&server).0, 2 * N);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_closed_with_the_answer_is_replaced_before_the_release() {
    let server = Server::new(move |request| async move {
        if !is_dry(&request) {
            return answer(200, "null");
        }
        let mut last = answer(204, "");
        last.headers_mut().insert("connection", http::HeaderValue::from_static("close"));
        last
    });
    let dialed = server.clone();
    let dialer = Dialer::custom(move |_: &str, _| {
        let (near, far) = tokio::io::duplex(64 << 10);
        tokio::spawn(dialed.clone().connection(far));
        async move {
            sleep(TRIP).await;
            Ok(near)
        }
    });
    let lambda = lambda_through(dialer);
    let (_, exchanges) = round(&lambda, pings(), PATIENCE).await;
    assert!(exchanges.iter().all(|exchange| exchange.sent.is_zero()), "{exchanges:?}");
    assert_eq!(server.seen.connections(), 2 * N);
}

#[tokio::test(start_paused = true)]
async fn without_it_nothing_but_pings_is_sent() {
    let server = server(204, None);
    let lambda = lambda_through(server.dialer());
    let plain = pings().into_iter().map(|ping| Ping { prepare: Prepare::Off, ..ping }).collect();
    round(&lambda, plain, PATIENCE).await;
    assert_eq!(dry_of_all(&server), (0, N));
}
