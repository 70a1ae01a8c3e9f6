//! A scripted HTTP server over any byte stream, which counts and keeps its requests.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use warmd::aws::connector::{Dialer, Transport};

pub type Answer = Response<Full<Bytes>>;
type Script = dyn Fn(Request<Bytes>) -> Pin<Box<dyn Future<Output = Answer> + Send>> + Send + Sync;

/// The observations of the server.
#[derive(Default)]
pub struct Observed {
    pub requests: Mutex<Vec<Request<Bytes>>>,
    pub connections: AtomicUsize,
    /// The number of connections before the first request.
    pub connections_before: std::sync::OnceLock<usize>,
    pub resumed: AtomicUsize,
    pub http2: AtomicUsize,
    /// The number of requests being served.
    pub in_flight: AtomicUsize,
    /// The highest number of requests in flight so far.
    pub most_in_flight: watch::Sender<usize>,
}

impl Observed {
    pub fn count(&self) -> usize {
        self.requests.lock().unwrap().len()
    }

    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    pub fn last(&self) -> Request<Bytes> {
        self.requests.lock().unwrap().last().unwrap().clone()
    }

    pub fn most_in_flight(&self) -> usize {
        *self.most_in_flight.borrow()
    }

    /// Waits until `n` requests are, or have been, in flight together.
    pub async fn all_in_flight(&self, n: usize) {
        self.most_in_flight.subscribe().wait_for(|most| *most >= n).await.unwrap();
    }
}

/// The server.
#[derive(Clone)]
pub struct Server {
    script: Arc<Script>,
    pub observed: Arc<Observed>,
    /// The lifetime of a connection, after which it is closed.
    pub keep: Option<Duration>,
}

impl Server {
    /// Creates a server that answers with `script`.
    pub fn new<F, Fut>(script: F) -> Self
    where
        F: Fn(Request<Bytes>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Answer> + Send + 'static,
    {
        Self {
            script: Arc::new(move |request| Box::pin(script(request))),
            observed: Arc::default(),
            keep: None,
        }
    }

    /// Serves one connection.
    pub async fn connection(self, stream: impl Transport + 'static) {
        self.observed.connections.fetch_add(1, Ordering::SeqCst);
        self.serve(stream).await;
    }

    async fn serve(self, stream: impl Transport + 'static) {
        let keep = self.keep;
        let service = service_fn(move |request: Request<Incoming>| {
            let server = self.clone();
            async move { Ok::<_, Infallible>(server.answer(request).await) }
        });
        let mut builder = auto::Builder::new(TokioExecutor::new());
        // Like Lambda.
        builder.http2().max_concurrent_streams(128);
        let connection = builder.serve_connection(TokioIo::new(stream), service);
        match keep {
            None => drop(connection.await),
            Some(keep) => drop(tokio::time::timeout(keep, connection).await),
        }
    }

    async fn answer(self, request: Request<Incoming>) -> Answer {
        if request.version() == http::Version::HTTP_2 {
            self.observed.http2.fetch_add(1, Ordering::SeqCst);
        }
        let (head, body) = request.into_parts();
        let request = Request::from_parts(head, body.collect().await.unwrap().to_bytes());
        self.observed.connections_before.get_or_init(|| self.observed.connections());
        self.observed.requests.lock().unwrap().push(request.clone());
        let now = self.observed.in_flight.fetch_add(1, Ordering::SeqCst) + 1;
        self.observed.most_in_flight.send_if_modified(|most| {
            let more = now > *most;
            *most = now.max(*most);
            more
        });
        let answer = (self.script)(request).await;
        self.observed.in_flight.fetch_sub(1, Ordering::SeqCst);
        answer
    }

    /// Serves one connection with TLS.
    pub async fn secure_connection(self, tls: TlsAcceptor, stream: impl Transport + 'static) {
        // Counted before the handshake, because the client finishes it slightly earlier than the server.
        self.observed.connections.fetch_add(1, Ordering::SeqCst);
        let Ok(stream) = tls.accept(stream).await else { return };
        if stream.get_ref().1.handshake_kind() == Some(rustls::HandshakeKind::Resumed) {
            self.observed.resumed.fetch_add(1, Ordering::SeqCst);
        }
        self.serve(stream).await;
    }

    /// Listens on loopback, with TLS if given. Returns the address.
    pub async fn listen(&self, tls: Option<TlsAcceptor>) -> SocketAddr {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(4096).unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(self.clone().accept(listener, tls));
        address
    }

    async fn accept(self, listener: TcpListener, tls: Option<TlsAcceptor>) {
        while let Ok((stream, _)) = listener.accept().await {
            stream.set_nodelay(true).unwrap();
            let (server, tls) = (self.clone(), tls.clone());
            tokio::spawn(async move {
                match tls {
                    None => server.connection(stream).await,
                    Some(tls) => server.secure_connection(tls, stream).await,
                }
            });
        }
    }

    /// Creates in-memory connections to this server for any host.
    pub fn dialer(&self) -> Dialer {
        self.dialer_after(|_| std::future::ready(Ok(())))
    }

    /// Creates in-memory connections that open after `opening`, which gets the number of the connection from 0.
    pub fn dialer_after<F, Fut>(&self, opening: F) -> Dialer
    where
        F: Fn(usize) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = io::Result<()>> + Send + 'static,
    {
        let (server, dials) = (self.clone(), AtomicUsize::new(0));
        Dialer::custom(move |_: &str, _| {
            let (near, far) = tokio::io::duplex(64 << 10);
            tokio::spawn(server.clone().connection(far));
            let opening = opening(dials.fetch_add(1, Ordering::SeqCst));
            async move { opening.await.map(|()| near) }
        })
    }

    /// Creates in-memory TLS connections to this server for any host.
    pub fn secure_dialer(&self, acceptor: TlsAcceptor) -> Dialer {
        let server = self.clone();
        Dialer::custom(move |_: &str, _| {
            let (near, far) = tokio::io::duplex(64 << 10);
            tokio::spawn(server.clone().secure_connection(acceptor.clone(), far));
            async move { Ok(near) }
        })
    }
}

/// A TLS server's certificate for `localhost`, and the roots of a client that trusts it, as PEM and as a store.
pub struct Trust {
    pub acceptor: TlsAcceptor,
    pub pem: String,
    pub roots: Arc<rustls::RootCertStore>,
}

/// Creates the server side of TLS with a self-signed certificate, offering HTTP/2 first, like Lambda.
pub fn trust() -> Trust {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
    let certificate: CertificateDer<'static> = made.cert.der().clone();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config.session_storage = rustls::server::ServerSessionMemoryCache::new(10_000);
    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificate).unwrap();
    Trust { acceptor: TlsAcceptor::from(Arc::new(config)), pem: made.cert.pem(), roots: Arc::new(roots) }
}

/// Creates an answer.
pub fn answer(status: u16, body: impl Into<Bytes>) -> Answer {
    let body = Full::new(body.into());
    Response::builder().status(status).body(body).unwrap()
}
