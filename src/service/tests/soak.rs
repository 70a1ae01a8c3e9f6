//! A day of the daemon on virtual time, with functions that are sound, slow, hung, throttled, cut off, and with a new
//! id for each invocation.

use std::collections::BTreeMap;

use super::*;

/// The functions, their scripts, and their intervals in minutes.
const FUNCTIONS: [(&str, Script, u32); 6] = [
    ("sound", Script::Runs(Duration::from_millis(300)), 1),
    ("slow", Script::Runs(Duration::from_secs(50)), 1),
    ("hung", Script::Runs(Duration::from_secs(1_000_000)), 2),
    ("throttled", Script::Throttles, 3),
    ("cut-off", Script::Breaks, 4),
    ("fresh-ids", Script::FreshIds, 5),
];

struct Day {
    engine: Arc<Engine<ScriptedLambda>>,
    budget: TimeBudget,
    minutes: AtomicI64,
    reports: Mutex<Vec<TickReport>>,
}

impl Ticks for Day {
    type Plan = (DateTime<Utc>, Vec<Due>);

    async fn plan(&self, _: DateTime<Utc>, now: DateTime<Utc>) -> Self::Plan {
        let minute = self.minutes.fetch_add(1, Ordering::SeqCst);
        let due = FUNCTIONS.iter().filter(|(_, _, every)| minute % i64::from(*every) == 0);
        let due = due.map(|(name, _, every)| {
            let due = super::due(name, 3);
            Due { target: Arc::new(Target { interval_minutes: *every, ..Target::clone(&due.target) }), ..due }
        });
        (now, due.collect())
    }

    async fn serve(&self, (now, due): Self::Plan) {
        let running = self.engine.start(now, None, due, None, self.budget.stop());
        report_in_parts(running, Vec::new(), &self.budget, self).await;
    }
}

impl Reporter for Day {
    async fn complete(&self, _: &mut TickReport) {}

    async fn part(&self, part: &Part) {
        // CloudWatch is slow, too.
        let slow = Instant::now() + Duration::from_secs(15);
        tokio::time::sleep_until(part.until.min(slow)).await;
        self.reports.lock().unwrap().push(part.report.clone());
    }
}

#[tokio::test(start_paused = true)]
async fn a_day_with_every_kind_of_function() {
    const MINUTES: usize = 24 * 60;
    let scripts: Vec<_> = FUNCTIONS.iter().map(|(name, script, _)| (*name, *script)).collect();
    let (engine, scripted) = engine(&scripts, 20);
    let (stopper, stop) = stop();
    let clock = Arc::new(Wall::new("2026-11-20T00:00:00Z"));
    let day = Arc::new(Day {
        engine,
        budget: TimeBudget::until_stopped(stop.clone(), Some(GRACE)),
        minutes: AtomicI64::new(0),
        reports: Mutex::default(),
    });
    let daemon = tokio::spawn({
        let day = Arc::clone(&day);
        let cron = "0 * * * * *".parse::<cron::Schedule>().unwrap();
        async move { daemon::run(day, clock.as_ref(), &cron, stop).await }
    });
    tokio::time::sleep(Duration::from_secs(60 * MINUTES as u64 - 30)).await;
    stopper.stop();
    let stopping = Instant::now();
    assert_eq!(daemon.await.unwrap().lost_ticks, 0);
    assert!(stopping.elapsed() <= GRACE, "{:?}", stopping.elapsed());

    let reports = day.reports.lock().unwrap();
    let mut reported: BTreeMap<String, u32> = BTreeMap::new();
    for report in reports.iter() {
        for round in &report.rounds {
            *reported.entry(round.id.label()).or_default() += round.pings();
        }
        for left in report.unfinished.iter().filter(|left| left.reason.may_have_sent()) {
            *reported.entry(left.id.label()).or_default() += left.desired;
        }
    }
    // Every ping that was sent is in exactly one report.
    let mut sent: BTreeMap<String, u32> = BTreeMap::new();
    let all = scripted.sent.lock().unwrap();
    all.iter().for_each(|(name, _)| *sent.entry(name.clone()).or_default() += 1);
    assert_eq!(reported, sent);

    let rounds = |name: &str| {
        let rounds = reports.iter().flat_map(|report| &report.rounds);
        rounds.filter(|round| round.id.label() == name).cloned().collect::<Vec<_>>()
    };
    let sound = rounds("sound");
    assert_eq!(sound.len(), MINUTES, "no tick is missing");
    assert!(sound.iter().all(|round| round.reached() == Some(3)), "every round is proven");
    assert_eq!(rounds("slow").len(), MINUTES - 1, "the last one was cut off by the signal");
    // A hung function: at most 3 pings for the 15 minutes that one may run.
    let hung = sent["hung"];
    assert!((3 * 24..=3 * 24 * 4 + 9).contains(&hung), "{hung} pings");
    assert!(rounds("hung").iter().any(|round| round.skip_reason() == Some(SkipReason::InFlight)));
    // Fresh ids count in two rounds, and not afterwards.
    assert!(rounds("fresh-ids").iter().skip(2).all(|round| round.reached() <= Some(1)));
    assert!(rounds("cut-off").iter().all(|round| round.cost().total.is_none()), "they may have run");
}
