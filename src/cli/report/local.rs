//! The simulated period of `--local`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, mpsc};
use std::thread;

use chrono::{DateTime, Utc};
use tokio::time::{Instant, sleep_until};

use crate::cli::app::App;
use crate::cli::error::Failure;
use crate::cli::virtual_time::block_on_virtual;
use crate::domain::fleet::{Fleet, Target};
use crate::domain::function::Region;
use crate::domain::history::{Observed, OpenHistory, Others, Rows, Unmoved};
use crate::domain::plan::Period;
use crate::domain::schedule::{Minute, Mode, Segment, has_interval_minute, plan_tick, segments};
use crate::engine::ports::Clock;
use crate::engine::stop::stop;
use crate::service::budget::TimeBudget;
use crate::service::live_config::LiveConfig;
use crate::service::store::{DocumentStore, Durability, Memory};
use crate::service::{Observer, Trigger};

/// The number of hours that wait to be added up. Threads wait while there are more.
const QUEUE: usize = 64;

/// A clock that begins at the period, and moves with the time of the runtime.
#[derive(Debug, Clone, Copy)]
struct Simulated {
    from: DateTime<Utc>,
    since: Instant,
}

impl Clock for Simulated {
    fn now(&self) -> DateTime<Utc> {
        self.from + self.since.elapsed()
    }
}

struct Silent;

impl Observer for Silent {}

/// Simulates the fleet over a period, and calls `add` with the rows of its history. An hour may come several times.
///
/// Regions share nothing in Lambda, so each has a thread with a virtual time of its own, unless a budget, a pipeline or
/// `limits.max_in_flight` connects them.
///
/// # Errors
/// The simulation cannot be started.
pub(super) fn simulate_regions(
    fleet: &Fleet,
    period: Period,
    mut add: impl FnMut(i64, &Rows),
) -> Result<(), Failure> {
    let (rows, received) = mpsc::sync_channel(QUEUE);
    thread::scope(|scope| {
        let simulate_part = |part: Fleet| {
            let rows = rows.clone();
            let give = move |hour, of_hour: &Rows| {
                // The receiver lives as long as this thread.
                let _ = rows.send((hour, of_hour.clone()));
            };
            scope.spawn(move || {
                block_on_virtual(async {
                    let (app, _emulator) = App::simulated_long(&part.targets);
                    simulate(&app, &part, period, give).await
                })
            })
        };
        let threads: Vec<_> = parts(fleet).into_iter().map(simulate_part).collect();
        drop(rows);
        for (hour, rows) in received {
            add(hour, &rows);
        }
        let panicked = |_| Err(Failure::Unexpected("the simulation ended unexpectedly".to_owned()));
        threads.into_iter().try_for_each(|thread| thread.join().unwrap_or_else(panicked))
    })
}

/// Returns the parts of the fleet that do not affect each other.
fn parts(fleet: &Fleet) -> Vec<Fleet> {
    // A round may still run when the next tick begins.
    let in_flight = 2 * fleet.targets.iter().map(|target| u64::from(target.highest())).sum::<u64>();
    let is_shared = fleet.budget.is_some() || !fleet.owner_budgets.is_empty() || !fleet.pipelines.is_empty();
    if is_shared || in_flight > u64::from(fleet.limits.max_in_flight) {
        return vec![fleet.clone()];
    }
    let mut regions: BTreeMap<Region, Vec<Target>> = BTreeMap::new();
    for target in &fleet.targets {
        regions.entry(target.id.region).or_default().push(target.clone());
    }
    regions.into_values().map(|targets| Fleet { targets, ..fleet.clone() }).collect()
}

/// Returns the minutes of the period in which a target may be due.
fn minutes(fleet: &Fleet, period: Period) -> BTreeSet<i64> {
    let of_target = |target| {
        let open = segments(target, period.from, period.until).into_iter();
        open.flat_map(move |Segment { from, until, .. }| {
            let minutes = from.epoch()..until.epoch();
            minutes.filter(move |&at| at == from.epoch() || has_interval_minute(target, at..at + 1))
        })
    };
    fleet.targets.iter().flat_map(of_target).collect()
}

/// Simulates a part of the fleet, on the virtual time of the runtime, as [`simulate_regions`] does. Minutes in which
/// nothing is due are skipped.
///
/// # Errors
/// The simulation cannot be started.
async fn simulate(
    app: &App,
    fleet: &Fleet,
    period: Period,
    mut add: impl FnMut(i64, &Rows),
) -> Result<(), Failure> {
    let clock = Simulated { from: period.from.instant(), since: Instant::now() };
    let has_capacity = fleet.targets.iter().any(|target| target.strategy.is_capacity());
    let documents = match has_capacity {
        true => DocumentStore::new(Arc::new(Memory::default()), Durability::Durable),
        false => DocumentStore::memory(),
    };
    let mut service = app.service(LiveConfig::fixed(fleet.clone()), documents.clone(), None, None)?;
    service.clock = Arc::new(clock);
    app.drive(&mut service, &documents);
    let (_stopper, stop) = stop();
    let budget = TimeBudget::until_stopped(stop, None);
    let mut open = OpenHistory::default();
    let mut moved = Vec::new();
    let all = has_capacity.then_some(period.from.epoch()..period.until.epoch());
    let some = if has_capacity { BTreeSet::new() } else { minutes(fleet, period) };
    for minute in all.into_iter().flatten().chain(some).map(Minute::from_epoch) {
        let previous = minute.plus(-1);
        if has_capacity || !plan_tick(fleet, minute, Mode::DueSince(previous)).is_empty() {
            let elapsed = (minute.instant() - clock.from).to_std().unwrap_or_default();
            sleep_until(clock.since + elapsed).await;
            let trigger = Trigger::Schedule { at: minute.instant(), previous };
            let outcome = service.serve(trigger, &budget, &Silent).await;
            let report = outcome.map_err(|refusal| Failure::Unexpected(refusal.to_string()))?.report;
            let write = u64::try_from(minute.epoch()).unwrap_or(0);
            let observed = Observed::new(&report, fleet, minute.instant(), write, true);
            open.note(&observed, fleet, Others::None, minute.instant());
            if let Some(unmoved) = open.seal(&moved, minute.instant()) {
                give(unmoved, &mut add);
                moved = vec![unmoved.write];
            }
        }
    }
    open.seal(&moved, period.until.instant());
    for unmoved in open.unmoved() {
        give(unmoved, &mut add);
    }
    Ok(())
}

fn give(unmoved: &Unmoved, add: &mut impl FnMut(i64, &Rows)) {
    for (hour, rows) in unmoved.rows() {
        add(hour, rows);
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use rust_decimal::Decimal;

    use super::*;
    use crate::config;
    use crate::domain::budget::{Budget, OnExceed};
    use crate::domain::cost::Per;
    use crate::domain::fleet::Limits;
    use crate::domain::function::Architecture;
    use crate::domain::review::Reviewing;
    use crate::emulator::Count;

    /// Returns the cost in US dollars of what the emulator has counted of a function, at the list prices of 2026-11-01.
    fn priced(count: &Count, target: &Target, created: u64) -> Decimal {
        let usd = |text: &str| text.parse::<Decimal>().unwrap();
        let gb_second = usd(match target.architecture {
            Architecture::Arm64 => "0.0000133334",
            Architecture::X86_64 => "0.0000166667",
        });
        let (get, nat_gib) = match target.id.region.as_str() {
            "eu-west-2" => ("0.00000042", "0.05"),
            "us-east-1" => ("0.0000004", "0.045"),
            _ => ("0", "0"),
        };
        let downloads = target.downloads.iter().map(|download| {
            let times = if download.per == Per::Ping { count.pings } else { created };
            let gib = Decimal::from(download.size_bytes) / Decimal::from(1_u64 << 30);
            Decimal::from(times) * (usd(get) + gib * usd(nat_gib))
        });
        let compute = Decimal::from(count.billed_mb_ms) / Decimal::from(1_024_000) * gb_second;
        Decimal::from(count.pings) * usd("0.0000002") + compute + downloads.sum::<Decimal>()
    }

    #[tokio::test(start_paused = true)]
    async fn the_totals_of_a_day_are_those_of_the_emulator() {
        let examples = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/warm-configs"));
        let fleet = config::load(&[examples], None).unwrap().fleet;
        // A Friday on which most examples are open, one with its highest number.
        let from = Minute::of("2026-11-27T00:00:00Z".parse().unwrap());
        let period = Period { from, until: from.plus(24 * 60) };
        let (app, emulator) = App::simulated_long(&fleet.targets);
        let mut reviewing = Reviewing::new(&fleet, period);
        simulate(&app, &fleet, period, |hour, rows| reviewing.add(hour, rows)).await.unwrap();
        let review = reviewing.finish(Vec::new());
        let counts = emulator.observe().counts;
        for function in &review.functions {
            let name = function.id.label();
            let count = counts.of(function.id.region.as_str(), function.id.name.as_str());
            let row = &function.sums.row;
            assert_eq!(row.pings, count.pings, "{name}");
            let created: u64 = count.environments.values().sum();
            assert_eq!(row.new_environments(), created, "{name}");
            let downloads = &function.target.unwrap().downloads;
            let bytes = downloads.iter().map(|download| {
                let times = if download.per == Per::Ping { count.pings } else { created };
                times * download.size_bytes
            });
            assert_eq!(function.sums.egress_bytes(), bytes.sum::<u64>(), "{name}");
            let (usd, expected) =
                (function.sums.known_usd, priced(&count, function.target.unwrap(), created));
            assert!((usd - expected).abs() < Decimal::new(1, 9), "{name}: {usd}, {expected}");
            assert_eq!(row.cost_unknown, 0, "{name}");
        }
        assert!(review.fleet.known_usd > Decimal::ONE);
        let all: u64 = counts.scopes.values().map(|count| count.pings).sum();
        assert_eq!(review.fleet.row.pings, all);
        assert!(all > 10_000 && review.fleet.row.egress.contains_key("nat-gateway"), "{all}");
        // The last interval before the end is not judged by a later round.
        let of_checkout = review.functions.iter().find(|one| one.id.name.as_str() == "checkout-api").unwrap();
        assert_eq!(of_checkout.sums.row.minutes.window, 24 * 60 - 5);
        assert!(review.fleet.row.minutes.warm > 0 && review.fleet.row.minutes.unknown == 0);
    }

    #[test]
    fn regions_together_have_the_history_of_the_whole_fleet() {
        let examples = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/warm-configs"));
        let fleet = config::load(&[examples], None).unwrap().fleet;
        assert!(parts(&fleet).len() > 1);
        let from = Minute::of("2026-11-27T08:30:00Z".parse().unwrap());
        let period = Period { from, until: from.plus(45) };
        let [mut apart, mut together] = [const { BTreeMap::<i64, Rows>::new() }; 2];
        let add = |all: &mut BTreeMap<i64, Rows>, hour, rows: &Rows| {
            let of_hour = all.entry(hour).or_default();
            for (id, row) in rows {
                of_hour.entry(id.clone()).or_default().add(row);
            }
        };
        simulate_regions(&fleet, period, |hour, rows| add(&mut apart, hour, rows)).unwrap();
        let simulation = async {
            let (app, _) = App::simulated_long(&fleet.targets);
            simulate(&app, &fleet, period, |hour, rows| add(&mut together, hour, rows)).await
        };
        block_on_virtual(simulation).unwrap();
        assert_eq!(apart, together);
        assert!(apart.values().flat_map(Rows::values).map(|row| row.pings).sum::<u64>() > 300);
        let budget = Budget { monthly_usd: 1.into(), on_exceed: OnExceed::Stop, stop_capacity: false };
        let crowded = Fleet { limits: Limits { max_in_flight: 30, ..fleet.limits }, ..fleet.clone() };
        assert_eq!(parts(&crowded).len(), 1, "rounds of several regions wait for each other");
        let budgeted = Fleet { owner_budgets: [("shop".to_owned(), budget)].into(), ..fleet };
        assert_eq!(parts(&budgeted).len(), 1, "owners have functions in several regions");
    }

    #[test]
    fn only_minutes_without_a_due_target_are_left_out() {
        let examples = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/warm-configs"));
        let fleet = config::load(&[examples], None).unwrap().fleet;
        let from = Minute::of("2026-11-27T00:00:00Z".parse().unwrap());
        let period = Period { from, until: from.plus(24 * 60) };
        let kept = minutes(&fleet, period);
        let all = from.epoch()..period.until.epoch();
        assert!(kept.len() < all.clone().count());
        for minute in all.filter(|minute| !kept.contains(minute)).map(Minute::from_epoch) {
            assert_eq!(plan_tick(&fleet, minute, Mode::DueOnly), [], "{}", minute.instant());
        }
    }
}
