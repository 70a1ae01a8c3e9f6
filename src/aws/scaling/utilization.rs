//! The utilization of provisioned concurrency in CloudWatch.

use aws_sdk_cloudwatch::Client;
use aws_sdk_cloudwatch::types::{Dimension, Metric, MetricDataQuery, MetricStat, ScanBy, StatusCode};
use aws_smithy_types::DateTime as SdkTime;
use chrono::{DateTime, Utc};

use super::error::{line, unread};
use super::numbers::time;
use super::pages::pages;
use crate::domain::function::{Identity, Qualifier};
use crate::domain::preflight::Lookup;

/// The period of a data point in seconds, which is that of target tracking.
const PERIOD: i32 = 60;

pub(super) async fn last(
    client: &Client,
    of: &Identity,
    since: DateTime<Utc>,
    until: DateTime<Utc>,
) -> Lookup<Option<DateTime<Utc>>> {
    let dimension = |name: &str, value: String| Dimension::builder().name(name).value(value).build();
    let qualifier = of.qualifier.as_ref().map_or("$LATEST", Qualifier::as_str);
    let metric = Metric::builder()
        .namespace("AWS/Lambda")
        .metric_name("ProvisionedConcurrencyUtilization")
        .dimensions(dimension("FunctionName", of.name.to_string()))
        .dimensions(dimension("Resource", format!("{}:{qualifier}", of.name)));
    let statistic = MetricStat::builder().metric(metric.build()).period(PERIOD).stat("Maximum");
    let query = MetricDataQuery::builder().id("utilization").metric_stat(statistic.build()).build();
    let read = |token| {
        let request = client
            .get_metric_data()
            .metric_data_queries(query.clone())
            .start_time(SdkTime::from_secs(since.timestamp()))
            .end_time(SdkTime::from_secs(until.timestamp()))
            .scan_by(ScanBy::TimestampDescending)
            .set_next_token(token);
        async move {
            let output = match request.send().await {
                Ok(output) => output,
                Err(error) => return unread(&error),
            };
            let mut times = Vec::new();
            for result in output.metric_data_results.unwrap_or_default() {
                match result.status_code {
                    Some(StatusCode::Forbidden) => {
                        return Lookup::Denied("cloudwatch:GetMetricData".to_owned());
                    }
                    None | Some(StatusCode::Complete | StatusCode::PartialData) => {}
                    Some(other) => return Lookup::Failed(line(other.as_str())),
                }
                times.extend(result.timestamps.unwrap_or_default());
            }
            Lookup::Known((times, output.next_token))
        }
    };
    pages(read).await.then(|times| {
        let within = times.iter().filter_map(time).filter(|at| (since..until).contains(at));
        Lookup::Known(within.max())
    })
}
