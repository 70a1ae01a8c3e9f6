//! The server side of connections: TCP or any other byte stream, with or without TLS.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;

use super::{Emulator, routes};

/// The listen queue. A thousand clients may connect at once.
const BACKLOG: u32 = 4096;

/// Creates a listener at `address` with a listen queue for a thousand clients.
///
/// # Errors
/// The operating system's error.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// The server side of TLS.
#[derive(Clone)]
pub struct Tls(TlsAcceptor);

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tls")
    }
}

/// The reason why TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// There is no PEM certificate.
    #[error("the certificate file has no readable PEM certificate")]
    Certificates,
    /// There is no PEM private key.
    #[error("the key file has no readable PEM private key")]
    Key,
    /// The certificate and the key do not belong together, or TLS does not support them.
    #[error("certificate and key cannot be used: {0}")]
    Pair(#[from] tokio_rustls::rustls::Error),
}

impl Tls {
    /// Creates TLS 1.2 and 1.3 with these PEM files, offering HTTP/2 and HTTP/1.1 in that order, like Lambda.
    ///
    /// # Errors
    /// [`TlsError`].
    pub fn from_pem(certificates: &[u8], key: &[u8]) -> Result<Self, TlsError> {
        let certificates: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(certificates)
            .collect::<Result<_, _>>()
            .map_err(|_| TlsError::Certificates)?;
        if certificates.is_empty() {
            return Err(TlsError::Certificates);
        }
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| TlsError::Key)?;
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(certificates, key)?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self(TlsAcceptor::from(Arc::new(config))))
    }
}

impl Emulator {
    /// Serves connections of `listener` until `shutdown`, then drops the open ones.
    pub async fn serve(&self, listener: TcpListener, tls: Option<Tls>, shutdown: impl Future<Output = ()>) {
        let mut connections = JoinSet::new();
        let mut shutdown = std::pin::pin!(shutdown);
        loop {
            tokio::select! {
                () = &mut shutdown => return,
                Some(_) = connections.join_next() => {}
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => {
                        // Otherwise small answers would wait for more data.
                        let _ = stream.set_nodelay(true);
                        let (emulator, tls) = (self.clone(), tls.clone());
                        connections.spawn(async move {
                            match tls {
                                None => emulator.serve_io(stream).await,
                                Some(Tls(acceptor)) => match acceptor.accept(stream).await {
                                    Ok(stream) => emulator.serve_io(stream).await,
                                    Err(error) => tracing::debug!(%error, "TLS handshake failed"),
                                },
                            }
                        });
                    }
                    Err(error) => {
                        // The limit of file descriptors is probably reached. Connections that end free some.
                        tracing::warn!(%error, "cannot accept a connection");
                        tokio::time::sleep(Duration::from_millis(10)).await;
                    }
                },
            }
        }
    }

    /// Serves one connection until it ends, with HTTP/1.1 or HTTP/2, as the client begins.
    pub async fn serve_io<I>(&self, io: I)
    where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let connection = self.inner.connections.fetch_add(1, Ordering::Relaxed) + 1;
        let mut builder = auto::Builder::new(TokioExecutor::new());
        builder.http2().max_concurrent_streams(self.scenario().max_concurrent_streams);
        let service = service_fn(|request| {
            let emulator = self.clone();
            async move { routes::route(&emulator, connection, request).await }
        });
        if let Err(error) = builder.serve_connection(TokioIo::new(io), service).await {
            tracing::debug!(%error, connection, "connection ended");
        }
    }
}
