//! `warmd run --once`: one tick.

use std::io;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use clap::Args;
use tokio::time::Instant;

use super::app::App;
use super::configuration;
use super::deployed::Deployed;
use super::error::Failure;
use super::exit::Exit;
use super::options::{Configs, Only, Prices, StateArgs};
use super::output::{print, print_json, print_message};
use super::render::{self, Style};
use super::signals::Termination;
use super::value_parsers;
use crate::domain::fleet::Fleet;
use crate::domain::guard::Decision;
use crate::domain::pipeline;
use crate::domain::records::Snapshot;
use crate::domain::schedule::{Minute, next_change};
use crate::domain::tick::{SkipReason, TickReport};
use crate::engine::ports::{Clock, Lambda};
use crate::engine::stop::{Stopper, stop};
use crate::engine::tick::{Due, Engine};
use crate::service::budget::TimeBudget;
use crate::service::capacity::{CapacityPlan, Context};
use crate::service::clock::SystemClock;
use crate::service::live_config::LiveConfig;
use crate::service::planner::{Plan, TickPlanner};
use crate::service::rounds::Part;
use crate::service::store::{DocumentStore, Durability};
use crate::service::{Observer, Outcome, Policy, Trigger, largest_due, preview};

/// The longest time for the reads of a dry run.
const PREVIEW_WITHIN: Duration = Duration::from_secs(60);

const EXAMPLES: &str = "\
Examples:
  warmd run --once --local              one tick against the embedded emulator, without AWS account
  warmd run --once --dry-run            the pings of a tick now, without sending them
  warmd run --once --json | jq .rounds  one tick, as JSON
  warmd run                             the daemon: a tick every minute until SIGTERM or SIGINT
  warmd run --once --due-only --state s3://my-warmd/state
                                        one tick of due targets, for a cron job every minute

--once serves all targets with an open window at that minute. The daemon serves the targets that
became due since its previous tick.

With --state, pauses and requests apply, and `warmd status` shows the last tick. The daemon and
--once --due-only also record the minutes they serve: of several processes with the same store, only
one serves a minute, and the next tick makes up for a lost one. --at and --dry-run record nothing
and use the current pauses. --dry-run also shows what the guards would skip or lower with what the
store has, and the changes of provisioned concurrency and managed instances (strategy: provisioned
or managed), which need --state. A tick with --at changes none. What warmd has made, and the
configuration no longer names, is removed: the state store belongs to one configuration.

SIGTERM and SIGINT stop the daemon after the rounds in flight. A second signal stops it at once.
SIGHUP reloads the configuration. Changed files are also reloaded at the next tick.

Metrics are sent to CloudWatch in the region of AWS_REGION or the profile. Metrics that CloudWatch
does not accept are written to stderr in embedded metric format. The daemon keeps them in the
directory of --state instead, and sends them later.";

/// `warmd run`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, after_long_help = format!("{EXAMPLES}\n\n{}", include_str!("help/run.txt")))]
pub struct RunArgs {
    /// Run one tick, then exit.
    #[arg(long)]
    pub once: bool,
    /// Time of the tick, RFC 3339, which determines the open windows. Pings are sent now. [default: now]
    #[arg(long, value_name = "RFC3339", value_parser = value_parsers::instant, requires = "once")]
    pub at: Option<DateTime<Utc>>,
    /// Serve only targets that are due in that minute, as the daemon does, instead of all open ones.
    #[arg(long, requires = "once")]
    pub due_only: bool,
    /// Send one ping first to a handler that was never pinged, and the round only if it took it for a ping. The daemon
    /// does so always.
    #[arg(long, requires = "once", conflicts_with = "dry_run")]
    pub canary: bool,
    /// Show the pings without sending them.
    #[arg(long, requires = "once")]
    pub dry_run: bool,
    /// Schedule of the daemon's ticks: six cron fields, seconds first, in UTC.
    #[arg(long, value_name = "CRON", default_value = "0 * * * * *", value_parser = value_parsers::cron,
        conflicts_with = "once")]
    pub cron: cron::Schedule,
    /// Address at which the daemon serves /healthz and /metrics over HTTP. A port alone is one of loopback.
    #[arg(long, value_name = "ADDR", value_parser = value_parsers::listen_address, conflicts_with = "once")]
    pub listen: Option<SocketAddr>,
    /// Time from SIGTERM to exit for rounds in flight and their records, 1s to 15m.
    #[arg(long, value_name = "DURATION", default_value = "20s", value_parser = value_parsers::grace)]
    pub grace: Duration,
    /// The state store: requests, pauses and served minutes.
    #[command(flatten)]
    pub state: StateArgs,
    /// Use the embedded emulator, started for this run, instead of AWS.
    #[arg(long)]
    pub local: bool,
    /// Print one JSON object per tick, or two if some rounds of the tick take long.
    #[arg(long)]
    pub json: bool,
    /// The user's own prices.
    #[command(flatten)]
    pub prices: Prices,
    /// The part of the fleet.
    #[command(flatten)]
    pub only: Only,
    /// The configuration.
    #[command(flatten)]
    pub configs: Configs,
}

/// Runs one tick.
///
/// # Errors
/// The reason why it cannot start. Nothing was sent then.
pub async fn once(args: &RunArgs, style: Style) -> Result<Exit, Failure> {
    let source = configuration::source(args.configs.paths(), &args.only).await;
    let source = source.with_prices(args.prices.prices.clone());
    // A dry run sends and changes nothing.
    let source = match args.dry_run {
        true => source,
        false => source.for_pings().for_capacity(args.state.location().is_some()),
    };
    let fleet = source.load().await?.fleet;
    let now = SystemClock.now();
    if args.dry_run {
        return dry_run(args, &fleet, now, style).await;
    }
    // Signals are handled before the first ping, so that none cuts off a round.
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
    let refreshes_facts = documents.durability() == Durability::Durable;
    let mut service =
        app.service(LiveConfig::fixed(fleet.clone()), documents.clone(), Some(recorder), largest)?;
    app.guard(&mut service, Policy { checks_contact: args.canary, refreshes_facts, ..Policy::default() });
    app.drive(&mut service, &documents);
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
                // Printed with --json too, so that a pipeline without a target is noticed.
                Some(warning) => print_message(&warning),
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
    /// Standard output could not be written.
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

/// Prints what a tick would do. It connects to AWS only if there is a state store, or a backlog of a metric.
async fn dry_run(args: &RunArgs, fleet: &Fleet, now: DateTime<Utc>, style: Style) -> Result<Exit, Failure> {
    let at = args.at.unwrap_or(now);
    let has_state = args.state.location().is_some();
    let reads_metrics = fleet.targets.iter().any(|target| !target.backlogs.is_empty());
    let app = match has_state || reads_metrics {
        false => None,
        true => Some(App::of(args.local, &fleet.targets).await?),
    };
    let documents = match &app {
        None => DocumentStore::memory(),
        Some(app) => app.documents(args.state.location())?,
    };
    let mut planner = TickPlanner::new(documents);
    if let Some(app) = &app {
        planner.read_backlogs(app.metrics());
    }
    let app = app.filter(|_| has_state);
    let plan = preview(&planner, fleet, args.at, args.due_only, now).await;
    let deployed = match &app {
        None => None,
        Some(_) => match Deployed::stored(planner.documents(), fleet, now).await {
            Ok(deployed) => Some(deployed),
            Err(unavailable) => {
                print_message(&format!("warning: {unavailable}; the guards are not applied"));
                None
            }
        },
    };
    let is_driven = fleet.targets.iter().any(|target| target.strategy.is_capacity());
    let capacity = match (&app, &plan.capacity) {
        (None, _) if is_driven => {
            print_message("note: changes of capacity are not shown without a state store; set --state");
            Vec::new()
        }
        (Some(_), _) if is_driven && args.at.is_some() => {
            print_message("note: a tick of another minute (--at) changes no capacity");
            Vec::new()
        }
        (Some(app), Some(plan)) if args.at.is_none() => {
            let none = Snapshot::default();
            let facts = deployed.as_ref().map_or(&none, Deployed::facts);
            let ((_stopper, stop), until) = (stop(), Instant::now() + PREVIEW_WITHIN);
            let mut plan = CapacityPlan::clone(plan);
            if let Some(deployed) = &deployed {
                plan.stop(&deployed.budgets.standings, now);
            }
            let context = Context { plan: &plan, facts, now, until, stop: &stop };
            app.keeper(planner.documents().clone()).preview(&context).await
        }
        _ => Vec::new(),
    };
    let plan = match &deployed {
        None => plan,
        Some(deployed) => guarded(deployed, fleet, plan),
    };
    if args.json {
        let due = plan.due.iter().map(|due| due.skipped(SkipReason::DryRun));
        let rounds = due.chain(plan.skipped).collect();
        let report = TickReport { rounds, capacity, ..TickReport::empty(at, Some(fleet.hash.clone())) };
        let pipelines = pipeline::report(&plan.pipelines, &report);
        print_json(&TickReport { pipelines, ..report })?;
    } else {
        print(&render::dry_run::dry_run(fleet, at, &plan.due, &plan.skipped, &capacity, style))?;
    }
    Ok(Exit::Success)
}

/// Applies the guards to a plan, as far as the store has facts and results of rounds.
fn guarded(deployed: &Deployed, fleet: &Fleet, mut plan: Plan) -> Plan {
    for due in std::mem::take(&mut plan.due) {
        match deployed.decide(fleet, &due.target, due.concurrency, false) {
            Decision::Send(concurrency, terms) => plan.due.push(Due { concurrency, terms, ..due }),
            Decision::Skip(reason) => plan.skipped.push(due.skipped(reason)),
        }
    }
    plan
}

/// Waits for the second signal, and prints the rounds that it cuts off. The caller then drops them.
pub async fn interrupted<L: Lambda>(termination: Termination, stopper: Stopper, engine: &Engine<L>) -> Exit {
    termination.second(stopper).await;
    let cut: Vec<String> = engine.still_in_flight().iter().map(ToString::to_string).collect();
    if cut.is_empty() {
        print_message("ended at once; nothing was in flight");
    } else {
        print_message(&format!("ended at once; still in flight, and not reported: {}", cut.join(", ")));
    }
    Exit::Interrupted
}
