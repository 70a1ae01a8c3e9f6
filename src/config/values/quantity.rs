//! Numbers, durations and sizes.

use std::borrow::Cow;
use std::time::Duration;

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::config::node::{Node, Value};
use crate::config::reader::{FromNode, Reader};
use crate::domain::parse::TextError;
use crate::domain::quantity::{DurationRange, parse_memory, parse_size};

/// A whole number from `MIN` to `MAX`.
#[derive(Debug, Clone, Copy)]
pub(in crate::config) struct Integer<const MIN: u32, const MAX: u32>(pub u32);

impl<const MIN: u32, const MAX: u32> FromNode for Integer<MIN, MAX> {
    fn from_node(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let raw = reader.raw(node);
        // A leading 0 made an octal number in YAML 1.1.
        let is_decimal =
            raw.bytes().all(|byte| byte.is_ascii_digit()) && (raw.len() == 1 || !raw.starts_with('0'));
        let hint = match &node.value {
            Value::Number if is_decimal => match raw.parse() {
                Ok(number) if (MIN..=MAX).contains(&number) => return Some(Self(number)),
                _ => None,
            },
            Value::Text(text) if text.parse::<u32>().is_ok() && raw != text => {
                Some(format!("remove the quotes: `{text}`"))
            }
            _ => None,
        };
        reader.expected(node, &format!("a whole number from {MIN} to {MAX}"), hint)
    }
}

impl<const MIN: u32, const MAX: u32> JsonSchema for Integer<MIN, MAX> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Integer".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "integer", "minimum": MIN, "maximum": MAX })
    }
}

/// An exact number up to `MAX`, in quotes or without. `ZERO` allows 0.
#[derive(Debug, Clone, Copy)]
pub(in crate::config) struct ExactNumber<const ZERO: bool, const MAX: u64>(pub Decimal);

/// Requests a second. Its limit keeps products with a second one exact.
pub(in crate::config) type Rate = ExactNumber<false, 1_000_000_000>;
/// A monthly budget in US dollars.
pub(in crate::config) type MonthlyUsd = ExactNumber<false, 1_000_000_000>;
/// A price in US dollars. Its limit keeps products with quantities exact.
pub(in crate::config) type Price = ExactNumber<true, 1_000_000_000_000_000>;
/// The quantity at which a tier of prices ends.
pub(in crate::config) type TierEnd = ExactNumber<false, 1_000_000_000_000_000>;

impl<const ZERO: bool, const MAX: u64> FromNode for ExactNumber<ZERO, MAX> {
    fn from_node(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let what = if ZERO { "a number of 0 or more" } else { "a number above 0" };
        let text = reader.text_or_number(node, what)?;
        let fits = |number: &Decimal| {
            *number <= Decimal::from(MAX) && (*number > Decimal::ZERO || ZERO && number.is_zero())
        };
        match Decimal::from_str_exact(text).ok().filter(fits) {
            Some(number) => Some(Self(number)),
            None => {
                let hint = format!("write plain digits, such as 50 or 0.045, up to {MAX}");
                let is_large = text.parse::<f64>().is_ok_and(|number| number > MAX as f64);
                let most = format!("a number of at most {MAX}");
                reader.expected(node, if is_large { &most } else { what }, Some(hint))
            }
        }
    }
}

impl<const ZERO: bool, const MAX: u64> JsonSchema for ExactNumber<ZERO, MAX> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "ExactNumber".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let least = if ZERO { "minimum" } else { "exclusiveMinimum" };
        json_schema!({
            "type": ["number", "string"],
            least: 0,
            "maximum": MAX,
            "pattern": "^[0-9]+(\\.[0-9]+)?$",
        })
    }
}

const SECOND: u64 = 1_000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// A duration.
#[derive(Debug, Clone, Copy, JsonSchema)]
#[schemars(inline, with = "String", extend("pattern" = DURATION_PATTERN, "examples" = Self::EXAMPLES))]
pub(in crate::config) struct BoundedDuration<const MIN: u64, const MAX: u64, const STEP: u64>(pub Duration);

/// The pattern of [`DurationRange::parse`].
pub(super) const DURATION_PATTERN: &str = "^[0-9]+ ?(ms|s|m|h|d)$";

/// The time between two rounds: whole minutes, at most a day.
pub(in crate::config) type Interval = BoundedDuration<MINUTE, DAY, MINUTE>;
/// The time before an opening, or of a ramp: whole minutes, at most a day.
pub(in crate::config) type Lead = BoundedDuration<0, DAY, MINUTE>;
/// The time that a cron window stays open: whole minutes, at most a week.
pub(in crate::config) type CronDuration = BoundedDuration<MINUTE, { 7 * DAY }, MINUTE>;
/// The timeout of a function: whole seconds, at most the 15 minutes that Lambda allows.
pub(in crate::config) type Timeout = BoundedDuration<SECOND, { 15 * MINUTE }, SECOND>;
/// The time that a request keeps environments warm: whole minutes, at most a week.
pub(in crate::config) type RequestLifetime = BoundedDuration<MINUTE, { 7 * DAY }, MINUTE>;
/// The time in which several requests count as one: whole seconds, at most an hour.
pub(in crate::config) type CoalesceTime = BoundedDuration<0, HOUR, SECOND>;
/// The time for which the number of a backlog is kept at least: whole seconds, at most a week.
pub(in crate::config) type HoldTime = BoundedDuration<0, { 7 * DAY }, SECOND>;
/// The time in which a backlog is worked off: whole seconds, at most a day.
pub(in crate::config) type DrainTime = BoundedDuration<SECOND, DAY, SECOND>;
/// A hold, or the time of an init: at most a function's longest timeout.
pub(in crate::config) type InitTime = BoundedDuration<0, { 15 * MINUTE }, 1>;
/// The time that an idle environment is kept: at most a day.
pub(in crate::config) type IdleLife = BoundedDuration<SECOND, DAY, SECOND>;
/// The time after which an environment is replaced: whole minutes, at most two weeks.
pub(in crate::config) type Lifetime = BoundedDuration<MINUTE, { 14 * DAY }, MINUTE>;
/// The time for which the history is kept: whole days, at most 4,000.
pub(in crate::config) type KeepHistory = BoundedDuration<DAY, { 4_000 * DAY }, DAY>;
/// The time over which an objective holds: whole days, at most 400.
pub(in crate::config) type SloPeriod = BoundedDuration<DAY, { 400 * DAY }, DAY>;
/// The time of one invocation: at most a function's longest timeout.
pub(in crate::config) type ExecutionTime = BoundedDuration<1, { 15 * MINUTE }, 1>;

impl<const MIN: u64, const MAX: u64, const STEP: u64> BoundedDuration<MIN, MAX, STEP> {
    const EXAMPLES: [&str; 3] = match STEP {
        DAY => ["7d", "28d", "400d"],
        MINUTE => ["2m", "5m", "2h"],
        SECOND => ["30s", "90s", "15m"],
        _ => ["25ms", "250ms", "2s"],
    };

    /// Returns the duration in minutes; exact for whole minutes.
    pub fn minutes(self) -> u32 {
        u32::try_from(self.0.as_secs() / 60).unwrap_or(u32::MAX)
    }

    /// Returns the duration in days; exact for whole days.
    pub fn days(self) -> u32 {
        self.minutes() / (24 * 60)
    }
}

impl<const MIN: u64, const MAX: u64, const STEP: u64> FromNode for BoundedDuration<MIN, MAX, STEP> {
    fn from_node(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let text = reader.text_or_number(node, "a duration")?;
        let range = DurationRange { min: MIN, max: MAX, step: STEP };
        reader.parsed(node, text, range.parse(text)).map(Self)
    }
}

/// A size in bytes, from 1 byte to 50 TB.
#[derive(Debug, Clone, Copy, JsonSchema)]
#[schemars(inline, with = "String", extend(
    "pattern" = r"^[0-9]+(\.[0-9]+)? ?([KMGT]i?)?B$",
    "examples" = ["220MB", "210MiB", "1.5GB"],
))]
pub(in crate::config) struct Size(pub u64);

/// The largest object that S3 stores, in bytes.
const LARGEST_OBJECT: u64 = 50_000_000_000_000;

impl FromNode for Size {
    fn from_node(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let text = reader.text_or_number(node, "a size")?;
        let in_range = |bytes| match bytes {
            1..=LARGEST_OBJECT => Ok(Self(bytes)),
            _ => Err(TextError::expected("a size from 1B to 50TB", text)),
        };
        reader.parsed(node, text, parse_size(text).and_then(in_range))
    }
}

/// A share in whole percent, 1 to 100.
#[derive(Debug, Clone, Copy, JsonSchema)]
#[schemars(inline, with = "String", extend("pattern" = "^([1-9][0-9]?|100) ?%$", "examples" = ["20%", "50%"]))]
pub(in crate::config) struct Percent(pub u32);

impl FromNode for Percent {
    fn from_node(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let text = reader.text_or_number(node, "a share in percent")?;
        let number =
            text.strip_suffix('%').map(str::trim_end).filter(|it| it.bytes().all(|c| c.is_ascii_digit()));
        match number.and_then(|number| number.parse().ok()).filter(|percent| (1..=100).contains(percent)) {
            Some(percent) => Some(Self(percent)),
            None => {
                reader.expected(node, "a share from 1% to 100%", Some("write it such as `20%`".to_owned()))
            }
        }
    }
}

/// The objective for coverage: a percentage from 1 to below 100 with at most four decimals, in millionths here.
#[derive(Debug, Clone, Copy, JsonSchema)]
#[schemars(inline, with = "String", extend(
    "pattern" = r"^[1-9][0-9]?(\.[0-9]{1,4})? ?%$",
    "examples" = ["99%", "99.95%"],
))]
pub(in crate::config) struct Coverage(pub u32);

impl FromNode for Coverage {
    fn from_node(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        const WHAT: &str = "a percentage from 1% to below 100%";
        let text = reader.text_or_number(node, WHAT)?;
        let is_plain = |number: &&str| number.starts_with(|c: char| c.is_ascii_digit());
        let number = text.strip_suffix('%').map(str::trim_end).filter(is_plain);
        let ppm = |number: &str| Decimal::from_str_exact(number).ok()?.checked_mul(Decimal::from(10_000));
        match number.and_then(ppm).filter(Decimal::is_integer).and_then(|ppm| ppm.to_u32()) {
            Some(ppm @ 10_000..1_000_000) => Some(Self(ppm)),
            _ => {
                let hint = "write it with at most four decimals, such as `99%` or `99.95%`";
                reader.expected(node, WHAT, Some(hint.to_owned()))
            }
        }
    }
}

/// The utilization of provisioned concurrency: a number from 0.1 to 0.9 with at most two decimals, in percent here.
#[derive(Debug, Clone, Copy, JsonSchema)]
#[schemars(inline, with = "f64", extend("minimum" = 0.1, "maximum" = 0.9, "examples" = [0.7]))]
pub(in crate::config) struct Utilization(pub u32);

impl FromNode for Utilization {
    fn from_node(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let percent = |text: &str| Decimal::from_str_exact(text).ok()?.checked_mul(Decimal::ONE_HUNDRED);
        let number = percent(reader.raw(node)).filter(|_| matches!(node.value, Value::Number));
        match number.filter(Decimal::is_integer).and_then(|percent| percent.to_u32()) {
            Some(percent @ 10..=90) => Some(Self(percent)),
            _ => {
                let hint = "write it with at most two decimals, such as `0.7`".to_owned();
                reader.expected(node, "a number from 0.1 to 0.9", Some(hint))
            }
        }
    }
}

/// The memory of a function in Lambda's MB, 128 to 10,240.
#[derive(Debug, Clone, Copy, JsonSchema)]
#[schemars(inline, with = "String", extend(
    "pattern" = "^[0-9]+ ?Mi?B$",
    "examples" = ["128MB", "512MB", "1024MB", "1769MB", "10240MB"],
))]
pub(in crate::config) struct Memory(pub u32);

impl FromNode for Memory {
    fn from_node(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let text = reader.text_or_number(node, "a memory size")?;
        reader.parsed(node, text, parse_memory(text)).map(Self)
    }
}
