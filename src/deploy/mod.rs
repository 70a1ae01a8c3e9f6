//! Documents generated for AWS: IAM policies, the CloudWatch dashboard and alarms, and sample events. `template.yaml` contains
//! copies of some of them; `tests/cli/template.rs` compares the two.

pub mod alarms;
pub mod dashboard;
pub mod iam;
mod sample;

pub use sample::{EventKind, sample};
