//! One tick in a few lines: a table, the sums, and a note for every problem.

mod notes;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use rust_decimal::Decimal;

use self::notes::notes;
pub(super) use self::notes::{by, doubts, lowered_notes, skipped};
use super::table::{Column, Sign, figures, lines, words};
use super::text::{bytes, count, grouped, millis, money, wrapped};
use super::{Style, Tone, capacity};
use crate::domain::clean::clean;
use crate::domain::cost::{ByKindCost, RoundCost};
use crate::domain::function::Identity;
use crate::domain::pipeline::PipelineReport;
use crate::domain::round::{Evidence, KindReport, KindReports, OutcomeCounts, RoundReport, Verdict};
use crate::domain::tick::{RoundOutcome, RoundRecord, SentRound, TickReport, Unfinished};

/// The maximum number of rows of a table.
const ROWS: usize = 20;

const COLUMNS: [Column; 10] = [
    words("FUNCTION"),
    words("REGION"),
    words("REACHED"),
    figures("WARM"),
    figures("COLD"),
    figures("RESTORED"),
    figures("PREINITIALIZED"),
    figures("SKEW/HOLD"),
    figures("S3 EGRESS"),
    figures("COST"),
];

/// A row of the table: a round, or a target without a result.
#[derive(Clone, Copy)]
enum Item<'a> {
    Round(&'a RoundRecord),
    Unfinished(&'a Unfinished),
}

/// The state of a row, worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum State {
    Unsafe,
    Short,
    Unfinished,
    Skipped,
    Unproven,
    Reached,
}

impl State {
    const ALL: [Self; 6] =
        [Self::Reached, Self::Unproven, Self::Unsafe, Self::Short, Self::Skipped, Self::Unfinished];

    fn sign(self) -> Sign {
        match self {
            Self::Reached => ('✓', Tone::Good),
            Self::Unproven => ('?', Tone::Warning),
            Self::Unsafe | Self::Short | Self::Unfinished => ('✗', Tone::Bad),
            Self::Skipped => ('-', Tone::Warning),
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Reached => "reached",
            Self::Unproven => "unproven",
            Self::Short => "short",
            Self::Unsafe => "unsafe",
            Self::Skipped => "skipped",
            Self::Unfinished => "not sent",
        }
    }
}

impl Item<'_> {
    fn state(self) -> State {
        match self {
            Item::Unfinished(_) => State::Unfinished,
            Item::Round(round) => match round.verdict() {
                Verdict::Reached => State::Reached,
                Verdict::Unproven => State::Unproven,
                Verdict::Short => State::Short,
                Verdict::Unsafe => State::Unsafe,
                Verdict::Skipped => State::Skipped,
            },
        }
    }

    fn cells(self) -> Vec<String> {
        match self {
            Item::Unfinished(Unfinished { id, desired, .. }) => unsent(id, *desired),
            Item::Round(RoundRecord { id, desired, outcome, .. }) => match outcome {
                RoundOutcome::Skipped(_) => unsent(id, *desired),
                RoundOutcome::Sent(round) | RoundOutcome::Withheld(round, _) => {
                    let new = round.report.counts.new_environments();
                    let unless_zero =
                        |number: u32| if number > 0 { number.to_string() } else { String::new() };
                    vec![
                        id.shown(),
                        id.region.to_string(),
                        reached(*desired, &round.report),
                        round.report.counts.warm.to_string(),
                        format!("{}{}", new.cold, new.of_cold()),
                        unless_zero(new.restored),
                        unless_zero(new.preinitialized),
                        skew_and_hold(&round.report),
                        match round.s3.as_ref().map(|s3| s3.bytes()) {
                            Some(0) => String::new(),
                            Some(count) => bytes(count),
                            None => "unknown".to_owned(),
                        },
                        round.cost.total.map_or("unknown".to_owned(), money),
                    ]
                }
            },
        }
    }
}

/// Returns a tick as a table of its targets, the sums, and a note for every problem. Ends with a line feed.
pub fn tick(report: &TickReport, style: Style) -> String {
    let items = items(report);
    let mut out = heading(report);
    let of_capacity = capacity::tick(&report.capacity, false, style);
    if items.is_empty() && of_capacity.is_empty() {
        out.push_str("nothing to do in this minute\n");
        return out;
    }
    out.push('\n');
    if items.is_empty() {
        let _ = writeln!(out, "{of_capacity}\n{}", capacity::sum(&report.capacity).unwrap_or_default());
        for line in pipelines(report, |_| true) {
            let _ = writeln!(out, "{line}");
        }
        return out;
    }
    let shown = shown(&items);
    let rows: Vec<(Sign, Vec<String>)> =
        shown.iter().map(|item| (item.state().sign(), item.cells())).collect();
    for line in lines(&COLUMNS, 0, &rows, style) {
        let _ = writeln!(out, "{line}");
    }
    if shown.len() < items.len() {
        let rest = items.len() - shown.len();
        let _ = writeln!(out, "  … and {}, see --json", count(rest as u64, "more target"));
    }
    out.push('\n');
    let of_pipelines = pipelines(report, |_| true);
    if !of_pipelines.is_empty() {
        let _ = writeln!(out, "{}\n", of_pipelines.join("\n"));
    }
    if !of_capacity.is_empty() {
        let _ = writeln!(out, "{of_capacity}");
    }
    for line in sums(report, &items, style)
        .iter()
        .chain(&notes(report, style))
        .flat_map(|line| wrapped(line, style.width()))
    {
        let _ = writeln!(out, "{line}");
    }
    out
}

/// Returns a tick in one line, followed by its notes, as the daemon shows it. Ends with a line feed.
pub fn tick_line(report: &TickReport, style: Style) -> String {
    let instant = instant(report);
    let mut out = format!("{instant} {}\n", sums(report, &items(report), style).join("; "));
    let cold = pipelines(report, |pipeline| pipeline.warm == Some(false));
    for note in cold.into_iter().chain(notes(report, style)) {
        let _ = writeln!(out, "{instant} {note}");
    }
    out
}

/// Returns a line for each of these pipelines, with the region if there are several of the name.
fn pipelines(report: &TickReport, of: impl Fn(&PipelineReport) -> bool) -> Vec<String> {
    let line = |pipeline: &PipelineReport| {
        let PipelineReport { name, region, warm, cold_stages } = pipeline;
        let is_alone = report.pipelines.iter().filter(|other| other.name == *name).count() == 1;
        let place = if is_alone { String::new() } else { format!(" {region}") };
        match warm {
            Some(true) => format!("pipeline {name}{place}: warm"),
            Some(false) => format!("pipeline {name}{place}: cold: {}", cold_stages.join(", ")),
            None => format!("pipeline {name}{place}: unknown"),
        }
    };
    report.pipelines.iter().filter(|pipeline| of(pipeline)).map(line).collect()
}

fn items(report: &TickReport) -> Vec<Item<'_>> {
    let rounds = report.rounds.iter().map(Item::Round);
    rounds.chain(report.unfinished.iter().map(Item::Unfinished)).collect()
}

/// Returns all items in the order of the configuration if they fit, otherwise the worst first.
fn shown<'a>(items: &[Item<'a>]) -> Vec<Item<'a>> {
    let mut shown = items.to_vec();
    if shown.len() > ROWS {
        shown.sort_by_key(|item| item.state());
        shown.truncate(ROWS);
    }
    shown
}

fn instant(report: &TickReport) -> String {
    report.tick.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
}

fn heading(report: &TickReport) -> String {
    let mut out = format!("tick {}", instant(report));
    if let Some(config) = &report.config {
        let _ = write!(out, ", configuration {}", clean(config.get(..8).unwrap_or(config)));
    }
    let _ = writeln!(out, ", took {}", millis(report.duration_ms as f64));
    out
}

/// Returns the cells of a target without pings.
fn unsent(id: &Identity, desired: u32) -> Vec<String> {
    let mut cells = vec![id.shown(), id.region.to_string(), format!("0/{desired}")];
    cells.resize(COLUMNS.len(), String::new());
    cells
}

/// Formats the number of reached environments. Ids are exact. Other evidence is a lower bound, marked as one while it
/// is below the desired number.
fn reached(desired: u32, round: &RoundReport) -> String {
    let lower_bound = |reached, evidence: &str| {
        let at_least = if reached < desired { "≥" } else { "" };
        format!("{at_least}{reached}/{desired} {evidence}")
    };
    match (round.reached, round.evidence) {
        (Some(reached), Evidence::Ids) => format!("{reached}/{desired} ids"),
        (Some(reached), Evidence::Overlap) => lower_bound(reached, "overlap"),
        (Some(reached), Evidence::ColdStarts) => lower_bound(reached, "colds"),
        (None, _) | (_, Evidence::Unknown) => format!("?/{desired}"),
    }
}

/// Returns skew and hold side by side: the hold must be longer for all pings to overlap.
fn skew_and_hold(round: &RoundReport) -> String {
    let ms = |duration: Duration| millis(duration.as_secs_f64() * 1_000.0);
    match (round.skew.map(ms), round.hold.map(ms)) {
        (None, None) => String::new(),
        (Some(skew), None) => skew,
        (None, Some(hold)) => format!("-/{hold}"),
        (Some(skew), Some(hold)) => format!("{}/{hold}", skew.strip_suffix(" ms").unwrap_or(&skew)),
    }
}

/// Returns the number of pings that failed.
fn failures(counts: OutcomeCounts) -> u32 {
    counts.throttled.saturating_add(counts.errors())
}

/// Returns the rounds of a tick that were sent.
fn sent(report: &TickReport) -> impl Iterator<Item = &SentRound> {
    report.rounds.iter().filter_map(RoundRecord::sent)
}

/// Returns the sums of targets, pings and cost, a line each.
fn sums(report: &TickReport, items: &[Item<'_>], style: Style) -> Vec<String> {
    let states = State::ALL.into_iter().filter_map(|state| {
        let number = items.iter().filter(|item| item.state() == state).count() as u64;
        (number > 0).then(|| format!("{} {} {}", paint(state.sign(), style), grouped(number), state.word()))
    });
    let targets =
        format!("{}: {}", count(items.len() as u64, "target"), states.collect::<Vec<_>>().join(", "));
    let pings: u64 = sent(report).map(|round| u64::from(round.report.pings)).sum();
    let of_capacity = capacity::sum(&report.capacity);
    if pings == 0 {
        return [targets].into_iter().chain(of_capacity).collect();
    }
    let counts = sent(report).fold(OutcomeCounts::default(), |sum, round| sum + round.report.counts);
    let outcome =
        |word: &str, number: u32| (number > 0).then(|| format!("{} {word}", grouped(number.into())));
    let outcomes: Vec<_> = outcome("warm", counts.warm)
        .into_iter()
        .chain(counts.new_environments().texts())
        .chain(outcome("failed", failures(counts)))
        .chain(outcome("unclassified", counts.unclassified))
        .collect();
    let top_ups: u64 = sent(report).map(|round| u64::from(round.report.top_ups)).sum();
    let topped = if top_ups > 0 { format!(" with {}", count(top_ups, "top-up")) } else { String::new() };
    let pings = format!("{}{topped}: {}", count(pings, "ping"), outcomes.join(", "));
    [targets, pings, cost(report)].into_iter().chain(kinds(report)).chain(of_capacity).collect()
}

/// Returns environments and cost of the targets with provisioned environments, by kind; `None` without any.
fn kinds(report: &TickReport) -> Option<String> {
    let rounds = || sent(report).filter_map(|round| Some((round.report.by_kind.as_ref()?, &round.cost)));
    let part =
        |name: &str, part: fn(&KindReports) -> &KindReport, cost: fn(&ByKindCost) -> Option<Decimal>| {
            let environments = || rounds().map(|(kinds, _)| part(kinds).environments);
            let at_least = if environments().all(|known| known.is_some()) { "" } else { "≥" };
            let known: u64 = environments().flatten().map(u64::from).sum();
            let costs = rounds().map(|(_, round)| round.by_kind.as_ref().and_then(cost));
            let cost = costs.sum::<Option<Decimal>>().map_or("cost unknown".to_owned(), money);
            format!("{at_least}{} {name} ({cost})", grouped(known))
        };
    let provisioned = part("provisioned", |kinds| &kinds.parts.provisioned, |cost| cost.provisioned);
    let on_demand = part("on demand", |kinds| &kinds.parts.on_demand, |cost| cost.on_demand);
    let assumed = if rounds().any(|(kinds, _)| kinds.assumed) { ", assumed" } else { "" };
    let targets = rounds().count() as u64;
    let targets = (targets > 0).then(|| count(targets, "target"))?;
    Some(format!("{targets} by kind: {provisioned}, {on_demand}{assumed}"))
}

fn cost(report: &TickReport) -> String {
    let sum = |of: fn(&RoundCost) -> Option<Decimal>| {
        sent(report).filter_map(|round| of(&round.cost)).sum::<Decimal>()
    };
    let parts = [
        ("requests", sum(|cost| cost.requests)),
        ("compute", sum(|cost| cost.compute)),
        ("S3 requests", sum(|cost| cost.s3_requests)),
        ("S3 egress", sum(|cost| cost.s3_egress)),
    ];
    let unknown = sent(report).filter(|round| round.cost.total.is_none()).count();
    let at_least = if unknown > 0 { "at least " } else { "" };
    let total = sum(|cost| cost.total.or(cost.cost_at_least));
    let mut line = format!("cost {at_least}{}", money(total));
    let shown: Vec<_> = parts
        .iter()
        .filter(|(_, amount)| !amount.is_zero())
        .map(|(name, amount)| format!("{name} {}", money(*amount)))
        .collect();
    if !shown.is_empty() {
        let _ = write!(line, ": {}", shown.join(", "));
    }
    let mut routes = BTreeMap::<&str, u64>::new();
    for (route, bytes) in sent(report).filter_map(|round| round.s3.as_ref()).flat_map(|s3| s3.routes()) {
        *routes.entry(route).or_default() += bytes;
    }
    let routes: Vec<_> = routes
        .iter()
        .filter(|(_, count)| **count > 0)
        .map(|(route, count)| format!("{} by {route}", bytes(*count)))
        .collect();
    if !routes.is_empty() {
        let _ = write!(line, " ({})", routes.join(", "));
    }
    line
}

fn paint((sign, tone): Sign, style: Style) -> String {
    style.paint(tone, &sign.to_string())
}

#[cfg(test)]
#[path = "tick_tests.rs"]
mod tests;
