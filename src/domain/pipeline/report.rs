//! The result of a pipeline at a tick, from the results of its functions.

use std::collections::HashMap;

use super::{PipelineNeed, PipelineReport, function_of, label};
use crate::domain::capacity::CapacityReport;
use crate::domain::function::Identity;
use crate::domain::round::Verdict;
use crate::domain::tick::{RoundOutcome, RoundRecord, SkipReason, TickReport, Unfinished, UnfinishedReason};

/// The state of a function, best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum State {
    Warm,
    Unknown,
    Cold,
}

/// The results of the targets of a function.
#[derive(Default)]
struct Results<'r> {
    rounds: Vec<&'r RoundRecord>,
    unfinished: Vec<&'r Unfinished>,
    capacity: Vec<&'r CapacityReport>,
}

/// Returns the result of each pipeline from the whole report of its tick. A pipeline whose functions were all put on the
/// bus is left to the processes that serve them. The state of a single one on the bus is unknown.
pub fn report(needs: &[PipelineNeed], tick: &TickReport) -> Vec<PipelineReport> {
    if needs.is_empty() {
        return Vec::new();
    }
    let mut results: HashMap<Identity, Results<'_>> = HashMap::new();
    for round in &tick.rounds {
        results.entry(function_of(&round.id)).or_default().rounds.push(round);
    }
    for left in &tick.unfinished {
        results.entry(function_of(&left.id)).or_default().unfinished.push(left);
    }
    for capacity in &tick.capacity {
        results.entry(function_of(&capacity.id)).or_default().capacity.push(capacity);
    }
    needs.iter().filter_map(|need| of_pipeline(need, &results)).collect()
}

fn of_pipeline(need: &PipelineNeed, results: &HashMap<Identity, Results<'_>>) -> Option<PipelineReport> {
    let stages = || need.stages.iter().filter(|(_, number)| *number > 0);
    let mut known = stages().flat_map(|(parts, _)| parts).filter_map(|part| results.get(part)).peekable();
    if known.peek().is_some() && known.all(Results::are_elsewhere) {
        return None;
    }
    let state = |parts: &[Identity], number| {
        let of = |part| match need.unwarmed.contains(part) {
            true => Some(State::Cold),
            false => match results.get(part) {
                Some(results) => results.state(number),
                None => need.elsewhere.contains(part).then_some(State::Unknown),
            },
        };
        parts.iter().filter_map(of).max()
    };
    let states: Vec<_> = stages().map(|(parts, number)| (parts, state(parts, *number))).collect();
    let is_cold = |state| state == Some(State::Cold);
    let warm = match states.iter().filter_map(|(_, state)| *state).max() {
        Some(State::Cold) => Some(false),
        Some(State::Unknown) => None,
        Some(State::Warm) | None => Some(true),
    };
    let cold = states.iter().filter(|(_, state)| is_cold(*state));
    let cold_stages = cold.map(|(parts, _)| label(parts)).collect();
    Some(PipelineReport { name: need.name.to_string(), region: need.region, warm, cold_stages })
}

impl Results<'_> {
    /// Returns true if all rounds of the function were put on the bus.
    fn are_elsewhere(&self) -> bool {
        let is_elsewhere = |left: &&Unfinished| left.reason == UnfinishedReason::HandedOn;
        self.rounds.is_empty() && self.capacity.is_empty() && self.unfinished.iter().all(is_elsewhere)
    }

    /// Returns the state of the function, that of its coldest tenant; `None` if it is as it was before the tick.
    fn state(&self, number: u32) -> Option<State> {
        let capacity = |id: &Identity| {
            self.capacity.iter().find(|of| of.id == *id).map(|of| compare(of.available, number))
        };
        let of_round = |round: &&RoundRecord| of_round(round, number, capacity(&round.id));
        // Capacity that serves requests needs no rounds.
        let of_left = |left: &&Unfinished| {
            let without = match left.reason {
                UnfinishedReason::HandedOn => State::Unknown,
                _ => State::Cold,
            };
            capacity(&left.id).filter(|of| *of == State::Warm).or(Some(without))
        };
        let has_round = |id: &Identity| {
            self.rounds.iter().any(|round| round.id == *id)
                || self.unfinished.iter().any(|left| left.id == *id)
        };
        let alone =
            self.capacity.iter().filter(|of| !has_round(&of.id)).map(|of| compare(of.available, number));
        let rounds = self.rounds.iter().filter_map(of_round);
        rounds.chain(self.unfinished.iter().filter_map(of_left)).chain(alone).max()
    }
}

fn compare(environments: Option<u32>, number: u32) -> State {
    match environments {
        Some(environments) if environments >= number => State::Warm,
        Some(_) => State::Cold,
        None => State::Unknown,
    }
}

/// Returns the state of a function after its round; `None` if it is as it was.
fn of_round(round: &RoundRecord, number: u32, capacity: Option<State>) -> Option<State> {
    if capacity == Some(State::Warm) {
        return capacity;
    }
    let reason = match round.outcome {
        // Without a proof, a short round has fewer than its pings.
        RoundOutcome::Sent(_)
            if matches!(round.verdict(), Verdict::Short | Verdict::Unsafe) && round.reached().is_none() =>
        {
            return Some(if round.desired <= number { State::Cold } else { State::Unknown });
        }
        RoundOutcome::Sent(_) => return Some(compare(round.reached(), number)),
        RoundOutcome::Withheld(_, reason) | RoundOutcome::Skipped(reason) => reason,
    };
    match reason {
        // An earlier round has warmed it, or another process; or its earlier deployment is still active.
        SkipReason::Coalesced | SkipReason::Served | SkipReason::UpdateFailed => None,
        // The result of the earlier round, or the state of the new deployment, is not known yet.
        SkipReason::InFlight | SkipReason::DryRun | SkipReason::Updating => Some(State::Unknown),
        // Facts about the deployed function are the reason if the tick has no record of its capacity.
        SkipReason::Provisioned => Some(capacity.unwrap_or(match round.desired >= number {
            true => State::Warm,
            false => State::Unknown,
        })),
        SkipReason::ManagedInstances => Some(capacity.unwrap_or(State::Unknown)),
        SkipReason::NoRoom
        | SkipReason::TooLarge
        | SkipReason::Deadline
        | SkipReason::Paused
        | SkipReason::CustomPayload
        | SkipReason::Durable
        | SkipReason::SwitchedOff
        | SkipReason::NeedsTenants
        | SkipReason::Inactive
        | SkipReason::NoHeadroom
        | SkipReason::Budget
        | SkipReason::Breaker
        | SkipReason::Unsafe
        | SkipReason::Denied => Some(State::Cold),
    }
}
