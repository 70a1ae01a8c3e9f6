//! The usage of pings, by their answers and REPORT lines.

use std::ops::Add;

use super::evidence::count;
use super::{PingResult, Ran};

/// The usage of some pings.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PingUsage {
    /// Requests that Lambda certainly bills: pings that started the function, with any outcome.
    pub requests: u32,
    /// Pings without an answer, which may have started the function.
    pub maybe_requests: u32,
    /// Environments created by the pings; `None` unless known for every ping that ran or may have run. Zero for
    /// provisioned environments, which exist before their first ping.
    pub cold_starts: Option<u32>,
    /// The sums over the pings with a REPORT line.
    pub sums: ReportSums,
}

impl PingUsage {
    /// Returns the usage of pings on environments that are all provisioned, or all on demand.
    pub(super) fn of<'a>(pings: impl Iterator<Item = &'a PingResult> + Clone, provisioned: bool) -> Self {
        let ran = |ran| count(pings.clone().filter(|ping| ping.ran == ran).count());
        let sums = ReportSums::of(pings.clone(), provisioned);
        let mut usage =
            Self { requests: ran(Ran::Yes), maybe_requests: ran(Ran::Maybe), cold_starts: Some(0), sums };
        if !provisioned {
            usage.cold_starts = usage.all_reported().then_some(sums.cold_starts);
        }
        usage
    }

    /// Returns the billed duration, ms; `None` unless known for every ping that ran or may have run, and at least one
    /// ran. A sum over some of the pings could be far too low: a ping without an answer may be billed for 900 s.
    pub fn billed_ms(&self) -> Option<u64> {
        (self.all_reported() && self.sums.pings > 0).then_some(self.sums.billed_ms)
    }

    fn all_reported(&self) -> bool {
        self.sums.pings == self.requests.saturating_add(self.maybe_requests)
    }
}

impl Add for PingUsage {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            requests: self.requests + other.requests,
            maybe_requests: self.maybe_requests + other.maybe_requests,
            cold_starts: self.cold_starts.zip(other.cold_starts).map(|(one, other)| one + other),
            sums: self.sums + other.sums,
        }
    }
}

/// The sums of a round's REPORT lines.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReportSums {
    /// Pings with a REPORT line.
    pub pings: u32,
    /// Their billed duration, ms.
    pub billed_ms: u64,
    /// The number of them that created a new environment.
    pub cold_starts: u32,
}

impl Add for ReportSums {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            pings: self.pings + other.pings,
            billed_ms: self.billed_ms.saturating_add(other.billed_ms),
            cold_starts: self.cold_starts + other.cold_starts,
        }
    }
}

impl ReportSums {
    /// Sums the REPORT lines of pings on environments that are all provisioned, or all on demand. The init of a
    /// provisioned environment is no cold start, and it is billed with the environment instead of the ping.
    pub(super) fn of<'a>(pings: impl Iterator<Item = &'a PingResult>, provisioned: bool) -> Self {
        let reports = pings.filter(|ping| ping.ran != Ran::No).filter_map(|ping| ping.report.as_ref());
        reports.fold(Self::default(), |sums, report| {
            // A run that failed or timed out may have begun with a cold start and its downloads too.
            let is_new = report.init_ms.is_some() || report.restore_ms.is_some();
            let billed_ms = if provisioned && is_new {
                report.billed_ms.min(report.duration_ms.ceil() as u64)
            } else {
                report.billed_ms
            };
            Self {
                pings: sums.pings + 1,
                billed_ms: sums.billed_ms.saturating_add(billed_ms),
                cold_starts: sums.cold_starts + u32::from(is_new && !provisioned),
            }
        })
    }
}
