//! The scalar values of a functions file: durations, spans, sizes, versions, holds, handlers.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::Deserialize;
use serde::de::{Deserializer, Error, Visitor};

use super::super::profile::{Ahead, Handler, HoldBehavior, Preset, Route, Span, Unrecognized};

/// A duration: a number and `ms`, `s`, `m` or `h`.
#[derive(Debug, Clone, Copy)]
pub(super) struct DurationText(pub Duration);

fn expected(what: &str, found: impl fmt::Display) -> String {
    format!("expected {what}, found \"{found}\"")
}

fn duration(text: &str) -> Result<Duration, String> {
    let unit = text.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
    let scale = match unit {
        "ms" => 0.001,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return Err(expected("a duration such as 250ms, 1.5s, 5m or 2h", text)),
    };
    let number: Option<f64> = text.strip_suffix(unit).and_then(|number| number.parse().ok());
    // Rounded to whole microseconds, so that 0.1s does not become 100.000001 ms.
    let micros = number.map(|number| (number * scale * 1e6).round()).filter(|micros| *micros <= 1e15);
    micros
        .map(|micros| Duration::from_micros(micros as u64))
        .ok_or_else(|| expected("a duration such as 250ms, 1.5s, 5m or 2h", text))
}

impl From<DurationText> for Duration {
    fn from(DurationText(duration): DurationText) -> Self {
        duration
    }
}

impl From<DurationText> for Option<Duration> {
    fn from(DurationText(duration): DurationText) -> Self {
        Some(duration)
    }
}

impl<'de> Deserialize<'de> for DurationText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        duration(&String::deserialize(deserializer)?).map(Self).map_err(D::Error::custom)
    }
}

impl<'de> Deserialize<'de> for Span {
    /// A duration, or a range such as `6s..7s`.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let (least, most) = text.split_once("..").unwrap_or((&text, &text));
        let span = Self {
            least: duration(least).map_err(D::Error::custom)?,
            most: duration(most).map_err(D::Error::custom)?,
        };
        if span.most < span.least {
            return Err(D::Error::custom(expected("a range that begins with its shorter duration", text)));
        }
        Ok(span)
    }
}

impl<'de> Deserialize<'de> for Ahead {
    /// An object such as `{ share: 0.7, by: 50ms..5s }`.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Fields {
            share: f64,
            by: Span,
        }
        let Fields { share, by } = Fields::deserialize(deserializer)?;
        match (0.0..=1.0).contains(&share) {
            true => Ok(Self { share, by }),
            false => Err(D::Error::custom(expected("a share from 0 to 1", share))),
        }
    }
}

/// Memory: a number of MB, with or without `MB`.
#[derive(Debug, Clone, Copy)]
pub(super) struct MemorySize(u32);

impl From<MemorySize> for u32 {
    fn from(MemorySize(megabytes): MemorySize) -> Self {
        megabytes
    }
}

impl<'de> Deserialize<'de> for MemorySize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = deserializer.deserialize_any(ScalarText)?;
        let number = text.strip_suffix("MB").unwrap_or(&text).trim();
        match number.parse() {
            // Lambda's range.
            Ok(memory) if (128..=10_240).contains(&memory) => Ok(Self(memory)),
            _ => Err(D::Error::custom(expected("a memory size from 128MB to 10240MB", text))),
        }
    }
}

/// The aliases of a function.
#[derive(Debug, Clone, Deserialize)]
#[serde(transparent)]
pub(super) struct Aliases(BTreeMap<String, AliasRoutes>);

impl From<Aliases> for BTreeMap<String, Vec<Route>> {
    fn from(Aliases(aliases): Aliases) -> Self {
        aliases.into_iter().map(|(name, AliasRoutes(routes))| (name, routes)).collect()
    }
}

/// A version, or versions with weights.
#[derive(Debug, Clone)]
struct AliasRoutes(Vec<Route>);

impl<'de> Deserialize<'de> for AliasRoutes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = AliasRoutes;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a version number, or version numbers with weights such as { 7: 0.9, 8: 0.1 }")
            }

            fn visit_u64<E: Error>(self, version: u64) -> Result<AliasRoutes, E> {
                self.visit_str(&version.to_string())
            }

            fn visit_i64<E: Error>(self, version: i64) -> Result<AliasRoutes, E> {
                self.visit_str(&version.to_string())
            }

            fn visit_str<E: Error>(self, version: &str) -> Result<AliasRoutes, E> {
                Ok(AliasRoutes(vec![Route { version: version.to_owned(), weight: 1.0 }]))
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<AliasRoutes, A::Error> {
                let mut routes = Vec::new();
                while let Some((version, weight)) = map.next_entry::<String, f64>()? {
                    if !(weight.is_finite() && weight >= 0.0) {
                        return Err(A::Error::custom(expected("a weight of at least 0", weight)));
                    }
                    routes.push(Route { version, weight });
                }
                Ok(AliasRoutes(routes))
            }
        }
        deserializer.deserialize_any(Either)
    }
}

/// A scalar as text, also when it is a number.
struct ScalarText;

impl Visitor<'_> for ScalarText {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text or a number")
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<String, E> {
        Ok(number.to_string())
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<String, E> {
        Ok(number.to_string())
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<String, E> {
        Ok(text.to_owned())
    }
}

impl<'de> Deserialize<'de> for HoldBehavior {
    /// `as-asked`, `ignored` or a duration.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match String::deserialize(deserializer)?.as_str() {
            "as-asked" => Ok(Self::AsRequested),
            "ignored" => Ok(Self::Ignored),
            other => duration(other)
                .map(Self::Fixed)
                .map_err(|_| D::Error::custom(expected("as-asked, ignored or a duration", other))),
        }
    }
}

impl<'de> Deserialize<'de> for Unrecognized {
    /// `work`, `timeout` or the type of an error.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match String::deserialize(deserializer)?.as_str() {
            "work" => Self::Work,
            "timeout" => Self::Timeout,
            error_type => Self::Fail(error_type.to_owned()),
        })
    }
}

/// Texts, or numbers as texts.
#[derive(Debug, Clone, Deserialize)]
#[serde(transparent)]
pub(super) struct Texts(Vec<Text>);

impl From<Texts> for Vec<String> {
    fn from(Texts(texts): Texts) -> Self {
        texts.into_iter().map(String::from).collect()
    }
}

/// A text, or a number as text.
#[derive(Debug, Clone)]
pub(super) struct Text(String);

impl From<Text> for String {
    fn from(Text(text): Text) -> Self {
        text
    }
}

impl From<Text> for Option<String> {
    fn from(Text(text): Text) -> Self {
        Some(text)
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ScalarText).map(Self)
    }
}

/// A text; `none` for the absence of one.
#[derive(Debug, Clone, Deserialize)]
#[serde(transparent)]
pub(super) struct Optional(Text);

impl From<Optional> for Option<String> {
    fn from(Optional(Text(text)): Optional) -> Self {
        (text != "none").then_some(text)
    }
}

impl<'de> Deserialize<'de> for Handler {
    /// `any`, `none` or a preset.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match text.as_str() {
            "any" => Ok(Self::Any),
            "none" => Ok(Self::None),
            other => {
                let preset: Result<Preset, serde::de::value::Error> =
                    Preset::deserialize(serde::de::value::StrDeserializer::new(other));
                preset.map(Self::Only).map_err(|_| {
                    let known = "any, none, warmd, serverless-plugin-warmup, lambda-warmer, lambda-warmer-py, \
                                 opennext, bref, vapor or thundra";
                    D::Error::custom(expected(known, other))
                })
            }
        }
    }
}
