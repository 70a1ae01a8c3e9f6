//! Values that are one of some words, or have a form of their own: protocols, routes, objects, namespaces, payloads.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::schema;
use crate::config::node::{Node, Value};
use crate::config::quantity::HoldTime;
use crate::config::reader::{Reader, Wire, quoted};
use crate::domain::cost::Per;
use crate::domain::fleet::{Architecture, Hold, HttpVersions, Sign, Trace};
use crate::domain::function::AccountId;
use crate::domain::metrics::Detail;
use crate::domain::protocol::Protocol;

/// How long a ping holds: `auto`, or a duration.
#[derive(Debug, Clone, Copy)]
pub(in crate::config) struct Holding(pub Hold);

impl Wire for Holding {
    fn read(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        match &node.value {
            Value::Text(text) if text == "auto" => Some(Self(Hold::Auto)),
            _ => HoldTime::read(node, reader).map(|time| Self(Hold::Fixed(time.0))),
        }
    }
}

schema!(
    Holding,
    inline,
    json_schema!({
        "type": "string",
        "anyOf": [{ "const": "auto" }, { "pattern": "^[0-9]+ ?(ms|s|m|h)$" }],
        "examples": ["auto", "75ms"],
    })
);

/// Defines a value that is one of some words.
macro_rules! words {
    ($(#[$doc:meta])+ $name:ident($type:ty), $wanted:literal, $words:expr) => {
        $(#[$doc])+
        #[derive(Debug, Clone)]
        pub(in crate::config) struct $name(pub $type);

        impl Wire for $name {
            fn read(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
                let words: &[(&str, $type)] = &$words;
                reader.choice(node, $wanted, words).map(Self)
            }
        }

        schema!($name, inline, {
            let words: &[(&str, $type)] = &$words;
            let names: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            json_schema!({ "type": "string", "enum": names })
        });
    };
}

words!(
    /// A function's instruction set.
    InstructionSet(Architecture), "`x86_64` or `arm64`", [("x86_64", Architecture::X86_64), ("arm64", Architecture::Arm64)]
);

words!(
    /// How often something is downloaded.
    HowOften(Per), "`cold-start` or `ping`", [("cold-start", Per::ColdStart), ("ping", Per::Ping)]
);

words!(
    /// How finely metrics are sent.
    MetricsDetail(Detail), "`fleet` or `function`", [("fleet", Detail::Fleet), ("function", Detail::Function)]
);

words!(
    /// The number of signatures of a round.
    SignBy(Sign), "`round` or `ping`", [("round", Sign::Round), ("ping", Sign::Ping)]
);

words!(
    /// Which versions of HTTP carry pings.
    HttpBy(HttpVersions), "`auto` or `http1`", [("auto", HttpVersions::Auto), ("http1", HttpVersions::Http1)]
);

words!(
    /// The visibility of pings in traces.
    TraceBy(Trace), "`off` or `inherit`", [("off", Trace::Off), ("inherit", Trace::Inherit)]
);

/// The ARN of a role.
#[derive(Debug, Clone)]
pub(in crate::config) struct RoleArn(pub String);

impl Wire for RoleArn {
    fn read(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let text = reader.text(node, "the ARN of a role")?;
        let parts: Vec<&str> = text.splitn(6, ':').collect();
        let sound = match parts.as_slice() {
            ["arn", partition, "iam", "", account, resource] => {
                let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"+=,.@_/-".contains(&byte);
                partition.starts_with("aws")
                    && AccountId::parse(account).is_some()
                    && resource.strip_prefix("role/").is_some_and(|name| {
                        !name.is_empty() && name.len() <= 576 && name.bytes().all(allowed)
                    })
            }
            _ => false,
        };
        if sound {
            return Some(Self(text.to_owned()));
        }
        let problem = reader
            .error(node.span, format!("{} is not the ARN of a role", quoted(text)))
            .hint("it looks like arn:aws:iam::123456789012:role/warmd");
        reader.report(problem);
        None
    }
}

schema!(
    RoleArn,
    inline,
    json_schema!({
        "type": "string",
        "pattern": "^arn:aws[a-z-]*:iam::[0-9]{12}:role/[A-Za-z0-9+=,.@_/-]+$",
        "examples": ["arn:aws:iam::123456789012:role/warmd"],
    })
);

/// An external id: 2 to 1,224 of the characters that STS takes.
#[derive(Debug, Clone)]
pub(in crate::config) struct ExternalId(pub String);

impl Wire for ExternalId {
    fn read(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let text = reader.text(node, "an external id")?;
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_+=,.@:/-".contains(&byte);
        if (2..=1_224).contains(&text.len()) && text.bytes().all(allowed) {
            return Some(Self(text.to_owned()));
        }
        let problem = reader
            .error(node.span, format!("{} is not an external id", quoted(text)))
            .hint("it has 2 to 1,224 of A-Z a-z 0-9 and _+=,.@:/-");
        reader.report(problem);
        None
    }
}

schema!(
    ExternalId,
    inline,
    json_schema!({ "type": "string", "minLength": 2, "maxLength": 1224, "pattern": "^[A-Za-z0-9_+=,.@:/-]+$" })
);

/// What a ping says: a preset, or the user's own payload.
#[derive(Debug, Clone)]
pub(in crate::config) enum ProtocolName {
    Preset(Protocol),
    Custom,
}

impl Wire for ProtocolName {
    fn read(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let preset =
            |name: &&'static str| Protocol::parse(name).map(|protocol| (*name, Self::Preset(protocol)));
        let mut words: Vec<(&str, Self)> = Protocol::NAMES.iter().filter_map(preset).collect();
        words.push(("custom", Self::Custom));
        reader.choice(node, "a protocol", &words)
    }
}

schema!(ProtocolName, inline, {
    let names: Vec<&str> = Protocol::NAMES.iter().copied().chain(["custom"]).collect();
    json_schema!({ "type": "string", "enum": names })
});

/// The way of bytes from S3, before the bucket's region is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::config) enum Way {
    SameRegion,
    NatGateway,
    InterfaceEndpoint,
    InterRegion,
    Internet,
}

words!(
    /// The way of bytes from S3.
    RouteName(Way), "a route", [
        ("same-region", Way::SameRegion),
        ("nat-gateway", Way::NatGateway),
        ("interface-endpoint", Way::InterfaceEndpoint),
        ("inter-region", Way::InterRegion),
        ("internet", Way::Internet),
    ]
);

/// An object in S3: `s3://bucket/key`.
#[derive(Debug, Clone)]
pub(in crate::config) struct S3Object(pub String);

impl Wire for S3Object {
    fn read(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let text = reader.text(node, "an object such as `s3://bucket/key`")?;
        let parts = text.strip_prefix("s3://").and_then(|rest| rest.split_once('/'));
        // S3's own limits: 3 to 63 characters of a bucket's name, 1,024 bytes of a key.
        if parts
            .is_some_and(|(bucket, key)| (3..=63).contains(&bucket.len()) && (1..=1_024).contains(&key.len()))
        {
            return Some(Self(text.to_owned()));
        }
        let problem = reader
            .error(node.span, format!("{} is not an object in S3", quoted(text)))
            .hint("write `s3://bucket/key`");
        reader.report(problem);
        None
    }
}

schema!(
    S3Object,
    inline,
    json_schema!({ "type": "string", "pattern": "^s3://[^/]{3,63}/.", "examples": ["s3://models/nlp-v7.bin"] })
);

/// A CloudWatch namespace.
#[derive(Debug, Clone)]
pub(in crate::config) struct Namespace(pub String);

impl Wire for Namespace {
    fn read(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let text = reader.text(node, "a CloudWatch namespace")?;
        let known = |byte: u8| byte.is_ascii_alphanumeric() || b".-_/#: ".contains(&byte);
        let fits = (1..=255).contains(&text.len()) && text.bytes().all(known);
        if fits && !text.starts_with(':') && !text.starts_with("AWS/") && !text.trim().is_empty() {
            return Some(Self(text.to_owned()));
        }
        let problem = reader
            .error(node.span, format!("{} is not a CloudWatch namespace", quoted(text)))
            .hint("1 to 255 of A-Z a-z 0-9 . - _ / # : and space, not beginning with `AWS/` or `:`");
        reader.report(problem);
        None
    }
}

schema!(
    Namespace,
    inline,
    json_schema!({ "type": "string", "pattern": "^(?!AWS/|:)[A-Za-z0-9._/#: -]{1,255}$", "examples": ["warmd"] })
);

/// Any JSON: what a ping of the `custom` protocol says.
#[derive(Debug, Clone)]
pub(in crate::config) struct Json {
    pub value: serde_json::Value,
    /// Roughly how many bytes of memory it takes.
    pub weight: usize,
}

/// A ping is small: Lambda takes 6 MB, but the fleet holds a copy for each target.
const HEAVIEST: usize = 64 << 10;

impl Wire for Json {
    fn read(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let mut weight = 0;
        let value = to_json(node, reader, &mut weight)?;
        if weight <= HEAVIEST {
            return Some(Self { value, weight });
        }
        let problem = reader.error(reader.head(node), "the payload is too large").hint("64 KB is the most");
        reader.report(problem);
        None
    }
}

fn to_json(node: &Node<'_>, reader: &mut Reader<'_>, weight: &mut usize) -> Option<serde_json::Value> {
    *weight += 100;
    Some(match &node.value {
        Value::Null => serde_json::Value::Null,
        Value::Bool(flag) => (*flag).into(),
        Value::Text(text) => {
            *weight += text.len();
            text.as_ref().into()
        }
        Value::Number => {
            let raw = reader.raw(node);
            match raw.parse::<serde_json::Number>() {
                Ok(number) => number.into(),
                Err(_) => {
                    let problem = reader
                        .error(node.span, format!("{} is not a number of JSON", quoted(raw)))
                        .hint("write plain digits, or put it in quotes");
                    reader.report(problem);
                    return None;
                }
            }
        }
        Value::List(items) => {
            let mut list = Vec::with_capacity(items.len());
            for item in items {
                list.push(to_json(item, reader, weight)?);
            }
            list.into()
        }
        Value::Map(_) => {
            let mut map = serde_json::Map::new();
            for entry in reader.entries(node)? {
                *weight += entry.key.len();
                map.insert(entry.key.to_owned(), to_json(entry.node, reader, weight)?);
            }
            map.into()
        }
    })
}

schema!(Json, inline, json_schema!({}));
