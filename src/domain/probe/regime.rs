//! The threshold between cold and semi-cold starts.

use std::time::Duration;

use super::start::{Measured, Start};

/// The samples on each side of the gap, at least.
pub const LEAST_SAMPLES: usize = 5;
/// The factor between the times on both sides of the gap, at least.
pub const LEAST_FACTOR: f64 = 3.0;

/// Returns the time below which a start is semi-cold: the middle of the largest gap between the sorted times without
/// their holds, measured as a factor. `None` until there are [`LEAST_SAMPLES`] on each side of it, and unless it is at least
/// [`LEAST_FACTOR`].
pub fn semi_cold_below(times: &[Duration]) -> Option<Duration> {
    let mut sorted: Vec<f64> = times.iter().map(Duration::as_secs_f64).filter(|time| *time > 0.0).collect();
    sorted.sort_by(f64::total_cmp);
    let gaps = sorted.windows(2).enumerate().filter_map(|(index, pair)| match pair {
        [low, high] => Some((index + 1, *low, *high)),
        _ => None,
    });
    let (below, low, high) = gaps.max_by(|(_, low, high), (_, other_low, other_high)| {
        (high / low).total_cmp(&(other_high / other_low))
    })?;
    let is_clear =
        high / low >= LEAST_FACTOR && below >= LEAST_SAMPLES && sorted.len() - below >= LEAST_SAMPLES;
    // The geometric mean: as far from either side by factor.
    is_clear.then(|| Duration::try_from_secs_f64((low * high).sqrt()).ok()).flatten()
}

/// Classifies the cold starts of all samples as cold or semi-cold, by their times without the holds. Returns the
/// threshold; `None` if all are cold.
pub(super) fn classify<'m>(samples: impl Iterator<Item = &'m mut Measured>) -> Option<Duration> {
    let mut cold: Vec<&mut Measured> =
        samples.filter(|sample| matches!(sample.start, Some(Start::Cold | Start::SemiCold))).collect();
    let times: Vec<Duration> = cold.iter().map(|sample| sample.without_hold()).collect();
    let threshold = semi_cold_below(&times);
    for sample in &mut cold {
        let is_semi_cold = threshold.is_some_and(|threshold| sample.without_hold() < threshold);
        sample.start = Some(if is_semi_cold { Start::SemiCold } else { Start::Cold });
    }
    threshold
}

#[cfg(test)]
#[path = "regime_tests.rs"]
mod tests;
