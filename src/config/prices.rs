//! Prices of the user's own: under `prices`, in a file that it names, or in one that the command line names.

use std::borrow::Cow;
use std::path::Path;

use rust_decimal::Decimal;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::files;
use super::node::{self, Node, Value};
use super::problem::{Problem, Problems};
use super::reader::{At, Reader, Wire, quoted, wire};
use super::source::{Source, SourceFile};
use super::values::{Date, FreeText, List, Row, Table};
use crate::domain::cost::{BadOverride, Item, PriceBook, Tier};
use crate::domain::function::Region;

/// What a figure's source is called when nobody says.
const OWN: &str = "your own";

wire! {
    /// A price of your own: `price`, or `tiers`.
    struct PriceKeys [] {
        /// US dollars for one unit; a share or a quantity where the price book has one.
        price: Amount<0>,
        /// Prices by how much is used in a month, rising; the last has no `up_to`.
        tiers: List<TierKeys>,
        /// The one region it is for. All when none is given.
        region: Region,
        /// The regions it is for.
        regions: List<Region>,
        /// The day it was looked up: 180 days later it is marked as old.
        date: Date,
        /// Where it is from.
        source: FreeText,
    }
}

wire! {
    /// A price up to a quantity.
    struct TierKeys ["price"] {
        /// Where the tier ends, in units counted from zero.
        up_to: Amount<1>,
        /// US dollars for one unit.
        price: Amount<0>,
    }
}

/// An exact number: from zero on, or above it when `ABOVE` is 1. In quotes or without.
#[derive(Debug, Clone, Copy)]
pub(super) struct Amount<const ABOVE: u8>(pub Decimal);

/// The most that an [`Amount`] may be: products with quantities stay within a decimal's range.
const MOST: u64 = 1_000_000_000_000_000;

impl<const ABOVE: u8> Wire for Amount<ABOVE> {
    fn read(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let text = reader.text_or_number(node, "a number such as 0.045")?;
        let fits = |number: &Decimal| {
            *number <= Decimal::from(MOST) && (*number > Decimal::ZERO || ABOVE == 0 && number.is_zero())
        };
        if let Some(number) = Decimal::from_str_exact(text).ok().filter(fits) {
            return Some(Self(number));
        }
        let least = if ABOVE == 0 { "from 0 on" } else { "above 0" };
        let problem = reader
            .error(node.span, format!("{} is not a number {least}", quoted(text)))
            .hint("write plain digits, such as 0.045; prices are in US dollars");
        reader.report(problem);
        None
    }
}

impl<const ABOVE: u8> JsonSchema for Amount<ABOVE> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("Amount{ABOVE}").into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let least = if ABOVE == 0 { "minimum" } else { "exclusiveMinimum" };
        json_schema!({ "type": ["number", "string"], least: 0, "pattern": "^[0-9]+(\\.[0-9]+)?$" })
    }
}

/// The price book has hundreds of items, and AWS dozens of regions: more than this is a mistake, and takes memory.
const MOST_ITEMS: usize = 2_000;
const MOST_FIGURES: usize = 100;

fn too_many<T>(reader: &mut Reader<'_>, node: &Node<'_>, count: usize, most: usize) -> Option<T> {
    let span = reader.head(node);
    let problem = reader.error(span, format!("{count} prices are more than the {most} that are taken here"));
    reader.report(problem);
    None
}

/// The prices of a map from items.
fn table(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Table<Figures>> {
    match &node.value {
        Value::Map(entries) if entries.len() > MOST_ITEMS => {
            too_many(reader, node, entries.len(), MOST_ITEMS)
        }
        _ => Table::read(node, reader),
    }
}

/// What is said about one item: a price for all regions, or one or several with more to say.
#[derive(Debug)]
pub(super) struct Figures(Vec<At<PriceKeys>>);

impl Wire for Figures {
    fn read(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        match &node.value {
            Value::Map(_) => At::read(node, reader).map(|keys| Self(vec![keys])),
            Value::List(entries) if entries.len() > MOST_FIGURES => {
                too_many(reader, node, entries.len(), MOST_FIGURES)
            }
            Value::List(_) => List::read(node, reader).map(|List(list)| Self(list)),
            Value::Number | Value::Text(_) => {
                let price = At::<Amount<0>>::read(node, reader)?;
                let span = price.span;
                Some(Self(vec![At { value: PriceKeys { price: Some(price), ..PriceKeys::default() }, span }]))
            }
            Value::Null | Value::Bool(_) => reader.wrong_kind(node, "a price such as 0.045", None),
        }
    }
}

impl JsonSchema for Figures {
    fn schema_name() -> Cow<'static, str> {
        "Figures".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let price = generator.subschema_for::<Amount<0>>();
        let keys = generator.subschema_for::<PriceKeys>();
        let list = generator.subschema_for::<List<PriceKeys>>();
        json_schema!({
            "description": "A price in US dollars for all regions, or one or several with a region, tiers, date or source.",
            "anyOf": [price, keys, list],
        })
    }
}

/// Prices by item of the price book, or the path of a file of them.
#[derive(Debug)]
pub(super) enum Prices {
    /// They stand here.
    Here(Table<Figures>),
    /// They stand in a file, relative to this one.
    File(String),
}

impl Wire for Prices {
    fn read(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        match &node.value {
            Value::Map(_) => table(node, reader).map(Self::Here),
            Value::Text(path) => {
                let extension = path.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase());
                if let Some("yaml" | "yml" | "json") = extension.as_deref() {
                    return Some(Self::File(path.clone().into_owned()));
                }
                let problem = reader
                    .error(node.span, format!("{} is not a .yaml file", quoted(path)))
                    .hint("prices stand here as a map, or in a YAML file of their own");
                reader.report(problem);
                None
            }
            _ => reader.wrong_kind(node, "a map of prices, or the path of a file of them,", None),
        }
    }
}

impl JsonSchema for Prices {
    fn schema_name() -> Cow<'static, str> {
        "Prices".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let names: Vec<&str> = Item::names().collect();
        json_schema!({
            "description": "Prices by item of the price book (`warmd price book` lists them), or the path of a file of them.",
            "anyOf": [
                { "type": "string", "pattern": "\\.([yY][aA]?[mM][lL]|[jJ][sS][oO][nN])$" },
                {
                    "type": "object",
                    "propertyNames": { "anyOf": [
                        { "enum": names },
                        { "pattern": "^(ec2\\.[a-z0-9-]+\\.[a-z0-9-]+|transfer\\.inter-region\\.[a-z0-9-]+)$" },
                    ] },
                    "additionalProperties": generator.subschema_for::<Figures>(),
                },
            ],
        })
    }
}

/// `book` with the prices of a file that the command line names.
///
/// # Errors
/// Everything that is wrong with the file.
pub fn load_prices(path: &Path, book: &PriceBook) -> Result<PriceBook, Problems> {
    let shown = path.to_string_lossy().into_owned();
    let text = files::read_text(path).map_err(|reason| Problem::of_file(shown.as_str(), reason))?;
    read_prices(&SourceFile { path: shown, text }, book)
}

/// `book` with the prices of a file: a map from items to prices, as under `prices` in a configuration.
///
/// # Errors
/// Everything that is wrong with the file.
pub fn read_prices(file: &SourceFile, book: &PriceBook) -> Result<PriceBook, Problems> {
    let mut problems = Problems::default();
    let book = put_file(&Source::new(file), book.clone(), &mut problems);
    if problems.is_empty() { Ok(book) } else { Err(problems) }
}

/// As [`read_prices`]; what is wrong goes to `problems`.
pub(super) fn put_file(source: &Source<'_>, book: PriceBook, problems: &mut Problems) -> PriceBook {
    let node = match node::parse(source) {
        Ok(node) => node,
        Err(problem) => {
            problems.push(*problem);
            return book;
        }
    };
    if let Value::Null = node.value {
        problems.push(
            Problem::error(source, node.span, "the file is empty")
                .hint("a line is an item and its price, such as `nat-gateway.gb: 0.03`"),
        );
        return book;
    }
    match table(&node, &mut Reader::new(source, problems)) {
        Some(table) => put(source, &table, book, problems),
        None => book,
    }
}

/// `book` with the prices of a table.
pub(super) fn put(
    source: &Source<'_>,
    Table(rows): &Table<Figures>,
    mut book: PriceBook,
    problems: &mut Problems,
) -> PriceBook {
    for Row { name, value } in rows {
        if Item::parse(&name.value).is_none() {
            // A hint takes time, and nobody reads this many.
            let full = problems.is_full();
            problems.push(if full {
                Problem::error(source, name.span, "")
            } else {
                unknown_item(source, name)
            });
            continue;
        }
        let Some(Figures(figures)) = value else { continue };
        let mut taken: Vec<Option<Region>> = Vec::new();
        let mut own = Vec::new();
        for At { value: keys, span } in figures.iter().filter(|figure| !figure.value.flawed) {
            let read = Own::of(source, *span, keys);
            match read {
                Ok(figure) => {
                    for place in &figure.places {
                        if taken.contains(place) {
                            let place = place.map_or("every region", Region::as_str);
                            problems.push(
                                Problem::error(source, *span, format!("a second price for {place}"))
                                    .hint("keep one of the two"),
                            );
                            break;
                        }
                        taken.push(*place);
                        own.push((*place, figure.clone()));
                    }
                }
                Err(problem) => problems.push(*problem),
            }
        }
        // What holds everywhere replaces every regional figure, so it comes first.
        own.sort_by_key(|(place, _)| place.is_some());
        for (place, figure) in own {
            let Own { tiers, span, source: from, date, .. } = figure;
            if let Err(bad) = book.set(&name.value, place, tiers, &from, date) {
                let problem = match bad {
                    BadOverride::UnknownItem { .. } => unknown_item(source, name),
                    BadOverride::Tiers { .. } => Problem::error(source, span, bad.to_string())
                        .hint("such as `[{ up_to: 10240, price: 0.09 }, { price: 0.085 }]`"),
                };
                problems.push(problem);
                break;
            }
        }
    }
    book
}

fn unknown_item(source: &Source<'_>, name: &At<String>) -> Problem {
    let near = crate::domain::function::nearest(&name.value, Item::names());
    let hint = match near {
        Some(near) => format!("did you mean `{near}`?"),
        None => "`warmd price book` lists the items".to_owned(),
    };
    let message = format!("{} is not an item of the price book", quoted(&name.value));
    Problem::error(source, name.span, message).hint(hint)
}

/// One figure of the user's, checked but for its tiers.
#[derive(Clone)]
struct Own {
    places: Vec<Option<Region>>,
    tiers: Vec<Tier>,
    span: super::source::Span,
    source: String,
    date: Option<chrono::NaiveDate>,
}

impl Own {
    fn of(source: &Source<'_>, whole: super::source::Span, keys: &PriceKeys) -> Result<Self, Box<Problem>> {
        let PriceKeys { price, tiers, region, regions, date, source: from, flawed: _ } = keys;
        let (tiers, span) = match (price, tiers) {
            (Some(price), None) => (vec![Tier { up_to: None, price: price.value.0 }], price.span),
            (None, Some(tiers)) => {
                let tier = |at: &At<TierKeys>| {
                    let up_to = at.value.up_to.as_ref().map(|end| end.value.0);
                    Some(Tier { up_to, price: at.value.price.as_ref()?.value.0 })
                };
                (tiers.value.0.iter().filter_map(tier).collect(), tiers.span)
            }
            (Some(_), Some(tiers)) => {
                let problem = Problem::error(source, tiers.span, "`price` and `tiers` exclude each other");
                return Err(Box::new(problem.hint("a price without tiers is `price`")));
            }
            (None, None) => {
                let problem = Problem::error(source, whole, "the price is missing");
                return Err(Box::new(problem.hint("give `price`, or `tiers`")));
            }
        };
        let places = match (region, regions) {
            (None, None) => vec![None],
            (Some(region), None) => vec![Some(region.value)],
            (None, Some(regions)) => regions.value.0.iter().map(|region| Some(region.value)).collect(),
            (Some(_), Some(regions)) => {
                let problem =
                    Problem::error(source, regions.span, "`region` and `regions` exclude each other");
                return Err(Box::new(problem.hint("`region: x` is the short form of `regions: [x]`")));
            }
        };
        let from = from.as_ref().map_or_else(|| OWN.to_owned(), |from| from.value.0.clone());
        Ok(Self { places, tiers, span, source: from, date: date.as_ref().map(|date| date.value.0) })
    }
}
