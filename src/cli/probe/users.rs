//! The invocations of users during a probe.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::time::sleep;

use super::measure::{Measurement, Result};
use crate::cli::app::App;
use crate::cli::output::print_message;
use crate::domain::backlog::Metric;
use crate::domain::clean::clean;
use crate::domain::fleet::Target;
use crate::domain::future::later;
use crate::domain::preflight::Lookup;
use crate::domain::schedule::Minute;
use crate::engine::ports::Clock;
use crate::service::clock::SystemClock;

/// The time between two reads while the last ping of the probe is not counted yet.
const AGAIN_AFTER: Duration = Duration::from_secs(20);
/// The most reads. Metrics of Lambda lag by up to three minutes or so.
const MOST_READS: usize = 15;

/// Marks the gaps of an idle probe in which the function was invoked by others. Waits until the last ping of the probe
/// is counted, so that the invocations before it are counted as well.
pub(super) async fn mark(measured: &mut Measurement, app: &App, target: &Target, begun: DateTime<Utc>) {
    let Result::Idle(plan) = &mut measured.result else { return };
    let Some(last) = plan.last() else { return };
    let last = Minute::of(later(begun, TimeDelta::from_std(last).unwrap_or(TimeDelta::MAX)));
    let (metric, values) = (invocations(target), app.metric_values());
    let since = Minute::of(begun).instant();
    // An interrupted probe ends soon.
    let reads = if measured.is_complete { MOST_READS } else { 1 };
    for read in 1..=reads {
        let until = later(SystemClock.now(), TimeDelta::minutes(1));
        let counts = values.counts(target.region(), target.role.as_ref(), &metric, since, until).await;
        let counts = match counts {
            Lookup::Known(counts) => counts,
            other => return unread(&other),
        };
        // A ping at the end of a minute may count in the next one.
        let is_counted = counts.range(last..).next().is_some();
        if is_counted || read == reads {
            if !is_counted {
                unread(&Lookup::<()>::Failed("the last ping is not counted yet".to_owned()));
            }
            return plan.mark(begun, &counts);
        }
        if read == 1 {
            print_message("waiting for the metrics of the last ping, up to 5m");
        }
        sleep(AGAIN_AFTER).await;
    }
}

fn invocations(target: &Target) -> Metric {
    let name = target.id.name.to_string();
    let resource = target.id.qualifier.as_ref().map(|qualifier| format!("{name}:{qualifier}"));
    let resource = resource.map(|resource| ("Resource".to_owned(), resource));
    Metric {
        namespace: "AWS/Lambda".to_owned(),
        name: "Invocations".to_owned(),
        dimensions: [("FunctionName".to_owned(), name)].into_iter().chain(resource).collect(),
        statistic: "Sum",
    }
}

fn unread<T>(lookup: &Lookup<T>) {
    let reason = match lookup {
        Lookup::Denied(message) | Lookup::Failed(message) => clean(message).into_owned(),
        Lookup::Throttled(message) | Lookup::Unreachable(message) => clean(message).into_owned(),
        Lookup::Missing | Lookup::NotRead | Lookup::Known(_) => "no answer".to_owned(),
    };
    print_message(&format!(
        "warning: invocations of others may have gone unnoticed: AWS/Lambda Invocations: {reason}"
    ));
}
