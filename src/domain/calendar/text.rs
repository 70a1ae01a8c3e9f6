//! Days, hours, cron expressions and zones as people write them.
//!
//! Every parser points at the part of the text that is wrong and, where there is one, at the way out: the
//! configuration puts a caret under the first and prints the second.

mod cron;
mod zone;

use std::ops::Range;

use chrono::{NaiveTime, Weekday};

pub use self::cron::parse_cron;
pub use self::zone::parse_zone;
use super::{DaySet, Hours};
use crate::domain::parse::{TextError, nearest, quoted};

/// A part of a text, and where it begins.
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

    /// Without white space around it.
    fn trim(self) -> Self {
        let lead = self.text.len() - self.text.trim_start().len();
        Self { text: self.text.trim(), start: self.start + lead }
    }

    /// The parts between separators, each without white space around it.
    fn split(self, separator: char) -> impl Iterator<Item = Self> {
        self.text.split(separator).scan(self.start, move |start, text| {
            let part = Self { text, start: *start };
            *start += text.len() + separator.len_utf8();
            Some(part.trim())
        })
    }

    /// The parts before and after the first separator.
    fn split_once(self, separator: char) -> Option<(Self, Self)> {
        let (before, after) = self.text.split_once(separator)?;
        let start = self.start + before.len() + separator.len_utf8();
        Some((Self { text: before, start: self.start }.trim(), Self { text: after, start }.trim()))
    }
}

/// Every accepted name of a weekday, the usual one first.
const DAY_NAMES: [(&str, Weekday); 18] = [
    ("mon", Weekday::Mon),
    ("tue", Weekday::Tue),
    ("wed", Weekday::Wed),
    ("thu", Weekday::Thu),
    ("fri", Weekday::Fri),
    ("sat", Weekday::Sat),
    ("sun", Weekday::Sun),
    ("monday", Weekday::Mon),
    ("tuesday", Weekday::Tue),
    ("wednesday", Weekday::Wed),
    ("thursday", Weekday::Thu),
    ("friday", Weekday::Fri),
    ("saturday", Weekday::Sat),
    ("sunday", Weekday::Sun),
    ("tues", Weekday::Tue),
    ("weds", Weekday::Wed),
    ("thur", Weekday::Thu),
    ("thurs", Weekday::Thu),
];

fn weekday(name: &str) -> Option<Weekday> {
    DAY_NAMES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, day)| *day)
}

/// `mon` to `sun`.
fn short_name(day: Weekday) -> &'static str {
    match day {
        Weekday::Mon => "mon",
        Weekday::Tue => "tue",
        Weekday::Wed => "wed",
        Weekday::Thu => "thu",
        Weekday::Fri => "fri",
        Weekday::Sat => "sat",
        Weekday::Sun => "sun",
    }
}

fn unknown_day(part: Part<'_>) -> TextError {
    let error = TextError::new(part.at(), format!("{} is not a day of the week", quoted(part.text)));
    let lower = part.text.to_lowercase();
    match lower.as_str() {
        "" => TextError::new(part.at(), "a day is missing").hint("days are mon tue wed thu fri sat sun"),
        "weekday" | "weekdays" | "workday" | "workdays" => error.hint("write `mon-fri`"),
        "weekend" | "weekends" => error.hint("write `sat-sun`"),
        "all" | "any" | "every" | "everyday" | "every-day" | "*" => error.hint("write `daily`"),
        _ if lower.bytes().all(|byte| byte.is_ascii_digit()) => {
            error.hint("days are written by name: mon tue wed thu fri sat sun")
        }
        _ => match nearest(&lower, DAY_NAMES.iter().map(|(name, _)| *name).chain(["daily"])) {
            Some(name) => error.hint(format!("did you mean `{name}`?")),
            None => error.hint("days are mon tue wed thu fri sat sun, ranges such as mon-fri, or daily"),
        },
    }
}

impl DaySet {
    /// Parses `mon-fri`, `sat,sun`, `fri-mon` (a range may wrap round the week), `daily`, or a list of these.
    /// Names are short or long, upper or lower case.
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
            return Err(TextError::new(part.at(), format!("a range from {name} to {name}"))
                .hint(format!("write `{name}` for the one day, `daily` for every day")));
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

/// A wall time; 24:00 is `None`.
fn time_of_day(part: Part<'_>) -> Result<Option<NaiveTime>, TextError> {
    let form = || {
        let error = TextError::new(part.at(), format!("{} is not a time of day", quoted(part.text)));
        match clock_guess(part.text) {
            Some(guess) => error.hint(format!("did you mean `{guess}`?")),
            None => error
                .hint("times are HH:MM on the 24-hour clock, from 00:00 to 23:59; 24:00 may end a window"),
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

/// What `8:00`, `8am` or `0800` most likely means.
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
    /// Parses `HH:MM-HH:MM` (past midnight when the end is not later than the start; `24:00` may end) or
    /// `all-day`.
    ///
    /// # Errors
    /// What is not a time of day, or equal ends.
    pub fn parse(text: &str) -> Result<Self, TextError> {
        let whole = Part::of(text).trim();
        if whole.text.eq_ignore_ascii_case("all-day") {
            return Ok(Self::AllDay);
        }
        let missing = |message: &str| {
            TextError::new(whole.at(), message)
                .hint("write hours as `08:00-18:00`, `22:00-06:00` or `all-day`")
        };
        if whole.text.is_empty() {
            return Err(missing("hours are missing"));
        }
        if ["all day", "allday", "all_day", "all", "24h", "always"]
            .contains(&whole.text.to_lowercase().as_str())
        {
            let error =
                TextError::new(whole.at(), format!("{} is not a stretch of hours", quoted(whole.text)));
            return Err(error.hint("write `all-day`"));
        }
        // An en dash is what word processors make of a hyphen.
        let Some((first, last)) = whole.split_once('-').or_else(|| whole.split_once('–')) else {
            return Err(missing(&format!("{} is not a stretch of hours", quoted(whole.text))));
        };
        let start = time_of_day(first)?;
        let end = time_of_day(last)?;
        if start == end {
            return Err(TextError::new(whole.at(), "the window opens and closes at the same time of day")
                .hint("write `all-day` for midnight to midnight"));
        }
        let Some(start) = start else {
            return Err(TextError::new(first.at(), "a window cannot open at 24:00")
                .hint("write `00:00`, and the following day"));
        };
        Ok(Self::Between { start, end })
    }
}

#[cfg(test)]
mod tests;
