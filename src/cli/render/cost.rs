//! Money as people read it: bills, and what an estimate assumes.

use std::fmt::Write as _;

use rust_decimal::{Decimal, RoundingStrategy};

use super::table::{Column, Sign, figures, lines, words};
use super::text::{elapsed, grouped, wrapped};
use super::{Style, Tone, WIDTH};
use crate::domain::clean::clean;
use crate::domain::cost::assume::Assumptions;
use crate::domain::cost::{Bill, BillLine};

const COLUMNS: [Column; 5] =
    [words("ITEM"), figures("QUANTITY"), words("UNIT"), figures("PRICE"), figures("AMOUNT")];

/// Names with regions leave no room for prices.
const SUMS: [Column; 4] = [words("ITEM"), figures("QUANTITY"), words("UNIT"), figures("AMOUNT")];

/// What an amount that rests on an assumption carries.
pub const STAR: &str = "*";

/// Dollars and cents, such as `$1,234.56`; `unknown`.
pub fn dollars(amount: Option<Decimal>) -> String {
    match amount {
        Some(amount) => format!("${}", number(amount, 2)),
        None => "unknown".to_owned(),
    }
}

/// A price for one unit, with all its digits.
pub fn price(price: Option<Decimal>) -> String {
    price.map_or_else(|| "unknown".to_owned(), |price| format!("${}", price.normalize()))
}

/// A quantity with no more digits than people read.
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

/// The lines of a bill as a table, two columns further in. Each ends with a line feed.
pub fn bill(bill: &Bill, style: Style) -> String {
    let rows: Vec<(Sign, Vec<String>)> =
        bill.lines.iter().map(|line| ((' ', Tone::Quiet), cells(line))).collect();
    let mut out = String::new();
    if !rows.is_empty() {
        for line in lines(&COLUMNS, 0, &rows, style) {
            let _ = writeln!(out, "  {line}");
        }
    }
    out
}

fn cells(line: &BillLine) -> Vec<String> {
    vec![
        line.item.clone(),
        quantity(line.quantity),
        line.unit.to_owned(),
        price(line.unit_price),
        dollars(line.amount()),
    ]
}

/// The lines of a bill for a whole fleet as a table. Each ends with a line feed.
pub fn sums(bill: &Bill, style: Style) -> String {
    let rows: Vec<(Sign, Vec<String>)> = bill
        .lines
        .iter()
        .map(|line| {
            let unit = line.unit.to_owned();
            let cells = vec![line.item.clone(), quantity(line.quantity), unit, dollars(line.amount())];
            ((' ', Tone::Quiet), cells)
        })
        .collect();
    if rows.is_empty() {
        return String::new();
    }
    lines(&SUMS, 0, &rows, style).iter().fold(String::new(), |mut out, line| {
        let _ = writeln!(out, "{line}");
        out
    })
}

/// What of a bill has no price, in a line; nothing when all has.
pub fn unknown(bill: &Bill, style: Style) -> String {
    let unknown: Vec<String> = bill.unknown().collect();
    if unknown.is_empty() {
        return String::new();
    }
    let text = format!("! no price is known for {}", clean(&unknown.join("; ")));
    wrapped(&text, WIDTH - 2).iter().fold(String::new(), |mut out, line| {
        let _ = writeln!(out, "  {}", style.paint(Tone::Warning, line));
        out
    })
}

/// What is assumed, each with its value, in lines that begin with a star; nothing when nothing is.
pub fn assumed(names: &[&'static str], assume: &Assumptions) -> String {
    if names.is_empty() {
        return String::new();
    }
    let values: Vec<String> = names.iter().map(|name| format!("{name} {}", value(name, assume))).collect();
    let text = format!("{STAR} assumed: {}", values.join(", "));
    wrapped(&text, WIDTH - 2).iter().fold(String::new(), |mut out, line| {
        let _ = writeln!(out, "  {line}");
        out
    })
}

/// The value of an assumption, by its name in the configuration.
pub fn value(name: &str, assume: &Assumptions) -> String {
    match name {
        "idle_life" => elapsed(assume.idle_life.value()),
        "recycle_after" => elapsed(assume.recycle_after.value()),
        "ping_duration" => elapsed(assume.ping_duration.value()),
        "init_duration" => elapsed(assume.init_duration.value()),
        "log_bytes_per_ping" => assume.log_bytes_per_ping.value().to_string(),
        "traffic" => assume.traffic.map_or_else(
            || "none".to_owned(),
            |traffic| {
                format!("{}/s of {}", traffic.requests_per_second.normalize(), elapsed(traffic.duration))
            },
        ),
        "memory" => format!("{}MB", assume.memory_mb.value()),
        "architecture" => assume.architecture.value().as_str().to_owned(),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_short_and_exact_enough() {
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
