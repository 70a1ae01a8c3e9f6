//! Values of metrics in CloudWatch.
//!
//! Answers are distrusted: a value that is no number of waiting requests, a metric without a result, and results that
//! do not fit together are failed reads. Points outside of the requested time are ignored.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_cloudwatch::Client;
use aws_sdk_cloudwatch::types::{
    Dimension, Metric as SdkMetric, MetricDataQuery, MetricDataResult, MetricStat, ScanBy, StatusCode,
};
use aws_smithy_types::DateTime as SdkTime;
use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::BoxFuture;
use rust_decimal::Decimal;
use rust_decimal::prelude::FromPrimitive;

use super::clients::{ByRole, Clients};
use super::scaling::error::{line, unread};
use super::scaling::numbers::time;
use super::scaling::pages::pages;
use crate::domain::backlog::{Metric, READ_METRICS, Sample};
use crate::domain::fleet::Role;
use crate::domain::function::Region;
use crate::domain::preflight::Lookup;
use crate::domain::schedule::Minute;
use crate::engine::metrics::ReadMetrics;

/// The period of a data point in seconds.
const PERIOD: i32 = 60;
/// The metrics of a request. Source: CloudWatch API reference, 2026-11.
const METRICS_PER_REQUEST: usize = 500;

/// Returns the query for a metric with a period of a minute.
pub(super) fn query<'d>(
    id: String,
    (namespace, name): (&str, &str),
    dimensions: impl IntoIterator<Item = (&'d str, String)>,
    statistic: &str,
) -> MetricDataQuery {
    let dimension = |(name, value)| Dimension::builder().name(name).value(value).build();
    let dimensions = dimensions.into_iter().map(dimension).collect();
    let metric =
        SdkMetric::builder().namespace(namespace).metric_name(name).set_dimensions(Some(dimensions)).build();
    let statistic = MetricStat::builder().metric(metric).period(PERIOD).stat(statistic).build();
    MetricDataQuery::builder().id(id).metric_stat(statistic).build()
}

/// GetMetricData: the results of queries in [`since`, `until`), the newest points first. A query may have several
/// results.
pub(super) async fn results(
    client: &Client,
    queries: Vec<MetricDataQuery>,
    since: DateTime<Utc>,
    until: DateTime<Utc>,
) -> Lookup<Vec<MetricDataResult>> {
    let request = client
        .get_metric_data()
        .set_metric_data_queries(Some(queries))
        .start_time(SdkTime::from_secs(since.timestamp()))
        .end_time(SdkTime::from_secs(until.timestamp()))
        .scan_by(ScanBy::TimestampDescending);
    let read = |token| {
        let request = request.clone().set_next_token(token);
        async move {
            match request.send().await {
                Ok(output) => {
                    Lookup::Known((output.metric_data_results.unwrap_or_default(), output.next_token))
                }
                Err(error) => unread(&error),
            }
        }
    };
    pages(read).await
}

/// Returns the points of a result as they are, or the reason why there are none.
pub(super) fn points(result: MetricDataResult) -> Lookup<(Vec<SdkTime>, Vec<f64>)> {
    match result.status_code {
        Some(StatusCode::Forbidden) => Lookup::Denied(READ_METRICS.to_owned()),
        None | Some(StatusCode::Complete | StatusCode::PartialData) => {
            Lookup::Known((result.timestamps.unwrap_or_default(), result.values.unwrap_or_default()))
        }
        Some(other) => Lookup::Failed(line(other.as_str())),
    }
}

/// Values of metrics through the SDK.
#[derive(Debug)]
pub struct MetricValues {
    clients: Arc<Clients>,
    cache: Mutex<ByRole<Client>>,
}

impl MetricValues {
    /// Creates the port over these clients. Each request is sent once.
    pub fn new(clients: Arc<Clients>) -> Self {
        Self { clients, cache: Mutex::default() }
    }

    fn client(&self, region: Region, role: Option<&Arc<Role>>) -> Client {
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        let client =
            cache.entry((region, role.cloned())).or_insert_with(|| self.clients.metric_values(region, role));
        client.clone()
    }
}

impl MetricValues {
    /// GetMetricData: the values of a metric by minute in [`since`, `until`). Values that are no whole numbers are
    /// rounded down, and negative ones are 0.
    pub async fn counts(
        &self,
        region: Region,
        role: Option<&Arc<Role>>,
        metric: &Metric,
        since: DateTime<Utc>,
        until: DateTime<Utc>,
    ) -> Lookup<BTreeMap<Minute, u64>> {
        let dimensions = metric.dimensions.iter().map(|(name, value)| (name.as_str(), value.clone()));
        let query = query(id(0), (&metric.namespace, &metric.name), dimensions, metric.statistic);
        let results = match results(&self.client(region, role), vec![query], since, until).await {
            Lookup::Known(results) => results,
            other => return other.then(|_| Lookup::NotRead),
        };
        let mut counts = BTreeMap::new();
        for result in results {
            match points(result) {
                Lookup::Known((times, values)) => {
                    let known = times.iter().zip(values).filter_map(|(at, value)| Some((time(at)?, value)));
                    // A cast of a float saturates, and NaN is 0.
                    counts.extend(known.map(|(at, value)| (Minute::of(at), value as u64)));
                }
                other => return other.then(|_| Lookup::NotRead),
            }
        }
        Lookup::Known(counts)
    }
}

impl ReadMetrics for MetricValues {
    fn latest<'a>(
        &'a self,
        region: Region,
        role: Option<&'a Arc<Role>>,
        metrics: &'a [Arc<Metric>],
        since: DateTime<Utc>,
        until: DateTime<Utc>,
    ) -> BoxFuture<'a, Vec<Lookup<Option<Sample>>>> {
        Box::pin(async move {
            let client = self.client(region, role);
            let mut all = Vec::with_capacity(metrics.len());
            for some in metrics.chunks(METRICS_PER_REQUEST) {
                all.extend(latest(&client, some, since, until).await);
            }
            all
        })
    }
}

/// Returns the latest values of at most [`METRICS_PER_REQUEST`] metrics.
async fn latest(
    client: &Client,
    metrics: &[Arc<Metric>],
    since: DateTime<Utc>,
    until: DateTime<Utc>,
) -> Vec<Lookup<Option<Sample>>> {
    let query = |(index, metric): (usize, &Arc<Metric>)| {
        let dimensions = metric.dimensions.iter().map(|(name, value)| (name.as_str(), value.clone()));
        query(id(index), (&metric.namespace, &metric.name), dimensions, metric.statistic)
    };
    let results = match results(client, metrics.iter().enumerate().map(query).collect(), since, until).await {
        Lookup::Known(results) => results,
        other => return vec![other.then(|_| Lookup::NotRead); metrics.len()],
    };
    let mut by_id: HashMap<String, Vec<MetricDataResult>> = HashMap::new();
    for mut result in results {
        // A result without an id, or with an unknown one, belongs to no metric.
        by_id.entry(result.id.take().unwrap_or_default()).or_default().push(result);
    }
    let read = |(index, metric): (usize, &Arc<Metric>)| match by_id.remove(&id(index)) {
        Some(results) => newest(results, metric, since, until),
        None => Lookup::Failed("the answer has no result for the metric".to_owned()),
    };
    metrics.iter().enumerate().map(read).collect()
}

/// Returns the id of a query, which begins with a lower-case letter.
fn id(index: usize) -> String {
    format!("m{index}")
}

/// Returns the newest value of a metric.
fn newest(
    results: Vec<MetricDataResult>,
    metric: &Metric,
    since: DateTime<Utc>,
    until: DateTime<Utc>,
) -> Lookup<Option<Sample>> {
    // A sum grows until its minute is over.
    let is_sum = matches!(metric.statistic, "Sum" | "SampleCount");
    let until = if is_sum { until - TimeDelta::seconds(i64::from(PERIOD) - 1) } else { until };
    let mut newest: Option<(DateTime<Utc>, f64)> = None;
    for result in results {
        let (times, values) = match points(result) {
            Lookup::Known(points) => points,
            other => return other.then(|_| Lookup::NotRead),
        };
        if times.len() != values.len() {
            let (times, values) = (times.len(), values.len());
            return Lookup::Failed(format!("the answer has {times} times and {values} values"));
        }
        let points = times.iter().zip(values).filter_map(|(at, value)| Some((time(at)?, value)));
        let within = points.filter(|(at, _)| (since..until).contains(at));
        newest = newest.into_iter().chain(within).max_by_key(|(at, _)| *at);
    }
    let Some((at, value)) = newest else { return Lookup::Known(None) };
    // Decimals have 96 bits: larger values, infinite ones and NaN have none.
    match Decimal::from_f64(value).filter(|value| *value >= Decimal::ZERO) {
        Some(value) => Lookup::Known(Some(Sample { at, value })),
        None => Lookup::Failed(format!("expected a number of waiting requests, found {value:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metric(statistic: &'static str) -> Metric {
        let (namespace, name) = ("AWS/SQS".to_owned(), "ApproximateNumberOfMessagesVisible".to_owned());
        Metric { namespace, name, dimensions: [("QueueName".to_owned(), "q".to_owned())].into(), statistic }
    }

    fn result(status: StatusCode, points: &[(i64, f64)]) -> MetricDataResult {
        let times = points.iter().map(|(at, _)| SdkTime::from_secs(*at)).collect();
        let values = points.iter().map(|(_, value)| *value).collect();
        MetricDataResult::builder()
            .status_code(status)
            .set_timestamps(Some(times))
            .set_values(Some(values))
            .build()
    }

    fn read_as(statistic: &'static str, points: &[(i64, f64)]) -> Lookup<Option<Sample>> {
        let at = |seconds| DateTime::from_timestamp(seconds, 0).unwrap();
        newest(vec![result(StatusCode::Complete, points)], &metric(statistic), at(600), at(1_230))
    }

    fn sample(at: i64, value: &str) -> Lookup<Option<Sample>> {
        let at = DateTime::from_timestamp(at, 0).unwrap();
        Lookup::Known(Some(Sample { at, value: value.parse().unwrap() }))
    }

    #[test]
    fn the_newest_point_within_the_time_counts() {
        let read = |points: &[(i64, f64)]| read_as("Maximum", points);
        assert_eq!(read(&[]), Lookup::Known(None));
        assert_eq!(read(&[(660, 1.0), (720, 2.5), (600, 3.0)]), sample(720, "2.5"));
        // The time is half open. What is older, in the future or beyond the calendar is no value.
        assert_eq!(read(&[(540, 1.0), (1_260, 2.0), (i64::MAX, 3.0), (i64::MIN, 4.0)]), Lookup::Known(None));
        // The value of the running minute counts, but a sum that still grows does not.
        assert_eq!(read(&[(1_200, 5.0), (1_140, 9.0)]), sample(1_200, "5"));
        assert_eq!(read_as("Sum", &[(1_200, 5.0), (1_140, 9.0)]), sample(1_140, "9"));
    }

    #[test]
    fn what_is_no_number_of_requests_is_a_failure_and_no_older_value() {
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0, -1e-9, f64::MAX, 1e29] {
            let read = read_as("Maximum", &[(660, 7.0), (720, value)]);
            assert_eq!(
                read,
                Lookup::Failed(format!("expected a number of waiting requests, found {value:?}"))
            );
        }
        for (value, kept) in [(0.0, "0"), (-0.0, "0"), (1e15, "1000000000000000"), (1e-40, "0")] {
            assert_eq!(read_as("Maximum", &[(660, value)]), sample(660, kept), "{value}");
        }
    }

    #[test]
    fn results_that_do_not_fit_together_are_a_failure() {
        let until = DateTime::from_timestamp(1_200, 0).unwrap();
        let of = |results| newest(results, &metric("Maximum"), DateTime::UNIX_EPOCH, until);
        let good = || result(StatusCode::PartialData, &[(60, 1.0)]);
        // Pages may have parts of a metric in any order.
        assert_eq!(of(vec![result(StatusCode::Complete, &[(120, 4.0)]), good()]), sample(120, "4"));
        let forbidden = result(StatusCode::Forbidden, &[]);
        assert_eq!(of(vec![good(), forbidden]), Lookup::Denied(READ_METRICS.to_owned()));
        let failed = result(StatusCode::InternalError, &[(60, 1.0)]);
        assert_eq!(of(vec![failed]), Lookup::Failed("InternalError".to_owned()));
        let unknown = result(StatusCode::from("Odd\u{1b}[2J"), &[]);
        assert_eq!(of(vec![unknown]), Lookup::Failed("Odd\\u{1b}[2J".to_owned()));
        let odd = MetricDataResult::builder().timestamps(SdkTime::from_secs(60)).build();
        assert_eq!(of(vec![odd]), Lookup::Failed("the answer has 1 times and 0 values".to_owned()));
    }
}
