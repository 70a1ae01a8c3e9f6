//! Values that are one of some words.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::quantity::{DURATION_PATTERN, InitTime};
use crate::config::node::{Node, Value};
use crate::config::reader::{FromNode, Reader};
use crate::domain::budget::OnExceed;
use crate::domain::capacity::Fallback;
use crate::domain::cost::Per;
use crate::domain::fleet::{Hold, HttpVersions, Sign, Trace};
use crate::domain::function::Architecture;
use crate::domain::limits::Invocation;
use crate::domain::metrics::Detail;
use crate::domain::protocol::Protocol;

/// The version of the configuration's format.
#[derive(Debug, Clone, Copy, JsonSchema)]
#[schemars(inline, with = "serde_json::Value", extend("type" = "integer", "const" = 1))]
pub(in crate::config) struct Version;

impl FromNode for Version {
    fn from_node(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        match &node.value {
            Value::Number if reader.raw(node) == "1" => Some(Self),
            Value::Text(text) if text == "1" => {
                reader.expected(node, "the number 1", Some("remove the quotes: `version: 1`".to_owned()))
            }
            _ => reader.expected(node, "version 1", Some("write `version: 1`".to_owned())),
        }
    }
}

impl FromNode for bool {
    fn from_node(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let hint = match &node.value {
            Value::Bool(flag) => return Some(*flag),
            Value::Text(text) => match text.to_ascii_lowercase().as_str() {
                "yes" | "on" | "y" | "true" => Some("write `true`"),
                "no" | "off" | "n" | "false" => Some("write `false`"),
                _ => None,
            },
            _ => None,
        };
        reader.expected(node, "true or false", hint.map(str::to_owned))
    }
}

/// The hold of a ping: `auto`, or a duration.
#[derive(Debug, Clone, Copy, JsonSchema)]
#[schemars(inline, with = "String", extend(
    "anyOf" = serde_json::json!([{ "const": "auto" }, { "pattern": DURATION_PATTERN }]),
    "examples" = ["auto", "75ms"],
))]
pub(in crate::config) struct HoldSetting(pub Hold);

impl FromNode for HoldSetting {
    fn from_node(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        match &node.value {
            Value::Text(text) if text == "auto" => Some(Self(Hold::Auto)),
            _ => InitTime::from_node(node, reader).map(|time| Self(Hold::Fixed(time.0))),
        }
    }
}

/// The protocol of a ping: a preset, or the user's own payload.
#[derive(Debug, Clone)]
pub(in crate::config) enum ProtocolName {
    Preset(Protocol),
    Custom,
}

impl ProtocolName {
    fn words() -> Vec<(&'static str, Self)> {
        let preset = |name: &&'static str| Some((*name, Self::Preset(Protocol::parse(name)?)));
        Protocol::NAMES.iter().filter_map(preset).chain([("custom", Self::Custom)]).collect()
    }
}

/// The route of bytes from S3, without the bucket's region.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::config) enum RouteKind {
    SameRegion,
    NatGateway,
    InterfaceEndpoint,
    InterRegion,
    Internet,
}

/// The check of the first contact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::config) enum CanarySwitch {
    On,
    Off,
}

/// Means that keep a function warm, without their settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::config) enum StrategyName {
    Pings,
    Provisioned,
    Managed,
}

/// The way in which provisioned concurrency is changed, without its settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::config) enum ByName {
    Autoscaling,
    Direct,
}

/// The way of a payload that is not in the invocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::config) enum Via {
    S3,
}

/// A statistic of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::config) struct StatisticName(pub &'static str);

impl StatisticName {
    /// Source: the model of `GetMetricData` in CloudWatch's API, without percentiles.
    const NAMES: [&str; 5] = ["Maximum", "Average", "Minimum", "Sum", "SampleCount"];

    fn words() -> Vec<(&'static str, Self)> {
        Self::NAMES.iter().map(|name| (*name, Self(name))).collect()
    }
}

impl Default for StatisticName {
    fn default() -> Self {
        Self("Maximum")
    }
}

/// Implements the reader and the schema of types whose values are words.
macro_rules! choices {
    ($($type:ident: $words:expr;)+) => {$(
        impl FromNode for $type {
            fn from_node(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
                reader.choice(node, &$words)
            }
        }

        impl JsonSchema for $type {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                stringify!($type).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                let names: Vec<&str> = $words.iter().map(|(word, _)| *word).collect();
                json_schema!({ "type": "string", "enum": names })
            }
        }
    )+};
}

choices! {
    Architecture: [("x86_64", Self::X86_64), ("arm64", Self::Arm64)];
    Per: [("cold-start", Self::ColdStart), ("ping", Self::Ping)];
    Detail: [("fleet", Self::Fleet), ("function", Self::Function)];
    Sign: [("round", Self::Round), ("ping", Self::Ping)];
    HttpVersions: [("auto", Self::Auto), ("http1", Self::Http1)];
    Trace: [("off", Self::Off), ("inherit", Self::Inherit)];
    CanarySwitch: [("on", Self::On), ("off", Self::Off)];
    StrategyName: [("pings", Self::Pings), ("provisioned", Self::Provisioned), ("managed", Self::Managed)];
    ByName: [("autoscaling", Self::Autoscaling), ("direct", Self::Direct)];
    Fallback: [("pings", Self::Pings), ("none", Self::None)];
    OnExceed: Self::ALL.map(|effect| (effect.name(), effect));
    Via: [("s3", Self::S3)];
    Invocation: Invocation::NAMES;
    StatisticName: Self::words();
    ProtocolName: Self::words();
    RouteKind: [
        ("same-region", Self::SameRegion),
        ("nat-gateway", Self::NatGateway),
        ("interface-endpoint", Self::InterfaceEndpoint),
        ("inter-region", Self::InterRegion),
        ("internet", Self::Internet),
    ];
}
