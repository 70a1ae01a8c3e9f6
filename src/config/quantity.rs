//! Numbers, durations and sizes as they are written in the configuration.

use std::time::Duration;

use rust_decimal::Decimal;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::node::{Node, Value};
use super::reader::{Reader, Wire, quoted};
use crate::domain::calendar::text::TextError;

/// An error about a whole text.
fn wrong(text: &str, message: impl Into<String>, hint: impl Into<String>) -> TextError {
    TextError { message: message.into(), hint: Some(hint.into()), at: 0..text.len() }
}

/// Digits alone, without the leading 0 that made octal numbers in YAML 1.1.
fn plain_digits(raw: &str) -> bool {
    raw.bytes().all(|byte| byte.is_ascii_digit()) && (raw.len() == 1 || !raw.starts_with('0'))
}

/// A whole number from `MIN` to `MAX`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Whole<const MIN: u32, const MAX: u32>(pub u32);

impl<const MIN: u32, const MAX: u32> Wire for Whole<MIN, MAX> {
    fn read(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let wanted = format!("a whole number from {MIN} to {MAX}");
        let raw = reader.raw(node);
        match &node.value {
            Value::Number => match raw.parse() {
                Ok(number) if (MIN..=MAX).contains(&number) && plain_digits(raw) => {
                    return Some(Self(number));
                }
                _ => {
                    let problem = reader.error(node.span, format!("{} is not {wanted}", quoted(raw)));
                    reader.report(problem);
                }
            },
            Value::Text(text) if text.parse::<u32>().is_ok() && raw != text => {
                return reader.wrong_kind(
                    node,
                    &wanted,
                    Some(format!("without quotes it is a number: {text}")),
                );
            }
            _ => return reader.wrong_kind(node, &wanted, None),
        }
        None
    }
}

impl<const MIN: u32, const MAX: u32> JsonSchema for Whole<MIN, MAX> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        format!("Whole{MIN}To{MAX}").into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "integer", "minimum": MIN, "maximum": MAX })
    }
}

/// A number above zero, exact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Positive(pub Decimal);

/// The most that a [`Positive`] may be; it keeps products of two within a decimal's range.
const MOST: u32 = 1_000_000_000;

impl Wire for Positive {
    fn read(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let wanted = "a number above 0";
        let Value::Number = &node.value else {
            return reader.wrong_kind(node, wanted, None);
        };
        let raw = reader.raw(node);
        match Decimal::from_str_exact(raw) {
            Ok(number) if number > Decimal::ZERO && number <= Decimal::from(MOST) => Some(Self(number)),
            _ => {
                let problem = reader
                    .error(node.span, format!("{} is not {wanted}", quoted(raw)))
                    .hint(format!("write plain digits, such as 50 or 0.5; {MOST} is the most"));
                reader.report(problem);
                None
            }
        }
    }
}

impl JsonSchema for Positive {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Positive".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "number", "exclusiveMinimum": 0, "maximum": MOST })
    }
}

const SECOND: u64 = 1_000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;

/// A duration from `MIN` to `MAX` ms, a multiple of `STEP` ms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lasting<const MIN: u64, const MAX: u64, const STEP: u64>(pub Duration);

/// Time between two rounds: whole minutes, at most a day.
pub(super) type Interval = Lasting<MINUTE, { 24 * HOUR }, MINUTE>;
/// Time before an opening, or of a ramp: whole minutes, at most a day.
pub(super) type Lead = Lasting<0, { 24 * HOUR }, MINUTE>;
/// How long a cron window stays open: whole minutes, at most a week.
pub(super) type OpenFor = Lasting<MINUTE, { 7 * 24 * HOUR }, MINUTE>;
/// A function's own timeout: whole seconds, at most the 15 minutes that Lambda allows.
pub(super) type Timeout = Lasting<SECOND, { 15 * MINUTE }, SECOND>;
/// How long a request keeps environments: whole minutes, at most a week.
pub(super) type KeptFor = Lasting<MINUTE, { 7 * 24 * HOUR }, MINUTE>;
/// How far apart requests are at least, to be two: whole seconds, at most an hour.
pub(super) type Apart = Lasting<0, HOUR, SECOND>;
/// How long an environment is held: at most a function's longest timeout.
pub(super) type HoldTime = Lasting<0, { 15 * MINUTE }, 1>;
/// How long an idle environment is kept: at most a day.
pub(super) type IdleLife = Lasting<SECOND, { 24 * HOUR }, SECOND>;
/// How long an environment is used at all: whole minutes, at most two weeks.
pub(super) type Lifetime = Lasting<MINUTE, { 14 * 24 * HOUR }, MINUTE>;
/// How long a request takes: at most a function's longest timeout.
pub(super) type RequestTime = Lasting<1, { 15 * MINUTE }, 1>;

const UNITS: [(&str, u64); 4] = [("ms", 1), ("s", SECOND), ("m", MINUTE), ("h", HOUR)];

/// A number of ms in the largest unit that fits.
fn shown(ms: u64) -> String {
    let fits = |unit: &&(&str, u64)| ms.is_multiple_of(unit.1) && ms >= unit.1;
    match UNITS.iter().rev().find(fits) {
        Some((unit, length)) => format!("{}{unit}", ms / length),
        None => format!("{ms}s"),
    }
}

impl<const MIN: u64, const MAX: u64, const STEP: u64> Lasting<MIN, MAX, STEP> {
    fn parse(text: &str) -> Result<Self, TextError> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let form = format!(
            "durations are a number and a unit: 250ms, 90s, 5m, 2h; this one from {} to {}",
            shown(MIN),
            shown(MAX)
        );
        let not = || wrong(text, format!("{} is not a duration", quoted(text)), form.as_str());
        if unit.is_empty() && !number.is_empty() {
            let unit = if STEP == MINUTE {
                "m"
            } else if STEP == SECOND {
                "s"
            } else {
                "ms"
            };
            return Err(wrong(
                text,
                format!("{} has no unit", quoted(text)),
                format!("write `{number}{unit}`?"),
            ));
        }
        let (_, length) = UNITS.iter().find(|(name, _)| *name == unit.trim_start()).ok_or_else(not)?;
        let number: u64 = number.parse().map_err(|_| not())?;
        let ms = number.saturating_mul(*length);
        if !(MIN..=MAX).contains(&ms) {
            let message = format!("{} is outside of {} to {}", quoted(text), shown(MIN), shown(MAX));
            return Err(TextError { message, hint: None, at: 0..text.len() });
        }
        if !ms.is_multiple_of(STEP) {
            let unit = if STEP == MINUTE { "minutes" } else { "seconds" };
            let below = ms - ms % STEP;
            let hint = match below {
                0 => format!("write `{}`", shown(below + STEP)),
                _ => format!("write `{}` or `{}`", shown(below), shown(below + STEP)),
            };
            return Err(wrong(text, format!("{} is not a whole number of {unit}", quoted(text)), hint));
        }
        Ok(Self(Duration::from_millis(ms)))
    }

    /// The duration in minutes; exact for whole minutes.
    pub fn minutes(self) -> u32 {
        u32::try_from(self.0.as_secs() / 60).unwrap_or(u32::MAX)
    }
}

impl<const MIN: u64, const MAX: u64, const STEP: u64> Wire for Lasting<MIN, MAX, STEP> {
    fn read(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let text = reader.text_or_number(node, "a duration such as `5m`")?;
        reader.parsed(node, text, Self::parse(text))
    }
}

impl<const MIN: u64, const MAX: u64, const STEP: u64> JsonSchema for Lasting<MIN, MAX, STEP> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        format!("Lasting{MIN}To{MAX}").into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let examples = match STEP {
            MINUTE => ["2m", "5m", "2h"],
            SECOND => ["30s", "90s", "15m"],
            _ => ["25ms", "250ms", "2s"],
        };
        json_schema!({ "type": "string", "pattern": "^[0-9]+ ?(ms|s|m|h)$", "examples": examples })
    }
}

/// A size in bytes: decimal units (`MB` is 10^6) or binary ones (`MiB` is 2^20), from 1 byte to 50 TB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Size(pub u64);

/// The largest object that S3 stores.
const LARGEST_OBJECT: u64 = 50_000_000_000_000;

const SIZE_UNITS: [(&str, u64); 9] = [
    ("B", 1),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
];

impl Size {
    fn parse(text: &str) -> Result<Self, TextError> {
        let bytes = Self::bytes(text)?;
        if (1..=LARGEST_OBJECT).contains(&bytes) {
            return Ok(Self(bytes));
        }
        Err(wrong(text, format!("{} is outside of 1B to 50TB", quoted(text)), Self::FORM))
    }

    const FORM: &str = "sizes are a number and a unit: 220MB (10^6 bytes) or 210MiB (2^20 bytes)";

    /// A size of any number of bytes.
    pub fn bytes(text: &str) -> Result<u64, TextError> {
        let digits = text.bytes().take_while(|byte| byte.is_ascii_digit() || *byte == b'.').count();
        let (number, unit) = text.split_at(digits);
        let not = || wrong(text, format!("{} is not a size", quoted(text)), Self::FORM);
        if unit.is_empty() && !number.is_empty() {
            return Err(wrong(text, format!("{} has no unit", quoted(text)), Self::FORM));
        }
        let unit = unit.trim_start();
        let Some((_, length)) = SIZE_UNITS.iter().find(|(name, _)| *name == unit) else {
            return Err(match SIZE_UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit)) {
                Some((name, _)) => {
                    wrong(text, format!("{} is not a size", quoted(text)), format!("write `{number}{name}`"))
                }
                None => not(),
            });
        };
        let bytes = Decimal::from_str_exact(number).map_err(|_| not())?.checked_mul(Decimal::from(*length));
        let whole = bytes.filter(Decimal::is_integer).and_then(|bytes| u64::try_from(bytes).ok());
        whole.ok_or_else(|| {
            wrong(text, format!("{} is not a whole number of bytes", quoted(text)), Self::FORM)
        })
    }
}

impl Wire for Size {
    fn read(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let text = reader.text_or_number(node, "a size such as `220MB`")?;
        reader.parsed(node, text, Self::parse(text))
    }
}

impl JsonSchema for Size {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Size".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": "^[0-9]+(\\.[0-9]+)? ?([KMGT]i?)?B$",
            "examples": ["220MB", "210MiB", "1.5GB"],
        })
    }
}

/// A function's memory in Lambda's MB, 128 to 10,240.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Memory(pub u32);

impl Memory {
    pub fn parse(text: &str) -> Result<Self, TextError> {
        const FORM: &str = "memory is written in Lambda's MB, such as `1024MB`, from 128MB to 10240MB";
        let number = text.strip_suffix("MB").or_else(|| text.strip_suffix("MiB")).map(str::trim_end);
        match number.filter(|number| number.bytes().all(|byte| byte.is_ascii_digit())).map(str::parse) {
            Some(Ok(mb)) if (128..=10_240).contains(&mb) => Ok(Self(mb)),
            _ if text.parse::<u32>().is_ok() => {
                Err(wrong(text, format!("{} has no unit", quoted(text)), format!("write `{text}MB`")))
            }
            _ => Err(wrong(text, format!("{} is not a memory size", quoted(text)), FORM)),
        }
    }
}

impl Wire for Memory {
    fn read(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let text = reader.text_or_number(node, "a memory size such as `1024MB`")?;
        reader.parsed(node, text, Self::parse(text))
    }
}

impl JsonSchema for Memory {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Memory".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": "^[0-9]+ ?Mi?B$",
            "examples": ["128MB", "512MB", "1024MB", "1769MB", "10240MB"],
        })
    }
}
