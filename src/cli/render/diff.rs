//! Renders the difference between configurations as a table and as Markdown.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::cost::{dollars, starred};
use super::table::{Column, NO_SIGN, Sign, figures, words};
use super::text::{count, elapsed, grouped};
use super::{Style, Tone};
use crate::domain::clean::{clean, markdown as cell};
use crate::domain::cost::FleetCost;
use crate::domain::difference::{Change, ChangeKind, Difference, PipelineChange, Setting};
use crate::domain::plan::{Period, TargetPlan};

const COLUMNS: [Column; 6] = [
    words("FUNCTION"),
    words("REGION"),
    figures("HIGHEST"),
    figures("PINGS"),
    figures("COST"),
    words("OTHER"),
];

const OWNERS: [Column; 3] = [words("OWNER"), figures("COST BEFORE"), figures("COST AFTER")];

/// The note below the totals. The cost of warmd itself depends on assumptions, and so does the total.
const NOTE: &str =
    "estimates at list prices, without free tiers; * depends on assumptions, which `warmd plan` lists";

/// Renders a table with a `~ + -` line per changed target, and the costs. Ends with a line feed.
pub fn table(difference: &Difference<'_>, period: Period, style: Style) -> String {
    let changes = &difference.changes;
    let row = |change: &Change<'_>| (sign(change.kind()), cells(change, str::to_owned).to_vec());
    let mut out = fleet(difference, style) + &pipelines(difference, style);
    let rows: Vec<_> = changes.iter().map(row).collect();
    if !out.is_empty() && !rows.is_empty() {
        out.push('\n');
    }
    out.push_str(&super::table::table(&COLUMNS, 0, &rows, style));
    if !out.is_empty() {
        out.push('\n');
    }
    let _ = writeln!(out, "{}", totals(difference, period));
    let owners: Vec<_> = owners(difference).into_iter().map(|cells| (NO_SIGN, cells.to_vec())).collect();
    if !owners.is_empty() {
        out.push('\n');
        out.push_str(&super::table::table(&OWNERS, 0, &owners, style));
    }
    if !changes.is_empty() {
        let _ = writeln!(out, "\n  {NOTE}");
    }
    out
}

/// Renders the changes as Markdown. Ends with a line feed.
pub fn markdown(difference: &Difference<'_>, period: Period) -> String {
    let changes = &difference.changes;
    let mut out = format!("**warmd**: {}\n", totals(difference, period));
    if !difference.settings.is_empty() {
        out.push_str("\n| fleet | before | after |\n|---|---|---|\n");
    }
    for setting in &difference.settings {
        let [name, before, after] = values(setting, cell);
        let is_plain =
            |name: &str| name.chars().all(|letter| letter.is_ascii_lowercase() || "._".contains(letter));
        let name = if is_plain(&setting.0) { format!("`{}`", setting.0) } else { name };
        let _ = writeln!(out, "| {name} | {before} | {after} |");
    }
    if !difference.pipelines.is_empty() {
        out.push_str("\n| | pipeline | region | changes |\n|---|---|---|---|\n");
    }
    for change in &difference.pipelines {
        let (sign, _) = sign(change.kind);
        let (name, region) = (cell(&change.pipeline.name), change.pipeline.region);
        let _ = writeln!(out, "| `{sign}` | {name} | {region} | {} |", settings(change, cell).join("; "));
    }
    if !changes.is_empty() {
        out.push_str("\n| | function | region | highest | pings | cost | other |\n");
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

/// Renders the settings of the whole fleet that differ, a line for each.
fn fleet(difference: &Difference<'_>, style: Style) -> String {
    let (sign, tone) = sign(ChangeKind::Changed);
    let line = |setting: &Setting| {
        let [name, before, after] = values(setting, |text| clean(text).into_owned());
        format!("{} {name} {before} → {after}\n", style.paint(tone, &sign.to_string()))
    };
    difference.settings.iter().map(line).collect()
}

/// Returns the name and the values of a setting.
fn values((name, before, after): &Setting, shown: impl Fn(&str) -> String) -> [String; 3] {
    let value = |value: &Option<String>| value.as_deref().map(&shown).unwrap_or_default();
    [shown(name), value(before), value(after)]
}

/// Renders the pipelines that differ, a line for each and one for each of its settings.
fn pipelines(difference: &Difference<'_>, style: Style) -> String {
    let mut out = String::new();
    for change in &difference.pipelines {
        let (sign, tone) = sign(change.kind);
        let sign = style.paint(tone, &sign.to_string());
        let _ = writeln!(out, "{sign} pipeline {}", super::chain::name(change.pipeline));
        for setting in settings(change, |text| clean(text).into_owned()) {
            let _ = writeln!(out, "    {setting}");
        }
    }
    out
}

/// Returns the settings of a pipeline that differ, such as `load 600/s → 900/s`. Of an added or removed pipeline it
/// returns stages, loads, numbers and payloads.
fn settings(change: &PipelineChange<'_>, shown: impl Fn(&str) -> String) -> Vec<String> {
    let settings = change.settings.iter().filter_map(|(name, before, after)| {
        let is_detail = [": takes", ": rate", ": per_backlog"].iter().any(|detail| name.ends_with(detail));
        let is_shown = |only: &str| only != "none" && (change.kind == ChangeKind::Changed || !is_detail);
        let name = shown(name);
        match (before, after) {
            (Some(before), Some(after)) => Some(format!("{name} {} → {}", shown(before), shown(after))),
            (Some(only), None) | (None, Some(only)) if is_shown(only) => {
                Some(format!("{name} {}", shown(only)))
            }
            _ => None,
        }
    });
    settings.collect()
}

/// Escapes asterisks, which are emphasis in Markdown.
fn escaped(text: String) -> String {
    text.replace('*', "\\*")
}

/// Returns a row for each owner with a different cost, for warmd itself if its cost differs, and for the total. Returns
/// no rows when no cost differs.
fn owners(difference: &Difference<'_>) -> Vec<[String; 3]> {
    let Difference { before, after, assumed_before, assumed_after, .. } = difference;
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
        let shown = if name.is_empty() { "no owner" } else { name };
        let of = |cost: &FleetCost, assumed: &BTreeSet<&str>| {
            Some(starred(dollars(cost.by_owner.get(name)?.total()), assumed.contains(name.as_str())))
        };
        row(shown, &of, false);
    }
    row("warmd itself", &|cost, _| Some(starred(dollars(cost.warmd.as_ref()?.total()), true)), false);
    if before.bill != after.bill {
        let all = |cost: &FleetCost, assumed: &BTreeSet<&str>| {
            Some(starred(dollars(cost.bill.total()), cost.warmd.is_some() || !assumed.is_empty()))
        };
        row("total", &all, true);
    }
    rows
}

fn sign(kind: ChangeKind) -> Sign {
    match kind {
        ChangeKind::Added => ('+', Tone::Good),
        ChangeKind::Removed => ('-', Tone::Bad),
        ChangeKind::Changed => ('~', Tone::Warning),
    }
}

/// Returns the cells of a change. `shown` formats the values of settings.
fn cells(change: &Change<'_>, shown: fn(&str) -> String) -> [String; 6] {
    let (function, region) = change
        .target()
        .map_or_else(Default::default, |target| (target.id.shown(), target.region().to_string()));
    let mut other: Vec<_> = change
        .settings
        .iter()
        .map(|(name, before, after)| format!("{name} {} → {}", shown(before), shown(after)))
        .collect();
    let highest = both(change, |plan| grouped(u64::from(plan.highest())));
    let pings = both(change, |plan| grouped(plan.pings()));
    let cost = both(change, |plan| starred(dollars(plan.cost.bill.total()), plan.is_assumed()));
    let segments = |plan: &Option<TargetPlan<'_>>| plan.as_ref().map(|plan| plan.segments.clone());
    let hours = segments(&change.before) != segments(&change.after);
    if hours
        && other.is_empty()
        && change.kind() == ChangeKind::Changed
        && ![&highest, &pings].iter().any(|cell| cell.contains('→'))
    {
        other.push("other hours".to_owned());
    }
    [function, region, highest, pings, cost, other.join(", ")]
}

/// Formats a value as `10`, or as `10 → 12` when it differs.
fn both(change: &Change<'_>, of: impl Fn(&TargetPlan<'_>) -> String) -> String {
    match [&change.before, &change.after].map(|plan| plan.as_ref().map(&of)) {
        [Some(before), Some(after)] if before != after => format!("{before} → {after}"),
        [_, Some(figure)] | [Some(figure), None] => figure,
        [None, None] => String::new(),
    }
}

fn totals(difference: &Difference<'_>, period: Period) -> String {
    let Difference { settings, changes, pipelines, .. } = difference;
    if difference.is_empty() {
        return format!("nothing changes in {}", span(period));
    }
    let kinds = |kinds: Vec<ChangeKind>| {
        let number = |kind| kinds.iter().filter(|other| **other == kind).count();
        let [added, changed, removed] =
            [ChangeKind::Added, ChangeKind::Changed, ChangeKind::Removed].map(number);
        format!("{added} added, {changed} changed, {removed} removed")
    };
    let of_fleet = match settings.len() {
        0 => String::new(),
        number => format!("{} of the fleet changed; ", count(number as u64, "setting")),
    };
    let of_pipelines = match pipelines.len() {
        0 => of_fleet,
        number => {
            let kinds = kinds(pipelines.iter().map(|change| change.kind).collect());
            format!("{of_fleet}{}: {kinds}; ", count(number as u64, "pipeline"))
        }
    };
    let pings = |of: fn(&Change<'_>) -> u64| changes.iter().map(of).sum::<u64>();
    let before = pings(|change| change.before.as_ref().map_or(0, TargetPlan::pings));
    let after = pings(|change| change.after.as_ref().map_or(0, TargetPlan::pings));
    if changes.is_empty() {
        return format!("{of_pipelines}no target changes in {}", span(period));
    }
    format!(
        "{of_pipelines}{}: {}; pings of these in {}: {} → {}",
        count(changes.len() as u64, "target"),
        kinds(changes.iter().map(Change::kind).collect()),
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
