//! The days of the history that are no longer kept.

use std::collections::BTreeSet;

use chrono::{Days, NaiveDate};

/// Returns the first day that is kept, of the `days` that have a document; `None` if all are.
///
/// A day is kept if it is at most `keep_days` before `today`, or if it is one of the newest `keep_days` days that have a
/// document and are not in the future. So a clock that is wrong by years removes as many days as it has recorded, and no
/// more: it records one in a day.
pub fn first_kept(days: &BTreeSet<NaiveDate>, keep_days: u32, today: NaiveDate) -> Option<NaiveDate> {
    let by_clock = today.checked_sub_days(Days::new(keep_days.into()))?;
    let newest = days.range(..=today).rev();
    let by_number = newest.take(usize::try_from(keep_days).ok()?).last()?;
    Some(by_clock.min(*by_number))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    /// Returns the number of days that are not kept.
    fn removed(days: &BTreeSet<NaiveDate>, keep_days: u32, today: &str) -> usize {
        first_kept(days, keep_days, day(today)).map_or(0, |first| days.range(..first).count())
    }

    #[test]
    fn days_before_the_last_ones_are_removed() {
        // 2025-10-01 to 2026-11-20: 416 days.
        let days: BTreeSet<_> = day("2025-10-01").iter_days().take(416).collect();
        assert_eq!(first_kept(&days, 400, day("2026-11-20")), Some(day("2025-10-16")));
        assert_eq!(removed(&days, 400, "2026-11-20"), 15);
        assert_eq!(removed(&days, 4_000, "2026-11-20"), 0);
        assert_eq!(removed(&days, 1, "2026-11-20"), 414);
        assert_eq!(removed(&BTreeSet::new(), 400, "2026-11-20"), 0);
        assert_eq!(removed(&days, u32::MAX, "2026-11-20"), 0);
    }

    #[test]
    fn a_wrong_clock_removes_no_more_days_than_it_has_recorded() {
        let days: BTreeSet<_> = day("2025-10-17").iter_days().take(400).collect();
        for today in ["2026-11-20", "2029-01-01", "2262-04-11", "1970-01-02"] {
            assert_eq!(removed(&days, 400, today), 0, "{today}");
        }
        let mut ahead = days.clone();
        ahead.insert(day("2029-01-01"));
        assert_eq!(removed(&ahead, 400, "2029-01-01"), 1);
        // The clock is right again: days of the future do not count.
        assert_eq!(removed(&ahead, 400, "2026-11-20"), 0);
        ahead.extend([day("2026-11-21"), day("2026-11-22")]);
        assert_eq!(removed(&ahead, 400, "2026-11-22"), 1, "the day that is 401 days old");
    }

    #[test]
    fn days_without_documents_do_not_count() {
        let all = day("2026-01-05").iter_days().take(70);
        let weekdays: BTreeSet<_> =
            all.filter(|day| chrono::Datelike::weekday(day).num_days_from_monday() < 5).collect();
        // The newest ten of five days a week.
        assert_eq!(first_kept(&weekdays, 10, day("2026-03-13")), Some(day("2026-03-02")));
        assert_eq!(first_kept(&weekdays, 10, day("2027-03-13")), Some(day("2026-03-02")));
    }
}
