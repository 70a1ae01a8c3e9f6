//! `warmd history`: the rows of the history.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use clap::Args;
use rust_decimal::Decimal;
use serde::Serialize;

use super::error::Failure;
use super::exit::Exit;
use super::options::StateArgs;
use super::output::{print, print_data, print_json, print_message};
use super::period::{Bounds, past};
use super::render::{self, Style};
use super::status::seconds;
use super::value_parsers;
use crate::domain::function::{FunctionRef, Identity, Region};
use crate::domain::history::{CapacityHour, History, Row, Rows, ShortReason};
use crate::engine::ports::Clock;
use crate::service::clock::SystemClock;
use crate::service::history::for_each_hour;

/// `warmd history`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  warmd history --state s3://my-warmd/state
  warmd history --from 2026-11-01 --until 2026-12-01 --csv > november.csv
  warmd history --function nlp-inference:live --json | jq '.rows[] | [.hour, .warm_minutes]'

A row is one target in one UTC hour. It is written up to six minutes after the fact, and kept for
`limits.keep_history` (400 days), whatever the clock says: as many days as that are always kept.
COLD has semi-cold starts too. COST is what is known of it; `+?` marks rounds of unknown cost.

Coverage is WARM ÷ WINDOW, minutes of open windows. The minutes between two rounds are warm if the
first one reached the wanted number and the second one found as many still warm, or if provisioned
capacity had the number available. A second round that wants fewer environments, and finds all of
them warm, leaves the minutes before it to the first. Those after the last round of an opening are
warm if that round found an environment still warm, and unknown if it was the only one. Minutes
after a round that proved nothing are UNKNOWN, and in neither number. Minutes in which a guard or a
budget lowered the number are CAPPED, and count as not warm. So do the minutes without service
because warmd was down, which are filled in when it is back, and those whose round no tick had time
or room for, two minutes after it was due. So do those of a pause, which have no mark: users met
cold starts. Rounds of ticks, their shards and deployments judge minutes, and without shards those
of requests that take the place of a round; other requests and operators do not. The last minutes of
a function that shards serve are judged when a later shard writes into the same status document.
Without a state store coverage begins anew with each process.

The status document collects the rows, and every five minutes they are moved into the compressed
document of their region and UTC day, such as `history-eu-west-2-2026-11-20.gz`; shards write
documents of their own, with their number at the end. A document that is damaged or would exceed
32 MiB is left as it is, and another one is begun. Once a day those that are older than
`keep_history` are removed, which needs `s3:DeleteObject` on `PREFIX/history-*`.

--csv prints a fixed header, then a line for each row, separated by commas as in RFC 4180, with
CRLF. Sums are followed by their parts. Text that begins with = + - or @ has a ' before it, because
spreadsheets would take it for a formula; line ends and control characters in text are escaped.

A part of the history that cannot be read is named on stderr and in `unread` of --json. The rest is
printed, and the exit code is 1.")]
pub struct HistoryArgs {
    /// Start, rounded down to its hour: RFC 3339 or a DATE, which is midnight UTC. [default: 24 hours before the end]
    #[arg(long, value_name = "RFC3339|DATE")]
    pub from: Option<String>,
    /// End, exclusive, rounded up to its hour: RFC 3339 or a DATE. [default: now, which is the latest]
    #[arg(long, value_name = "RFC3339|DATE")]
    pub until: Option<String>,
    /// Function to show: NAME, NAME:QUALIFIER or ARN, as in the configuration. [default: all]
    #[arg(long, value_name = "FUNCTION", value_parser = value_parsers::function)]
    pub function: Option<FunctionRef>,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
    /// Print comma-separated values.
    #[arg(long, conflicts_with = "json")]
    pub csv: bool,
    /// The state store.
    #[command(flatten)]
    pub state: StateArgs,
}

/// The message of commands that need the history, without a store.
pub const NO_STORE: &str = "without a state store there is no history";

#[derive(Serialize)]
struct HistoryObject<'h> {
    from: String,
    until: String,
    rows: Vec<RowObject<'h>>,
    unread: &'h [String],
}

#[derive(Serialize)]
struct RowObject<'h> {
    hour: String,
    function: String,
    region: Region,
    tenant: Option<&'h str>,
    owner: Option<&'h str>,
    window_minutes: u64,
    warm_minutes: u64,
    unknown_minutes: u64,
    capped_minutes: u64,
    target: u32,
    reached: Option<u32>,
    rounds: u64,
    pings: u64,
    cold_starts: u64,
    semi_cold: u64,
    restored: u64,
    preinitialized: u64,
    short_rounds: &'h BTreeMap<ShortReason, u64>,
    egress_bytes: &'h BTreeMap<String, u64>,
    known_usd: Decimal,
    cost_usd: &'h BTreeMap<String, Decimal>,
    cost_unknown: u64,
    capacity: Option<CapacityHour>,
}

/// Prints the rows of the history.
///
/// # Errors
/// No store, one that cannot be read, or an invalid period.
pub async fn history(args: &HistoryArgs, style: Style) -> Result<Exit, Failure> {
    let store = args.state.open_existing(NO_STORE).await?;
    let bounds =
        Bounds { from: args.from.as_deref(), length: None, until: args.until.as_deref(), zone: None };
    let period = past(bounds, TimeDelta::days(1), SystemClock.now())?;
    let (from, until) = (period.from.instant(), period.until.instant());
    let mut hours = BTreeMap::new();
    // Only the rows that are shown stay in memory.
    let add = |hour, mut rows: Rows| {
        rows.retain(|id, _| args.function.as_ref().is_none_or(|function| function.is_of(id)));
        hours.insert(hour, rows);
    };
    let unread = for_each_hour(&store, from, until, add).await;
    let unread = unread.map_err(|unavailable| Failure::Unexpected(unavailable.to_string()))?;
    let history = History { hours, unread };
    if args.json {
        print_json(&object(&history, from, until))?;
    } else if args.csv {
        print_data(&render::history::csv(&history))?;
    } else {
        print(&render::history::table(&history, (from, until), style))?;
    }
    for document in &history.unread {
        print_message(&format!("error: a part of the history cannot be read: {document}"));
    }
    Ok(if history.unread.is_empty() { Exit::Success } else { Exit::Failed })
}

fn object(history: &History, from: DateTime<Utc>, until: DateTime<Utc>) -> HistoryObject<'_> {
    let rows = render::history::rows(history).map(|(hour, id, row)| row_object(hour, id, row));
    HistoryObject {
        from: seconds(from),
        until: seconds(until),
        rows: rows.collect(),
        unread: &history.unread,
    }
}

fn row_object<'h>(hour: DateTime<Utc>, id: &'h Identity, row: &'h Row) -> RowObject<'h> {
    RowObject {
        hour: seconds(hour),
        function: id.label(),
        region: id.region,
        tenant: id.tenant.as_ref().map(|tenant| tenant.as_str()),
        owner: row.owner.as_deref(),
        window_minutes: row.minutes.window,
        warm_minutes: row.minutes.warm,
        unknown_minutes: row.minutes.unknown,
        capped_minutes: row.minutes.capped,
        target: row.target,
        reached: row.reached,
        rounds: row.rounds,
        pings: row.pings,
        cold_starts: row.cold,
        semi_cold: row.semi_cold,
        restored: row.restored,
        preinitialized: row.preinitialized,
        short_rounds: &row.short,
        egress_bytes: &row.egress,
        known_usd: row.known_usd(),
        cost_usd: &row.cost,
        cost_unknown: row.cost_unknown,
        capacity: row.capacity,
    }
}
