//! What a change of configuration will change: for a terminal, and for a pull request.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::cost::{STAR, dollars};
use super::table::{Column, Sign, figures, lines, words};
use super::text::{bytes, count, elapsed, grouped};
use super::{Style, Tone};
use crate::cli::diff::{Change, Difference, Kind};
use crate::cli::plan::{Period, TargetPlan};
use crate::domain::clean::markdown as cell;
use crate::domain::cost::{Download, FleetCost, Per};

/// Ten years.
pub const MOST_MINUTES: i64 = 3_660 * 24 * 60;

const COLUMNS: [Column; 6] = [
    words("FUNCTION"),
    words("REGION"),
    figures("HIGHEST TARGET"),
    figures("PINGS"),
    figures("COST"),
    words("OTHER"),
];

const OWNERS: [Column; 3] = [words("OWNER"), figures("COST BEFORE"), figures("COST AFTER")];

/// Below the sums: what the figures are. warmd's own cost always rests on what is assumed, and so does the total.
const NOTE: &str =
    "estimates at list prices, without free tiers; * rests on what is assumed: `warmd plan` says what";

/// The changes as a table, one `~ + -` line per target, then what they mean in money. Ends with a line feed.
pub fn table(difference: &Difference<'_>, period: Period, style: Style) -> String {
    let changes = &difference.changes;
    let mut out = String::new();
    if !changes.is_empty() {
        let rows: Vec<(Sign, Vec<String>)> = changes
            .iter()
            .map(|change| (sign(change.kind()), cells(change, str::to_owned).to_vec()))
            .collect();
        for line in lines(&COLUMNS, 0, &rows, style) {
            let _ = writeln!(out, "{line}");
        }
        out.push('\n');
    }
    let _ = writeln!(out, "{}", sums(changes, period));
    let owners = owners(difference);
    if !owners.is_empty() {
        let rows: Vec<(Sign, Vec<String>)> =
            owners.into_iter().map(|cells| ((' ', Tone::Quiet), cells.to_vec())).collect();
        out.push('\n');
        for line in lines(&OWNERS, 0, &rows, style) {
            let _ = writeln!(out, "{line}");
        }
    }
    if !changes.is_empty() {
        let _ = writeln!(out, "\n  {NOTE}");
    }
    out
}

/// The changes as Markdown, for a comment. Ends with a line feed.
pub fn markdown(difference: &Difference<'_>, period: Period) -> String {
    let changes = &difference.changes;
    let mut out = format!("**warmd**: {}\n", sums(changes, period));
    if !changes.is_empty() {
        out.push_str("\n| | function | region | highest target | pings | cost | other |\n");
        out.push_str("|---|---|---|---:|---:|---:|---|\n");
    }
    for change in changes {
        let [function, region, highest, pings, cost, other] = cells(change, cell);
        let cost = escaped(cost);
        let (sign, _) = sign(change.kind());
        let _ =
            writeln!(out, "| `{sign}` | `{function}` | {region} | {highest} | {pings} | {cost} | {other} |");
    }
    let owners = owners(difference);
    if !owners.is_empty() {
        out.push_str("\n| owner | cost before | cost after |\n|---|---:|---:|\n");
    }
    for [owner, before, after] in owners {
        let _ = writeln!(out, "| {} | {} | {} |", cell(&owner), escaped(before), escaped(after));
    }
    if !changes.is_empty() {
        let _ = writeln!(out, "\n{}", escaped(NOTE.to_owned()));
    }
    out
}

/// A text of our own without what Markdown would read as emphasis.
fn escaped(text: String) -> String {
    text.replace('*', "\\*")
}

/// A row for each owner whose cost is another one afterwards, for warmd itself if its own is, and the total; none when
/// no cost differs.
fn owners(difference: &Difference<'_>) -> Vec<[String; 3]> {
    let Difference { before, after, assumed_before, assumed_after, changes: _ } = difference;
    let names: BTreeSet<&String> = before.by_owner.keys().chain(after.by_owner.keys()).collect();
    let mut rows = Vec::new();
    let sides = [(before, assumed_before), (after, assumed_after)];
    let mut row = |name: &str, of: &dyn Fn(&FleetCost, &BTreeSet<&str>) -> Option<String>, always: bool| {
        let [before, after] = sides.map(|(cost, assumed)| of(cost, assumed).unwrap_or_default());
        if before != after || always {
            rows.push([name.to_owned(), before, after]);
        }
    };
    for name in names {
        let shown = if name.is_empty() { "nobody" } else { name };
        let of = |cost: &FleetCost, assumed: &BTreeSet<&str>| {
            Some(starred(dollars(cost.by_owner.get(name)?.total()), assumed.contains(name.as_str())))
        };
        row(shown, &of, false);
    }
    row("warmd itself", &|cost, _| Some(starred(dollars(cost.own.as_ref()?.total()), true)), false);
    let something = before.bill != after.bill;
    if something {
        let all = |cost: &FleetCost, assumed: &BTreeSet<&str>| {
            Some(starred(dollars(cost.bill.total()), cost.own.is_some() || !assumed.is_empty()))
        };
        row("total", &all, true);
    }
    rows
}

/// An amount with a star when it rests on what is assumed.
fn starred(amount: String, assumed: bool) -> String {
    if assumed { amount + STAR } else { amount }
}

/// Downloads in a few words.
pub fn downloads(downloads: &[Download]) -> String {
    if downloads.is_empty() {
        return "none".to_owned();
    }
    let per = |per| match per {
        Per::ColdStart => "",
        Per::Ping => " per ping",
    };
    let all = downloads.iter().map(|download| {
        format!("{} by {}{}", bytes(download.size_bytes), download.route.name(), per(download.per))
    });
    all.collect::<Vec<_>>().join(" + ")
}

fn sign(kind: Kind) -> Sign {
    match kind {
        Kind::Added => ('+', Tone::Good),
        Kind::Removed => ('-', Tone::Bad),
        Kind::Changed => ('~', Tone::Warning),
    }
}

/// The cells of a change. `shown` is applied to what a setting was and is.
fn cells(change: &Change<'_>, shown: fn(&str) -> String) -> [String; 6] {
    let (function, region) = change
        .target()
        .map_or_else(Default::default, |target| (target.label.clone(), target.region().to_string()));
    let mut other: Vec<_> = change
        .settings
        .iter()
        .map(|(name, before, after)| format!("{name} {} → {}", shown(before), shown(after)))
        .collect();
    let highest = both(change, |plan| grouped(u64::from(plan.highest())));
    let pings = both(change, |plan| grouped(plan.pings()));
    let cost = both(change, |plan| starred(dollars(plan.cost.bill.total()), !plan.cost.assumed.is_empty()));
    let segments = |plan: &Option<TargetPlan<'_>>| plan.as_ref().map(|plan| plan.segments.clone());
    let hours = segments(&change.before) != segments(&change.after);
    if hours
        && other.is_empty()
        && change.kind() == Kind::Changed
        && ![&highest, &pings].iter().any(|cell| cell.contains('→'))
    {
        other.push("other hours".to_owned());
    }
    [function, region, highest, pings, cost, other.join(", ")]
}

/// `10`, or `10 → 12` when it is another one afterwards.
fn both(change: &Change<'_>, of: impl Fn(&TargetPlan<'_>) -> String) -> String {
    match [&change.before, &change.after].map(|plan| plan.as_ref().map(&of)) {
        [Some(before), Some(after)] if before != after => format!("{before} → {after}"),
        [_, Some(figure)] | [Some(figure), None] => figure,
        [None, None] => String::new(),
    }
}

fn sums(changes: &[Change<'_>], period: Period) -> String {
    if changes.is_empty() {
        return format!("nothing changes in {}", span(period));
    }
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
