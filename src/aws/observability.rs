//! Dashboards and alarms in CloudWatch.
//!
//! Answers are distrusted: alarms with other names are left out, lists that do not end are failed reads, and the texts of
//! the service are cut and escaped.

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::Arc;

use aws_sdk_cloudwatch::Client;
use aws_sdk_cloudwatch::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_cloudwatch::types::{
    AlarmType, ComparisonOperator, CompositeAlarm, DashboardValidationMessage, Dimension,
    Metric as SdkMetric, MetricAlarm, MetricDataQuery, MetricStat, Statistic as SdkStatistic,
};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_types::retry::RetryConfig;

use super::clients::Clients;
use super::error::call_error;
use super::scaling::error::{line, unread};
use super::scaling::pages::pages;
use crate::domain::alarm::{
    Actions, Alarm, Comparison, Condition, MetricCondition, Missing, Query, Source, Statistic,
};
use crate::domain::function::Region;
use crate::domain::preflight::Lookup;
use crate::engine::observability::{DashboardFinding, DashboardRefused, Observability};
use crate::engine::ports::{CallError, ErrorKind};

/// The alarms of a page. Source: CloudWatch API reference, DescribeAlarms, 2026-11.
const ALARMS_PER_PAGE: i32 = 100;
/// The attempts of a request. PutMetricAlarm is limited to a few requests a second, and the SDK waits longer each time.
const ATTEMPTS: u32 = 6;

/// Dashboards and alarms through the SDK.
#[derive(Debug)]
pub struct AwsObservability {
    client: Client,
}

impl AwsObservability {
    /// Creates the port for a region. Throttled requests are retried.
    pub fn new(clients: &Arc<Clients>, region: Region) -> Self {
        Self::with(clients, region, RetryConfig::standard().with_max_attempts(ATTEMPTS))
    }

    /// Creates the port for a region without retries.
    pub fn without_retries(clients: &Arc<Clients>, region: Region) -> Self {
        Self::with(clients, region, RetryConfig::disabled())
    }

    fn with(clients: &Arc<Clients>, region: Region, retries: RetryConfig) -> Self {
        Self { client: clients.observability(region, retries) }
    }
}

impl Observability for AwsObservability {
    async fn dashboard(&self, name: &str) -> Result<Option<String>, CallError> {
        match self.client.get_dashboard().dashboard_name(name).send().await {
            Ok(output) => Ok(Some(output.dashboard_body.unwrap_or_default())),
            Err(error) if is_missing(&error) => Ok(None),
            Err(error) => Err(failed(&error)),
        }
    }

    async fn put_dashboard(&self, name: &str, body: &str) -> Result<Vec<DashboardFinding>, DashboardRefused> {
        match self.client.put_dashboard().dashboard_name(name).dashboard_body(body).send().await {
            Ok(output) => Ok(findings(output.dashboard_validation_messages)),
            Err(error) => {
                let invalid = error.as_service_error().and_then(|refused| match refused {
                    aws_sdk_cloudwatch::operation::put_dashboard::PutDashboardError::DashboardInvalidInputError(
                        invalid,
                    ) => Some(findings(invalid.dashboard_validation_messages.clone())),
                    _ => None,
                });
                Err(DashboardRefused { reason: failed(&error), findings: invalid.unwrap_or_default() })
            }
        }
    }

    async fn delete_dashboard(&self, name: &str) -> Result<(), CallError> {
        match self.client.delete_dashboards().dashboard_names(name).send().await {
            Ok(_) => Ok(()),
            Err(error) if is_missing(&error) => Ok(()),
            Err(error) => Err(failed(&error)),
        }
    }

    async fn alarms(&self, prefix: &str) -> Result<Vec<Alarm>, CallError> {
        let request = self
            .client
            .describe_alarms()
            .alarm_name_prefix(prefix)
            // Without types, composite alarms are left out.
            .alarm_types(AlarmType::MetricAlarm)
            .alarm_types(AlarmType::CompositeAlarm)
            .max_records(ALARMS_PER_PAGE);
        let read = |token| {
            let request = request.clone().set_next_token(token);
            async move {
                match request.send().await {
                    Ok(output) => {
                        let metric =
                            output.metric_alarms.unwrap_or_default().into_iter().filter_map(metric_alarm);
                        let composite = output.composite_alarms.unwrap_or_default();
                        let composite = composite.into_iter().filter_map(composite_alarm);
                        Lookup::Known((metric.chain(composite).collect(), output.next_token))
                    }
                    Err(error) => unread(&error),
                }
            }
        };
        let mut alarms: Vec<Alarm> = match pages(read).await {
            Lookup::Known(alarms) => alarms,
            Lookup::Denied(reason) => return Err(CallError::new(ErrorKind::AccessDenied, reason)),
            Lookup::Throttled(reason) => return Err(CallError::new(ErrorKind::Throttled, reason)),
            Lookup::Unreachable(reason) => return Err(CallError::new(ErrorKind::Unreachable, reason)),
            Lookup::Failed(reason) => return Err(CallError::new(ErrorKind::Other, reason)),
            Lookup::Missing | Lookup::NotRead => {
                return Err(CallError::new(ErrorKind::Other, "the alarms were not read"));
            }
        };
        alarms.retain(|alarm| alarm.name.starts_with(prefix));
        Ok(alarms)
    }

    async fn put_alarm(&self, alarm: &Alarm) -> Result<(), CallError> {
        let Alarm { name, description, actions, condition } = alarm;
        let Actions { enabled, alarm, ok, insufficient_data } = actions.clone();
        match condition {
            Condition::Composite(rule) => {
                let request = self
                    .client
                    .put_composite_alarm()
                    .alarm_name(name)
                    .alarm_description(description)
                    .alarm_rule(rule)
                    .actions_enabled(enabled)
                    .set_alarm_actions(Some(alarm))
                    .set_ok_actions(Some(ok))
                    .set_insufficient_data_actions(Some(insufficient_data));
                request.send().await.map(drop).map_err(|error| failed(&error))
            }
            Condition::Metric(condition) => {
                let request = self
                    .client
                    .put_metric_alarm()
                    .alarm_name(name)
                    .alarm_description(description)
                    .actions_enabled(enabled)
                    .set_alarm_actions(Some(alarm))
                    .set_ok_actions(Some(ok))
                    .set_insufficient_data_actions(Some(insufficient_data))
                    .evaluation_periods(int(condition.evaluation_periods))
                    .comparison_operator(ComparisonOperator::from(condition.comparison.name()))
                    .threshold(condition.threshold)
                    .treat_missing_data(condition.missing.name());
                let request = match condition.queries.as_slice() {
                    [Query { source: Source::Metric(metric), .. }] => request
                        .namespace(&metric.namespace)
                        .metric_name(&metric.name)
                        .set_dimensions(Some(dimensions(metric)))
                        .statistic(SdkStatistic::from(metric.statistic.as_str()))
                        .period(int(metric.period)),
                    queries => request.set_metrics(Some(queries.iter().enumerate().map(query).collect())),
                };
                request.send().await.map(drop).map_err(|error| failed(&error))
            }
            Condition::Other => {
                Err(CallError::new(ErrorKind::Other, "an alarm of this kind is not put by warmd"))
            }
        }
    }

    async fn delete_alarms(&self, names: &[String]) -> Result<(), CallError> {
        let deleted = self.client.delete_alarms().set_alarm_names(Some(names.to_vec())).send().await;
        match deleted {
            Ok(_) => Ok(()),
            Err(error) if is_missing(&error) => Ok(()),
            Err(error) => Err(failed(&error)),
        }
    }
}

/// Returns true if CloudWatch refused a call because a dashboard or an alarm does not exist.
fn is_missing<E: ProvideErrorMetadata, R>(error: &SdkError<E, R>) -> bool {
    matches!(error.code(), Some("ResourceNotFound" | "DashboardNotFoundError"))
}

/// Returns the kind of a failed call with the first line of its message, cut and escaped.
fn failed<E>(error: &SdkError<E, HttpResponse>) -> CallError
where
    E: ProvideErrorMetadata + Error + 'static,
{
    let CallError { kind, message } = call_error(error);
    CallError { kind, message: line(&message) }
}

/// Periods are hours at most, and counts are small.
fn int(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

fn findings(messages: Option<Vec<DashboardValidationMessage>>) -> Vec<DashboardFinding> {
    let finding = |message: DashboardValidationMessage| DashboardFinding {
        path: line(&message.data_path.unwrap_or_default()),
        message: line(&message.message.unwrap_or_default()),
    };
    messages.unwrap_or_default().into_iter().map(finding).collect()
}

fn dimensions(metric: &Statistic) -> Vec<Dimension> {
    let dimensions = metric.dimensions.iter();
    dimensions.map(|(name, value)| Dimension::builder().name(name).value(value).build()).collect()
}

fn query((index, query): (usize, &Query)) -> MetricDataQuery {
    let of = MetricDataQuery::builder().id(&query.id).return_data(index == 0);
    match &query.source {
        Source::Expression(expression) => of.expression(expression).build(),
        Source::Metric(metric) => {
            let sdk = SdkMetric::builder()
                .namespace(&metric.namespace)
                .metric_name(&metric.name)
                .set_dimensions(Some(dimensions(metric)))
                .build();
            let statistic =
                MetricStat::builder().metric(sdk).period(int(metric.period)).stat(&metric.statistic);
            of.metric_stat(statistic.build()).build()
        }
    }
}

/// Parses a composite alarm; `None` without a name.
fn composite_alarm(found: CompositeAlarm) -> Option<Alarm> {
    // Suppression is not made here, and kept by no change.
    let condition = match (found.alarm_rule, &found.actions_suppressor) {
        (Some(rule), None) => Condition::Composite(rule),
        _ => Condition::Composite(String::new()),
    };
    Some(Alarm {
        name: found.alarm_name?,
        description: found.alarm_description.unwrap_or_default(),
        actions: Actions {
            enabled: found.actions_enabled.unwrap_or(true),
            alarm: found.alarm_actions.unwrap_or_default(),
            ok: found.ok_actions.unwrap_or_default(),
            insufficient_data: found.insufficient_data_actions.unwrap_or_default(),
        },
        condition,
    })
}

/// Parses a metric alarm; `None` without a name.
fn metric_alarm(found: MetricAlarm) -> Option<Alarm> {
    let condition = condition(&found).map_or(Condition::Other, Condition::Metric);
    Some(Alarm {
        name: found.alarm_name?,
        description: found.alarm_description.unwrap_or_default(),
        actions: Actions {
            enabled: found.actions_enabled.unwrap_or(true),
            alarm: found.alarm_actions.unwrap_or_default(),
            ok: found.ok_actions.unwrap_or_default(),
            insufficient_data: found.insufficient_data_actions.unwrap_or_default(),
        },
        condition,
    })
}

/// Parses a condition; `None` for one that is not made here.
fn condition(found: &MetricAlarm) -> Option<MetricCondition> {
    let evaluation_periods = u32::try_from(found.evaluation_periods?).ok()?;
    let all = i32::try_from(evaluation_periods).ok();
    if found.datapoints_to_alarm.is_some_and(|some| Some(some) != all)
        || found.threshold_metric_id.is_some()
        || found.extended_statistic.is_some()
        || found.unit.is_some()
    {
        return None;
    }
    let queries = match found.metrics.as_deref() {
        None | Some([]) => vec![Query {
            id: "ticks".to_owned(),
            source: Source::Metric(Statistic {
                namespace: found.namespace.clone()?,
                name: found.metric_name.clone()?,
                dimensions: by_name(found.dimensions.as_deref()),
                statistic: found.statistic.as_ref()?.as_str().to_owned(),
                period: u32::try_from(found.period?).ok()?,
            }),
        }],
        Some(metrics) => {
            let mut queries: Vec<(bool, Query)> = metrics.iter().map(parsed).collect::<Option<_>>()?;
            queries.sort_by(|(a, one), (b, other)| b.cmp(a).then_with(|| one.id.cmp(&other.id)));
            queries.into_iter().map(|(_, query)| query).collect()
        }
    };
    Some(MetricCondition {
        queries,
        evaluation_periods,
        comparison: Comparison::parse(found.comparison_operator.as_ref()?.as_str())?,
        threshold: found.threshold?,
        missing: Missing::parse(found.treat_missing_data.as_deref()?)?,
    })
}

/// Parses a query, and whether the alarm watches it; `None` for one that is not made here.
fn parsed(found: &MetricDataQuery) -> Option<(bool, Query)> {
    let source = match (&found.expression, &found.metric_stat) {
        (Some(expression), None) => Source::Expression(expression.clone()),
        (None, Some(statistic)) => {
            let metric = statistic.metric.as_ref()?;
            Source::Metric(Statistic {
                namespace: metric.namespace.clone()?,
                name: metric.metric_name.clone()?,
                dimensions: by_name(metric.dimensions.as_deref()),
                statistic: statistic.stat.clone()?,
                period: u32::try_from(statistic.period?).ok()?,
            })
        }
        _ => return None,
    };
    Some((found.return_data != Some(false), Query { id: found.id.clone()?, source }))
}

fn by_name(dimensions: Option<&[Dimension]>) -> BTreeMap<String, String> {
    let dimensions = dimensions.unwrap_or_default().iter();
    dimensions.filter_map(|dimension| Some((dimension.name.clone()?, dimension.value.clone()?))).collect()
}
