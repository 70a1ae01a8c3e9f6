//! What is said about a round.

use std::time::Duration;

use super::doubt::{Doubt, doubt};
use super::evidence::distinct_ids;
use super::{Attempt, Known, Outcome, PingResult, Ran, proven, skew};
use crate::domain::cost::{RoundQuantities, Usage, s3_quantities};
use crate::domain::fleet::Target;
use crate::domain::tick::{Evidence, Verdict};

/// So many different messages are kept; a broken round may have one for each ping.
const MOST_MESSAGES: usize = 8;

/// The longest init that comes before an invocation and is billed with it: 130 s, or the function's timeout
/// when that is longer. Source: the lifecycle of the execution environment in Lambda's developer guide. It is the
/// longest of its limits; most functions have 10 s.
const LONGEST_INIT: Duration = Duration::from_secs(130);

/// Pings by outcome.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OutcomeCounts {
    /// [`Outcome::Warm`].
    pub warm: u32,
    /// [`Outcome::Cold`].
    pub cold: u32,
    /// [`Outcome::Restored`].
    pub restored: u32,
    /// [`Outcome::Throttled`].
    pub throttled: u32,
    /// [`Outcome::FunctionError`].
    pub function_errors: u32,
    /// [`Outcome::TimedOut`].
    pub timed_out: u32,
    /// [`Outcome::Denied`].
    pub denied: u32,
    /// [`Outcome::NotFound`].
    pub not_found: u32,
    /// [`Outcome::Failed`].
    pub failed: u32,
    /// [`Outcome::Unclassified`].
    pub unclassified: u32,
}

impl OutcomeCounts {
    fn add(&mut self, outcome: &Outcome) {
        *match outcome {
            Outcome::Warm => &mut self.warm,
            Outcome::Cold => &mut self.cold,
            Outcome::Restored => &mut self.restored,
            Outcome::Throttled { .. } => &mut self.throttled,
            Outcome::FunctionError { .. } => &mut self.function_errors,
            Outcome::TimedOut => &mut self.timed_out,
            Outcome::Denied => &mut self.denied,
            Outcome::NotFound => &mut self.not_found,
            Outcome::Failed { .. } => &mut self.failed,
            Outcome::Unclassified => &mut self.unclassified,
        } += 1;
    }
}

/// What is said about a round, its top-ups included.
#[derive(Debug, Clone, PartialEq)]
pub struct RoundReport {
    /// Environments wanted.
    pub concurrency: u32,
    /// Pings sent.
    pub pings: u32,
    /// What became of them.
    pub counts: OutcomeCounts,
    /// Environments proven, none when unknown. Never above the truth.
    pub reached: Option<u32>,
    /// What proves it.
    pub evidence: Evidence,
    /// Why the answers prove less than they seem to.
    pub doubt: Option<Doubt>,
    /// What is concluded: reached, unproven or short.
    pub verdict: Verdict,
    /// The versions that executed, in order. More than one is worth a warning.
    pub versions: Vec<String>,
    /// The hold of the last attempt; none when the protocol does not carry one.
    pub hold: Option<Duration>,
    /// The largest skew of an attempt; none when unknown.
    pub skew: Option<Duration>,
    /// Attempts after the first, 0 to 2.
    pub top_ups: u32,
    /// Pings sent a second time, after HTTP/2 had guaranteed that the first was not processed.
    pub resent: u32,
    /// Requests that Lambda surely bills: pings that started the function, whatever became of them there.
    pub requests: u32,
    /// Pings that may have started the function as well: no answer tells.
    pub maybe_requests: u32,
    /// Billed duration, ms, summed over the pings; none when a ping that ran, or may have run, did not tell it, and when
    /// none ran.
    pub billed_ms: Option<u64>,
    /// Memory, MB, as the REPORT lines tell it; the largest, should versions differ.
    pub memory_mb: Option<u32>,
    /// New environments, made by pings of whatever outcome; none when a ping that ran, or may have run, did not tell.
    pub cold_starts: Option<u32>,
    /// The sums over those pings that had a REPORT line.
    pub told: Told,
    /// What went wrong, for people: different messages, each with the number of its pings.
    pub messages: Vec<String>,
}

/// The sums of a round's REPORT lines.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Told {
    /// Pings with a REPORT line.
    pub pings: u32,
    /// Their billed duration, ms.
    pub billed_ms: u64,
    /// The number of them that made a new environment.
    pub cold_starts: u32,
}

impl Told {
    fn by<'a>(pings: impl Iterator<Item = &'a PingResult>) -> Self {
        pings.filter(|ping| ping.ran != Ran::No).filter_map(|ping| ping.report.as_ref()).fold(
            Self::default(),
            |told, report| Self {
                pings: told.pings + 1,
                billed_ms: told.billed_ms.saturating_add(report.billed_ms),
                // A function that failed or ran out of time may have begun with a cold start too, and downloaded what
                // that downloads.
                cold_starts: told.cold_starts
                    + u32::from(report.init_ms.is_some() || report.restore_ms.is_some()),
            },
        )
    }
}

impl RoundReport {
    /// The report of a round for `concurrency` environments. `honours_hold` says whether the protocol carries a hold,
    /// `known` what was known of the target before, or from this round's ids.
    pub fn new(concurrency: u32, attempts: &[Attempt], honours_hold: bool, known: Known) -> Self {
        let pings = || attempts.iter().flat_map(|attempt| &attempt.pings);
        let reports = || pings().filter_map(|ping| ping.report.as_ref());

        let mut counts = OutcomeCounts::default();
        pings().for_each(|ping| counts.add(&ping.outcome));
        let proof = proven(attempts, known);
        let doubt = doubt(attempts, known);
        let ran = |ran| count(pings().filter(|ping| ping.ran == ran).count());
        let (requests, maybe_requests) = (ran(Ran::Yes), ran(Ran::Maybe));
        let told = Told::by(pings());
        // The sum of some pings would pass for the whole: a ping without an answer may have been billed for 900 s.
        let all_told = told.pings == requests.saturating_add(maybe_requests);
        let last_hold = attempts.last().and_then(|attempt| attempt.hold);

        Self {
            concurrency,
            pings: count(pings().count()),
            counts,
            reached: proof.reached(),
            evidence: proof.evidence,
            doubt,
            verdict: verdict(concurrency, attempts, proof.environments, doubt),
            versions: versions(pings()),
            hold: last_hold.filter(|_| honours_hold),
            skew: attempts.iter().filter_map(skew).max(),
            top_ups: count(attempts.len().saturating_sub(1)),
            resent: attempts.iter().map(|attempt| attempt.resent).sum(),
            requests,
            maybe_requests,
            billed_ms: (all_told && told.pings > 0).then_some(told.billed_ms),
            memory_mb: reports().filter_map(|report| report.memory_mb).max(),
            cold_starts: all_told.then_some(told.cold_starts),
            told,
            messages: messages(pings()),
        }
    }

    /// What the round used at `target`, as far as it is known: what its cost is made of. Configured memory goes
    /// before what the REPORT lines say.
    pub fn quantities(&self, target: &Target) -> RoundQuantities {
        let downloads = &target.downloads;
        let requests = u64::from(self.requests);
        let most_requests = requests + u64::from(self.maybe_requests);
        let told = &self.told;
        // Pings that ran, or may have run, and did not tell for how long.
        let silent = most_requests.saturating_sub(u64::from(told.pings));
        let longest_ms = match (silent, target.timeout) {
            (0, _) => Some(0),
            (_, Some(timeout)) => u64::try_from((timeout + timeout.max(LONGEST_INIT)).as_millis()).ok(),
            (_, None) => None,
        };
        let s3 = |pings, cold_starts| s3_quantities(downloads, pings, Some(cold_starts)).unwrap_or_default();
        let known = self.maybe_requests == 0;
        RoundQuantities {
            requests: known.then_some(requests),
            billed_ms: self.billed_ms,
            memory_mb: target.memory_mb.or(self.memory_mb),
            s3: if known || downloads.is_empty() {
                s3_quantities(downloads, requests, self.cold_starts.map(u64::from))
            } else {
                None
            },
            least: Usage {
                requests,
                billed_ms: told.billed_ms,
                s3: s3(requests, u64::from(told.cold_starts)),
            },
            most: longest_ms.map(|longest_ms| Usage {
                requests: most_requests,
                billed_ms: told.billed_ms.saturating_add(longest_ms.saturating_mul(silent)),
                s3: s3(most_requests, u64::from(told.cold_starts) + silent),
            }),
        }
    }
}

/// Short when a ping failed, or when every ping told its environment and they are too few. A mere lower bound that is
/// too low proves nothing of the kind; and ids that are in doubt, or that a better proof contradicts, prove nothing either.
fn verdict(concurrency: u32, attempts: &[Attempt], proven: u32, doubt: Option<Doubt>) -> Verdict {
    let pings = || attempts.iter().flat_map(|attempt| &attempt.pings);
    if pings().any(|ping| ping.outcome.is_failure()) {
        return Verdict::Short;
    }
    if proven >= concurrency {
        return Verdict::Reached;
    }
    let all_told = pings().all(|ping| ping.environment.is_some()) && pings().next().is_some();
    if doubt.is_none() && all_told && distinct_ids(attempts, |_| true) < concurrency {
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
    let (what, detail) = match &ping.outcome {
        Outcome::Warm | Outcome::Cold | Outcome::Restored => return None,
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
        Outcome::Failed { detail } => ("failed", Some(detail.as_str())),
        Outcome::Unclassified => {
            ("unclassified", message.as_deref().or(Some("no readable REPORT line in the log tail")))
        }
    };
    Some(match detail {
        Some(detail) => format!("{what}: {detail}"),
        None => what.to_owned(),
    })
}

/// Lambda begins its own messages with the request's id, sometimes with the time before it. Without them the same
/// mishap of a hundred pings is one message.
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

fn count(pings: usize) -> u32 {
    u32::try_from(pings).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;
    use crate::domain::cost::{Download, Per, Route};
    use crate::domain::round::model::{attempt, ping};

    fn warm(id: Option<&str>) -> PingResult {
        let mut ping = ping(Outcome::Warm, 0.0, 60.0, 1.0);
        ping.environment = id.map(str::to_owned);
        ping
    }

    fn report(concurrency: u32, pings: Vec<PingResult>) -> RoundReport {
        RoundReport::new(concurrency, &[attempt(pings)], true, Known::default())
    }

    #[test]
    fn reached_when_as_many_are_proven_as_wanted() {
        let report = report(2, vec![warm(Some("a")), warm(Some("b"))]);
        assert_eq!(
            (report.verdict, report.reached, report.evidence),
            (Verdict::Reached, Some(2), Evidence::Ids)
        );
    }

    #[test]
    fn ids_by_every_ping_that_are_too_few_are_short() {
        let pings = vec![warm(Some("a")), warm(Some("a"))];
        let short = report(2, pings.clone());
        assert_eq!((short.verdict, short.reached), (Verdict::Short, Some(1)));
        // A top-up may find the missing one: ids are united.
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
        assert_eq!(report.billed_ms, None, "two pings that ran did not tell theirs");
        assert_eq!(report.versions, ["7", "10", "$LATEST"]);
        assert_eq!(report.hold, Some(Duration::from_millis(50)));
        assert_eq!(report.skew, Some(Duration::from_millis(4)));
        assert_eq!(RoundReport::new(5, &[first.clone(), second.clone()], false, Known::default()).hold, None);
        // Without those two: 25 and 25 of the first attempt, ⌈50.2⌉ twice of the second. A throttle bills nothing.
        first.pings.truncate(3);
        assert_eq!(RoundReport::new(5, &[first, second], true, Known::default()).billed_ms, Some(152));
    }

    #[test]
    fn new_environments_are_counted_whatever_became_of_the_ping() {
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
    fn what_may_have_run_is_not_known_to_have_cost_nothing() {
        let download = Download {
            object: "s3://models/nlp-v7.bin".to_owned(),
            size_bytes: 100,
            route: Route::SameRegion,
            per: Per::Ping,
        };
        let plain = Target::example("f", "eu-west-2", Vec::new());
        let target = Target { timeout: Some(Duration::from_secs(30)), downloads: vec![download], ..plain };

        let used = report(2, vec![warm(None), broken(true)]).quantities(&target);
        assert_eq!((used.requests, used.billed_ms, used.s3), (None, None, None));
        assert_eq!((used.least.requests, used.least.billed_ms, used.least.s3.bytes()), (1, 1, 100));
        let most = used.most.unwrap();
        // 30 s of timeout, and the longest init there is.
        assert_eq!((most.requests, most.billed_ms, most.s3.bytes()), (2, 160_001, 200));

        let unbounded = Target { timeout: None, ..target.clone() };
        assert_eq!(report(1, vec![broken(true)]).quantities(&unbounded).most, None);
        // Ran, but the log tells nothing of its own.
        let silent = ping(Outcome::Unclassified, 0.0, 1.0, 0.0);
        let used = report(1, vec![silent]).quantities(&target);
        assert_eq!((used.requests, used.billed_ms, used.s3.unwrap().bytes()), (Some(1), None, 100));
        assert_eq!(used.most.unwrap().billed_ms, 160_000);

        let never_sent = report(1, vec![broken(false)]).quantities(&target);
        assert_eq!((never_sent.requests, never_sent.s3.unwrap().bytes()), (Some(0), 0));
        assert_eq!(never_sent.most.unwrap(), Usage::default());
    }

    #[test]
    fn nothing_told_is_unknown_and_not_zero() {
        let report = report(1, vec![ping(Outcome::Denied, 0.0, 1.0, 0.0)]);
        assert_eq!((report.billed_ms, report.memory_mb, report.skew), (None, None, None));
        assert_eq!(report.requests, 0);
    }

    #[test]
    fn the_requests_id_does_not_make_messages_different() {
        let id = "5ddcba94-5de2-421b-b4b0-086e1d345233";
        let said = |message: String| {
            let mut ping = ping(Outcome::TimedOut, 0.0, 1.0, 0.0);
            ping.message = Some(message);
            ping
        };
        let pings = vec![
            said(format!("RequestId: {id} Error: Task timed out after 1.00 seconds")),
            said(format!("2026-11-20T09:00:01.117Z {id} Task timed out after 1.00 seconds")),
            said("Task timed out after 1.00 seconds".to_owned()),
            said(format!("order {id} is unknown")),
        ];
        assert_snapshot!(report(4, pings).messages.join("\n"), @r"
        3 pings timed out: Task timed out after 1.00 seconds
        1 ping timed out: order 5ddcba94-5de2-421b-b4b0-086e1d345233 is unknown
        ");
    }

    #[test]
    fn messages_are_told_once_with_their_number() {
        let said = |outcome, message: &str| {
            let mut ping = ping(outcome, 0.0, 1.0, 0.0);
            ping.message = Some(message.to_owned());
            ping
        };
        let throttle = || Outcome::Throttled { reason: Some("CallerRateLimitExceeded".to_owned()) };
        let pings = vec![
            said(throttle(), "Rate Exceeded."),
            warm(None),
            said(throttle(), "Rate Exceeded."),
            said(Outcome::FunctionError { kind: "KeyError".to_owned() }, "'user'"),
            said(Outcome::Denied, "not authorized to perform lambda:InvokeFunction"),
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
