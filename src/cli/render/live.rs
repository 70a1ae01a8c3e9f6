//! Text of `check --live`.

use std::fmt::Write as _;
use std::time::Duration;

use serde::Serialize;

use super::text::{count, elapsed, grouped};
use crate::config::{Problem, Severity};
use crate::domain::clean::clean;
use crate::domain::fleet::Target;
use crate::domain::guard::Capped;
use crate::domain::preflight::{Read, Unchecked, UncheckedReason};

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

/// The maximum number of targets whose reduction is listed.
const SHRINKS: usize = 20;

/// A target with the reduction of its largest round.
pub type Shrink<'f> = (&'f Target, Capped);

/// Returns a line for each target whose rounds ticks lower.
pub fn shrinks(shrinks: &[Shrink<'_>]) -> String {
    let mut out = String::new();
    for (target, Capped { from, to, by }) in shrinks.iter().take(SHRINKS) {
        let (from, to) = (grouped((*from).into()), grouped((*to).into()));
        let _ = writeln!(out, "shrinks: {} from {from} to {to} by `{by}`", clean(&target.id.to_string()));
    }
    if let Some(more @ 1..) = shrinks.len().checked_sub(SHRINKS) {
        let _ = writeln!(out, "shrinks: … and {}, see --format json", count(more as u64, "more target"));
    }
    out
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

/// Returns the line of a failed read.
pub fn not_checked(lost: &Unchecked) -> String {
    let Unchecked { read, why, reason, regions, count: number } = lost;
    let regions: Vec<&str> = regions.iter().map(|region| region.as_str()).collect();
    let regions = regions.join(", ");
    let targets = format!("{} in {regions}", count(*number as u64, "target"));
    let what = match read {
        Read::Invoke => format!("the permission to invoke {targets}"),
        Read::Configuration => format!("the configuration of {targets}"),
        Read::Alias => format!("the versions behind the alias of {targets}"),
        Read::Provisioned => format!("the provisioned concurrency of {targets}"),
        Read::Reserved => format!("the reserved concurrency of {targets}"),
        Read::Account => format!("the account's limits in {regions}"),
    };
    match why {
        UncheckedReason::Unreachable if *read == Read::Invoke => format!("not compared: {targets}: {reason}"),
        UncheckedReason::Unreachable | UncheckedReason::Failed => format!("not checked: {what}: {reason}"),
        UncheckedReason::Denied => {
            let guards = match read.guards() {
                [] => String::new(),
                guards => format!("; without it these guards of a tick are off: {}", guards.join(", ")),
            };
            format!(
                "not checked: {what}: no permission for {} (`warmd iam --check-live`){guards}",
                read.action()
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_thousand_targets_are_announced_with_their_time() {
        assert_eq!(
            announcement(30_001, Duration::from_millis(3_000_000)),
            "reading deployed functions: 30,001 requests, about 50m"
        );
    }
}
