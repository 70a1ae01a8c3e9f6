//! Rows that cannot be right, which a damaged or foreign document has.

use std::fmt;

use rust_decimal::Decimal;

use super::Row;
use crate::domain::function::Identity;
use crate::domain::parse::quoted;
use crate::domain::text::count;

/// The largest number of anything in an hour, but for bytes: a thousand times what Lambda runs for an account.
const MOST: u64 = 1_000_000_000;
/// The most bytes in an hour: an exabyte.
const MOST_BYTES: u64 = 1_000_000_000_000_000_000;
/// The highest cost of an hour, in US dollars.
const MOST_USD: u32 = 1_000_000;

/// The rows that were left out, because they cannot be right.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Refused {
    number: u64,
    /// The reason of the first.
    first: String,
}

impl Refused {
    /// Returns true if the row may be one of an hour. Otherwise it is counted.
    pub fn accepts(&mut self, id: &Identity, row: &Row) -> bool {
        let Some(reason) = reason(row) else { return true };
        if self.number == 0 {
            self.first = format!("{}: {reason}", quoted(&id.label()));
        }
        self.number += 1;
        false
    }

    /// Returns the rows; `None` if there are none.
    pub fn some(self) -> Option<Self> {
        (self.number > 0).then_some(self)
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { number, first } = self;
        let others = if *number > 1 { ", the first of " } else { " of " };
        write!(f, "it is read without {}{others}{first}", count(*number, "row"))
    }
}

/// Returns the reason why a row is not one of an hour; `None` if it may be.
fn reason(row: &Row) -> Option<String> {
    let minutes = row.minutes;
    if !minutes.is_of_hour() {
        return Some(format!(
            "expected the minutes of an hour, found window {}, warm {}, unknown {} and capped {}",
            minutes.window, minutes.warm, minutes.unknown, minutes.capped
        ));
    }
    let capacity = row.capacity.unwrap_or_default();
    let environments =
        [row.target, row.reached.unwrap_or(0), capacity.desired, capacity.available.unwrap_or(0)];
    let counts = [row.rounds, row.pings, row.cold, row.semi_cold, row.restored, row.preinitialized];
    let counts = counts.iter().chain([&row.cost_unknown]).chain(row.short.values()).copied();
    if let Some(number) = counts.chain(environments.map(u64::from)).find(|number| *number > MOST) {
        return Some(format!("expected at most {MOST}, found {number}"));
    }
    if let Some(bytes) = row.egress.values().find(|bytes| **bytes > MOST_BYTES) {
        return Some(format!("expected at most {MOST_BYTES} bytes, found {bytes}"));
    }
    let is_cost = |usd: &&Decimal| (Decimal::ZERO..=Decimal::from(MOST_USD)).contains(*usd);
    let usd = row.cost.values().find(|usd| !is_cost(usd))?;
    Some(format!("expected a cost from 0 to {MOST_USD} US dollars, found {usd}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::coverage::Minutes;
    use crate::domain::function::{FunctionRef, Region};
    use crate::domain::history::{CapacityHour, ShortReason};

    fn minutes(window: u64, warm: u64, unknown: u64, capped: u64) -> Row {
        Row::of_minutes(Minutes { window, warm, unknown, capped })
    }

    #[test]
    fn rows_that_cannot_be_of_an_hour_are_refused() {
        let id = FunctionRef::parse("f").unwrap().identity(Region::parse("eu-west-2").unwrap());
        let base = Row::default;
        let usd = |usd: Decimal| Row { cost: [("compute".to_owned(), usd)].into(), ..base() };
        let bytes = |bytes| Row { egress: [("nat-gateway".to_owned(), bytes)].into(), ..base() };
        for row in [
            base(),
            minutes(60, 60, 0, 0),
            minutes(20, 10, 40, 10),
            Row { pings: MOST, ..base() },
            usd(Decimal::from(MOST_USD)),
            bytes(MOST_BYTES),
        ] {
            assert_eq!(reason(&row), None);
        }
        let most = u32::MAX;
        let mut refused = Refused::default();
        for row in [
            minutes(60, 120, 0, 0),
            minutes(600, 60, 0, 0),
            minutes(30, 30, 31, 0),
            minutes(30, 20, 0, 11),
            minutes(u64::MAX, 1, u64::MAX, 0),
            minutes(60, u64::MAX, 0, u64::MAX),
            Row { target: most, ..base() },
            Row { reached: Some(most), ..base() },
            Row { capacity: Some(CapacityHour { desired: 1, available: Some(most) }), ..base() },
            Row { rounds: MOST + 1, ..base() },
            Row { cost_unknown: u64::MAX, ..base() },
            Row { short: [(ShortReason::TooFew, MOST + 1)].into(), ..base() },
            bytes(MOST_BYTES + 1),
            usd(Decimal::from(-5)),
            usd(Decimal::MAX),
        ] {
            assert!(!refused.accepts(&id, &row), "{row:?}");
        }
        insta::assert_snapshot!(refused, @r#"it is read without 15 rows, the first of "f": expected the minutes of an hour, found window 60, warm 120, unknown 0 and capped 0"#);
        let shown = |row: &Row| reason(row).unwrap();
        insta::assert_snapshot!(shown(&Row { pings: u64::MAX, ..base() }), @"expected at most 1000000000, found 18446744073709551615");
        insta::assert_snapshot!(shown(&bytes(u64::MAX)), @"expected at most 1000000000000000000 bytes, found 18446744073709551615");
        insta::assert_snapshot!(shown(&usd(Decimal::from(-5))), @"expected a cost from 0 to 1000000 US dollars, found -5");
    }
}
