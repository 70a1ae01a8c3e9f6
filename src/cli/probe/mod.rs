//! `warmd probe`: measurements of one function.

mod measure;
pub(super) mod object;
mod users;
mod write;

use std::io::{self, BufRead, IsTerminal};
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use clap::{ArgGroup, Args};

use self::measure::{Mode, Progress, measure};
use self::object::ProbeObject;
use super::app::App;
use super::configuration;
use super::deployed::Deployed;
use super::error::Failure;
use super::exit::Exit;
use super::options::{Configs, Only, StateArgs};
use super::output::{print, print_json, print_message};
use super::render::{self, Style};
use super::select;
use super::signals::Termination;
use super::value_parsers;
use crate::domain::fleet::{Fleet, Limits, Target};
use crate::domain::function::{FunctionRef, Identity, Qualifier, Region, Tenant};
use crate::domain::future::later;
use crate::domain::guard::Decision;
use crate::domain::probe::{Estimate, IdlePlan, Measured, Ramp, estimate, forecast};
use crate::domain::quantity::DurationRange;
use crate::domain::schedule::{Minute, segments};
use crate::domain::text::elapsed;
use crate::engine::ports::Clock;
use crate::engine::stop::{Stop, stop};
use crate::service::clock::SystemClock;
use crate::service::live_config::LiveConfig;
use crate::service::probe::{ProbePause, Prober};
use crate::service::store::{DocumentStore, Durability};

/// The usage. The generated one names the values of all modes, and is too long for a terminal.
const USAGE: &str = "warmd probe [OPTIONS] <--idle|--parallel|--find-hold|--memory> <FUNCTION> [PATH]...";

/// `warmd probe`.
#[derive(Debug, Args)]
#[command(override_usage = USAGE, group(ArgGroup::new("mode").required(true)), after_help = include_str!("../help/probe.txt"))]
pub struct ProbeArgs {
    /// Function: NAME, NAME:QUALIFIER or ARN.
    #[arg(value_name = "FUNCTION", value_parser = value_parsers::function)]
    pub function: FunctionRef,
    /// Measure the life of idle environments, with pings at these instants.
    #[arg(long, group = "mode", value_name = "INSTANT,…", num_args = 0..=1, require_equals = true,
        default_missing_value = "0,6m,16m,31m,61m", value_parser = instants)]
    idle: Option<Instants>,
    /// Continue until the life is known to a minute. With --idle.
    #[arg(long, conflicts_with_all = ["parallel", "find_hold", "memory"])]
    until_cold: bool,
    /// Number of passes over the instants. With --idle.
    #[arg(long, value_name = "N", default_value_t = 1, conflicts_with_all = ["parallel", "find_hold", "memory"],
        value_parser = clap::value_parser!(u16).range(1..=100))]
    repeat: u16,
    /// Measure cold starts and latency under parallel users, in steps.
    #[arg(long, group = "mode", value_name = "USERS,…", value_parser = users)]
    parallel: Option<Users>,
    /// Length of all steps together. With --parallel.
    #[arg(long = "for", value_name = "DURATION", default_value = "5m",
        conflicts_with_all = ["idle", "find_hold", "memory"], value_parser = value_parsers::whole_seconds::<1>)]
    for_: Duration,
    /// Find the shortest hold with which N environments are proven in 5 of 5 rounds.
    #[arg(long, group = "mode", value_name = "N")]
    find_hold: Option<NonZeroU32>,
    /// Compare versions or aliases that differ in memory.
    #[arg(long, group = "mode", value_name = "QUALIFIER,…", value_delimiter = ',', num_args = 1,
        value_parser = |text: &str| Qualifier::parse(text).map_err(|error| error.to_string()))]
    memory: Vec<Qualifier>,
    /// Put the result into the function's entry in this file of the configuration.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["parallel", "memory"])]
    write: Option<PathBuf>,
    /// Also write `interval`: 80 % of the longest warm gap in whole minutes, from five repeats on.
    #[arg(long, requires = "write", conflicts_with_all = ["find_hold"])]
    write_interval: bool,
    /// Do not ask for confirmation.
    #[arg(long)]
    yes: bool,
    /// Region of the function.
    #[arg(long, value_name = "REGION", value_parser = value_parsers::region)]
    region: Option<Region>,
    /// Tenant, of a function with tenant isolation.
    #[arg(long, value_name = "TENANT", value_parser = value_parsers::tenant)]
    tenant: Option<Tenant>,
    /// Use the embedded emulator on virtual time, instead of AWS.
    #[arg(long)]
    pub local: bool,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
    /// The state store, in which the function is paused.
    #[command(flatten)]
    state: StateArgs,
    /// The configuration.
    #[command(flatten)]
    configs: Configs,
}

/// The instants of pings.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Instants(Vec<Duration>);

/// The numbers of users.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Users(Vec<u32>);

/// The most instants, and the most steps of users.
const MOST: usize = 100;
/// The most users.
const MOST_USERS: u32 = 10_000;

fn instants(text: &str) -> Result<Instants, String> {
    let instant = |text: &str| match text.trim() {
        "0" => Ok(Duration::ZERO),
        text => DurationRange { min: 0, max: 7 * 86_400_000, step: 1_000 }
            .parse(text)
            .map_err(crate::domain::parse::TextError::into_line),
    };
    let instants: Vec<Duration> = text.split(',').map(instant).collect::<Result<_, _>>()?;
    if !(2..=MOST).contains(&instants.len()) || !instants.is_sorted_by(|one, other| one < other) {
        return Err(format!("expected 2 to {MOST} rising instants such as 0,6m,16m, found {text:?}"));
    }
    Ok(Instants(instants))
}

fn users(text: &str) -> Result<Users, String> {
    let expected = || format!("expected 1 to {MOST} numbers of users from 1 to {MOST_USERS}, found {text:?}");
    let number = |text: &str| text.trim().parse().ok().filter(|users| (1..=MOST_USERS).contains(users));
    let users: Vec<u32> = text.split(',').map(number).collect::<Option<_>>().ok_or_else(expected)?;
    if users.len() > MOST { Err(expected()) } else { Ok(Users(users)) }
}

/// The region of the emulator's functions if none is given.
const LOCAL_REGION: &str = "us-east-1";

/// Probes a function.
///
/// # Errors
/// The reason why nothing was measured.
pub async fn probe(args: &ProbeArgs, style: Style) -> Result<Exit, Failure> {
    let termination = Termination::listen().map_err(|error| Failure::Unexpected(error.to_string()))?;
    let fleet = configured(args).await?;
    let app = match args.local {
        true => App::simulated(&fleet.targets),
        false => App::aws().await,
    };
    let target = target(args, &fleet, &app)?;
    let mode = mode(args, &target)?;
    let now = SystemClock.now();
    let store = match (args.local, args.state.location()) {
        (false, Some(_)) => Some(args.state.open().await?),
        _ => None,
    };
    let is_paused = store.as_ref().is_some_and(|store| store.durability() == Durability::Durable);
    if !is_paused && !args.local {
        refuse_open_window(&target, now, mode.length())?;
    }
    if !args.local {
        stay_within_share(&app, &fleet, &target, mode.at_once(), now).await?;
    }
    let live_config = LiveConfig::fixed(Fleet {
        limits: Limits { max_in_flight: mode.at_once().get(), ..fleet.limits },
        ..Fleet::new(Vec::new())
    });
    let service = app.service(live_config, DocumentStore::memory(), None, Some(mode.at_once().get()))?;
    let (stopper, stop) = stop();
    // The times of the prober's pings are counted from here.
    let begun = SystemClock.now();
    let prober = Prober::new(service.engine(), target.clone(), &SystemClock, stop);
    let pause = match store.filter(|_| is_paused) {
        None => None,
        Some(store) => {
            let function = FunctionRef { place: args.function.place.clone(), ..args.function.clone() };
            let paused = ProbePause::begin(store, function, Arc::new(SystemClock)).await;
            Some(paused.map_err(|error| Failure::Unexpected(error.to_string()))?)
        }
    };
    let measuring = async {
        let (estimate, before) = announce(args, &fleet, &target, &mode, &prober).await?;
        let progress = Progress::new(&mode);
        let mut measured = measure(&mode, &prober, before, &progress).await.map_err(Failure::Unexpected)?;
        if !args.local {
            users::mark(&mut measured, &app, &target, begun).await;
        }
        Ok::<_, Failure>((measured, estimate))
    };
    let measured = tokio::select! {
        measured = measuring => Some(measured),
        () = termination.second(stopper) => None,
    };
    if let Some(pause) = pause
        && let Err(unavailable) = pause.end().await
    {
        print_message(&format!("warning: the pause ends within three minutes: {unavailable}"));
    }
    let Some(measured) = measured else { return Ok(Exit::Interrupted) };
    let (measurement, estimate) = measured?;
    let object = ProbeObject::new(&target, &fleet.prices, &measurement, &estimate, prober.spent());
    match args.json {
        true => print_json(&object)?,
        false => print(&render::probe::probe(&object, style))?,
    }
    let Some(file) = &args.write else { return Ok(Exit::Success) };
    write::write(file, args, &measurement)
}

/// Loads the configuration, if one is given or there is one.
async fn configured(args: &ProbeArgs) -> Result<Fleet, Failure> {
    let paths = args.configs.paths();
    let is_default = paths == [PathBuf::from("warm-configs")];
    if is_default && !paths.iter().all(|path| path.is_dir()) {
        return Ok(Fleet::new(Vec::new()));
    }
    let mut loaded = configuration::source(paths, &Only::default()).await.load().await?;
    let variable = crate::service::environment::variable;
    loaded.bind(variable)?;
    Ok(loaded.fleet)
}

/// Returns the target: that of the configuration, or one with the defaults.
fn target(args: &ProbeArgs, fleet: &Fleet, app: &App) -> Result<Target, Failure> {
    let is_configured = fleet.targets.iter().any(|target| args.function.is_of(&target.id));
    if is_configured {
        return Ok(select::target(fleet, &args.function, args.region, args.tenant.as_ref())?.clone());
    }
    let region = match (&args.function.place, args.region) {
        (Some((_, region)), None) => *region,
        (Some((_, own)), Some(region)) if region != *own => {
            let message = format!("--region ({region}) must be the region of the ARN ({own})");
            return Err(Failure::Usage(message));
        }
        (_, Some(region)) => region,
        (None, None) if args.local => value_parsers::region(LOCAL_REGION).map_err(Failure::Usage)?,
        (None, None) => app.own_region()?,
    };
    let bare = Target::bare(&args.function, region);
    Ok(Target { id: Identity { tenant: args.tenant.clone(), ..bare.id }, ..bare })
}

fn mode(args: &ProbeArgs, target: &Target) -> Result<Mode, Failure> {
    if let Some(Instants(instants)) = &args.idle {
        return Ok(Mode::Idle(IdlePlan::new(instants, args.repeat.into(), args.until_cold)));
    }
    if let Some(Users(users)) = &args.parallel {
        return Ok(Mode::Parallel(Ramp { users: users.clone(), length: args.for_ }));
    }
    if let Some(number) = args.find_hold {
        if !target.protocol.honours_hold() {
            let message = format!("the protocol `{}` carries no hold", target.protocol.name());
            return Err(Failure::Usage(format!("{message}\nhint: --find-hold needs one that does")));
        }
        return Ok(Mode::FindHold(number));
    }
    if let Some(qualifier) = &args.function.qualifier {
        let message = format!("--memory takes the qualifiers: name the function without `:{qualifier}`");
        return Err(Failure::Usage(message));
    }
    Ok(Mode::Memory(args.memory.clone()))
}

/// Refuses a probe during which other pings are due.
fn refuse_open_window(target: &Target, now: DateTime<Utc>, length: Duration) -> Result<(), Failure> {
    let until = later(now, TimeDelta::from_std(length).unwrap_or(TimeDelta::MAX));
    let open = segments(target, Minute::of(now), Minute::of(until).plus(1));
    let Some(open) = open.first() else { return Ok(()) };
    let at = open.from.instant().format("%Y-%m-%d %H:%M UTC");
    Err(Failure::Usage(format!(
        "`{}` is kept warm from {at} on, and its pings would spoil the probe of {}\n\
         hint: set --state or WARMD_STATE, so that it is paused meanwhile, or probe it outside of its windows",
        target.label,
        elapsed(length)
    )))
}

/// Refuses more pings at once than the guards of a tick would send.
async fn stay_within_share(
    app: &App,
    fleet: &Fleet,
    target: &Target,
    pings: NonZeroU32,
    now: DateTime<Utc>,
) -> Result<(), Failure> {
    let own = Fleet { targets: vec![target.clone()], ..fleet.clone() };
    let deployed = Deployed::live(app, &own, now).await;
    deployed.report_unchecked();
    match deployed.decide(&own, target, pings, false) {
        Decision::Skip(reason) => {
            Err(Failure::Usage(format!("`{}` is not pinged: {}", target.label, reason.explanation())))
        }
        decision => match decision.capped(pings) {
            Some(capped) => Err(Failure::Usage(format!(
                "{pings} pings at once are above what {} allows, {}",
                capped.by, capped.to
            ))),
            None => Ok(()),
        },
    }
}

/// Estimates the cost and prints it. A ramp is confirmed after a first ping, or after a second one if that
/// created the environment; they are returned.
async fn announce<L: crate::engine::ports::Lambda>(
    args: &ProbeArgs,
    fleet: &Fleet,
    target: &Target,
    mode: &Mode,
    prober: &Prober<'_, L>,
) -> Result<(Estimate, Vec<Measured>), Failure> {
    let hold = mode.hold(target);
    let mut sent = Vec::new();
    let (pings, cold) = match mode {
        Mode::Parallel(ramp) => {
            let before = prober.contact(hold).await.map_err(Failure::Unexpected)?;
            sent = before.ok_or_else(|| Failure::Unexpected("stopped".to_owned()))?;
            let each = sent.last().map(|ping| ping.total().saturating_sub(ping.init.unwrap_or_default()));
            (forecast(ramp, each.unwrap_or_default().max(hold)), u64::from(ramp.highest()))
        }
        _ => mode.pings(),
    };
    let estimate = estimate(&fleet.prices, target, pings, cold, hold);
    print_message(&render::probe::estimate(&estimate, mode.length()));
    if matches!(mode, Mode::Parallel(_)) && !args.yes {
        confirm(prober.stop()).await?;
    }
    Ok((estimate, sent))
}

/// Asks for confirmation. A signal to stop refuses it.
async fn confirm(mut stop: Stop) -> Result<(), Failure> {
    if !io::stdin().is_terminal() {
        return Err(Failure::Usage("not confirmed\nhint: add --yes where there is no terminal".to_owned()));
    }
    print_message("continue? [y/N]");
    let asking = tokio::task::spawn_blocking(|| {
        let mut answer = String::new();
        io::stdin().lock().read_line(&mut answer).map(|_| answer)
    });
    let answer = tokio::select! {
        answer = asking => answer.map_err(|error| Failure::Unexpected(error.to_string()))??,
        _ = stop.stopped() => String::new(),
    };
    match answer.trim() {
        "y" | "Y" | "yes" => Ok(()),
        _ => Err(Failure::Usage("not confirmed, nothing more was sent".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_rise() {
        let minutes = |number: u64| Duration::from_secs(number * 60);
        assert_eq!(instants("0,6m,16m"), Ok(Instants([0, 6, 16].map(minutes).to_vec())));
        for wrong in ["", "0", "6m,0", "6m,6m", "6", "0,x", "0,8d"] {
            assert!(instants(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn users_are_whole_numbers_above_zero() {
        assert_eq!(users("3, 6,9"), Ok(Users(vec![3, 6, 9])));
        for wrong in ["", "0", "3,,6", "-1", "10001", "x"] {
            assert!(users(wrong).is_err(), "{wrong}");
        }
    }
}
