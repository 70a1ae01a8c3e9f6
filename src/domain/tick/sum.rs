//! The record of a weighted alias: the sum of the rounds of its versions.

use std::cmp::Reverse;

use super::{RoundOutcome, RoundRecord, SentRound, SkipReason, VersionRound};
use crate::domain::cost::{RoundCost, S3Quantities};
use crate::domain::round::{Evidence, OutcomeCounts, ReportSums, RoundReport, Verdict};

/// Returns the record of an alias from the rounds of the versions behind it. `alias` is the round through the alias
/// itself, which was tried because pings by the number of a version are denied. `record` has the other values.
///
/// Pings, counts and costs are sums. `reached` is the lowest of the versions, unknown if one is, with the evidence of
/// that version. The round is reached only if every version is.
pub fn sum(record: RoundRecord, versions: Vec<VersionRound>, alias: Option<RoundRecord>) -> RoundRecord {
    let all = || versions.iter().map(|version| &version.record).chain(&alias);
    let sent: Vec<&SentRound> = all().filter_map(RoundRecord::sent).collect();
    let skip_reason = skip_reason(&versions, alias.as_ref());
    if sent.is_empty() {
        let outcome = RoundOutcome::Skipped(skip_reason.unwrap_or(SkipReason::Deadline));
        return RoundRecord { outcome, ..record };
    }
    let least = versions.iter().filter(|version| version.record.sent().is_some());
    let least = least.map(|version| &version.record).min_by_key(|record| record.desired);
    let RoundRecord { desired, capped_from, backed_off_from, .. } = *least.unwrap_or(&record);
    let memory_mb = all().filter_map(|record| record.memory_mb).max();
    let messages = versions.iter().flat_map(messages).chain(alias.iter().flat_map(messages_of_alias));
    let report = RoundReport {
        verdict: verdict(&versions, alias.as_ref()),
        messages: messages.collect(),
        ..report(&sent, &versions)
    };
    let mut cost_unknown: Vec<String> = Vec::new();
    for reason in sent.iter().flat_map(|round| &round.cost_unknown) {
        if !cost_unknown.contains(reason) {
            cost_unknown.push(reason.clone());
        }
    }
    let total = Box::new(SentRound {
        report,
        s3: sent.iter().map(|round| round.s3.clone()).sum::<Option<S3Quantities>>(),
        cost: sent.iter().map(|round| round.cost).reduce(|one, other| one + other).unwrap_or(RoundCost::ZERO),
        cost_unknown,
        quiet_for: sent.iter().filter_map(|round| round.quiet_for).max(),
        // Those of the versions count.
        contact: None,
        versions,
    });
    let outcome = match skip_reason {
        Some(reason) => RoundOutcome::Withheld(total, reason),
        None => RoundOutcome::Sent(total),
    };
    RoundRecord { desired, capped_from, backed_off_from, memory_mb, outcome, ..record }
}

/// Returns the reason why no round was sent, if none was: an unsafe handler, otherwise a reason that ends by itself,
/// otherwise that of the first version.
fn skip_reason(versions: &[VersionRound], alias: Option<&RoundRecord>) -> Option<SkipReason> {
    let all = versions.iter().map(|version| &version.record).chain(alias);
    let reasons: Option<Vec<SkipReason>> = all.map(RoundRecord::skip_reason).collect();
    reasons?
        .into_iter()
        .min_by_key(|reason| (Reverse(*reason == SkipReason::Unsafe), Reverse(reason.stays_due())))
}

/// Returns the worst verdict. A version whose pings by number are denied is unproven if the alias was tried instead.
fn verdict(versions: &[VersionRound], alias: Option<&RoundRecord>) -> Verdict {
    let of_version = |version: &VersionRound| match version.record.verdict() {
        Verdict::Short if alias.is_some() && version.record.is_denied() => Verdict::Unproven,
        verdict => verdict,
    };
    let verdicts = versions.iter().map(of_version).chain(alias.map(RoundRecord::verdict));
    let verdicts: Vec<Verdict> = verdicts.collect();
    let any = |verdict| verdicts.contains(&verdict);
    match () {
        () if any(Verdict::Unsafe) => Verdict::Unsafe,
        () if any(Verdict::Short) => Verdict::Short,
        () if alias.is_none() && verdicts.iter().all(|verdict| *verdict == Verdict::Reached) => {
            Verdict::Reached
        }
        () => Verdict::Unproven,
    }
}

/// Adds the reports of the rounds that were sent. Verdict and messages are those of nothing.
fn report(sent: &[&SentRound], versions: &[VersionRound]) -> RoundReport {
    let reports = || sent.iter().map(|round| &round.report);
    let total = |of: fn(&RoundReport) -> u32| reports().map(of).fold(0, u32::saturating_add);
    let weakest = versions.iter().map(|version| &version.record).min_by_key(|record| record.reached());
    let reached = weakest.and_then(RoundRecord::reached);
    let evidence = weakest.filter(|_| reached.is_some()).and_then(RoundRecord::evidence);
    let mut executed: Vec<String> = reports().flat_map(|report| report.versions.clone()).collect();
    executed.sort_by(|one, other| (one.len(), one).cmp(&(other.len(), other)));
    executed.dedup();
    // Rounds that certainly ran nothing are billed nothing.
    let ran = || reports().filter(|report| report.requests > 0 || report.maybe_requests > 0);
    let billed_ms =
        ran().map(|report| report.billed_ms).reduce(|one, other| Some(one?.saturating_add(other?)));
    RoundReport {
        pings: total(|report| report.pings),
        counts: reports()
            .map(|report| report.counts)
            .fold(OutcomeCounts::default(), |one, other| one + other),
        reached,
        evidence: evidence.unwrap_or(Evidence::Unknown),
        doubt: reports().find_map(|report| report.doubt),
        verdict: Verdict::Unproven,
        versions: executed,
        proofs: Vec::new(),
        hold: reports().filter_map(|report| report.hold).max(),
        skew: reports().filter_map(|report| report.skew).max(),
        first_pings: total(|report| report.first_pings),
        top_ups: reports().map(|report| report.top_ups).max().unwrap_or(0),
        resent: total(|report| report.resent),
        requests: total(|report| report.requests),
        maybe_requests: total(|report| report.maybe_requests),
        billed_ms: billed_ms.flatten(),
        memory_mb: reports().filter_map(|report| report.memory_mb).max(),
        cold_starts: reports().map(|report| report.cold_starts).sum(),
        sums: reports().map(|report| report.sums).fold(ReportSums::default(), |one, other| one + other),
        by_kind: None,
        messages: Vec::new(),
    }
}

/// Returns the messages about the round of a version, which they name.
fn messages(version: &VersionRound) -> Vec<String> {
    let VersionRound { record, .. } = version;
    let number = record.id.qualifier.as_ref().map(ToString::to_string).unwrap_or_default();
    let failures = record.sent().into_iter().flat_map(|sent| sent.report.messages.iter().cloned());
    let has_message = |reason: &SkipReason| *reason == SkipReason::Unsafe && record.sent().is_some();
    let skipped = record.skip_reason().filter(|reason| !has_message(reason));
    let denied = record.is_denied().then_some(SkipReason::Denied).filter(|_| skipped.is_none());
    let reason = skipped.or(denied).map(|reason| reason.explanation().to_owned());
    failures.chain(reason).map(|message| format!("version {number}: {message}")).collect()
}

fn messages_of_alias(record: &RoundRecord) -> Vec<String> {
    let failures = record.sent().into_iter().flat_map(|sent| sent.report.messages.iter().cloned());
    let skipped = record.skip_reason().map(|reason| format!("through the alias: {}", reason.explanation()));
    failures.chain(skipped).collect()
}
