//! The HTTP client under the SDK: HTTP/1.1, one connection per request in flight, and the gate of a round.
//!
//! The SDK's default client speaks HTTP/2 where it can and then puts all requests on one connection, which Lambda
//! limits to about 128 streams: of 300 pings only 128 were in flight at once. Here every ping has a connection of
//! its own, opened before the release; a ping waits for the release with nothing left to do but one write.
//!
//! Proxies (`HTTPS_PROXY`) are not spoken to.

mod dial;
mod errand;
mod failure;
mod line;
mod passage;
mod server;
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
use http::header::{HOST, HeaderValue};
use http::uri::{PathAndQuery, Scheme};
use tokio::time::{timeout, timeout_at};

pub use dial::{Dialer, Dialing, Transport};
pub(super) use failure::reasons;
pub use failure::{Failure, OpenCause};
pub(super) use passage::{Passage, Preparation};
pub use server::Place;
pub use tls::Roots;

use line::{Line, Wanted};
use passage::Way;
use server::Server;
use tls::Tls;

/// Until a TCP connection stands, when the SDK's settings do not say. The SDK's own default since 2026-01.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(3_100);
/// The longest answer taken. Lambda's are 6 MB at most; configuration files in S3 are refused above 8 MB.
const LONGEST: usize = 16 << 20;
/// As much of a ping's answer as is kept. Ids and error messages are far shorter; a thousand pings to a function that
/// does real work and answers 6 MB each must not fill the memory.
const KEPT_OF_A_PING: usize = 256 << 10;

/// The HTTP client that all SDK clients of the process share.
///
/// It never repeats a request.
#[derive(Debug, Clone)]
pub struct Connector {
    shared: Arc<Shared>,
    gate: Gate,
}

#[derive(Debug)]
struct Shared {
    dialer: Dialer,
    tls: Arc<Tls>,
    servers: Mutex<HashMap<Place, Arc<Server>>>,
}

/// Whether requests heed the passage of the task they are made in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Gate {
    /// They do: pings.
    Heeded,
    /// They do not. Credentials are fetched in the task of the first ping that needs them, and must not wait for a
    /// release that waits for them.
    Ignored,
}

impl Connector {
    /// A connector that opens its streams with `dialer` and trusts `roots`. Opens and reads nothing yet.
    pub fn new(dialer: Dialer, roots: Roots) -> Self {
        let shared = Shared { dialer, tls: Arc::new(Tls::new(roots)), servers: Mutex::default() };
        Self { shared: Arc::new(shared), gate: Gate::Ignored }
    }

    /// The same connections, for clients that send pings.
    pub(super) fn gated(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), gate: Gate::Heeded }
    }
}

impl Default for Connector {
    /// TCP, and the system's roots.
    fn default() -> Self {
        Self::new(Dialer::default(), Roots::default())
    }
}

impl Shared {
    fn server(&self, place: Place) -> Arc<Server> {
        let mut servers = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(server) = servers.get(&place) {
            return Arc::clone(server);
        }
        let server = Arc::new(Server::new(place.clone(), self.dialer.clone(), Arc::clone(&self.tls)));
        servers.insert(place, Arc::clone(&server));
        server
    }
}

impl HttpClient for Connector {
    fn http_connector(&self, settings: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(Bound {
            connector: self.clone(),
            connect_timeout: settings.connect_timeout().unwrap_or(CONNECT_TIMEOUT),
            read_timeout: settings.read_timeout(),
        })
    }
}

/// The connector with an operation's timeouts.
#[derive(Debug)]
struct Bound {
    connector: Connector,
    connect_timeout: Duration,
    read_timeout: Option<Duration>,
}

impl HttpConnector for Bound {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let shared = Arc::clone(&self.connector.shared);
        let way = match self.connector.gate {
            Gate::Heeded => Way::current(),
            Gate::Ignored => None,
        };
        let (connect_timeout, read_timeout) = (self.connect_timeout, self.read_timeout);
        // The futures below are awaited where they are made: each layer that held one in a variable would double its
        // size, and a round holds a thousand.
        HttpConnectorFuture::new(async move {
            let (place, request) = on_the_wire(request)?;
            let server = shared.server(place);
            match way {
                Some(Way::Ping(passage)) => Ok(ping(server, request, connect_timeout, passage).await?),
                Some(Way::Errand(errand)) => {
                    let answer = errand.send(&server, request).await?;
                    Ok(sdk_response(&server, answer)?)
                }
                None => Ok(call(server, request, connect_timeout, read_timeout).await?),
            }
        })
    }
}

/// An ordinary request. The SDK may repeat it.
async fn call(
    server: Arc<Server>,
    request: http::Request<SdkBody>,
    connect_timeout: Duration,
    read_timeout: Option<Duration>,
) -> Result<HttpResponse, Failure> {
    let mut line = server.line(connect_timeout).await?;
    let exchange = line.exchange(request, Wanted::AtMost(LONGEST));
    let answer = match read_timeout {
        None => exchange.await,
        Some(patience) => timeout(patience, exchange)
            .await
            .map_err(|_| Failure::NoAnswer { place: server.place().clone(), patience })?,
    };
    let answer = answer.map_err(|cut| Failure::cut(server.place(), cut))?;
    keep(&server, line, &answer).await;
    sdk_response(&server, answer)
}

/// A ping: connects, waits for the release, sends once.
async fn ping(
    server: Arc<Server>,
    request: http::Request<SdkBody>,
    connect_timeout: Duration,
    passage: Arc<Passage>,
) -> Result<HttpResponse, Failure> {
    let mut ticket = passage.take_ticket().ok_or(Failure::SentBefore)?;
    let mut line = match server.idle_line().await {
        Some(line) => line,
        None if ticket.is_late() => server.open(connect_timeout).await?,
        None => ready(&server, connect_timeout, &passage).await?,
    };
    let released = line.meanwhile(ticket.ready()).await;
    passage.released(released);
    if !line.is_usable().await {
        // Closed by the server while it waited at the gate. Nothing has been sent on it.
        line = server.open(connect_timeout).await?;
    }
    let patience = passage.timeout();
    passage.sending();
    let answer = timeout_at(released + patience, line.exchange(request, Wanted::First(KEPT_OF_A_PING)))
        .await
        .map_err(|_| Failure::NoAnswer { place: server.place().clone(), patience })?
        .map_err(|cut| Failure::cut(server.place(), cut))?;
    passage.received();
    keep(&server, line, &answer).await;
    sdk_response(&server, answer)
}

/// A new connection, made ready if the ping wants that.
async fn ready(server: &Server, connect_timeout: Duration, passage: &Passage) -> Result<Line, Failure> {
    let line = server.open(connect_timeout).await?;
    let Some(preparation) = passage.take_preparation() else { return Ok(line) };
    // Boxed: pings that want none should not have room for it.
    match Box::pin(errand::run(server, line, preparation)).await {
        Some(mut line) => match line.is_usable().await {
            true => Ok(line),
            // Closed by the server with its answer: seen here, and not after the release.
            false => server.open(connect_timeout).await,
        },
        None => server.open(connect_timeout).await,
    }
}

/// Keeps a connection for the next request, unless the server behind it is in trouble: another may be better.
async fn keep(server: &Arc<Server>, line: Line, answer: &http::Response<SdkBody>) {
    if !answer.status().is_server_error() {
        server.keep(line).await;
    }
}

fn sdk_response(server: &Server, answer: http::Response<SdkBody>) -> Result<HttpResponse, Failure> {
    HttpResponse::try_from(answer)
        .map_err(|error| Failure::NotHttp { place: server.place().clone(), reason: error.to_string() })
}

/// The request as HTTP/1.1 wants it: the path as the target, the server in the Host header.
fn on_the_wire(request: HttpRequest) -> Result<(Place, http::Request<SdkBody>), Failure> {
    let mut request = request.try_into_http1x().map_err(|error| Failure::Request(error.to_string()))?;
    let target = std::mem::take(request.uri_mut()).into_parts();
    let authority =
        target.authority.ok_or_else(|| Failure::Request("the endpoint has no host".to_owned()))?;
    let tls = match target.scheme {
        Some(scheme) if scheme == Scheme::HTTPS => true,
        Some(scheme) if scheme == Scheme::HTTP => false,
        _ => return Err(Failure::Request("the endpoint is neither http nor https".to_owned())),
    };
    let default_port = if tls { 443 } else { 80 };
    let port = authority.port_u16().unwrap_or(default_port);
    let host = authority.host();
    if !request.headers().contains_key(HOST) {
        // As it was signed: without the scheme's own port.
        let value = if port == default_port {
            HeaderValue::from_str(host)
        } else {
            HeaderValue::from_str(&format!("{host}:{port}"))
        };
        let value = value.map_err(|error| Failure::Request(error.to_string()))?;
        request.headers_mut().insert(HOST, value);
    }
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    *request.uri_mut() = target.path_and_query.unwrap_or_else(|| PathAndQuery::from_static("/")).into();
    Ok((Place { tls, host, port }, request))
}
