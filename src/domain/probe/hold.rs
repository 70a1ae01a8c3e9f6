//! The search for the shortest hold with which a round is proven.

use std::time::Duration;

/// The rounds that must all be proven with a hold.
pub const PROOFS: u32 = 5;
/// The shortest hold that is tried.
pub const SHORTEST_HOLD: Duration = Duration::from_millis(5);
/// The longest hold that is tried.
pub const LONGEST_HOLD: Duration = Duration::from_secs(10);
/// The hold that is tried first: the one of `auto` before any measurement.
const FIRST: Duration = Duration::from_millis(100);
/// The difference at which the search ends.
const RESOLUTION: Duration = Duration::from_millis(5);

/// A search by bisection, in steps of 5 ms. A round that is not proven rejects its hold at once.
#[derive(Debug, Clone, Default)]
pub struct HoldSearch {
    /// The longest hold that was rejected.
    rejected: Duration,
    /// The shortest hold that was proven in all rounds.
    proven: Option<Duration>,
    /// The rounds that were proven with the present hold.
    rounds: u32,
}

impl HoldSearch {
    /// Returns the hold of the next round; `None` when the search has ended.
    pub fn next(&self) -> Option<Duration> {
        match self.proven {
            None if self.rejected.is_zero() => Some(FIRST),
            None if self.rejected >= LONGEST_HOLD => None,
            None => Some((self.rejected * 2).min(LONGEST_HOLD)),
            Some(proven) if proven <= SHORTEST_HOLD || proven - self.rejected <= RESOLUTION => None,
            Some(proven) => {
                let steps = (proven + self.rejected).as_millis() / 2 / RESOLUTION.as_millis();
                let middle = RESOLUTION * u32::try_from(steps).unwrap_or(u32::MAX);
                Some(middle.max(self.rejected + RESOLUTION).max(SHORTEST_HOLD).min(proven - RESOLUTION))
            }
        }
    }

    /// Adds the result of a round with the hold that [`HoldSearch::next`] returned.
    pub fn note(&mut self, is_proven: bool) {
        let Some(hold) = self.next() else { return };
        if !is_proven {
            (self.rejected, self.rounds) = (hold, 0);
            return;
        }
        self.rounds += 1;
        if self.rounds >= PROOFS {
            (self.proven, self.rounds) = (Some(hold), 0);
        }
    }

    /// Returns the shortest hold that was proven; `None` if none was.
    pub fn proven(&self) -> Option<Duration> {
        self.proven
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Returns the result of the search with a threshold, and the number of rounds.
    fn search(threshold: Duration) -> (Option<Duration>, u32) {
        let (mut search, mut rounds) = (HoldSearch::default(), 0);
        while let Some(hold) = search.next() {
            search.note(hold >= threshold);
            rounds += 1;
            assert!(rounds < 200, "{search:?}");
        }
        (search.proven(), rounds)
    }

    proptest! {
        #[test]
        fn the_result_is_the_threshold_in_steps_of_five_milliseconds(ms in 0_u64..=10_000) {
            let threshold = Duration::from_millis(ms);
            let (proven, rounds) = search(threshold);
            let expected = Duration::from_millis(ms.next_multiple_of(5).max(5));
            prop_assert_eq!(proven, Some(expected));
            prop_assert!(rounds <= 5 * 13, "{} rounds", rounds);
        }
    }

    #[test]
    fn a_threshold_above_the_longest_hold_is_not_found() {
        assert_eq!(search(LONGEST_HOLD + Duration::from_millis(1)).0, None);
    }

    #[test]
    fn one_failed_round_of_five_rejects_a_hold() {
        let mut search = HoldSearch::default();
        for is_proven in [true, true, true, true, false] {
            assert_eq!(search.next(), Some(FIRST));
            search.note(is_proven);
        }
        assert_eq!(search.next(), Some(FIRST * 2));
    }
}
