//! One tick in a few readable lines: what is not fine first, then the sums, then what to do about it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use rust_decimal::Decimal;

use super::table::{Column, Sign, figures, lines, words};
use super::text::{bytes, count, grouped, millis, money, wrapped};
use super::{Style, Tone, WIDTH};
use crate::domain::clean::clean;
use crate::domain::tick::{
    Evidence, RoundCost, RoundRecord, Skipped, TickReport, Unfinished, UnfinishedReason, Verdict,
};

/// The most rows of a table: a screen.
const ROWS: usize = 20;

/// The most notes of one kind.
const NOTES: usize = 10;

const COLUMNS: [Column; 8] = [
    words("FUNCTION"),
    words("REGION"),
    words("REACHED"),
    figures("WARM"),
    figures("COLD"),
    figures("SKEW/HOLD"),
    figures("S3 EGRESS"),
    figures("COST"),
];

/// A row of the table: a round, or what was left undone.
#[derive(Clone, Copy)]
enum Item<'a> {
    Round(&'a RoundRecord),
    Unfinished(&'a Unfinished),
}

/// How fine an item is, worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum State {
    Short,
    Unfinished,
    Skipped,
    Unproven,
    Reached,
}

impl State {
    const ALL: [Self; 5] = [Self::Reached, Self::Unproven, Self::Short, Self::Skipped, Self::Unfinished];

    fn sign(self) -> Sign {
        match self {
            Self::Reached => ('✓', Tone::Good),
            Self::Unproven => ('?', Tone::Warning),
            Self::Short | Self::Unfinished => ('✗', Tone::Bad),
            Self::Skipped => ('-', Tone::Warning),
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Reached => "reached",
            Self::Unproven => "unproven",
            Self::Short => "short",
            Self::Skipped => "skipped",
            Self::Unfinished => "not sent",
        }
    }
}

impl Item<'_> {
    fn state(self) -> State {
        match self {
            Item::Unfinished(_) => State::Unfinished,
            Item::Round(round) => match round.verdict {
                Verdict::Reached => State::Reached,
                Verdict::Unproven => State::Unproven,
                Verdict::Short => State::Short,
                Verdict::Skipped => State::Skipped,
            },
        }
    }

    fn cells(self) -> Vec<String> {
        match self {
            Item::Round(round) => vec![
                label(&round.function, round.qualifier.as_deref()),
                round.region.to_string(),
                reached(round),
                sent(round, round.warm.to_string()),
                sent(round, (round.cold + round.restored).to_string()),
                skew_and_hold(round),
                match round.s3_egress_bytes {
                    Some(0) => String::new(),
                    Some(count) => bytes(count),
                    None => sent(round, "unknown".to_owned()),
                },
                match round.cost_usd.total {
                    Some(total) => sent(round, money(total)),
                    None => sent(round, "unknown".to_owned()),
                },
            ],
            Item::Unfinished(unfinished) => {
                let mut cells = vec![String::new(); COLUMNS.len()];
                cells[0] = label(&unfinished.function, unfinished.qualifier.as_deref());
                cells[1] = unfinished.region.to_string();
                cells[2] = format!("0/{}", unfinished.target);
                cells
            }
        }
    }
}

/// A tick as a table of its targets, the sums, and a note for whatever is not fine. Ends with a line feed.
pub fn tick(report: &TickReport, style: Style) -> String {
    let items = items(report);
    let mut out = heading(report);
    if items.is_empty() {
        out.push_str("nothing to do in this minute\n");
        return out;
    }
    out.push('\n');
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
    for line in
        sums(report, &items, style).iter().chain(&notes(report, style)).flat_map(|line| wrapped(line, WIDTH))
    {
        let _ = writeln!(out, "{line}");
    }
    out
}

/// A tick in one line, followed by its notes: what the daemon shows. Ends with a line feed.
pub fn tick_line(report: &TickReport, style: Style) -> String {
    let instant = instant(report);
    let mut out = format!("{instant} {}\n", sums(report, &items(report), style).join("; "));
    for note in notes(report, style) {
        let _ = writeln!(out, "{instant} {note}");
    }
    out
}

fn items(report: &TickReport) -> Vec<Item<'_>> {
    let rounds = report.rounds.iter().map(Item::Round);
    rounds.chain(report.unfinished.iter().map(Item::Unfinished)).collect()
}

/// All items in the order of the configuration when they fit; otherwise the worst first.
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

fn label(function: &str, qualifier: Option<&str>) -> String {
    match qualifier {
        Some(qualifier) => format!("{function}:{qualifier}"),
        None => function.to_owned(),
    }
}

/// Ids count exactly; the other evidence is a lower bound, and is shown as one while it is below the target.
fn reached(round: &RoundRecord) -> String {
    let target = round.target;
    match (round.reached, round.evidence) {
        _ if round.verdict == Verdict::Skipped => format!("0/{target}"),
        (Some(reached), Some(Evidence::Ids)) => format!("{reached}/{target} ids"),
        (Some(reached), Some(evidence @ (Evidence::Overlap | Evidence::ColdStarts))) => {
            let at_least = if reached < target { "≥" } else { "" };
            let evidence = if evidence == Evidence::Overlap { "overlap" } else { "colds" };
            format!("{at_least}{reached}/{target} {evidence}")
        }
        (None, _) | (_, None | Some(Evidence::Unknown)) => format!("?/{target}"),
    }
}

/// Empty for a round that sent nothing.
fn sent(round: &RoundRecord, text: String) -> String {
    if round.pings == 0 { String::new() } else { text }
}

/// The hold must be longer than the skew for all pings to overlap: side by side, that is seen at once.
fn skew_and_hold(round: &RoundRecord) -> String {
    match (round.skew_ms, round.hold_ms) {
        (None, None) => String::new(),
        (Some(skew), None) => millis(skew),
        (None, Some(hold)) => format!("-/{}", millis(hold as f64)),
        (Some(skew), Some(hold)) => {
            let skew = millis(skew);
            format!("{}/{}", skew.strip_suffix(" ms").unwrap_or(&skew), millis(hold as f64))
        }
    }
}

/// Pings that failed.
fn bad(round: &RoundRecord) -> u32 {
    let RoundRecord { throttled, function_errors, timed_out, denied, not_found, failed, .. } = round;
    throttled + function_errors + timed_out + denied + not_found + failed
}

/// Targets, pings and cost, each in a line of its own.
fn sums(report: &TickReport, items: &[Item<'_>], style: Style) -> Vec<String> {
    let states = State::ALL.into_iter().filter_map(|state| {
        let number = items.iter().filter(|item| item.state() == state).count() as u64;
        (number > 0).then(|| format!("{} {} {}", paint(state.sign(), style), grouped(number), state.word()))
    });
    let targets =
        format!("{}: {}", count(items.len() as u64, "target"), states.collect::<Vec<_>>().join(", "));
    let pings: u64 = report.rounds.iter().map(|round| u64::from(round.pings)).sum();
    if pings == 0 {
        return vec![targets];
    }
    let outcome = |word: &str, of: fn(&RoundRecord) -> u32| {
        let number: u64 = report.rounds.iter().map(|round| u64::from(of(round))).sum();
        (number > 0).then(|| format!("{} {word}", grouped(number)))
    };
    let outcomes = [
        outcome("warm", |round| round.warm),
        outcome("cold", |round| round.cold),
        outcome("restored", |round| round.restored),
        outcome("failed", bad),
        outcome("unclassified", |round| round.unclassified),
    ];
    let outcomes: Vec<_> = outcomes.into_iter().flatten().collect();
    let top_ups: u64 = report.rounds.iter().map(|round| u64::from(round.top_ups)).sum();
    let topped = if top_ups > 0 { format!(" with {}", count(top_ups, "top-up")) } else { String::new() };
    vec![targets, format!("{}{topped}: {}", count(pings, "ping"), outcomes.join(", ")), cost(report)]
}

fn cost(report: &TickReport) -> String {
    let served = || report.rounds.iter().filter(|round| round.pings > 0);
    let sum = |of: fn(&RoundRecord) -> Option<Decimal>| served().filter_map(of).sum::<Decimal>();
    let parts = [
        ("requests", sum(|round| round.cost_usd.requests)),
        ("compute", sum(|round| round.cost_usd.compute)),
        ("S3 requests", sum(|round| round.cost_usd.s3_requests)),
        ("S3 egress", sum(|round| round.cost_usd.s3_egress)),
    ];
    let unknown = served().filter(|round| round.cost_usd.total.is_none()).count();
    let at_least = if unknown > 0 { "at least " } else { "" };
    let total = sum(|round| round.cost_usd.total.or(round.cost_usd.cost_at_least));
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
    for (route, bytes) in served().flat_map(|round| &round.routes) {
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

/// What is not fine, and what to do about it.
fn notes(report: &TickReport, style: Style) -> Vec<String> {
    let mut notes = Vec::new();
    let short = report.rounds.iter().filter(|round| round.verdict == Verdict::Short);
    push(&mut notes, State::Short.sign(), style, short.map(short_note));
    let undone = report.unfinished.iter().map(|unfinished| {
        let why = match unfinished.reason {
            UnfinishedReason::Deadline => "not sent: warmd was told to stop, or the tick ran out of time",
            UnfinishedReason::InFlight => "still in flight when the tick ran out of time",
            UnfinishedReason::HandedOn => "put on the bus, for another instance of the Lambda",
            UnfinishedReason::Unexpected => {
                "not reported: something unexpected ended its round, see the log; please report it"
            }
            UnfinishedReason::TooLarge => {
                "not sent: the round is larger than the cap of pings in flight, and a round is never cut"
            }
        };
        format!(
            "{} ({}) {why}",
            label(&unfinished.function, unfinished.qualifier.as_deref()),
            unfinished.region
        )
    });
    push(&mut notes, State::Unfinished.sign(), style, undone);
    notes.extend(skipped(&report.rounds, style));
    let unproven = || report.rounds.iter().filter(|round| round.verdict == Verdict::Unproven);
    let silent = unproven().filter(|round| round.unclassified > 0).map(|round| {
        format!(
            "{} unproven: {} of {} without a readable REPORT line of their own; a function that logs JSON sends \
             it at the system log level INFO only",
            place(round),
            round.unclassified,
            count(u64::from(round.pings), "answer"),
        )
    });
    push(&mut notes, State::Unproven.sign(), style, silent);
    if unproven().any(|round| round.unclassified == 0 && round.doubts.is_empty()) {
        notes.push(format!(
            "{} unproven: nothing failed, but fewer environments are proven than wanted; handlers that answer \
             with an id (`warmd handler`), or a longer hold, prove more",
            paint(State::Unproven.sign(), style)
        ));
    }
    let warning = ('!', Tone::Warning);
    let versions = report.rounds.iter().filter(|round| round.versions.len() > 1).map(|round| {
        let versions = round.versions.join(", ");
        format!("{} ran versions {versions}: a weighted alias, or a deployment under way", place(round))
    });
    push(&mut notes, warning, style, versions);
    let doubtful = report
        .rounds
        .iter()
        .flat_map(|round| round.doubts.iter().map(move |doubt| format!("{}: {doubt}", place(round))));
    push(&mut notes, warning, style, doubtful);
    let unknown = report.rounds.iter().filter(|round| round.pings > 0 && round.cost_usd.total.is_none());
    push(
        &mut notes,
        warning,
        style,
        unknown.map(|round| {
            format!(
                "{} cost unknown{}: {}",
                place(round),
                bounds(&round.cost_usd),
                round.cost_unknown.join("; ")
            )
        }),
    );
    notes
}

/// Between what and what an unknown cost lies, as far as that is known.
fn bounds(cost: &RoundCost) -> String {
    match (cost.cost_at_least.filter(|least| !least.is_zero()), cost.cost_at_most) {
        (None, None) => String::new(),
        (Some(least), None) => format!(", at least {}", money(least)),
        (None, Some(most)) => format!(", at most {}", money(most)),
        (Some(least), Some(most)) => format!(", from {} to {}", money(least), money(most)),
    }
}

/// Which rounds were skipped, and why.
pub(super) fn skipped(rounds: &[RoundRecord], style: Style) -> Vec<String> {
    let mut notes = Vec::new();
    let skipped = rounds.iter().filter_map(|round| {
        let why = match round.skipped? {
            Skipped::InFlight => "skipped: its earlier round is still in flight",
            Skipped::NoRoom => "skipped: its earlier round still waits for room under limits.max_in_flight",
            Skipped::DryRun => return None,
            Skipped::Paused => "skipped: it is paused",
            Skipped::Coalesced => "skipped: a request shortly before has had it warmed",
            Skipped::CustomPayload => "skipped: custom payloads need WARMD_ALLOW_CUSTOM_PAYLOAD=true",
            Skipped::Served => "skipped: its shard was delivered before, and has been served",
        };
        Some(format!("{} {why}", place(round)))
    });
    push(&mut notes, State::Skipped.sign(), style, skipped);
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

fn place(round: &RoundRecord) -> String {
    format!("{} ({})", label(&round.function, round.qualifier.as_deref()), round.region)
}

/// What went wrong; ids that prove too few environments when nothing did.
fn short_note(round: &RoundRecord) -> String {
    if bad(round) > 0 {
        return format!("{} short: {}", place(round), round.problems.join("; "));
    }
    let reached = round.reached.unwrap_or(0);
    format!(
        "{} short: ids prove {reached} of {}: the pings did not overlap; a longer hold helps",
        place(round),
        count(u64::from(round.target), "environment")
    )
}

#[cfg(test)]
#[path = "tick_tests.rs"]
mod tests;
