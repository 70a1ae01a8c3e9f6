//! How much memory the fleet takes, roughly, and where that must stop.
//!
//! A small file can ask for a large fleet: every function in 39 regions, each with the windows that an alias repeats.

use super::super::reader::At;
use super::super::values::List;
use super::super::wire::WindowKeys;
use super::{Mark, Resolver};

/// The most that a fleet may take, in bytes: twice what 10,000 functions take in 4 regions with 3 windows each.
const MOST: usize = 96 << 20;

/// A target, with its places and its texts, measured generously.
pub(super) const TARGET: usize = 1_100;

/// A window with these keys, laid over the ones of a named window.
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
    /// Adds to the fleet's weight. False when that is too much, which is reported once.
    pub(super) fn bear(&mut self, mark: Mark, bytes: usize) -> bool {
        let before = self.weight;
        self.weight = self.weight.saturating_add(bytes);
        if before <= MOST && self.weight > MOST {
            let problem = self
                .error(mark, "from here on the fleet is larger than warmd takes")
                .hint("count functions × regions × windows, and split the fleet between several warmd");
            self.problems.push(problem);
        }
        self.weight <= MOST
    }
}
