//! Text of `check --live`.

use std::fmt::{self, Write as _};
use std::time::Duration;

use serde::Serialize;

use super::text::{count, elapsed, grouped};
use crate::config::{Problem, Severity};
use crate::domain::clean::clean;
use crate::domain::fleet::Target;
use crate::domain::preflight::{Kind, Model, Peak, Rate, Read, State, Unchecked, Update, Why};

/// Numbers of targets in a comparison with deployed functions.
#[derive(Debug, Serialize)]
pub struct LiveCounts {
    /// Targets that are ever pinged.
    pub targets: usize,
    /// Targets of those that were compared.
    pub compared: usize,
    /// Regions of the targets.
    pub regions: usize,
}

/// Returns the announcement of a long read.
pub fn announcement(reads: usize, takes: Duration) -> String {
    let takes = elapsed(Duration::from_secs(takes.as_secs()));
    format!("reading deployed functions: {}, about {takes}", count(reads as u64, "request"))
}

/// A finding: what does not fit, and what to do about it.
pub fn words(kind: &Kind, target: &Target) -> (String, Option<String>) {
    let region = target.region();
    let it = format!("`{}` in {region}", target.label);
    let number = |number: u32| grouped(number.into());
    let pings = |number: u32| count(number.into(), "ping");
    let plain = |message: String| (message, None);
    let hinted = |message: String, hint: &str| (message, Some(hint.to_owned()));
    match kind {
        Kind::MayNotInvoke { said, arn } => {
            let arn = arn.clone().unwrap_or_else(|| target.arn(None));
            let action = Read::Invoke.action();
            let hint =
                format!("allow {action} on {arn}; `warmd iam` prints the policies\nLambda said: {said}");
            (format!("no permission to invoke {it}"), Some(hint))
        }
        Kind::NoFunction if target.id.qualifier.is_some() => {
            plain(format!("{it} is not there: Lambda knows no such function, version or alias"))
        }
        Kind::NoFunction => plain(format!("{it} is not there: Lambda knows no such function")),
        Kind::NoQualifier => {
            let qualifier = target.id.qualifier.as_ref().map_or("", |qualifier| qualifier.as_str());
            plain(format!("`{}` in {region} has no version or alias `{qualifier}`", target.id.name))
        }
        Kind::State { state, reason } => {
            let (message, hint) = match state {
                State::Inactive => (
                    format!("{it} is inactive: its next invocation fails"),
                    Some("nobody has called it for weeks; that invocation wakes it up".to_owned()),
                ),
                State::Pending => (format!("{it} is still being made: it cannot be invoked yet"), None),
                State::Failed => (format!("{it} could not be made: every invocation fails"), None),
                State::Off | State::Active => (format!("{it} is deactivated or being deleted"), None),
            };
            (message, reason.as_ref().map(|reason| format!("Lambda says: {reason}")).or(hint))
        }
        Kind::Update { update, reason } => {
            let (message, hint) = match update {
                Update::Failed => (
                    format!("the last update of {it} failed: what was deployed before goes on running"),
                    None,
                ),
                Update::InProgress | Update::Successful => (
                    format!("{it} is being updated: what is said of it here may change"),
                    Some("check again when that is done".to_owned()),
                ),
            };
            (message, reason.as_ref().map(|reason| format!("Lambda says: {reason}")).or(hint))
        }
        Kind::Model(Model::Durable) => hinted(
            format!("{it} is a durable function: every ping begins a durable execution"),
            "leave it out of the configuration",
        ),
        Kind::Model(Model::PerTenant) => hinted(
            format!("{it} keeps its tenants apart: Lambda refuses pings, which name no tenant"),
            "leave it out of the configuration",
        ),
        Kind::Model(Model::Managed) => hinted(
            format!("{it} runs on managed instances, which have no cold starts: warming gains nothing"),
            "its function scaling configuration says how many environments there are at least",
        ),
        Kind::Model(Model::SnapStart | Model::OnDemand) => plain(format!(
            "{it} is restored from a snapshot (SnapStart): its cold starts are short already, and warming gains less"
        )),
        Kind::HoldOutlasts { hold, timeout } => plain(format!(
            "a hold of {} outlasts the timeout of {it}, {}: every ping times out",
            elapsed(*hold),
            elapsed(*timeout)
        )),
        Kind::Reserved { reserved: 0, .. } => plain(format!(
            "{it} is switched off: its reserved concurrency is 0, so every invocation is throttled"
        )),
        Kind::Reserved { reserved, wanted } => (
            format!(
                "{it} has a reserved concurrency of {}, and its largest round is {}: {} would be throttled",
                number(*reserved),
                pings(*wanted),
                number(wanted.saturating_sub(*reserved)),
            ),
            Some(format!("reserve more than {}, so that users find room beside a round", number(*wanted))),
        ),
        Kind::ReservedAll { reserved } => hinted(
            format!(
                "a round of {} takes all the reserved concurrency of {it}: users are throttled while it lasts",
                pings(*reserved)
            ),
            "reserve more, or keep fewer warm",
        ),
        Kind::ReservedTogether { reserved, peak } => {
            let short = peak.pings.saturating_sub((*reserved).into());
            let outcome = match short {
                0 => "users are throttled while they last".to_owned(),
                short => format!("{} would be throttled", grouped(short)),
            };
            let message = format!(
                "{} to {} of `{}` fall due together in {region} at {}, the largest round to `{}`; the function has a \
                 reserved concurrency of {}: {outcome}",
                count(peak.pings, "ping"),
                count(peak.targets as u64, "target"),
                target.id.name,
                minute(peak),
                target.label,
                number(*reserved),
            );
            hinted(message, "reserve more, or spread the rounds with `stagger: true`")
        }
        Kind::Account { unreserved, wanted } => hinted(
            format!(
                "a round of {} to {it} is more than the {} that the account has there unreserved",
                pings(*wanted),
                count((*unreserved).into(), "concurrent execution"),
            ),
            "have the quota raised, or keep fewer warm",
        ),
        Kind::Provisioned { provisioned, wanted } if provisioned >= wanted => hinted(
            format!(
                "{it} has {}, and {} to be kept warm: warming gains nothing",
                count((*provisioned).into(), "provisioned environment"),
                if *wanted == 1 { "1 is".to_owned() } else { format!("{} are", number(*wanted)) },
            ),
            "leave it out of the configuration",
        ),
        Kind::Provisioned { provisioned, wanted } => plain(format!(
            "{it} has {}, which take pings first: of {}, {} at most reach others",
            count((*provisioned).into(), "provisioned environment"),
            number(*wanted),
            number(wanted.saturating_sub(*provisioned)),
        )),
        Kind::Memory { deployed, configured } => (
            format!(
                "{it} has {} MB, the configuration says {} MB: its cost is reckoned wrong",
                number(*deployed),
                number(*configured)
            ),
            Some(format!("memory: {deployed}MB")),
        ),
        Kind::Timeout { deployed, configured } => (
            format!(
                "{it} times out after {}, the configuration says {}",
                elapsed(*deployed),
                elapsed(*configured)
            ),
            Some(format!("timeout: {}s", deployed.as_secs())),
        ),
        Kind::Architecture { deployed, configured } => {
            let (deployed, configured) = (deployed.as_str(), configured.as_str());
            (
                format!("{it} is {deployed}, and reckoned as {configured}: its cost is reckoned wrong"),
                Some(format!("architecture: {deployed}")),
            )
        }
        Kind::Crowd { peak, limits, rate, max_in_flight } => {
            let mut message = format!(
                "{} to {} fall due together in {region} at {}, the largest round to `{}`; the account has {} there unreserved",
                count(peak.pings, "ping"),
                count(peak.targets as u64, "target"),
                minute(peak),
                target.label,
                count(limits.unreserved.into(), "concurrent execution"),
            );
            if let Rate::Above(most) = rate {
                let _ = write!(message, ", and takes {} a second", count(*most, "request"));
            }
            let hint = if *max_in_flight > limits.unreserved {
                format!(
                    "lower `limits.max_in_flight` ({}), spread the rounds with `stagger: true`, or have the quota raised",
                    number(*max_in_flight)
                )
            } else {
                format!(
                    "`limits.max_in_flight` ({}) bounds a daemon; shards of the Lambda run side by side: spread the \
                     rounds with `stagger: true`, or have the quota raised",
                    number(*max_in_flight)
                )
            };
            (message, Some(hint))
        }
    }
}

fn minute(peak: &Peak) -> impl fmt::Display {
    peak.minute.instant().format("%Y-%m-%d %H:%M UTC")
}

/// Returns lines for failed reads and the totals. `targets` is the number of configured targets.
pub fn summary(live: &LiveCounts, targets: usize, unchecked: &[Unchecked], problems: &[Problem]) -> String {
    let mut out = String::new();
    for lost in unchecked {
        let _ = writeln!(out, "{}", clean(&not_checked(lost)));
    }
    let idle = targets.saturating_sub(live.targets);
    if idle > 0 {
        let _ = writeln!(out, "skipped: {}, never pinged", count(idle as u64, "target"));
    }
    let of =
        |severity: Severity| problems.iter().filter(|problem| problem.severity == severity).count() as u64;
    let compared = match live.compared == live.targets {
        true => String::new(),
        false => format!("{} of ", grouped(live.compared as u64)),
    };
    let _ = writeln!(
        out,
        "compared {compared}{} in {} with the deployed functions: {}, {}",
        count(live.targets as u64, "target"),
        count(live.regions as u64, "region"),
        count(of(Severity::Error), "error"),
        count(of(Severity::Warning), "warning"),
    );
    out
}

/// Returns failed reads as workflow commands of GitHub Actions, one per line.
pub fn github(unchecked: &[Unchecked]) -> String {
    let mut out = String::new();
    for lost in unchecked {
        let command = if lost.is_failure() { "error" } else { "notice" };
        let _ = writeln!(out, "::{command} title=warmd::{}", super::check::data(&not_checked(lost)));
    }
    out
}

fn not_checked(lost: &Unchecked) -> String {
    let Unchecked { read, why, reason, regions, count: number } = lost;
    let regions: Vec<&str> = regions.iter().map(|region| region.as_str()).collect();
    let regions = regions.join(", ");
    let targets = format!("{} in {regions}", count(*number as u64, "target"));
    let what = match read {
        Read::Invoke => format!("the permission to invoke {targets}"),
        Read::Configuration => format!("the configuration of {targets}"),
        Read::Provisioned => format!("the provisioned concurrency of {targets}"),
        Read::Reserved => format!("the reserved concurrency of {targets}"),
        Read::Account => format!("the account's limits in {regions}"),
    };
    match why {
        Why::Unreachable if *read == Read::Invoke => format!("not compared: {targets}: {reason}"),
        Why::Unreachable | Why::Failed => format!("not checked: {what}: {reason}"),
        Why::Denied => {
            format!("not checked: {what}: no permission for {} (`warmd iam --check-live`)", read.action())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::preflight::AccountLimits;
    use crate::domain::schedule::Minute;

    /// Those that the tests of the command do not show.
    #[test]
    fn every_finding_has_its_words() {
        let target = Target::example("f:live", "eu-west-2", Vec::new());
        let state = |state| Kind::State { state, reason: None };
        let update = |update| Kind::Update { update, reason: Some("Out of space.".to_owned()) };
        let minute = Minute::of("2026-11-30T08:00:00Z".parse().unwrap());
        let peak = move |pings| Peak { minute, pings, targets: 90, largest: 0 };
        let crowd = |pings, max_in_flight, rate| Kind::Crowd {
            peak: peak(pings),
            limits: AccountLimits { concurrent: 1000, unreserved: 900 },
            rate,
            max_in_flight,
        };
        let kinds = [
            Kind::NoFunction,
            state(State::Pending),
            state(State::Failed),
            state(State::Off),
            update(Update::InProgress),
            update(Update::Failed),
            Kind::Model(Model::Durable),
            Kind::Model(Model::PerTenant),
            Kind::Model(Model::Managed),
            Kind::Model(Model::SnapStart),
            Kind::ReservedAll { reserved: 10 },
            Kind::ReservedTogether { reserved: 12, peak: peak(12) },
            Kind::ReservedTogether { reserved: 10, peak: peak(12) },
            Kind::Account { unreserved: 9, wanted: 10 },
            Kind::Provisioned { provisioned: 1, wanted: 1 },
            Kind::Provisioned { provisioned: 4, wanted: 10 },
            crowd(950, 500, Rate::Kept),
            crowd(12_000, 5_000, Rate::Above(10_000)),
        ];
        let mut said = String::new();
        for kind in kinds {
            let (message, hint) = words(&kind, &target);
            let _ = writeln!(said, "{message}");
            if let Some(hint) = hint {
                let _ = writeln!(said, "  {hint}");
            }
        }
        insta::assert_snapshot!(said, @"
        `f:live` in eu-west-2 is not there: Lambda knows no such function, version or alias
        `f:live` in eu-west-2 is still being made: it cannot be invoked yet
        `f:live` in eu-west-2 could not be made: every invocation fails
        `f:live` in eu-west-2 is deactivated or being deleted
        `f:live` in eu-west-2 is being updated: what is said of it here may change
          Lambda says: Out of space.
        the last update of `f:live` in eu-west-2 failed: what was deployed before goes on running
          Lambda says: Out of space.
        `f:live` in eu-west-2 is a durable function: every ping begins a durable execution
          leave it out of the configuration
        `f:live` in eu-west-2 keeps its tenants apart: Lambda refuses pings, which name no tenant
          leave it out of the configuration
        `f:live` in eu-west-2 runs on managed instances, which have no cold starts: warming gains nothing
          its function scaling configuration says how many environments there are at least
        `f:live` in eu-west-2 is restored from a snapshot (SnapStart): its cold starts are short already, and warming gains less
        a round of 10 pings takes all the reserved concurrency of `f:live` in eu-west-2: users are throttled while it lasts
          reserve more, or keep fewer warm
        12 pings to 90 targets of `f` fall due together in eu-west-2 at 2026-11-30 08:00 UTC, the largest round to `f:live`; the function has a reserved concurrency of 12: users are throttled while they last
          reserve more, or spread the rounds with `stagger: true`
        12 pings to 90 targets of `f` fall due together in eu-west-2 at 2026-11-30 08:00 UTC, the largest round to `f:live`; the function has a reserved concurrency of 10: 2 would be throttled
          reserve more, or spread the rounds with `stagger: true`
        a round of 10 pings to `f:live` in eu-west-2 is more than the 9 concurrent executions that the account has there unreserved
          have the quota raised, or keep fewer warm
        `f:live` in eu-west-2 has 1 provisioned environment, and 1 is to be kept warm: warming gains nothing
          leave it out of the configuration
        `f:live` in eu-west-2 has 4 provisioned environments, which take pings first: of 10, 6 at most reach others
        950 pings to 90 targets fall due together in eu-west-2 at 2026-11-30 08:00 UTC, the largest round to `f:live`; the account has 900 concurrent executions there unreserved
          `limits.max_in_flight` (500) bounds a daemon; shards of the Lambda run side by side: spread the rounds with `stagger: true`, or have the quota raised
        12,000 pings to 90 targets fall due together in eu-west-2 at 2026-11-30 08:00 UTC, the largest round to `f:live`; the account has 900 concurrent executions there unreserved, and takes 10,000 requests a second
          lower `limits.max_in_flight` (5,000), spread the rounds with `stagger: true`, or have the quota raised
        ");
    }

    #[test]
    fn ten_thousand_targets_are_announced_with_their_time() {
        assert_eq!(
            announcement(30_001, Duration::from_millis(3_000_000)),
            "reading deployed functions: 30,001 requests, about 50m"
        );
    }
}
