//! HTTPS proxies: all clients use CONNECT, and a refusal is reported.

use std::process::Command;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use warmd::aws::connector::{Connector, Dialer, Proxies, Roots};
use warmd::aws::{AwsLambda, Clients};
use warmd::domain::round::Answer;
use warmd::engine::ports::ObjectStore;

use crate::server::{Server, answer, trust};
use crate::{pings, round};

/// Starts a proxy on loopback that answers CONNECT with `refusal`, or tunnels every host to loopback. Returns its
/// address and its requests.
async fn proxy(refusal: Option<&'static str>) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let requests = Arc::new(Mutex::new(Vec::new()));
    let recorded = Arc::clone(&requests);
    tokio::spawn(async move {
        while let Ok((mut near, _)) = listener.accept().await {
            let recorded = Arc::clone(&recorded);
            tokio::spawn(async move {
                let mut request = Vec::new();
                while !request.ends_with(b"\r\n\r\n") {
                    if near.read_buf(&mut request).await.unwrap_or(0) == 0 {
                        return;
                    }
                }
                let request = String::from_utf8(request).unwrap();
                let port = request.split_whitespace().nth(1).unwrap().rsplit(':').next().unwrap().to_owned();
                recorded.lock().unwrap().push(request);
                if let Some(refusal) = refusal {
                    near.write_all(refusal.as_bytes()).await.unwrap();
                    return;
                }
                let mut far = TcpStream::connect(format!("127.0.0.1:{port}")).await.unwrap();
                near.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await.unwrap();
                drop(tokio::io::copy_bidirectional(&mut near, &mut far).await);
            });
        }
    });
    (address, requests)
}

#[tokio::test]
async fn pings_and_other_calls_go_through_the_proxy_with_http2_inside() {
    let trust = trust();
    let server = Server::new(|_| async { answer(200, "null") });
    let port = server.listen(Some(trust.acceptor)).await.port();
    let (address, requests) = proxy(None).await;
    let proxies = Proxies::new(&format!("http://ops:secret@{address}"), "");
    let connector = Connector::new(Dialer::Tcp, Roots::Given(trust.roots), proxies);
    // The certificate is for this name.
    let clients = Arc::new(Clients::local_through(&format!("https://localhost:{port}"), connector));
    let (_, raws) = round(&AwsLambda::new(Arc::clone(&clients)), pings("f", 150)).await;
    assert!(raws.iter().all(|raw| matches!(raw.answer, Answer::Responded { .. })));
    assert_eq!(server.observed.http2.load(Ordering::SeqCst), 150);
    assert_eq!(requests.lock().unwrap().len(), 2, "a tunnel for each connection");
    clients.bucket("models", "live").unwrap().get("x.yaml", None).await.unwrap();
    let requests = requests.lock().unwrap().clone();
    assert_eq!(requests.len(), 3, "one for S3, over HTTP/1.1");
    for request in requests {
        assert!(request.starts_with(&format!("CONNECT localhost:{port} HTTP/1.1\r\n")), "{request}");
        assert!(request.to_lowercase().contains("proxy-authorization: basic b3bzonnly3jlda=="), "{request}");
    }
}

#[tokio::test]
async fn a_refusal_of_the_proxy_is_reported_and_nothing_is_sent() {
    for (refusal, reason) in [
        (
            "HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n",
            "refused a tunnel to lambda.test:443: HTTP 407 Proxy Authentication Required; set its user and password in \
             HTTPS_PROXY: http://user:password@host:port",
        ),
        (
            "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n",
            "refused a tunnel to lambda.test:443: HTTP 403 Forbidden; allow that host in the proxy, or add it to NO_PROXY",
        ),
    ] {
        let (address, requests) = proxy(Some(refusal)).await;
        let connector = Connector::new(Dialer::Tcp, Roots::Native, Proxies::new(&address, ""));
        let lambda = AwsLambda::new(Arc::new(Clients::local_through("https://lambda.test", connector)));
        let (_, raws) = round(&lambda, pings("f", 2)).await;
        for raw in raws {
            let message = format!("connect to lambda.test:443: proxy {address}: {reason}");
            assert_eq!(raw.answer, Answer::Broken { message, may_have_run: false });
        }
        assert_eq!(requests.lock().unwrap().len(), 2, "one retry");
    }
}

#[tokio::test]
async fn an_unreachable_proxy_is_reported() {
    let dialer = Dialer::custom(|_: &str, _| async {
        Err::<tokio::io::DuplexStream, _>(std::io::ErrorKind::ConnectionRefused.into())
    });
    let connector = Connector::new(dialer, Roots::Native, Proxies::new("http://proxy.corp:3128", ""));
    let lambda = AwsLambda::new(Arc::new(Clients::local_through("https://lambda.test", connector)));
    let (_, raws) = round(&lambda, pings("f", 1)).await;
    let message = "connect to lambda.test:443: proxy proxy.corp:3128: connection refused".to_owned();
    assert_eq!(raws[0].answer, Answer::Broken { message, may_have_run: false });
}

#[tokio::test]
#[ignore = "run by other tests in a child process"]
async fn child_sends_one_ping() {
    let lambda = AwsLambda::new(Arc::new(Clients::load().await));
    let (_, raws) = round(&lambda, pings("f", 1)).await;
    println!("{:?}", raws[0].answer);
}

#[tokio::test]
async fn the_proxy_of_the_environment_is_used_except_for_no_proxy() {
    let (address, requests) = proxy(Some("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")).await;
    for (name, exception, is_used) in
        [("HTTPS_PROXY", "", true), ("https_proxy", "", true), ("HTTPS_PROXY", "x.test,.test", false)]
    {
        let before = requests.lock().unwrap().len();
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--ignored", "--exact", "--nocapture", "proxy::child_sends_one_ping"]).env_clear();
        command.env(name, format!("http://{address}")).env("no_proxy", exception).envs([
            ("AWS_ACCESS_KEY_ID", "AKID"),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
            ("AWS_ENDPOINT_URL", "https://lambda.test"),
            ("AWS_EC2_METADATA_DISABLED", "true"),
            ("HOME", "/nonexistent"),
        ]);
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{text}");
        assert_eq!(requests.lock().unwrap().len() > before, is_used, "{name} {exception}: {text}");
        assert_eq!(text.contains("refused a tunnel"), is_used, "{name} {exception}: {text}");
    }
}
