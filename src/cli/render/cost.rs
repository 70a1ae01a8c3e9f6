//! Renders bills and assumptions.

use rust_decimal::{Decimal, RoundingStrategy};

use super::table::{Column, NO_SIGN, figures, lines, table, words};
use super::text::{grouped, wrapped};
use super::{Style, Tone};
use crate::domain::clean::clean;
use crate::domain::cost::assume::Assumptions;
use crate::domain::cost::{Bill, BillLine};

const COLUMNS: [Column; 5] =
    [words("ITEM"), figures("QUANTITY"), words("UNIT"), figures("PRICE"), figures("AMOUNT")];

/// The columns of a fleet's bill. Its names include regions, which leaves no space for prices.
const SUMS: [Column; 4] = [words("ITEM"), figures("QUANTITY"), words("UNIT"), figures("AMOUNT")];

/// The mark of an amount that depends on an assumption.
pub const STAR: &str = "*";

/// Formats dollars and cents, such as `$1,234.56`, or `unknown`.
pub fn dollars(amount: Option<Decimal>) -> String {
    match amount {
        Some(amount) => format!("${}", number(amount, 2)),
        None => "unknown".to_owned(),
    }
}

/// Renders the cost of warming beside that of observing, which is the rest of the total. Ends with a line feed.
pub fn observing(total: Option<Decimal>, observing: Option<Decimal>) -> String {
    let warming = total.zip(observing).map(|(total, observing)| total - observing);
    let [warming, observing] = [warming, observing].map(|amount| starred(dollars(amount), true));
    format!(
        "  warming {warming}, observing {observing} (metrics, dashboard, alarms, reads of metrics, log of warmd)\n"
    )
}

/// Marks an amount that depends on an assumption.
pub fn starred(amount: String, is_assumed: bool) -> String {
    if is_assumed { amount + STAR } else { amount }
}

/// Formats the price of a unit, with all digits.
pub fn price(price: Option<Decimal>) -> String {
    price.map_or_else(|| "unknown".to_owned(), |price| format!("${}", price.normalize()))
}

/// Formats a quantity with three significant decimals.
pub fn quantity(quantity: Decimal) -> String {
    let decimals = match quantity {
        whole if whole.is_integer() => 0,
        large if large >= Decimal::ONE_HUNDRED => 1,
        some if some >= Decimal::ONE => 3,
        few => return few.round_sf(3).unwrap_or(few).normalize().to_string(),
    };
    number(quantity, decimals)
}

fn number(value: Decimal, decimals: u32) -> String {
    let rounded = value.round_dp_with_strategy(decimals, RoundingStrategy::MidpointAwayFromZero);
    let text = format!("{rounded:.0$}", decimals as usize);
    let (whole, rest) =
        text.split_once('.').map_or((text.as_str(), None), |(whole, rest)| (whole, Some(rest)));
    let whole = whole.parse().map_or_else(|_| whole.to_owned(), grouped);
    rest.map_or_else(|| whole.clone(), |rest| format!("{whole}.{rest}"))
}

/// Renders the lines of a bill as an indented table. Each line ends with a line feed.
pub fn bill(bill: &Bill, style: Style) -> String {
    let rows: Vec<_> = bill.lines.iter().map(|line| (NO_SIGN, cells(line).to_vec())).collect();
    let lines = if rows.is_empty() { Vec::new() } else { lines(&COLUMNS, 0, &rows, style) };
    lines.iter().map(|line| format!("  {line}\n")).collect()
}

fn cells(line: &BillLine) -> [String; 5] {
    [
        line.item.clone(),
        quantity(line.quantity),
        line.unit.to_owned(),
        price(line.unit_price),
        dollars(line.amount()),
    ]
}

/// Renders the lines of a fleet's bill as a table. Each line ends with a line feed.
pub fn sums(bill: &Bill, style: Style) -> String {
    let rows = bill.lines.iter().map(|line| {
        let [item, quantity, unit, _, amount] = cells(line);
        (NO_SIGN, vec![item, quantity, unit, amount])
    });
    table(&SUMS, 0, &rows.collect::<Vec<_>>(), style)
}

/// Renders the items without a known price, or an empty string.
pub fn unknown(bill: &Bill, style: Style) -> String {
    let unknown: Vec<String> = bill.unknown().collect();
    if unknown.is_empty() {
        return String::new();
    }
    let text = format!("! no price is known for {}", clean(&unknown.join("; ")));
    let lines = wrapped(&text, style.width() - 2).into_iter();
    lines.map(|line| format!("  {}\n", style.paint(Tone::Warning, &line))).collect()
}

/// Renders the named assumptions with their values, in lines that begin with a star, or an empty string.
pub fn assumed(names: &[&'static str], assume: &Assumptions, style: Style) -> String {
    if names.is_empty() {
        return String::new();
    }
    let entries = assume.list();
    let used = entries.iter().filter(|entry| names.contains(&entry.name));
    let values: Vec<String> = used.map(|entry| format!("{} {}", entry.name, entry.value)).collect();
    let text = format!("{STAR} assumed: {}", values.join(", "));
    wrapped(&text, style.width() - 2).into_iter().map(|line| format!("  {line}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_quantities_and_amounts() {
        let of = |text: &str| quantity(text.parse().unwrap());
        assert_eq!(
            ["8600", "86043", "1762.0623111724853515625", "1.5", "99.9996", "0.0032037", "0"].map(of),
            ["8,600", "86,043", "1,762.1", "1.500", "100.000", "0.0032", "0"]
        );
        assert_eq!(dollars(Some("1234.5".parse().unwrap())), "$1,234.50");
        assert_eq!(dollars(None), "unknown");
        assert_eq!(price(Some("0.0000002000".parse().unwrap())), "$0.0000002");
    }
}
