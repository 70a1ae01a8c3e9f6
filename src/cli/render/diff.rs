//! What a change of configuration will change: for a terminal, and for a pull request.

use std::fmt::Write as _;

use super::table::{Column, Sign, figures, lines, words};
use super::text::{bytes, count, elapsed, grouped};
use super::{Style, Tone};
use crate::cli::diff::{Change, Kind};
use crate::cli::plan::{Period, TargetPlan};
use crate::domain::cost::Download;

/// Ten years.
pub const MOST_MINUTES: i64 = 3_660 * 24 * 60;

const COLUMNS: [Column; 5] =
    [words("FUNCTION"), words("REGION"), figures("HIGHEST TARGET"), figures("PINGS"), words("OTHER")];

/// The changes as a table, one `~ + -` line per target. Ends with a line feed.
pub fn table(changes: &[Change<'_>], period: Period, style: Style) -> String {
    if changes.is_empty() {
        return format!("nothing changes in {}\n", span(period));
    }
    let rows: Vec<(Sign, Vec<String>)> =
        changes.iter().map(|change| (sign(change.kind()), cells(change).to_vec())).collect();
    let mut out = String::new();
    for line in lines(&COLUMNS, 0, &rows, style) {
        let _ = writeln!(out, "{line}");
    }
    let _ = writeln!(out, "\n{}", sums(changes, period));
    out
}

/// The changes as Markdown, for a comment. Ends with a line feed.
pub fn markdown(changes: &[Change<'_>], period: Period) -> String {
    if changes.is_empty() {
        return format!("**warmd**: nothing changes in {}.\n", span(period));
    }
    let mut out = format!("**warmd**: {}\n\n", sums(changes, period));
    out.push_str("| | function | region | highest target | pings | other |\n|---|---|---|---:|---:|---|\n");
    for change in changes {
        let [function, region, highest, pings, other] = cells(change).map(|cell| cell.replace('|', "\\|"));
        let (sign, _) = sign(change.kind());
        let _ = writeln!(out, "| `{sign}` | `{function}` | {region} | {highest} | {pings} | {other} |");
    }
    out
}

/// Downloads in a few words.
pub fn downloads(downloads: &[Download]) -> String {
    if downloads.is_empty() {
        return "none".to_owned();
    }
    let all = downloads
        .iter()
        .map(|download| format!("{} by {}", bytes(download.size_bytes), download.route.name()));
    all.collect::<Vec<_>>().join(" + ")
}

fn sign(kind: Kind) -> Sign {
    match kind {
        Kind::Added => ('+', Tone::Good),
        Kind::Removed => ('-', Tone::Bad),
        Kind::Changed => ('~', Tone::Warning),
    }
}

fn cells(change: &Change<'_>) -> [String; 5] {
    let (function, region) = change
        .target()
        .map_or_else(Default::default, |target| (target.label.clone(), target.region().to_string()));
    let mut other: Vec<_> =
        change.settings.iter().map(|(name, before, after)| format!("{name} {before} → {after}")).collect();
    let highest =
        both(change, |plan| u64::from(plan.segments.iter().map(|segment| segment.target).max().unwrap_or(0)));
    let pings = both(change, |plan| plan.pings());
    if other.is_empty() && change.kind() == Kind::Changed && !highest.contains('→') && !pings.contains('→')
    {
        other.push("other hours".to_owned());
    }
    [function, region, highest, pings, other.join(", ")]
}

/// `10`, or `10 → 12` when it is another one afterwards.
fn both(change: &Change<'_>, of: impl Fn(&TargetPlan<'_>) -> u64) -> String {
    match [&change.before, &change.after].map(|plan| plan.as_ref().map(&of)) {
        [Some(before), Some(after)] if before != after => format!("{} → {}", grouped(before), grouped(after)),
        [_, Some(number)] | [Some(number), None] => grouped(number),
        [None, None] => String::new(),
    }
}

fn sums(changes: &[Change<'_>], period: Period) -> String {
    let number = |kind| changes.iter().filter(|change| change.kind() == kind).count();
    let (added, changed, removed) = (number(Kind::Added), number(Kind::Changed), number(Kind::Removed));
    let pings = |of: fn(&Change<'_>) -> u64| changes.iter().map(of).sum::<u64>();
    let before = pings(|change| change.before.as_ref().map_or(0, TargetPlan::pings));
    let after = pings(|change| change.after.as_ref().map_or(0, TargetPlan::pings));
    format!(
        "{}: {added} added, {changed} changed, {removed} removed; pings of these in {}: {} → {}",
        count(changes.len() as u64, "target"),
        span(period),
        grouped(before),
        grouped(after)
    )
}

fn span(period: Period) -> String {
    let [from, until] = [period.from, period.until].map(|minute| minute.instant());
    let long = elapsed((until - from).to_std().unwrap_or_default());
    format!("the {long} from {}", from.format("%Y-%m-%d %H:%M UTC"))
}
