//! A note for every problem of a tick.

use super::{State, failures, paint, reached};
use crate::cli::render::table::Sign;
use crate::cli::render::text::{count, money};
use crate::cli::render::{Style, Tone};
use crate::domain::clean::clean;
use crate::domain::cost::RoundCost;
use crate::domain::function::Identity;
use crate::domain::round::{RoundReport, Verdict};
use crate::domain::tick::{RoundRecord, SkipReason, TickReport, UnfinishedReason, VersionRound};

/// The maximum number of notes of one kind.
pub(super) const NOTES: usize = 10;

/// Returns a note for every problem, with its remedy.
pub(super) fn notes(report: &TickReport, style: Style) -> Vec<String> {
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
pub(in crate::cli::render) fn skipped(rounds: &[RoundRecord], style: Style) -> Vec<String> {
    let mut notes = Vec::new();
    for (state, verdict) in [(State::Unsafe, Verdict::Unsafe), (State::Skipped, Verdict::Skipped)] {
        let rounds = rounds.iter().filter(|round| round.verdict() == verdict);
        let lines = rounds.filter_map(|round| {
            let reason = match (verdict, round.sent()) {
                (Verdict::Unsafe, Some(sent)) => sent.report.messages.join("; "),
                _ => round.skip_reason()?.explanation().to_owned() + &by(round.capped_by.as_deref()),
            };
            Some(format!("{} {}: {reason}", round.id, state.word()))
        });
        push(&mut notes, state.sign(), style, lines);
    }
    notes
}

/// Returns a note for every round with fewer pings than configured.
pub(in crate::cli::render) fn lowered_notes(rounds: &[RoundRecord], style: Style) -> Vec<String> {
    doubts(rounds.iter().filter_map(lowered), style)
}

/// Returns notes with the sign of doubt.
pub(in crate::cli::render) fn doubts(lines: impl Iterator<Item = String>, style: Style) -> Vec<String> {
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

/// Returns the setting that prevents a round, such as ``: `budget` ``.
pub(in crate::cli::render) fn by(setting: Option<&str>) -> String {
    setting.map(|setting| format!(": `{setting}`")).unwrap_or_default()
}

/// Returns the reason why a round has fewer pings than configured.
fn lowered(round: &RoundRecord) -> Option<String> {
    if round.skip_reason() == Some(SkipReason::Budget) {
        return None;
    }
    let RoundRecord { id, desired, capped_from, capped_by, backed_off_from, .. } = round;
    let by = capped_by.as_deref().unwrap_or("limits.account_share");
    let capped = capped_from.map(|from| format!("from {from} by `{by}`"));
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
