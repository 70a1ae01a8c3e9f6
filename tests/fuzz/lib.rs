//! What reads the text of others: the pure rooms and the parser of Lambda's answers, built from the package's own sources but without its dependency on the AWS
//! SDK: a fuzz build with counters in every crate takes a minute instead of ten.

#[path = "../../src/aws/answer.rs"]
pub mod answer;
#[path = "../../src/config/mod.rs"]
pub mod config;
#[path = "../../src/domain/mod.rs"]
pub mod domain;
