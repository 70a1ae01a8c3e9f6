//! The daemon's loop: a tick at every firing of its cron expression.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::task::JoinSet;
use tracing::warn;

use super::keeper::Plan;
use super::ports::{Clock, Lambda};
use super::stop::Stop;
use super::tick::Engine;
use crate::domain::tick::TickReport;

/// The longest the daemon sleeps without looking at the clock: a machine that slept, or whose clock was set, is
/// noticed within it.
const LOOK: Duration = Duration::from_secs(5);

/// Longer than any interval.
const LONG_AGO: TimeDelta = TimeDelta::days(366);

/// What the daemon does beside pinging.
pub trait Daemon: Send + Sync + 'static {
    /// Before each tick: reloads what changed, and says what is due. `previous` is the instant of the firing
    /// before, `now` that of this tick.
    fn due(
        &self,
        previous: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> impl Future<Output = (Option<String>, Plan)> + Send;

    /// After each tick: shows and records it. Ticks may overlap, and end in another order than they began.
    fn ticked(&self, plan: Plan, report: TickReport) -> impl Future<Output = ()> + Send;
}

/// Serves every firing of `cron` (in UTC) until `stop` speaks; then waits for the rounds in flight and their records.
///
/// `now` is read once a tick. The first tick is at once, and serves every target in force. Firings missed while the machine slept are not made up: the targets in force are
/// served once, and the log says how many were missed.
pub async fn run<L: Lambda, D: Daemon>(
    engine: Arc<Engine<L>>,
    daemon: Arc<D>,
    clock: Arc<impl Clock>,
    cron: &cron::Schedule,
    mut stop: Stop,
) {
    let mut ticks = JoinSet::new();
    // A daemon that has just started does not know when targets were last served: all that are in force are due.
    let mut next = clock.now();
    let mut previous = next - LONG_AGO;
    loop {
        if !wait_until(next, clock.as_ref(), &mut ticks, &mut stop).await {
            break;
        }
        let now = clock.now();
        let missed = cron.after(&next).take_while(|firing| *firing <= now).count();
        if missed > 0 {
            warn!(missed, "ticks were missed; the targets in force are served once");
        }
        let (config, plan) = daemon.due(previous, now).await;
        let (engine, daemon, stop) = (Arc::clone(&engine), Arc::clone(&daemon), stop.clone());
        ticks.spawn(async move {
            let mut report = engine.tick(now, config, plan.due.clone(), &stop).await;
            report.rounds.extend(plan.skipped.iter().cloned());
            daemon.ticked(plan, report).await;
        });
        previous = now;
        match cron.after(&now).next() {
            Some(firing) => next = firing,
            None => {
                warn!("the cron expression never fires again");
                break;
            }
        }
    }
    while ticks.join_next().await.is_some() {}
}

/// Waits for `firing`, or for the stop (`false`). Collects ticks that have ended meanwhile.
async fn wait_until(
    firing: DateTime<Utc>,
    clock: &impl Clock,
    ticks: &mut JoinSet<()>,
    stop: &mut Stop,
) -> bool {
    loop {
        while ticks.try_join_next().is_some() {}
        let left = firing - clock.now();
        if left <= TimeDelta::zero() {
            return !stop.is_stopping();
        }
        let nap = left.to_std().unwrap_or_default().min(LOOK);
        tokio::select! {
            biased;
            () = stop.stopped() => return false,
            () = tokio::time::sleep(nap) => {}
        }
    }
}
