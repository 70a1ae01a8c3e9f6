//! Opening one connection: TCP, a proxy's tunnel, TLS, and the negotiated version of HTTP.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use h2::client::{Connection, SendRequest};
use rustls_pki_types::ServerName;
use tokio::time::timeout;

use super::dial::{Addresses, Dialer, Transport, tcp};
use super::http1::Http1;
use super::origin::Origin;
use super::proxy::Proxy;
use super::tls::{Alpn, TlsClient};
use crate::aws::error::{Failure, OpenCause};

/// The time limit of each of a proxy's tunnel, a TLS handshake and the first SETTINGS of HTTP/2.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);
/// The HTTP/2 flow-control windows of a stream and of a connection, bytes. A hundred answers with 4 KB of log fit.
const STREAM_WINDOW: u32 = 256 << 10;
const CONNECTION_WINDOW: u32 = 1 << 20;
/// The largest header list of an answer, bytes. Lambda's longest header is the log tail, 4 KB in base64.
const HEADERS: u32 = 64 << 10;

/// Opens connections to one origin.
#[derive(Debug)]
pub(super) struct Opener {
    origin: Origin,
    dialer: Dialer,
    /// The proxy, if any, or the reason why it is not usable.
    proxy: Result<Option<Proxy>, String>,
    tls: Arc<TlsClient>,
    addresses: Addresses,
}

/// A new connection.
pub(super) enum Opened {
    Http1(Http1),
    Http2(Box<NewHttp2>),
}

/// An HTTP/2 connection whose SETTINGS have been read.
pub(super) struct NewHttp2 {
    pub sender: SendRequest<Bytes>,
    pub connection: Connection<Box<dyn Transport>, Bytes>,
    /// Streams that the server allows at once, at least 1.
    pub streams: usize,
}

impl Opener {
    pub(super) fn new(
        origin: Origin,
        dialer: Dialer,
        proxy: Result<Option<Proxy>, String>,
        tls: Arc<TlsClient>,
    ) -> Self {
        Self { origin, dialer, proxy, tls, addresses: Addresses::default() }
    }

    pub(super) fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Opens a connection: TCP within `limit`, then the proxy's tunnel, TLS and HTTP.
    pub(super) async fn open(&self, limit: Duration, alpn: Alpn) -> Result<Opened, Failure> {
        let failed = |cause| Failure::Open { origin: self.origin.clone(), cause };
        let proxy = match &self.proxy {
            Ok(proxy) => proxy.as_ref(),
            Err(reason) => return Err(failed(OpenCause::Proxy(reason.clone()))),
        };
        let dialed = match proxy {
            None => self.dial(&self.origin, limit).await,
            Some(proxy) => {
                let named = |cause| OpenCause::Proxy(format!("proxy {}: {cause}", proxy.origin));
                self.dial(&proxy.origin, limit).await.map_err(named)
            }
        };
        let mut transport = dialed.map_err(failed)?;
        if let Some(proxy) = proxy {
            if proxy.origin.tls {
                transport = self.secure(transport, &proxy.origin, Alpn::Http1).await.map_err(failed)?.0;
            }
            let tunnel = timeout(HANDSHAKE_LIMIT, proxy.tunnel(transport, &self.origin)).await;
            transport = tunnel
                .unwrap_or_else(|_| {
                    Err(format!("proxy {}: no answer within {HANDSHAKE_LIMIT:?}", proxy.origin))
                })
                .map_err(|reason| failed(OpenCause::Proxy(reason)))?;
        }
        let mut is_http2 = false;
        if self.origin.tls {
            (transport, is_http2) = self.secure(transport, &self.origin, alpn).await.map_err(failed)?;
        }
        if is_http2 {
            let opening = timeout(HANDSHAKE_LIMIT, http2(transport));
            let opened = opening.await.map_err(|_| failed(OpenCause::Slow(HANDSHAKE_LIMIT)))?;
            return opened
                .map(|new| Opened::Http2(Box::new(new)))
                .map_err(|error| failed(OpenCause::Http2(error)));
        }
        Http1::open(transport).await.map(Opened::Http1).map_err(|error| failed(OpenCause::Http(error)))
    }

    async fn dial(&self, to: &Origin, limit: Duration) -> Result<Box<dyn Transport>, OpenCause> {
        let slow = || OpenCause::Slow(limit);
        match &self.dialer {
            Dialer::Tcp => match tcp(&to.host, to.port, &self.addresses, limit).await {
                Ok(stream) => Ok(Box::new(stream)),
                Err(error) if error.kind() == std::io::ErrorKind::TimedOut => Err(slow()),
                Err(error) => Err(OpenCause::Io(error)),
            },
            Dialer::Custom(dial) => {
                timeout(limit, dial(&to.host, to.port)).await.map_err(|_| slow())?.map_err(OpenCause::Io)
            }
        }
    }

    /// Starts TLS with `to`. Returns the stream, and true when HTTP/2 was negotiated.
    async fn secure(
        &self,
        transport: Box<dyn Transport>,
        to: &Origin,
        alpn: Alpn,
    ) -> Result<(Box<dyn Transport>, bool), OpenCause> {
        let connector = self.tls.connector(alpn).await.map_err(OpenCause::Roots)?;
        let name = ServerName::try_from(to.host.clone()).map_err(|_| {
            OpenCause::Io(std::io::Error::other(
                "the host is not a name or address that a certificate can be for",
            ))
        })?;
        let stream = timeout(HANDSHAKE_LIMIT, connector.connect(name, transport))
            .await
            .map_err(|_| OpenCause::Slow(HANDSHAKE_LIMIT))?
            .map_err(OpenCause::Tls)?;
        let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        Ok((Box::new(stream), is_http2))
    }
}

/// Starts HTTP/2 on `transport` and reads the server's SETTINGS.
async fn http2(transport: Box<dyn Transport>) -> Result<NewHttp2, h2::Error> {
    let (sender, mut connection) = h2::client::Builder::new()
        // Starts at 0 streams, so that the value below leaves 0 when the server's SETTINGS have been read.
        .initial_max_send_streams(0)
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_header_list_size(HEADERS)
        .enable_push(false)
        .handshake(transport)
        .await?;
    let streams = poll_fn(|cx| match Pin::new(&mut connection).poll(cx) {
        Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
        Poll::Ready(Ok(())) => Poll::Ready(Err(h2::Reason::NO_ERROR.into())),
        Poll::Pending => match connection.max_concurrent_send_streams() {
            0 => Poll::Pending,
            streams => Poll::Ready(Ok(streams)),
        },
    })
    .await?;
    Ok(NewHttp2 { sender, connection, streams })
}
