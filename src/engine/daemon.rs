//! The daemon's loop: a tick at every firing of its cron expression.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;
use tracing::{error, warn};

use super::planner::Plan;
use super::ports::{Clock, Lambda};
use super::running::{Part, Reporter};
use super::stop::Stop;
use super::tick::Engine;
use crate::domain::future::{TOLERANCE, later};

/// The longest the daemon sleeps without looking at the wall clock: a machine that slept, or whose clock was set, is
/// noticed within it.
const LOOK: Duration = Duration::from_secs(5);
/// The largest difference of wall clock and monotonic clock between two readings that does not count as a set clock.
/// Adjustments that keep a clock right are far smaller.
const STEP: TimeDelta = TimeDelta::seconds(1);
/// The time after which a tick is due when only the monotonic clock has reached its firing.
const GRACE: Duration = Duration::from_secs(2);
/// Longer than any interval.
const LONG_AGO: TimeDelta = TimeDelta::days(366);
/// The most missed firings that are counted: a clock that jumps to another century has missed millions.
const MOST_MISSED: usize = 10_000;

/// What the daemon does beside pinging.
pub trait Daemon: Send + Sync + 'static {
    /// Before each tick: reloads what changed, and says what is due. `previous` is the instant of the firing
    /// before, `now` that of this tick.
    fn due(
        &self,
        previous: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> impl Future<Output = (Option<String>, Plan)> + Send;

    /// After each part of a tick: shows and records it. Ticks may overlap, and end in another order than they began.
    fn ticked(&self, plan: &Plan, part: Part) -> impl Future<Output = ()> + Send;
}

/// The end of the loop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub struct Ended {
    /// Ticks that ended in a panic: nothing or not all of them was shown and recorded.
    pub lost_ticks: u32,
}

/// Serves every firing of `cron` (in UTC) until `stop` is signalled; then waits for the rounds in flight and their
/// records, for `grace` at most.
///
/// `now` is read once a tick. The first tick is at once, and serves every target with an open window or request. Firings
/// missed while the machine slept, or because its clock was set ahead, are not made up: these targets are served once, and
/// the log says how many were missed.
///
/// A clock that is set back does not delay the next tick: it comes at the next firing by the new time, and at the
/// latest when it would have come by the old. When that is before the last tick by more than a minute, every target in
/// force is served. A tick that panics is logged, and the next one comes as usual.
pub async fn run<L: Lambda, D: Daemon>(
    engine: Arc<Engine<L>>,
    daemon: Arc<D>,
    clock: Arc<impl Clock>,
    cron: &cron::Schedule,
    mut stop: Stop,
    grace: Duration,
) -> Ended {
    let mut ticks = Ticks::default();
    let mut timer = Timer::new(clock.as_ref());
    // A daemon that has just started does not know when targets were last served: all that are in force are due.
    let mut previous = later(timer.next, -LONG_AGO);
    while let Some(now) = timer.wait(clock.as_ref(), cron, &mut ticks, &mut stop).await {
        let missed = cron.after(&timer.next).take_while(|firing| *firing <= now).take(MOST_MISSED).count();
        if missed > 0 {
            warn!(missed, "ticks were missed; the targets in force are served once");
        }
        if previous > later(now, TOLERANCE) {
            warn!(%previous, %now, "the clock was set back before the last tick: the targets in force are served once");
            previous = later(now, -LONG_AGO);
        }
        // In a task of its own: what panics in it costs this tick, not those to come.
        let planning = tokio::spawn({
            let daemon = Arc::clone(&daemon);
            async move { daemon.due(previous, now).await }
        });
        match planning.await {
            Ok((config, plan)) => {
                let running = engine.start(now, config, plan.due.clone(), &stop);
                let (parts, stop) = (Parts { daemon: Arc::clone(&daemon), plan }, stop.clone());
                ticks.running.spawn(async move {
                    running.in_parts(&parts.plan.skipped, stop, grace, &parts).await;
                });
                previous = now;
            }
            Err(error) => ticks.lose(&error),
        }
        if !timer.set(now, cron) {
            warn!("the cron expression never fires again");
            break;
        }
    }
    ticks.end().await
}

/// The parts of one of the daemon's ticks.
struct Parts<D> {
    daemon: Arc<D>,
    plan: Plan,
}

impl<D: Daemon> Reporter for Parts<D> {
    async fn part(&self, part: Part) {
        self.daemon.ticked(&self.plan, part).await;
    }
}

/// Ticks that run.
#[derive(Debug, Default)]
struct Ticks {
    running: JoinSet<()>,
    lost: u32,
}

impl Ticks {
    /// Collects those that have ended.
    fn collect(&mut self) {
        while let Some(ended) = self.running.try_join_next() {
            self.count(ended);
        }
    }

    /// Waits for all of them.
    async fn end(mut self) -> Ended {
        while let Some(ended) = self.running.join_next().await {
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
        error!(%error, "a tick ended unexpectedly: it was not shown or recorded to its end");
        self.lost = self.lost.saturating_add(1);
    }
}

/// Both clocks, read together.
#[derive(Debug, Clone, Copy)]
struct Reading {
    wall: DateTime<Utc>,
    monotonic: Instant,
}

impl Reading {
    fn of(clock: &impl Clock) -> Self {
        Self { wall: clock.now(), monotonic: Instant::now() }
    }

    /// The amount by which the wall clock was set between this reading and a later one: negative when it was set back.
    fn step(self, to: Self) -> TimeDelta {
        let elapsed = TimeDelta::from_std(to.monotonic - self.monotonic).unwrap_or(TimeDelta::MAX);
        let shown = to.wall.signed_duration_since(self.wall);
        shown.checked_sub(&elapsed).unwrap_or(TimeDelta::MIN)
    }
}

/// Waits for firings.
#[derive(Debug)]
struct Timer {
    /// The firing that is waited for, on the wall clock.
    next: DateTime<Utc>,
    /// When it comes at the latest, whatever the wall clock says.
    latest: Instant,
    /// The last look at the clocks.
    seen: Reading,
}

impl Timer {
    /// A timer whose first firing is at once.
    fn new(clock: &impl Clock) -> Self {
        let seen = Reading::of(clock);
        Self { next: seen.wall, latest: seen.monotonic + GRACE, seen }
    }

    /// Waits for the firing, and returns what the wall clock says then; none when it is time to stop.
    async fn wait(
        &mut self,
        clock: &impl Clock,
        cron: &cron::Schedule,
        ticks: &mut Ticks,
        stop: &mut Stop,
    ) -> Option<DateTime<Utc>> {
        loop {
            ticks.collect();
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
            let nap = left.min(self.latest - now.monotonic).min(LOOK);
            tokio::select! {
                biased;
                _ = stop.stopped() => return None,
                () = tokio::time::sleep(nap) => {}
            }
        }
    }

    /// Sets the firing after `now`; `false` when there is none.
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
