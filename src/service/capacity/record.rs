//! The record of a tick's capacity in its document, the cost, and the report.

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;

use super::task::{Task, Urgency};
use crate::domain::capacity::{By, CapacityReport, Meter, Strategy, provisioned_usd};
use crate::domain::cost::PriceBook;
use crate::domain::cost::capacity::managed_hour;
use crate::domain::fleet::Target;
use crate::domain::function::Identity;
use crate::domain::future::is_future;
use crate::domain::records::{Capacities, Kept, Made, MadeBy, Seen, Snapshot};

/// A record of what warmd makes, to be stored before the change.
#[derive(Clone)]
pub(super) struct Intent {
    pub id: Identity,
    pub from: Option<Identity>,
    pub role: Option<String>,
    pub before: Option<Made>,
    pub after: Option<Made>,
}

impl Intent {
    /// Writes the intent. What another process has recorded meanwhile stays.
    pub fn apply(&self, document: &mut Capacities) {
        let entry = entry(document, &self.id, self.from.as_ref());
        entry.role.clone_from(&self.role);
        match (&mut entry.made, &self.after) {
            (made, after) if *made == self.before => made.clone_from(after),
            (Some(made), Some(after)) if made.by == after.by => {
                let numbers = after.numbers.iter().filter(|number| !made.numbers.contains(number));
                let numbers: Vec<u32> = numbers.copied().collect();
                made.numbers.extend(numbers);
                let versions = after.versions.iter().filter(|version| !made.versions.contains(version));
                let versions: Vec<_> = versions.cloned().collect();
                made.versions.extend(versions);
            }
            (made, Some(after)) => *made = Some(after.clone()),
            (_, None) => {}
        }
    }
}

fn entry<'d>(document: &'d mut Capacities, id: &Identity, from: Option<&Identity>) -> &'d mut Kept {
    let moved = from.and_then(|from| document.targets.remove(from));
    let entry = document.targets.entry(id.clone()).or_default();
    if let Some(moved) = moved.filter(|_| *entry == Kept::default()) {
        *entry = moved;
    }
    entry
}

/// Records the results of a target at `now`. Returns the environment-seconds that are billed since the last record;
/// `None` if they are unknown.
pub(super) fn apply(
    task: &Task,
    document: &mut Capacities,
    digest: Option<&str>,
    seen: Option<&Seen>,
    memory_mb: Option<u32>,
    now: DateTime<Utc>,
) -> Option<u64> {
    if !task.was_read && !document.targets.contains_key(task.from.as_ref().unwrap_or(&task.id)) {
        return None;
    }
    let entry = entry(document, &task.id, task.from.as_ref());
    if !task.is_left {
        entry.role = role(&task.target);
        entry.memory_mb = memory_mb.or(entry.memory_mb);
        entry.architecture = task.target.architecture;
    }
    correct(&mut entry.meter, now);
    let seconds = count(task, entry, now);
    let is_past = |other: &Seen| other.at <= now || is_future(other.at, now);
    if let Some(seen) = seen.filter(|_| entry.seen.as_ref().is_none_or(is_past)) {
        entry.seen = Some(seen.clone());
    }
    if let Some((is_own, at)) = task.confirmed {
        entry.owned = is_own.then_some(at);
    }
    if let Some(digest) = digest {
        (entry.compared, entry.actions) = (Some(now), Some(digest.to_owned()));
    }
    if task.is_gone && (entry.made.is_none() || entry.made.as_ref() == task.made()) {
        document.targets.remove(&task.id);
    } else if task.is_left && entry.made.is_none() {
        entry.made = task.made().cloned();
    }
    seconds
}

/// Moves the times of a meter that are in the future, because a clock was wrong, to `now`.
fn correct(meter: &mut Meter, now: DateTime<Utc>) {
    let times = meter.blocks.iter_mut().map(|block| &mut block.since).chain(&mut meter.until);
    times.filter(|at| is_future(**at, now)).for_each(|at| *at = now);
}

/// Counts the time until `now` for which environments were up.
fn count(task: &Task, entry: &mut Kept, now: DateTime<Utc>) -> Option<u64> {
    if task.by() == Some(MadeBy::Managed) {
        // Managed instances have no billing steps. The number that was seen last was up until this read.
        let Some(last) = entry.seen.as_ref().filter(|_| task.was_read) else { return Some(0) };
        let seconds = now.signed_duration_since(last.at).num_seconds();
        return Some(u64::try_from(seconds).unwrap_or(0).saturating_mul(last.available?.into()));
    }
    let number = task.billed().filter(|_| task.was_read);
    if task.gap(now).is_some() && (number.is_none() || task.replay.is_none()) {
        // What is closed is not read with each tick. Its time is counted with the next read.
        return (task.urgency == Urgency::Idle && task.desired == 0).then_some(0);
    }
    let mut seconds = 0_u64;
    for (at, number) in task.replay.iter().flatten().filter(|(at, _)| *at <= now) {
        seconds = seconds.saturating_add(entry.meter.advance(*at, *number));
    }
    let up = entry.meter.number();
    let number = number.unwrap_or(up);
    if number > 0 || up > 0 {
        seconds = seconds.saturating_add(entry.meter.advance(now, number));
    }
    Some(seconds)
}

/// Returns the ARN of the role of a target.
pub(super) fn role(target: &Target) -> Option<String> {
    target.role.as_ref().map(|role| role.arn.clone())
}

/// Returns the memory of a target, for the price.
pub(super) fn memory_mb(task: &Task, facts: &Snapshot) -> Option<u32> {
    let deployed = || facts.of(&task.target)?.seen.configuration.known()?.memory_mb;
    task.target.memory_mb.or_else(deployed).or_else(|| task.kept.as_ref()?.memory_mb)
}

/// Returns the price of provisioned environment-seconds.
fn cost(task: &Task, seconds: u64, memory_mb: Option<u32>, prices: &PriceBook) -> Option<Decimal> {
    if seconds == 0 {
        return Some(Decimal::ZERO);
    }
    let architecture = match &task.kept {
        Some(kept) if task.is_left => kept.architecture,
        _ => task.target.architecture,
    };
    provisioned_usd(seconds, memory_mb?, architecture, task.id.region, prices)
}

/// Returns the price of environment-seconds on managed instances. The instance types of the capacity provider are
/// unknown, so it is that of the cheapest fitting type.
fn managed_cost(task: &Task, seconds: u64, memory_mb: Option<u32>, prices: &PriceBook) -> Option<Decimal> {
    let number = task.seen().and_then(|seen| seen.available).unwrap_or(0);
    if seconds == 0 || number == 0 {
        return Some(Decimal::ZERO);
    }
    let hour = managed_hour(prices, task.id.region, task.target.architecture, memory_mb?, number)?;
    let hours = Decimal::from(seconds) / Decimal::from(number) / Decimal::from(3_600);
    hour.checked_mul(hours)
}

/// Returns the report on a target. `seconds` are the environment-seconds since the last record; `None` if unknown.
pub(super) fn report(
    task: &Task,
    is_dry: bool,
    seconds: Option<u64>,
    memory_mb: Option<u32>,
    prices: &PriceBook,
) -> CapacityReport {
    let seen = task.seen().map(|seen| [seen.requested, seen.allocated, seen.available]);
    let numbers = if task.was_read { task.numbers() } else { seen.unwrap_or_default() };
    let [requested, allocated, available] = numbers;
    let (status, reason) = task.conclusion(is_dry);
    let cost_usd = match task.by() {
        Some(MadeBy::Managed) => seconds.and_then(|seconds| managed_cost(task, seconds, memory_mb, prices)),
        _ => seconds.and_then(|seconds| cost(task, seconds, memory_mb, prices)),
    };
    let by = match task.target.strategy {
        Strategy::Pings => match task.by() {
            Some(MadeBy::Direct) => Some("direct"),
            Some(MadeBy::Autoscaling) => Some("autoscaling"),
            Some(MadeBy::Managed) | None => None,
        },
        strategy => strategy.by().map(By::name),
    };
    CapacityReport {
        id: task.id.clone(),
        strategy: task.target.strategy,
        by,
        desired: task.desired,
        requested,
        allocated,
        available,
        status,
        reason,
        cost_usd,
        changes: task.done.iter().map(ToString::to_string).collect(),
        stopped: None,
    }
}

/// Returns what was seen of a target; `None` if it was not read.
pub(super) fn seen(task: &Task, now: DateTime<Utc>) -> Option<Seen> {
    let [requested, allocated, available] = task.numbers();
    let (status, reason) = task.conclusion(false);
    let seen = Seen { at: now, desired: task.desired, requested, allocated, available, status, reason };
    task.was_read.then_some(seen)
}
