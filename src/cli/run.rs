//! `warmd run --once`, and what one tick needs.

use std::io;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use clap::Args;
use tokio::time::Instant;

use super::app::App;
use super::clock::SystemClock;
use super::configuration::{Origin, largest};
use super::error::Failure;
use super::exit::Exit;
use super::options::{Configs, Only, Prices, StateArgs};
use super::output::{Stderr, complain, print, print_json};
use super::render::{self, Style};
use super::signals::Termination;
use super::store::{Store, halfway, time_of_record, unavailable};
use super::value_parsers::{self, Regions};
use crate::aws::CloudWatch;
use crate::domain::fleet::Fleet;
use crate::domain::metric_data::{TickFacts, TickScope};
use crate::domain::schedule::{Minute, Mode, next_change};
use crate::domain::tick::{SkipReason, TickReport};
use crate::engine::planner::{Cause, Durability, Plan, StoreHealth, TickPlanner};
use crate::engine::ports::{Clock, Lambda};
use crate::engine::record::{PATIENCE, Recorded, Recorder};
use crate::engine::running::{Part, Reporter};
use crate::engine::state::Memory;
use crate::engine::stop::{Stopper, stop};
use crate::engine::tick::Engine;

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
and use the current pauses.

SIGTERM and SIGINT stop the daemon after the rounds in flight. A second signal stops it at once.
SIGHUP reloads the configuration. Changed files are also reloaded at the next tick.

Metrics are sent to CloudWatch in the region of AWS_REGION or the profile. Metrics that CloudWatch
does not accept are written to stderr in embedded metric format.";

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
    /// Show the pings without sending them.
    #[arg(long, requires = "once")]
    pub dry_run: bool,
    /// Schedule of the daemon's ticks: six cron fields, seconds first, in UTC.
    #[arg(long, value_name = "CRON", default_value = "0 * * * * *", value_parser = value_parsers::cron,
        conflicts_with = "once")]
    pub cron: cron::Schedule,
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

/// One tick.
///
/// # Errors
/// Whatever keeps it from beginning; nothing was sent then.
pub async fn once(args: &RunArgs, style: Style) -> Result<Exit, Failure> {
    let fleet = Origin::new(&args.configs, &args.only).with_prices(&args.prices).load()?.fleet;
    let now = SystemClock.now();
    let at = args.at.unwrap_or(now);
    if args.dry_run {
        let plan = look(&dry_planner(args, &fleet).await?, args, &fleet, now).await;
        return dry_run(&fleet, at, plan, args.json, style);
    }
    // Before the first ping: from here on a signal must not cut a round.
    let termination = Termination::listen().map_err(|error| Failure::Unexpected(error.to_string()))?;
    let app = App::of(args.local, &fleet.targets).await?;
    let planner = Store::at(args.state.location(), app.clients())?.swept(now).await.planner();
    // What is planned with a store is noted in it at once: whatever may refuse the tick has to do so before.
    let (largest, planned) = match planner.durability() {
        Durability::Durable => (largest(&fleet), None),
        Durability::Volatile => {
            let plan = look(&planner, args, &fleet, now).await;
            (plan.due.iter().map(|due| due.concurrency.get()).max().unwrap_or(0), Some(plan))
        }
    };
    let engine = app.engine(fleet.limits, largest)?;
    engine.set_prices(fleet.prices.clone());
    let recorder = Recorder::new(app.cloudwatch()?, Box::new(Stderr));
    let (stopper, stop) = stop();
    let served = async {
        let plan = match planned {
            Some(plan) => plan,
            None if args.due_only && args.at.is_none() => planner.plan(&fleet, now, before(now), now).await,
            None => look(&planner, args, &fleet, now).await,
        };
        let running = engine.start(at, Some(fleet.hash.clone()), plan.due.clone(), &stop);
        let skipped = plan.skipped.clone();
        let once = Once {
            args,
            fleet: &fleet,
            planner: &planner,
            recorder: &recorder,
            plan,
            style,
            seen: Mutex::default(),
        };
        running.in_parts(&skipped, stop.clone(), args.grace, &once).await;
        once.ended()
    };
    tokio::select! {
        exit = served => exit,
        exit = insisted(termination, stopper, &engine) => Ok(exit),
    }
}

/// One tick of the command, shown and recorded part by part.
struct Once<'o> {
    args: &'o RunArgs,
    fleet: &'o Fleet,
    planner: &'o TickPlanner<Store>,
    recorder: &'o Recorder<CloudWatch>,
    plan: Plan,
    style: Style,
    seen: Mutex<Seen>,
}

/// The results of the parts so far.
#[derive(Default)]
struct Seen {
    /// The worst result of recording a part.
    recorded: Option<Recorded>,
    exit: Option<io::Result<Exit>>,
}

impl Once<'_> {
    fn ended(self) -> Result<Exit, Failure> {
        let seen = self.seen.into_inner().unwrap_or_else(PoisonError::into_inner);
        Ok(seen.exit.unwrap_or(Ok(Exit::Failed))?)
    }

    /// Notes the whole tick in the store.
    async fn note(&self, whole: &TickReport) -> StoreHealth {
        // Another minute than the present is nothing that later ticks should go by.
        if self.args.at.is_some() {
            return StoreHealth::Sound;
        }
        // `--due-only` serves a tick of the schedule, otherwise the rounds are a request of the operator.
        let cause = match self.args.due_only {
            true => Cause::Schedule { config_behind_since: None },
            false => Cause::Asked,
        };
        self.planner.note(&self.plan, &self.plan.due, whole, cause, SystemClock.now()).await
    }

    async fn record(
        &self,
        report: &TickReport,
        is_first: bool,
        health: StoreHealth,
        until: Instant,
    ) -> Recorded {
        // `--at` decides what is due, but the pings were real and were now.
        let now = SystemClock.now();
        let at = if self.args.at.is_none() { time_of_record(report, now) } else { now };
        let recorded = TickReport { tick: at, ..report.clone() };
        // One by hand would tell whoever watches for missing ticks that the schedule runs.
        let is_scheduled = self.args.due_only && self.args.at.is_none();
        let scope = if is_scheduled && is_first { TickScope::Whole } else { TickScope::Part };
        let counted = if is_first { 0 } else { unavailable(self.plan.health) };
        let state_unavailable = unavailable(health).saturating_sub(counted);
        let facts = TickFacts { scope, state_unavailable, ..TickFacts::default() };
        self.recorder.record(&recorded, &self.fleet.metrics, facts, until).await
    }
}

impl Reporter for Once<'_> {
    async fn part(&self, part: Part) {
        let Part { report, is_first, whole, running, until } = part;
        let until = until.min(Instant::now() + PATIENCE);
        let mut health = self.plan.health;
        let noting = async {
            match &whole {
                Some(whole) => self.note(whole).await,
                None => {
                    let now = SystemClock.now();
                    self.planner.note_part(&self.plan, &running, &report, &self.plan.due, now).await
                }
            }
        };
        health = health.and(halfway(until, noting).await);
        let recorded = self.record(&report, is_first, health, until).await;
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let all = match seen.recorded {
            Some(earlier) if earlier != Recorded::Sent => earlier,
            _ => recorded,
        };
        seen.recorded = Some(all);
        // As text the tick is one table, shown when it has ended.
        let shown = match &whole {
            None if self.args.json => show(&report, true, self.style),
            None => Ok(()),
            Some(_) if self.args.json => show(&report, true, self.style),
            Some(whole) => show(whole, false, self.style),
        };
        if let Some(whole) = whole {
            let exit = Exit::of_tick(&whole, Some(all)).with_store(health);
            seen.exit = Some(shown.and_then(|()| hint(self.fleet, &whole, self.args)).map(|()| exit));
        } else if let Err(error) = shown {
            seen.exit = Some(Err(error));
        }
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

/// What the tick would serve; nothing is noted.
async fn look(planner: &TickPlanner<Store>, args: &RunArgs, fleet: &Fleet, now: DateTime<Utc>) -> Plan {
    let (mode, at) = match (args.due_only, args.at) {
        (false, at) => (Mode::Open, at.unwrap_or(now)),
        // What was served by now says nothing about another minute.
        (true, Some(at)) => (Mode::DueOnly, at),
        (true, None) => (Mode::DueSince(before(now)), now),
    };
    planner.look(fleet, mode, at, now).await
}

/// The firing before that is taken for granted when nothing is known of earlier ticks: so this minute alone counts.
fn before(now: DateTime<Utc>) -> Minute {
    Minute::of(now).plus(-1)
}

/// The keeper of a dry run, which needs no AWS unless the state is there.
async fn dry_planner(args: &RunArgs, fleet: &Fleet) -> Result<TickPlanner<Store>, Failure> {
    let store = match args.state.location() {
        None => Store::Memory(Memory::default()),
        place => Store::at(place, App::of(args.local, &fleet.targets).await?.clients())?,
    };
    Ok(store.planner())
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
    Exit::Interrupted
}

fn dry_run(fleet: &Fleet, at: DateTime<Utc>, plan: Plan, json: bool, style: Style) -> Result<Exit, Failure> {
    if json {
        let due = plan.due.iter().map(|due| due.skipped(SkipReason::DryRun));
        let rounds = due.chain(plan.skipped).collect();
        print_json(&TickReport { rounds, ..TickReport::empty(at, Some(fleet.hash.clone())) })?;
    } else {
        print(&render::dry_run::dry_run(fleet, at, &plan.due, &plan.skipped, style))?;
    }
    Ok(Exit::Success)
}
