//! The daemon with a wall clock that is changed, and with ticks that panic.

use super::*;

/// A tick: seconds since the daemon's start on the monotonic clock, the previous firing, and the tick's own time.
type Tick = (u64, DateTime<Utc>, DateTime<Utc>);

/// The ticks of a daemon on paused time.
#[derive(Debug)]
struct Log {
    began: Instant,
    ticks: Mutex<Vec<Tick>>,
    /// The numbers of the ticks that panic during planning and during recording.
    panics: [Option<usize>; 2],
}

impl Ticks for Log {
    type Plan = ();

    async fn plan(&self, previous: DateTime<Utc>, now: DateTime<Utc>) {
        let number = {
            let mut ticks = self.ticks.lock().unwrap();
            ticks.push((self.began.elapsed().as_secs(), previous, now));
            ticks.len()
        };
        assert_ne!(self.panics[0], Some(number), "planning panics");
    }

    async fn serve(&self, (): ()) {
        let number = self.ticks.lock().unwrap().len();
        assert_ne!(self.panics[1], Some(number), "recording panics");
    }
}

/// A daemon that ticks every minute from 09:00:30 on.
struct Run {
    log: Arc<Log>,
    clock: Arc<Wall>,
    stopper: crate::engine::stop::Stopper,
    daemon: tokio::task::JoinHandle<daemon::Ended>,
}

impl Run {
    fn start(panics: [Option<usize>; 2]) -> Self {
        let (stopper, stop) = stop();
        let began = Instant::now();
        let clock = Arc::new(Wall::new("2026-11-20T09:00:30Z"));
        let log = Arc::new(Log { began, ticks: Mutex::default(), panics });
        let daemon = tokio::spawn({
            let (log, clock) = (Arc::clone(&log), Arc::clone(&clock));
            let cron = "0 * * * * *".parse::<cron::Schedule>().unwrap();
            async move { daemon::run(log, clock.as_ref(), &cron, stop).await }
        });
        Self { log, clock, stopper, daemon }
    }

    /// Moves the clock ahead by so many seconds, or back.
    fn set(&self, seconds: i64) {
        self.clock.ahead.fetch_add(seconds, Ordering::SeqCst);
    }

    /// Describes the ticks until now.
    fn ticks(&self) -> Vec<String> {
        let shown = |(seconds, previous, now): &Tick| {
            let all = *now - *previous > TimeDelta::days(300);
            let previous = if all { "all".to_owned() } else { previous.format("%T").to_string() };
            format!("{seconds} s: {previous} {}", now.format("%T"))
        };
        self.log.ticks.lock().unwrap().iter().map(shown).collect()
    }

    async fn end(self) -> daemon::Ended {
        self.stopper.stop();
        self.daemon.await.unwrap()
    }
}

async fn pass(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_set_back_delays_no_tick() {
    let run = Run::start([None, None]);
    pass(32).await;
    run.set(-3_600);
    pass(120).await;
    assert_eq!(
        run.ticks(),
        ["0 s: all 09:00:30", "30 s: 09:00:30 09:01:00", "90 s: all 08:02:00", "150 s: 08:02:00 08:03:00"]
    );
    assert_eq!(run.end().await.lost_ticks, 0);
}

#[tokio::test(start_paused = true)]
async fn after_a_clock_is_set_ahead_only_the_skipped_ticks_are_lost() {
    let run = Run::start([None, None]);
    pass(32).await;
    run.set(3_600);
    pass(60).await;
    // The daemon reads the clock every five seconds.
    assert_eq!(
        run.ticks(),
        [
            "0 s: all 09:00:30",
            "30 s: 09:00:30 09:01:00",
            "35 s: 09:01:00 10:01:05",
            "90 s: 10:01:05 10:02:00"
        ]
    );
    // The clock is set back to the original time.
    run.set(-3_600);
    pass(60).await;
    assert_eq!(run.ticks()[4..], ["150 s: all 09:03:00"]);
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_set_back_repeatedly_delays_no_tick() {
    let run = Run::start([None, None]);
    for _ in 0..20 {
        pass(20).await;
        run.set(-20);
    }
    let ticks = run.log.ticks.lock().unwrap().clone();
    assert!(ticks.windows(2).all(|pair| pair[1].0 - pair[0].0 <= 67), "{ticks:?}");
    assert!(ticks.len() >= 6, "{ticks:?}");
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_jumps_to_another_century_does_not_stop_the_daemon() {
    let run = Run::start([None, None]);
    pass(32).await;
    run.set(60 * 365 * 86_400);
    pass(60).await;
    run.set(-60 * 365 * 86_400);
    pass(60).await;
    let ticks = run.ticks();
    assert!(ticks.last().unwrap().ends_with("all 09:03:00"), "{ticks:?}");
}

#[tokio::test(start_paused = true)]
async fn after_small_adjustments_no_minute_is_served_twice() {
    let run = Run::start([None, None]);
    for adjustment in [-1, 1, -1] {
        pass(60).await;
        run.set(adjustment);
    }
    pass(45).await;
    let minutes: Vec<String> = run.ticks().iter().map(|tick| tick[tick.len() - 8..].to_owned()).collect();
    assert_eq!(minutes, ["09:00:30", "09:01:00", "09:02:00", "09:03:00", "09:04:00"]);
}

#[tokio::test(start_paused = true)]
async fn ticks_that_panic_are_counted_and_do_not_stop_the_next() {
    let run = Run::start([Some(2), Some(3)]);
    pass(155).await;
    assert_eq!(
        run.ticks(),
        [
            "0 s: all 09:00:30",
            "30 s: 09:00:30 09:01:00",
            "90 s: 09:00:30 09:02:00",
            "150 s: 09:02:00 09:03:00"
        ],
        "targets that were not planned are due at the next tick"
    );
    assert_eq!(run.end().await.lost_ticks, 2);
}
