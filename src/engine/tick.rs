//! Ticks: the concurrent rounds of all due targets, and their report.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::future::BoxFuture;
use tokio::time::Instant;
use tracing::{info, warn};

use super::admission::Admission;
use super::ports::Lambda;
use super::runner::{self, NotStarted};
use super::running::RunningTick;
use super::sightings::Sightings;
use super::stop::Stop;
use super::together::{Group, Member};
use crate::domain::cost::{PriceBook, RoundCost, round_cost};
use crate::domain::fleet::{Hold, Target, WireSettings};
use crate::domain::function::Identity;
use crate::domain::round::{
    AnswerTimes, Attempt, FirstResult, IdHistory, Known, Purpose, RoundReport, SkewHistory, Verdict, skew,
};
use crate::domain::tick::{
    RoundOutcome, RoundRecord, SentRound, SkipReason, TickReport, Unfinished, UnfinishedReason,
};

pub use super::due::{Due, VersionDue};

/// Runs ticks. A process has one engine, which keeps the rounds in flight and the history of every target.
#[derive(Debug)]
pub struct Engine<L> {
    lambda: Arc<L>,
    prices: Mutex<PriceBook>,
    wire: Mutex<WireSettings>,
    admission: Admission,
    flights: Mutex<Flights>,
    pub(super) answers: Mutex<HashMap<Identity, AnswerHistory>>,
    pub(super) skews: Mutex<HashMap<Identity, SkewHistory>>,
    pub(super) ids: Mutex<HashMap<Identity, IdHistory>>,
    pub(super) sightings: Mutex<Sightings>,
}

/// The rounds in flight, with the instant at which the pings of each were sent; none while it waits for room.
type Flights = HashMap<Identity, Arc<Mutex<Option<Instant>>>>;

/// The history of a target's answers.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct AnswerHistory {
    times: AnswerTimes,
    /// The instant until which an unanswered ping may still run.
    quiet_until: Option<Instant>,
}

/// The circumstances of the rounds of a target.
#[derive(Clone, Copy)]
pub(super) struct RoundTerms<'t> {
    /// The tick's instant.
    pub now: DateTime<Utc>,
    /// Decides on rounds after their first contact.
    pub gate: Option<&'t dyn Gate>,
    /// The signal to stop.
    pub stop: &'t Stop,
    /// Receives the instant at which pings were sent last.
    pub sent: &'t Mutex<Option<Instant>>,
    /// True for the round of a version behind a weighted alias.
    pub is_version: bool,
}

/// Reads facts after the first contact with a handler, and decides whether the round follows.
pub trait Gate: Send + Sync + 'static {
    /// Returns the round with the number of pings that is allowed now. `version` is the version that executed,
    /// `unsafe_because` the reason why the handler is unsafe: the round does not follow then.
    ///
    /// # Errors
    /// The reason why the round must not follow.
    fn admit<'a>(
        &'a self,
        due: &'a Due,
        version: Option<&'a str>,
        unsafe_because: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Due, SkipReason>>;
}

/// Returns the message about a handler that took a ping for work. `language` is that of the handler, if known.
fn unsafe_message(reason: &str, language: Option<&str>) -> String {
    let snippet = language.map_or("warmd handler".to_owned(), |language| format!("warmd handler {language}"));
    format!(
        "{reason}. Nothing more is sent until its code, protocol or payload changes. Add the code of `{snippet}` to it, \
         or set the `protocol` that it supports. `warmd canary clear` allows pings again."
    )
}

/// The pings of a round, and of those before it.
#[derive(Default)]
struct Pings {
    first: Vec<Attempt>,
    contact: Option<FirstResult>,
    round: Vec<Attempt>,
}

impl Pings {
    /// Returns true if the function was inactive for each of them.
    fn are_refused_as_inactive(&self) -> bool {
        let mut all = self.first.iter().chain(&self.round).flat_map(|attempt| &attempt.pings).peekable();
        all.peek().is_some() && all.all(|ping| ping.outcome.is_inactive())
    }

    /// Returns the version that executed the last first ping.
    fn version(&self) -> Option<&str> {
        self.first.last()?.pings.last()?.version.as_deref()
    }
}

/// A round that did not follow the pings before it.
enum Withheld {
    /// It is skipped.
    Skipped(SkipReason),
    /// It is short.
    Short,
}

/// Marks a target as in flight until it is dropped.
struct InFlight<'a> {
    flights: &'a Mutex<Flights>,
    id: Identity,
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        lock(self.flights).remove(&self.id);
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<L: Lambda> Engine<L> {
    /// Creates an engine that sends at most `max_in_flight` pings at once through `lambda`.
    pub fn new(lambda: L, prices: PriceBook, max_in_flight: usize) -> Self {
        Self {
            lambda: Arc::new(lambda),
            prices: Mutex::new(prices),
            wire: Mutex::default(),
            admission: Admission::new(max_in_flight),
            flights: Mutex::default(),
            answers: Mutex::default(),
            skews: Mutex::default(),
            ids: Mutex::default(),
            sightings: Mutex::default(),
        }
    }

    /// Returns the targets with a round in flight, sorted.
    pub fn still_in_flight(&self) -> Vec<Identity> {
        let mut ids: Vec<Identity> = lock(&self.flights).keys().cloned().collect();
        ids.sort();
        ids
    }

    /// Changes the in-flight cap.
    pub fn set_max_in_flight(&self, limit: usize) {
        self.admission.set_limit(limit);
    }

    /// Changes the way in which pings reach Lambda.
    pub fn set_wire(&self, wire: WireSettings) {
        *lock(&self.wire) = wire;
    }

    /// Changes the prices from which the cost of rounds is calculated.
    pub fn set_prices(&self, prices: PriceBook) {
        *lock(&self.prices) = prices;
    }

    /// Runs the rounds of every due target. Rounds that were not released before the signal of `stop` are reported as
    /// unfinished. `now` is the tick's instant, `config` the configuration's hash.
    pub async fn tick(
        self: &Arc<Self>,
        now: DateTime<Utc>,
        config: Option<String>,
        due: Vec<Due>,
        stop: &Stop,
    ) -> TickReport {
        self.tick_until(now, config, due, stop, None).await
    }

    /// Runs the rounds of every due target until `cutoff`. Rounds that have not ended by then are reported as in
    /// flight.
    pub async fn tick_until(
        self: &Arc<Self>,
        now: DateTime<Utc>,
        config: Option<String>,
        due: Vec<Due>,
        stop: &Stop,
        cutoff: Option<Instant>,
    ) -> TickReport {
        let mut running = self.start(now, config, due, None, stop);
        running.wait(cutoff).await;
        running.finish()
    }

    /// Starts the rounds of every due target. Rounds that were not released before the signal of `stop` are reported as
    /// unfinished. `gate` decides on rounds after their first contact; without it they follow.
    pub fn start(
        self: &Arc<Self>,
        now: DateTime<Utc>,
        config: Option<String>,
        due: Vec<Due>,
        gate: Option<Arc<dyn Gate>>,
        stop: &Stop,
    ) -> RunningTick {
        let (engine, stop) = (Arc::clone(self), stop.clone());
        let groups = Group::of(&due, &self.admission);
        RunningTick::start(now, config, due, move |due| {
            let (engine, gate, stop) = (Arc::clone(&engine), gate.clone(), stop.clone());
            let group = due.together.and_then(|number| groups.get(&number));
            let members = group.map(|group| group.members(&due)).unwrap_or_default();
            async move { engine.round(&due, members, now, gate.as_deref(), stop).await }
        })
    }

    async fn round(
        &self,
        due: &Due,
        mut members: Vec<Member>,
        now: DateTime<Utc>,
        gate: Option<&dyn Gate>,
        stop: Stop,
    ) -> Result<RoundRecord, Unfinished> {
        let target = &due.target;
        if due.versions.is_empty() {
            lock(&self.sightings).note_own(&target.id);
        }
        let sent = match self.reserve(due) {
            Ok(sent) => sent,
            Err(skipped) => {
                let reason = skipped.explanation();
                warn!(function = %target.id.shown(), region = %target.region(), %reason, "skipped");
                return Ok(due.skipped(skipped));
            }
        };
        let _in_flight = InFlight { flights: &self.flights, id: target.id.clone() };
        let terms = RoundTerms { now, gate, stop: &stop, sent: &sent, is_version: false };
        if !due.versions.is_empty() {
            return self.version_rounds(due, members, terms).await;
        }
        self.sent_round(due, members.pop(), terms).await
    }

    /// Sends the round of a target, with the pings that precede it.
    pub(super) async fn sent_round(
        &self,
        due: &Due,
        member: Option<Member>,
        RoundTerms { now, gate, stop, sent, is_version }: RoundTerms<'_>,
    ) -> Result<RoundRecord, Unfinished> {
        let (target, mut stop) = (&due.target, stop.clone());
        let round_id = format!("{:x}-{:08x}", now.timestamp(), rand::random::<u32>());
        let round = |due: &'_ Due| runner::Round {
            target,
            concurrency: due.concurrency,
            id: &round_id,
            now,
            wire: *lock(&self.wire),
            known: self.known(target),
            answers: self.answers(target).times,
            room: None,
            sent,
        };
        let not_started = |error: NotStarted| {
            warn!(function = %target.id.shown(), region = %target.region(), reason = %error, "not served");
            due.unfinished(match error {
                NotStarted::Stopped => UnfinishedReason::Deadline,
                NotStarted::TooLarge(_) => UnfinishedReason::TooLarge,
            })
        };
        let hold = self.hold(target);
        let mut due = Cow::Borrowed(due);
        let mut pings = Pings::default();
        let mut withheld = None;
        if let Some(first) = due.terms.first {
            let room = due.room();
            let before = runner::Round { room: room.as_ref(), ..round(&due) };
            let ran = runner::first(&self.lambda, &self.admission, before, &first, hold, &mut stop).await;
            let result;
            (pings.first, result) = ran.map_err(not_started)?;
            self.record_answers(target, &pings.first, *lock(sent));
            match (&result, first.purpose) {
                (FirstResult::Well, _) => {}
                (FirstResult::Unsafe(_), _) => withheld = Some(Withheld::Skipped(SkipReason::Unsafe)),
                (FirstResult::Again, _) => withheld = Some(Withheld::Skipped(SkipReason::Deadline)),
                (_, Purpose::Wake) => withheld = Some(Withheld::Skipped(SkipReason::Inactive)),
                (_, Purpose::Retry) => withheld = Some(Withheld::Skipped(SkipReason::Breaker)),
                (_, Purpose::Contact) => withheld = Some(Withheld::Short),
            }
            let unsafe_because = match &result {
                FirstResult::Unsafe(reason) => Some(reason.as_str()),
                FirstResult::Well | FirstResult::Again | FirstResult::Failed => None,
            };
            let is_known = matches!(result, FirstResult::Well | FirstResult::Unsafe(_));
            // For an unsafe handler too: the gate notes the result with the code that ran.
            if let (true, Some(gate), Some(_)) = (is_known, gate, first.canary) {
                let admitted = gate.admit(&due, pings.version(), unsafe_because).await;
                match admitted {
                    Ok(admitted) if withheld.is_some() => {
                        due.to_mut().terms.language = admitted.terms.language
                    }
                    Err(_) if withheld.is_some() => {}
                    Ok(admitted) => due = Cow::Owned(admitted),
                    Err(reason) => withheld = Some(Withheld::Skipped(reason)),
                }
            }
            pings.contact = first.canary.map(|_| result);
        }
        if withheld.is_none() {
            let room = due.room();
            let round = runner::Round { room: room.as_ref(), ..round(&due) };
            match runner::run(&self.lambda, &self.admission, round, member, hold, &mut stop).await {
                Ok(attempts) => pings.round = attempts,
                // The pings before it have a report.
                Err(NotStarted::Stopped) if !pings.first.is_empty() => {
                    withheld = Some(Withheld::Skipped(SkipReason::Deadline));
                }
                Err(_) if !pings.first.is_empty() => withheld = Some(Withheld::Short),
                Err(error) => return Err(not_started(error)),
            }
            self.record_history(target, &pings.round, *lock(sent));
        }
        if !matches!(withheld, Some(Withheld::Skipped(_))) && pings.are_refused_as_inactive() {
            withheld = Some(Withheld::Skipped(SkipReason::Inactive));
        }
        let record = self.evaluate(&due, pings, withheld);
        // The denial of a version has a warning of its own.
        if !(is_version && record.is_denied()) {
            log_round(target, &round_id, &record);
        }
        Ok(record)
    }

    /// Sends pings to a target at once, outside of any tick, and returns their results with their cost. Nothing of them
    /// is remembered. `None` if the process was stopped before.
    ///
    /// # Errors
    /// The pings do not fit under the cap together.
    pub async fn measure(
        &self,
        due: &Due,
        hold: Duration,
        now: DateTime<Utc>,
        mut stop: Stop,
    ) -> Result<Option<(Attempt, RoundReport, RoundCost)>, String> {
        let (target, sent) = (due.target.as_ref(), Mutex::default());
        let (id, room) = (format!("{:x}-{:08x}", now.timestamp(), rand::random::<u32>()), due.room());
        let round = runner::Round {
            target,
            concurrency: due.concurrency,
            id: &id,
            now,
            wire: *lock(&self.wire),
            known: Known::default(),
            answers: AnswerTimes::default(),
            room: room.as_ref(),
            sent: &sent,
        };
        let attempt = match runner::measure(&self.lambda, &self.admission, round, hold, &mut stop).await {
            Ok(attempt) => attempt,
            Err(NotStarted::Stopped) => return Ok(None),
            Err(NotStarted::TooLarge(error)) => return Err(error.to_string()),
        };
        let attempts = std::slice::from_ref(&attempt);
        let honours_hold = target.protocol.honours_hold();
        let report = RoundReport::new(due.concurrency.get(), attempts, honours_hold, Known::default());
        let prices = lock(&self.prices).clone();
        let (cost, _) = round_cost(&prices, target.region(), target.architecture, &report.quantities(target));
        Ok(Some((attempt, report, cost)))
    }

    /// Evaluates and prices the pings of a round.
    fn evaluate(&self, due: &Due, pings: Pings, withheld: Option<Withheld>) -> RoundRecord {
        let Due { target, concurrency, terms, .. } = due;
        let known = Known { provisioned: terms.provisioned, ..self.known(target) };
        let honours_hold = target.protocol.honours_hold();
        let mut report =
            RoundReport::with_first(concurrency.get(), &pings.first, &pings.round, honours_hold, known);
        if let Some(FirstResult::Unsafe(reason)) = &pings.contact {
            report.messages = vec![unsafe_message(reason, terms.language)];
        }
        report.by_number = lock(&self.sightings).note(&target.id, &report, &pings.round);
        let used = report.quantities(target);
        let prices = lock(&self.prices).clone();
        let (cost, cost_unknown) = round_cost(&prices, target.region(), target.architecture, &used);
        let quiet_until = self.answers(target).quiet_until;
        let quiet_for = quiet_until.and_then(|until| until.checked_duration_since(Instant::now()));
        let contact = pings.contact;
        let sent = SentRound {
            report,
            s3: used.s3.clone(),
            cost,
            cost_unknown,
            quiet_for,
            contact,
            versions: Vec::new(),
            through_alias: None,
        };
        let sent = Box::new(sent);
        let record = due.record(match withheld {
            Some(Withheld::Skipped(reason)) => RoundOutcome::Withheld(sent, reason),
            Some(Withheld::Short) | None => RoundOutcome::Sent(sent),
        });
        RoundRecord { memory_mb: used.memory_mb, ..record }
    }

    fn hold(&self, target: &Target) -> Duration {
        match target.hold {
            Hold::Fixed(hold) => hold,
            Hold::Auto => lock(&self.skews)
                .get(&target.id)
                .map_or(SkewHistory::default().auto_hold(), SkewHistory::auto_hold),
        }
    }

    fn known(&self, target: &Target) -> Known {
        let ids = lock(&self.ids).get(&target.id).map(IdHistory::ids).unwrap_or_default();
        Known { ids, semi_cold_below: target.semi_cold_below, ..Known::default() }
    }

    /// Marks the target as in flight. Check and reservation are one step: of two ticks only one may find the target
    /// free. Unanswered pings of an alias do not keep the versions behind it from theirs.
    fn reserve(&self, Due { target, versions, .. }: &Due) -> Result<Arc<Mutex<Option<Instant>>>, SkipReason> {
        let mut flights = lock(&self.flights);
        if let Some(earlier) = flights.get(&target.id) {
            return Err(match *lock(earlier) {
                Some(_) => SkipReason::InFlight,
                None => SkipReason::NoRoom,
            });
        }
        if versions.is_empty() && self.is_quiet(target) {
            return Err(SkipReason::InFlight);
        }
        let sent = Arc::default();
        flights.insert(target.id.clone(), Arc::clone(&sent));
        Ok(sent)
    }

    /// Returns true while an unanswered ping of the target may still run.
    pub(super) fn is_quiet(&self, target: &Target) -> bool {
        self.answers(target).quiet_until.is_some_and(|until| Instant::now() < until)
    }

    fn answers(&self, target: &Target) -> AnswerHistory {
        lock(&self.answers).get(&target.id).copied().unwrap_or_default()
    }

    /// Adds attempts to the history of the answers of their target. `sent` is the instant of the last pings.
    fn record_answers(&self, target: &Target, attempts: &[Attempt], sent: Option<Instant>) {
        let mut all = lock(&self.answers);
        let answers = all.entry(target.id.clone()).or_default();
        answers.times.record(attempts);
        let pause = answers.times.pause(target.timeout, target.interval());
        answers.quiet_until = sent.zip(pause).map(|(sent, pause)| sent + pause);
    }

    /// Adds the attempts of a round to the history of its target. `sent` is the instant of its last pings.
    fn record_history(&self, target: &Target, attempts: &[Attempt], sent: Option<Instant>) {
        self.record_answers(target, attempts, sent);
        lock(&self.ids).entry(target.id.clone()).or_default().record(attempts);
        let measured: Vec<Duration> = attempts.iter().filter_map(skew).collect();
        if !measured.is_empty() {
            let mut skews = lock(&self.skews);
            let history = skews.entry(target.id.clone()).or_default();
            measured.into_iter().for_each(|skew| history.record(skew));
        }
    }
}

/// Logs a round that was sent, and warnings about it.
pub(super) fn log_round(target: &Target, round: &str, record: &RoundRecord) {
    let (function, region, desired) = (target.id.shown(), target.region(), record.desired);
    let Some(SentRound { report, cost_unknown, versions, .. }) = record.sent() else { return };
    let (verdict, reached) = (record.verdict(), report.reached);
    if matches!(verdict, Verdict::Short | Verdict::Unsafe) {
        let problems = report.messages.join("; ");
        warn!(%function, %region, round, desired, reached, %problems, "round is {}", verdict.name());
    } else {
        info!(%function, %region, round, desired, reached, verdict = verdict.name(), "round done");
    }
    if let Some(doubt) = report.doubt {
        warn!(%function, %region, round, doubt = doubt.explain(), "answers prove fewer environments than they report");
    }
    if report.versions.len() > 1 && versions.is_empty() {
        warn!(%function, %region, round, versions = %report.versions.join(", "),
            "several versions executed in one round: a weighted alias, or a deployment in progress");
    }
    for reason in cost_unknown {
        warn!(%function, %region, round, %reason, "the cost of the round is unknown");
    }
}
