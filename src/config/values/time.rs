//! Time zones, days, hours, cron expressions and dates.

use chrono::{Datelike, NaiveDate};
use chrono_tz::Tz;
use schemars::JsonSchema;
use serde_json::{Value as JsonValue, json};

use super::collections::list_items;
use crate::config::node::{Node, Value};
use crate::config::reader::{FromNode, Reader};
use crate::domain::calendar::{DaySet, Hours, parse_cron, parse_zone};
use crate::domain::parse::TextError;

/// A time zone of the IANA database.
#[derive(Debug, Clone, Copy, JsonSchema)]
#[schemars(with = "String", extend("enum" = chrono_tz::TZ_VARIANTS.map(Tz::name).as_slice()))]
pub(in crate::config) struct Zone(pub Tz);

impl FromNode for Zone {
    fn from_node(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let text = reader.text(node, "a time zone")?;
        reader.parsed(node, text, parse_zone(text)).map(Self)
    }
}

/// Days of the week: names, ranges that may wrap, lists, or `daily`.
#[derive(Debug, Clone, Copy, JsonSchema)]
#[schemars(with = "JsonValue", extend("anyOf" = days_schema()))]
pub(in crate::config) struct Days(pub DaySet);

impl FromNode for Days {
    fn from_node(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let items = match &node.value {
            Value::List(_) => list_items(node, reader)?,
            _ => std::slice::from_ref(node),
        };
        let mut days = Some(DaySet::default());
        for item in items {
            let text = reader.text(item, "days of the week");
            let more = text.and_then(|text| reader.parsed(item, text, DaySet::parse(text)));
            days = days.zip(more).map(|(days, more)| days.union(more));
        }
        days.map(Self)
    }
}

fn days_schema() -> JsonValue {
    // Names are accepted in upper and lower case; JSON Schema's patterns have no flag for that.
    let either_case =
        |name: &str| -> String { name.chars().map(|c| format!("[{}{c}]", c.to_ascii_uppercase())).collect() };
    let long = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
    let short = ["tues", "weds", "thurs", "thur", "mon", "tue", "wed", "thu", "fri", "sat", "sun"];
    let day: Vec<String> = long.iter().chain(&short).map(|name| either_case(name)).collect();
    let day = format!("({})", day.join("|"));
    let item = format!("({day}( ?- ?{day})?|{})", either_case("daily"));
    let text = json!({
        "type": "string",
        "anyOf": [
            { "enum": ["daily", "mon-fri", "sat-sun", "mon", "tue", "wed", "thu", "fri", "sat", "sun"] },
            { "pattern": format!("^{item}(, ?{item})*$") },
        ],
    });
    json!([text, { "type": "array", "minItems": 1, "items": text }])
}

/// Hours of the day, in the window's time zone; past midnight when the end is not after the start.
#[derive(Debug, Clone, Copy, JsonSchema)]
#[schemars(with = "String", extend("anyOf" = json!([
    { "enum": ["all-day", "08:00-18:00", "22:00-06:00"] },
    { "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9] ?[-–] ?(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$" },
    { "pattern": "^[aA][lL][lL]-[dD][aA][yY]$" },
])))]
pub(in crate::config) struct DayHours(pub Hours);

impl FromNode for DayHours {
    fn from_node(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let text = reader.text_or_number(node, "hours of the day")?;
        reader.parsed(node, text, Hours::parse(text)).map(Self)
    }
}

/// A cron expression.
#[derive(Debug, Clone, JsonSchema)]
#[schemars(inline, with = "String", extend(
    "minLength" = 9,
    "examples" = ["30 7 * * mon-fri", "cron(30 7 ? * MON-FRI *)"],
))]
pub(in crate::config) struct Cron(pub Box<cron::Schedule>);

impl FromNode for Cron {
    fn from_node(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let text = reader.text(node, "a cron expression")?;
        reader.parsed(node, text, parse_cron(text)).map(|schedule| Self(Box::new(schedule)))
    }
}

/// A date with its year.
#[derive(Debug, Clone, Copy, JsonSchema)]
#[schemars(inline, with = "String", extend(
    "pattern" = "^[12][0-9]{3}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$",
    "examples" = ["2026-12-25"],
))]
pub(in crate::config) struct Date(pub NaiveDate);

impl Date {
    /// Parses `YYYY-MM-DD`, from 1970 to 2999.
    fn parse(text: &str) -> Result<Self, TextError> {
        const FORM: &str = "write year, month and day, as in `2026-12-25`";
        let expected = |what: &str, hint: String| Err(TextError::expected(what, text).hint(hint));
        let parts: Vec<&str> = text.split(['-', '/', '.']).collect();
        let digits = |part: &str| {
            !part.is_empty() && part.len() <= 4 && part.bytes().all(|byte| byte.is_ascii_digit())
        };
        match parts.as_slice() {
            [year, month, day] if [year, month, day].iter().all(|part| digits(part)) => {
                if ([4, 2, 2], false) == ([year.len(), month.len(), day.len()], text.contains(['/', '.'])) {
                    let date = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok();
                    return match date.filter(|date| (1970..=2999).contains(&date.year())) {
                        Some(date) => Ok(Self(date)),
                        None => Err(TextError::expected("a day of the calendar", text)),
                    };
                }
                let hint = match year.len() {
                    4 => format!("write `{year}-{month:0>2}-{day:0>2}`"),
                    _ => FORM.to_owned(),
                };
                expected("a date as YYYY-MM-DD", hint)
            }
            [month, day] if digits(month) && digits(day) && month.len() <= 2 && day.len() <= 2 => {
                expected("a date with a year", format!("add the year, as in `2026-{month:0>2}-{day:0>2}`"))
            }
            _ => expected("a date", FORM.to_owned()),
        }
    }
}

impl FromNode for Date {
    fn from_node(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let text = reader.text_or_number(node, "a date")?;
        reader.parsed(node, text, Self::parse(text))
    }
}
