//! Wires the service to AWS, or to the emulator inside this process.

use std::future;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use serde_json::json;
use tokio::sync::OnceCell;

use super::direct::DirectLambda;
use super::error::Failure;
use super::output::Stderr;
use super::value_parsers;
use crate::aws::connector::{Connector, Dialer, Proxies, Roots};
use crate::aws::{
    AwsControl, AwsLambda, AwsScaling, Clients, CloudWatch, EventBridge, MetricValues, PingCapacity,
};
use crate::domain::fleet::Target;
use crate::domain::function::Region;
use crate::domain::s3_uri::S3Uri;
use crate::emulator::{self, Emulator, Profile, Scenario};
use crate::engine::metrics::ReadMetrics;
use crate::engine::ports::{Lambda, ObjectStore};
use crate::service::capacity::CapacityKeeper;
use crate::service::live_config::LiveConfig;
use crate::service::recorder::Recorder;
use crate::service::store::{DocumentStore, Durability};
use crate::service::{Policy, Service};

/// The service on AWS, or on the emulator.
pub type AwsService = Service<Box<dyn Lambda>, CloudWatch, EventBridge>;

/// The bytes that a connection inside the process buffers.
const BUFFER: usize = 64 << 10;

/// The SDK's clients of AWS. There is one set for the whole process.
static AWS: OnceCell<Arc<Clients>> = OnceCell::const_new();

/// The clients that commands use.
#[derive(Debug, Clone)]
pub struct App {
    clients: Arc<Clients>,
    is_local: bool,
    /// Receives the pings directly; none means over HTTP.
    direct: Option<Emulator>,
}

impl App {
    /// Connects to AWS with the configuration of the SDK: environment, profiles, endpoints.
    pub async fn aws() -> Self {
        let clients = AWS.get_or_init(async || Arc::new(Clients::load().await)).await;
        Self { clients: Arc::clone(clients), is_local: false, direct: None }
    }

    /// Starts the emulator inside this process on loopback. It has every function; those of `targets` have their
    /// configured memory, timeout and architecture.
    ///
    /// # Errors
    /// The emulator cannot listen on loopback.
    pub fn local(targets: &[Target]) -> Result<Self, Failure> {
        let failed = |error| Failure::Unexpected(format!("cannot start the emulator on loopback: {error}"));
        let listener = emulator::listen(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).map_err(failed)?;
        let endpoint = format!("http://{}", listener.local_addr().map_err(failed)?);
        let emulator = Emulator::new(scenario(targets));
        tokio::spawn(async move { emulator.serve(listener, None, future::pending()).await });
        Ok(Self { clients: Arc::new(Clients::local(&endpoint)), is_local: true, direct: None })
    }

    /// Starts the emulator inside this process without sockets, for commands on virtual time. It has every function, as
    /// with [`App::local`].
    pub fn simulated(targets: &[Target]) -> Self {
        Self::simulated_with(Emulator::new(scenario(targets)))
    }

    /// Starts an emulator inside this process without sockets, that remembers the totals of invocations and few of them.
    /// Pings reach it without HTTP.
    pub fn simulated_long(targets: &[Target]) -> (Self, Emulator) {
        let emulator = Emulator::new(Scenario { remembered: 100, ..scenario(targets) });
        let app = Self::simulated_with(emulator.clone());
        (Self { direct: Some(emulator.clone()), ..app }, emulator)
    }

    /// Starts to serve `emulator` inside this process without sockets.
    pub fn simulated_with(emulator: Emulator) -> Self {
        let dialer = Dialer::custom(move |_: &str, _| {
            let (near, far) = tokio::io::duplex(BUFFER);
            let emulator = emulator.clone();
            tokio::spawn(async move { emulator.serve_io(far).await });
            future::ready(Ok(near))
        });
        let connector = Connector::new(dialer, Roots::Native, Proxies::Direct);
        let clients = Clients::local_through("http://emulator.local", connector);
        Self { clients: Arc::new(clients), is_local: true, direct: None }
    }

    /// Starts the emulator if `local`, or connects to AWS.
    ///
    /// # Errors
    /// Same as [`App::local`].
    pub async fn of(local: bool, targets: &[Target]) -> Result<Self, Failure> {
        if local { Self::local(targets) } else { Ok(Self::aws().await) }
    }

    /// The SDK's clients.
    pub fn clients(&self) -> &Arc<Clients> {
        &self.clients
    }

    /// Returns the region that is configured for the SDK.
    ///
    /// # Errors
    /// No region is configured, or an unknown one.
    pub fn own_region(&self) -> Result<Region, Failure> {
        let none = "no region is configured\nhint: set --region, AWS_REGION, or `region` in the profile";
        let name = self.clients.own_region().map_err(|_| Failure::Usage(none.to_owned()))?;
        value_parsers::region(name).map_err(Failure::Usage)
    }

    /// Opens the object store under an S3 prefix.
    ///
    /// # Errors
    /// No region is configured. The message is for people.
    pub fn bucket(&self, uri: &S3Uri) -> Result<Arc<dyn ObjectStore>, String> {
        let bucket = self.clients.bucket(&uri.bucket, &uri.prefix).map_err(|error| error.to_string())?;
        Ok(Arc::new(bucket))
    }

    /// Opens the state store at `location`; memory without a location.
    ///
    /// # Errors
    /// An invalid location, or no region for S3.
    pub fn documents(&self, location: Option<&str>) -> Result<DocumentStore, Failure> {
        DocumentStore::open(location, |uri| self.bucket(uri)).map_err(Failure::Usage)
    }

    /// Creates a recorder in CloudWatch, with standard error as its fallback.
    ///
    /// # Errors
    /// No region is configured.
    pub fn recorder(&self) -> Result<Recorder<CloudWatch>, Failure> {
        let cloudwatch = self.clients.cloudwatch().map_err(|error| Failure::Usage(error.to_string()))?;
        Ok(Recorder::new(cloudwatch, Box::new(Stderr)))
    }

    /// Creates the service. `largest` is the number of pings of its largest round, see [`Service::new`].
    ///
    /// # Errors
    /// The largest round does not fit into the process.
    pub fn service(
        &self,
        live_config: LiveConfig,
        documents: DocumentStore,
        recorder: Option<Recorder<CloudWatch>>,
        largest: Option<u32>,
    ) -> Result<AwsService, Failure> {
        let capacity = PingCapacity::new(Arc::clone(&self.clients), self.is_local);
        let capacity = Box::new(move |limits, largest| capacity.in_flight(limits, largest));
        let lambda: Box<dyn Lambda> = match &self.direct {
            Some(emulator) => Box::new(DirectLambda(emulator.clone())),
            None => Box::new(AwsLambda::new(Arc::clone(&self.clients))),
        };
        let service = Service::new(lambda, live_config, documents, capacity, largest);
        let mut service = service.map_err(Failure::Usage)?;
        service.recorder = recorder;
        service.read_backlogs(self.metrics());
        Ok(service)
    }

    /// Creates a port for the metrics of backlogs.
    pub fn metrics(&self) -> Arc<dyn ReadMetrics> {
        Arc::new(MetricValues::new(Arc::clone(&self.clients)))
    }

    /// Adds the guards of rounds to a service.
    pub fn guard(&self, service: &mut AwsService, policy: Policy) {
        service.guard(Arc::new(AwsControl::without_retries(Arc::clone(&self.clients))));
        service.policy = policy;
    }

    /// Adds provisioned concurrency and managed instances to a service with a durable store. A selection by region has
    /// all targets of its regions, so what it does not name there is left over.
    pub fn drive(&self, service: &mut AwsService, documents: &DocumentStore) {
        if documents.durability() == Durability::Durable {
            service.drive(Arc::new(AwsScaling::new(Arc::clone(&self.clients))), true);
        }
    }

    /// Creates a reader of metrics.
    pub fn metric_values(&self) -> MetricValues {
        MetricValues::new(Arc::clone(&self.clients))
    }

    /// Creates a keeper of capacity for the work of an operator.
    pub fn keeper(&self, documents: DocumentStore) -> CapacityKeeper {
        CapacityKeeper::new(documents, Arc::new(AwsScaling::new(Arc::clone(&self.clients))), true)
    }
}

/// Returns a scenario with the configured properties of the functions.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::ports::{Condition, Fetched};
    use crate::service::store::contract;

    fn bucket(app: &App, uri: &str) -> Arc<dyn ObjectStore> {
        app.bucket(&S3Uri::parse(uri).unwrap().unwrap()).unwrap()
    }

    #[tokio::test]
    async fn s3_fulfils_the_contract_of_stores() {
        let app = App::local(&[]).unwrap();
        contract::verify(bucket(&app, "s3://warmd-state/live")).await;
    }

    #[tokio::test]
    async fn a_prefix_contains_its_own_objects_only() {
        let app = App::local(&[]).unwrap();
        let objects = bucket(&app, "s3://warmd-config/a/b");
        objects.put("x.yaml", b"1".to_vec(), Condition::New).await.unwrap();
        let deep = objects.put("deep/é &<.ics", b"2".to_vec(), Condition::New).await.unwrap();
        let parent = bucket(&app, "s3://warmd-config/a");
        parent.put("c.yaml", b"4".to_vec(), Condition::Always).await.unwrap();
        let listed = objects.list().await.unwrap();
        let keys: Vec<_> = listed.iter().map(|(key, _)| key.as_str()).collect();
        assert_eq!(keys, ["deep/é &<.ics", "x.yaml"]);
        assert_eq!(listed[0].1, deep);
        assert_eq!(objects.get("deep/é &<.ics", Some(&deep)).await, Ok(Fetched::Unchanged));
    }

    #[tokio::test]
    async fn long_lists_are_complete() {
        let app = App::local(&[]).unwrap();
        let objects = bucket(&app, "s3://warmd-config/many");
        for index in 0..1_001 {
            objects.put(&format!("{index:04}"), Vec::new(), Condition::Always).await.unwrap();
        }
        assert_eq!(objects.list().await.unwrap().len(), 1_001);
    }
}
