//! `warmd report`: what a past period brought and cost.

mod json;
mod local;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use chrono::TimeDelta;
use clap::{ArgGroup, Args};

use self::json::ReportObject;
use super::configuration;
use super::error::Failure;
use super::exit::Exit;
use super::file::write_whole;
use super::options::{Configs, Only, Prices, StateArgs};
use super::output::{print, print_json, print_message};
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
  warmd report --local --html report.html    a simulated month of the configuration, without AWS account
  warmd report --state s3://my-warmd/state   the last 30 days
  warmd report --last 7d --markdown          a week, for a ticket or a wiki
  warmd report --json | jq '.functions[] | {function, coverage, known_cost_usd}'

Reads the history in the state store. Coverage is the share of the minutes of open windows in which as
many environments as wanted were known to be warm; unknown minutes are left out. The cost is what
warmd recorded, at list prices; what is unknown is counted, and not in the sums. The cost of the
alternatives is estimated as by `warmd compare`, for the same windows on the days that have a history.
The configuration names the functions, objectives, windows and prices; functions that it no longer
names have no alternatives. The error budget is that of `warmd status`: its days may begin before the
period. A period begins with a whole hour. A DATE is midnight UTC. --until is exclusive.

The page of --html is one file without scripts and references, for a mail or a printer. Its data is
inside as JSON.")]
pub struct ReportArgs {
    /// Length of the period until --until or now, such as 7d. [default: 30d]
    #[arg(long, value_name = "DURATION", value_parser = value_parsers::duration)]
    last: Option<Duration>,
    /// Start: RFC 3339 or a DATE.
    #[arg(long, value_name = "RFC3339|DATE")]
    from: Option<String>,
    /// End, exclusive: RFC 3339 or a DATE. [default: now]
    #[arg(long, value_name = "RFC3339|DATE")]
    until: Option<String>,
    /// Write the report as an HTML page to this file.
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
/// The longest period: each day of each function is kept in memory.
const MOST: Duration = Duration::from_secs(4_000 * 86_400);

/// Prints the report, or writes its page.
///
/// # Errors
/// An invalid configuration or period, no state store, or one that cannot be read.
pub async fn report(args: &ReportArgs, style: Style) -> Result<Exit, Failure> {
    if let Some(path) = args.html.as_deref().filter(|path| path.is_dir()) {
        let path = quoted(&path.display().to_string());
        return Err(Failure::Usage(format!("expected a file for --html, found the directory {path}")));
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
    if period.length() > MOST {
        return Err(Failure::Usage("expected a period of at most 4000 days".to_owned()));
    }
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
        let unread = history::for_each_hour(&args.state.open().await?, from, until, add).await;
        unread.map_err(|error| Failure::Unexpected(error.to_string()))?
    };
    let review = reviewing.finish(unread);
    if let Some(path) = &args.html {
        let page = render::report::html::page(&review, args.local);
        let shown = quoted(&path.display().to_string());
        write_whole(path, &page)
            .map_err(|error| Failure::Unexpected(format!("cannot write {shown}: {error}")))?;
        print_message(&format!("wrote {shown}"));
    }
    match args {
        ReportArgs { json: true, .. } => print_json(&ReportObject::new(&review, args.local))?,
        ReportArgs { markdown: true, .. } => print(&render::report::markdown(&review, args.local))?,
        ReportArgs { html: Some(_), .. } => {}
        _ => print(&render::report::text(&review, args.local, style))?,
    }
    Ok(exit(&review))
}

/// Returns the result: a part of the history that cannot be read is an internal failure.
fn exit(review: &Review<'_>) -> Exit {
    if review.unread.is_empty() { Exit::Success } else { Exit::Failed }
}
