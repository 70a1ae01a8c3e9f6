//! Detection, over a target's latest rounds, of handlers whose ids are not those of environments.

use std::collections::hash_map::DefaultHasher;
use std::collections::{HashSet, VecDeque};
use std::hash::{Hash, Hasher};

use super::{Attempt, Outcome};

/// The number of consecutive all-warm rounds without a repeated id after which ids are those of invocations.
const FRESH_ROUNDS: u32 = 3;

/// The meaning of the ids that a target's handlers answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Ids {
    /// Environments: distinct ids are distinct environments.
    #[default]
    Environments,
    /// Invocations: the handler creates a new id each time.
    Invocations,
}

/// The ids of one target's latest rounds.
///
/// Environments that were warm in one round answer the next one too, so some ids must be repeated. A handler that
/// creates a new id on every invocation repeats none.
#[derive(Debug, Clone, Default)]
pub struct IdHistory {
    /// Hashes of the ids of the latest rounds that had any, oldest first. Eight bytes for each ping of three rounds.
    rounds: VecDeque<HashSet<u64>>,
    /// Consecutive all-warm rounds without a repeated id, up to [`FRESH_ROUNDS`].
    fresh: u32,
}

impl IdHistory {
    /// Adds a round. An id repeated in the round or from the three before it proves that ids are those of environments.
    /// A round in which a ping was not warm resets the count: its environments may all be new.
    pub fn record(&mut self, attempts: &[Attempt]) {
        let pings = || attempts.iter().flat_map(|attempt| &attempt.pings);
        let mut ids = HashSet::new();
        let mut repeated = false;
        for id in pings().filter_map(|ping| ping.environment.as_deref()) {
            let id = id_hash(id);
            repeated |= !ids.insert(id) || self.rounds.iter().any(|round| round.contains(&id));
        }
        if ids.is_empty() {
            return;
        }
        let all_warm = pings().all(|ping| ping.outcome == Outcome::Warm && ping.environment.is_some());
        self.fresh = match (repeated, all_warm) {
            (true, _) => 0,
            (false, true) => FRESH_ROUNDS.min(self.fresh + 1),
            // Only a repeated id reverts the conclusion that ids are those of invocations.
            (false, false) if self.fresh == FRESH_ROUNDS => FRESH_ROUNDS,
            (false, false) => 0,
        };
        if self.rounds.len() == FRESH_ROUNDS as usize {
            self.rounds.pop_front();
        }
        self.rounds.push_back(ids);
    }

    /// Returns the conclusion from the rounds so far.
    pub fn ids(&self) -> Ids {
        if self.fresh == FRESH_ROUNDS { Ids::Invocations } else { Ids::Environments }
    }
}

/// Returns a hash of the id of an environment, for comparisons within the process.
pub fn id_hash(id: &str) -> u64 {
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
    fn three_consecutive_all_warm_rounds_without_a_repeated_id_are_needed() {
        let [a, b, c]: [&[&str]; 3] = [&["1", "2"], &["3", "4"], &["5", "6"]];
        assert_eq!(after(&[(WARM, a), (WARM, b)]), Ids::Environments);
        assert_eq!(after(&[(WARM, a), (WARM, b), (WARM, c)]), Ids::Invocations);
        assert_eq!(after(&[(WARM, a), (COLD, b), (WARM, c)]), Ids::Environments, "reset");
        assert_eq!(after(&[(WARM, a), (WARM, b), (WARM, &["5", "2"])]), Ids::Environments, "2 again");
        assert_eq!(after(&[(WARM, a), (WARM, b), (WARM, &["5", "5"])]), Ids::Environments, "5 again");
        assert_eq!(after(&[(COLD, a), (WARM, a), (WARM, b), (WARM, c)]), Ids::Environments);
        assert_eq!(after(&[(WARM, a), (WARM, b), (WARM, &["5", ""])]), Ids::Environments, "one has no id");
    }

    #[test]
    fn only_a_repeated_id_reverts_the_conclusion() {
        let fresh: [(&Outcome, &[&str]); 3] = [(WARM, &["1"]), (WARM, &["2"]), (WARM, &["3"])];
        let then = |more: &[(&Outcome, &[&str])]| after(&[&fresh, more].concat());
        assert_eq!(then(&[(COLD, &["4"])]), Ids::Invocations);
        assert_eq!(then(&[(WARM, &[])]), Ids::Invocations);
        assert_eq!(then(&[(WARM, &["3"])]), Ids::Environments);
    }

    #[test]
    fn a_top_up_of_the_same_environments_repeats_their_ids() {
        let mut history = IdHistory::default();
        for id in ["1", "2", "3"] {
            history.record(&[round(WARM, &[id]), round(WARM, &[id])]);
        }
        assert_eq!(history.ids(), Ids::Environments);
    }
}
