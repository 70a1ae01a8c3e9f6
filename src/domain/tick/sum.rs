//! The record of a weighted alias: the sum of the rounds of its versions.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::time::Duration;

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
    let least = least.unwrap_or(&record);
    let RoundRecord { desired, capped_from, backed_off_from, .. } = *least;
    let capped_by = least.capped_by.clone();
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
        quiet_for: quiet_for(&versions, alias.as_ref()),
        // Those of the versions count.
        contact: None,
        through_alias: alias.filter(|alias| alias.sent().is_some()).map(Box::new),
        versions,
    });
    let outcome = match skip_reason {
        Some(reason) => RoundOutcome::Withheld(total, reason),
        None => RoundOutcome::Sent(total),
    };
    RoundRecord { desired, capped_from, capped_by, backed_off_from, memory_mb, outcome, ..record }
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

/// Returns the time for which every round of the next tick would have to wait for unanswered pings; `None` if one need
/// not. Versions that are not pinged then do not count: those that are denied or skipped for a reason that lasts.
fn quiet_for(versions: &[VersionRound], alias: Option<&RoundRecord>) -> Option<Duration> {
    let is_pinged_next =
        |record: &&RoundRecord| !record.is_denied() && record.skip_reason().is_none_or(SkipReason::stays_due);
    let all = versions.iter().map(|version| &version.record).chain(alias).filter(is_pinged_next);
    let pauses: Option<Vec<Duration>> = all.map(|record| record.sent()?.quiet_for).collect();
    pauses?.into_iter().min()
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
        by_number: BTreeMap::new(),
        hold: reports().filter_map(|report| report.hold).max(),
        waited_at_most: reports().filter_map(|report| report.waited_at_most).max(),
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rust_decimal::Decimal;

    use super::*;
    use crate::domain::fleet::Target;
    use crate::domain::routing::Weight;

    fn target(label: &str) -> Target {
        Target::example(label, "eu-west-2", Vec::new())
    }

    /// A round of two pings, of which one was a cold start.
    fn round(label: &str, verdict: Verdict, reached: Option<u32>) -> RoundRecord {
        let mut record = RoundRecord::example(&target(label), 2, verdict, reached);
        let RoundOutcome::Sent(sent) = &mut record.outcome else { panic!() };
        let SentRound { report, cost, .. } = &mut **sent;
        (report.pings, report.requests, report.billed_ms) = (2, 2, Some(100));
        (report.counts.warm, report.counts.cold, report.cold_starts) = (1, 1, Some(1));
        (report.evidence, report.versions) = (Evidence::Ids, vec![label[2..].to_owned()]);
        (cost.requests, cost.total) = (Some(Decimal::ONE), Some(Decimal::ONE));
        sent.s3 = Some(S3Quantities::default());
        record
    }

    fn version(record: RoundRecord) -> VersionRound {
        VersionRound { weight: Weight::ALL, is_confirmed: false, record }
    }

    fn skipped(label: &str, reason: SkipReason) -> RoundRecord {
        RoundRecord::skipped(&target(label), 2, reason)
    }

    fn denied(label: &str) -> RoundRecord {
        let mut record = round(label, Verdict::Short, None);
        let RoundOutcome::Sent(sent) = &mut record.outcome else { panic!() };
        sent.report.counts = OutcomeCounts { denied: 2, ..OutcomeCounts::default() };
        record
    }

    fn sum_of(versions: Vec<RoundRecord>, alias: Option<RoundRecord>) -> RoundRecord {
        sum(skipped("f:live", SkipReason::Denied), versions.into_iter().map(version).collect(), alias)
    }

    #[test]
    fn values_are_sums_and_the_weakest_version_counts() {
        let (seven, mut eight) =
            (round("f:7", Verdict::Reached, Some(2)), round("f:10", Verdict::Unproven, Some(1)));
        let RoundOutcome::Sent(sent) = &mut eight.outcome else { panic!() };
        sent.report.evidence = Evidence::Overlap;
        let both = sum_of(vec![seven.clone(), eight.clone()], None);
        assert_eq!((both.id.label().as_str(), both.pings(), both.desired), ("f:live", 4, 2));
        let report = &both.sent().unwrap().report;
        assert_eq!((report.requests, report.billed_ms, report.cold_starts), (4, Some(200), Some(2)));
        assert_eq!((both.counts().warm, both.counts().cold), (2, 2));
        assert_eq!((both.cost().total, both.s3_bytes()), (Some(Decimal::TWO), Some(0)));
        assert_eq!((both.reached(), both.evidence()), (Some(1), Some(Evidence::Overlap)));
        assert_eq!(both.verdict(), Verdict::Unproven);
        assert_eq!(report.versions, ["7", "10"]);
        // A part that is unknown makes the whole unknown.
        let RoundOutcome::Sent(sent) = &mut eight.outcome else { panic!() };
        (sent.report.reached, sent.report.billed_ms, sent.report.cold_starts) = (None, None, None);
        (sent.cost, sent.s3) = (RoundCost::default(), None);
        sent.cost_unknown = vec!["no memory".to_owned()];
        let unknown = sum_of(vec![seven, eight], None);
        let sent = unknown.sent().unwrap();
        assert_eq!((unknown.reached(), unknown.evidence()), (None, Some(Evidence::Unknown)));
        assert_eq!((sent.report.billed_ms, sent.report.cold_starts, sent.cost.total), (None, None, None));
        assert_eq!((unknown.s3_bytes(), &sent.cost_unknown[..]), (None, &["no memory".to_owned()][..]));
    }

    #[test]
    fn a_version_that_ran_nothing_leaves_the_billed_time_known() {
        let mut refused = round("f:8", Verdict::Short, None);
        let RoundOutcome::Sent(sent) = &mut refused.outcome else { panic!() };
        (sent.report.requests, sent.report.billed_ms) = (0, None);
        let both = sum_of(vec![round("f:7", Verdict::Reached, Some(2)), refused], None);
        assert_eq!(both.sent().unwrap().report.billed_ms, Some(100));
    }

    #[test]
    fn the_number_is_the_lowest_of_those_that_were_sent() {
        let lowered =
            RoundRecord { desired: 1, backed_off_from: Some(2), ..round("f:8", Verdict::Reached, Some(1)) };
        let both = sum_of(vec![round("f:7", Verdict::Reached, Some(2)), lowered], None);
        assert_eq!((both.desired, both.backed_off_from, both.reached()), (1, Some(2), Some(1)));
        assert_eq!(both.verdict(), Verdict::Reached);
    }

    #[test]
    fn nothing_that_was_skipped_is_reached() {
        let well = || round("f:7", Verdict::Reached, Some(2));
        for reason in SkipReason::ALL {
            let both = sum_of(vec![well(), skipped("f:8", reason)], None);
            let expected = if reason == SkipReason::Unsafe { Verdict::Unsafe } else { Verdict::Unproven };
            assert_eq!(
                (both.verdict(), both.reached(), both.skip_reason()),
                (expected, None, None),
                "{reason:?}"
            );
            assert_eq!(both.stays_due(), reason == SkipReason::Deadline, "{reason:?}");
            let message = format!("version 8: {}", reason.explanation());
            assert_eq!(both.sent().unwrap().report.messages, [message]);
        }
        // If all of them were, so was the round.
        let RoundOutcome::Sent(first) = well().outcome else { panic!() };
        let withheld = RoundRecord { outcome: RoundOutcome::Withheld(first, SkipReason::Breaker), ..well() };
        let both = sum_of(vec![withheld.clone(), skipped("f:8", SkipReason::Deadline)], None);
        assert_eq!((both.skip_reason(), both.pings()), (Some(SkipReason::Deadline), 2));
        let both = sum_of(vec![withheld, skipped("f:8", SkipReason::Unsafe)], None);
        assert_eq!((both.skip_reason(), both.verdict()), (Some(SkipReason::Unsafe), Verdict::Unsafe));
        let none =
            sum_of(vec![skipped("f:7", SkipReason::Breaker), skipped("f:8", SkipReason::Breaker)], None);
        assert_eq!(none.outcome, RoundOutcome::Skipped(SkipReason::Breaker));
    }

    #[test]
    fn an_alias_is_busy_only_if_every_version_is() {
        let quiet = |label: &str, seconds: Option<u64>| {
            let mut record = round(label, Verdict::Short, None);
            let RoundOutcome::Sent(sent) = &mut record.outcome else { panic!() };
            sent.quiet_for = seconds.map(Duration::from_secs);
            record
        };
        let of = |seconds: Option<u64>, other: RoundRecord, alias: Option<RoundRecord>| {
            let both = sum_of(vec![quiet("f:8", seconds), other], alias);
            both.sent().unwrap().quiet_for.map(|quiet| quiet.as_secs())
        };
        assert_eq!(of(Some(900), quiet("f:7", None), None), None);
        assert_eq!(of(Some(900), quiet("f:7", Some(60)), None), Some(60));
        assert_eq!(of(Some(900), skipped("f:7", SkipReason::InFlight), None), None, "until an unknown time");
        assert_eq!(of(Some(900), skipped("f:7", SkipReason::Unsafe), None), Some(900), "it is not pinged");
        assert_eq!(of(Some(900), denied("f:7"), Some(quiet("f:live", None))), None);
        assert_eq!(of(Some(900), denied("f:7"), Some(quiet("f:live", Some(60)))), Some(60));
        assert_eq!(of(None, denied("f:7"), Some(quiet("f:live", Some(60)))), None);
    }

    #[test]
    fn through_the_alias_nothing_is_proven() {
        let well = || round("f:7", Verdict::Reached, Some(2));
        let of = |alias| sum_of(vec![well(), denied("f:8")], alias);
        let through = of(Some(round("f:live", Verdict::Reached, Some(2))));
        assert_eq!((through.verdict(), through.reached(), through.pings()), (Verdict::Unproven, None, 6));
        let kept = through.sent().unwrap().through_alias.as_ref().map(|alias| alias.id.label());
        assert_eq!(kept.as_deref(), Some("f:live"));
        insta::assert_snapshot!(through.sent().unwrap().report.messages.join("\n"), @"version 8: pings by the number of the version are denied, and the alias is pinged instead: allow lambda:InvokeFunction on `function:NAME:*` (`warmd iam` grants it); they are tried again after an hour");
        assert_eq!(of(Some(round("f:live", Verdict::Short, Some(1)))).verdict(), Verdict::Short);
        let not_sent = of(Some(skipped("f:live", SkipReason::Breaker)));
        assert_eq!((not_sent.verdict(), not_sent.skip_reason()), (Verdict::Unproven, None));
        assert_eq!(not_sent.sent().unwrap().through_alias, None);
        assert_eq!(of(None).verdict(), Verdict::Short);
    }

    proptest! {
        #[test]
        fn the_alias_is_reached_only_if_every_version_is(
            verdicts in proptest::collection::vec(0_usize..5, 1..5),
        ) {
            let all = [Verdict::Reached, Verdict::Unproven, Verdict::Short, Verdict::Unsafe, Verdict::Skipped];
            let record = |(index, of): (usize, &usize)| {
                let label = format!("f:{}", index + 1);
                match all[*of] {
                    Verdict::Skipped => skipped(&label, SkipReason::Breaker),
                    Verdict::Unsafe => skipped(&label, SkipReason::Unsafe),
                    verdict => round(&label, verdict, (verdict == Verdict::Reached).then_some(2)),
                }
            };
            let whole = sum_of(verdicts.iter().enumerate().map(record).collect(), None);
            let worst = |of: Verdict| verdicts.iter().any(|index| all[*index] == of);
            let is_reached = verdicts.iter().all(|index| all[*index] == Verdict::Reached);
            prop_assert_eq!(whole.verdict() == Verdict::Reached, is_reached);
            prop_assert_eq!(whole.reached().is_some(), is_reached);
            prop_assert_eq!(whole.verdict() == Verdict::Unsafe, worst(Verdict::Unsafe));
            let pings: u32 = 2 * verdicts.iter().filter(|index| **index < 3).count() as u32;
            prop_assert_eq!(whole.pings(), pings);
        }
    }
}
