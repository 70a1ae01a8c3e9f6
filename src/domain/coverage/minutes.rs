//! Minutes of open windows by what is known of them.

use std::ops::{Add, AddAssign};

use serde::{Deserialize, Serialize};

/// Minutes of open windows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Minutes {
    /// The minutes that are known to be warm or not.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub window: u64,
    /// Those of `window` that were warm.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub warm: u64,
    /// The minutes of which nothing is known. They are not in `window`.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unknown: u64,
    /// Those of `window` in which a guard or a budget had lowered the number. None of them is warm.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub capped: u64,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // The signature that serde calls.
fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Minutes {
    /// Returns the share of the known minutes that were warm, from 0 to 1; `None` without known minutes.
    pub fn coverage(self) -> Option<f64> {
        (self.window > 0).then(|| self.warm as f64 / self.window as f64)
    }

    /// Returns true if they may be those of one target in one hour.
    pub fn is_of_hour(self) -> bool {
        let is_within = |one: u64, other: u64, most: u64| one.saturating_add(other) <= most;
        is_within(self.window, self.unknown, 60) && is_within(self.warm, self.capped, self.window)
    }

    /// Returns true if there are none.
    pub fn is_empty(self) -> bool {
        self == Self::default()
    }
}

impl Add for Minutes {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            window: self.window.saturating_add(other.window),
            warm: self.warm.saturating_add(other.warm),
            unknown: self.unknown.saturating_add(other.unknown),
            capped: self.capped.saturating_add(other.capped),
        }
    }
}

impl AddAssign for Minutes {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl std::iter::Sum for Minutes {
    fn sum<I: Iterator<Item = Self>>(minutes: I) -> Self {
        minutes.fold(Self::default(), Add::add)
    }
}
