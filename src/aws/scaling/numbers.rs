//! Numbers and times of requests and answers.

use chrono::{DateTime, Utc};

use crate::domain::capacity::Bounds;

/// Returns a number of an answer; `None` if it is negative.
pub(super) fn number(number: i32) -> Option<u32> {
    u32::try_from(number).ok()
}

/// Returns a number for a request. The services refuse larger ones.
pub(super) fn int(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

/// Returns bounds of an answer; `None` if they are negative or inverted.
pub(super) fn bounds(min: i32, max: i32) -> Option<Bounds> {
    let bounds = Bounds { min: number(min)?, max: number(max)? };
    (bounds.min <= bounds.max).then_some(bounds)
}

/// Returns a time of an answer; `None` if it is not within the range of the calendar.
pub(in crate::aws) fn time(at: &aws_smithy_types::DateTime) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp(at.secs(), at.subsec_nanos())
}
