//! The record of one target in one hour.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::domain::capacity::CapacityReport;
use crate::domain::coverage::Minutes;
use crate::domain::round::{OutcomeCounts, Verdict};
use crate::domain::tick::RoundRecord;

/// One target in one hour, or in any other time after rows were added.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Row {
    /// Free text from the configuration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// The minutes of open windows.
    #[serde(flatten)]
    pub minutes: Minutes,
    /// The highest number of environments wanted, before a guard, a budget or throttles lowered it.
    #[serde(skip_serializing_if = "is_default")]
    pub target: u32,
    /// The lowest number of environments that a round proved, or that capacity had; `None` if unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reached: Option<u32>,
    /// The rounds that were sent.
    #[serde(skip_serializing_if = "is_default")]
    pub rounds: u64,
    /// The pings of all rounds, those before rounds included.
    #[serde(skip_serializing_if = "is_default")]
    pub pings: u64,
    /// The cold starts, semi-cold ones included.
    #[serde(skip_serializing_if = "is_default")]
    pub cold: u64,
    /// Those of `cold` that were semi-cold, as far as known.
    #[serde(skip_serializing_if = "is_default")]
    pub semi_cold: u64,
    /// The environments that were restored from a snapshot.
    #[serde(skip_serializing_if = "is_default")]
    pub restored: u64,
    /// The environments whose init began before their first ping.
    #[serde(skip_serializing_if = "is_default")]
    pub preinitialized: u64,
    /// The short and unsafe rounds, by their main reason.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub short: BTreeMap<ShortReason, u64>,
    /// The bytes from S3 by the name of the route.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub egress: BTreeMap<String, u64>,
    /// The known cost in US dollars by item: the keys of `cost_usd` in a round, and `capacity`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub cost: BTreeMap<String, Decimal>,
    /// The rounds, and ticks with capacity, whose cost is not fully known.
    #[serde(skip_serializing_if = "is_default")]
    pub cost_unknown: u64,
    /// The capacity; `None` without any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capacity: Option<CapacityHour>,
}

/// The capacity of a target in one hour.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CapacityHour {
    /// The highest number wanted.
    pub desired: u32,
    /// The lowest number that served requests while some were wanted; `None` if unknown.
    pub available: Option<u32>,
}

/// The main reason why a round was short.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ShortReason {
    /// The handler took a ping for work.
    Unsafe,
    /// The caller was not allowed to send pings.
    Denied,
    /// The function or its qualifier does not exist.
    NotFound,
    /// Lambda throttled pings.
    Throttled,
    /// The function failed.
    FunctionErrors,
    /// Pings had no answer in time.
    TimedOut,
    /// Pings were lost by the network or the service.
    Failed,
    /// Every ping was answered, by too few environments.
    TooFew,
    /// A reason that this version does not know.
    #[serde(other)]
    Other,
}

/// The items of [`Row::cost`].
pub const COST_ITEMS: [&str; 6] =
    ["requests", "compute", "s3_requests", "s3_egress", "tenant_environments", "capacity"];

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Adds the values of another map.
fn add_all<K: Ord + Clone, V: Copy>(sums: &mut BTreeMap<K, V>, other: &BTreeMap<K, V>, add: fn(V, V) -> V) {
    for (key, value) in other {
        // Most keys are known, and not cloned.
        match sums.get_mut(key) {
            Some(sum) => *sum = add(*sum, *value),
            None => {
                sums.insert(key.clone(), *value);
            }
        }
    }
}

impl ShortReason {
    /// All reasons.
    pub const ALL: [Self; 9] = [
        Self::Unsafe,
        Self::Denied,
        Self::NotFound,
        Self::Throttled,
        Self::FunctionErrors,
        Self::TimedOut,
        Self::Failed,
        Self::TooFew,
        Self::Other,
    ];

    /// Returns the name, as in documents.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unsafe => "unsafe",
            Self::Denied => "denied",
            Self::NotFound => "not-found",
            Self::Throttled => "throttled",
            Self::FunctionErrors => "function-errors",
            Self::TimedOut => "timed-out",
            Self::Failed => "failed",
            Self::TooFew => "too-few",
            Self::Other => "other",
        }
    }

    /// Returns the main reason of a round; `None` if it is neither short nor unsafe.
    pub fn of(round: &RoundRecord) -> Option<Self> {
        let counts = round.counts();
        match round.verdict() {
            Verdict::Unsafe => return Some(Self::Unsafe),
            Verdict::Short => {}
            Verdict::Reached | Verdict::Unproven | Verdict::Skipped => return None,
        }
        // The one that an operator has to repair comes first.
        let reasons = [
            (counts.denied, Self::Denied),
            (counts.not_found, Self::NotFound),
            (counts.throttled, Self::Throttled),
            (counts.function_errors, Self::FunctionErrors),
            (counts.timed_out, Self::TimedOut),
            (counts.failed, Self::Failed),
        ];
        Some(reasons.into_iter().find(|(count, _)| *count > 0).map_or(Self::TooFew, |(_, reason)| reason))
    }
}

impl Row {
    /// Creates the row of minutes.
    pub fn of_minutes(minutes: Minutes) -> Self {
        Self { minutes, ..Self::default() }
    }

    /// Creates the row of a round; `None` if nothing was sent.
    pub fn of_round(round: &RoundRecord) -> Option<Self> {
        let sent = round.sent()?;
        let OutcomeCounts { cold, semi_cold, restored, preinitialized, .. } = sent.report.counts;
        let items = [
            ("requests", sent.cost.requests),
            ("compute", sent.cost.compute),
            ("s3_requests", sent.cost.s3_requests),
            ("s3_egress", sent.cost.s3_egress),
            ("tenant_environments", sent.cost.tenant_environments),
        ];
        let known = items
            .into_iter()
            .filter_map(|(item, usd)| Some((item.to_owned(), usd.filter(|usd| !usd.is_zero())?)));
        let routes = sent.s3.as_ref().map(|s3| s3.routes()).unwrap_or_default();
        let routes = routes.into_iter().filter(|(_, bytes)| *bytes > 0);
        let lowered_from = round.capped_from.max(round.backed_off_from);
        Some(Self {
            owner: round.owner.clone(),
            target: round.desired.max(lowered_from.unwrap_or(0)),
            reached: sent.report.reached.filter(|_| round.skip_reason().is_none()),
            rounds: 1,
            pings: u64::from(sent.report.pings),
            cold: u64::from(cold),
            semi_cold: u64::from(semi_cold.unwrap_or(0)),
            restored: u64::from(restored),
            preinitialized: u64::from(preinitialized),
            short: ShortReason::of(round).map(|reason| (reason, 1)).into_iter().collect(),
            egress: routes.map(|(route, bytes)| (route.to_owned(), bytes)).collect(),
            cost: known.collect(),
            cost_unknown: u64::from(sent.cost.total.is_none()),
            ..Self::default()
        })
    }

    /// Creates the row of pings that were sent and have no result.
    pub fn of_unanswered(pings: u32) -> Self {
        Self { rounds: 1, pings: u64::from(pings), cost_unknown: 1, ..Self::default() }
    }

    /// Creates the row of a target's capacity at a tick.
    pub fn of_capacity(capacity: &CapacityReport) -> Self {
        let CapacityReport { desired, available, cost_usd, .. } = *capacity;
        let target = capacity.whole();
        let usd = cost_usd.filter(|usd| !usd.is_zero());
        Self {
            target,
            reached: available.filter(|_| target > 0),
            cost: usd.map(|usd| ("capacity".to_owned(), usd)).into_iter().collect(),
            cost_unknown: u64::from(cost_usd.is_none()),
            capacity: (desired > 0).then_some(CapacityHour { desired, available }),
            ..Self::default()
        }
    }

    /// Returns the known cost in US dollars.
    pub fn known_usd(&self) -> Decimal {
        self.cost.values().fold(Decimal::ZERO, |sum, usd| sum.saturating_add(*usd))
    }

    /// Returns the new environments, by whatever start.
    pub fn new_environments(&self) -> u64 {
        self.cold.saturating_add(self.restored).saturating_add(self.preinitialized)
    }

    /// Adds another row of the same target. The order of rows does not matter, except for the owner: that of `other`
    /// counts.
    pub fn add(&mut self, other: &Self) {
        let lower = |one: Option<u32>, other: Option<u32>| {
            one.zip(other).map(|(one, other)| one.min(other)).or(one).or(other)
        };
        self.owner = other.owner.clone().or_else(|| self.owner.take());
        self.minutes += other.minutes;
        self.target = self.target.max(other.target);
        self.reached = lower(self.reached, other.reached);
        for (sum, number) in [
            (&mut self.rounds, other.rounds),
            (&mut self.pings, other.pings),
            (&mut self.cold, other.cold),
            (&mut self.semi_cold, other.semi_cold),
            (&mut self.restored, other.restored),
            (&mut self.preinitialized, other.preinitialized),
            (&mut self.cost_unknown, other.cost_unknown),
        ] {
            *sum = sum.saturating_add(number);
        }
        add_all(&mut self.short, &other.short, u64::saturating_add);
        add_all(&mut self.egress, &other.egress, u64::saturating_add);
        add_all(&mut self.cost, &other.cost, Decimal::saturating_add);
        self.capacity = match (self.capacity, other.capacity) {
            (Some(one), Some(other)) => Some(CapacityHour {
                desired: one.desired.max(other.desired),
                available: lower(one.available, other.available),
            }),
            (one, other) => one.or(other),
        };
    }
}
