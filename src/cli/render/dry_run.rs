//! The output of a dry run.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use chrono::{DateTime, Utc};

use super::table::{Column, figures, lines, words};
use super::text::{count, millis, shortened};
use super::{Fit, Style, Tone, capacity, tick};
use crate::domain::capacity::CapacityReport;
use crate::domain::clean::clean;
use crate::domain::fleet::{Fleet, Hold, Target};
use crate::domain::protocol::PingContext;
use crate::domain::round::SkewHistory;
use crate::domain::tick::{RoundRecord, SkipReason};
use crate::engine::tick::Due;

/// The maximum number of rows of a table.
const ROWS: usize = 20;

const COLUMNS: [Column; 5] =
    [words("FUNCTION"), words("REGION"), figures("TARGET"), words("PROTOCOL"), figures("HOLD")];

/// Returns the pings of a tick at `now`: targets, sums, an example of each payload, and the skipped rounds, and the
/// changes of capacity. Ends with a line feed.
pub fn dry_run(
    fleet: &Fleet,
    now: DateTime<Utc>,
    due: &[Due],
    skipped: &[RoundRecord],
    capacity: &[CapacityReport],
    style: Style,
) -> String {
    let now = now.to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
    let hash = clean(fleet.hash.get(..8).unwrap_or(&fleet.hash));
    let mut out = format!("dry run of tick {now}, configuration {hash}: nothing is sent\n");
    if due.is_empty() {
        let what = if capacity.is_empty() { "nothing to do" } else { "no pings" };
        let _ = writeln!(out, "{what} in this minute");
    } else {
        out.push_str(&sends(fleet, due, style));
    }
    let records: Vec<RoundRecord> = due.iter().map(|due| due.skipped(SkipReason::DryRun)).collect();
    let notes = tick::skipped(skipped, style).into_iter().chain(tick::lowered_notes(&records, style));
    for line in notes.chain(firsts(due, style)) {
        let _ = writeln!(out, "{line}");
    }
    let capacity = capacity::tick(capacity, true, style);
    if !capacity.is_empty() {
        let _ = write!(out, "\n{capacity}");
    }
    out
}

fn sends(fleet: &Fleet, due: &[Due], style: Style) -> String {
    let rows: Vec<_> = due
        .iter()
        .take(ROWS)
        .map(|due| {
            let target = &due.target;
            let cells = vec![
                target.id.shown(),
                target.region().to_string(),
                due.concurrency.to_string(),
                target.protocol.name().to_owned(),
                hold(target),
            ];
            (('·', Tone::Quiet), cells)
        })
        .collect();
    let mut out = "\n".to_owned();
    for line in lines(&COLUMNS, 0, &rows, style) {
        let _ = writeln!(out, "{line}");
    }
    if due.len() > ROWS {
        let _ = writeln!(out, "  … and {}, see --json", count((due.len() - ROWS) as u64, "more target"));
    }
    let pings: u64 = due.iter().map(|due| u64::from(due.pings())).sum();
    let _ = writeln!(
        out,
        "\n{}: {}, at most {} in flight at once",
        count(due.len() as u64, "target"),
        count(pings, "ping"),
        fleet.limits.max_in_flight
    );
    let mut protocols = BTreeMap::new();
    for due in due {
        protocols.entry(due.target.protocol.name()).or_insert(due);
    }
    for (name, due) in protocols {
        let line = format!("{name} ping: {}", clean(&payload(due)));
        let _ = match style.fit {
            Fit::Whole => writeln!(out, "{line}"),
            Fit::Terminal(columns) => writeln!(out, "{}", shortened(&line, columns)),
        };
    }
    out
}

/// Returns a note for every round that one ping precedes.
fn firsts(due: &[Due], style: Style) -> Vec<String> {
    let first = |due: &Due| {
        let purpose = due.terms.first?.purpose.explanation();
        Some(format!("{} one ping precedes the round: {purpose}", due.target.id))
    };
    tick::doubts(due.iter().flat_map(Due::rounds).filter_map(first), style)
}

fn hold(target: &Target) -> String {
    match target.hold {
        _ if !target.protocol.honours_hold() => String::new(),
        Hold::Auto => "auto".to_owned(),
        Hold::Fixed(hold) => millis(hold.as_secs_f64() * 1_000.0),
    }
}

fn payload(due: &Due) -> String {
    let hold = match due.target.hold {
        Hold::Auto => SkewHistory::default().auto_hold(),
        Hold::Fixed(hold) => hold,
    };
    let hold_ms = u64::try_from(hold.as_millis()).unwrap_or(u64::MAX);
    let context = PingContext { round: "…", index: 0, concurrency: due.concurrency.get(), hold_ms };
    String::from_utf8_lossy(&due.target.protocol.payload(&context)).into_owned()
}
