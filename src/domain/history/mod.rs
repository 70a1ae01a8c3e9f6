//! The history: for each target and hour the minutes of open windows, pings, cold starts, bytes and cost.
//!
//! A document holds one UTC day of one region ([`DayFile`]). It is gzip with one member for each hour, and a member is
//! a line of JSON for each target, so that `zcat` shows all of it.

mod attained;
mod file;
mod observed;
mod open;
mod refused;
mod retention;
mod row;
mod unmoved;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use super::function::Identity;

pub use self::attained::{Attained, FleetAttained, Objectives};
pub use self::file::{BadHistory, DayFile, DayMinutes};
pub use self::observed::Observed;
pub use self::open::{Noted, OpenHistory, Others};
pub use self::refused::Refused;
pub use self::retention::first_kept;
pub use self::row::{COST_ITEMS, CapacityHour, Row, ShortReason};
pub use self::unmoved::Unmoved;

/// The rows of one hour.
pub type Rows = BTreeMap<Identity, Row>;

/// Adds rows to those of the same hour.
pub fn add_rows(sums: &mut Rows, rows: impl IntoIterator<Item = (Identity, Row)>) {
    for (id, row) in rows {
        match sums.entry(id) {
            Entry::Vacant(place) => {
                place.insert(row);
            }
            Entry::Occupied(mut sum) => sum.get_mut().add(&row),
        }
    }
}

/// The history of a period.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct History {
    /// The rows by the hour, in hours since the Unix epoch.
    pub hours: BTreeMap<i64, Rows>,
    /// The documents that cannot be read, or not as a whole, each with the reason; for people.
    pub unread: Vec<String>,
}
