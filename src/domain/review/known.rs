//! The part of a period that is known: what is recorded, and what needs no record because no window was open.

use std::collections::BTreeSet;

use crate::domain::fleet::{Fleet, Target};
use crate::domain::plan::{Period, planned};
use crate::domain::schedule::Minute;

/// The known part of a period.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Known {
    /// From the first to the last known hour; `None` without a record, unless no window was open.
    pub period: Option<Period>,
    /// The stretches of it without the missing days.
    pub stretches: Vec<Period>,
    /// The UTC days of it without a record on which, by the configuration, a window was open.
    pub missing_days: usize,
}

impl Known {
    /// Returns what is known of a period with these recorded hours, in hours since the Unix epoch.
    ///
    /// It begins with the period if nothing is missing before the first record, otherwise with that record. It ends with
    /// the period, or with the first hour that is missing after the last record.
    pub fn of(fleet: &Fleet, period: Period, recorded: &BTreeSet<i64>) -> Self {
        let missing = missing(fleet, period, recorded);
        let (Some(&first), Some(&last)) = (recorded.first(), recorded.last()) else {
            let is_closed = missing.is_empty() && fleet.targets.iter().any(Target::is_warmed);
            let period = is_closed.then_some(period);
            return Self { period, stretches: period.into_iter().collect(), missing_days: 0 };
        };
        let begin = |hour: i64| Minute::from_epoch(hour * 60).max(period.from);
        let from = if missing.first().is_some_and(|hour| *hour < first) { begin(first) } else { period.from };
        let until = missing.range(last..).next().map_or(period.until, |hour| begin(*hour));
        let day = |hour: &i64| hour.div_euclid(24);
        let recorded: BTreeSet<i64> = recorded.iter().map(day).collect();
        let missing: BTreeSet<i64> = missing.iter().map(day).filter(|day| !recorded.contains(day)).collect();
        let midnight = |day: i64| Minute::from_epoch(day * 24 * 60).max(from).min(until);
        let mut known = Self { period: Some(Period { from, until }), ..Self::default() };
        let mut begins = from;
        for &day in missing.range(day(&first)..day(&last)) {
            known.missing_days += 1;
            known.stretches.push(Period { from: begins, until: midnight(day) });
            begins = midnight(day + 1);
        }
        known.stretches.push(Period { from: begins, until });
        known.stretches.retain(|stretch| stretch.from < stretch.until);
        known
    }
}

/// Returns the hours of a period without a record in which, by the configuration, a window was open.
fn missing(fleet: &Fleet, period: Period, recorded: &BTreeSet<i64>) -> BTreeSet<i64> {
    let hours =
        |from: Minute, until: Minute| from.epoch().div_euclid(60)..=until.plus(-1).epoch().div_euclid(60);
    let mut silent: BTreeSet<i64> =
        hours(period.from, period.until).filter(|hour| !recorded.contains(hour)).collect();
    let mut missing = BTreeSet::new();
    for target in fleet.targets.iter().filter(|target| target.is_warmed()) {
        if silent.is_empty() {
            break;
        }
        for open in planned(target, period) {
            let hours: Vec<i64> = silent.range(hours(open.from, open.until)).copied().collect();
            for hour in hours {
                silent.remove(&hour);
                missing.insert(hour);
            }
        }
    }
    missing
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::calendar::{DaySet, Hours, Opening, Window};

    /// 2026-11-02T00:00Z, a Monday, in hours since the Unix epoch.
    const MONDAY: i64 = 498_216;

    fn at(hour: i64) -> Minute {
        Minute::from_epoch((MONDAY + hour) * 60)
    }

    /// Returns what is known of two weeks from Saturday on, see [`known_until`].
    fn known(recorded: impl IntoIterator<Item = i64>) -> (Option<[i64; 2]>, Vec<[i64; 2]>, usize) {
        known_until(12 * 24, recorded)
    }

    /// Returns what is known from Saturday on, of a function that is open from Monday to Friday, 08:00 until 18:00, in
    /// hours since Monday.
    fn known_until(
        until: i64,
        recorded: impl IntoIterator<Item = i64>,
    ) -> (Option<[i64; 2]>, Vec<[i64; 2]>, usize) {
        let (days, hours) = (DaySet::parse("mon-fri").unwrap(), Hours::parse("08:00-18:00").unwrap());
        let window = Window::new("windows[0]", chrono_tz::Tz::UTC, Opening::Weekly(days, hours), 2);
        let fleet = Fleet::new(vec![Target {
            windows: vec![window],
            ..Target::example("a", "eu-west-2", Vec::new())
        }]);
        let recorded = recorded.into_iter().map(|hour| MONDAY + hour).collect();
        let known = Known::of(&fleet, Period { from: at(-48), until: at(until) }, &recorded);
        let hours = |period: Period| [period.from, period.until].map(|at| at.epoch() / 60 - MONDAY);
        (known.period.map(hours), known.stretches.into_iter().map(hours).collect(), known.missing_days)
    }

    /// Returns the open hours of some days since Monday.
    fn open(days: impl IntoIterator<Item = i64>) -> impl Iterator<Item = i64> {
        days.into_iter().flat_map(|day| day * 24 + 8..day * 24 + 18)
    }

    #[test]
    fn closed_hours_and_days_need_no_record() {
        let (begin, end) = (-48, 12 * 24);
        assert_eq!(
            known(open([0, 1, 2, 3, 4, 7, 8, 9, 10, 11])),
            (Some([begin, end]), vec![[begin, end]], 0)
        );
        assert_eq!(known([]), (None, Vec::new(), 0));
        assert_eq!(known_until(8, []), (Some([begin, 8]), vec![[begin, 8]], 0), "a weekend");
        assert_eq!(known_until(9, []), (None, Vec::new(), 0));
    }

    #[test]
    fn open_hours_and_days_without_a_record_are_missing() {
        // Since Tuesday noon, not on Thursday and Monday, and until Wednesday 16:00.
        let recorded = (36..42).chain(open([2, 4, 8])).chain(9 * 24 + 8..9 * 24 + 16);
        let end = 9 * 24 + 16;
        let stretches = vec![[36, 72], [96, 7 * 24], [8 * 24, end]];
        assert_eq!(known(recorded), (Some([36, end]), stretches, 2));
        // The first round of a morning is not recorded yet: the night before is known.
        assert_eq!(known(open([0])), (Some([-48, 32]), vec![[-48, 32]], 0));
    }
}
