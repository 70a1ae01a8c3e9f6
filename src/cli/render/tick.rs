//! One tick in a few lines: a table, the sums, and a note for every problem.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use rust_decimal::Decimal;

use super::table::{Column, Sign, figures, lines, words};
use super::text::{bytes, count, grouped, millis, money, wrapped};
use super::{Style, Tone, WIDTH, capacity};
use crate::domain::clean::clean;
use crate::domain::cost::{ByKindCost, RoundCost};
use crate::domain::function::Identity;
use crate::domain::pipeline::PipelineReport;
use crate::domain::round::{Evidence, KindReport, KindReports, OutcomeCounts, RoundReport, Verdict};
use crate::domain::tick::{
    RoundOutcome, RoundRecord, SentRound, SkipReason, TickReport, Unfinished, UnfinishedReason, VersionRound,
};

/// The maximum number of rows of a table.
const ROWS: usize = 20;

/// The maximum number of notes of one kind.
const NOTES: usize = 10;

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
    for line in
        sums(report, &items, style).iter().chain(&notes(report, style)).flat_map(|line| wrapped(line, WIDTH))
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

/// Returns a note for every problem, with its remedy.
fn notes(report: &TickReport, style: Style) -> Vec<String> {
    let mut notes = Vec::new();
    let rounds = |verdict| {
        let rounds = report.rounds.iter().filter(move |round| round.verdict() == verdict);
        rounds.filter_map(|round| Some((round, &round.sent()?.report)))
    };
    let short = rounds(Verdict::Short).map(|(record, round)| short_note(record, round));
    push(&mut notes, State::Short.sign(), style, short);
    let unfinished = report.unfinished.iter().map(|left| format!("{} {}", left.id, explanation(left.reason)));
    push(&mut notes, State::Unfinished.sign(), style, unfinished);
    notes.extend(skipped(&report.rounds, style));
    notes.extend(lowered_notes(&report.rounds, style));
    let unclassified = rounds(Verdict::Unproven).filter(|(_, round)| round.counts.unclassified > 0);
    let unclassified = unclassified.map(|(record, round)| {
        format!(
            "{} unproven: {} of {} have no readable REPORT line; set the system log level of a function that logs \
             JSON to INFO",
            record.id,
            round.counts.unclassified,
            count(u64::from(round.pings), "response"),
        )
    });
    push(&mut notes, State::Unproven.sign(), style, unclassified);
    let explained = rounds(Verdict::Unproven).filter(|(_, round)| is_explained(round));
    let explained =
        explained.map(|(record, round)| format!("{} unproven: {}", record.id, round.messages.join("; ")));
    push(&mut notes, State::Unproven.sign(), style, explained);
    if rounds(Verdict::Unproven)
        .any(|(_, round)| round.counts.unclassified == 0 && round.doubt.is_none() && !is_explained(round))
    {
        notes.push(format!(
            "{} unproven: no ping failed, but fewer environments are proven than desired; return an id from the \
             handler (`warmd handler`), or set a longer `hold`",
            paint(State::Unproven.sign(), style)
        ));
    }
    warnings(&mut notes, report, style);
    notes
}

/// Returns true if the messages of a round explain why it is unproven.
fn is_explained(round: &RoundReport) -> bool {
    round.counts.unclassified == 0 && !round.messages.is_empty()
}

/// Returns the rounds of the versions behind a weighted alias.
fn versions(id: &Identity, rounds: &[VersionRound]) -> String {
    let one = |VersionRound { weight, is_confirmed, record }: &VersionRound| {
        let number = record.id.qualifier.as_ref().map(ToString::to_string).unwrap_or_default();
        let percent = (weight.share() * 1e4).round() / 1e2;
        let result = match (record.sent(), record.skip_reason()) {
            (Some(sent), None) => reached(record.desired, &sent.report),
            (_, reason) => reason.map_or("skipped", SkipReason::name).to_owned(),
        };
        let is_assumed = !*is_confirmed && record.skip_reason().is_none();
        let assumed = if is_assumed { ", assumed to serve the alias" } else { "" };
        format!("{number} ({percent} %) {result}{assumed}")
    };
    let versions: Vec<String> = rounds.iter().map(one).collect();
    format!("{id} has weights; its versions, pinged by number: {}", versions.join("; "))
}

/// Adds the notes on versions, doubts and unknown costs.
fn warnings(notes: &mut Vec<String>, report: &TickReport, style: Style) {
    let warning = ('!', Tone::Warning);
    let sent = || report.rounds.iter().filter_map(|record| Some((&record.id, record.sent()?)));
    let versions = sent().filter_map(|(id, round)| match &round.versions[..] {
        [] if round.report.versions.len() < 2 => None,
        [] => {
            let versions = round.report.versions.join(", ");
            Some(format!("{id} ran versions {versions}: a weighted alias, or a deployment in progress"))
        }
        rounds => Some(versions(id, rounds)),
    });
    push(notes, warning, style, versions);
    let doubts = sent().filter_map(|(id, round)| Some(format!("{id}: {}", round.report.doubt?.explain())));
    push(notes, warning, style, doubts);
    let unknown = sent().filter(|(_, round)| round.cost.total.is_none()).map(|(id, round)| {
        format!("{id} cost unknown{}: {}", bounds(&round.cost), round.cost_unknown.join("; "))
    });
    push(notes, warning, style, unknown);
}

/// Returns the reason why a target has no result, for people.
fn explanation(reason: UnfinishedReason) -> &'static str {
    match reason {
        UnfinishedReason::Deadline => "not sent: warmd was stopped, or the tick ran out of time",
        UnfinishedReason::InFlight => "still in flight when the tick ran out of time",
        UnfinishedReason::HandedOn => "put on the bus, for another instance of the Lambda",
        UnfinishedReason::Unexpected => {
            "not reported: its round ended unexpectedly, see the log; please report it"
        }
        UnfinishedReason::TooLarge => {
            "not sent: the round is larger than the cap of pings in flight, and a round is never cut"
        }
    }
}

/// Returns the bounds of an unknown cost, as far as they are known.
fn bounds(cost: &RoundCost) -> String {
    match (cost.cost_at_least.filter(|least| !least.is_zero()), cost.cost_at_most) {
        (None, None) => String::new(),
        (Some(least), None) => format!(", at least {}", money(least)),
        (None, Some(most)) => format!(", at most {}", money(most)),
        (Some(least), Some(most)) => format!(", from {} to {}", money(least), money(most)),
    }
}

/// Returns a note for every skipped round.
pub(super) fn skipped(rounds: &[RoundRecord], style: Style) -> Vec<String> {
    let mut notes = Vec::new();
    for (state, verdict) in [(State::Unsafe, Verdict::Unsafe), (State::Skipped, Verdict::Skipped)] {
        let rounds = rounds.iter().filter(|round| round.verdict() == verdict);
        let lines = rounds.filter_map(|round| {
            let reason = match (verdict, round.sent()) {
                (Verdict::Unsafe, Some(sent)) => sent.report.messages.join("; "),
                _ => round.skip_reason()?.explanation().to_owned(),
            };
            Some(format!("{} {}: {reason}", round.id, state.word()))
        });
        push(&mut notes, state.sign(), style, lines);
    }
    notes
}

/// Returns a note for every round with fewer pings than configured.
pub(super) fn lowered_notes(rounds: &[RoundRecord], style: Style) -> Vec<String> {
    doubts(rounds.iter().filter_map(lowered), style)
}

/// Returns notes with the sign of doubt.
pub(super) fn doubts(lines: impl Iterator<Item = String>, style: Style) -> Vec<String> {
    let mut notes = Vec::new();
    push(&mut notes, State::Unproven.sign(), style, lines);
    notes
}

fn push(notes: &mut Vec<String>, sign: Sign, style: Style, lines: impl Iterator<Item = String>) {
    let mut rest = 0_u64;
    for (index, line) in lines.enumerate() {
        if index < NOTES {
            notes.push(format!("{} {}", paint(sign, style), clean(&line)));
        } else {
            rest += 1;
        }
    }
    if rest > 0 {
        notes.push(format!(
            "{} … and {} like that, see --json",
            paint(sign, style),
            count(rest, "more target")
        ));
    }
}

fn paint((sign, tone): Sign, style: Style) -> String {
    style.paint(tone, &sign.to_string())
}

/// Returns the reason why a round has fewer pings than configured.
fn lowered(round: &RoundRecord) -> Option<String> {
    let RoundRecord { id, desired, capped_from, backed_off_from, .. } = round;
    let capped =
        capped_from.map(|from| format!("from {from} by `limits.account_share` or `limits.leave_free`"));
    let backed_off = backed_off_from.map(|from| format!("from {from} after throttles"));
    let reasons: Vec<String> = capped.into_iter().chain(backed_off).collect();
    (!reasons.is_empty()).then(|| format!("{id} lowered to {desired}: {}", reasons.join(", ")))
}

/// Returns the failures of a short round; without any, ids prove too few environments.
fn short_note(record: &RoundRecord, round: &RoundReport) -> String {
    if failures(round.counts) > 0 {
        return format!("{} short: {}", record.id, round.messages.join("; "));
    }
    let reached = round.reached.unwrap_or(0);
    format!(
        "{} short: ids prove {reached} of {}: the pings did not overlap; set a longer `hold`",
        record.id,
        count(u64::from(record.desired), "environment")
    )
}

#[cfg(test)]
#[path = "tick_tests.rs"]
mod tests;
