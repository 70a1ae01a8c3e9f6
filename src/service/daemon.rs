//! The loop of the daemon: a tick at every firing of a cron expression.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;
use tracing::{error, warn};

use crate::domain::future::{TOLERANCE, later};
use crate::engine::ports::Clock;
use crate::engine::stop::Stop;

/// The longest time between two readings of the wall clock. It limits the delay after which a suspended machine or a
/// changed clock is detected.
const MOST_SLEEP: Duration = Duration::from_secs(5);
/// The largest difference between wall clock and monotonic clock that does not count as a changed clock. Adjustments
/// by time synchronization are far smaller.
const STEP: TimeDelta = TimeDelta::seconds(1);
/// The time after which a tick is due when only the monotonic clock has reached its firing.
const GRACE: Duration = Duration::from_secs(2);
/// Longer than any interval.
const LONG_AGO: TimeDelta = TimeDelta::days(366);
/// The most missed firings that are counted: after a jump of the clock by a century there are millions.
const MOST_MISSED: usize = 10_000;

/// Plans and serves the ticks of the daemon.
pub trait Ticks: Send + Sync + 'static {
    /// The plan of a tick.
    type Plan: Send + 'static;

    /// Plans the tick at `now`. `previous` is the time of the firing before.
    fn plan(&self, previous: DateTime<Utc>, now: DateTime<Utc>) -> impl Future<Output = Self::Plan> + Send;

    /// Serves a planned tick to its end. Ticks may overlap.
    fn serve(&self, plan: Self::Plan) -> impl Future<Output = ()> + Send;
}

/// The end of the loop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub struct Ended {
    /// The number of ticks that ended in a panic: they were not shown and recorded completely.
    pub lost_ticks: u32,
}

/// Serves every firing of `cron` (in UTC) until `stop` is signalled. Then waits for the ticks that still run.
///
/// The wall clock is read once a tick. The first tick is immediate, and serves every target with an open window or
/// request. Firings that were missed while the machine was suspended, or because its clock was set ahead, are not
/// repeated: their targets are served once, and the number of missed firings is logged.
///
/// A clock that is set back does not delay the next tick: it comes at the next firing by the new time, and at the
/// latest when it would have come by the old. If the new time is more than a minute before the last tick, every target
/// with an open window or request is served. A tick that panics is logged, and does not affect the next one.
pub async fn run<T: Ticks>(ticks: Arc<T>, clock: &dyn Clock, cron: &cron::Schedule, mut stop: Stop) -> Ended {
    let mut running = Running::default();
    let mut timer = Timer::new(clock);
    // The times at which targets were last served are unknown at the start: all with an open window are due.
    let mut previous = later(timer.next, -LONG_AGO);
    while let Some(now) = timer.wait(clock, cron, &mut running, &mut stop).await {
        let missed = cron.after(&timer.next).take_while(|firing| *firing <= now).take(MOST_MISSED).count();
        if missed > 0 {
            warn!(missed, "ticks were missed; their targets are served once");
        }
        if previous > later(now, TOLERANCE) {
            warn!(%previous, %now,
                "the clock was set back before the last tick: all targets with an open window are served once");
            previous = later(now, -LONG_AGO);
        }
        // In its own task: a panic affects this tick only.
        let planning = tokio::spawn({
            let ticks = Arc::clone(&ticks);
            async move { ticks.plan(previous, now).await }
        });
        match planning.await {
            Ok(plan) => {
                let ticks = Arc::clone(&ticks);
                running.ticks.spawn(async move { ticks.serve(plan).await });
                previous = now;
            }
            Err(error) => running.lose(&error),
        }
        if !timer.set(now, cron) {
            warn!("the cron expression never fires again");
            break;
        }
    }
    running.end().await
}

/// The ticks that run.
#[derive(Debug, Default)]
struct Running {
    ticks: JoinSet<()>,
    lost: u32,
}

impl Running {
    /// Removes the ticks that have ended.
    fn collect(&mut self) {
        while let Some(ended) = self.ticks.try_join_next() {
            self.count(ended);
        }
    }

    /// Waits for all ticks.
    async fn end(mut self) -> Ended {
        while let Some(ended) = self.ticks.join_next().await {
            self.count(ended);
        }
        Ended { lost_ticks: self.lost }
    }

    fn count(&mut self, ended: Result<(), JoinError>) {
        if let Err(error) = ended {
            self.lose(&error);
        }
    }

    fn lose(&mut self, error: &JoinError) {
        error!(%error, "a tick ended unexpectedly: it was not shown and recorded completely");
        self.lost = self.lost.saturating_add(1);
    }
}

/// Both clocks, read at the same time.
#[derive(Debug, Clone, Copy)]
struct Reading {
    wall: DateTime<Utc>,
    monotonic: Instant,
}

impl Reading {
    fn of(clock: &dyn Clock) -> Self {
        Self { wall: clock.now(), monotonic: Instant::now() }
    }

    /// Returns the amount by which the wall clock was set between this reading and a later one: negative when it was
    /// set back.
    fn step(self, to: Self) -> TimeDelta {
        let elapsed = TimeDelta::from_std(to.monotonic - self.monotonic).unwrap_or(TimeDelta::MAX);
        let shown = to.wall.signed_duration_since(self.wall);
        shown.checked_sub(&elapsed).unwrap_or(TimeDelta::MIN)
    }
}

/// Waits for firings.
#[derive(Debug)]
struct Timer {
    /// The next firing, on the wall clock.
    next: DateTime<Utc>,
    /// The latest time of the next tick, on the monotonic clock.
    latest: Instant,
    /// The last reading of the clocks.
    seen: Reading,
}

impl Timer {
    /// Creates a timer whose first firing is immediate.
    fn new(clock: &dyn Clock) -> Self {
        let seen = Reading::of(clock);
        Self { next: seen.wall, latest: seen.monotonic + GRACE, seen }
    }

    /// Waits for the next firing. Returns the time of the wall clock then; none after the signal to stop.
    async fn wait(
        &mut self,
        clock: &dyn Clock,
        cron: &cron::Schedule,
        running: &mut Running,
        stop: &mut Stop,
    ) -> Option<DateTime<Utc>> {
        loop {
            running.collect();
            let now = Reading::of(clock);
            let step = self.seen.step(now);
            self.seen = now;
            if step < -STEP {
                warn!(seconds = step.num_seconds(), now = %now.wall, "the clock was set back");
                let latest = self.latest;
                self.set(now.wall, cron);
                self.latest = self.latest.min(latest);
            }
            if now.wall >= self.next || now.monotonic >= self.latest {
                return (!stop.is_stopping()).then_some(now.wall);
            }
            let left = self.next.signed_duration_since(now.wall).to_std().unwrap_or_default();
            let sleep = left.min(self.latest - now.monotonic).min(MOST_SLEEP);
            tokio::select! {
                biased;
                _ = stop.stopped() => return None,
                () = tokio::time::sleep(sleep) => {}
            }
        }
    }

    /// Sets the firing after `now`. Returns false when there is none.
    fn set(&mut self, now: DateTime<Utc>, cron: &cron::Schedule) -> bool {
        let Some(next) = cron.after(&now).next() else {
            return false;
        };
        let left = next.signed_duration_since(self.seen.wall).to_std().unwrap_or_default();
        self.next = next;
        self.latest = self.seen.monotonic + left + GRACE;
        true
    }
}
