//! Renders a week as a chart with a row per day, two columns per hour, and higher blocks for more environments.

use std::fmt::Write as _;

use chrono::{DateTime, NaiveDate, TimeDelta, Timelike, Utc};
use chrono_tz::Tz;

use super::{Style, Tone};
use crate::domain::schedule::{Minute, Segment};

/// Blocks from an eighth to full.
pub(super) const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// The maximum number of days.
const DAYS: i64 = 7;

/// The resolution. Offsets from UTC have been multiples of 15 minutes since 1972.
const SLICE_MINUTES: i64 = 15;

/// A local day with the highest desired number in each hour; `None` for an hour outside the plan or skipped by a clock
/// change.
type Day = (NaiveDate, [Option<u32>; 24]);

/// Renders the first seven days of `segments` on the wall clock of `zone`. Each line ends with a line feed.
pub fn week(segments: &[Segment], from: Minute, until: Minute, zone: Tz, style: Style) -> String {
    let days = days(segments, from, until, zone);
    let highest = days.iter().flat_map(|(_, hours)| hours).flatten().max().copied().unwrap_or(0);
    let hours: String = (0..24).step_by(3).map(|hour| format!("{hour:02}    ")).collect();
    let mut out = style.paint(Tone::Quiet, &format!("              {}", hours.trim_end()));
    out.push('\n');
    for (date, hours) in days {
        let strip: String = hours.iter().map(|value| cell(*value, highest).repeat(2)).collect();
        let strip = strip.trim_end();
        let _ = writeln!(
            out,
            "  {:<10}  {}",
            date.format("%a %-d %b").to_string(),
            style.paint(Tone::Good, strip)
        );
    }
    out
}

fn cell(value: Option<u32>, highest: u32) -> String {
    match value {
        None => " ".to_owned(),
        Some(0) => "·".to_owned(),
        Some(value) => {
            let eighths = (u64::from(value) * BLOCKS.len() as u64).div_ceil(u64::from(highest.max(1)));
            let index = usize::try_from(eighths).unwrap_or(usize::MAX).clamp(1, BLOCKS.len()) - 1;
            BLOCKS[index].to_string()
        }
    }
}

fn days(segments: &[Segment], from: Minute, until: Minute, zone: Tz) -> Vec<Day> {
    let mut days: Vec<Day> = Vec::new();
    let first = local(from.instant(), zone).date();
    let mut segments = segments.iter().peekable();
    let mut start = from;
    while start < until {
        // Slices are aligned to 15 minutes, so that none is in two local hours.
        let end = start.plus(SLICE_MINUTES - start.epoch().rem_euclid(SLICE_MINUTES)).min(until);
        let wall = local(start.instant(), zone);
        if wall.date() - first >= TimeDelta::days(DAYS) {
            break;
        }
        while segments.next_if(|segment| segment.until <= start).is_some() {}
        let value =
            segments.clone().take_while(|segment| segment.from < end).map(|segment| segment.desired).max();
        if days.last().is_none_or(|(date, _)| *date != wall.date()) {
            days.push((wall.date(), [None; 24]));
        }
        if let Some((_, hours)) = days.last_mut() {
            let hour = &mut hours[wall.hour() as usize];
            *hour = (*hour).max(Some(value.unwrap_or(0)));
        }
        start = end;
    }
    days
}

fn local(at: DateTime<Utc>, zone: Tz) -> chrono::NaiveDateTime {
    at.with_timezone(&zone).naive_local()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minute(text: &str) -> Minute {
        Minute::of(text.parse().unwrap())
    }

    fn segment(from: &str, until: &str, desired: u32) -> Segment {
        Segment { from: minute(from), until: minute(until), desired, rounds: 1 }
    }

    #[test]
    fn renders_week_of_clock_change_in_london() {
        let segments = [
            segment("2026-10-24T07:00:00Z", "2026-10-24T11:00:00Z", 10),
            segment("2026-10-24T11:00:00Z", "2026-10-24T13:00:00Z", 25),
            segment("2026-10-24T21:00:00Z", "2026-10-25T06:00:00Z", 2),
            segment("2026-10-26T08:05:00Z", "2026-10-26T08:06:00Z", 1),
        ];
        let (from, until) = (minute("2026-10-24T00:00:00+01:00"), minute("2026-10-26T12:00:00Z"));
        insta::assert_snapshot!(week(&segments, from, until, Tz::Europe__London, Style::default()), @r"
                    00    03    06    09    12    15    18    21
        Sat 24 Oct  ················▄▄▄▄▄▄▄▄████················▁▁▁▁
        Sun 25 Oct  ▁▁▁▁▁▁▁▁▁▁▁▁····································
        Mon 26 Oct  ················▁▁······
        ");
    }

    #[test]
    fn skipped_hour_is_blank_and_eighth_day_is_left_out() {
        let segments = [segment("2026-03-29T00:00:00Z", "2026-04-29T00:00:00Z", 3)];
        let (from, until) = (minute("2026-03-29T00:00:00Z"), minute("2026-04-29T00:00:00Z"));
        let shown = week(&segments, from, until, Tz::Europe__London, Style::default());
        assert!(shown.contains("Sun 29 Mar  ██  ████"), "{shown}");
        assert_eq!(shown.lines().count(), 8, "{shown}");
    }
}
