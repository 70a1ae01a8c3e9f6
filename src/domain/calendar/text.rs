//! Parsers for days, hours, cron expressions and time zones.
//!
//! Every error carries the position of the invalid part and, where possible, a hint.

mod cron;
mod zone;

use std::ops::Range;

use chrono::{NaiveTime, Weekday};

pub use self::cron::parse_cron;
pub use self::zone::parse_zone;
use super::{DaySet, Hours};
use crate::domain::parse::{TextError, nearest, quoted};

/// A part of a text, with its position.
#[derive(Debug, Clone, Copy)]
struct Part<'t> {
    text: &'t str,
    start: usize,
}

impl<'t> Part<'t> {
    fn of(text: &'t str) -> Self {
        Self { text, start: 0 }
    }

    fn at(self) -> Range<usize> {
        self.start..self.start + self.text.len()
    }

    /// Removes surrounding white space.
    fn trim(self) -> Self {
        let lead = self.text.len() - self.text.trim_start().len();
        Self { text: self.text.trim(), start: self.start + lead }
    }

    /// Splits at every separator and trims the parts.
    fn split(self, separator: char) -> impl Iterator<Item = Self> {
        self.text.split(separator).scan(self.start, move |start, text| {
            let part = Self { text, start: *start };
            *start += text.len() + separator.len_utf8();
            Some(part.trim())
        })
    }

    /// Splits at the first separator and trims the parts.
    fn split_once(self, separator: char) -> Option<(Self, Self)> {
        let (before, after) = self.text.split_once(separator)?;
        let start = self.start + before.len() + separator.len_utf8();
        Some((Self { text: before, start: self.start }.trim(), Self { text: after, start }.trim()))
    }
}

/// The accepted names of weekdays, the usual ones first.
const DAYS: [(Weekday, &[&str]); 7] = [
    (Weekday::Mon, &["mon", "monday"]),
    (Weekday::Tue, &["tue", "tuesday", "tues"]),
    (Weekday::Wed, &["wed", "wednesday", "weds"]),
    (Weekday::Thu, &["thu", "thursday", "thur", "thurs"]),
    (Weekday::Fri, &["fri", "friday"]),
    (Weekday::Sat, &["sat", "saturday"]),
    (Weekday::Sun, &["sun", "sunday"]),
];

fn weekday(name: &str) -> Option<Weekday> {
    let is_name = |known: &&str| known.eq_ignore_ascii_case(name);
    DAYS.iter().find(|(_, names)| names.iter().any(is_name)).map(|(day, _)| *day)
}

/// Returns `mon` to `sun`.
fn short_name(day: Weekday) -> &'static str {
    DAYS[day.num_days_from_monday() as usize].1[0]
}

fn unknown_day(part: Part<'_>) -> TextError {
    let error = TextError::new(part.at(), format!("expected a day of the week, found {}", quoted(part.text)));
    let lower = part.text.to_lowercase();
    match lower.as_str() {
        "" => TextError::new(part.at(), "missing day").hint("days are mon tue wed thu fri sat sun"),
        "weekday" | "weekdays" | "workday" | "workdays" => error.hint("write `mon-fri`"),
        "weekend" | "weekends" => error.hint("write `sat-sun`"),
        "all" | "any" | "every" | "everyday" | "every-day" | "*" => error.hint("write `daily`"),
        _ if lower.bytes().all(|byte| byte.is_ascii_digit()) => {
            error.hint("write days by name: mon tue wed thu fri sat sun")
        }
        _ => match nearest(&lower, DAYS.iter().flat_map(|(_, names)| *names).copied().chain(["daily"])) {
            Some(name) => error.hint(format!("did you mean `{name}`?")),
            None => error.hint("days are mon tue wed thu fri sat sun, ranges such as mon-fri, or daily"),
        },
    }
}

impl DaySet {
    /// Parses `mon-fri`, `sat,sun`, `fri-mon` (a range may wrap around the week), `daily`, or a list of these. Names
    /// are short or long, in upper or lower case.
    ///
    /// # Errors
    /// The first part that is not a day.
    pub fn parse(text: &str) -> Result<Self, TextError> {
        let mut days = Self::default();
        for part in Part::of(text).split(',') {
            days = days.union(Self::parse_item(part)?);
        }
        Ok(days)
    }

    fn parse_item(part: Part<'_>) -> Result<Self, TextError> {
        let day = |part: Part<'_>| weekday(part.text).ok_or_else(|| unknown_day(part));
        if part.text.eq_ignore_ascii_case("daily") {
            return Ok(Self::DAILY);
        }
        let Some((first, last)) = part.split_once('-') else {
            return Ok(Self::default().with(day(part)?));
        };
        if part.text.eq_ignore_ascii_case("every-day") {
            return Err(unknown_day(part));
        }
        let (first, last) = (day(first)?, day(last)?);
        if first == last {
            let name = short_name(first);
            return Err(TextError::new(part.at(), format!("the range starts and ends on {name}"))
                .hint(format!("write `{name}` for one day, `daily` for every day")));
        }
        let mut days = Self::default().with(first);
        let mut next = first;
        while next != last {
            next = next.succ();
            days = days.with(next);
        }
        Ok(days)
    }
}

/// Parses a wall time; 24:00 is `None`.
fn time_of_day(part: Part<'_>) -> Result<Option<NaiveTime>, TextError> {
    let form = || {
        let error = TextError::new(part.at(), format!("expected a time of day, found {}", quoted(part.text)));
        match clock_guess(part.text) {
            Some(guess) => error.hint(format!("did you mean `{guess}`?")),
            None => error.hint("write HH:MM, from 00:00 to 23:59; a window may end at 24:00"),
        }
    };
    let &[h1, h2, b':', m1, m2] = part.text.as_bytes() else {
        return Err(form());
    };
    if ![h1, h2, m1, m2].iter().all(u8::is_ascii_digit) {
        return Err(form());
    }
    let two = |tens: u8, ones: u8| u32::from(tens - b'0') * 10 + u32::from(ones - b'0');
    match (two(h1, h2), two(m1, m2)) {
        (24, 0) => Ok(None),
        (hour, minute) => NaiveTime::from_hms_opt(hour, minute, 0).map(Some).ok_or_else(form),
    }
}

/// Guesses the time meant by `8:00`, `8am` or `0800`.
fn clock_guess(text: &str) -> Option<String> {
    let lower = text.to_lowercase().replace([' ', '.'], "");
    let (digits, shift) = match (lower.strip_suffix("am"), lower.strip_suffix("pm")) {
        (Some(digits), _) => (digits, Some(0)),
        (_, Some(digits)) => (digits, Some(12)),
        (None, None) => (lower.as_str(), None),
    };
    let (hour, minute) = match digits.split_once(':') {
        Some((hour, minute)) => (hour, minute),
        None if digits.len() <= 2 => (digits, "00"),
        None if digits.is_ascii() && digits.len() <= 4 => digits.split_at(digits.len() - 2),
        None => return None,
    };
    let (hour, minute) = (hour.parse::<u32>().ok()?, minute.parse::<u32>().ok()?);
    let hour = match shift {
        None => hour,
        Some(_) if !(1..=12).contains(&hour) => return None,
        Some(shift) => hour % 12 + shift,
    };
    NaiveTime::from_hms_opt(hour, minute, 0).map(|time| time.format("%H:%M").to_string())
}

impl Hours {
    /// Parses `all-day` or `HH:MM-HH:MM`, which ends on the next day when the end is not later than the start. The end
    /// may be `24:00`.
    ///
    /// # Errors
    /// A part that is not a time of day, or a start equal to the end.
    pub fn parse(text: &str) -> Result<Self, TextError> {
        let whole = Part::of(text).trim();
        if whole.text.eq_ignore_ascii_case("all-day") {
            return Ok(Self::AllDay);
        }
        const FORMS: &str = "write hours as `08:00-18:00`, `22:00-06:00` or `all-day`";
        if whole.text.is_empty() {
            return Err(TextError::new(whole.at(), "missing hours").hint(FORMS));
        }
        let unexpected =
            || TextError::new(whole.at(), format!("expected hours, found {}", quoted(whole.text)));
        if ["all day", "allday", "all_day", "all", "24h", "always"]
            .contains(&whole.text.to_lowercase().as_str())
        {
            return Err(unexpected().hint("write `all-day`"));
        }
        // Word processors replace a hyphen by an en dash.
        let Some((first, last)) = whole.split_once('-').or_else(|| whole.split_once('–')) else {
            return Err(unexpected().hint(FORMS));
        };
        let start = time_of_day(first)?;
        let end = time_of_day(last)?;
        if start == end {
            return Err(TextError::new(whole.at(), "the window opens and closes at the same time")
                .hint("write `all-day` for midnight to midnight"));
        }
        let Some(start) = start else {
            return Err(TextError::new(first.at(), "a window cannot open at 24:00")
                .hint("write `00:00` and the next day"));
        };
        Ok(Self::Between { start, end })
    }
}

#[cfg(test)]
mod tests;
