//! What `check --live` says.

use std::fmt::Write as _;
use std::time::Duration;

use super::text::{count, elapsed, grouped};
use crate::cli::live::LiveObject;
use crate::config::{Problem, Severity};
use crate::domain::clean::clean;
use crate::domain::preflight::{Read, Unchecked, UncheckedReason};

/// That reading takes a while.
pub fn announced(reads: usize, takes: Duration) -> String {
    let takes = elapsed(Duration::from_secs(takes.as_secs()));
    format!("reading what is deployed: {}, about {takes}", count(reads as u64, "request"))
}

/// What could not be read, and the sums. `targets` are all there are. Ends with a line feed.
pub fn summary(live: &LiveObject, targets: usize, unchecked: &[Unchecked], problems: &[Problem]) -> String {
    let mut out = String::new();
    for lost in unchecked {
        let _ = writeln!(out, "{}", clean(&not_checked(lost)));
    }
    let idle = targets.saturating_sub(live.targets);
    if idle > 0 {
        let _ = writeln!(out, "left out: {}, never pinged", count(idle as u64, "target"));
    }
    let of =
        |severity: Severity| problems.iter().filter(|problem| problem.severity == severity).count() as u64;
    let compared = match live.compared == live.targets {
        true => String::new(),
        false => format!("{} of ", grouped(live.compared as u64)),
    };
    let _ = writeln!(
        out,
        "{compared}{} in {} compared with what is deployed: {}, {}",
        count(live.targets as u64, "target"),
        count(live.regions as u64, "region"),
        count(of(Severity::Error), "error"),
        count(of(Severity::Warning), "warning"),
    );
    out
}

/// What could not be read, as workflow commands of GitHub Actions, one a line.
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
        UncheckedReason::Unreachable if *read == Read::Invoke => format!("not compared: {targets}: {reason}"),
        UncheckedReason::Unreachable | UncheckedReason::Failed => format!("not checked: {what}: {reason}"),
        UncheckedReason::Denied => {
            format!("not checked: {what}: no permission for {} (`warmd iam --check-live`)", read.action())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_thousand_targets_are_announced_with_their_time() {
        assert_eq!(
            announced(30_001, Duration::from_millis(3_000_000)),
            "reading what is deployed: 30,001 requests, about 50m"
        );
    }
}
