//! Texts of a given form: names, paths, ARNs, regions, S3 objects.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::config::node::{Node, Value};
use crate::config::reader::{FromNode, Reader};
use crate::domain::capacity::Owner;
use crate::domain::function::{AccountId, BadFunction, FunctionRef, Region, Tenant};
use crate::domain::parse::TextError;
use crate::domain::s3_uri::S3Uri;

/// A text of 1 to 256 characters on one line; a number counts as its text.
#[derive(Debug, Clone, JsonSchema)]
#[schemars(inline, with = "serde_json::Value", extend(
    "type" = ["string", "number"],
    "minLength" = 1,
    "maxLength" = 256,
))]
pub(in crate::config) struct FreeText(pub String);

impl FromNode for FreeText {
    fn from_node(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        const FORM: &str = "a text of 1 to 256 characters on one line";
        let text = match &node.value {
            Value::Number => reader.raw(node),
            _ => reader.text(node, FORM)?,
        };
        if (1..=256).contains(&text.chars().count()) && !text.chars().any(char::is_control) {
            return Some(Self(text.to_owned()));
        }
        reader.expected(node, FORM, None)
    }
}

/// The name of a calendar or a named window, where it is used.
#[derive(Debug, Clone, JsonSchema)]
#[schemars(inline)]
pub(in crate::config) struct Name(#[schemars(length(min = 1))] pub String);

impl FromNode for Name {
    fn from_node(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        reader.text(node, "a name").map(|name| Self(name.to_owned()))
    }
}

/// The path of a calendar's file, relative to the file that names it.
#[derive(Debug, Clone, JsonSchema)]
#[schemars(inline, with = "String", extend(
    "pattern" = r"\.([iI][cC][sS]|[yY][aA]?[mM][lL])$",
    "examples" = ["holidays/uk.ics"],
))]
pub(in crate::config) struct CalendarPath(pub String);

impl FromNode for CalendarPath {
    fn from_node(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let hint = "use an .ics file with all-day events, or a YAML file with `dates`";
        let is_calendar = |path: &str| has_extension(path, &["ics", "yaml", "yml"]);
        reader.text_if(node, "the path of an .ics or .yaml file", hint, is_calendar).map(Self)
    }
}

/// Compares the extension of a path. Ignores case.
pub(in crate::config) fn has_extension(path: &str, extensions: &[&str]) -> bool {
    let extension = path.rsplit_once('.').map_or("", |(_, extension)| extension);
    extensions.iter().any(|known| known.eq_ignore_ascii_case(extension))
}

impl FromNode for Region {
    fn from_node(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        if let Value::List(_) = &node.value {
            return reader.expected(node, "a region", Some("use `regions` for a list".to_owned()));
        }
        let text = reader.text(node, "a region")?;
        reader.parsed(node, text, Self::parse(text).map_err(TextError::from))
    }
}

impl JsonSchema for Region {
    fn schema_name() -> Cow<'static, str> {
        "Region".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let names: Vec<&str> = Self::all().map(Self::as_str).collect();
        json_schema!({ "description": "An AWS region.", "type": "string", "enum": names })
    }
}

impl FromNode for FunctionRef {
    fn from_node(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let text = reader.text(node, "a function")?;
        let explain = |error: BadFunction| match error {
            BadFunction::Region(unknown) => TextError { at: 0..text.len(), ..unknown.into() },
            other => TextError::new(0..text.len(), other.to_string()),
        };
        reader.parsed(node, text, Self::parse(text).map_err(explain))
    }
}

impl JsonSchema for FunctionRef {
    fn schema_name() -> Cow<'static, str> {
        "Function".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A function, by `name`, `name:qualifier` or function ARN.",
            "type": "string",
            "pattern": "^(arn:aws[a-z-]*:lambda:[a-z0-9-]+:[0-9]{12}:function:)?[A-Za-z0-9_-]{1,64}(:([A-Za-z0-9_-]{1,128}|\\$LATEST(\\.PUBLISHED)?))?$",
        })
    }
}

impl FromNode for Tenant {
    fn from_node(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let hint = "use 1 to 256 of A-Z a-z 0-9 . _ : / = + - @ and spaces, with no space at its ends";
        let text = reader.text_if(node, "a tenant id", hint, |text| Self::parse(text).is_ok())?;
        Self::parse(&text).ok()
    }
}

impl JsonSchema for Tenant {
    fn schema_name() -> Cow<'static, str> {
        "Tenant".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": Self::PATTERN, "maxLength": Self::MOST_CHARS })
    }
}

impl FromNode for Owner {
    fn from_node(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let hint = "use 1 to 64 of A-Z a-z 0-9 - _ .";
        let text = reader.text_if(node, "the name of an owner", hint, |text| Self::parse(text).is_some())?;
        Self::parse(&text)
    }
}

impl JsonSchema for Owner {
    fn schema_name() -> Cow<'static, str> {
        "Owner".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^[A-Za-z0-9._-]{1,64}$" })
    }
}

/// The ARN of an IAM role.
#[derive(Debug, Clone, JsonSchema)]
#[schemars(inline, with = "String", extend(
    "pattern" = "^arn:aws[a-z-]*:iam::[0-9]{12}:role/[A-Za-z0-9+=,.@_/-]+$",
    "examples" = ["arn:aws:iam::123456789012:role/warmd"],
))]
pub(in crate::config) struct RoleArn(pub String);

impl FromNode for RoleArn {
    fn from_node(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let hint = "write an ARN such as `arn:aws:iam::123456789012:role/warmd`";
        reader.text_if(node, "the ARN of a role", hint, is_role_arn).map(Self)
    }
}

fn is_role_arn(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"+=,.@_/-".contains(&byte);
    let ["arn", partition, "iam", "", account, resource] = text.splitn(6, ':').collect::<Vec<_>>()[..] else {
        return false;
    };
    let name = resource.strip_prefix("role/").unwrap_or_default();
    partition.starts_with("aws")
        && AccountId::parse(account).is_some()
        && (1..=576).contains(&name.len())
        && name.bytes().all(allowed)
}

/// An external id: 2 to 1,224 of the characters that STS accepts.
#[derive(Debug, Clone, JsonSchema)]
#[schemars(inline)]
pub(in crate::config) struct ExternalId(
    #[schemars(length(min = 2, max = 1224), extend("pattern" = "^[A-Za-z0-9_+=,.@:/-]+$"))] pub String,
);

impl FromNode for ExternalId {
    fn from_node(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_+=,.@:/-".contains(&byte);
        let fits = |text: &str| (2..=1_224).contains(&text.len()) && text.bytes().all(allowed);
        reader.text_if(node, "an external id", "use 2 to 1,224 of A-Z a-z 0-9 and _+=,.@:/-", fits).map(Self)
    }
}

/// An object in S3: `s3://bucket/key`.
#[derive(Debug, Clone, JsonSchema)]
#[schemars(inline, with = "String", extend(
    "pattern" = "^s3://[^/]{3,63}/.",
    "examples" = ["s3://models/nlp-v7.bin"],
))]
pub(in crate::config) struct S3Object(pub String);

impl FromNode for S3Object {
    fn from_node(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        // S3's own limits: 3 to 63 characters of a bucket's name, 1,024 bytes of a key.
        let fits = |(bucket, key): (&str, &str)| {
            (3..=63).contains(&bucket.len()) && (1..=1_024).contains(&key.len())
        };
        let is_object = |text: &str| S3Uri::split(text).is_some_and(fits);
        reader.text_if(node, "an object in S3", "write `s3://bucket/key`", is_object).map(Self)
    }
}

/// A CloudWatch namespace.
#[derive(Debug, Clone, JsonSchema)]
#[schemars(inline, with = "String", extend(
    "pattern" = "^(?!AWS/|:)[A-Za-z0-9._/#: -]{1,255}$",
    "examples" = ["warmd"],
))]
pub(in crate::config) struct Namespace(pub String);

impl FromNode for Namespace {
    fn from_node(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".-_/#: ".contains(&byte);
        let is_namespace = |text: &str| {
            let reserved = text.starts_with(':') || text.starts_with("AWS/") || text.trim().is_empty();
            (1..=255).contains(&text.len()) && text.bytes().all(allowed) && !reserved
        };
        let hint = "use 1 to 255 of A-Z a-z 0-9 . - _ / # : and space, not beginning with `AWS/` or `:`";
        reader.text_if(node, "a CloudWatch namespace", hint, is_namespace).map(Self)
    }
}
