//! The utilization of provisioned concurrency in CloudWatch.

use aws_sdk_cloudwatch::Client;
use chrono::{DateTime, Utc};

use super::numbers::time;
use crate::aws::metric_values::{points, query, results};
use crate::domain::function::{Identity, Qualifier};
use crate::domain::preflight::Lookup;

/// Returns the latest point in [`since`, `until`).
pub(super) async fn last(
    client: &Client,
    of: &Identity,
    since: DateTime<Utc>,
    until: DateTime<Utc>,
) -> Lookup<Option<DateTime<Utc>>> {
    let qualifier = of.qualifier.as_ref().map_or("$LATEST", Qualifier::as_str);
    let dimensions =
        [("FunctionName", of.name.to_string()), ("Resource", format!("{}:{qualifier}", of.name))];
    let metric = ("AWS/Lambda", "ProvisionedConcurrencyUtilization");
    let query = query("utilization".to_owned(), metric, dimensions, "Maximum");
    results(client, vec![query], since, until).await.then(|results| {
        let mut last = None;
        for result in results {
            let times = match points(result) {
                Lookup::Known((times, _)) => times,
                other => return other.then(|_| Lookup::NotRead),
            };
            let within = times.iter().filter_map(time).filter(|at| (since..until).contains(at));
            last = last.max(within.max());
        }
        Lookup::Known(last)
    })
}
