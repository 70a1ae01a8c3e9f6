//! The time for which environments were up, in the billing steps of provisioned concurrency.

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::report::Status;
use crate::domain::cost::{Item, PriceBook};
use crate::domain::function::{Architecture, Region};

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

/// Returns the price of provisioned environments without invocations, US dollars; `None` if it is not in the price book.
pub fn provisioned_usd(
    environment_seconds: u64,
    memory_mb: u32,
    architecture: Architecture,
    region: Region,
    prices: &PriceBook,
) -> Option<Decimal> {
    let price = prices.price(&Item::ProvisionedIdle(architecture), region)?;
    let mb_seconds = Decimal::from(environment_seconds).checked_mul(memory_mb.into())?;
    (mb_seconds / Decimal::from(1_024)).checked_mul(price)
}

/// Returns the price of provisioned concurrency in a state, US dollars per hour; `None` if it is unknown. A
/// configuration that failed is billed for what is allocated.
pub fn provisioned_usd_per_hour(
    status: Status,
    [requested, allocated]: [Option<u32>; 2],
    memory_mb: Option<u32>,
    (architecture, region): (Architecture, Region),
    prices: &PriceBook,
) -> Option<Decimal> {
    let number = if status == Status::Failed { allocated } else { requested };
    match u64::from(number?) * 3_600 {
        0 => Some(Decimal::ZERO),
        seconds => provisioned_usd(seconds, memory_mb?, architecture, region, prices),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
    }

    #[test]
    fn the_price_of_an_hour_is_that_of_what_is_billed() {
        let place = (Architecture::X86_64, Region::parse("us-east-1").unwrap());
        let of = |status, numbers, memory_mb| {
            provisioned_usd_per_hour(status, numbers, memory_mb, place, &PriceBook::embedded())
        };
        let usd = |text: &str| Some(text.parse::<Decimal>().unwrap());
        // 10 environments of 2 GB at $0.0000041667 a GB-second.
        assert_eq!(of(Status::Ready, [Some(10), Some(4)], Some(2_048)), usd("0.3000024"));
        assert_eq!(of(Status::Failed, [Some(10), Some(4)], Some(2_048)), usd("0.12000096"));
        assert_eq!(of(Status::Closed, [Some(0), None], None), usd("0"));
        assert_eq!(of(Status::Ready, [Some(10), Some(10)], None), None);
        assert_eq!(of(Status::Unknown, [None, None], Some(2_048)), None);
    }

    #[test]
    fn time_is_billed_in_steps_from_the_beginning_and_once() {
        let mut meter = Meter::default();
        let table = [
            // time, number from then on, environment-seconds added
            (0, 10, 0),
            (60, 10, 3_000),
            (300, 10, 0),
            (301, 10, 3_000),
            (400, 12, 0),
            (401, 12, 600),
            (400, 12, 0),
            // Two end after 200 s, of which five minutes are billed.
            (600, 10, 0),
            (660, 0, 3_000),
            (10_000, 0, 0),
        ];
        for (time, number, added) in table {
            assert_eq!(meter.advance(at(time), number), added, "{time}");
        }
        assert_eq!((meter.number(), meter.blocks.len()), (0, 0));
    }

    proptest! {
        #[test]
        fn the_sum_does_not_depend_on_the_readings_between(
            changes in prop::collection::vec((1_i64..4_000, 0_u32..20), 1..12),
            readings in prop::collection::vec(0_i64..50_000, 0..30),
        ) {
            let mut times: Vec<(i64, u32)> = Vec::new();
            let mut now = 0;
            for (after, number) in &changes {
                now += after;
                times.push((now, *number));
            }
            times.push((now + 50_000, 0));
            let total = |events: &[(i64, u32)]| {
                let mut meter = Meter::default();
                events.iter().map(|(time, number)| meter.advance(at(*time), *number)).sum::<u64>()
            };
            let number_at = |time: i64| times.iter().rev().find(|(at, _)| *at <= time).map_or(0, |(_, number)| *number);
            let mut read = times.clone();
            read.extend(readings.iter().map(|time| (*time, number_at(*time))));
            read.sort_by_key(|(time, _)| *time);
            prop_assert_eq!(total(&read), total(&times));
            // Never less than the exact time, and less than a step more for each environment that is started.
            let mut exact = 0;
            let mut rises = 0;
            for pair in times.windows(2) {
                exact += u64::try_from(pair[1].0 - pair[0].0).unwrap() * u64::from(pair[0].1);
            }
            let mut before = 0;
            for (_, number) in &times {
                rises += u64::from(number.saturating_sub(before));
                before = *number;
            }
            prop_assert!(total(&times) >= exact);
            prop_assert!(total(&times) <= exact + rises * 300);
        }
    }
}
