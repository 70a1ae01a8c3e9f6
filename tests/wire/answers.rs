//! The answers of Lambda and the network, and their interpretation. No ping is sent twice.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use base64::Engine as _;
use http::Response;
use http_body_util::Full;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use warmd::aws::connector::Dialer;
use warmd::domain::round::Answer;
use warmd::engine::ports::{Payloads, PingRound};

use crate::server::{Server, answer};
use crate::{lambda_through, one, ping, pings, round};

fn refusal(status: u16, code: Option<&str>, reason: Option<&str>, message: Option<&str>) -> Answer {
    Answer::Refused {
        status,
        code: code.map(str::to_owned),
        reason: reason.map(str::to_owned),
        message: message.map(str::to_owned),
    }
}

#[tokio::test(start_paused = true)]
async fn requests_have_lambdas_path_headers_and_body() {
    let server = Server::new(|_| async { answer(200, "null") });
    let lambda = lambda_through(server.dialer());
    let context = base64::engine::general_purpose::STANDARD.encode(r#"{"custom":{}}"#);
    let arn = "arn:aws:lambda:us-east-1:123456789012:function:nlp:live";
    let payloads = Payloads::Same { payload: b"{\"a\":1}".to_vec(), pings: 1 };
    let trace_id = Some("Root=1-0-0;Sampled=0".to_owned());
    let sent = PingRound { client_context: Some(context.clone()), payloads, trace_id, ..ping(arn) };
    one(&lambda, sent).await;

    let request = server.observed.last();
    assert_eq!(request.method(), "POST");
    assert_eq!(
        request.uri().to_string(),
        "/2015-03-31/functions/arn%3Aaws%3Alambda%3Aus-east-1%3A123456789012%3Afunction%3Anlp/invocations?Qualifier=live"
    );
    let header = |name: &str| request.headers()[name].to_str().unwrap();
    assert_eq!(header("host"), "lambda.test");
    assert_eq!(header("x-amz-invocation-type"), "RequestResponse");
    assert_eq!(header("x-amz-log-type"), "Tail");
    assert_eq!(header("x-amz-client-context"), context);
    assert!(header("authorization").contains("/us-east-1/lambda/"), "signed for the function's region");
    assert!(header("user-agent").contains("app/warmd"), "{}", header("user-agent"));
    assert_eq!(request.body().as_ref(), b"{\"a\":1}");
    assert_eq!(header("x-amzn-trace-id"), "Root=1-0-0;Sampled=0");
    assert!(!header("authorization").contains("trace-id"), "the trace header is not signed");
    assert!(!request.headers().contains_key("amz-sdk-invocation-id"));
}

/// Returns the number of different signatures among the requests of a round.
async fn signatures(sent: PingRound) -> usize {
    let server = Server::new(|_| async { answer(200, "null") });
    round(&lambda_through(server.dialer()), sent).await;
    let requests = server.observed.requests.lock().unwrap();
    let signatures: std::collections::HashSet<_> =
        requests.iter().map(|request| request.headers()["authorization"].clone()).collect();
    signatures.len()
}

#[tokio::test(start_paused = true)]
async fn a_round_is_signed_once_unless_its_payloads_differ() {
    assert_eq!(signatures(pings("f", 10)).await, 1);
    let payloads = Payloads::Each((0..10).map(|index| format!("{{\"i\":{index}}}").into_bytes()).collect());
    assert_eq!(signatures(PingRound { payloads, ..pings("f", 0) }).await, 10);
}

#[tokio::test(start_paused = true)]
async fn each_ping_carries_its_own_payload() {
    let server = Server::new(|_| async { answer(200, "null") });
    let payloads: Vec<Vec<u8>> = (0..10).map(|index| format!("{{\"i\":{index}}}").into_bytes()).collect();
    let sent = PingRound { payloads: Payloads::Each(payloads.clone()), ..pings("f", 0) };
    round(&lambda_through(server.dialer()), sent).await;
    let mut bodies: Vec<_> =
        server.observed.requests.lock().unwrap().iter().map(|request| request.body().to_vec()).collect();
    bodies.sort();
    assert_eq!(bodies, payloads);
}

#[tokio::test(start_paused = true)]
async fn a_success_keeps_body_and_headers() {
    let server = Server::new(|_| async {
        Response::builder()
            .status(200)
            .header("X-Amz-Function-Error", "Unhandled")
            .header("X-Amz-Log-Result", "UkVQT1JU")
            .header("X-Amz-Executed-Version", "7")
            .body(Full::from("{\"errorType\":\"KeyError\"}"))
            .unwrap()
    });
    let raw = one(&lambda_through(server.dialer()), ping("f")).await;
    assert_eq!(
        raw.answer,
        Answer::Responded {
            function_error: Some("Unhandled".to_owned()),
            log_result: Some("UkVQT1JU".to_owned()),
            payload: b"{\"errorType\":\"KeyError\"}".to_vec(),
            executed_version: Some("7".to_owned()),
            request_id: None,
        }
    );
}

#[tokio::test(start_paused = true)]
async fn refusals_keep_status_code_reason_and_message() {
    let cases = [
        (
            429,
            "TooManyRequestsException",
            r#"{"Reason":"ConcurrentInvocationLimitExceeded","Type":"User","message":"Rate Exceeded."}"#,
            refusal(
                429,
                Some("TooManyRequestsException"),
                Some("ConcurrentInvocationLimitExceeded"),
                Some("Rate Exceeded."),
            ),
        ),
        (
            429,
            "TooManyRequestsException",
            r#"{"Reason":"SomethingOfNextYear","message":"Later."}"#,
            refusal(429, Some("TooManyRequestsException"), Some("SomethingOfNextYear"), Some("Later.")),
        ),
        (
            403,
            "AccessDeniedException",
            r#"{"Message":"User is not authorized to perform: lambda:InvokeFunction"}"#,
            refusal(
                403,
                Some("AccessDeniedException"),
                None,
                Some("User is not authorized to perform: lambda:InvokeFunction"),
            ),
        ),
        (
            404,
            "ResourceNotFoundException",
            r#"{"Type":"User","Message":"Function not found: f"}"#,
            refusal(404, Some("ResourceNotFoundException"), None, Some("Function not found: f")),
        ),
        (
            500,
            "ServiceException:http://internal.amazon.com/coral/",
            r#"{"Message":"Internal"}"#,
            refusal(500, Some("ServiceException"), None, Some("Internal")),
        ),
        (
            418,
            "TeapotException",
            r#"{"message":"short and stout"}"#,
            refusal(418, Some("TeapotException"), None, Some("short and stout")),
        ),
        (
            502,
            "",
            "<html>\n  <b>Bad   Gateway</b></html>",
            refusal(502, None, None, Some("<html> <b>Bad Gateway</b></html>")),
        ),
        (301, "", "", refusal(301, None, None, None)),
        (202, "", "", refusal(202, None, None, None)),
    ];
    for (status, code, body, expected) in cases {
        let server = Server::new(move |_| async move {
            let mut answer = answer(status, body);
            if !code.is_empty() {
                answer.headers_mut().insert("x-amzn-errortype", code.parse().unwrap());
            }
            answer
        });
        let raw = one(&lambda_through(server.dialer()), ping("f")).await;
        assert_eq!(raw.answer, expected, "{status} {code}");
        assert_eq!(server.observed.count(), 1, "{status} {code} was sent again");
    }
}

/// Creates a dialer whose server reads the request and runs `script`. Also returns the number of connections.
fn raw_server<F, Fut>(script: F) -> (Dialer, Arc<AtomicUsize>)
where
    F: Fn(DuplexStream) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    let dials = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&dials);
    let dialer = Dialer::custom(move |_: &str, _| {
        counted.fetch_add(1, Ordering::SeqCst);
        let (near, mut far) = tokio::io::duplex(64 << 10);
        let script = script.clone();
        tokio::spawn(async move {
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n{}") {
                far.read_buf(&mut request).await.unwrap();
            }
            script(far).await;
        });
        async move { Ok(near) }
    });
    (dialer, dials)
}

#[tokio::test(start_paused = true)]
async fn a_broken_connection_is_reported_and_the_ping_is_not_repeated() {
    let cases: [(&'static [u8], &str); 4] = [
        (b"", "the connection to lambda.test:80 broke: connection closed before message completed"),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nnull",
            "the connection to lambda.test:80 broke: error reading a body from connection: end of file before message \
             length reached",
        ),
        (
            b"SSH-2.0-OpenSSH_9.9\r\n\r\n",
            "the answer of lambda.test:80 is not usable: invalid HTTP version parsed",
        ),
        (
            b"HTTP/1.1 200 OK\r\nX-Amz-Log-Result: \xff\xfe\r\nContent-Length: 4\r\n\r\nnull",
            "the answer is not usable: expected UTF-8 in the header \"x-amz-log-result\"",
        ),
    ];
    for (bytes, expected) in cases {
        let (dialer, dials) = raw_server(move |mut far| async move { far.write_all(bytes).await.unwrap() });
        let raw = one(&lambda_through(dialer), ping("f")).await;
        assert_eq!(raw.answer, Answer::Broken { message: expected.to_owned(), may_have_run: true });
        assert_eq!(dials.load(Ordering::SeqCst), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_long_answer_is_cut_and_its_connection_is_reused() {
    let server = Server::new(|_| async { answer(200, vec![b'x'; 6 << 20]) });
    let lambda = lambda_through(server.dialer());
    for _ in 0..2 {
        match one(&lambda, ping("f")).await.answer {
            Answer::Responded { payload, .. } => assert_eq!(payload.len(), 256 << 10),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(server.observed.connections(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_answer_in_pieces_is_received_when_it_is_complete() {
    let (dialer, _) = raw_server(|mut far| async move {
        far.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await.unwrap();
        for chunk in [&b"2\r\nnu\r\n"[..], b"2\r\nll\r\n", b"0\r\n\r\n"] {
            tokio::time::sleep(Duration::from_secs(1)).await;
            far.write_all(chunk).await.unwrap();
        }
        std::future::pending::<()>().await;
    });
    let raw = one(&lambda_through(dialer), ping("f")).await;
    assert!(matches!(&raw.answer, Answer::Responded { payload, .. } if payload == b"null"), "{raw:?}");
    assert_eq!(raw.received, Duration::from_secs(3));
}

/// The server sends a byte every 0.2 s forever. The ping's time limit applies to the whole answer.
#[tokio::test(start_paused = true)]
async fn an_answer_that_never_completes_ends_with_the_timeout() {
    let (dialer, _) = raw_server(|mut far| async move {
        far.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n").await.unwrap();
        while far.write_all(b" ").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    });
    let raw = one(&lambda_through(dialer), ping("f")).await;
    assert_eq!((raw.answer, raw.received), (Answer::TimedOut, Duration::from_secs(30)));
}
