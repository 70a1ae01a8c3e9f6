//! The Lambda: a tick for every scheduled event.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use lambda_runtime::{Diagnostic, Error, LambdaEvent, service_fn};
use serde::Deserialize;
use serde_json::Value;
use tracing::info;

use super::args::{LogFormat, Only};
use super::configuration::{Origin, largest};
use super::error::Failure;
use super::logging;
use super::run::due;
use super::values;
use super::wiring::World;
use crate::aws::{AwsLambda, CloudWatch, descriptors};
use crate::domain::fleet::Fleet;
use crate::domain::schedule::{Minute, Mode};
use crate::domain::tick::TickReport;
use crate::engine::record::{Recorded, Recorder};
use crate::engine::stop::stop;
use crate::engine::tick::Engine;

/// How often the schedule fires.
const PERIOD_MINUTES: i64 = 1;

/// EventBridge's scheduled event, as much of it as matters.
#[derive(Debug, Deserialize)]
struct Scheduled {
    source: String,
    #[serde(rename = "detail-type")]
    detail_type: String,
    time: DateTime<Utc>,
}

/// Everything that lives on between invocations.
struct Warmer {
    fleet: Fleet,
    engine: Arc<Engine<AwsLambda>>,
    recorder: Recorder<CloudWatch>,
}

/// Serves events until Lambda ends the environment.
///
/// # Errors
/// When the configuration is refused or Lambda's runtime interface cannot be reached.
pub async fn main() -> Result<(), Error> {
    logging::start(LogFormat::Json, &std::env::var("RUST_LOG").unwrap_or_else(|_| "info".to_owned()), false);
    let warmer = Warmer::start().await.map_err(|failure| Error::from(failure.to_string()))?;
    let warmer = &warmer;
    lambda_runtime::run(service_fn(
        |event: LambdaEvent<Value>| async move { warmer.serve(event.payload).await },
    ))
    .await
}

impl Warmer {
    async fn start() -> Result<Self, Failure> {
        if let Err(error) = descriptors::raise() {
            tracing::warn!(%error, "the limit of open files stays as it is");
        }
        let path =
            std::env::var_os("WARMD_CONFIGS").map_or_else(|| PathBuf::from("warm-configs"), PathBuf::from);
        let regions = std::env::var("WARMD_REGIONS").unwrap_or_default();
        let only = Only { regions: values::regions(&regions).map_err(Failure::Usage)? };
        let fleet = Origin::of_path(&path, &only).load()?.fleet;
        let world = World::aws().await;
        let engine = world.engine(fleet.limits.max_in_flight, largest(&fleet))?;
        engine.set_prices(fleet.prices.clone());
        // CloudWatch reads embedded-metric lines from a Lambda's standard output.
        let recorder = Recorder::new(world.cloudwatch()?, Box::new(io::stdout()));
        Ok(Self { fleet, engine, recorder })
    }

    /// One tick at the event's own time, so that a repeated delivery acts on its own minute.
    async fn serve(&self, event: Value) -> Result<TickReport, Diagnostic> {
        let at = scheduled(event)?;
        let mode = Mode::DueSince(Minute::of(at).plus(-PERIOD_MINUTES));
        let due = due(&self.fleet, at, mode);
        let (_stopper, stop) = stop();
        let report = self.engine.tick(at, Some(self.fleet.hash.clone()), due, &stop).await;
        match self.recorder.record(&report, &self.fleet.metrics).await {
            Recorded::Sent => info!(rounds = report.rounds.len(), "tick done"),
            // The recorder has said so already.
            Recorded::FellBack | Recorded::Lost => {}
        }
        Ok(report)
    }
}

/// The time of a scheduled event. Any other event is refused, and nothing is sent.
fn scheduled(event: Value) -> Result<DateTime<Utc>, Diagnostic> {
    let refused = |why: String| Diagnostic {
        error_type: "EventRefused".to_owned(),
        error_message: format!("this event is not served, and nothing was sent: {why}"),
    };
    let event: Scheduled = serde_json::from_value(event)
        .map_err(|error| refused(format!("it is not a scheduled event of EventBridge ({error})")))?;
    match (event.source.as_str(), event.detail_type.as_str()) {
        ("aws.events", "Scheduled Event") => Ok(event.time),
        (source, kind) => Err(refused(format!("`{kind}` from `{source}` is unknown"))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_scheduled_event_tells_its_time_and_others_are_refused() {
        let event = json!({
            "version": "0", "id": "1", "detail-type": "Scheduled Event", "source": "aws.events",
            "account": "123456789012", "time": "2026-11-20T09:00:00Z", "region": "eu-west-2",
            "resources": [], "detail": {},
        });
        assert_eq!(scheduled(event).unwrap().to_rfc3339(), "2026-11-20T09:00:00+00:00");
        insta::assert_snapshot!(scheduled(json!({"hello": 1})).unwrap_err().error_message, @"this event is not served, and nothing was sent: it is not a scheduled event of EventBridge (missing field `source`)");
        let other = json!({"detail-type": "Warm Request", "source": "shop", "time": "2026-11-20T09:00:00Z"});
        insta::assert_snapshot!(scheduled(other).unwrap_err().error_message, @"this event is not served, and nothing was sent: `Warm Request` from `shop` is unknown");
    }
}
