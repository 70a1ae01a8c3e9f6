//! Totals of invocations, for comparison with what a caller reports.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The totals since the emulator started or was last reset. They include observations that are no longer kept.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// The totals by account and region, such as `123456789012/eu-west-2`.
    pub scopes: BTreeMap<String, Count>,
    /// The totals by account, region and function, such as `123456789012/eu-west-2/checkout`.
    pub functions: BTreeMap<String, Count>,
}

/// The totals of one function, or of all functions of an account in a region.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Count {
    /// Dry runs, including refused ones. The other totals do not include them.
    pub dry_runs: u64,
    /// Executions of payloads that the handler recognized as pings.
    pub pings: u64,
    /// Executions of other payloads: real work.
    pub work: u64,
    /// Executions that succeeded.
    pub succeeded: u64,
    /// Executions that failed, without timeouts.
    pub function_errors: u64,
    /// Executions that ran into the function's timeout.
    pub timeouts: u64,
    /// Executions whose answer was cut off. Each is also counted by its outcome.
    pub unanswered: u64,
    /// Executions that started a durable execution.
    pub durable: u64,
    /// The billed duration times the memory size of the executions, in ms and MB.
    pub billed_mb_ms: u64,
    /// Refused invocations by exception; the reason of a throttle follows after a colon.
    pub refusals: BTreeMap<String, u64>,
    /// New environments by initialization type, such as `on-demand` or `provisioned-concurrency`. One that is prepared
    /// ahead counts from its first request.
    pub environments: BTreeMap<String, u64>,
    /// The highest number of concurrent executions, from the start of an environment to its last work.
    pub peak: u32,
}

impl Count {
    /// Returns the number of executions.
    pub fn executions(&self) -> u64 {
        self.pings + self.work
    }

    /// Returns the number of throttled invocations.
    pub fn throttled(&self) -> u64 {
        let throttled = |label: &&String| label.starts_with("TooManyRequestsException");
        self.refusals.keys().filter(throttled).filter_map(|label| self.refusals.get(label)).sum()
    }
}

/// The ends of the executions in flight, by the keys of [`Counts`].
#[derive(Debug, Default)]
pub(super) struct InFlight(BTreeMap<String, BinaryHeap<Reverse<Duration>>>);

impl InFlight {
    /// Adds an invocation to the totals of its account and region, and of its function. `occupied` is the beginning and
    /// the end of its execution.
    pub(super) fn count(
        &mut self,
        counts: &mut Counts,
        (scope, function): (String, &str),
        occupied: Option<(Duration, Duration)>,
        add: impl Fn(&mut Count),
    ) {
        let function = format!("{scope}/{function}");
        for (key, totals) in [(scope, &mut counts.scopes), (function, &mut counts.functions)] {
            let count = totals.entry(key.clone()).or_default();
            add(count);
            if let Some((from, until)) = occupied {
                let ends = self.0.entry(key).or_default();
                while ends.peek().is_some_and(|Reverse(end)| *end <= from) {
                    ends.pop();
                }
                ends.push(Reverse(until));
                count.peak = count.peak.max(u32::try_from(ends.len()).unwrap_or(u32::MAX));
            }
        }
    }
}

impl Counts {
    /// Returns the totals of a function in a region of the first account that has it; zeros without any.
    pub fn of(&self, region: &str, function: &str) -> Count {
        let suffix = format!("/{region}/{function}");
        let found = self.functions.iter().find(|(key, _)| key.ends_with(&suffix));
        found.map(|(_, count)| count.clone()).unwrap_or_default()
    }
}
