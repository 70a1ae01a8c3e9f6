//! Zones, days, hours, cron expressions and dates.

use chrono::{Datelike, NaiveDate};
use chrono_tz::Tz;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::{List, schema};
use crate::config::node::{Node, Value};
use crate::config::reader::{Reader, Wire, quoted};
use crate::domain::calendar::text::{TextError, parse_cron, parse_zone};
use crate::domain::calendar::{DaySet, Hours};

/// A time zone of the IANA database.
#[derive(Debug, Clone, Copy)]
pub(in crate::config) struct Zone(pub Tz);

impl Wire for Zone {
    fn read(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let text = reader.text(node, "a time zone such as `Europe/London`")?;
        reader.parsed(node, text, parse_zone(text)).map(Self)
    }
}

schema!(Zone, named, {
    let names: Vec<&str> = chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name()).collect();
    json_schema!({ "description": "A time zone of the IANA database.", "type": "string", "enum": names })
});

/// Days of the week, as a text or a list of texts.
#[derive(Debug, Clone, Copy)]
pub(in crate::config) struct Days(pub DaySet);

impl Wire for Days {
    fn read(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let wanted = "days such as `mon-fri` or `daily`";
        let Value::List(items) = &node.value else {
            let text = reader.text(node, wanted)?;
            return reader.parsed(node, text, DaySet::parse(text)).map(Self);
        };
        if items.is_empty() {
            return List::<Self>::read(node, reader).map(|_| Self(DaySet::DAILY));
        }
        let mut days = Some(DaySet::default());
        for item in items {
            let read =
                reader.text(item, wanted).and_then(|text| reader.parsed(item, text, DaySet::parse(text)));
            days = days.zip(read).map(|(days, more)| days.union(more));
        }
        days.map(Self)
    }
}

schema!(Days, named, {
    // Names are taken in upper and lower case; JSON Schema's patterns have no flag for that.
    let either_case =
        |name: &str| -> String { name.chars().map(|c| format!("[{}{c}]", c.to_ascii_uppercase())).collect() };
    let long = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
    let short = ["tues", "weds", "thurs", "thur", "mon", "tue", "wed", "thu", "fri", "sat", "sun"];
    let day: Vec<String> = long.iter().chain(&short).map(|name| either_case(name)).collect();
    let day = format!("({})", day.join("|"));
    let item = format!("({day}( ?- ?{day})?|{})", either_case("daily"));
    let pattern = format!("^{item}(, ?{item})*$");
    let text = json_schema!({
        "type": "string",
        "anyOf": [
            { "enum": ["daily", "mon-fri", "sat-sun", "mon", "tue", "wed", "thu", "fri", "sat", "sun"] },
            { "pattern": pattern },
        ],
    });
    json_schema!({
        "description": "Days of the week: names, ranges that may wrap, lists, or daily.",
        "anyOf": [text, { "type": "array", "minItems": 1, "items": text }],
    })
});

/// Hours of the day.
#[derive(Debug, Clone, Copy)]
pub(in crate::config) struct DayHours(pub Hours);

impl Wire for DayHours {
    fn read(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let text = reader.text_or_number(node, "hours such as \"08:00-18:00\" or `all-day`")?;
        reader.parsed(node, text, Hours::parse(text)).map(Self)
    }
}

schema!(
    DayHours,
    named,
    json_schema!({
        "description": "Hours of the day, in the window's time zone; past midnight when the end is not after the start.",
        "type": "string",
        "anyOf": [
            { "enum": ["all-day", "08:00-18:00", "22:00-06:00"] },
            { "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9] ?[-–] ?(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$" },
            { "pattern": "^[aA][lL][lL]-[dD][aA][yY]$" },
        ],
    })
);

/// A cron expression.
#[derive(Debug, Clone)]
pub(in crate::config) struct Cron(pub Box<cron::Schedule>);

impl Wire for Cron {
    fn read(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let text = reader.text(node, "a cron expression such as \"30 7 * * mon-fri\"")?;
        reader.parsed(node, text, parse_cron(text)).map(|schedule| Self(Box::new(schedule)))
    }
}

schema!(
    Cron,
    inline,
    json_schema!({ "type": "string", "minLength": 9, "examples": ["30 7 * * mon-fri", "cron(30 7 ? * MON-FRI *)"] })
);

/// A date with its year.
#[derive(Debug, Clone, Copy)]
pub(in crate::config) struct Date(pub NaiveDate);

impl Date {
    /// Parses `YYYY-MM-DD`.
    pub fn parse(text: &str) -> Result<Self, TextError> {
        let wrong =
            |message: String, hint: Option<String>| Err(TextError { message, hint, at: 0..text.len() });
        let parts: Vec<&str> = text.split(['-', '/', '.']).collect();
        let digits = |part: &str| {
            !part.is_empty() && part.len() <= 4 && part.bytes().all(|byte| byte.is_ascii_digit())
        };
        let two = |part: &str| format!("{part:0>2}");
        match parts.as_slice() {
            [year, month, day] if [year, month, day].iter().all(|part| digits(part)) => {
                if let ([4, 2, 2], true) = ([year.len(), month.len(), day.len()], !text.contains(['/', '.']))
                {
                    let date = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok();
                    return match date.filter(|date| (1970..=2999).contains(&date.year())) {
                        Some(date) => Ok(Self(date)),
                        None => wrong(format!("{} is not a day of the calendar", quoted(text)), None),
                    };
                }
                let hint = match year.len() {
                    4 => format!("write `{year}-{}-{}`", two(month), two(day)),
                    _ => "write year, month and day, as in 2026-12-25".to_owned(),
                };
                wrong(format!("{} is not written as YYYY-MM-DD", quoted(text)), Some(hint))
            }
            [month, day] if digits(month) && digits(day) && month.len() <= 2 && day.len() <= 2 => wrong(
                format!("the date {} has no year", quoted(text)),
                Some(format!("write the year too, as in 2026-{}-{}", two(month), two(day))),
            ),
            _ => wrong(
                format!("{} is not a date", quoted(text)),
                Some("write year, month and day, as in 2026-12-25".to_owned()),
            ),
        }
    }
}

impl Wire for Date {
    fn read(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let text = reader.text_or_number(node, "a date such as 2026-12-25")?;
        reader.parsed(node, text, Self::parse(text))
    }
}

schema!(
    Date,
    inline,
    json_schema!({
        "type": "string",
        "pattern": "^[12][0-9]{3}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$",
        "examples": ["2026-12-25"],
    })
);
