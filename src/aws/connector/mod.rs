//! Connections to AWS, shared by the whole process.
//!
//! - [`Connector`] is the HTTP client under the SDK: HTTP/1.1, one connection per request in flight.
//! - Pings use the same connection pools. Over HTTP/2, a connection carries up to a hundred pings; over HTTP/1.1, one.
//!   The SDK's default client is not used because it puts all requests on one HTTP/2 connection, which Lambda limits to
//!   about 128 streams: of 300 pings only 128 were in flight at once.

mod body;
mod dial;
mod http1;
mod http2;
mod idle;
mod open;
mod origin;
mod pool;
mod proxy;
mod streams;
mod tls;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use tokio::time::{timeout, timeout_at};

pub use dial::{Dialer, Dialing, Transport};
pub(super) use http1::Http1;
pub(super) use http2::{Outgoing, Reply, Report};
pub use origin::Origin;
pub(super) use origin::http1_request;
pub use pool::STREAMS_PER_CONNECTION;
pub(super) use pool::{Carrier, ConnectionPool};
pub use proxy::Proxies;
pub use tls::Roots;

use super::error::Failure;
use body::BodyLimit;
use open::Opener;
use tls::TlsClient;

/// The time limit of opening a TCP connection, unless the SDK's settings have one. The SDK's default since 2026-01.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(3_100);
/// The longest answer to the SDK, bytes. Lambda's have at most 6 MB, configuration files in S3 at most 8 MB.
const MAX_ANSWER_BYTES: usize = 16 << 20;
/// The part of a ping's answer that is kept, bytes. Ids and error messages are far shorter. The limit bounds memory
/// when a function mistakes a thousand pings for requests and answers each with 6 MB.
const KEPT_OF_A_PING: usize = 256 << 10;

/// The connections of the process, and the HTTP client that all SDK clients share.
///
/// It never repeats a request.
#[derive(Debug, Clone)]
pub struct Connector(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    dialer: Dialer,
    tls: Arc<TlsClient>,
    proxies: Proxies,
    pools: Mutex<HashMap<Origin, Arc<ConnectionPool>>>,
}

impl Connector {
    /// Creates a connector that opens byte streams with `dialer`, trusts `roots` and reaches HTTPS origins through
    /// `proxies`. Opens no connection and reads no certificate yet.
    pub fn new(dialer: Dialer, roots: Roots, proxies: Proxies) -> Self {
        let tls = Arc::new(TlsClient::new(roots));
        Self(Arc::new(Inner { dialer, tls, proxies, pools: Mutex::default() }))
    }

    /// Returns the connection pool of an origin.
    pub(super) fn pool(&self, origin: &Origin) -> Arc<ConnectionPool> {
        let mut pools = self.0.pools.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pool) = pools.get(origin) {
            return Arc::clone(pool);
        }
        let proxy = self.0.proxies.of(origin);
        let opener = Opener::new(origin.clone(), self.0.dialer.clone(), proxy, Arc::clone(&self.0.tls));
        let pool = Arc::new(ConnectionPool::new(opener));
        pools.insert(origin.clone(), Arc::clone(&pool));
        pool
    }
}

impl Default for Connector {
    /// Creates a connector over TCP with the system's roots and the proxies of the environment.
    fn default() -> Self {
        Self::new(Dialer::default(), Roots::default(), Proxies::from_env())
    }
}

impl HttpClient for Connector {
    fn http_connector(&self, settings: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(WithTimeouts {
            connector: self.clone(),
            connect_timeout: settings.connect_timeout().unwrap_or(CONNECT_TIMEOUT),
            read_timeout: settings.read_timeout(),
        })
    }
}

/// The connector with the timeouts of an SDK client.
#[derive(Debug)]
struct WithTimeouts {
    connector: Connector,
    connect_timeout: Duration,
    read_timeout: Option<Duration>,
}

impl HttpConnector for WithTimeouts {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let connector = self.connector.clone();
        let (connect_timeout, read_timeout) = (self.connect_timeout, self.read_timeout);
        HttpConnectorFuture::new(async move {
            let (origin, request) =
                http1_request(request).map_err(|error| Failure::Request(error.to_string()))?;
            let pool = connector.pool(&origin);
            let mut connection = pool.http1(connect_timeout).await?;
            let sending = connection.send(request, BodyLimit::AtMost(MAX_ANSWER_BYTES));
            let answer = match read_timeout {
                None => sending.await,
                Some(limit) => timeout(limit, sending)
                    .await
                    .map_err(|_| Failure::NoAnswer { origin: origin.clone(), limit })?,
            };
            let answer = answer.map_err(|error| error.into_failure(&origin))?;
            keep(&pool, connection, &answer).await;
            let answer = HttpResponse::try_from(answer.map(SdkBody::from));
            Ok(answer.map_err(|error| Failure::NotHttp { origin, reason: error.to_string() })?)
        })
    }
}

/// Sends a ping on an HTTP/1.1 connection. A connection that the server has closed meanwhile is replaced: nothing has
/// been sent on it.
pub(super) async fn ping_http1(pool: &Arc<ConnectionPool>, mut connection: Http1, ping: Outgoing) {
    let Outgoing { request, body, deadline, limit, report } = ping;
    let request = request.map(|()| SdkBody::from(body));
    if !connection.is_usable().await {
        connection = match pool.open_http1().await {
            Ok(connection) => connection,
            Err(failure) => {
                let now = tokio::time::Instant::now();
                return report.ended(now, now, Reply::Failed(failure));
            }
        };
    }
    let sent = tokio::time::Instant::now();
    let answer = timeout_at(deadline, connection.send(request, BodyLimit::First(KEPT_OF_A_PING))).await;
    let received = tokio::time::Instant::now();
    let reply = match answer {
        Ok(Ok(answer)) => {
            keep(pool, connection, &answer).await;
            Reply::Answered(answer)
        }
        Ok(Err(error)) => Reply::Failed(error.into_failure(pool.origin())),
        Err(_) => Reply::Failed(Failure::NoAnswer { origin: pool.origin().clone(), limit }),
    };
    report.ended(sent, received, reply);
}

/// Keeps a connection for the next request, except after a server error: another server may be healthy.
async fn keep(pool: &Arc<ConnectionPool>, connection: Http1, answer: &http::Response<bytes::Bytes>) {
    if !answer.status().is_server_error() {
        pool.keep(connection).await;
    }
}
