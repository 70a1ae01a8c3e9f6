//! Cron expressions in three dialects, translated to that of the `cron` crate.
//!
//! Forms with different meanings in the dialects are rejected with a hint: weekdays by number (1 is Sunday in
//! EventBridge and the crate, Monday in crontab), and in five fields a day of the month together with a weekday
//! (crontab requires either, the crate both).

use std::str::FromStr;

use chrono::{Month, Weekday};

use super::{Part, short_name, unknown_day, weekday};
use crate::domain::parse::{TextError, nearest, quoted};

/// Parses crontab's five fields (minute, hour, day, month, weekday), the `cron` crate's six (preceded by a second,
/// which must be 0), or EventBridge's `cron(minute hour day month weekday year)`.
///
/// The schedule contains wall times, represented as UTC. Its second is always 0. A day of the month and a weekday must
/// both match.
///
/// # Errors
/// The first invalid field.
pub fn parse_cron(text: &str) -> Result<::cron::Schedule, TextError> {
    let whole = Part::of(text).trim();
    let (inner, event_bridge) = unwrap(whole)?;
    let parts: Vec<Part<'_>> = words(inner).collect();
    let (fields, dialect) = match (parts.as_slice(), event_bridge) {
        (&[minute, hour, day, month, weekday, year], true) => {
            ([minute, hour, day, month, weekday, year], Dialect::EventBridge)
        }
        (&[minute, hour, day, month, weekday], false) => {
            ([minute, hour, day, month, weekday, EVERY], Dialect::Crontab)
        }
        (&[second, minute, hour, day, month, weekday], false) => {
            check_second(second, &parts, inner)?;
            ([minute, hour, day, month, weekday, EVERY], Dialect::Crate)
        }
        (_, true) => {
            return Err(TextError::new(
                inner.at(),
                format!("expected 6 fields in `cron(…)`, found {}", parts.len()),
            )
            .hint(
                "the fields are minute hour day-of-month month day-of-week year: `cron(30 7 ? * MON-FRI *)`",
            ));
        }
        (_, false) => {
            return Err(TextError::new(whole.at(), format!("expected 5 fields, found {}", parts.len()))
                .hint("the fields are minute hour day-of-month month day-of-week: `30 7 * * mon-fri`"));
        }
    };
    let mut normal = String::from("0");
    for (part, unit) in fields.into_iter().zip(UNITS) {
        normal.push(' ');
        normal.push_str(&field(part, unit)?);
    }
    let [_, _, day, _, weekday, _] = fields;
    if restricts(day) && restricts(weekday) {
        check_both_days(day, weekday, dialect)?;
    }
    ::cron::Schedule::from_str(&normal)
        .map_err(|error| TextError::new(whole.at(), format!("invalid cron expression: {error}")))
}

const EVERY: Part<'static> = Part { text: "*", start: 0 };

#[derive(Clone, Copy, PartialEq, Eq)]
enum Dialect {
    Crontab,
    Crate,
    EventBridge,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Unit {
    Minute,
    Hour,
    Day,
    Month,
    Weekday,
    Year,
}

const UNITS: [Unit; 6] = [Unit::Minute, Unit::Hour, Unit::Day, Unit::Month, Unit::Weekday, Unit::Year];

impl Unit {
    /// Returns the name with an article.
    fn name(self) -> &'static str {
        match self {
            Self::Minute => "a minute",
            Self::Hour => "an hour",
            Self::Day => "a day of the month",
            Self::Month => "a month",
            Self::Weekday => "a weekday",
            Self::Year => "a year",
        }
    }

    /// Returns the first and last value. Weekdays are Sunday 1 to Saturday 7, and years end in 2100, as in the `cron`
    /// crate.
    fn bounds(self) -> (u32, u32) {
        match self {
            Self::Minute => (0, 59),
            Self::Hour => (0, 23),
            Self::Day => (1, 31),
            Self::Month => (1, 12),
            Self::Weekday => (1, 7),
            Self::Year => (1970, 2100),
        }
    }

    /// Formats a value.
    fn write(self, value: u32) -> String {
        match self {
            Self::Month => {
                MONTHS.get(value as usize - 1).map_or_else(|| value.to_string(), |name| (*name).to_owned())
            }
            Self::Weekday => short_name(from_sunday(value)).to_owned(),
            Self::Minute | Self::Hour | Self::Day | Self::Year => value.to_string(),
        }
    }
}

const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];

/// Returns the weekday with a number of the `cron` crate.
fn from_sunday(number: u32) -> Weekday {
    (1..number).fold(Weekday::Sun, |day, _| day.succ())
}

/// Returns the content of `cron(…)` and true, or the whole text and false.
fn unwrap(whole: Part<'_>) -> Result<(Part<'_>, bool), TextError> {
    let lower = whole.text.to_ascii_lowercase();
    let error = |message: &str| TextError::new(whole.at(), message);
    if lower.is_empty() {
        return Err(error("missing cron expression").hint("write five fields, such as `30 7 * * mon-fri`"));
    }
    if lower.starts_with("rate(") || lower.starts_with("at(") {
        return Err(error("expected a cron expression, found a rate or a single time")
            .hint("`cron` sets the openings; set the time between pings with `interval`, and single days with `dates`"));
    }
    if lower.starts_with('@') {
        let same = match lower.as_str() {
            "@hourly" => Some("0 * * * *"),
            "@daily" | "@midnight" => Some("0 0 * * *"),
            "@weekly" => Some("0 0 * * sun"),
            "@monthly" => Some("0 0 1 * *"),
            "@yearly" | "@annually" => Some("0 0 1 1 *"),
            _ => None,
        };
        let error = error("expected a cron expression, found a shorthand");
        return Err(match same {
            Some(same) => error.hint(format!("write `{same}`")),
            None => error.hint("write five fields, such as `30 7 * * mon-fri`"),
        });
    }
    if !lower.starts_with("cron(") {
        return Ok((whole, false));
    }
    let Some(inner) = whole.text.get(5..).and_then(|rest| rest.strip_suffix(')')) else {
        return Err(
            error("expected \")\" at the end of \"cron(…)\"").hint("write `cron(30 7 ? * MON-FRI *)`")
        );
    };
    Ok((Part { text: inner, start: whole.start + 5 }.trim(), true))
}

/// Splits at white space.
fn words(part: Part<'_>) -> impl Iterator<Item = Part<'_>> {
    part.text.split_whitespace().map(move |word| {
        // `word` is a slice of the part's text, so the difference of addresses is its offset.
        let start = part.start + (word.as_ptr() as usize - part.text.as_ptr() as usize);
        Part { text: word, start }
    })
}

fn check_second(second: Part<'_>, parts: &[Part<'_>], whole: Part<'_>) -> Result<(), TextError> {
    if second.text.parse() == Ok(0u32) {
        return Ok(());
    }
    let error =
        TextError::new(second.at(), format!("expected 0 as the second, found {}", quoted(second.text)));
    // EventBridge's six fields without `cron(…)`, such as `30 7 ? * MON-FRI *`.
    let last_is_a_year =
        parts.last().is_some_and(|last| last.text == "*" || last.text.parse::<u32>().is_ok());
    let a_question = parts.get(2).into_iter().chain(parts.get(4)).any(|part| part.text == "?");
    Err(if last_is_a_year || a_question {
        error.hint(format!("for EventBridge's six fields write `cron({})`", whole.text))
    } else {
        error.hint("windows start at whole minutes: write 0 or remove the first field")
    })
}

/// Returns true if the field excludes any day.
fn restricts(part: Part<'_>) -> bool {
    !matches!(part.text, "*" | "?" | "*/1")
}

fn check_both_days(day: Part<'_>, weekday: Part<'_>, dialect: Dialect) -> Result<(), TextError> {
    match dialect {
        // In the crate's six fields both must match.
        Dialect::Crate => Ok(()),
        Dialect::Crontab => Err(TextError::new(
            day.start..weekday.at().end,
            "a day of the month and a weekday are ambiguous: crontab matches either, other dialects both",
        )
        .hint("to match either, write two windows; to match both, write six fields with 0 as the first")),
        Dialect::EventBridge => Err(TextError::new(
            day.start..weekday.at().end,
            "EventBridge accepts a day of the month or a weekday, not both",
        )
        .hint("write `?` for the other")),
    }
}

/// Translates a field to the syntax of the `cron` crate.
fn field(part: Part<'_>, unit: Unit) -> Result<String, TextError> {
    if part.text == "?" {
        return match unit {
            Unit::Day | Unit::Weekday => Ok("*".to_owned()),
            _ => {
                Err(TextError::new(part.at(), format!("expected {}, found \"?\"", unit.name()))
                    .hint("write `*`"))
            }
        };
    }
    let items: Result<Vec<String>, TextError> = part.split(',').map(|item| list_item(item, unit)).collect();
    Ok(items?.join(","))
}

fn list_item(item: Part<'_>, unit: Unit) -> Result<String, TextError> {
    if item.text.is_empty() {
        return Err(TextError::new(item.at(), format!("expected {}, found nothing", unit.name())));
    }
    reject_extensions(item, unit)?;
    let Some((base, step)) = item.split_once('/') else {
        return Ok(base_of(item, unit)?.0);
    };
    let (base, is_point) = base_of(base, unit)?;
    if is_point && unit == Unit::Weekday {
        return Err(TextError::new(item.at(), "a single weekday cannot have a step")
            .hint("list the days: `mon,wed,fri`"));
    }
    let (first, last) = unit.bounds();
    match step.text.parse::<u32>() {
        Ok(step) if step >= 1 && step <= last - first => Ok(format!("{base}/{step}")),
        _ => Err(TextError::new(step.at(), format!("expected a step, found {}", quoted(step.text)))
            .hint(format!("a step is a number from 1 to {}", last - first))),
    }
}

/// Rejects `L`, `W` and `#` of EventBridge and Quartz.
fn reject_extensions(item: Part<'_>, unit: Unit) -> Result<(), TextError> {
    let error =
        |what: &str| TextError::new(item.at(), format!("{} is not supported ({what})", quoted(item.text)));
    if let Some((day, _)) = item.split_once('#') {
        let day = weekday(day.text).map_or("mon", short_name);
        return Err(error("the nth weekday of a month").hint(format!(
            "for the first one write six fields: `0 30 7 1-7 * {day}`; for the second use 8-14, and so on"
        )));
    }
    let upper = item.text.to_ascii_uppercase();
    let stem = upper.trim_end_matches(['L', 'W']);
    let stem_is_plain = stem.is_empty() || stem.bytes().all(|byte| byte.is_ascii_digit());
    let last_of = unit == Unit::Weekday && upper.strip_suffix('L').is_some_and(|day| weekday(day).is_some());
    if matches!(unit, Unit::Day | Unit::Weekday) && stem != upper && (stem_is_plain || last_of)
        || unit == Unit::Day && upper.starts_with("L-")
    {
        let what = if upper.ends_with('W') { "the nearest working day" } else { "the last one of a month" };
        return Err(error(what).hint("list the days: `dates: [2026-11-30, 2026-12-31]`"));
    }
    Ok(())
}

/// Translates `*`, a value or a range. The flag is true for a single value.
fn base_of(base: Part<'_>, unit: Unit) -> Result<(String, bool), TextError> {
    if base.text == "*" {
        return Ok(("*".to_owned(), false));
    }
    let Some((first, last)) = base.split_once('-') else {
        return Ok((unit.write(value(base, base, unit)?), true));
    };
    let (from, to) = (value(first, base, unit)?, value(last, base, unit)?);
    if from > to {
        return Err(TextError::new(base.at(), format!("the range {} wraps around", quoted(base.text)))
            .hint(unwrapped(from, to, unit)));
    }
    Ok((format!("{}-{}", unit.write(from), unit.write(to)), false))
}

/// Returns a hint for a range that wraps around.
fn unwrapped(from: u32, to: u32, unit: Unit) -> String {
    let (first, last) = unit.bounds();
    if to + 1 == from {
        return "write `*`".to_owned();
    }
    if unit == Unit::Year {
        return "write the earlier year first".to_owned();
    }
    if unit == Unit::Weekday {
        let days: Vec<String> = (from..=last).chain(first..=to).map(|day| unit.write(day)).collect();
        return format!("write `{}`", days.join(","));
    }
    let range = |from: u32, to: u32| match from == to {
        true => unit.write(from),
        false => format!("{}-{}", unit.write(from), unit.write(to)),
    };
    format!("write `{},{}`", range(from, last), range(first, to))
}

/// Parses one value. `base` is the surrounding range, for the message.
fn value(part: Part<'_>, base: Part<'_>, unit: Unit) -> Result<u32, TextError> {
    let number =
        part.text.parse::<u32>().ok().filter(|_| part.text.bytes().all(|byte| byte.is_ascii_digit()));
    match unit {
        Unit::Weekday => match (weekday(part.text), number) {
            (Some(day), _) => return Ok(day.number_from_sunday()),
            (None, Some(_)) => return Err(numbered_weekday(base)),
            (None, None) => return Err(unknown_day(part)),
        },
        Unit::Month if number.is_none() => return month(part),
        Unit::Minute | Unit::Hour | Unit::Day | Unit::Month | Unit::Year => {}
    }
    let (first, last) = unit.bounds();
    match number {
        Some(number) if (first..=last).contains(&number) => Ok(number),
        _ => Err(TextError::new(part.at(), format!("expected {}, found {}", unit.name(), quoted(part.text)))
            .hint(format!("{} is a number from {first} to {last}", unit.name()))),
    }
}

fn month(part: Part<'_>) -> Result<u32, TextError> {
    if let Ok(month) = part.text.parse::<Month>() {
        return Ok(month.number_from_month());
    }
    let long_names = (1..=12_u8).filter_map(|number| Month::try_from(number).ok().map(|month| month.name()));
    let error = TextError::new(part.at(), format!("expected a month, found {}", quoted(part.text)));
    Err(match nearest(part.text, MONTHS.into_iter().chain(long_names)) {
        _ if weekday(part.text).is_some() => error.hint(
            "the weekday is the last of five or six fields; write EventBridge's six fields as `cron(…)`",
        ),
        Some(name) => error.hint(format!("did you mean `{name}`?")),
        None => error.hint("a month is a number from 1 to 12, or jan to dec"),
    })
}

/// Returns the error for a weekday by number, with the possible meanings of the number.
fn numbered_weekday(base: Part<'_>) -> TextError {
    // With Sunday as 1 there is no day 0; with Monday as 1, Sunday is 0 and 7.
    let read = |text: &str, sunday: u32| {
        let number = text.parse::<u32>().ok().filter(|number| (sunday..=7).contains(number))?;
        Some(short_name(from_sunday((number + 7 - sunday) % 7 + 1)))
    };
    let meaning = |sunday| match base.text.split_once('-') {
        Some((first, last)) => {
            Some(format!("{}-{}", read(first.trim(), sunday)?, read(last.trim(), sunday)?))
        }
        None => read(base.text, sunday).map(str::to_owned),
    };
    let error =
        TextError::new(base.at(), "weekday numbers are ambiguous: cron dialects number days differently");
    match (meaning(0), meaning(1)) {
        (Some(monday), Some(sunday)) => {
            error.hint(format!("if 1 is Monday, write `{monday}`; if 1 is Sunday, `{sunday}`"))
        }
        (Some(monday), None) => error.hint(format!("write `{monday}`")),
        _ => error.hint("write days by name: mon tue wed thu fri sat sun"),
    }
}
