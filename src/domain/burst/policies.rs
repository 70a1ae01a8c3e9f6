//! The policies: how many environments serve a burst.

use std::fmt;

use rust_decimal::Decimal;

use super::course::{Burst, Course, IDLE_LIFE, Waits};
use super::kept::{existed, kept, started};
use super::money::{By, Pricing, STEP, Usage, exact};
use crate::domain::cost::Bill;
use crate::domain::text::{count, money};

/// The seconds of courses that the search for the cheapest plan computes at most.
const SEARCH_SECONDS: usize = 1_000_000;

/// A policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// As many environments as serve the whole queue within a second, from the launch time on.
    Backlog,
    /// The fewest environments that empty the queue in time after the last arrival, kept until then.
    Drain,
    /// The plan that costs least and keeps to the longest wait: at most a constant number of environments, and never
    /// more than the queue needs.
    Cheapest,
    /// No plan: on-demand environments whose launches start when requests arrive.
    None,
}

impl Policy {
    /// All policies with their names.
    pub const NAMES: [(Self, &'static str); 4] = [
        (Self::Backlog, "backlog"),
        (Self::Drain, "drain"),
        (Self::Cheapest, "cheapest"),
        (Self::None, "none"),
    ];

    /// Returns the name.
    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(policy, _)| *policy == self).map_or("", |(_, name)| name)
    }
}

/// The bounds that policies keep to, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// The time after the last arrival by which `drain` empties the queue.
    pub within: usize,
    /// The longest wait with `cheapest`.
    pub max_wait: usize,
    /// The time for which environments are kept after their use; at least the launch time is.
    pub hold: usize,
}

impl Bounds {
    /// Environments that are needed again within the launch time are not let go.
    pub(super) fn kept_for(&self, burst: &Burst) -> usize {
        self.hold.max(burst.launch)
    }
}

/// A bound that no plan reaches. Times are in seconds; `None` if the queue does not empty within two days.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shortfall {
    /// The queue is not empty in time.
    Within {
        /// The bound.
        bound: usize,
        /// The earliest time after the last arrival at which the queue can be empty.
        earliest: Option<usize>,
    },
    /// A request waits longer.
    MaxWait {
        /// The bound.
        bound: usize,
        /// The least longest wait.
        least: Option<usize>,
    },
}

impl fmt::Display for Shortfall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Within { bound, earliest: Some(earliest) } => write!(
                f,
                "--within {bound}s cannot be reached: the queue is empty {earliest} s after the last arrival at the earliest"
            ),
            Self::MaxWait { bound, least: Some(least) } => {
                write!(f, "--max-wait {bound}s cannot be reached: the longest wait is at least {least} s")
            }
            Self::Within { bound, earliest: None } => {
                write!(f, "--within {bound}s cannot be reached: the queue does not empty within two days")
            }
            Self::MaxWait { bound, least: None } => {
                write!(f, "--max-wait {bound}s cannot be reached: the queue does not empty within two days")
            }
        }
    }
}

/// The plan of a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The policy.
    pub policy: Policy,
    /// The queue and the environments in use.
    pub course: Course,
    /// The environments that exist for the plan from each second on, from second 1 until all are let go.
    pub kept: Vec<u64>,
    /// The number of launches.
    pub started: u64,
    /// The waits; `None` if the queue does not empty within two days.
    pub waits: Option<Waits>,
    /// The bill; `None` if the queue does not empty within two days.
    pub bill: Option<Bill>,
    /// The bound of the policy, if no plan reaches it. The plan then comes as near as possible.
    pub shortfall: Option<Shortfall>,
}

impl Plan {
    /// Returns the environments that exist from `second` on.
    pub fn kept_at(&self, second: usize) -> u64 {
        second.checked_sub(1).and_then(|index| self.kept.get(index)).copied().unwrap_or(0)
    }

    /// Returns the most environments at any time.
    pub fn most(&self) -> u64 {
        self.kept.iter().copied().max().unwrap_or(0)
    }

    /// Returns the exact amount in US dollars; `None` when it is unknown.
    pub fn money(&self) -> Option<Decimal> {
        exact(self.bill.as_ref()?)
    }

    fn new(policy: Policy, burst: &Burst, pricing: &Pricing<'_>, planned: Planned) -> Self {
        let Planned { course, kept, usage } = planned;
        let waits = course.waits(&burst.arrivals);
        let bill = waits.map(|_| pricing.bill(burst, &usage));
        Self { policy, course, kept, started: usage.launches, waits, bill, shortfall: None }
    }
}

/// A course with the environments that it keeps.
struct Planned {
    course: Course,
    kept: Vec<u64>,
    usage: Usage,
}

/// Plans with at most `cap` environments. `is_constant` keeps all of them between the first and the last use.
fn planned(burst: &Burst, bounds: Bounds, by: By, cap: u64, is_constant: bool) -> Planned {
    let course = burst.course(cap);
    let mut wanted = course.in_use.clone();
    let is_used = |number: &u64| *number > 0;
    if is_constant
        && let (Some(first), Some(last)) = (wanted.iter().position(is_used), wanted.iter().rposition(is_used))
    {
        let most = wanted.iter().copied().max().unwrap_or(0);
        wanted[first..=last].fill(most);
    }
    let hold = bounds.kept_for(burst);
    let kept = kept(&wanted, hold);
    let usage = match by {
        // Idle environments live on after the last ping.
        By::Pings => {
            let launches = started(&super::kept::kept(&wanted, hold + IDLE_LIFE));
            Usage { launches, pings: launches, existed: None }
        }
        By::Provisioned => {
            Usage { launches: started(&kept), pings: 0, existed: Some(existed(&kept, burst.launch, STEP)) }
        }
    };
    Planned { course, kept, usage }
}

/// Returns the plan of each policy, in the order of [`Policy::NAMES`].
pub fn plans(burst: &Burst, bounds: Bounds, pricing: &Pricing<'_>) -> Vec<Plan> {
    Policy::NAMES.iter().map(|(policy, _)| plan(*policy, burst, bounds, pricing)).collect()
}

/// Returns the plan of a policy.
pub fn plan(policy: Policy, burst: &Burst, bounds: Bounds, pricing: &Pricing<'_>) -> Plan {
    let new = |planned| Plan::new(policy, burst, pricing, planned);
    match policy {
        Policy::Backlog => new(planned(burst, bounds, pricing.by, u64::MAX, false)),
        Policy::Drain => drain(burst, bounds, pricing),
        Policy::Cheapest => cheapest(burst, bounds, pricing),
        Policy::None => {
            let (course, kept, launches) = burst.unplanned();
            let usage = Usage { launches, pings: 0, existed: None };
            new(Planned { course, kept, usage })
        }
    }
}

fn drain(burst: &Burst, bounds: Bounds, pricing: &Pricing<'_>) -> Plan {
    let last = burst.arrivals.last();
    let fewest = |within: usize| burst.fewest(|cap| burst.is_empty_by(cap, last.saturating_add(within)));
    let (cap, shortfall) = match fewest(bounds.within) {
        Some(cap) => (cap, None),
        None => {
            // No course empties the queue earlier than that with all environments.
            let earliest = burst.course(u64::MAX).empty_at().map(|empty| empty.saturating_sub(last));
            let shortfall = Shortfall::Within { bound: bounds.within, earliest };
            (earliest.and_then(fewest).unwrap_or(u64::MAX), Some(shortfall))
        }
    };
    let planned = planned(burst, bounds, pricing.by, cap, true);
    Plan { shortfall, ..Plan::new(Policy::Drain, burst, pricing, planned) }
}

/// Every number of environments that keeps to the longest wait is tried, from the fewest on, until no larger one can
/// cost less: each environment costs at least its launch and the time that it is kept.
fn cheapest(burst: &Burst, bounds: Bounds, pricing: &Pricing<'_>) -> Plan {
    let fewest = |longest: usize| burst.fewest(|cap| burst.is_within(cap, longest));
    let fastest = burst.course(u64::MAX);
    let most = fastest.in_use.iter().copied().max().unwrap_or(0);
    let (first, shortfall) = match fewest(bounds.max_wait) {
        Some(cap) => (cap, None),
        None => {
            let least = fastest.waits(&burst.arrivals).map(|waits| waits.longest);
            let shortfall = Shortfall::MaxWait { bound: bounds.max_wait, least };
            (least.and_then(fewest).unwrap_or(u64::MAX), Some(shortfall))
        }
    };
    // Without prices, the environments decide.
    let key = |usage: &Usage| {
        let money = exact(&pricing.bill(burst, usage)).unwrap_or_default();
        (money, usage.existed.unwrap_or(0), usage.launches)
    };
    let mut best = planned(burst, bounds, pricing.by, first, false);
    let mut least = key(&best.usage);
    let mut seconds = best.kept.len();
    for cap in first.saturating_add(1)..=most {
        if key(&at_least(burst, bounds, pricing.by, cap)) >= least || seconds > SEARCH_SECONDS {
            break;
        }
        let next = planned(burst, bounds, pricing.by, cap, false);
        seconds += next.kept.len();
        let cost = key(&next.usage);
        if cost < least {
            (best, least) = (next, cost);
        }
    }
    Plan { shortfall, ..Plan::new(Policy::Cheapest, burst, pricing, best) }
}

/// Returns a lower bound of what a plan uses in which `cap` environments serve at the same time.
fn at_least(burst: &Burst, bounds: Bounds, by: By, cap: u64) -> Usage {
    let existed = match by {
        By::Pings => None,
        By::Provisioned => {
            let overhead = burst.launch + bounds.kept_for(burst);
            let each = u128::from(cap) * (overhead + 1).next_multiple_of(STEP) as u128;
            let work = u128::from(burst.arrivals.total()) * u128::from(burst.rate.per_request);
            let busy = work / u128::from(burst.rate.parts) + u128::from(cap) * overhead as u128;
            Some(each.max(busy))
        }
    };
    let pings = if by == By::Pings { cap } else { 0 };
    Usage { launches: cap, pings, existed }
}

/// The steps in which the environments of a plan are let go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LettingGo {
    /// The seconds at which environments are let go, each with the number that remains.
    pub steps: Vec<(usize, u64)>,
    /// The amounts in US dollars when environments are kept for no time, for the time of the plan, and for twice as
    /// long, with that time in seconds. Empty on demand, where idle environments cost nothing.
    pub amounts: Vec<(usize, Option<Decimal>)>,
    /// The most requests of the burst that arrive within a launch: those of a second wave like it wait again if it finds
    /// no environments.
    pub at_risk: u64,
}

/// Returns how the environments of `plan` are let go.
pub fn letting_go(plan: &Plan, burst: &Burst, bounds: Bounds, pricing: &Pricing<'_>) -> LettingGo {
    let falls = (2..).zip(plan.kept.windows(2)).filter(|(_, pair)| pair[1] < pair[0]);
    let amount = |hold: usize| {
        // The environments before they are let go are those of the plan.
        let cap = plan.course.in_use.iter().copied().max().unwrap_or(0);
        let held = planned(burst, Bounds { hold, ..bounds }, pricing.by, cap, plan.policy == Policy::Drain);
        (hold.max(burst.launch), plan.bill.as_ref().and_then(|_| exact(&pricing.bill(burst, &held.usage))))
    };
    let is_paid = pricing.by == By::Provisioned && plan.policy != Policy::None;
    let seconds = 1..=burst.arrivals.seconds();
    let arriving =
        |second: usize| burst.arrivals.by(second) - burst.arrivals.by(second.saturating_sub(burst.launch));
    LettingGo {
        steps: falls.map(|(second, pair)| (second, pair[1])).collect(),
        amounts: if is_paid { [0, bounds.hold, bounds.hold * 2].map(amount).to_vec() } else { Vec::new() },
        at_risk: seconds.map(arriving).max().unwrap_or(0),
    }
}

impl LettingGo {
    /// Returns the sentences for users.
    pub fn sentences(&self, plan: &Plan, burst: &Burst) -> Vec<String> {
        const IDLE: &str =
            "idle on-demand environments cost nothing and end by themselves, after about 5 minutes";
        if plan.policy == Policy::None {
            return vec![format!("nothing is kept: {IDLE}")];
        }
        let mut sentences = Vec::new();
        if let [(none, early), (kept, now), (twice, late)] = self.amounts[..] {
            let more = |more: Option<Decimal>, less: Option<Decimal>| match more.zip(less) {
                Some((more, less)) if more == less => "nothing".to_owned(),
                Some((more, less)) => money(more - less),
                None => "an unknown amount".to_owned(),
            };
            sentences.push(format!(
                "later: keeping environments for {twice} s instead of {kept} s costs {} more; billing steps are five \
                 minutes",
                more(late, now)
            ));
            let saved = more(now, early);
            sentences.push(format!("earlier: keeping them for {none} s instead of {kept} s saves {saved}"));
        } else {
            sentences.push(format!("closing means no more pings: {IDLE}"));
            let pings = count(plan.most(), "ping");
            sentences.push(format!("later: keeping all environments costs {pings} every 5 minutes"));
        }
        sentences.push(format!(
            "the risk of earlier: a second wave waits {} s for its launch again, up to {}",
            burst.launch,
            count(self.at_risk, "request")
        ));
        sentences
    }
}
