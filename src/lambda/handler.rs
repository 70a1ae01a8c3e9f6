//! Converts events to triggers and serves them.

use std::io::{self, Write};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use lambda_runtime::{Context, Diagnostic, LambdaEvent as Invocation};
use serde_json::Value;
use tracing::{error, warn};

use super::logging;
use super::settings::Settings;
use crate::aws::{
    AwsControl, AwsLambda, AwsScaling, Clients, CloudWatch, EventBridge, MetricValues, PingCapacity, fd_limit,
};
use crate::domain::events::{DirectWarm, LambdaEvent};
use crate::domain::fleet::Fleet;
use crate::domain::function::Region;
use crate::domain::schedule::Minute;
use crate::domain::tick::TickReport;
use crate::domain::tick_line;
use crate::engine::ports::{Clock, ObjectStore};
use crate::service::budget::TimeBudget;
use crate::service::clock::SystemClock;
use crate::service::config_source::ConfigSource;
use crate::service::live_config::LiveConfig;
use crate::service::recorder::Recorder;
use crate::service::rounds::Part;
use crate::service::store::{DocumentStore, Durability};
use crate::service::{Bus, CustomPayload, Observer, Policy, Refusal, Service, Trigger, largest_round};

/// Serves events. An execution environment has one handler.
pub(super) struct Handler {
    service: Service<AwsLambda, CloudWatch, EventBridge>,
    /// The minutes between two firings of the schedule.
    tick_minutes: i64,
    /// The region of the Lambda, if it is known.
    own_region: Option<Region>,
}

impl Handler {
    /// Creates the handler with its clients before the first event.
    ///
    /// # Errors
    /// The reason why the settings or the configuration are refused.
    pub(super) async fn start(settings: Settings) -> Result<Self, String> {
        if let Err(error) = fd_limit::raise() {
            warn!(%error, "the limit of open files cannot be raised");
        }
        let clients = Arc::new(Clients::load().await);
        let connect = |uri: &_| connect(&clients, uri);
        let capacity = PingCapacity::new(Arc::clone(&clients), false);
        let source = ConfigSource::new(vec![settings.configs.clone()], settings.regions.clone(), connect);
        let source = source.for_capacity(settings.state.is_some());
        let source = match settings.custom_payload {
            CustomPayload::Allowed => source.for_pings(),
            // The payloads that name environment variables are not sent.
            CustomPayload::Refused => source,
        };
        let fits = |fleet: &Fleet| capacity.check(fleet.limits, largest_round(fleet)).map(drop);
        let live_config = LiveConfig::load_or_earlier(source, fits, SystemClock.now()).await?;
        live_config.warn_if_empty();
        let cloudwatch = clients.cloudwatch().map_err(|error| error.to_string())?;
        let events = clients.events().map_err(|error| error.to_string())?;
        let documents = DocumentStore::open(settings.state.as_deref(), connect)?;
        documents.sweep(SystemClock.now()).await;
        let capacity = Box::new(move |limits, largest| capacity.in_flight(limits, largest));
        let lambda = AwsLambda::new(Arc::clone(&clients));
        let is_durable = documents.durability() == Durability::Durable;
        let mut service = Service::new(lambda, live_config, documents, capacity, None)?;
        // CloudWatch reads embedded-metric lines from the standard output of a Lambda.
        service.recorder = Some(Recorder::new(cloudwatch, Box::new(io::stdout())));
        service.bus = settings.bus.map(|name| Bus { events, name });
        service.policy = Policy {
            max_age: settings.max_tick_age,
            custom_payload: settings.custom_payload,
            is_delivered_repeatedly: true,
            checks_contact: true,
            refreshes_facts: true,
        };
        service.guard(Arc::new(AwsControl::without_retries(Arc::clone(&clients))));
        service.read_backlogs(Arc::new(MetricValues::new(Arc::clone(&clients))));
        if is_durable {
            // `WARMD_REGIONS` selects all targets of its regions, so what it does not name there is left over.
            service.drive(Arc::new(AwsScaling::new(Arc::clone(&clients))), true);
        }
        let own_region = clients.own_region().ok().and_then(|region| Region::parse(region).ok());
        Ok(Self { service, tick_minutes: settings.tick_minutes, own_region })
    }

    /// Serves an event. The answer is the tick object.
    ///
    /// # Errors
    /// An event that is refused, or that should be delivered again. Nothing was sent for it.
    pub(super) async fn serve(&self, invocation: Invocation<Value>) -> Result<TickReport, Diagnostic> {
        let Invocation { payload, context } = invocation;
        logging::set_request_id(&context.request_id);
        let now = SystemClock.now();
        let budget = budget(&context, now);
        let event = LambdaEvent::parse(&payload).and_then(|event| event.check_time(now).map(|()| event));
        let trigger = event
            .map_err(|error| Refusal::Refused(error.to_string()))
            .and_then(|event| self.trigger(event, &context.request_id));
        let observer = TickLines { request_id: context.request_id };
        let served = match trigger {
            Ok(trigger) => self.service.serve(trigger, &budget, &observer).await,
            Err(refusal) => Err(self.service.refuse(refusal, &budget).await),
        };
        served.map(|outcome| outcome.report).map_err(|refusal| {
            let error_type = match refusal {
                Refusal::Refused(_) => "EventRefused",
                Refusal::StateUnavailable(_) => "StateUnavailable",
            };
            Diagnostic { error_type: error_type.to_owned(), error_message: refusal.to_string() }
        })
    }

    fn trigger(&self, event: LambdaEvent, request_id: &str) -> Result<Trigger, Refusal> {
        Ok(match event {
            LambdaEvent::Scheduled { at } => {
                Trigger::Schedule { at, previous: Minute::of(at).plus(-self.tick_minutes) }
            }
            LambdaEvent::Run { at } => Trigger::RunEvent { at, request_id: request_id.to_owned() },
            LambdaEvent::Shard { at, shard } => Trigger::Shard { at, shard },
            LambdaEvent::Request(request) => Trigger::Request(request),
            LambdaEvent::Deployed(deployment) => Trigger::Deployed(deployment),
            LambdaEvent::Ignored(reason) => Trigger::Ignored(reason),
            LambdaEvent::Warm(warm) => {
                let region = self.region(&warm).ok_or_else(|| {
                    Refusal::Refused("nothing was sent: the function's region is not known".to_owned())
                })?;
                Trigger::Warm { warm, region }
            }
        })
    }

    /// Returns the region of an ARN, of the event, or of the Lambda.
    fn region(&self, warm: &DirectWarm) -> Option<Region> {
        let of_arn = warm.function.place.as_ref().map(|(_, region)| *region);
        of_arn.or(warm.region).or(self.own_region)
    }
}

/// Opens a prefix of a bucket.
fn connect(clients: &Clients, uri: &crate::domain::s3_uri::S3Uri) -> Result<Arc<dyn ObjectStore>, String> {
    let bucket = clients.bucket(&uri.bucket, &uri.prefix).map_err(|error| error.to_string())?;
    Ok(Arc::new(bucket))
}

/// Returns the time that is left of an invocation.
fn budget(context: &Context, now: DateTime<Utc>) -> TimeBudget {
    let deadline = i64::try_from(context.deadline).ok().and_then(DateTime::from_timestamp_millis);
    let left = deadline.and_then(|deadline| deadline.signed_duration_since(now).to_std().ok());
    TimeBudget::fixed(left.unwrap_or_default())
}

/// Writes the parts of reports to the log.
struct TickLines {
    request_id: String,
}

impl Observer for TickLines {
    fn reported(&self, part: &Part) {
        let mut lines = tick_line::lines(&part.report, SystemClock.now(), &self.request_id).join("\n");
        lines.push('\n');
        let written = {
            let mut out = io::stdout().lock();
            out.write_all(lines.as_bytes()).and_then(|()| out.flush())
        };
        if let Err(error) = written {
            error!(%error, "the tick could not be written to standard output");
        }
    }
}
