//! Every CloudWatch metric: name, unit, meaning and the data of a tick.

use chrono::{DateTime, Utc};

/// A CloudWatch unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// `Count`.
    Count,
    /// `Bytes`.
    Bytes,
    /// `Milliseconds`.
    Milliseconds,
    /// `None`: US dollars have no unit of their own.
    None,
}

/// One value of one metric.
#[derive(Debug, Clone, PartialEq)]
pub struct Datum {
    /// The metric's name.
    pub name: &'static str,
    /// Its unit.
    pub unit: Unit,
    /// Dimension names and values; empty for fleet metrics.
    pub dimensions: Vec<(&'static str, String)>,
    /// The value.
    pub value: f64,
}

/// The data of one tick.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// The CloudWatch namespace.
    pub namespace: String,
    /// The tick's instant: the timestamp of every datum.
    pub at: DateTime<Utc>,
    /// The data.
    pub data: Vec<Datum>,
}
