//! The report of a round.

use std::collections::BTreeMap;
use std::ops::Add;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::doubt::{Doubt, doubt};
use super::evidence::{Proof, count, distinct_ids, proven_of};
use super::kind::{KindReports, Parted};
use super::start::{certain_hold, probably_waited, waited};
use super::usage::{PingUsage, ReportSums};
use super::{Attempt, Evidence, Known, Outcome, PingResult, skew};
use crate::domain::cost::{RoundQuantities, Usage, s3_quantities};
use crate::domain::fleet::Target;
use crate::domain::text::grouped;

/// The maximum number of different messages of a round. A broken round may have one for each ping.
const MOST_MESSAGES: usize = 8;

/// The longest init that precedes an invocation and is billed with it: 130 s, or the function's timeout when that is
/// longer. Source: the lifecycle of the execution environment in Lambda's developer guide. It is the longest of the
/// limits there; most functions have 10 s.
const LONGEST_INIT: Duration = Duration::from_secs(130);

/// The conclusion from a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The desired number of environments is proven, and no ping failed.
    Reached,
    /// No ping failed, but fewer environments are proven than desired.
    Unproven,
    /// A ping failed, or ids prove fewer environments than desired.
    Short,
    /// The handler took a ping for work. Nothing more is sent.
    Unsafe,
    /// No ping was sent, or only one that preceded a round.
    Skipped,
}

impl Verdict {
    /// Returns the name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Reached => "reached",
            Self::Unproven => "unproven",
            Self::Short => "short",
            Self::Unsafe => "unsafe",
            Self::Skipped => "skipped",
        }
    }
}

/// Pings by outcome.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct OutcomeCounts {
    /// Pings that an existing environment answered. A provisioned one exists before its first ping.
    pub warm: u32,
    /// Pings that created a new environment.
    pub cold: u32,
    /// Those of `cold` that were answered below the semi-cold threshold of the function, without the hold where the
    /// duration shows that the handler kept it; null without a threshold.
    pub semi_cold: Option<u32>,
    /// Pings to a new environment whose init began before the request. None of them is in `cold`.
    pub preinitialized: u32,
    /// Pings that created a new environment from a snapshot.
    pub restored: u32,
    /// Pings that Lambda throttled.
    pub throttled: u32,
    /// Pings on which the function failed.
    pub function_errors: u32,
    /// Pings without an answer in time, or ended by the function's own timeout.
    pub timed_out: u32,
    /// Pings that the caller was not allowed to send.
    pub denied: u32,
    /// Pings to a function or qualifier that does not exist.
    pub not_found: u32,
    /// Pings lost by the network, the service or a malformed answer.
    pub failed: u32,
    /// Pings answered without a readable REPORT line.
    pub unclassified: u32,
}

impl OutcomeCounts {
    fn count(&mut self, outcome: &Outcome) {
        *match outcome {
            Outcome::Warm => &mut self.warm,
            Outcome::Cold => &mut self.cold,
            Outcome::Preinitialized => &mut self.preinitialized,
            Outcome::Restored => &mut self.restored,
            Outcome::Throttled { .. } => &mut self.throttled,
            Outcome::FunctionError { .. } => &mut self.function_errors,
            Outcome::TimedOut => &mut self.timed_out,
            Outcome::Denied => &mut self.denied,
            Outcome::NotFound => &mut self.not_found,
            Outcome::Inactive { .. } | Outcome::Failed { .. } => &mut self.failed,
            Outcome::Unclassified => &mut self.unclassified,
        } += 1;
    }

    /// Returns the new environments that were started for a ping: a user would have waited for them.
    pub fn cold_starts(&self) -> u32 {
        self.cold.saturating_add(self.restored)
    }

    /// Returns the new environments by kind.
    pub fn new_environments(&self) -> NewEnvironments {
        let Self { cold, semi_cold, restored, preinitialized, .. } = *self;
        NewEnvironments { cold, semi_cold, restored, preinitialized }
    }

    /// Returns the pings that failed otherwise than by a throttle.
    pub fn errors(&self) -> u32 {
        let errors = [self.function_errors, self.timed_out, self.denied, self.not_found, self.failed];
        errors.into_iter().fold(0, u32::saturating_add)
    }
}

impl Add for OutcomeCounts {
    type Output = Self;

    /// Adds two counts. The semi-cold starts are unknown if they are unknown for cold starts of either.
    fn add(self, other: Self) -> Self {
        let semi_cold = |counts: &Self| counts.semi_cold.or((counts.cold == 0).then_some(0));
        let is_known = self.semi_cold.is_some() || other.semi_cold.is_some();
        let sum = semi_cold(&self).zip(semi_cold(&other)).map(|(one, other)| one + other);
        Self {
            warm: self.warm + other.warm,
            cold: self.cold + other.cold,
            semi_cold: sum.filter(|_| is_known),
            preinitialized: self.preinitialized + other.preinitialized,
            restored: self.restored + other.restored,
            throttled: self.throttled + other.throttled,
            function_errors: self.function_errors + other.function_errors,
            timed_out: self.timed_out + other.timed_out,
            denied: self.denied + other.denied,
            not_found: self.not_found + other.not_found,
            failed: self.failed + other.failed,
            unclassified: self.unclassified + other.unclassified,
        }
    }
}

/// New environments by kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewEnvironments {
    /// Those that were initialised for a request.
    pub cold: u32,
    /// Those of `cold` whose code was still cached; `None` if the function's threshold is unknown.
    #[serde(default)]
    pub semi_cold: Option<u32>,
    /// Those that were restored from a snapshot.
    #[serde(default)]
    pub restored: u32,
    /// Those whose init began before the request.
    #[serde(default)]
    pub preinitialized: u32,
}

impl NewEnvironments {
    /// Returns the number of new environments of every kind.
    pub fn all(&self) -> u32 {
        self.cold.saturating_add(self.restored).saturating_add(self.preinitialized)
    }

    /// Returns the semi-cold ones as an addition to the number of cold ones, such as ` (2 semi-cold)`; empty without any.
    pub fn of_cold(&self) -> String {
        let semi_cold = self.semi_cold.filter(|number| *number > 0);
        semi_cold.map(|number| format!(" ({} semi-cold)", grouped(number.into()))).unwrap_or_default()
    }

    /// Returns the kinds that there are as texts, such as `3 cold (2 semi-cold)` and `1 preinitialized`.
    pub fn texts(&self) -> impl Iterator<Item = String> {
        let kinds = [
            (self.cold, format!("cold{}", self.of_cold())),
            (self.restored, "restored".to_owned()),
            (self.preinitialized, "preinitialized".to_owned()),
        ];
        let kinds = kinds.into_iter().filter(|(number, _)| *number > 0);
        kinds.map(|(number, kind)| format!("{} {kind}", grouped(number.into())))
    }
}

/// The report of a round, its top-ups included.
#[derive(Debug, Clone, PartialEq)]
pub struct RoundReport {
    /// Pings sent.
    pub pings: u32,
    /// The pings by outcome.
    pub counts: OutcomeCounts,
    /// The longest time that a preinitialized ping can have waited for the handler, network included, without the hold
    /// where a warm ping of the attempt shows that handlers keep it; `None` without any.
    pub waited_at_most: Option<Duration>,
    /// The number of environments proven, `None` if unknown. Never above the truth.
    pub reached: Option<u32>,
    /// The proof of `reached`.
    pub evidence: Evidence,
    /// The reason for which the answers prove less than they seem to.
    pub doubt: Option<Doubt>,
    /// The conclusion: reached, unproven or short.
    pub verdict: Verdict,
    /// The versions that executed, sorted. More than one is a warning.
    pub versions: Vec<String>,
    /// The proof of the environments of each of these versions. Empty in the sum of several rounds.
    pub proofs: Vec<Proof>,
    /// Those of these versions that were pinged by their numbers too, with true if an environment is known that answered
    /// both ways. Empty unless the target is an alias, and in the sum of several rounds.
    pub by_number: BTreeMap<String, bool>,
    /// The hold of the last attempt; `None` if the protocol does not carry one.
    pub hold: Option<Duration>,
    /// The largest skew of an attempt; `None` if unknown.
    pub skew: Option<Duration>,
    /// Pings that preceded the round, of `pings`: to a handler without trust, an inactive function, or a target whose
    /// rounds have failed.
    pub first_pings: u32,
    /// Attempts after the first, 0 to 2.
    pub top_ups: u32,
    /// Pings sent a second time, after HTTP/2 had guaranteed that the first was not processed.
    pub resent: u32,
    /// Requests that Lambda certainly bills: pings that started the function, with any outcome.
    pub requests: u32,
    /// Pings without an answer, which may have started the function.
    pub maybe_requests: u32,
    /// Billed duration, ms, summed over the pings, without the init of provisioned environments; `None` unless known for
    /// every ping that ran or may have run, and at least one ran.
    pub billed_ms: Option<u64>,
    /// Memory in MB of 1,048,576 bytes, from the REPORT lines; the largest if versions differ.
    pub memory_mb: Option<u32>,
    /// New environments, created by pings of any outcome; `None` unless known for every ping that ran or may have run.
    pub cold_starts: Option<u32>,
    /// The sums over the pings with a REPORT line.
    pub sums: ReportSums,
    /// The round by the kind of environment; `None` if nothing indicates provisioned ones.
    pub by_kind: Option<KindReports>,
    /// The failures as text: different messages, each with the number of its pings; and the reason why a round of
    /// several versions is unproven.
    pub messages: Vec<String>,
}

impl RoundReport {
    /// Evaluates the attempts of a round for `desired` environments. `honours_hold` is true if the protocol carries a
    /// hold. `known` has the facts about the target, this round's ids included.
    pub fn new(desired: u32, attempts: &[Attempt], honours_hold: bool, known: Known) -> Self {
        Self::with_first(desired, &[], attempts, honours_hold, known)
    }

    /// Evaluates a round that the pings of `first` preceded. They are counted and cost money, but prove nothing. Without
    /// attempts the round is short.
    pub fn with_first(
        desired: u32,
        first: &[Attempt],
        attempts: &[Attempt],
        honours_hold: bool,
        known: Known,
    ) -> Self {
        let all = [first, attempts].concat();
        let pings = || all.iter().flat_map(|attempt| &attempt.pings);
        let reports = || pings().filter_map(|ping| ping.report.as_ref());

        let doubt = doubt(attempts, known);
        let proof = proven_of(attempts, attempts, doubt);
        let parted = Parted::of(&all, known.provisioned);
        let by_kind = parted.as_ref().map(|parted| parted.report(attempts, doubt, proof));
        let usage = match &by_kind {
            Some(KindReports { parts, .. }) => parts.as_ref().map(|part| part.usage).sum(),
            None => PingUsage::of(pings(), false),
        };
        let new = NewPings::of(&all, parted.as_ref());
        let semi_cold = known.semi_cold_below.map(|threshold| new.cold_below(threshold));
        let last_hold = attempts.last().and_then(|attempt| attempt.hold);
        let versions = versions(pings());
        let proofs = match versions.len() {
            0 | 1 => vec![proof; versions.len()],
            _ => versions
                .iter()
                .map(|version| proven_of(&of_version(attempts, version), attempts, doubt))
                .collect(),
        };
        let mut messages = messages(pings());
        let mut verdict = match attempts {
            [] if !first.is_empty() => Verdict::Short,
            _ => verdict(desired, attempts, proof.environments, doubt),
        };
        if verdict == Verdict::Reached
            && let Some(message) = unproven_versions(desired, &versions, &proofs)
        {
            verdict = Verdict::Unproven;
            messages.push(message);
        }

        Self {
            pings: count(pings().count()),
            counts: OutcomeCounts { semi_cold, ..counts(&all, parted.as_ref()) },
            waited_at_most: new.preinitialized.iter().copied().max(),
            reached: proof.reached(),
            evidence: proof.evidence,
            doubt,
            verdict,
            versions,
            proofs,
            by_number: BTreeMap::new(),
            hold: last_hold.filter(|_| honours_hold),
            skew: attempts.iter().filter_map(skew).max(),
            first_pings: count(first.iter().map(|attempt| attempt.pings.len()).sum()),
            top_ups: count(attempts.len().saturating_sub(1)),
            resent: all.iter().map(|attempt| attempt.resent).sum(),
            requests: usage.requests,
            maybe_requests: usage.maybe_requests,
            billed_ms: usage.billed_ms(),
            memory_mb: reports().filter_map(|report| report.memory_mb).max(),
            cold_starts: usage.cold_starts,
            sums: usage.sums,
            by_kind,
            messages,
        }
    }

    /// Returns the usage of the round at `target`, as far as it is known. Configured memory takes precedence over that
    /// of the REPORT lines.
    pub fn quantities(&self, target: &Target) -> RoundQuantities {
        let Self { requests, maybe_requests, cold_starts, sums, .. } = *self;
        let of = |usage: PingUsage| self.quantities_of(usage, target);
        let by_kind = self.by_kind.as_ref().map(|kinds| kinds.parts.as_ref().map(|part| of(part.usage)));
        let whole = of(PingUsage { requests, maybe_requests, cold_starts, sums });
        RoundQuantities { by_kind: by_kind.map(Box::new), ..whole }
    }

    fn quantities_of(&self, usage: PingUsage, target: &Target) -> RoundQuantities {
        let downloads = &target.downloads;
        let requests = u64::from(usage.requests);
        let most_requests = requests + u64::from(usage.maybe_requests);
        let sums = &usage.sums;
        // Pings that ran, or may have run, for an unknown time.
        let unreported = most_requests.saturating_sub(u64::from(sums.pings));
        let longest_ms = match (unreported, target.timeout) {
            (0, _) => Some(0),
            (_, Some(timeout)) => u64::try_from((timeout + timeout.max(LONGEST_INIT)).as_millis()).ok(),
            (_, None) => None,
        };
        let s3 = |pings, cold_starts| s3_quantities(downloads, pings, Some(cold_starts)).unwrap_or_default();
        let known = usage.maybe_requests == 0;
        let of_tenant = |environments| if target.tenant().is_some() { environments } else { 0 };
        let tenant_environments = match target.tenant() {
            Some(_) => usage.cold_starts.map(u64::from).filter(|_| known),
            None => Some(0),
        };
        RoundQuantities {
            requests: known.then_some(requests),
            billed_ms: usage.billed_ms(),
            memory_mb: target.memory_mb.or(self.memory_mb),
            s3: if known || downloads.is_empty() {
                s3_quantities(downloads, requests, usage.cold_starts.map(u64::from))
            } else {
                None
            },
            tenant_environments,
            least: Usage {
                requests,
                billed_ms: sums.billed_ms,
                s3: s3(requests, u64::from(sums.cold_starts)),
                tenant_environments: of_tenant(u64::from(sums.cold_starts)),
            },
            most: longest_ms.map(|longest_ms| Usage {
                requests: most_requests,
                billed_ms: sums.billed_ms.saturating_add(longest_ms.saturating_mul(unreported)),
                s3: s3(most_requests, u64::from(sums.cold_starts) + unreported),
                tenant_environments: of_tenant(u64::from(sums.cold_starts) + unreported),
            }),
            by_kind: None,
        }
    }
}

/// The times for which pings to new environments waited, without provisioned ones.
#[derive(Debug, Default)]
struct NewPings {
    /// The probable times.
    cold: Vec<Duration>,
    /// The longest possible times.
    preinitialized: Vec<Duration>,
}

impl NewPings {
    /// Returns those of the attempts `all`, which `parted` has by kind.
    fn of(all: &[Attempt], parted: Option<&Parted>) -> Self {
        let mut new = Self::default();
        let on_demand = parted.map_or(all, |parted| &parted.attempts.on_demand);
        for (whole, part) in all.iter().zip(on_demand) {
            let held = certain_hold(whole);
            for ping in &part.pings {
                match ping.outcome {
                    Outcome::Cold => new.cold.push(probably_waited(ping, whole)),
                    Outcome::Preinitialized => new.preinitialized.push(waited(ping, held)),
                    _ => {}
                }
            }
        }
        new
    }

    /// Returns the number of cold starts below `threshold`.
    fn cold_below(&self, threshold: Duration) -> u32 {
        count(self.cold.iter().filter(|waited| **waited < threshold).count())
    }
}

/// Counts the pings by outcome. A ping is warm if its environment was provisioned, even with an init in its REPORT
/// line: that init happened before.
fn counts(attempts: &[Attempt], parted: Option<&Parted>) -> OutcomeCounts {
    let mut counts = OutcomeCounts::default();
    let (provisioned, others) = parted.map_or((&[][..], attempts), |parted| {
        (&parted.attempts.provisioned[..], &parted.attempts.on_demand[..])
    });
    for ping in provisioned.iter().flat_map(|attempt| &attempt.pings) {
        counts.count(if ping.outcome.is_new() { &Outcome::Warm } else { &ping.outcome });
    }
    others.iter().flat_map(|attempt| &attempt.pings).for_each(|ping| counts.count(&ping.outcome));
    counts
}

/// Returns the verdict: short when a ping failed, or when every ping has an id and the ids are too few. A lower bound
/// that is too low does not make a round short, and neither do doubtful ids or ids that a better proof contradicts.
fn verdict(desired: u32, attempts: &[Attempt], proven: u32, doubt: Option<Doubt>) -> Verdict {
    let pings = || attempts.iter().flat_map(|attempt| &attempt.pings);
    if pings().any(|ping| ping.outcome.is_failure()) {
        return Verdict::Short;
    }
    if proven >= desired {
        return Verdict::Reached;
    }
    let all_have_ids = pings().all(|ping| ping.environment.is_some()) && pings().next().is_some();
    if doubt.is_none() && all_have_ids && distinct_ids(attempts, |_| true) < desired {
        Verdict::Short
    } else {
        Verdict::Unproven
    }
}

fn versions<'a>(pings: impl Iterator<Item = &'a PingResult>) -> Vec<String> {
    let mut versions: Vec<&String> = Vec::new();
    for version in pings.filter_map(|ping| ping.version.as_ref()) {
        if !versions.contains(&version) {
            versions.push(version);
        }
    }
    // Shorter first: 7 before 10, and `$LATEST` last.
    versions.sort_by_key(|version| (version.len(), *version));
    versions.into_iter().cloned().collect()
}

/// Returns the pings of one version. Each attempt stays, with some of its pings.
fn of_version(attempts: &[Attempt], version: &str) -> Vec<Attempt> {
    let is_its = |ping: &&PingResult| ping.version.as_deref() == Some(version);
    let part = |attempt: &Attempt| Attempt {
        pings: attempt.pings.iter().filter(is_its).cloned().collect(),
        ..*attempt
    };
    attempts.iter().map(part).collect()
}

/// Returns the message about a round that several versions executed, one of them with fewer proven environments than
/// desired: its users may meet cold starts. `None` for other rounds.
fn unproven_versions(desired: u32, versions: &[String], proofs: &[Proof]) -> Option<String> {
    if versions.len() < 2 || proofs.iter().all(|proof| proof.environments >= desired) {
        return None;
    }
    let each = versions.iter().zip(proofs);
    let each: Vec<String> =
        each.map(|(version, proof)| format!("{} of version {version}", proof.environments)).collect();
    Some(format!(
        "several versions executed, and each needs {desired} environments: proven are {}",
        each.join(", ")
    ))
}

fn messages<'a>(pings: impl Iterator<Item = &'a PingResult>) -> Vec<String> {
    let mut kinds: Vec<(String, u32)> = Vec::new();
    let mut others = 0_u32;
    for text in pings.filter_map(describe) {
        let full = kinds.len() == MOST_MESSAGES;
        match kinds.iter_mut().find(|(known, _)| *known == text) {
            Some((_, pings)) => *pings += 1,
            None if full => others += 1,
            None => kinds.push((text, 1)),
        }
    }
    let mut lines: Vec<String> = kinds.into_iter().map(|(text, n)| format!("{} {text}", plural(n))).collect();
    if others > 0 {
        lines.push(format!("{} with other messages", plural(others)));
    }
    lines
}

fn plural(pings: u32) -> String {
    if pings == 1 { "1 ping".to_owned() } else { format!("{pings} pings") }
}

fn describe(ping: &PingResult) -> Option<String> {
    let message = ping.message.as_deref().map(without_request_id);
    let (kind, detail) = match &ping.outcome {
        Outcome::Warm | Outcome::Cold | Outcome::Preinitialized | Outcome::Restored => return None,
        Outcome::Throttled { reason } => ("throttled", reason.as_deref().or(message.as_deref())),
        Outcome::FunctionError { kind } => {
            return Some(match message {
                Some(message) => format!("ended in a function error: {kind}: {message}"),
                None => format!("ended in a function error: {kind}"),
            });
        }
        Outcome::TimedOut => ("timed out", message.as_deref()),
        Outcome::Denied => ("denied", message.as_deref()),
        Outcome::NotFound => ("not found", message.as_deref()),
        Outcome::Inactive { detail } | Outcome::Failed { detail } => ("failed", Some(detail.as_str())),
        Outcome::Unclassified => {
            ("unclassified", message.as_deref().or(Some("no readable REPORT line in the log tail")))
        }
    };
    Some(match detail {
        Some(detail) => format!("{kind}: {detail}"),
        None => kind.to_owned(),
    })
}

/// Removes the request's id, and the time before it, from the beginning of a message of Lambda. Without them
/// the same failure of a hundred pings is one message.
fn without_request_id(message: &str) -> String {
    let is_id = |word: &str| {
        word.len() == 36 && word.chars().all(|c| c == '-' || c.is_ascii_hexdigit()) && word.contains('-')
    };
    let is_time = |word: &str| word.ends_with('Z') && word.contains('T') && word.starts_with("20");
    let mut words: Vec<&str> = message.split(' ').collect();
    let Some(id) = words.iter().take(3).position(|word| is_id(word)) else { return message.to_owned() };
    if words.iter().take(id).all(|word| *word == "RequestId:" || is_time(word)) {
        words.drain(..=id);
        if words.first() == Some(&"Error:") {
            words.remove(0);
        }
    }
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;
    use crate::domain::cost::{Download, Per, Route};
    use crate::domain::round::Ran;
    use crate::domain::round::model::{attempt, ping};

    fn warm(id: Option<&str>) -> PingResult {
        let mut ping = ping(Outcome::Warm, 0.0, 60.0, 1.0);
        ping.environment = id.map(str::to_owned);
        ping
    }

    fn report(desired: u32, pings: Vec<PingResult>) -> RoundReport {
        RoundReport::new(desired, &[attempt(pings)], true, Known::default())
    }

    #[test]
    fn a_round_of_several_versions_is_reached_only_if_each_is_proven() {
        let of = |pings: &[(&str, &str)]| {
            let ping = |(id, version): &(&str, &str)| PingResult {
                version: Some((*version).to_owned()),
                ..warm(Some(id))
            };
            pings.iter().map(ping).collect::<Vec<_>>()
        };
        let proofs = |report: &RoundReport| -> Vec<u32> {
            report.proofs.iter().map(|proof| proof.environments).collect()
        };
        let one = report(2, of(&[("a", "7"), ("b", "7")]));
        assert_eq!((one.verdict, proofs(&one)), (Verdict::Reached, vec![2]));
        let split = report(2, of(&[("a", "7"), ("b", "8")]));
        assert_eq!((split.verdict, split.reached, proofs(&split)), (Verdict::Unproven, Some(2), vec![1, 1]));
        assert_snapshot!(split.messages.join("\n"), @"several versions executed, and each needs 2 environments: proven are 1 of version 7, 1 of version 8");
        // A top-up reached the other environments.
        let attempts = [attempt(of(&[("a", "7"), ("b", "8")])), attempt(of(&[("c", "7"), ("d", "8")]))];
        let both = RoundReport::new(2, &attempts, true, Known::default());
        assert_eq!((both.verdict, proofs(&both), both.messages.len()), (Verdict::Reached, vec![2, 2], 0));
        // The first ping executed a version of which nothing is proven.
        let first = [attempt(of(&[("x", "8")]))];
        let after = RoundReport::with_first(1, &first, &[attempt(of(&[("a", "7")]))], true, Known::default());
        assert_eq!((after.verdict, proofs(&after)), (Verdict::Unproven, vec![1, 0]));
    }

    #[test]
    fn a_round_is_reached_when_the_desired_number_is_proven() {
        let report = report(2, vec![warm(Some("a")), warm(Some("b"))]);
        assert_eq!(
            (report.verdict, report.reached, report.evidence),
            (Verdict::Reached, Some(2), Evidence::Ids)
        );
    }

    #[test]
    fn too_few_distinct_ids_make_a_round_short() {
        let pings = vec![warm(Some("a")), warm(Some("a"))];
        let short = report(2, pings.clone());
        assert_eq!((short.verdict, short.reached), (Verdict::Short, Some(1)));
        // A top-up may reach the missing one: ids are united.
        let topped = RoundReport::new(
            2,
            &[attempt(pings), attempt([warm(Some("a")), warm(Some("b"))])],
            true,
            Known::default(),
        );
        assert_eq!((topped.verdict, topped.reached, topped.top_ups), (Verdict::Reached, Some(2), 1));
        assert_eq!((topped.pings, topped.counts.warm), (4, 4));
    }

    #[test]
    fn a_lower_bound_that_is_too_low_is_unproven() {
        let some = report(3, vec![warm(Some("a")), warm(Some("b")), warm(None)]);
        assert_eq!((some.verdict, some.reached), (Verdict::Unproven, Some(2)));
        let unknown = report(1, vec![ping(Outcome::Unclassified, 0.0, 1.0, 0.0)]);
        assert_eq!((unknown.verdict, unknown.reached), (Verdict::Unproven, None));
        assert_eq!(unknown.evidence, Evidence::Unknown);
        assert_eq!(RoundReport::new(1, &[], true, Known::default()).verdict, Verdict::Unproven);
    }

    #[test]
    fn one_failed_ping_makes_a_round_short() {
        for outcome in [
            Outcome::Throttled { reason: None },
            Outcome::FunctionError { kind: "E".to_owned() },
            Outcome::TimedOut,
            Outcome::Denied,
            Outcome::NotFound,
            Outcome::Failed { detail: "reset".to_owned() },
        ] {
            let report = report(2, vec![warm(Some("a")), warm(Some("b")), ping(outcome, 0.0, 1.0, 0.0)]);
            assert_eq!((report.verdict, report.reached), (Verdict::Short, Some(2)));
        }
    }

    #[test]
    fn counts_money_and_time_add_up_over_attempts() {
        let mut first = attempt([
            ping(Outcome::Cold, 0.0, 900.0, 25.0),
            ping(Outcome::Restored, 0.0, 900.0, 25.0),
            ping(Outcome::Throttled { reason: None }, 0.0, 5.0, 0.0),
            ping(Outcome::TimedOut, 0.0, 5.0, 0.0),
            ping(Outcome::Unclassified, 0.0, 5.0, 0.0),
        ]);
        first.hold = Some(Duration::from_millis(25));
        for (i, version) in ["10", "7", "7", "$LATEST"].iter().enumerate() {
            first.pings[i].version = Some((*version).to_owned());
        }
        let mut second =
            attempt([ping(Outcome::Warm, 0.0, 60.0, 50.2), ping(Outcome::Warm, 4.0, 64.0, 50.2)]);
        second.hold = Some(Duration::from_millis(50));

        let report = RoundReport::new(5, &[first.clone(), second.clone()], true, Known::default());
        let counts = OutcomeCounts {
            warm: 2,
            cold: 1,
            restored: 1,
            throttled: 1,
            timed_out: 1,
            unclassified: 1,
            ..OutcomeCounts::default()
        };
        assert_eq!(report.counts, counts);
        assert_eq!((report.pings, report.requests, report.maybe_requests, report.top_ups), (7, 5, 1, 1));
        assert_eq!(report.memory_mb, Some(128));
        assert_eq!(report.billed_ms, None, "two pings that ran have no REPORT line");
        assert_eq!(report.versions, ["7", "10", "$LATEST"]);
        assert_eq!(report.hold, Some(Duration::from_millis(50)));
        assert_eq!(report.skew, Some(Duration::from_millis(4)));
        assert_eq!(RoundReport::new(5, &[first.clone(), second.clone()], false, Known::default()).hold, None);
        // Without those two: 25 and 25 of the first attempt, ⌈50.2⌉ twice of the second. A throttle bills nothing.
        first.pings.truncate(3);
        assert_eq!(RoundReport::new(5, &[first, second], true, Known::default()).billed_ms, Some(152));
    }

    #[test]
    fn new_environments_are_counted_for_every_outcome() {
        let cold = ping(Outcome::Cold, 0.0, 900.0, 25.0);
        let crashed = PingResult { outcome: Outcome::FunctionError { kind: "E".to_owned() }, ..cold.clone() };
        let restored = ping(Outcome::Restored, 0.0, 900.0, 25.0);
        let denied = ping(Outcome::Denied, 0.0, 1.0, 0.0);
        let known = vec![cold, crashed, restored, warm(None), denied];
        assert_eq!(report(4, known.clone()).cold_starts, Some(3));

        let silent = ping(Outcome::Unclassified, 0.0, 1.0, 0.0);
        assert_eq!(report(4, known.into_iter().chain([silent]).collect()).cold_starts, None);
    }

    /// An answer that broke after the request was written.
    fn broken(may_have_run: bool) -> PingResult {
        let ran = if may_have_run { Ran::Maybe } else { Ran::No };
        PingResult { ran, ..ping(Outcome::Failed { detail: "reset".to_owned() }, 0.0, 5.0, 0.0) }
    }

    #[test]
    fn the_cost_of_a_ping_that_may_have_run_is_unknown() {
        let download = Download { size_bytes: 100, ..Download::example(Route::SameRegion, Per::Ping) };
        let plain = Target::example("f", "eu-west-2", Vec::new());
        let target = Target { timeout: Some(Duration::from_secs(30)), downloads: vec![download], ..plain };

        let used = report(2, vec![warm(None), broken(true)]).quantities(&target);
        assert_eq!((used.requests, used.billed_ms, used.s3), (None, None, None));
        assert_eq!((used.least.requests, used.least.billed_ms, used.least.s3.bytes()), (1, 1, 100));
        let most = used.most.unwrap();
        // 30 s of timeout, and the longest init.
        assert_eq!((most.requests, most.billed_ms, most.s3.bytes()), (2, 160_001, 200));

        let unbounded = Target { timeout: None, ..target.clone() };
        assert_eq!(report(1, vec![broken(true)]).quantities(&unbounded).most, None);
        // It ran, but has no REPORT line.
        let silent = ping(Outcome::Unclassified, 0.0, 1.0, 0.0);
        let used = report(1, vec![silent]).quantities(&target);
        assert_eq!((used.requests, used.billed_ms, used.s3.unwrap().bytes()), (Some(1), None, 100));
        assert_eq!(used.most.unwrap().billed_ms, 160_000);

        let never_sent = report(1, vec![broken(false)]).quantities(&target);
        assert_eq!((never_sent.requests, never_sent.s3.unwrap().bytes()), (Some(0), 0));
        assert_eq!(never_sent.most.unwrap(), Usage::default());
    }

    #[test]
    fn without_a_report_line_figures_are_unknown_and_not_zero() {
        let report = report(1, vec![ping(Outcome::Denied, 0.0, 1.0, 0.0)]);
        assert_eq!((report.billed_ms, report.memory_mb, report.skew), (None, None, None));
        assert_eq!(report.requests, 0);
    }

    #[test]
    fn messages_are_compared_without_the_request_id() {
        let id = "5ddcba94-5de2-421b-b4b0-086e1d345233";
        let failed = |message: String| {
            let mut ping = ping(Outcome::TimedOut, 0.0, 1.0, 0.0);
            ping.message = Some(message);
            ping
        };
        let pings = vec![
            failed(format!("RequestId: {id} Error: Task timed out after 1.00 seconds")),
            failed(format!("2026-11-20T09:00:01.117Z {id} Task timed out after 1.00 seconds")),
            failed("Task timed out after 1.00 seconds".to_owned()),
            failed(format!("order {id} is unknown")),
        ];
        assert_snapshot!(report(4, pings).messages.join("\n"), @r"
        3 pings timed out: Task timed out after 1.00 seconds
        1 ping timed out: order 5ddcba94-5de2-421b-b4b0-086e1d345233 is unknown
        ");
    }

    #[test]
    fn equal_messages_are_counted() {
        let failed = |outcome, message: &str| {
            let mut ping = ping(outcome, 0.0, 1.0, 0.0);
            ping.message = Some(message.to_owned());
            ping
        };
        let throttle = || Outcome::Throttled { reason: Some("CallerRateLimitExceeded".to_owned()) };
        let pings = vec![
            failed(throttle(), "Rate Exceeded."),
            warm(None),
            failed(throttle(), "Rate Exceeded."),
            failed(Outcome::FunctionError { kind: "KeyError".to_owned() }, "'user'"),
            failed(Outcome::Denied, "not authorized to perform lambda:InvokeFunction"),
            ping(Outcome::TimedOut, 0.0, 1.0, 0.0),
            ping(Outcome::Unclassified, 0.0, 1.0, 0.0),
        ];
        assert_snapshot!(report(7, pings).messages.join("\n"), @r"
        2 pings throttled: CallerRateLimitExceeded
        1 ping ended in a function error: KeyError: 'user'
        1 ping denied: not authorized to perform lambda:InvokeFunction
        1 ping timed out
        1 ping unclassified: no readable REPORT line in the log tail
        ");
        let many = (0..20).map(|i| ping(Outcome::Failed { detail: i.to_string() }, 0.0, 1.0, 0.0)).collect();
        let messages = report(20, many).messages;
        assert_eq!(messages.len(), MOST_MESSAGES + 1);
        assert_eq!(messages[MOST_MESSAGES], "12 pings with other messages");
    }
}
