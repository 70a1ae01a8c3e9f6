//! Ports and adapters put together: AWS, or the emulator inside this process.

use std::future;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use serde_json::json;
use tracing::warn;

use super::error::Failure;
use super::value_parsers;
use crate::aws::fd_limit::{self, Demand};
use crate::aws::{AwsLambda, Clients, CloudWatch, STREAMS_PER_CONNECTION};
use crate::domain::cost::PriceBook;
use crate::domain::fleet::{HttpVersions, Limits, Target};
use crate::domain::function::Region;
use crate::emulator::{self, Emulator, Profile, Scenario};
use crate::engine::tick::Engine;

/// The world that pings go to.
#[derive(Debug, Clone)]
pub struct App {
    clients: Arc<Clients>,
    is_local: bool,
}

impl App {
    /// AWS, as the SDK is configured: environment, profiles, endpoints.
    pub async fn aws() -> Self {
        Self { clients: Arc::new(Clients::load().await), is_local: false }
    }

    /// The emulator, started inside this process on loopback. It knows every function; those of `targets` have the
    /// memory, timeout and architecture that are configured for them.
    ///
    /// # Errors
    /// When loopback cannot be listened on.
    pub fn local(targets: &[Target]) -> Result<Self, Failure> {
        let failed = |error| Failure::Unexpected(format!("cannot start the emulator on loopback: {error}"));
        let listener = emulator::listen(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).map_err(failed)?;
        let endpoint = format!("http://{}", listener.local_addr().map_err(failed)?);
        let emulator = Emulator::new(scenario(targets));
        tokio::spawn(async move { emulator.serve(listener, None, future::pending()).await });
        Ok(Self { clients: Arc::new(Clients::local(&endpoint)), is_local: true })
    }

    /// The world that `local` asks for.
    ///
    /// # Errors
    /// As [`App::local`].
    pub async fn of(local: bool, targets: &[Target]) -> Result<Self, Failure> {
        if local { Self::local(targets) } else { Ok(Self::aws().await) }
    }

    /// The SDK's clients.
    pub fn clients(&self) -> &Arc<Clients> {
        &self.clients
    }

    /// The warmer's own region.
    ///
    /// # Errors
    /// When none is configured, or one that is not known.
    pub fn own_region(&self) -> Result<Region, Failure> {
        let none = "no region: say --region, set AWS_REGION, or `region` in the profile";
        let name = self.clients.own_region().map_err(|_| Failure::Usage(none.to_owned()))?;
        value_parsers::region(name).map_err(Failure::Usage)
    }

    /// CloudWatch in the warmer's own region.
    ///
    /// # Errors
    /// When no region is configured.
    pub fn cloudwatch(&self) -> Result<CloudWatch, Failure> {
        self.clients.cloudwatch().map_err(|error| Failure::Usage(error.to_string()))
    }

    /// An engine that pings this world within `limits`, with fewer pings in flight when that many connections do not
    /// fit into the process.
    ///
    /// # Errors
    /// When `largest`, the pings of the largest round, do not fit: a round is never cut.
    pub fn engine(&self, limits: Limits, largest: u32) -> Result<Arc<Engine<AwsLambda>>, Failure> {
        let cap = self.cap(limits, largest)?;
        let lambda = AwsLambda::new(Arc::clone(&self.clients));
        let engine = Engine::new(lambda, PriceBook::embedded(), cap);
        engine.set_wire(limits.wire);
        Ok(Arc::new(engine))
    }

    /// How many pings may be in flight.
    ///
    /// # Errors
    /// As [`App::engine`].
    pub fn cap(&self, limits: Limits, largest: u32) -> Result<usize, Failure> {
        let max_in_flight = limits.max_in_flight;
        let capacity = self.room(limits, largest)?;
        let wanted = usize::try_from(max_in_flight).unwrap_or(usize::MAX);
        if wanted > capacity {
            warn!(
                max_in_flight,
                capacity, "the limit of open files allows fewer pings in flight than limits.max_in_flight"
            );
        }
        Ok(wanted.min(capacity))
    }

    /// For how many pings at once there is room.
    ///
    /// # Errors
    /// As [`App::engine`].
    pub fn room(&self, limits: Limits, largest: u32) -> Result<usize, Failure> {
        let demand = self.demand(limits);
        let capacity = fd_limit::capacity(demand);
        if u64::from(largest) > capacity as u64 {
            let needed = fd_limit::needed(largest, demand);
            return Err(Failure::Usage(format!(
                "a round of {largest} pings does not fit: the limit of open files leaves room for {capacity} in flight\n\
                 hint: raise it with `ulimit -n {needed}` (`LimitNOFILE={needed}` in a systemd unit), or warm fewer \
                 environments at once"
            )));
        }
        Ok(capacity)
    }
}

impl App {
    fn demand(&self, limits: Limits) -> Demand {
        match limits.wire.http {
            // Both ends of every connection are in this process.
            _ if self.is_local => Demand::PerPing(2),
            HttpVersions::Auto if self.clients.lambda_has_tls() => Demand::Shared(STREAMS_PER_CONNECTION),
            HttpVersions::Auto | HttpVersions::Http1 => Demand::PerPing(1),
        }
    }
}

/// What the emulator should know about the fleet, so that a first run looks like the real thing.
fn scenario(targets: &[Target]) -> Scenario {
    targets.iter().fold(Scenario::default(), |scenario, target| {
        let usual = Profile::default();
        let architecture = ("Architectures".to_owned(), json!([target.architecture.as_str()]));
        let profile = Profile {
            memory_mb: target.memory_mb.unwrap_or(usual.memory_mb),
            timeout: target.timeout.unwrap_or(usual.timeout),
            configuration: [architecture].into_iter().collect(),
            ..usual
        };
        scenario.with(target.id.name.as_str(), profile)
    })
}
