//! TLS: the system's roots, and session tickets for a whole round.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustls_pki_types::ServerName;
use tokio::sync::OnceCell;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::client::{
    ClientSessionStore, Resumption, Tls12ClientSessionValue, Tls13ClientSessionValue,
};
use tokio_rustls::rustls::{self, ClientConfig, NamedGroup, RootCertStore};

/// Session tickets kept per server, about 1.5 KB each. A ticket serves one connection, and servers give about two with
/// each connection. With fewer tickets than pings, the other pings would need full handshakes in every tick.
const TICKETS: usize = 2_048;

/// The protocols offered in a TLS handshake (ALPN).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Alpn {
    /// HTTP/1.1 only.
    Http1,
    /// HTTP/2 first, then HTTP/1.1.
    Http2,
}

/// The root certificates that are trusted.
#[derive(Debug, Clone, Default)]
pub enum Roots {
    /// The system's roots, or those of `SSL_CERT_FILE` and `SSL_CERT_DIR`, read at the first TLS connection.
    #[default]
    Native,
    /// These certificates.
    Given(Arc<RootCertStore>),
}

/// The client side of TLS, shared by all connections. Its settings are made when first needed.
#[derive(Debug, Default)]
pub(super) struct TlsClient {
    roots: Roots,
    connectors: OnceCell<Connectors>,
}

/// One connector for each [`Alpn`].
#[derive(Clone)]
struct Connectors {
    http1: TlsConnector,
    http2: TlsConnector,
}

impl fmt::Debug for Connectors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connectors")
    }
}

impl TlsClient {
    pub(super) fn new(roots: Roots) -> Self {
        Self { roots, connectors: OnceCell::new() }
    }

    /// Returns the connector that offers these protocols. The first call reads the roots on a blocking thread.
    pub(super) async fn connector(&self, alpn: Alpn) -> Result<TlsConnector, String> {
        let made = self.connectors.get_or_try_init(|| async {
            let roots = match &self.roots {
                Roots::Given(roots) => Arc::clone(roots),
                Roots::Native => {
                    let reading = tokio::task::spawn_blocking(native_roots);
                    Arc::new(reading.await.map_err(|error| error.to_string())??)
                }
            };
            let http1 = client_config(roots)?;
            // A clone shares the session tickets.
            let mut http2 = http1.clone();
            http2.alpn_protocols.insert(0, b"h2".to_vec());
            let connector = |config| TlsConnector::from(Arc::new(config));
            Ok::<_, String>(Connectors { http1: connector(http1), http2: connector(http2) })
        });
        let made = made.await?;
        Ok(match alpn {
            Alpn::Http1 => made.http1.clone(),
            Alpn::Http2 => made.http2.clone(),
        })
    }
}

fn native_roots() -> Result<RootCertStore, String> {
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::warn!(%error, "cannot read a trusted root certificate");
    }
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(found.certs);
    if added == 0 {
        return Err(
            "found no trusted root certificates: install the system's CA certificates, or set SSL_CERT_FILE to a PEM \
             file"
                .to_owned(),
        );
    }
    Ok(roots)
}

fn client_config(roots: Arc<RootCertStore>) -> Result<ClientConfig, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config.resumption = Resumption::store(Arc::new(Sessions::default()));
    Ok(config)
}

/// The TLS sessions that can be resumed. The store of rustls keeps only eight tickets per server.
#[derive(Default)]
struct Sessions(Mutex<HashMap<ServerName<'static>, Session>>);

#[derive(Default)]
struct Session {
    group: Option<NamedGroup>,
    tls12: Option<Tls12ClientSessionValue>,
    tickets: VecDeque<Tls13ClientSessionValue>,
}

impl Sessions {
    fn lock(&self) -> MutexGuard<'_, HashMap<ServerName<'static>, Session>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Sessions {
    /// Leaves out the sessions, which are secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sessions")
    }
}

impl ClientSessionStore for Sessions {
    fn set_kx_hint(&self, server: ServerName<'static>, group: NamedGroup) {
        self.lock().entry(server).or_default().group = Some(group);
    }

    fn kx_hint(&self, server: &ServerName<'_>) -> Option<NamedGroup> {
        self.lock().get(server)?.group
    }

    fn set_tls12_session(&self, server: ServerName<'static>, value: Tls12ClientSessionValue) {
        self.lock().entry(server).or_default().tls12 = Some(value);
    }

    fn tls12_session(&self, server: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        self.lock().get(server)?.tls12.clone()
    }

    fn remove_tls12_session(&self, server: &ServerName<'static>) {
        if let Some(session) = self.lock().get_mut(server) {
            session.tls12 = None;
        }
    }

    fn insert_tls13_ticket(&self, server: ServerName<'static>, value: Tls13ClientSessionValue) {
        let mut sessions = self.lock();
        let tickets = &mut sessions.entry(server).or_default().tickets;
        if tickets.len() == TICKETS {
            tickets.pop_front();
        }
        tickets.push_back(value);
    }

    fn take_tls13_ticket(&self, server: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        self.lock().get_mut(server)?.tickets.pop_back()
    }
}
