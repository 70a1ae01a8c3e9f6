//! Byte streams to a server: name lookup and TCP, or a function supplied by a test.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout_at};

/// The lifetime of looked-up addresses. Lambda's DNS records have TTLs of 5 to 60 s.
const ADDRESSES_LIFE: Duration = Duration::from_secs(5);
/// The lifetime of a failed lookup, so that a thousand pings do not repeat it one after the other.
const FAILURE_LIFE: Duration = Duration::from_secs(1);
/// The number of addresses tried for one connection.
const TRIES: usize = 3;
/// The TCP keepalive interval. Functions may be silent for 900 s, and NAT gateways drop a silent connection after 350
/// s.
const KEEPALIVE: Duration = Duration::from_secs(60);

/// A two-way byte stream.
pub trait Transport: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Transport for T {}

/// A future that opens a [`Transport`].
pub type Dialing = Pin<Box<dyn Future<Output = io::Result<Box<dyn Transport>>> + Send>>;

/// A function of host and port that opens a [`Transport`].
type Dial = dyn Fn(&str, u16) -> Dialing + Send + Sync;

/// Opens byte streams.
#[derive(Clone, Default)]
pub enum Dialer {
    /// Over TCP, with names looked up by the system.
    #[default]
    Tcp,
    /// Through a function of host and port. Tests run the real SDK over in-memory streams on paused time.
    Custom(Arc<Dial>),
}

impl Dialer {
    /// Creates a dialer that calls `dial` with host and port.
    pub fn custom<F, Fut, T>(dial: F) -> Self
    where
        F: Fn(&str, u16) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = io::Result<T>> + Send + 'static,
        T: Transport + 'static,
    {
        Self::Custom(Arc::new(move |host, port| {
            let dialing = dial(host, port);
            Box::pin(async move { Ok(Box::new(dialing.await?) as Box<dyn Transport>) })
        }))
    }
}

impl fmt::Debug for Dialer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "Tcp",
            Self::Custom(_) => "Custom",
        })
    }
}

/// The addresses of one server. Concurrent callers share one lookup.
#[derive(Debug, Default)]
pub(super) struct Addresses {
    lookup: Mutex<Option<Lookup>>,
}

#[derive(Debug)]
struct Lookup {
    until: Instant,
    /// The addresses, or the reason why there are none.
    addresses: Result<Vec<IpAddr>, String>,
    /// Increases by one with each connection, to spread the connections over the addresses.
    turn: usize,
}

impl Addresses {
    /// Returns a few addresses of `host` to try, in order.
    async fn of(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        if let Ok(literal) = host.parse() {
            return Ok(vec![literal]);
        }
        let mut lookup = self.lookup.lock().await;
        if lookup.as_ref().is_none_or(|lookup| lookup.until <= Instant::now()) {
            let (addresses, life) = match tokio::net::lookup_host((host, 0)).await {
                Ok(found) => (Ok(found.map(|address| address.ip()).collect()), ADDRESSES_LIFE),
                Err(error) => (Err(error.to_string()), FAILURE_LIFE),
            };
            let turn = lookup.as_ref().map_or(0, |lookup| lookup.turn);
            *lookup = Some(Lookup { until: Instant::now() + life, addresses, turn });
        }
        match lookup.as_mut() {
            Some(Lookup { addresses: Ok(addresses), turn, .. }) if !addresses.is_empty() => {
                *turn = turn.wrapping_add(1);
                Ok(to_try(addresses, *turn))
            }
            Some(Lookup { addresses: Err(reason), .. }) => Err(io::Error::other(reason.clone())),
            _ => Err(io::Error::other("the name has no address")),
        }
    }
}

/// Selects [`TRIES`] of the addresses, beginning with another one each turn. Address families alternate, the system's
/// preferred family first, so that a host without a route for one family still connects.
fn to_try(addresses: &[IpAddr], turn: usize) -> Vec<IpAddr> {
    let first_is_v6 = addresses.first().is_some_and(IpAddr::is_ipv6);
    let (mut preferred, mut other): (Vec<IpAddr>, Vec<IpAddr>) =
        addresses.iter().partition(|address| address.is_ipv6() == first_is_v6);
    for family in [&mut preferred, &mut other] {
        if !family.is_empty() {
            let by = turn % family.len();
            family.rotate_left(by);
        }
    }
    let mut order = Vec::with_capacity(addresses.len());
    let (mut preferred, mut other) = (preferred.into_iter(), other.into_iter());
    loop {
        let before = order.len();
        order.extend(preferred.next());
        order.extend(other.next());
        if order.len() == before || order.len() >= TRIES {
            order.truncate(TRIES);
            return order;
        }
    }
}

/// Opens a TCP connection to one of the addresses of `host`. Divides `limit` among the addresses.
///
/// # Errors
/// The failure of the last address; `TimedOut` when the limit passed.
pub(super) async fn tcp(
    host: &str,
    port: u16,
    addresses: &Addresses,
    limit: Duration,
) -> io::Result<TcpStream> {
    let deadline = Instant::now() + limit;
    let too_late = || io::Error::from(io::ErrorKind::TimedOut);
    let addresses = timeout_at(deadline, addresses.of(host)).await.map_err(|_| too_late())??;
    let mut last = too_late();
    let mut left = u32::try_from(addresses.len()).unwrap_or(u32::MAX);
    for address in addresses {
        let share = deadline.saturating_duration_since(Instant::now()) / left.max(1);
        left = left.saturating_sub(1);
        let connecting = TcpStream::connect(SocketAddr::new(address, port));
        match timeout_at(Instant::now() + share, connecting).await {
            Ok(Ok(stream)) => {
                stream.set_nodelay(true)?;
                rustix::net::sockopt::set_socket_keepalive(&stream, true)?;
                rustix::net::sockopt::set_tcp_keepidle(&stream, KEEPALIVE)?;
                rustix::net::sockopt::set_tcp_keepintvl(&stream, KEEPALIVE)?;
                return Ok(stream);
            }
            Ok(Err(error)) => last = error,
            Err(_) => last = too_late(),
        }
    }
    Err(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ips(texts: &[&str]) -> Vec<IpAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn both_families_are_among_the_addresses_tried() {
        let known = ips(&["2001:db8::1", "2001:db8::2", "2001:db8::3", "192.0.2.1"]);
        for turn in 0..5 {
            assert!(to_try(&known, turn).contains(&known[3]), "turn {turn}");
            assert!(to_try(&known, turn)[0].is_ipv6(), "the system's preferred family comes first");
        }
    }

    #[test]
    fn connections_spread_over_the_addresses() {
        let known = ips(&["192.0.2.1", "192.0.2.2", "192.0.2.3"]);
        let mut firsts: Vec<_> = (0..3).map(|turn| to_try(&known, turn)[0]).collect();
        firsts.sort();
        assert_eq!(firsts, known);
    }

    #[tokio::test]
    async fn a_name_that_does_not_exist_is_looked_up_once() {
        let addresses = Addresses::default();
        let first = addresses.of("no-such-host.invalid").await.unwrap_err().to_string();
        let until = addresses.lookup.lock().await.as_ref().unwrap().until;
        assert_eq!(addresses.of("no-such-host.invalid").await.unwrap_err().to_string(), first);
        assert_eq!(addresses.lookup.lock().await.as_ref().unwrap().until, until);
    }
}
