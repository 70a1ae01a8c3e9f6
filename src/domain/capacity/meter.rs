//! The time for which environments were up, in the billing steps of provisioned concurrency.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// The billing step in seconds. Source: AWS Lambda pricing.
const STEP_SECONDS: i64 = 300;

/// The environments that are up, and the time until which they were counted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Meter {
    /// The environments by the time since which they are up, the earliest first.
    #[serde(default)]
    pub blocks: Vec<Block>,
    /// The end of the counted time.
    #[serde(default)]
    pub until: Option<DateTime<Utc>>,
}

/// Environments that are up since the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Block {
    /// Their number.
    pub count: u32,
    /// The time since which they are up.
    pub since: DateTime<Utc>,
}

impl Block {
    /// Returns the environment-seconds that are billed until `at`, in whole steps from the beginning.
    fn billed(self, at: DateTime<Utc>) -> u64 {
        let seconds = at.signed_duration_since(self.since).num_seconds().max(0);
        let steps = seconds.saturating_add(STEP_SECONDS - 1).div_euclid(STEP_SECONDS);
        u64::try_from(steps.saturating_mul(STEP_SECONDS)).unwrap_or(0).saturating_mul(self.count.into())
    }
}

impl Meter {
    /// Returns the number of environments that are up.
    pub fn number(&self) -> u32 {
        self.blocks.iter().map(|block| block.count).fold(0, u32::saturating_add)
    }

    /// Counts the time until `at`, and sets the number of environments from then on. Returns the environment-seconds
    /// that are billed in addition to those counted before. The environments that end are the latest ones. A time
    /// before the counted one adds nothing and changes nothing.
    pub fn advance(&mut self, at: DateTime<Utc>, number: u32) -> u64 {
        if self.until.is_some_and(|until| at < until) {
            return 0;
        }
        let counted = |block: &Block| self.until.map_or(0, |until| block.billed(until));
        let added = self.blocks.iter().map(|block| block.billed(at).saturating_sub(counted(block)));
        let added = added.fold(0, u64::saturating_add);
        self.until = Some(at);
        let now = self.number();
        if number > now {
            self.blocks.push(Block { count: number - now, since: at });
        }
        let mut surplus = now.saturating_sub(number);
        while let Some(last) = self.blocks.last_mut().filter(|_| surplus > 0) {
            let ended = last.count.min(surplus);
            last.count -= ended;
            surplus -= ended;
            if last.count == 0 {
                self.blocks.pop();
            }
        }
        added
    }
}
