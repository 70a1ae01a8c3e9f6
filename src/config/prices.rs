//! Prices of the user: under `prices`, in a file that it names, or in a file that the command line names.

use std::borrow::Cow;
use std::path::Path;

use chrono::NaiveDate;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::files;
use super::node::{self, Node, Value};
use super::problem::{Problem, Problems};
use super::reader::{At, FromNode, Reader};
use super::source::{SourceFile, SourceText, Span};
use super::values::{Date, FreeText, List, Price, Table, TableEntry, TierEnd, has_extension};
use super::wire_struct::wire_struct;
use crate::domain::cost::{BadOverride, Item, PriceBook, Tier};
use crate::domain::function::Region;
use crate::domain::parse::{did_you_mean, quoted};

/// The source of a price without `source`.
const DEFAULT_SOURCE: &str = "your own";

wire_struct! {
    /// A price of your own: `price`, or `tiers`.
    struct PriceKeys [] {
        /// US dollars for one unit; a share or a quantity where the price book has one.
        price: Price,
        /// Prices by monthly usage, in rising order; the last has no `up_to`.
        tiers: List<TierKeys>,
        /// The region of the price. Default: all regions.
        region: Region,
        /// The regions of the price.
        regions: List<Region>,
        /// The date of the price. Output marks prices of more than 180 days as old.
        date: Date,
        /// The source of the price.
        source: FreeText,
    }
}

wire_struct! {
    /// A price up to a quantity.
    struct TierKeys ["price"] {
        /// The end of the tier, in units counted from zero.
        up_to: TierEnd,
        /// US dollars for one unit.
        price: Price,
    }
}

/// The maximum number of items of a table. The price book has hundreds.
const MAX_ITEMS: usize = 2_000;
/// The maximum number of prices of an item. AWS has dozens of regions.
const MAX_PRICES: usize = 100;

fn reject_length<T>(reader: &mut Reader<'_>, node: &Node<'_>, found: usize, max: usize) -> Option<T> {
    let message = format!("expected at most {max} prices, found {found}");
    reader.reject(reader.error(reader.head(node), message))
}

/// Reads a map from items to prices.
fn read_table(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Table<ItemPrices>> {
    match &node.value {
        Value::Map(entries) if entries.len() > MAX_ITEMS => {
            reject_length(reader, node, entries.len(), MAX_ITEMS)
        }
        _ => Table::from_node(node, reader),
    }
}

/// The prices of an item.
#[derive(Debug)]
pub(super) struct ItemPrices(Vec<At<PriceKeys>>);

impl FromNode for ItemPrices {
    fn from_node(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        match &node.value {
            Value::Map(_) => At::from_node(node, reader).map(|keys| Self(vec![keys])),
            Value::List(entries) if entries.len() > MAX_PRICES => {
                reject_length(reader, node, entries.len(), MAX_PRICES)
            }
            Value::List(_) => List::from_node(node, reader).map(|List(list)| Self(list)),
            _ => {
                let price = At::<Price>::from_node(node, reader)?;
                let span = price.span;
                Some(Self(vec![At { value: PriceKeys { price: Some(price), ..PriceKeys::default() }, span }]))
            }
        }
    }
}

impl JsonSchema for ItemPrices {
    fn schema_name() -> Cow<'static, str> {
        "ItemPrices".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let price = generator.subschema_for::<Price>();
        let keys = generator.subschema_for::<PriceKeys>();
        let list = generator.subschema_for::<List<PriceKeys>>();
        json_schema!({
            "description": "A price in US dollars, or one or several with a region, tiers, date or source.",
            "anyOf": [price, keys, list],
        })
    }
}

/// Prices by item of the price book, or the path of a file of them.
#[derive(Debug)]
pub(super) enum PriceSource {
    /// The prices.
    Inline(Table<ItemPrices>),
    /// The path of a file, relative to the configuration file.
    File(String),
}

impl FromNode for PriceSource {
    fn from_node(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        match &node.value {
            Value::Map(_) => read_table(node, reader).map(Self::Inline),
            Value::Text(path) if has_extension(path, &["yaml", "yml", "json"]) => {
                Some(Self::File(path.clone().into_owned()))
            }
            _ => reader.expected(node, "a map of prices, or the path of a .yaml file", None),
        }
    }
}

impl JsonSchema for PriceSource {
    fn schema_name() -> Cow<'static, str> {
        "PriceSource".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let names: Vec<&str> = Item::names().collect();
        json_schema!({
            "description": "Prices by item (`warmd price book` lists the items), or the path of a file of them.",
            "anyOf": [
                { "type": "string", "pattern": "\\.([yY][aA]?[mM][lL]|[jJ][sS][oO][nN])$" },
                {
                    "type": "object",
                    "propertyNames": { "anyOf": [
                        { "enum": names },
                        { "pattern": "^(ec2\\.[a-z0-9-]+\\.[a-z0-9-]+|transfer\\.inter-region\\.[a-z0-9-]+)$" },
                    ] },
                    "additionalProperties": generator.subschema_for::<ItemPrices>(),
                },
            ],
        })
    }
}

/// Returns `book` with the prices of a file that the command line names.
///
/// # Errors
/// All problems of the file.
pub fn load_prices(path: &Path, book: &PriceBook) -> Result<PriceBook, Problems> {
    let shown = path.to_string_lossy().into_owned();
    let text = files::read_text(path).map_err(|(reason, _)| Problem::of_file(shown.as_str(), reason))?;
    read_prices(&SourceFile { path: shown, text }, book)
}

/// Returns `book` with the prices of a file: a map from items to prices, as under `prices` in a configuration.
///
/// # Errors
/// All problems of the file.
pub fn read_prices(file: &SourceFile, book: &PriceBook) -> Result<PriceBook, Problems> {
    let mut problems = Problems::default();
    let book = apply_file(&SourceText::new(file), book.clone(), &mut problems);
    if problems.is_empty() { Ok(book) } else { Err(problems) }
}

/// Returns `book` with the prices of a file. Adds errors to `problems`.
pub(super) fn apply_file(source: &SourceText<'_>, book: PriceBook, problems: &mut Problems) -> PriceBook {
    let hint = "add a line of an item and its price, such as `nat-gateway.gb: 0.03`";
    let Some(node) = node::parse_into(source, hint, problems) else { return book };
    match read_table(&node, &mut Reader::new(source, problems)) {
        Some(table) => apply(source, &table, book, problems),
        None => book,
    }
}

/// Returns `book` with the prices of a table. Adds errors to `problems`.
pub(super) fn apply(
    source: &SourceText<'_>,
    Table(entries): &Table<ItemPrices>,
    mut book: PriceBook,
    problems: &mut Problems,
) -> PriceBook {
    for TableEntry { name, value } in entries {
        if Item::parse(&name.value).is_none() {
            let problem =
                if problems.is_full() { Problem::placeholder() } else { unknown_item(source, name) };
            problems.push(problem);
        } else if let Some(prices) = value {
            apply_item(source, name, prices, &mut book, problems);
        }
    }
    book
}

/// Sets the prices of one item.
fn apply_item(
    source: &SourceText<'_>,
    name: &At<String>,
    ItemPrices(prices): &ItemPrices,
    book: &mut PriceBook,
    problems: &mut Problems,
) {
    let mut regional = Vec::new();
    for At { value: keys, span } in prices.iter().filter(|price| !price.value.has_errors) {
        match Override::read(source, *span, keys) {
            Ok((regions, price)) => {
                for region in regions {
                    if regional.iter().any(|(known, _)| *known == region) {
                        let region = region.map_or("all regions", Region::as_str);
                        let problem = Problem::error(source, *span, format!("duplicate price for {region}"));
                        problems.push(problem.hint("remove one of the two"));
                        break;
                    }
                    regional.push((region, price.clone()));
                }
            }
            Err(problem) => problems.push(*problem),
        }
    }
    // A price for all regions replaces every regional one, so it comes first.
    regional.sort_by_key(|(region, _)| region.is_some());
    for (region, Override { tiers, span, source: from, date }) in regional {
        if let Err(error) = book.set(&name.value, region, tiers, &from, date) {
            problems.push(match error {
                BadOverride::UnknownItem { .. } => unknown_item(source, name),
                BadOverride::Tiers => Problem::error(source, span, error.to_string())
                    .hint("write tiers as `[{ up_to: 10240, price: 0.09 }, { price: 0.085 }]`"),
            });
            break;
        }
    }
}

fn unknown_item(source: &SourceText<'_>, name: &At<String>) -> Problem {
    let hint = did_you_mean(&name.value, Item::names())
        .unwrap_or_else(|| "run `warmd price book` for a list of the items".to_owned());
    Problem::error(source, name.span, format!("unknown item {}", quoted(&name.value))).hint(hint)
}

/// A price of the user's. Its tiers are unchecked.
#[derive(Clone)]
struct Override {
    tiers: Vec<Tier>,
    span: Span,
    source: String,
    date: Option<NaiveDate>,
}

impl Override {
    /// Reads a price and its regions; `None` is all regions.
    fn read(
        file: &SourceText<'_>,
        whole: Span,
        keys: &PriceKeys,
    ) -> Result<(Vec<Option<Region>>, Self), Box<Problem>> {
        let fail = |span, message, hint| Box::new(Problem::error(file, span, message).hint(hint));
        let PriceKeys { price, tiers, region, regions, date, source, has_errors: _ } = keys;
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
                let message = "\"tiers\" cannot be used with \"price\"";
                return Err(fail(tiers.span, message, "remove one of the two"));
            }
            (None, None) => {
                return Err(fail(whole, "missing key \"price\"", "add `price`, or `tiers`"));
            }
        };
        let regions = match (region, regions) {
            (None, None) => vec![None],
            (Some(region), None) => vec![Some(region.value)],
            (None, Some(regions)) => regions.value.0.iter().map(|region| Some(region.value)).collect(),
            (Some(_), Some(regions)) => {
                let message = "\"regions\" cannot be used with \"region\"";
                return Err(fail(regions.span, message, "remove one of the two"));
            }
        };
        let source = source.as_ref().map_or(DEFAULT_SOURCE, |source| &source.value.0).to_owned();
        Ok((regions, Self { tiers, span, source, date: date.as_ref().map(|date| date.value.0) }))
    }
}
