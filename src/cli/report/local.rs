//! The simulated period of `--local`.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use tokio::time::{Instant, sleep_until};

use crate::cli::app::App;
use crate::cli::error::Failure;
use crate::domain::fleet::Fleet;
use crate::domain::history::{Observed, OpenHistory, Others, Rows, Unmoved};
use crate::domain::plan::Period;
use crate::domain::schedule::{Mode, plan_tick};
use crate::engine::ports::Clock;
use crate::engine::stop::stop;
use crate::service::budget::TimeBudget;
use crate::service::live_config::LiveConfig;
use crate::service::store::{DocumentStore, Durability, Memory};
use crate::service::{Observer, Trigger};

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

/// Simulates the fleet over a period, on the virtual time of the runtime, and calls `add` with the rows of its history.
/// An hour may come several times. Minutes in which nothing is due are skipped.
///
/// # Errors
/// The simulation cannot be started.
pub(super) async fn simulate(
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
    let mut minute = period.from;
    let mut previous = minute.plus(-1);
    while minute < period.until {
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
        previous = minute;
        minute = minute.plus(1);
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

    use super::*;
    use crate::config;
    use crate::domain::cost::Per;
    use crate::domain::review::Reviewing;
    use crate::domain::schedule::Minute;

    #[tokio::test(start_paused = true)]
    async fn the_totals_of_a_morning_are_those_of_the_emulator() {
        let examples = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/warm-configs"));
        let fleet = config::load(&[examples], None).unwrap().fleet;
        // A Friday on which most examples are open, one with its highest number.
        let from = Minute::of("2026-11-27T08:00:00Z".parse().unwrap());
        let period = Period { from, until: from.plus(3 * 60) };
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
        }
        let all: u64 = counts.scopes.values().map(|count| count.pings).sum();
        assert_eq!(review.fleet.row.pings, all);
        assert!(all > 1_000 && review.fleet.row.egress.contains_key("nat-gateway"), "{all}");
        // The last interval before the end is not judged by a later round.
        let of_checkout = review.functions.iter().find(|one| one.id.name.as_str() == "checkout-api").unwrap();
        assert_eq!(of_checkout.sums.row.minutes.window, 3 * 60 - 5);
        assert!(review.fleet.row.minutes.warm > 0 && review.fleet.row.minutes.unknown == 0);
    }
}
