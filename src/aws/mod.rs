//! Adapters of the engine's ports on the AWS SDK.

pub mod answer;
mod attempts;
mod capacity;
mod clients;
mod cloudwatch;
pub mod connector;
mod control;
mod credentials;
mod error;
mod events;
pub mod fd_limit;
mod lambda;
mod metric_values;
mod observability;
mod s3;
mod scaling;
mod sign;

pub use capacity::PingCapacity;
pub use clients::{Clients, NoRegion};
pub use cloudwatch::CloudWatch;
pub use connector::STREAMS_PER_CONNECTION;
pub use control::AwsControl;
pub use events::EventBridge;
pub use lambda::AwsLambda;
pub use metric_values::MetricValues;
pub use observability::AwsObservability;
pub use s3::Bucket;
pub use scaling::AwsScaling;
