//! `warmd report`: what a past period brought and cost.

mod json;
mod local;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono::TimeDelta;
use clap::{ArgGroup, Args};

use self::json::ReportObject;
use super::configuration;
use super::error::Failure;
use super::exit::Exit;
use super::file::{check_writable, write_whole};
use super::options::{Configs, Only, Prices, StateArgs};
use super::output::{print, print_data, print_json, print_message};
use super::period::{Bounds, past};
use super::render::{self, Style};
use super::value_parsers::{self, Regions};
use crate::domain::history::Rows;
use crate::domain::parse::quoted;
use crate::domain::review::{Review, Reviewing};
use crate::engine::ports::Clock;
use crate::service::clock::SystemClock;
use crate::service::history;

/// `warmd report`.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("begin").args(["last", "from"])), after_help = "\
Examples:
  warmd report --local --html report.html    a simulated month, without AWS account
  warmd report --state s3://my-warmd/state   the last 30 days
  warmd report --last 7d --markdown          a week, for a ticket or a wiki
  warmd report --json | jq '.functions[] | {function, coverage, known_cost_usd}'

Reads the history in the state store. The cost is what warmd recorded, at list prices. Unknown
minutes and unknown costs are counted, and are in no sum; `+` marks a sum with an unknown cost. The
cost of the alternatives is estimated as by `warmd compare`, for the same windows, without the days
that had open windows and have no history; `*` marks an estimate with assumed values. The cheapest
is the alternative, other than the function's own strategy, that is estimated to cost less than what
is recorded. The configuration names the functions, objectives, windows and prices; functions that
it no longer names have no alternatives. Rows of the history are whole hours, so a period begins
with the hour of its start, and ends with that of its end or now. A DATE is midnight UTC.

Coverage is the share of the known minutes of open windows in which as many environments as wanted
were warm. The error budget is that of `warmd status` at the end of the period: over the days of the
objective, for the fleet the longest of a function, which may begin before the period. Functions
without an objective count with the default, 99 % over 28 days. The burn rate is over the last three
days: at 1 the error budget lasts exactly.

The page of --html is one file without scripts and references, for a mail or a printer. It shows at
most 1,000 functions. Its data is inside as JSON.

Output of --json, one object:
  from, until                the period
  known_from, known_until    the part of it with a history, and the hours around it without open
                             windows
  simulated                  --local
  days_without_history, unread   days with open windows and without a record; documents that cannot
                             be read
  fleet, functions, owners   sums: window_minutes, warm_minutes, unknown_minutes, capped_minutes,
                             coverage, rounds, pings, cold_starts, semi_cold_starts (a part of
                             them), restored, preinitialized, short_rounds by reason,
                             known_cost_usd, cost_usd by item, unknown_costs, usd_per_warm_hour,
                             egress_bytes by route
    slo, error_budget        coverage (of the fleet the mean) and over_days; left, burn_rate,
                             burn_rate_3d; of functions if configured
    default_slo              of the fleet
    function, region, tenant, owner, configured, strategy, capacity
                             of functions
    alternatives, cheapest   of functions; null if it is no longer configured. cheapest is its
                             strategy if no other alternative is cheaper, and null if it is idle
                             or its cost is not fully known
    assumed                  of functions: assumptions of the alternatives that are not configured
    days                     of functions and the fleet: date, window_minutes, warm_minutes,
                             unknown_minutes, target, reached
  routes                     route, bytes, usd: the part of the recorded cost of S3 egress, null if
                             unknown; partial_cost: true if it is not fully known
`target` of a day is the highest number wanted, before a guard, a budget or throttles lowered it.
`reached` is that number less the most environments that were missing in an hour: all of them, if no
ping was sent and minutes were cold. Hours in which the number is unknown, for the fleet that of any
function, are left out.")]
pub struct ReportArgs {
    /// Length of the period until --until or now, such as 7d. With 1h it is the running hour and the one before it.
    /// [default: 30d]
    #[arg(long, value_name = "DURATION", value_parser = value_parsers::duration)]
    last: Option<Duration>,
    /// Start, rounded down to its hour: RFC 3339 or a DATE.
    #[arg(long, value_name = "RFC3339|DATE")]
    from: Option<String>,
    /// End, exclusive, rounded up to its hour: RFC 3339 or a DATE. [default: now, which is the latest]
    #[arg(long, value_name = "RFC3339|DATE")]
    until: Option<String>,
    /// Write the report as an HTML page to this file, - for standard output.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Print Markdown.
    #[arg(long, conflicts_with = "json")]
    markdown: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// Simulate the period with the embedded emulator on virtual time, instead of reading a history.
    #[arg(long)]
    pub local: bool,
    /// The state store with the history.
    #[command(flatten)]
    state: StateArgs,
    /// The user's own prices.
    #[command(flatten)]
    prices: Prices,
    /// The part of the fleet.
    #[command(flatten)]
    only: Only,
    /// The configuration.
    #[command(flatten)]
    configs: Configs,
}

/// The default period.
const MONTH: TimeDelta = TimeDelta::days(30);

/// Prints the report, or writes its page.
///
/// # Errors
/// An invalid configuration or period, no state store, or one that cannot be read.
pub async fn report(args: &ReportArgs, style: Style) -> Result<Exit, Failure> {
    let page_to = args.html.as_deref().map(|path| if is_stdout(path) { None } else { Some(path) });
    match page_to {
        Some(None) if args.json || args.markdown => {
            let message = "--html on standard output cannot be used with --json or --markdown";
            return Err(Failure::Usage(message.to_owned()));
        }
        Some(Some(path)) if path.is_dir() => {
            let path = quoted(&path.display().to_string());
            return Err(Failure::Usage(format!("expected a file for --html, found the directory {path}")));
        }
        // Before a simulation, which takes a while.
        Some(Some(path)) => check_writable(path).map_err(|error| cannot_write(path, &error))?,
        Some(None) | None => {}
    }
    if !args.local && args.state.location().is_none() {
        return Err(Failure::Usage(
            "without a state store there is no history to report\n\
             hint: set --state or WARMD_STATE, or see a simulated month with --local"
                .to_owned(),
        ));
    }
    let bounds =
        Bounds { from: args.from.as_deref(), length: args.last, until: args.until.as_deref(), zone: None };
    let period = past(bounds, MONTH, SystemClock.now())?;
    let fleet = configuration::load_priced(&args.configs, &args.only, &args.prices).await?.fleet;
    let mut reviewing = Reviewing::new(&fleet, period);
    let unread = if args.local {
        if period.length() > Duration::from_secs(2 * 86_400) {
            print_message(
                "simulating; a build without optimisation needs about a second for each day of the example fleet",
            );
        }
        let mut hours: BTreeMap<i64, Rows> = BTreeMap::new();
        let add = |hour, rows: &Rows| {
            let sums = hours.entry(hour).or_default();
            rows.iter().for_each(|(id, row)| sums.entry(id.clone()).or_default().add(row));
        };
        local::simulate_regions(&fleet, period, add)?;
        hours.iter().for_each(|(hour, rows)| reviewing.add(*hour, rows));
        Vec::new()
    } else {
        let (from, until) = (reviewing.from(), period.until.instant());
        let add = |hour, mut rows: Rows| {
            rows.retain(|id, _| match &args.only.regions {
                Regions::All => true,
                Regions::Only(regions) => regions.contains(&id.region),
            });
            reviewing.add(hour, &rows);
        };
        let unread =
            history::for_each_hour(&args.state.open_existing("no state store").await?, from, until, add)
                .await;
        unread.map_err(|error| Failure::Unexpected(error.to_string()))?
    };
    let review = reviewing.finish(unread);
    if let Some(to) = page_to {
        let page = render::report::html::page(&review, args.local);
        match to {
            None => print_data(&page)?,
            Some(path) => {
                write_whole(path, &page).map_err(|error| cannot_write(path, &error))?;
                print_message(&format!("wrote {}", quoted(&path.display().to_string())));
            }
        }
    }
    match args {
        ReportArgs { json: true, .. } => print_json(&ReportObject::new(&review, args.local))?,
        ReportArgs { markdown: true, .. } => print(&render::report::markdown(&review, args.local))?,
        ReportArgs { html: Some(_), .. } => {}
        _ => print(&render::report::text(&review, args.local, style))?,
    }
    Ok(exit(&review))
}

/// Returns true for `-` and the device of standard output, which may be a file that others write to as well.
fn is_stdout(path: &Path) -> bool {
    [Path::new("-"), Path::new("/dev/stdout")].contains(&path)
}

fn cannot_write(path: &Path, error: &io::Error) -> Failure {
    Failure::Unexpected(format!("cannot write {}: {error}", quoted(&path.display().to_string())))
}

/// Returns the result: a part of the history that cannot be read is an internal failure.
fn exit(review: &Review<'_>) -> Exit {
    if review.unread.is_empty() { Exit::Success } else { Exit::Failed }
}
