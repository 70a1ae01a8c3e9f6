//! An estimate of the fleet's memory, and its limit.
//!
//! A small file can describe a large fleet: every function in 39 regions, each with the windows that an alias repeats.

use super::super::reader::At;
use super::super::values::List;
use super::super::wire::WindowKeys;
use super::{Location, Resolver};

/// The limit, in bytes: twice the memory of 10,000 functions in 4 regions with 3 windows each.
const LIMIT: usize = 96 << 20;

/// The bytes of a target with its locations and texts, on the high side.
pub(super) const TARGET: usize = 1_100;
/// The bytes of a download, on the high side.
pub(super) const DOWNLOAD: usize = 1_200;
/// The bytes of a date or range of a calendar file.
pub(super) const DATE: usize = 40;

/// Estimates the bytes of a window with these keys over those of a named window.
pub(super) fn of_window(own: &WindowKeys, named: Option<&WindowKeys>) -> usize {
    fn length<T>(list: &Option<At<List<T>>>) -> usize {
        list.as_ref().map_or(0, |at| at.value.0.len())
    }
    let layer = |keys: &WindowKeys| {
        let cron = if keys.cron.is_some() { 2_000 } else { 0 };
        cron + 24 * length(&keys.dates) + 16 * (length(&keys.only) + length(&keys.except))
    };
    400 + layer(own) + named.map_or(0, layer)
}

impl Resolver<'_, '_> {
    /// Adds to the estimate. Returns `false` above the limit, which is reported once.
    pub(super) fn reserve_memory(&mut self, location: Location, bytes: usize) -> bool {
        let before = self.memory_estimate;
        self.memory_estimate = self.memory_estimate.saturating_add(bytes);
        if before <= LIMIT && self.memory_estimate > LIMIT {
            let hint = "split it between several instances of warmd: functions × regions × windows count";
            self.fail::<()>(location, "the fleet is too large from here on", hint);
        }
        self.memory_estimate <= LIMIT
    }
}
