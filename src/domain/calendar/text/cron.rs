//! Cron expressions in three dialects, turned into the `cron` crate's.
//!
//! What the dialects read differently is refused, with what to write instead: weekdays by number (1 is Sunday
//! to EventBridge and the crate, Monday to crontab), and in five fields a day of the month together with a
//! weekday (crontab takes either, the crate both).

use std::str::FromStr;

use chrono::Weekday;

use super::{Part, short_name, unknown_day, weekday};
use crate::domain::parse::{TextError, nearest, quoted};

/// Parses crontab's five fields (minute, hour, day, month, weekday), the `cron` crate's six (a second before
/// them, which must be 0), or EventBridge's `cron(minute hour day month weekday year)`.
///
/// The schedule's times are wall times: give it naive times as if they were UTC. Its second is always 0.
/// A day of the month and a weekday must both hold.
///
/// # Errors
/// The first field that is wrong.
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
                format!("{} fields where EventBridge has 6", parts.len()),
            )
            .hint(
                "the fields are minute hour day-of-month month day-of-week year: `cron(30 7 ? * MON-FRI *)`",
            ));
        }
        (_, false) => {
            return Err(TextError::new(whole.at(), format!("{} fields where cron has 5", parts.len()))
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
        .map_err(|error| TextError::new(whole.at(), format!("not a cron expression: {error}")))
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
    /// Its name, with the article.
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

    /// First and last value. Weekdays are Sunday 1 to Saturday 7, and years end in 2100, as in the `cron` crate.
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

    /// A value as it is written.
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

const LONG_MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

/// The weekday of the `cron` crate's number.
fn from_sunday(number: u32) -> Weekday {
    (1..number).fold(Weekday::Sun, |day, _| day.succ())
}

/// What stands inside `cron(…)`, or the whole.
fn unwrap(whole: Part<'_>) -> Result<(Part<'_>, bool), TextError> {
    let lower = whole.text.to_ascii_lowercase();
    let error = |message: &str| TextError::new(whole.at(), message);
    if lower.is_empty() {
        return Err(
            error("a cron expression is missing").hint("write five fields, such as `30 7 * * mon-fri`")
        );
    }
    if lower.starts_with("rate(") || lower.starts_with("at(") {
        return Err(error("a window needs a cron expression, not a rate or a single time")
            .hint("write `cron: …` for openings; how often to ping is `interval`; single days are `dates`"));
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
        let error = error("a shorthand is not a cron expression");
        return Err(match same {
            Some(same) => error.hint(format!("write `{same}`")),
            None => error.hint("write five fields, such as `30 7 * * mon-fri`"),
        });
    }
    if !lower.starts_with("cron(") {
        return Ok((whole, false));
    }
    let Some(inner) = whole.text.get(5..).and_then(|rest| rest.strip_suffix(')')) else {
        return Err(error("the bracket of `cron(` is not closed").hint("`cron(30 7 ? * MON-FRI *)`"));
    };
    Ok((Part { text: inner, start: whole.start + 5 }.trim(), true))
}

/// The parts between stretches of white space.
fn words(part: Part<'_>) -> impl Iterator<Item = Part<'_>> {
    part.text.split_whitespace().map(move |word| {
        // `word` is a slice of the part's text, so its address tells its place.
        let start = part.start + (word.as_ptr() as usize - part.text.as_ptr() as usize);
        Part { text: word, start }
    })
}

fn check_second(second: Part<'_>, parts: &[Part<'_>], whole: Part<'_>) -> Result<(), TextError> {
    if second.text.parse() == Ok(0u32) {
        return Ok(());
    }
    let error = TextError::new(second.at(), "the first of six fields is the second, and it must be 0");
    // `30 7 ? * MON-FRI *`: EventBridge's six fields without their bracket.
    let last_is_a_year =
        parts.last().is_some_and(|last| last.text == "*" || last.text.parse::<u32>().is_ok());
    let a_question = parts.get(2).into_iter().chain(parts.get(4)).any(|part| part.text == "?");
    Err(if last_is_a_year || a_question {
        error.hint(format!("EventBridge's form has a bracket: `cron({})`", whole.text))
    } else {
        error.hint("windows are in whole minutes: write 0, or leave the field out")
    })
}

/// Whether the field keeps any day out.
fn restricts(part: Part<'_>) -> bool {
    !matches!(part.text, "*" | "?" | "*/1")
}

fn check_both_days(day: Part<'_>, weekday: Part<'_>, dialect: Dialect) -> Result<(), TextError> {
    match dialect {
        // The crate's six fields have one meaning: both must hold.
        Dialect::Crate => Ok(()),
        Dialect::Crontab => Err(TextError::new(
            day.start..weekday.at().end,
            "a day of the month and a weekday: crontab takes days that match either, others both",
        )
        .hint("for either write two windows; for both write six fields, the first of them 0")),
        Dialect::EventBridge => Err(TextError::new(
            day.start..weekday.at().end,
            "a day of the month and a weekday: EventBridge takes only one of them",
        )
        .hint("write `?` for the other")),
    }
}

/// One field, in the `cron` crate's words.
fn field(part: Part<'_>, unit: Unit) -> Result<String, TextError> {
    if part.text == "?" {
        return match unit {
            Unit::Day | Unit::Weekday => Ok("*".to_owned()),
            _ => Err(TextError::new(part.at(), format!("`?` is not {}", unit.name())).hint("write `*`")),
        };
    }
    let items: Result<Vec<String>, TextError> = part.split(',').map(|item| list_item(item, unit)).collect();
    Ok(items?.join(","))
}

fn list_item(item: Part<'_>, unit: Unit) -> Result<String, TextError> {
    if item.text.is_empty() {
        return Err(TextError::new(item.at(), format!("{} is missing", unit.name())));
    }
    refuse_extensions(item, unit)?;
    let Some((base, step)) = item.split_once('/') else {
        return Ok(base_of(item, unit)?.0);
    };
    let (base, is_point) = base_of(base, unit)?;
    if is_point && unit == Unit::Weekday {
        return Err(
            TextError::new(item.at(), "a step from a single weekday").hint("list the days: `mon,wed,fri`")
        );
    }
    let (first, last) = unit.bounds();
    match step.text.parse::<u32>() {
        Ok(step) if step >= 1 && step <= last - first => Ok(format!("{base}/{step}")),
        _ => Err(TextError::new(step.at(), format!("{} is not a step", quoted(step.text)))
            .hint(format!("a step is a number from 1 to {}", last - first))),
    }
}

/// `L`, `W` and `#` of EventBridge and Quartz.
fn refuse_extensions(item: Part<'_>, unit: Unit) -> Result<(), TextError> {
    let error = |what: &str| TextError::new(item.at(), format!("`{}` is not supported ({what})", item.text));
    if let Some((day, _)) = item.split_once('#') {
        let day = weekday(day.text).map_or("mon", short_name);
        return Err(error("the nth weekday of a month").hint(format!(
            "the first one is in six fields: `0 30 7 1-7 * {day}`; the second has 8-14, and so on"
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

/// `*`, a value or a range, and whether it is a single value.
fn base_of(base: Part<'_>, unit: Unit) -> Result<(String, bool), TextError> {
    if base.text == "*" {
        return Ok(("*".to_owned(), false));
    }
    let Some((first, last)) = base.split_once('-') else {
        return Ok((unit.write(value(base, base, unit)?), true));
    };
    let (from, to) = (value(first, base, unit)?, value(last, base, unit)?);
    if from > to {
        return Err(TextError::new(base.at(), format!("the range {} wraps round", quoted(base.text)))
            .hint(unwrapped(from, to, unit)));
    }
    Ok((format!("{}-{}", unit.write(from), unit.write(to)), false))
}

/// How to write a range that wraps round.
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
    let stretch = |from: u32, to: u32| match from == to {
        true => unit.write(from),
        false => format!("{}-{}", unit.write(from), unit.write(to)),
    };
    format!("write `{},{}`", stretch(from, last), stretch(first, to))
}

/// One value; `base` is what it stands in, for the message.
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
        _ => Err(TextError::new(part.at(), format!("{} is not {}", quoted(part.text), unit.name()))
            .hint(format!("{} is a number from {first} to {last}", unit.name()))),
    }
}

fn month(part: Part<'_>) -> Result<u32, TextError> {
    for (number, names) in (1..).zip(MONTHS.iter().zip(LONG_MONTHS)) {
        if names.0.eq_ignore_ascii_case(part.text) || names.1.eq_ignore_ascii_case(part.text) {
            return Ok(number);
        }
    }
    let error = TextError::new(part.at(), format!("{} is not a month", quoted(part.text)));
    Err(match nearest(part.text, MONTHS.into_iter().chain(LONG_MONTHS)) {
        _ if weekday(part.text).is_some() => error.hint(
            "the weekday is the last field of five or six; EventBridge's form has a bracket: `cron(…)`",
        ),
        Some(name) => error.hint(format!("did you mean `{name}`?")),
        None => error.hint("a month is a number from 1 to 12, or jan to dec"),
    })
}

/// Refuses a weekday by number, and says what the number may mean.
fn numbered_weekday(base: Part<'_>) -> TextError {
    // Where Sunday is 1 there is no day 0; where Monday is 1, Sunday is 0 and 7.
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
    let error = TextError::new(
        base.at(),
        "weekdays are written by name: numbers mean different days to different crons",
    );
    match (meaning(0), meaning(1)) {
        (Some(monday), Some(sunday)) => {
            error.hint(format!("if 1 is Monday, write `{monday}`; if 1 is Sunday, `{sunday}`"))
        }
        (Some(monday), None) => error.hint(format!("write `{monday}`")),
        _ => error.hint("write mon tue wed thu fri sat sun"),
    }
}
