//! Adapters of the ports on the AWS SDK.

mod attempts;
mod clients;
mod cloudwatch;
pub mod connector;
mod control;
mod credentials;
pub mod descriptors;
mod events;
mod lambda;
mod s3;

pub use clients::{Clients, NoRegion};
pub use cloudwatch::CloudWatch;
pub use control::AwsControl;
pub use events::EventBridge;
pub use lambda::AwsLambda;
pub use s3::Bucket;
