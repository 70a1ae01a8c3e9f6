//! Renders capacity: provisioned concurrency and managed instances.

use std::fmt::Write as _;

use rust_decimal::Decimal;
use serde::Serialize;

use super::table::{Column, Sign, figures, table, words};
use super::text::{count, money, wrapped};
use super::{Style, Tone};
use crate::domain::capacity::{CapacityReport, Status, Stopped};
use crate::domain::clean::clean;

/// The maximum number of rows in the table of a tick.
const ROWS: usize = 20;
/// The maximum number of changes of a target that the table of a tick names.
const CHANGES: usize = 4;

const COLUMNS: [Column; 11] = [
    words("FUNCTION"),
    words("REGION"),
    words("STRATEGY"),
    words("BY"),
    figures("DESIRED"),
    figures("REQUESTED"),
    figures("ALLOCATED"),
    figures("AVAILABLE"),
    figures("COST/HOUR"),
    words("STATUS"),
    words("REASON"),
];

const TICK_COLUMNS: [Column; 7] = [
    words("CAPACITY"),
    words("REGION"),
    words("STRATEGY"),
    figures("AVAILABLE"),
    figures("COST"),
    words("STATUS"),
    words("REASON"),
];

/// The capacity of a target with its price.
#[derive(Debug, Serialize)]
pub struct PricedCapacity<'r> {
    /// The keys of the tick object.
    #[serde(flatten)]
    pub report: &'r CapacityReport,
    /// The price of what is up, US dollars per hour; null if unknown.
    pub usd_per_hour: Option<Decimal>,
}

/// Returns the capacity of targets as a table. Ends with a line feed.
pub fn status(all: &[PricedCapacity<'_>], style: Style) -> String {
    let row = |PricedCapacity { report, usd_per_hour }: &PricedCapacity<'_>| {
        let is_managed = report.strategy.name() == "managed";
        let cells = vec![
            report.id.shown(),
            report.id.region.to_string(),
            report.strategy.name().to_owned(),
            report.by.unwrap_or_default().to_owned(),
            report.desired.to_string(),
            number(report.requested),
            if is_managed { String::new() } else { number(report.allocated) },
            number(report.available),
            usd_per_hour.map_or("unknown".to_owned(), money),
            report.status.name().to_owned(),
            report.reason.clone().unwrap_or_default(),
        ];
        (sign(report.status), cells)
    };
    let mut out = table(&COLUMNS, 0, &all.iter().map(row).collect::<Vec<_>>(), style);
    stopped(all.iter().map(|priced| priced.report), style, &mut out);
    out
}

/// Adds a line for each target whose capacity a budget has stopped.
fn stopped<'r>(reports: impl Iterator<Item = &'r CapacityReport>, style: Style, out: &mut String) {
    for report in reports {
        let Some(Stopped { from, by, until }) = &report.stopped else { continue };
        let (name, until) = (name(report), until.format("%F %H:%MZ"));
        let effect = match report.desired {
            0 => "stopped".to_owned(),
            desired if desired < *from => {
                format!("lowered from {from} to {desired}, and ends at its next closing")
            }
            _ => "ends at its next closing".to_owned(),
        };
        let line = format!("{name}: {effect}; {by} is used up until {until}");
        for line in wrapped(&clean(&line), style.width()) {
            let _ = writeln!(out, "{line}");
        }
    }
}

/// Returns the capacity of a tick as a table, followed by its changes. Empty without capacity, else it ends with a line
/// feed. `is_dry` is true for changes that were not made.
pub fn tick(reports: &[CapacityReport], is_dry: bool, style: Style) -> String {
    let mut shown: Vec<&CapacityReport> = reports.iter().collect();
    if shown.len() > ROWS {
        // The worst first, and then those with changes.
        shown.sort_by_key(|report| (severity(report.status), report.changes.is_empty()));
        shown.truncate(ROWS);
    }
    let row = |report: &&CapacityReport| {
        let cells = vec![
            report.id.shown(),
            report.id.region.to_string(),
            report.strategy.name().to_owned(),
            format!("{}/{}", number(report.available), report.desired),
            match report.cost_usd {
                _ if is_dry => String::new(),
                cost => cost.map_or("unknown".to_owned(), money),
            },
            report.status.name().to_owned(),
            report.reason.clone().unwrap_or_default(),
        ];
        (sign(report.status), cells)
    };
    let mut out = table(&TICK_COLUMNS, 0, &shown.iter().map(row).collect::<Vec<_>>(), style);
    if shown.len() < reports.len() {
        let rest = reports.len() - shown.len();
        let _ = writeln!(out, "  … and {}, see --json", count(rest as u64, "more target"));
    }
    stopped(shown.iter().copied(), style, &mut out);
    for report in shown.iter().filter(|report| !report.changes.is_empty()) {
        let planned = if is_dry { " planned" } else { "" };
        let line = format!("{}{planned}: {}", name(report), few(&report.changes));
        for line in wrapped(&clean(&line), style.width()) {
            let _ = writeln!(out, "{line}");
        }
    }
    out
}

/// Returns the sum of the capacity of a tick in a line; `None` without capacity.
pub fn sum(reports: &[CapacityReport]) -> Option<String> {
    const ALL: [Status; 9] = [
        Status::Ready,
        Status::Closed,
        Status::InProgress,
        Status::Waiting,
        Status::Failed,
        Status::Refused,
        Status::Conflict,
        Status::Paused,
        Status::Unknown,
    ];
    let targets = (!reports.is_empty()).then(|| count(reports.len() as u64, "target"))?;
    let states = ALL.into_iter().filter_map(|status| {
        let number = reports.iter().filter(|report| report.status == status).count();
        (number > 0).then(|| format!("{number} {}", status.name()))
    });
    let states: Vec<String> = states.collect();
    let costs = || reports.iter().map(|report| report.cost_usd);
    let at_least = if costs().all(|cost| cost.is_some()) { "" } else { "at least " };
    let cost = money(costs().flatten().sum());
    Some(format!("capacity of {targets}: {}; cost {at_least}{cost}", states.join(", ")))
}

/// Returns the changes of targets, a line each, below the name of the target. Ends with a line feed.
pub fn changes(all: &[PricedCapacity<'_>]) -> String {
    let mut out = String::new();
    for PricedCapacity { report, usd_per_hour } in all {
        let up = match report.requested {
            Some(0) => "nothing is up".to_owned(),
            requested => {
                let cost =
                    usd_per_hour.map_or("cost unknown".to_owned(), |usd| format!("{} an hour", money(usd)));
                format!("{} requested, {} available, {cost}", number(requested), number(report.available))
            }
        };
        let _ = writeln!(out, "{}: {up}", clean(&name(report)));
        for change in &report.changes {
            let _ = writeln!(out, "  {}", clean(change));
        }
    }
    out
}

/// Returns the name of a target with its region.
pub fn name(report: &CapacityReport) -> String {
    format!("{} ({})", report.id.shown(), report.id.region)
}

/// Returns the status with its reason, such as `waiting (alias-weights)`.
pub fn state(report: &CapacityReport) -> String {
    let status = report.status.name();
    report.reason.as_ref().map_or_else(|| status.to_owned(), |reason| format!("{status} ({reason})"))
}

fn number(number: Option<u32>) -> String {
    number.map_or_else(|| "?".to_owned(), |number| number.to_string())
}

/// Returns the first of these changes.
fn few(changes: &[String]) -> String {
    let shown = changes.get(..CHANGES).unwrap_or(changes).join(", ");
    match changes.len().saturating_sub(CHANGES) {
        0 => shown,
        rest => format!("{shown} and {}", count(rest as u64, "more change")),
    }
}

fn sign(status: Status) -> Sign {
    match status {
        Status::Ready => ('✓', Tone::Good),
        Status::Closed => ('·', Tone::Quiet),
        Status::InProgress => ('…', Tone::Quiet),
        Status::Waiting | Status::Paused => ('!', Tone::Warning),
        Status::Unknown => ('?', Tone::Warning),
        Status::Failed | Status::Refused | Status::Conflict => ('✗', Tone::Bad),
    }
}

/// Returns the order in a table that does not show all targets.
fn severity(status: Status) -> u8 {
    match status {
        Status::Failed | Status::Refused | Status::Conflict => 0,
        Status::Waiting | Status::Unknown | Status::Paused => 1,
        Status::InProgress => 2,
        Status::Ready | Status::Closed => 3,
    }
}

#[cfg(test)]
#[path = "capacity_tests.rs"]
mod tests;
