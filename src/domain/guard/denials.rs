//! Versions behind aliases that may not be pinged by their numbers.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};

use crate::domain::function::Identity;
use crate::domain::future::{is_future, later};
use crate::domain::tick::VersionRound;

/// The time after which pings by number are tried again.
const TRY_AFTER: TimeDelta = TimeDelta::hours(1);

/// The versions behind weighted aliases whose pings by number were denied to this process.
#[derive(Debug, Default)]
pub struct Denials {
    /// The time of the denial of each version.
    versions: BTreeMap<Identity, DateTime<Utc>>,
    /// The aliases with a warning since every version was pinged last.
    warned: BTreeSet<Identity>,
}

impl Denials {
    /// Returns true if pings of the version were denied within the last hour.
    pub fn holds(&self, version: &Identity, now: DateTime<Utc>) -> bool {
        self.versions.get(version).is_some_and(|at| !is_future(*at, now) && later(*at, TRY_AFTER) > now)
    }

    /// Notes the rounds of the versions behind an alias. Returns true if a warning is due: a version is denied, for the
    /// first time since every version was pinged.
    pub fn note(&mut self, alias: &Identity, rounds: &[VersionRound], now: DateTime<Utc>) -> bool {
        self.versions.retain(|_, at| !is_future(*at, now) && later(*at, TRY_AFTER) > now);
        for VersionRound { record, .. } in rounds.iter().filter(|round| round.record.sent().is_some()) {
            match record.is_denied() {
                true => self.versions.insert(record.id.clone(), now),
                false => self.versions.remove(&record.id),
            };
        }
        if rounds.iter().any(|round| round.record.is_denied()) {
            return self.warned.insert(alias.clone());
        }
        if rounds.iter().all(|round| round.record.sent().is_some()) {
            self.warned.remove(alias);
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::fleet::Target;
    use crate::domain::round::Verdict;
    use crate::domain::routing::Weight;
    use crate::domain::tick::{RoundOutcome, RoundRecord, SkipReason};

    fn at(minute: i64) -> DateTime<Utc> {
        "2026-11-20T09:00:00Z".parse::<DateTime<Utc>>().unwrap() + TimeDelta::minutes(minute)
    }

    fn target(label: &str) -> Target {
        Target::example(label, "eu-west-2", Vec::new())
    }

    fn round(label: &str, denied: u32) -> VersionRound {
        let mut record = RoundRecord::example(&target(label), 2, Verdict::Short, None);
        let RoundOutcome::Sent(sent) = &mut record.outcome else { panic!() };
        (sent.report.pings, sent.report.counts.denied) = (2, denied);
        VersionRound { weight: Weight::ALL, is_confirmed: false, record }
    }

    #[test]
    fn a_denial_holds_for_an_hour_and_is_warned_about_once() {
        let (alias, mut denials) = (target("f:live").id, Denials::default());
        let version = target("f:8").id;
        assert!(!denials.note(&alias, &[round("f:7", 0), round("f:8", 1)], at(0)), "one ping was not denied");
        assert!(!denials.holds(&version, at(0)));
        assert!(denials.note(&alias, &[round("f:7", 0), round("f:8", 2)], at(0)));
        assert!(denials.holds(&version, at(59)) && !denials.holds(&version, at(60)));
        assert!(!denials.holds(&version, at(-60)), "the clock was set back");
        let remembered = RoundRecord::skipped(&target("f:8"), 2, SkipReason::Denied);
        let remembered = VersionRound { record: remembered, ..round("f:8", 2) };
        assert!(!denials.note(&alias, &[round("f:7", 0), remembered], at(10)));
        assert!(!denials.holds(&version, at(60)), "what was not tried does not extend it");
        assert!(!denials.note(&alias, &[round("f:8", 2)], at(60)), "the same warning");
        assert!(!denials.note(&alias, &[round("f:8", 0)], at(120)));
        assert!(denials.note(&alias, &[round("f:8", 2)], at(121)), "it had worked again");
        assert!(denials.note(&target("f:blue").id, &[round("f:8", 2)], at(121)), "another target");
    }
}
