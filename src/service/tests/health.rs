//! The health of daemons whose ticks continue, hang, panic, or are asked to stop.

use super::*;
use crate::domain::health::Condition;
use crate::engine::stop::Stopper;
use crate::service::health::{LONGEST, TickWatch};

/// The behaviour of a tick.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Behaviour {
    Reports,
    /// Only its second part is reported, as by a tick before the failure.
    ReportsLate,
    HangsInPlan,
    HangsInServe,
    Panics,
}

/// Ticks that report to a watch. `fails` is the behaviour from the third tick on.
struct Watched {
    watch: Arc<TickWatch>,
    clock: Arc<Wall>,
    fails: Behaviour,
    count: AtomicI64,
}

impl Ticks for Watched {
    type Plan = Behaviour;

    async fn plan(&self, _: DateTime<Utc>, _: DateTime<Utc>) -> Behaviour {
        let is_late = self.count.fetch_add(1, Ordering::SeqCst) >= 2;
        let behaviour = if is_late { self.fails } else { Behaviour::Reports };
        if behaviour == Behaviour::HangsInPlan {
            std::future::pending::<()>().await;
        }
        behaviour
    }

    async fn serve(&self, behaviour: Behaviour) {
        match behaviour {
            Behaviour::HangsInPlan | Behaviour::HangsInServe => std::future::pending().await,
            Behaviour::Panics => panic!("a tick panics"),
            Behaviour::Reports | Behaviour::ReportsLate => {
                let is_first = behaviour == Behaviour::Reports;
                let report = TickReport::empty(self.clock.now(), None);
                let until = Instant::now();
                self.watch.note(&Part { report, is_first, whole: None, running: Vec::new(), until });
            }
        }
    }
}

/// Starts a daemon at 09:00:30 with this cron expression.
fn start(cron: &str, fails: Behaviour) -> (Arc<TickWatch>, Arc<Wall>, Stopper) {
    let (stopper, stop) = stop();
    let clock = Arc::new(Wall::new("2026-11-20T09:00:30Z"));
    let cron: cron::Schedule = cron.parse().unwrap();
    let watch = Arc::new(TickWatch::start(cron.clone(), Arc::clone(&clock) as Arc<dyn Clock>, stop.clone()));
    let count = AtomicI64::new(0);
    let ticks = Watched { watch: Arc::clone(&watch), clock: Arc::clone(&clock), fails, count };
    let wall = Arc::clone(&clock);
    tokio::spawn(async move { daemon::run(Arc::new(ticks), wall.as_ref(), &cron, stop).await });
    (watch, clock, stopper)
}

/// Returns the seconds after which the condition is no longer healthy, within three hours.
async fn stale_after(watch: &TickWatch) -> Option<u64> {
    let start = Instant::now();
    while watch.condition().is_healthy() {
        tokio::time::sleep(Duration::from_secs(1)).await;
        if start.elapsed() > Duration::from_secs(3 * 3_600) {
            return None;
        }
    }
    Some(start.elapsed().as_secs())
}

#[tokio::test(start_paused = true)]
async fn ticks_that_continue_are_healthy_also_when_the_clock_is_set() {
    let (watch, clock, _stopper) = start("0 0 * * * *", Behaviour::Reports);
    assert_eq!((watch.condition(), watch.last_tick()), (Condition::Starting, None));
    assert_eq!(stale_after(&watch).await, None);
    assert_eq!((watch.condition(), watch.last_tick()), (Condition::Ok, Some(at("2026-11-20T12:00:00Z"))));
    for seconds in [7_200, -7_200, -60] {
        clock.ahead.fetch_add(seconds, Ordering::SeqCst);
        assert_eq!(stale_after(&watch).await, None, "{seconds}");
    }
}

#[tokio::test(start_paused = true)]
async fn ticks_that_stop_are_stale_after_the_next_firing_and_the_longest_tick() {
    assert_eq!(LONGEST, Duration::from_secs(120), "as in the help of `run`");
    // The second tick reports after 30 s, or at 10:00; the third firing follows a minute or an hour later.
    for (cron, third) in [("0 * * * * *", 90), ("0 0 * * * *", 59 * 60 + 30 + 3_600)] {
        for fails in
            [Behaviour::HangsInPlan, Behaviour::HangsInServe, Behaviour::Panics, Behaviour::ReportsLate]
        {
            let (watch, _, _stopper) = start(cron, fails);
            let expected = third + LONGEST.as_secs();
            let stale = stale_after(&watch).await.unwrap();
            assert!((expected..=expected + 2).contains(&stale), "{cron} {fails:?}: {stale}, not {expected}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_daemon_that_was_asked_to_stop_is_healthy() {
    let (watch, _, stopper) = start("0 * * * * *", Behaviour::HangsInServe);
    tokio::time::sleep(Duration::from_secs(100)).await;
    stopper.stop();
    assert_eq!(stale_after(&watch).await, None);
    assert_eq!(watch.condition(), Condition::Stopping);
}
