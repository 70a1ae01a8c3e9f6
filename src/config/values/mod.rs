//! Single values as they are written in the configuration, other than quantities.

mod time;
mod words;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

pub(super) use self::time::{Cron, Date, DayHours, Days, Zone};
pub(super) use self::words::{
    ExternalId, Holding, HowOften, HttpBy, InstructionSet, Json, MetricsDetail, Namespace, ProtocolName,
    RoleArn, RouteName, S3Object, SignBy, TraceBy, Way,
};
use super::node::{Node, Value};
use super::reader::{At, Reader, Wire, quoted};
use crate::domain::function::Region;

/// Implements [`JsonSchema`] for a value: inline, or under its name where the schema is long.
macro_rules! schema {
    ($type:ty, inline, $schema:expr) => {
        schema!($type, true, $schema);
    };
    ($type:ty, named, $schema:expr) => {
        schema!($type, false, $schema);
    };
    ($type:ty, $inline:literal, $schema:expr) => {
        impl JsonSchema for $type {
            fn inline_schema() -> bool {
                $inline
            }

            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($type).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                $schema
            }
        }
    };
}

use schema;

/// The version of the configuration's format.
#[derive(Debug, Clone, Copy)]
pub(super) struct Version;

impl Wire for Version {
    fn read(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let raw = reader.raw(node);
        let problem = match &node.value {
            Value::Number if raw == "1" => return Some(Self),
            Value::Text(text) if text == "1" => {
                reader.error(node.span, "the version is a number").hint("write `version: 1`, without quotes")
            }
            _ => reader.error(node.span, "this version is not known").hint("write `version: 1`"),
        };
        reader.report(problem);
        None
    }
}

schema!(Version, inline, json_schema!({ "type": "integer", "const": 1 }));

/// `true` or `false`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Flag(pub bool);

impl Wire for Flag {
    fn read(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let hint = match &node.value {
            Value::Bool(flag) => return Some(Self(*flag)),
            Value::Text(text) => match text.to_ascii_lowercase().as_str() {
                "yes" | "on" | "y" | "true" => Some("write `true`"),
                "no" | "off" | "n" | "false" => Some("write `false`"),
                _ => None,
            },
            _ => None,
        };
        reader.wrong_kind(node, "`true` or `false`", hint.map(str::to_owned))
    }
}

schema!(Flag, inline, json_schema!({ "type": "boolean" }));

/// Free text of 1 to 256 characters; a number counts as its text.
#[derive(Debug, Clone)]
pub(super) struct FreeText(pub String);

impl Wire for FreeText {
    fn read(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let text = match &node.value {
            Value::Number => reader.raw(node),
            _ => reader.text(node, "a text")?,
        };
        let length = text.chars().count();
        if (1..=256).contains(&length) && !text.chars().any(char::is_control) {
            return Some(Self(text.to_owned()));
        }
        let problem = reader.error(node.span, "this text is not a line of 1 to 256 characters");
        reader.report(problem);
        None
    }
}

schema!(FreeText, inline, json_schema!({ "type": ["string", "number"], "minLength": 1, "maxLength": 256 }));

/// The name of a calendar or a named window, where it is used.
#[derive(Debug, Clone)]
pub(super) struct Name(pub String);

impl Wire for Name {
    fn read(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        reader.text(node, "a name").map(|name| Self(name.to_owned()))
    }
}

schema!(Name, inline, json_schema!({ "type": "string", "minLength": 1 }));

/// A path to a file, relative to the file that names it.
#[derive(Debug, Clone)]
pub(super) struct FilePath(pub String);

impl Wire for FilePath {
    fn read(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let path = reader.text(node, "a path, relative to this file,")?;
        let extension = path.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase());
        match extension.as_deref() {
            Some("ics" | "yaml" | "yml") => Some(Self(path.to_owned())),
            _ => {
                let problem = reader
                    .error(node.span, format!("{} is neither an .ics nor a .yaml file", quoted(path)))
                    .hint(
                        "a calendar is read from an .ics file with all-day events, or from YAML with `dates`",
                    );
                reader.report(problem);
                None
            }
        }
    }
}

schema!(
    FilePath,
    inline,
    json_schema!({ "type": "string", "pattern": "\\.([iI][cC][sS]|[yY][aA]?[mM][lL])$", "examples": ["holidays/uk.ics"] })
);

impl Wire for Region {
    fn read(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let wanted = "a region such as `eu-west-2`";
        let text = match &node.value {
            Value::List(_) => {
                return reader.wrong_kind(node, wanted, Some("`regions` takes a list".to_owned()));
            }
            _ => reader.text(node, wanted)?,
        };
        match Self::parse(text) {
            Ok(region) => Some(region),
            Err(unknown) => {
                let hint = match unknown.nearest {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => "write the code of an AWS region, such as `eu-west-2`".to_owned(),
                };
                let problem = reader.error(node.span, format!("unknown region {}", quoted(text))).hint(hint);
                reader.report(problem);
                None
            }
        }
    }
}

schema!(Region, named, {
    let names: Vec<&str> = Region::all().map(Region::as_str).collect();
    json_schema!({ "description": "An AWS region.", "type": "string", "enum": names })
});

/// A list that is not empty.
#[derive(Debug, Clone)]
pub(super) struct List<T>(pub Vec<At<T>>);

impl<T: Wire> Wire for List<T> {
    fn read(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let hint = match &node.value {
            Value::Text(_) | Value::Number => Some(format!("write `[{}]`", reader.raw(node))),
            Value::Map(_) => Some("put `- ` before each item".to_owned()),
            _ => None,
        };
        let items = reader.list(node, "a list", hint)?;
        if items.is_empty() {
            let problem =
                reader.error(node.span, "the list is empty").hint("leave the key out, or put something in");
            reader.report(problem);
            return None;
        }
        let before = reader.reported();
        let mut read = Vec::with_capacity(items.len());
        read.extend(items.iter().filter_map(|item| At::<T>::read(item, reader)));
        (reader.reported() == before || read.len() == items.len()).then_some(Self(read))
    }
}

impl<T: JsonSchema> JsonSchema for List<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        format!("ListOf{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "array", "minItems": 1, "items": generator.subschema_for::<T>() })
    }
}

/// The longest name of anything; the longest function ARN has about 270 characters.
const LONGEST_NAME: usize = 300;

/// A map from names of the user's to one kind of thing.
#[derive(Debug)]
pub(super) struct Table<T>(pub Vec<Row<T>>);

/// An entry of a [`Table`]. Its value is none when that was wrong.
#[derive(Debug)]
pub(super) struct Row<T> {
    pub name: At<String>,
    pub value: Option<T>,
}

impl<T: Wire> Wire for Table<T> {
    fn read(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let entries = reader.entries(node)?;
        let mut rows = Vec::with_capacity(entries.len());
        for entry in entries {
            let fits = (1..=LONGEST_NAME).contains(&entry.key.len());
            if !fits || entry.key.chars().any(char::is_control) {
                let message = format!("this is not a name of 1 to {LONGEST_NAME} bytes");
                let problem = reader.error(entry.span, message);
                reader.report(problem);
                continue;
            }
            let name = At { value: entry.key.to_owned(), span: entry.span };
            rows.push(Row { name, value: T::read(entry.node, reader) });
        }
        Some(Self(rows))
    }
}

impl<T: JsonSchema> JsonSchema for Table<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        format!("TableOf{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "propertyNames": { "minLength": 1 },
            "additionalProperties": generator.subschema_for::<T>(),
        })
    }
}
