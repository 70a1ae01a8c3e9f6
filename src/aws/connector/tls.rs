//! TLS: HTTP/1.1 only, the system's roots, and enough session tickets for a whole round.

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

/// Tickets kept per server. A ticket is good for one connection and servers give about two with each: with fewer
/// than a round has pings, the rest would go through full handshakes every tick. About 1.5 KB each.
const TICKETS: usize = 2_048;

/// Whom to trust.
#[derive(Debug, Clone, Default)]
pub enum Roots {
    /// The system's roots, or those of `SSL_CERT_FILE` and `SSL_CERT_DIR`, read at the first TLS connection.
    #[default]
    Native,
    /// These.
    Given(Arc<RootCertStore>),
}

/// The TLS settings that all connections share; made when first needed.
#[derive(Debug, Default)]
pub(super) struct Tls {
    roots: Roots,
    connector: OnceCell<SharedConnector>,
}

#[derive(Clone)]
struct SharedConnector(TlsConnector);

impl fmt::Debug for SharedConnector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TlsConnector")
    }
}

impl Tls {
    pub(super) fn new(roots: Roots) -> Self {
        Self { roots, connector: OnceCell::new() }
    }

    /// The connector. Reads the roots when it is the first to ask, off the async threads.
    pub(super) async fn connector(&self) -> Result<TlsConnector, String> {
        let made = self.connector.get_or_try_init(|| async {
            let roots = match &self.roots {
                Roots::Given(roots) => Arc::clone(roots),
                Roots::Native => {
                    let reading = tokio::task::spawn_blocking(native_roots);
                    Arc::new(reading.await.map_err(|error| error.to_string())??)
                }
            };
            client_config(roots).map(|config| SharedConnector(TlsConnector::from(Arc::new(config))))
        });
        Ok(made.await?.0.clone())
    }
}

fn native_roots() -> Result<RootCertStore, String> {
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::warn!(%error, "some trusted root certificates could not be read");
    }
    let mut roots = RootCertStore::empty();
    let (taken, _) = roots.add_parsable_certificates(found.certs);
    if taken == 0 {
        return Err(
            "no trusted root certificates were found: install the system's CA certificates, or name a \
                    PEM file in SSL_CERT_FILE"
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
    // Without this the server would choose HTTP/2 and put every ping on one connection of about 128 streams.
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config.resumption = Resumption::store(Arc::new(Sessions::default()));
    Ok(config)
}

/// What is remembered of TLS sessions: rustls' own store keeps eight tickets per server.
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
    /// Says nothing of the sessions: they are secrets.
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
