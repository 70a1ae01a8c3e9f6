//! The environments that are kept: those in use, and those that were in use until recently.

use std::collections::VecDeque;

/// The maximum of the values of the last seconds.
#[derive(Debug)]
pub(super) struct WindowMax {
    /// The seconds for which a value counts after its own.
    length: usize,
    /// Falling values with their seconds.
    values: VecDeque<(usize, u64)>,
}

impl WindowMax {
    pub fn new(length: usize) -> Self {
        Self { length, values: VecDeque::new() }
    }

    /// Adds a value and returns the maximum.
    pub fn push(&mut self, second: usize, value: u64) -> u64 {
        while self.values.pop_front_if(|(then, _)| *then + self.length < second).is_some() {}
        while self.values.pop_back_if(|(_, then)| *then <= value).is_some() {}
        self.values.push_back((second, value));
        self.values.front().map_or(0, |(_, most)| *most)
    }
}

/// Returns the environments that exist from each second on, from second 1 until the last one is let go, when each is
/// kept for `hold` seconds after its use. Those launched last are let go first, so a lower number never needs a launch.
pub(super) fn kept(in_use: &[u64], hold: usize) -> Vec<u64> {
    let used = in_use.iter().rposition(|number| *number > 0).map_or(0, |last| last + 1);
    let mut most = WindowMax::new(hold);
    let numbers =
        in_use.iter().take(used).copied().chain(std::iter::repeat_n(0, if used > 0 { hold } else { 0 }));
    let mut kept: Vec<u64> = (1..).zip(numbers).map(|(second, number)| most.push(second, number)).collect();
    kept.push(0);
    kept
}

/// Returns the number of launches for the environments that exist.
pub(super) fn started(kept: &[u64]) -> u64 {
    let rises =
        std::iter::once(&0).chain(kept).zip(kept).map(|(before, after)| after.saturating_sub(*before));
    rises.fold(0, u64::saturating_add)
}

/// Returns the environment-seconds that are billed for environments that exist: each from the start of its launch,
/// `launch` seconds before it serves, until it is let go, rounded up to `step` seconds.
pub(super) fn existed(kept: &[u64], launch: usize, step: usize) -> u128 {
    // The environments by the second from which they serve, the earliest first.
    let mut blocks: Vec<(usize, u64)> = Vec::new();
    let (mut before, mut sum) = (0_u64, 0_u128);
    for (second, number) in (1..).zip(kept.iter().copied().chain([0])) {
        if number > before {
            blocks.push((second, number - before));
        }
        let mut surplus = before.saturating_sub(number);
        while let Some((since, count)) = blocks.last_mut().filter(|_| surplus > 0) {
            let ended = surplus.min(*count);
            let seconds = (second - *since + launch).next_multiple_of(step);
            sum += u128::from(ended) * seconds as u128;
            (*count, surplus) = (*count - ended, surplus - ended);
            blocks.pop_if(|(_, count)| *count == 0);
        }
        before = number;
    }
    sum
}
