//! CloudWatch's GetMetricData in rpc-v2-cbor: the utilization of provisioned concurrency, the invocations of functions,
//! and the metrics that tests set.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use ciborium::tag::Required;
use serde::{Deserialize, Serialize};

use super::autoscaling::next_minute;
use super::capacity::{self, Place};
use super::cloudwatch::{self, Dimension, Number, cbor, invalid, malformed, missing};
use super::errors::ErrorResponse;
use super::scenario::Operation;
use super::wire::{Call, ConnectionCut, HttpResponse};
use super::{Emulator, Invocation, Observations};

/// Queries of a request. Source for this and the limit below: CloudWatch API reference, 2026-11.
const MAX_QUERIES: usize = 500;
/// Data points of a page.
const MAX_POINTS: usize = 100_800;
const MINUTE: TimeDelta = TimeDelta::minutes(1);

/// A metric: region, namespace, name and sorted dimensions.
type MetricKey = (String, String, String, Vec<(String, String)>);
/// The values that tests set, by metric and time.
pub(super) type Series = BTreeMap<MetricKey, BTreeMap<DateTime<Utc>, f64>>;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct GetMetricData {
    metric_data_queries: Option<Vec<Query>>,
    start_time: Option<Required<Number, 1>>,
    end_time: Option<Required<Number, 1>>,
    next_token: Option<String>,
    scan_by: Option<String>,
    max_datapoints: Option<usize>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Query {
    id: Option<String>,
    label: Option<String>,
    metric_stat: Option<MetricStat>,
    return_data: Option<bool>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct MetricStat {
    metric: Metric,
    period: u32,
    stat: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Metric {
    namespace: String,
    metric_name: String,
    #[serde(default)]
    dimensions: Vec<Dimension>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    metric_data_results: Vec<Results>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Results {
    id: String,
    label: String,
    timestamps: Vec<Required<f64, 1>>,
    values: Vec<f64>,
    status_code: &'static str,
}

/// Handles GetMetricData.
pub(super) async fn get_metric_data(
    emulator: &Emulator,
    call: &Call,
    body: &[u8],
) -> Result<HttpResponse, ConnectionCut> {
    let answer = || answer(emulator, call, body).map(|answer| cbor(200, &answer, &[]));
    cloudwatch::serve(emulator, call, Operation::GetMetricData, answer).await
}

fn time(seconds: Option<Required<Number, 1>>, name: &str) -> Result<DateTime<Utc>, ErrorResponse> {
    let Some(Required(Number::Value(seconds))) = seconds else {
        return Err(missing(format!("The parameter {name} is required.")));
    };
    DateTime::from_timestamp_millis((seconds * 1e3) as i64)
        .ok_or_else(|| invalid(format!("The parameter {name} is out of range.")))
}

/// Answers a request.
fn answer(emulator: &Emulator, call: &Call, body: &[u8]) -> Result<Answer, ErrorResponse> {
    let request: GetMetricData = ciborium::from_reader(body).map_err(malformed)?;
    let queries = request.metric_data_queries.unwrap_or_default();
    if queries.is_empty() || queries.len() > MAX_QUERIES {
        return Err(invalid(format!("The number of MetricDataQueries must be between 1 and {MAX_QUERIES}.")));
    }
    let (from, until) = (time(request.start_time, "StartTime")?, time(request.end_time, "EndTime")?);
    if from >= until {
        return Err(invalid("The parameter StartTime must be less than the parameter EndTime."));
    }
    let most = request.max_datapoints.unwrap_or(MAX_POINTS).clamp(1, MAX_POINTS);
    let mut skipped = match &request.next_token {
        None => 0,
        Some(token) => {
            let unknown = |_| ErrorResponse::new(400, "InvalidNextToken", "The NextToken is not valid.");
            token.parse::<usize>().map_err(unknown)?
        }
    };
    let page_end = skipped + most;
    let (mut room, mut is_last) = (most, true);
    let mut results = Vec::new();
    for query in queries.into_iter().filter(|query| query.return_data != Some(false)) {
        let id = query.id.unwrap_or_default();
        let Some(stat) = query.metric_stat else {
            return Err(invalid(format!("The emulator does not support the expression of query {id}.")));
        };
        let mut points = statistics(&stat, points(emulator, call.region(), &stat, (from, until))?)?;
        if request.scan_by.as_deref() != Some("TimestampAscending") {
            points.reverse();
        }
        let before = skipped.min(points.len());
        skipped -= before;
        let mut shown = points.split_off(before);
        let is_complete = shown.len() <= room;
        shown.truncate(room);
        room -= shown.len();
        is_last &= is_complete;
        results.push(Results {
            id,
            label: query.label.unwrap_or(stat.metric.metric_name),
            timestamps: shown.iter().map(|(at, _)| Required(at.timestamp() as f64)).collect(),
            values: shown.iter().map(|(_, value)| *value).collect(),
            status_code: if is_complete { "Complete" } else { "PartialData" },
        });
    }
    let next_token = (!is_last).then(|| page_end.to_string());
    Ok(Answer { metric_data_results: results, next_token })
}

/// Returns the values of a metric by minute in [`from`, `until`), of minutes that are over.
fn points(
    emulator: &Emulator,
    region: &str,
    stat: &MetricStat,
    (from, until): (DateTime<Utc>, DateTime<Utc>),
) -> Result<Vec<(DateTime<Utc>, f64)>, ErrorResponse> {
    let Metric { namespace, metric_name, dimensions } = &stat.metric;
    let period = i64::from(stat.period);
    if period == 0 || period % MINUTE.num_seconds() != 0 {
        return Err(invalid(format!("The emulator supports periods of whole minutes, not {period} s.")));
    }
    let from = DateTime::from_timestamp(from.timestamp().div_euclid(period) * period, 0).unwrap_or(from);
    let dimension = |name: &str| dimensions.iter().find(|dimension| dimension.name == name);
    let is_utilization = namespace == "AWS/Lambda" && metric_name == "ProvisionedConcurrencyUtilization";
    if !is_utilization {
        let mut dimensions: Vec<_> =
            dimensions.iter().map(|Dimension { name, value }| (name.clone(), value.clone())).collect();
        dimensions.sort();
        let key = (region.to_owned(), namespace.clone(), metric_name.clone(), dimensions);
        let state = emulator.state();
        if namespace == "AWS/Lambda" && metric_name == "Invocations" && !state.series.contains_key(&key) {
            let Some(function) = dimension("FunctionName") else { return Ok(Vec::new()) };
            let resource = dimension("Resource").map(|resource| resource.value.as_str());
            let at = ran(emulator, &state.observations, region, &function.value, resource);
            return Ok(at.filter(|at| (from..until).contains(at)).map(|at| (at, 1.0)).collect());
        }
        let series = state.series.get(&key).into_iter().flat_map(|series| series.range(from..until));
        return Ok(series.map(|(at, value)| (*at, *value)).collect());
    }
    let (Some(function), Some(resource), Some(origin)) =
        (dimension("FunctionName"), dimension("Resource"), emulator.inner.utc_origin.get())
    else {
        return Ok(Vec::new());
    };
    let Some((_, qualifier)) = resource.value.split_once(':').filter(|(name, _)| *name == function.value)
    else {
        return Ok(Vec::new());
    };
    let place = Place {
        scope: format!("{}/{region}", emulator.scenario().account.id),
        function: function.value.clone(),
        qualifier: qualifier.to_owned(),
    };
    let (mut end, now) =
        (next_minute((from - origin).to_std().unwrap_or(Duration::ZERO), *origin), emulator.now());
    let mut points = Vec::new();
    while end <= now {
        let at = *origin + end - MINUTE;
        if at >= until {
            break;
        }
        points.extend(capacity::utilization(emulator, &place, end).map(|value| (at, value)));
        end = next_minute(end, *origin);
    }
    Ok(points)
}

/// Returns the times of the invocations that ran, of the function or of `resource`, the function with a qualifier.
fn ran<'o>(
    emulator: &Emulator,
    observations: &'o Observations,
    region: &'o str,
    function: &'o str,
    resource: Option<&'o str>,
) -> impl Iterator<Item = DateTime<Utc>> + use<'o> {
    let origin = emulator.inner.utc_origin.get().copied();
    let is_asked = move |call: &&Invocation| {
        let name = call.qualifier.as_ref().map(|qualifier| format!("{function}:{qualifier}"));
        call.region == region
            && call.function == function
            && call.occupied.is_some()
            && resource.is_none_or(|resource| name.as_deref().unwrap_or(function) == resource)
    };
    let at = move |call: &Invocation| origin?.checked_add_signed(TimeDelta::from_std(call.arrived).ok()?);
    observations.invocations.iter().filter(is_asked).filter_map(at)
}

/// Returns a statistic of the values of each period.
fn statistics(
    MetricStat { period, stat, .. }: &MetricStat,
    points: Vec<(DateTime<Utc>, f64)>,
) -> Result<Vec<(DateTime<Utc>, f64)>, ErrorResponse> {
    let period = i64::from(*period);
    let mut periods: BTreeMap<i64, Vec<f64>> = BTreeMap::new();
    for (at, value) in points {
        periods.entry(at.timestamp().div_euclid(period) * period).or_default().push(value);
    }
    let statistic = |values: &[f64]| {
        let (sum, count) = (values.iter().sum::<f64>(), values.len() as f64);
        match stat.as_str() {
            "Average" => Ok(sum / count),
            "Sum" => Ok(sum),
            "SampleCount" => Ok(count),
            "Maximum" => Ok(values.iter().copied().fold(f64::MIN, f64::max)),
            "Minimum" => Ok(values.iter().copied().fold(f64::MAX, f64::min)),
            other => Err(invalid(format!("The emulator does not support the statistic {other}."))),
        }
    };
    let value = |(at, values): (i64, Vec<f64>)| {
        Ok((DateTime::from_timestamp(at, 0).unwrap_or_default(), statistic(&values)?))
    };
    periods.into_iter().map(value).collect()
}

impl Emulator {
    /// Sets a value of a metric at a time, for GetMetricData. It replaces an earlier value of that time.
    pub fn set_metric(
        &self,
        region: &str,
        (namespace, name): (&str, &str),
        dimensions: &[(&str, &str)],
        (at, value): (DateTime<Utc>, f64),
    ) {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let mut dimensions: Vec<(String, String)> = dimensions.iter().map(owned).collect();
        dimensions.sort();
        let key = (region.to_owned(), namespace.to_owned(), name.to_owned(), dimensions);
        self.state().series.entry(key).or_default().insert(at, value);
    }
}
