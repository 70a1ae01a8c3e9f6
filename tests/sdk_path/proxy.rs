//! HTTPS proxies: every client goes through CONNECT, and a refusal is named.

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

/// A proxy on loopback that answers CONNECT with `refusal`, or tunnels every host to loopback. Returns its address and
/// the requests it was sent.
async fn proxy(refusal: Option<&'static str>) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let requests = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&requests);
    tokio::spawn(async move {
        while let Ok((mut near, _)) = listener.accept().await {
            let noted = Arc::clone(&noted);
            tokio::spawn(async move {
                let mut request = Vec::new();
                while !request.ends_with(b"\r\n\r\n") {
                    if near.read_buf(&mut request).await.unwrap_or(0) == 0 {
                        return;
                    }
                }
                let request = String::from_utf8(request).unwrap();
                let port = request.split_whitespace().nth(1).unwrap().rsplit(':').next().unwrap().to_owned();
                noted.lock().unwrap().push(request);
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
    // A name that only the proxy can reach; the certificate is for it.
    let clients = Arc::new(Clients::local_through(&format!("https://localhost:{port}"), connector));
    let (_, exchanges) = round(&AwsLambda::new(Arc::clone(&clients)), pings("f", 150)).await;
    assert!(exchanges.iter().all(|exchange| matches!(exchange.answer, Answer::Responded { .. })));
    assert_eq!(server.seen.http2.load(Ordering::SeqCst), 150);
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
async fn a_refusal_of_the_proxy_is_named_and_nothing_is_sent() {
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
        let (_, exchanges) = round(&lambda, pings("f", 2)).await;
        for exchange in exchanges {
            let message = format!("connect to lambda.test:443: proxy {address}: {reason}");
            assert_eq!(exchange.answer, Answer::Broken { message, may_have_run: false });
        }
        assert_eq!(requests.lock().unwrap().len(), 2, "tried once more");
    }
}

#[tokio::test]
async fn a_proxy_that_cannot_be_reached_is_named() {
    let dialer = Dialer::custom(|_: &str, _| async {
        Err::<tokio::io::DuplexStream, _>(std::io::ErrorKind::ConnectionRefused.into())
    });
    let connector = Connector::new(dialer, Roots::Native, Proxies::new("http://proxy.corp:3128", ""));
    let lambda = AwsLambda::new(Arc::new(Clients::local_through("https://lambda.test", connector)));
    let (_, exchanges) = round(&lambda, pings("f", 1)).await;
    let message = "connect to lambda.test:443: proxy proxy.corp:3128: connection refused".to_owned();
    assert_eq!(exchanges[0].answer, Answer::Broken { message, may_have_run: false });
}

#[tokio::test]
#[ignore = "run by other tests, in a process of its own"]
async fn child_sends_one_ping() {
    let lambda = AwsLambda::new(Arc::new(Clients::load().await));
    let (_, exchanges) = round(&lambda, pings("f", 1)).await;
    println!("{:?}", exchanges[0].answer);
}

#[tokio::test]
async fn the_proxy_of_the_environment_is_used_unless_it_is_excepted() {
    let (address, requests) = proxy(Some("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")).await;
    for (name, exception, asked) in
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
        assert_eq!(requests.lock().unwrap().len() > before, asked, "{name} {exception}: {text}");
        assert_eq!(text.contains("refused a tunnel"), asked, "{name} {exception}: {text}");
    }
}
