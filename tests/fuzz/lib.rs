//! The code that parses untrusted text: the pure modules and the parser of Lambda's answers, built from the package's
//! own sources. Without the AWS SDK, a fuzz build with counters in every crate takes one minute instead of ten.

#[path = "../../src/aws/answer.rs"]
pub mod answer;
#[path = "../../src/config/mod.rs"]
pub mod config;
#[path = "../../src/domain/mod.rs"]
pub mod domain;
