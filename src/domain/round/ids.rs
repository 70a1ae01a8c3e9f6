//! Checks, over a target's latest rounds, that the ids its handlers answer are those of environments.

use std::collections::hash_map::DefaultHasher;
use std::collections::{HashSet, VecDeque};
use std::hash::{Hash, Hasher};

use super::{Attempt, Outcome};

/// After so many all-warm rounds in a row without one repeated id, ids are those of invocations.
const FRESH_ROUNDS: u32 = 3;

/// The meaning of the ids that a target's handlers answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Ids {
    /// Environments: distinct ids are distinct environments.
    #[default]
    Environments,
    /// Invocations: the handler makes a new id each time, which says nothing about environments.
    Invocations,
}

/// The ids of one target's latest rounds.
///
/// Environments that were warm in one round answer the next one too, so some id must come again. A handler that makes
/// a new id on every invocation repeats none.
#[derive(Debug, Clone, Default)]
pub struct IdHistory {
    /// Hashes of the ids of the latest rounds that had any, oldest first. Eight bytes for each ping of three rounds.
    rounds: VecDeque<HashSet<u64>>,
    /// All-warm rounds in a row without a repeated id, up to [`FRESH_ROUNDS`].
    fresh: u32,
}

impl IdHistory {
    /// Adds a round. A repeated id, in the round or of the three before it, shows that ids are those of environments.
    /// A round in which not every ping was warm breaks the row: its environments may all be new.
    pub fn record(&mut self, attempts: &[Attempt]) {
        let pings = || attempts.iter().flat_map(|attempt| &attempt.pings);
        let mut ids = HashSet::new();
        let mut repeated = false;
        for id in pings().filter_map(|ping| ping.environment.as_deref()) {
            let id = hash(id);
            repeated |= !ids.insert(id) || self.rounds.iter().any(|round| round.contains(&id));
        }
        if ids.is_empty() {
            return;
        }
        let all_warm = pings().all(|ping| ping.outcome == Outcome::Warm && ping.environment.is_some());
        self.fresh = match (repeated, all_warm) {
            (true, _) => 0,
            (false, true) => FRESH_ROUNDS.min(self.fresh + 1),
            // Once found to be those of invocations, only a repeated id shows otherwise.
            (false, false) if self.fresh == FRESH_ROUNDS => FRESH_ROUNDS,
            (false, false) => 0,
        };
        if self.rounds.len() == FRESH_ROUNDS as usize {
            self.rounds.pop_front();
        }
        self.rounds.push_back(ids);
    }

    /// The conclusion from the rounds so far.
    pub fn ids(&self) -> Ids {
        if self.fresh == FRESH_ROUNDS { Ids::Invocations } else { Ids::Environments }
    }
}

fn hash(id: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    id.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::round::model::{attempt, ping};

    fn round(outcome: &Outcome, ids: &[&str]) -> Attempt {
        attempt(ids.iter().map(|id| {
            let mut ping = ping(outcome.clone(), 0.0, 30.0, 25.0);
            ping.environment = (!id.is_empty()).then(|| (*id).to_owned());
            ping
        }))
    }

    fn after(rounds: &[(&Outcome, &[&str])]) -> Ids {
        let mut history = IdHistory::default();
        rounds.iter().for_each(|(outcome, ids)| history.record(&[round(outcome, ids)]));
        history.ids()
    }

    const WARM: &Outcome = &Outcome::Warm;
    const COLD: &Outcome = &Outcome::Cold;

    #[test]
    fn three_all_warm_rounds_in_a_row_without_a_repeated_id_are_needed() {
        let [a, b, c]: [&[&str]; 3] = [&["1", "2"], &["3", "4"], &["5", "6"]];
        assert_eq!(after(&[(WARM, a), (WARM, b)]), Ids::Environments);
        assert_eq!(after(&[(WARM, a), (WARM, b), (WARM, c)]), Ids::Invocations);
        assert_eq!(after(&[(WARM, a), (COLD, b), (WARM, c)]), Ids::Environments, "the row is broken");
        assert_eq!(after(&[(WARM, a), (WARM, b), (WARM, &["5", "2"])]), Ids::Environments, "2 again");
        assert_eq!(after(&[(WARM, a), (WARM, b), (WARM, &["5", "5"])]), Ids::Environments, "5 again");
        assert_eq!(after(&[(COLD, a), (WARM, a), (WARM, b), (WARM, c)]), Ids::Environments);
        assert_eq!(after(&[(WARM, a), (WARM, b), (WARM, &["5", ""])]), Ids::Environments, "one has no id");
    }

    #[test]
    fn only_a_repeated_id_restores_the_trust() {
        let fresh: [(&Outcome, &[&str]); 3] = [(WARM, &["1"]), (WARM, &["2"]), (WARM, &["3"])];
        let then = |more: &[(&Outcome, &[&str])]| after(&[&fresh, more].concat());
        assert_eq!(then(&[(COLD, &["4"])]), Ids::Invocations);
        assert_eq!(then(&[(WARM, &[])]), Ids::Invocations);
        assert_eq!(then(&[(WARM, &["3"])]), Ids::Environments);
    }

    #[test]
    fn a_top_up_that_meets_the_same_environments_repeats_their_ids() {
        let mut history = IdHistory::default();
        for id in ["1", "2", "3"] {
            history.record(&[round(WARM, &[id]), round(WARM, &[id])]);
        }
        assert_eq!(history.ids(), Ids::Environments);
    }
}
