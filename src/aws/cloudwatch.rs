//! The Metrics port on the SDK: PutMetricData.

use std::time::SystemTime;

use aws_sdk_cloudwatch::Client;
use aws_sdk_cloudwatch::types::{Dimension, MetricDatum, StandardUnit};
use aws_smithy_types::DateTime;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::attempts::attempts;
use crate::domain::metric_data::{self, Batch, Datum};
use crate::domain::metrics::Unit;
use crate::engine::ports::{CallError, Delivery, ErrorKind, LostMetrics, Metrics, Unacknowledged};

/// CloudWatch, through the SDK.
#[derive(Debug, Clone)]
pub struct CloudWatch {
    client: Client,
}

impl CloudWatch {
    pub(super) fn new(client: Client) -> Self {
        Self { client }
    }
}

impl Metrics for CloudWatch {
    async fn put(&self, batch: &Batch, until: Instant) -> Result<(), LostMetrics> {
        let at = DateTime::from(SystemTime::from(batch.at));
        let chunks = metric_data::requests(batch);
        let mut requests = JoinSet::new();
        for (index, chunk) in chunks.iter().enumerate() {
            let request = self
                .client
                .put_metric_data()
                .namespace(&batch.namespace)
                .set_metric_data(Some(chunk.iter().map(|datum| to_sdk(datum, at)).collect()));
            requests
                .spawn(async move { (index, attempts(until, || request.clone().send()).await.map(drop)) });
        }
        // The chunk of a task that panics stays unknown.
        let mut ends = vec![Err(Delivery::Unknown); chunks.len()];
        let mut last_reason = None;
        while let Some(done) = requests.join_next().await {
            match done {
                Ok((index, Ok(()))) => ends[index] = Ok(()),
                Ok((index, Err(Unacknowledged { reason, delivery }))) => {
                    ends[index] = Err(delivery);
                    last_reason = Some(reason);
                }
                Err(panicked) => last_reason = Some(CallError::new(ErrorKind::Other, panicked.to_string())),
            }
        }
        let Some(reason) = last_reason else { return Ok(()) };
        let with = |delivery: Delivery| {
            let chunks = chunks.iter().zip(&ends).filter(|(_, end)| **end == Err(delivery));
            let data = chunks.flat_map(|(chunk, _)| chunk.iter().copied().cloned()).collect();
            Batch { data, ..batch.clone() }
        };
        Err(LostMetrics { lost: with(Delivery::NotProcessed), unknown: with(Delivery::Unknown), reason })
    }
}

fn to_sdk(datum: &Datum, at: DateTime) -> MetricDatum {
    let dimensions = datum.dimensions.iter();
    let dimensions: Vec<Dimension> =
        dimensions.map(|(name, value)| Dimension::builder().name(*name).value(value).build()).collect();
    MetricDatum::builder()
        .metric_name(datum.name)
        .unit(unit(datum.unit))
        .timestamp(at)
        .value(datum.value)
        .set_dimensions((!dimensions.is_empty()).then_some(dimensions))
        .build()
}

fn unit(unit: Unit) -> StandardUnit {
    match unit {
        Unit::Count => StandardUnit::Count,
        Unit::Bytes => StandardUnit::Bytes,
        Unit::Milliseconds => StandardUnit::Milliseconds,
        Unit::Seconds => StandardUnit::Seconds,
        Unit::None => StandardUnit::None,
    }
}
