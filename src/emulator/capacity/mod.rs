//! Capacity that clients request: provisioned concurrency of a qualifier.

use std::time::Duration;

use super::Emulator;
use super::errors::ErrorResponse;

/// A function with its qualifier.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Place {
    /// Account and region, as in [`Key::scope`](super::pool::Key).
    pub scope: String,
    /// The name.
    pub function: String,
    /// The alias or version.
    pub qualifier: String,
}

/// Requests `number` provisioned environments, as PutProvisionedConcurrencyConfig does, and with 0 as
/// DeleteProvisionedConcurrencyConfig does.
#[allow(dead_code, reason = "PutProvisionedConcurrencyConfig will call it")]
pub(super) fn request(emulator: &Emulator, place: &Place, number: u32) -> Result<(), ErrorResponse> {
    request_at(emulator, place, number, emulator.now())
}

/// Requests as [`request`] does, at the emulated time `at`, which may be in the past.
pub(super) fn request_at(
    _emulator: &Emulator,
    _place: &Place,
    _number: u32,
    _at: Duration,
) -> Result<(), ErrorResponse> {
    Ok(())
}

/// Returns the number that is requested; 0 without a configuration.
pub(super) fn requested(_emulator: &Emulator, _place: &Place) -> u32 {
    0
}

/// Returns the utilization of the provisioned environments in the minute that ends at the emulated time `end`: the
/// largest number that was busy at once, divided by the available ones. `None` without an invocation, or without
/// available environments.
pub(super) fn utilization(_emulator: &Emulator, _place: &Place, _end: Duration) -> Option<f64> {
    None
}
