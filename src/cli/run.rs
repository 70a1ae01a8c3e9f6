//! `warmd run --once`, and what one tick needs.

use std::io;
use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::args::{Only, RunArgs};
use super::clock::SystemClock;
use super::configuration::Origin;
use super::error::Failure;
use super::exit::Exit;
use super::output::{complain, print, print_json};
use super::render::{self, Style};
use super::signals::Termination;
use super::values::Regions;
use super::wiring::World;
use crate::domain::fleet::Fleet;
use crate::domain::schedule::{Minute, Mode, next_change, plan_tick};
use crate::domain::tick::{RoundRecord, Skipped, TickReport};
use crate::engine::ports::{Clock, Lambda};
use crate::engine::record::Recorder;
use crate::engine::stop::{Stopper, stop};
use crate::engine::tick::{Due, Engine};

/// One tick.
///
/// # Errors
/// Whatever keeps it from beginning; nothing was sent then.
pub async fn once(args: &RunArgs, style: Style) -> Result<Exit, Failure> {
    let fleet = Origin::new(&args.configs, &args.only).with_prices(&args.prices).load()?.fleet;
    let now = args.at.unwrap_or_else(|| SystemClock.now());
    let due = due(&fleet, now, if args.due_only { Mode::DueOnly } else { Mode::Open });
    if args.dry_run {
        return dry_run(&fleet, now, &due, args.json, style);
    }
    // Before the first ping: from here on a signal must not cut a round.
    let termination = Termination::listen().map_err(|error| Failure::Unexpected(error.to_string()))?;
    let world = World::of(args.local, &fleet.targets).await?;
    let engine = world.engine(fleet.limits, largest(&due))?;
    engine.set_prices(fleet.prices.clone());
    let recorder = Recorder::new(world.cloudwatch()?, Box::new(io::stderr()));
    let (stopper, stop) = stop();
    let served = async {
        let report = engine.tick(now, Some(fleet.hash.clone()), due, &stop).await;
        let shown = show(&report, args.json, style).and_then(|()| hint(&fleet, &report, args));
        // `--at` decides what is due, but the pings were real and were now.
        let recorded = match args.at {
            None => recorder.record(&report, &fleet.metrics).await,
            Some(_) => {
                recorder
                    .record(&TickReport { tick: SystemClock.now(), ..report.clone() }, &fleet.metrics)
                    .await
            }
        };
        shown?;
        Ok(Exit::of_tick(&report, Some(recorded)))
    };
    tokio::select! {
        exit = served => exit,
        exit = insisted(termination, stopper, &engine) => Ok(exit),
    }
}

/// When nothing was to be done: what comes next.
fn hint(fleet: &Fleet, report: &TickReport, args: &RunArgs) -> io::Result<()> {
    if fleet.targets.is_empty() {
        // With --json as well: a pipeline that warms nothing should not look like one that works.
        complain(&no_targets(&args.only));
        return Ok(());
    }
    if args.json || !report.rounds.is_empty() || !report.unfinished.is_empty() {
        return Ok(());
    }
    let now = Minute::of(report.tick);
    let changes = fleet.targets.iter().filter_map(|target| Some((target, next_change(target, now)?)));
    match changes.min_by_key(|(_, (at, _))| *at) {
        Some((target, (at, number))) => print(&render::explain::next(target, at, number)),
        None => Ok(()),
    }
}

/// Why a configuration that is sound serves nothing.
pub fn no_targets(only: &Only) -> String {
    match &only.regions {
        Regions::All => "the configuration has no targets".to_owned(),
        Regions::Only(regions) => {
            let regions: Vec<&str> = regions.iter().map(|region| region.as_str()).collect();
            format!("the configuration has no targets in {} (--regions, WARMD_REGIONS)", regions.join(", "))
        }
    }
}

/// What is to be served at `now`.
pub fn due(fleet: &Fleet, now: DateTime<Utc>, mode: Mode) -> Vec<Due> {
    plan_tick(fleet, Minute::of(now), mode)
        .into_iter()
        .filter_map(|due| {
            let target = Arc::new(fleet.targets.get(due.index)?.clone());
            Some(Due { target, concurrency: due.target })
        })
        .collect()
}

/// The pings of the largest round.
pub fn largest(due: &[Due]) -> u32 {
    due.iter().map(|due| due.concurrency).max().unwrap_or(0)
}

/// Prints a tick: an object, or a table.
///
/// # Errors
/// When standard output cannot be written.
pub fn show(report: &TickReport, json: bool, style: Style) -> io::Result<()> {
    if json { print_json(report) } else { print(&render::tick::tick(report, style)) }
}

/// Waits for the second signal and says what it cuts off. The others of a `select!` are dropped, and their rounds with
/// them, as soon as this has ended: so it is said here.
pub async fn insisted<L: Lambda>(termination: Termination, stopper: Stopper, engine: &Engine<L>) -> Exit {
    termination.twice(stopper).await;
    let cut: Vec<String> = engine.still_in_flight().iter().map(ToString::to_string).collect();
    if cut.is_empty() {
        complain("ended at once; nothing was in flight");
    } else {
        complain(&format!("ended at once; still in flight, and not reported: {}", cut.join(", ")));
    }
    Exit::Failed
}

fn dry_run(
    fleet: &Fleet,
    now: DateTime<Utc>,
    due: &[Due],
    json: bool,
    style: Style,
) -> Result<Exit, Failure> {
    if json {
        let rounds =
            due.iter().map(|due| RoundRecord::skipped(&due.target, due.concurrency, Skipped::DryRun));
        print_json(&TickReport {
            tick: now,
            config: Some(fleet.hash.clone()),
            duration_ms: 0,
            rounds: rounds.collect(),
            unfinished: Vec::new(),
        })?;
    } else {
        print(&render::dry_run::dry_run(fleet, now, due, style))?;
    }
    Ok(Exit::Success)
}
