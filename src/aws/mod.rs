//! Adapters of the ports on the AWS SDK.

mod clients;
mod cloudwatch;
pub mod connector;
mod credentials;
pub mod descriptors;
mod events;
mod lambda;
mod s3;

pub use clients::{Clients, NoRegion};
pub use cloudwatch::CloudWatch;
pub use events::EventBridge;
pub use lambda::AwsLambda;
pub use s3::Bucket;
