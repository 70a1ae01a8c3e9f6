//! The Metrics port on the SDK: PutMetricData.

use std::time::SystemTime;

use aws_sdk_cloudwatch::Client;
use aws_sdk_cloudwatch::types::{Dimension, MetricDatum, StandardUnit};
use aws_smithy_types::DateTime;
use tokio::task::JoinSet;

use super::error::refusal;
use crate::domain::metrics::{self, Batch, Datum, Unit};
use crate::engine::ports::{LostMetrics, Metrics};

/// CloudWatch, through the SDK. Requests may be repeated by the SDK, within ten seconds altogether.
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
    async fn put(&self, batch: &Batch) -> Result<(), LostMetrics> {
        let at = DateTime::from(SystemTime::from(batch.at));
        let chunks = metrics::requests(batch);
        let mut requests = JoinSet::new();
        for (index, chunk) in chunks.iter().enumerate() {
            let request = self
                .client
                .put_metric_data()
                .namespace(&batch.namespace)
                .set_metric_data(Some(chunk.iter().map(|datum| wire(datum, at)).collect()));
            requests.spawn(async move { (index, request.send().await.map_err(|error| refusal(&error))) });
        }
        // Whatever is not acknowledged is lost.
        let mut taken = vec![false; chunks.len()];
        let mut why = None;
        while let Some(done) = requests.join_next().await {
            match done {
                Ok((index, Ok(_))) => taken[index] = true,
                Ok((_, Err(reason))) => why = Some(reason),
                Err(panicked) => why = Some(panicked.to_string()),
            }
        }
        let Some(reason) = why else { return Ok(()) };
        let lost = chunks.iter().zip(&taken).filter(|(_, taken)| !**taken);
        let data = lost.flat_map(|(chunk, _)| chunk.iter().copied().cloned()).collect();
        Err(LostMetrics { lost: Batch { data, ..batch.clone() }, reason })
    }
}

fn wire(datum: &Datum, at: DateTime) -> MetricDatum {
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
