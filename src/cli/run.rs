//! `warmd run --once`: one tick.

use std::io;
use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, Utc};

use super::app::App;
use super::args::RunArgs;
use super::configuration;
use super::error::Failure;
use super::exit::Exit;
use super::output::{complain, print, print_json};
use super::render::{self, Style};
use super::signals::Termination;
use crate::domain::fleet::Fleet;
use crate::domain::schedule::{Minute, next_change};
use crate::domain::tick::{RoundRecord, Skipped, TickReport};
use crate::engine::ports::{Clock, Lambda};
use crate::engine::stop::{Stopper, stop};
use crate::engine::tick::Engine;
use crate::service::budget::TimeBudget;
use crate::service::clock::SystemClock;
use crate::service::live_config::LiveConfig;
use crate::service::planner::{Plan, TickPlanner};
use crate::service::rounds::Part;
use crate::service::store::{DocumentStore, Durability};
use crate::service::{Observer, Outcome, Trigger, largest_due, preview};

/// Runs one tick.
///
/// # Errors
/// The reason why it cannot start. Nothing was sent then.
pub async fn once(args: &RunArgs, style: Style) -> Result<Exit, Failure> {
    let source = configuration::source(args.configs.paths(), &args.only).await;
    let source = source.with_prices(args.prices.prices.clone());
    let fleet = source.load().await?.fleet;
    let now = SystemClock.now();
    if args.dry_run {
        let planner = dry_run_planner(args, &fleet).await?;
        let plan = preview(&planner, &fleet, args.at, args.due_only, now).await;
        return dry_run(&fleet, args.at.unwrap_or(now), plan, args.json, style);
    }
    // Before the first ping: from here on a signal must not cut a round.
    let termination = Termination::listen().map_err(|error| Failure::Unexpected(error.to_string()))?;
    let app = App::of(args.local, &fleet.targets).await?;
    let documents = app.documents(args.state.location())?;
    documents.sweep(now).await;
    let largest = match documents.durability() {
        // The requests in the store may raise any target to its highest concurrency.
        Durability::Durable => None,
        Durability::Volatile => Some(largest_due(&fleet, args.at, args.due_only, now)),
    };
    let recorder = app.recorder()?;
    let service = app.service(LiveConfig::fixed(fleet.clone()), documents, Some(recorder), largest)?;
    let (stopper, stop) = stop();
    let budget = TimeBudget::until_stopped(stop, Some(args.grace));
    let output = ReportOutput::new(args.json, true, style);
    let trigger = Trigger::RunOnce { at: args.at, due_only: args.due_only };
    tokio::select! {
        outcome = service.serve(trigger, &budget, &output) => {
            let Outcome { report, recorded, health } =
                outcome.map_err(|refusal| Failure::Usage(refusal.to_string()))?;
            output.finish()?;
            match source.empty_warning(&fleet) {
                // With --json as well: a pipeline that warms nothing should be noticed.
                Some(warning) => complain(&warning),
                None if args.json => {}
                None => hint(&fleet, &report)?,
            }
            Ok(Exit::of_tick(&report, recorded).with_store(health))
        }
        exit = interrupted(termination, stopper, service.engine()) => Ok(exit),
    }
}

/// Prints the report of a tick: a JSON object for each part, or one table at the end.
pub struct ReportOutput {
    json: bool,
    /// True to print an object for each part; false for one object with all rounds.
    in_parts: bool,
    style: Style,
    failure: Mutex<Option<io::Error>>,
}

impl ReportOutput {
    /// Creates the output of one tick.
    pub fn new(json: bool, in_parts: bool, style: Style) -> Self {
        Self { json, in_parts, style, failure: Mutex::default() }
    }

    /// Returns the result of printing.
    ///
    /// # Errors
    /// When standard output could not be written.
    pub fn finish(self) -> io::Result<()> {
        self.failure.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
    }
}

impl Observer for ReportOutput {
    fn recorded(&self, part: &Part) {
        let printed = match &part.whole {
            _ if self.json && self.in_parts => print_json(&part.report),
            Some(whole) if self.json => print_json(whole),
            Some(whole) => print(&render::tick::tick(whole, self.style)),
            None => Ok(()),
        };
        if let Err(error) = printed {
            self.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        }
    }
}

/// Prints the next change of the schedule when nothing was due.
fn hint(fleet: &Fleet, report: &TickReport) -> io::Result<()> {
    if !report.rounds.is_empty() || !report.unfinished.is_empty() {
        return Ok(());
    }
    let now = Minute::of(report.tick);
    let changes = fleet.targets.iter().filter_map(|target| Some((target, next_change(target, now)?)));
    match changes.min_by_key(|(_, (at, _))| *at) {
        Some((target, (at, number))) => print(&render::explain::next(target, at, number)),
        None => Ok(()),
    }
}

/// Returns the planner of a dry run. It connects to AWS only if the state store is there.
async fn dry_run_planner(args: &RunArgs, fleet: &Fleet) -> Result<TickPlanner, Failure> {
    let documents = match args.state.location() {
        None => DocumentStore::memory(),
        location => App::of(args.local, &fleet.targets).await?.documents(location)?,
    };
    Ok(TickPlanner::new(documents))
}

/// Waits for the second signal, and prints the rounds that it cuts off. They are dropped when this returns.
pub async fn interrupted<L: Lambda>(termination: Termination, stopper: Stopper, engine: &Engine<L>) -> Exit {
    termination.second(stopper).await;
    let cut: Vec<String> = engine.still_in_flight().iter().map(ToString::to_string).collect();
    if cut.is_empty() {
        complain("ended at once; nothing was in flight");
    } else {
        complain(&format!("ended at once; still in flight, and not reported: {}", cut.join(", ")));
    }
    Exit::Interrupted
}

fn dry_run(fleet: &Fleet, at: DateTime<Utc>, plan: Plan, json: bool, style: Style) -> Result<Exit, Failure> {
    if json {
        let due =
            plan.due.iter().map(|due| RoundRecord::skipped(&due.target, due.concurrency, Skipped::DryRun));
        print_json(&TickReport {
            tick: at,
            config: Some(fleet.hash.clone()),
            duration_ms: 0,
            partial: false,
            rounds: due.chain(plan.skipped).collect(),
            unfinished: Vec::new(),
        })?;
    } else {
        print(&render::dry_run::dry_run(fleet, at, &plan.due, &plan.skipped, style))?;
    }
    Ok(Exit::Success)
}
