//! The HTTP server of `warmd run --listen`: `/healthz` and `/metrics`, for readers that may be slow or hostile.
//!
//! A connection serves one request and ends within [`MOST_TIME`]. Connections beyond [`MOST_CONNECTIONS`] wait in the
//! listen queue of the operating system.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tracing::{debug, info, warn};

use super::error::Failure;
use crate::domain::exposition;

/// The most connections at a time.
const MOST_CONNECTIONS: usize = 16;
/// The longest life of a connection: request and response.
const MOST_TIME: Duration = Duration::from_secs(10);
/// The most bytes of a request's head, the least that hyper allows.
const MOST_HEAD: usize = 8_192;
/// The most header fields of a request.
const MOST_HEADERS: usize = 64;
/// The most requests for each page within [`SECOND`]; more have status 429.
const MOST_REQUESTS: u32 = 10;
const SECOND: Duration = Duration::from_secs(1);
/// The time between two accepted connections: at most a hundred a second.
const BETWEEN_CONNECTIONS: Duration = Duration::from_millis(10);

/// The content of the pages.
pub trait Pages: Send + Sync + 'static {
    /// Returns whether the process is healthy, and a JSON object with the reasons.
    fn health(&self) -> (bool, String);

    /// Returns the metrics in the text format of Prometheus.
    fn metrics(&self) -> String;
}

/// The server.
pub struct Server<P> {
    pages: P,
    health: Rate,
    metrics: Rate,
}

/// The requests for a page within the current second.
#[derive(Debug)]
struct Rate(Mutex<(Instant, u32)>);

impl Rate {
    fn new() -> Self {
        Self(Mutex::new((Instant::now(), 0)))
    }

    /// Counts a request. Returns false if it is one too many.
    fn allows(&self) -> bool {
        let mut rate = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if rate.0.elapsed() >= SECOND {
            *rate = (Instant::now(), 0);
        }
        rate.1 = rate.1.saturating_add(1);
        rate.1 <= MOST_REQUESTS
    }
}

impl<P: Pages> Server<P> {
    /// Creates a server of these pages.
    pub fn new(pages: P) -> Arc<Self> {
        Arc::new(Self { pages, health: Rate::new(), metrics: Rate::new() })
    }

    /// Serves connections forever.
    pub async fn serve(self: Arc<Self>, listener: TcpListener) {
        let mut connections = JoinSet::new();
        loop {
            while connections.len() >= MOST_CONNECTIONS {
                connections.join_next().await;
            }
            while connections.try_join_next().is_some() {}
            match listener.accept().await {
                Ok((stream, peer)) => {
                    let server = Arc::clone(&self);
                    connections.spawn(async move {
                        server.connection(stream, peer).await;
                    });
                    sleep(BETWEEN_CONNECTIONS).await;
                }
                Err(error) => {
                    // The limit of open files is probably reached.
                    warn!(%error, "cannot accept a connection");
                    sleep(SECOND).await;
                }
            }
        }
    }

    /// Serves a connection: one request within [`MOST_TIME`].
    async fn connection(&self, io: impl AsyncRead + AsyncWrite + Unpin, peer: SocketAddr) {
        let service = service_fn(async |request| Ok::<_, Infallible>(self.respond(&request)));
        let mut builder = http1::Builder::new();
        builder.keep_alive(false).max_buf_size(MOST_HEAD).max_headers(MOST_HEADERS);
        match timeout(MOST_TIME, builder.serve_connection(TokioIo::new(io), service)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => debug!(%peer, %error, "connection ended"),
            Err(_) => debug!(%peer, "connection ended: it took too long"),
        }
    }

    fn respond<B>(&self, request: &Request<B>) -> Response<Full<Bytes>> {
        let rate = match request.uri().path() {
            "/healthz" => &self.health,
            "/metrics" => &self.metrics,
            _ => return plain(StatusCode::NOT_FOUND, "expected /healthz or /metrics\n"),
        };
        if ![Method::GET, Method::HEAD].contains(request.method()) {
            let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, "expected GET or HEAD\n");
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return response;
        }
        if !rate.allows() {
            let mut response = plain(StatusCode::TOO_MANY_REQUESTS, "too many requests\n");
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
            return response;
        }
        if std::ptr::eq(rate, &raw const self.metrics) {
            return response(StatusCode::OK, exposition::CONTENT_TYPE, self.pages.metrics());
        }
        let (is_healthy, body) = self.pages.health();
        let status = if is_healthy { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        response(status, "application/json", body)
    }
}

fn plain(status: StatusCode, body: &'static str) -> Response<Full<Bytes>> {
    response(status, "text/plain; charset=utf-8", body)
}

fn response(status: StatusCode, media_type: &'static str, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}

/// Listens at `address`, and logs the address with its port.
///
/// # Errors
/// The address cannot be used.
pub async fn bind(address: SocketAddr) -> Result<TcpListener, Failure> {
    let failed = |error| Failure::Usage(format!("cannot listen on {address}: {error}"));
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    info!(address = %listener.local_addr().map_err(failed)?, "listening for /healthz and /metrics");
    Ok(listener)
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

    use super::*;

    struct Fixed;

    impl Pages for Fixed {
        fn health(&self) -> (bool, String) {
            (false, "{}\n".to_owned())
        }

        fn metrics(&self) -> String {
            "m 1\n".repeat(100_000)
        }
    }

    /// Opens a connection with a buffer of 1 kB each way.
    fn open(server: &Arc<Server<Fixed>>) -> (DuplexStream, tokio::task::JoinHandle<Instant>) {
        let (near, far) = duplex(1_024);
        let server = Arc::clone(server);
        let served = tokio::spawn(async move {
            server.connection(far, SocketAddr::from(([127, 0, 0, 1], 1))).await;
            Instant::now()
        });
        (near, served)
    }

    /// Sends a request and returns status and headers, without the date, and the length of the body.
    async fn exchange(server: &Arc<Server<Fixed>>, request: &str) -> (String, usize) {
        let (near, _) = open(server);
        let (mut reader, mut writer) = tokio::io::split(near);
        let request = request.as_bytes().to_vec();
        // The server may respond and close before it has read all.
        tokio::spawn(async move { drop(writer.write_all(&request).await) });
        let mut answer = Vec::new();
        reader.read_to_end(&mut answer).await.unwrap();
        let answer = String::from_utf8(answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_default();
        let lines: Vec<&str> = head.lines().filter(|line| !line.starts_with("date:")).collect();
        (lines.join("\n"), body.len())
    }

    fn status((head, _): &(String, usize)) -> &str {
        head.split(' ').nth(1).unwrap_or("closed")
    }

    #[tokio::test(start_paused = true)]
    async fn get_and_head_are_served_and_the_connection_is_closed() {
        let server = Server::new(Fixed);
        let (head, length) = exchange(&server, "GET /metrics?x=1 HTTP/1.1\r\nhost: h\r\n\r\n").await;
        insta::assert_snapshot!(head, @"
        HTTP/1.1 200 OK
        content-type: text/plain; version=0.0.4; charset=utf-8
        connection: close
        content-length: 400000
        ");
        assert_eq!(length, 400_000);
        let (head, length) = exchange(&server, "HEAD /healthz HTTP/1.1\r\nhost: h\r\n\r\n").await;
        insta::assert_snapshot!(head, @"
        HTTP/1.1 503 Service Unavailable
        content-type: application/json
        connection: close
        content-length: 3
        ");
        assert_eq!(length, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn other_paths_methods_and_protocols_are_refused() {
        let server = Server::new(Fixed);
        let of = async |request: &str| status(&exchange(&server, request).await).to_owned();
        assert_eq!(of("GET /../etc/passwd HTTP/1.1\r\nhost: h\r\n\r\n").await, "404");
        assert_eq!(of("GET * HTTP/1.1\r\nhost: h\r\n\r\n").await, "404");
        let (head, _) =
            exchange(&server, "POST /metrics HTTP/1.1\r\nhost: h\r\ncontent-length: 9\r\n\r\n").await;
        assert!(head.starts_with("HTTP/1.1 405 ") && head.contains("allow: GET, HEAD"), "{head}");
        assert_eq!(of("nonsense\r\n\r\n").await, "400");
        assert_eq!(of("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await, "closed");
    }

    #[tokio::test(start_paused = true)]
    async fn large_heads_are_refused_and_bodies_are_not_read() {
        let server = Server::new(Fixed);
        let long = "x".repeat(MOST_HEAD);
        let of = async |request: &str| status(&exchange(&server, request).await).to_owned();
        assert_eq!(of(&format!("GET /healthz HTTP/1.1\r\nlong: {long}\r\n\r\n")).await, "431");
        assert_eq!(of(&format!("GET /{long} HTTP/1.1\r\n\r\n")).await, "431");
        let many: String = (0..=MOST_HEADERS).map(|index| format!("h{index}: 1\r\n")).collect();
        assert_eq!(of(&format!("GET /healthz HTTP/1.1\r\n{many}\r\n")).await, "431");
        let request = "GET /healthz HTTP/1.1\r\nhost: h\r\ncontent-length: 1000000000000\r\n\r\n";
        assert_eq!(of(&format!("{request}{long}")).await, "503");
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_sends_slowly_or_never_reads_is_cut_off() {
        let server = Server::new(Fixed);
        let start = Instant::now();
        let (mut slow, slow_ended) = open(&server);
        let (mut deaf, deaf_ended) = open(&server);
        let (_silent, silent_ended) = open(&server);
        deaf.write_all(b"GET /metrics HTTP/1.1\r\nhost: h\r\n\r\n").await.unwrap();
        tokio::spawn(async move {
            while slow.write_all(b"x").await.is_ok() {
                sleep(SECOND).await;
            }
        });
        for ended in [slow_ended, deaf_ended, silent_ended] {
            assert_eq!(ended.await.unwrap() - start, MOST_TIME);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_rate_of_requests_is_bounded_for_each_page() {
        let server = Server::new(Fixed);
        let request = "GET /metrics HTTP/1.1\r\nhost: h\r\n\r\n";
        for _ in 0..MOST_REQUESTS {
            assert_eq!(status(&exchange(&server, request).await), "200");
        }
        let (head, _) = exchange(&server, request).await;
        assert!(head.starts_with("HTTP/1.1 429 ") && head.contains("retry-after: 1"), "{head}");
        let health = exchange(&server, "GET /healthz HTTP/1.1\r\nhost: h\r\n\r\n").await;
        assert_eq!(status(&health), "503", "a busy reader of metrics does not hide the health");
        tokio::time::advance(SECOND).await;
        assert_eq!(status(&exchange(&server, request).await), "200");
    }
}
