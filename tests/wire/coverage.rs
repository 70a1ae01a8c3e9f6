//! Coverage end to end: the service with the real SDK over HTTP against the emulator, on virtual time, held against a
//! calculator of its own: minute by minute, from the environments that the emulator has counted.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Timelike, Utc};
use warmd::domain::coverage::{BurnAlarm, Minutes, Slo};
use warmd::domain::fleet::Fleet;
use warmd::emulator::{Fault, FaultKind};
use warmd::engine::ports::Clock;
use warmd::service::history;
use warmd::service::recorder::Recorder;

use crate::counted::Page;
use crate::guards::{Account, Process, daemon, fleet};
use crate::{Connect, clients_through, emulator_dialer};

/// The functions, each with the hour of its opening and closing, its environments and its interval in minutes.
const FUNCTIONS: [(&str, u32, u32, usize, i64); 2] = [("f", 8, 12, 2, 5), ("g", 9, 12, 2, 15)];
/// A second window of a function, which ends before the first: its closing and environments.
const STEP: (&str, u32, usize) = ("f", 11, 3);

/// The minutes for which the emulator keeps an idle environment.
const IDLE_MINUTES: i64 = 120;
/// Environments that are idle for two hours and live for a day.
const ACCOUNT: &str =
    "functions: { f: { idle_life: 2h, recycle_after: 24h }, g: { idle_life: 2h, recycle_after: 24h } }";

/// The environments of a function in the pings of one tick.
#[derive(Debug, Clone, Copy, Default)]
struct Round {
    environments: usize,
    new: usize,
}

/// Everything that happened, by minutes since the first tick.
#[derive(Debug, Default)]
struct Log {
    ticks: BTreeSet<i64>,
    rounds: BTreeMap<&'static str, BTreeMap<i64, Round>>,
    /// The minutes in which each environment was used.
    uses: BTreeMap<(&'static str, String), BTreeSet<i64>>,
    pings: BTreeMap<String, u64>,
    /// The values of metrics by name, with the function of one, and minute.
    metrics: BTreeMap<String, BTreeMap<i64, f64>>,
}

struct Rig {
    account: Account,
    process: Process,
    start: DateTime<Utc>,
    log: Log,
}

fn config() -> Fleet {
    let function = |(name, opens, closes, number, interval): &(&str, u32, u32, usize, i64)| {
        let window = |closes: u32, number: usize| {
            format!("{{ days: daily, hours: \"{opens:02}:00-{closes:02}:00\", concurrency: {number} }}")
        };
        let mut windows = vec![window(*closes, *number)];
        windows.extend((*name == STEP.0).then(|| window(STEP.1, STEP.2)));
        format!("  {name}: {{ interval: {interval}m, windows: [{}] }}\n", windows.join(", "))
    };
    let functions: String = FUNCTIONS.iter().map(function).collect();
    fleet(&format!("metrics: {{ detail: function }}\nfunctions:\n{functions}"))
}

impl Rig {
    fn new() -> Self {
        let account = Account::new(ACCOUNT);
        let start = account.clock.now();
        let process = Self::process(&account);
        Self { account, process, start, log: Log::default() }
    }

    fn process(account: &Account) -> Process {
        let mut process = account.process(config(), daemon());
        let clients = clients_through(emulator_dialer(&account.emulator, |_| Connect::Serve));
        let mut recorder = Recorder::new(clients.cloudwatch().unwrap(), Box::new(Page::default()));
        recorder.totals = Some(Arc::default());
        process.service.recorder = Some(recorder);
        process
    }

    /// Serves a tick in each of these minutes, and notes what the emulator saw.
    async fn ticks(&mut self, number: i64) {
        for _ in 0..number {
            self.process.outcome().await;
            let now = self.account.clock.now();
            let minute = now.signed_duration_since(self.start).num_minutes();
            self.log.ticks.insert(minute);
            let observed = self.account.emulator.observe();
            self.account.emulator.reset();
            for (name, ..) in FUNCTIONS {
                let (mut all, mut new) = (BTreeSet::new(), BTreeSet::new());
                let mut pings = 0;
                for invocation in observed.of(name) {
                    pings += 1;
                    let Some(environment) = invocation.environment.clone() else { continue };
                    if invocation.is_new {
                        new.insert(environment.clone());
                    }
                    self.log.uses.entry((name, environment.clone())).or_default().insert(minute);
                    all.insert(environment);
                }
                if pings > 0 {
                    *self.log.pings.entry(name.to_owned()).or_default() += pings;
                    let round = Round { environments: all.len(), new: new.len() };
                    self.log.rounds.entry(name).or_default().insert(minute, round);
                }
            }
            // CloudWatch compares times with the real clock: the totals of the process count what it is sent.
            let totals = self.process.service.recorder.as_ref().unwrap().totals.as_ref().unwrap();
            let text = std::mem::take(&mut *totals.lock().unwrap()).text(&[]);
            for line in text.lines().filter(|line| !line.starts_with('#') && !line.ends_with(" 0")) {
                let (name, value) = line.rsplit_once(' ').unwrap();
                let name = name.split_once(",region").map_or(name, |(name, _)| name);
                let values = self.log.metrics.entry(name.to_owned()).or_default();
                values.insert(minute, value.parse().unwrap());
            }
        }
    }

    /// Nobody serves ticks for a time, and another process goes on.
    async fn outage(&mut self, minutes: u64) {
        tokio::time::sleep(Duration::from_secs(60 * minutes)).await;
        self.process = Self::process(&self.account);
    }

    fn sent(&self, metric: &str, function: Option<&str>, minutes: RangeInclusive<i64>) -> u64 {
        let key = match function {
            Some(function) => format!("warmd_function_{metric}_total{{function=\"{function}\""),
            None => format!("warmd_{metric}_total"),
        };
        let values = self.log.metrics.get(&key).into_iter().flat_map(|values| values.range(minutes.clone()));
        values.map(|(_, value)| *value).sum::<f64>() as u64
    }

    fn sent_minutes(&self, function: Option<&str>, minutes: RangeInclusive<i64>) -> Minutes {
        let [window, warm, unknown] = ["window_minutes", "warm_minutes", "unknown_minutes"]
            .map(|metric| self.sent(metric, function, minutes.clone()));
        Minutes { window, warm, unknown, capped: 0 }
    }

    /// Returns for each minute of a function's windows between its first round and `end` the minute of the tick that
    /// can first judge it, and whether it was warm.
    fn calculated(&self, function: &str, end: i64) -> Vec<(i64, bool)> {
        let (name, opens, closes, _, interval) =
            *FUNCTIONS.iter().find(|(name, ..)| *name == function).unwrap();
        let rounds = &self.log.rounds[name];
        let is_open = |minute: i64| {
            let hour = (self.start + TimeDelta::minutes(minute)).hour();
            (opens..closes).contains(&hour)
        };
        let first = *rounds.keys().next().unwrap();
        let mut judged = Vec::new();
        for minute in (first..end).filter(|minute| is_open(*minute)) {
            let (at, last) = rounds.range(..=minute).next_back().unwrap();
            let next = rounds.range(minute + 1..).next();
            let closing = (minute..).find(|minute| !is_open(*minute)).unwrap();
            // A later opening shows nothing about this one.
            let next = next.filter(|(at, _)| **at < closing);
            let number = self.wanted(name, minute);
            // A round without an answer of every environment shows only those that answered.
            let found = next.is_none_or(|(at, next)| match next.environments < self.wanted(name, *at) {
                true => next.environments - next.new >= number,
                false => self.idle(name, *at) >= number,
            });
            let is_warm = minute < at + interval && last.environments >= number && found;
            let judging = next.map_or(closing, |(at, _)| *at);
            judged.push((*self.log.ticks.range(judging..).next().unwrap(), is_warm));
        }
        judged
    }

    /// Returns the configured environments in a minute of an open window.
    fn wanted(&self, name: &str, minute: i64) -> usize {
        let hour = (self.start + TimeDelta::minutes(minute)).hour();
        let number = FUNCTIONS.iter().find(|(function, ..)| *function == name).unwrap().3;
        if name == STEP.0 && hour < STEP.1 { STEP.2 } else { number }
    }

    /// Returns the environments that the emulator keeps idle until a minute.
    fn idle(&self, name: &str, at: i64) -> usize {
        let own = self.log.uses.iter().filter(|((function, _), _)| *function == name);
        own.filter(|(_, uses)| uses.range(at - IDLE_MINUTES..at).next().is_some()).count()
    }

    fn short_rounds(&self, minutes: RangeInclusive<i64>) -> u64 {
        let short = FUNCTIONS.iter().map(|(name, ..)| {
            let rounds = self.log.rounds[name].range(minutes.clone());
            rounds.filter(|(at, round)| round.environments < self.wanted(name, **at)).count() as u64
        });
        short.sum()
    }

    /// Compares what was sent and stored with the calculator. Returns the minutes, and the minutes of both alarms.
    async fn check(&self, what: &str) -> (Minutes, [Vec<i64>; 2]) {
        let end = self.account.clock.now().signed_duration_since(self.start).num_minutes() + 1;
        let (mut all, mut judged) = (Minutes::default(), Vec::new());
        for (name, ..) in FUNCTIONS {
            let minutes = self.calculated(name, end);
            let (window, warm) = (minutes.len(), minutes.iter().filter(|(_, is_warm)| *is_warm).count());
            let sum = Minutes { window: window as u64, warm: warm as u64, ..Minutes::default() };
            assert_eq!(self.sent_minutes(Some(name), 0..=end), sum, "{what}: {name}");
            all += sum;
            judged.extend(minutes);
        }
        assert_eq!(self.sent_minutes(None, 0..=end), all, "{what}");
        let stored = history::read(&self.account.store, self.start, self.account.clock.now()).await.unwrap();
        assert_eq!(stored.unread, [""; 0]);
        let mut pings: BTreeMap<String, u64> = BTreeMap::new();
        let mut minutes = Minutes::default();
        for (hour, rows) in &stored.hours {
            for (id, row) in rows {
                assert!(
                    row.minutes.window + row.minutes.unknown <= 60,
                    "{what}: hour {hour} of {}",
                    id.label()
                );
                *pings.entry(id.label()).or_default() += row.pings;
                minutes += row.minutes;
            }
        }
        // Some of them were not warm because the guards had lowered the number after throttles.
        assert_eq!((Minutes { capped: 0, ..minutes }, &pings), (all, &self.log.pings), "{what}");

        let slo = Slo::DEFAULT;
        let mut raised: [Vec<i64>; 2] = Default::default();
        for at in 0..=end {
            // A rate of 1 is one cold minute in a hundred.
            let burn = |length: i64| {
                let within = judged.iter().filter(|(judged, _)| (at - length + 1..=at).contains(judged));
                let (window, cold) = within
                    .fold((0, 0), |(window, cold), (_, is_warm)| (window + 1, cold + u32::from(!is_warm)));
                (window > 0).then(|| f64::from(cold) * 100.0 / f64::from(window))
            };
            let sent = |length: i64| self.sent_minutes(None, at - length + 1..=at);
            let alarms = [(BurnAlarm::FAST, 13.4, 60, 5), (BurnAlarm::SLOW, 5.6, 360, 30)];
            for ((alarm, rate, long, short), raised) in alarms.into_iter().zip(&mut raised) {
                for length in [long, short] {
                    let same = match (slo.burn_rate(sent(length)), burn(length)) {
                        (Some(one), Some(other)) => (one - other).abs() < 1e-6,
                        (one, other) => one == other,
                    };
                    assert!(same, "{what}: the rate over {length} minutes at {at}");
                }
                let rounds = at - long + 1..=at;
                let expected = burn(long).is_some_and(|burn| burn > rate)
                    && burn(short).is_some_and(|burn| burn > rate)
                    && self.short_rounds(rounds.clone()) >= 2;
                let short_rounds = self.sent("rounds_short", None, rounds);
                let is_raised = alarm.is_raised(&slo, sent(long), sent(short), short_rounds);
                assert_eq!(is_raised, expected, "{what}: the alarm over {long} minutes at {at}");
                if is_raised {
                    raised.push(at);
                }
            }
        }
        (all, raised)
    }

    /// Serves the rest of the day, and the ticks that move the history.
    async fn end(&mut self) {
        let now = self.account.clock.now();
        let noon = now.with_hour(12).unwrap().with_minute(15).unwrap();
        self.ticks(noon.signed_duration_since(now).num_minutes() + 1).await;
    }
}

fn minutes(window: u64, warm: u64) -> Minutes {
    Minutes { window, warm, ..Minutes::default() }
}

#[tokio::test(start_paused = true)]
async fn a_morning_without_an_outage_is_covered() {
    let mut rig = Rig::new();
    rig.end().await;
    let (all, raised) = rig.check("no outage").await;
    assert_eq!((all, raised), (minutes(360, 360), Default::default()));
}

#[tokio::test(start_paused = true)]
async fn outages_of_warmd_are_filled_in() {
    for (ticks, outage, expected) in [
        // The round to f of 10:05 is missed.
        (65, 5, minutes(360, 355)),
        // f is served until 10:05, g until 10:15, and both again at 11:03.
        (63, 60, minutes(360, 360 - 58 - 48)),
        // Three more days of four hours for f and three for g, of which the last is served from 10:03 on.
        (63, 3 * 24 * 60, minutes(360 + 3 * 420, 65 + 75 + 2 * 117)),
    ] {
        let mut rig = Rig::new();
        rig.ticks(ticks).await;
        rig.outage(outage).await;
        rig.end().await;
        let (all, raised) = rig.check(&format!("{outage} minutes")).await;
        assert_eq!(all, expected, "{outage} minutes");
        assert_eq!(raised, <[Vec<i64>; 2]>::default(), "no tick is the alarm for that");
    }
}

#[tokio::test(start_paused = true)]
async fn short_rounds_raise_the_alarms_from_the_second_on() {
    let mut rig = Rig::new();
    rig.ticks(60).await;
    let fault = |faults: Vec<Fault>| {
        move |scenario: &mut warmd::emulator::Scenario| {
            scenario.functions.get_mut("f").unwrap().faults = faults;
        }
    };
    // Each second ping to f is throttled for 25 minutes.
    rig.account.emulator.change(fault(vec![Fault::every(2, FaultKind::Throttle { reason: String::new() })]));
    rig.ticks(25).await;
    rig.account.emulator.change(fault(Vec::new()));
    rig.end().await;
    let (all, [fast, slow]) = rig.check("throttles").await;
    assert!(all.warm < all.window, "{all:?}");
    assert!(!fast.is_empty() && !slow.is_empty(), "{fast:?} {slow:?}");
    assert!(fast[0] > 60 && fast[fast.len() - 1] < 100, "{fast:?}");
}
