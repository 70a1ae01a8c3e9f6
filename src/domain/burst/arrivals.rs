//! The arrivals of a burst, and the rate at which an environment serves them.

use std::fmt;

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

use crate::domain::parse::TextError;

/// The longest time with arrivals: a day, in seconds.
pub const MOST_SECONDS: usize = 86_400;

/// The most requests of a burst.
const MOST_REQUESTS: u64 = 1_000_000_000_000;

const FORM: &str = "write a whole number, such as `500`, `5k` (5,000) or `2.5M` (2,500,000)";

/// Parses a number of requests: `500`, `5k` or `2.5M`.
///
/// # Errors
/// The text has another form, or the number is not whole or above 10^12.
pub fn parse_count(text: &str) -> Result<u64, TextError> {
    let malformed = || TextError::expected("a number of requests", text);
    let (number, factor) = match text.char_indices().next_back() {
        Some((at, 'k')) => (text.get(..at).unwrap_or_default(), 1_000),
        Some((at, 'M')) => (text.get(..at).unwrap_or_default(), 1_000_000),
        Some((at, unit @ ('K' | 'm'))) => {
            let right = if unit == 'K' { 'k' } else { 'M' };
            let number = text.get(..at).unwrap_or_default();
            let hint = if number.is_empty() { FORM.to_owned() } else { format!("write `{number}{right}`") };
            return Err(malformed().hint(hint));
        }
        _ => (text, 1),
    };
    let is_plain = |text: &&str| {
        text.starts_with(|first: char| first.is_ascii_digit()) && !text.contains(['_', 'e', 'E', '+', '-'])
    };
    let number = Some(number).filter(is_plain).and_then(|number| Decimal::from_str_exact(number).ok());
    let number = number.ok_or_else(|| malformed().hint(FORM))?;
    let requests = number.checked_mul(Decimal::from(factor)).filter(|requests| requests.is_integer());
    let requests =
        requests.ok_or_else(|| TextError::expected("a whole number of requests", text).hint(FORM))?;
    let fits = requests.to_u64().filter(|requests| *requests <= MOST_REQUESTS);
    fits.ok_or_else(|| TextError::expected("at most 10^12 requests", text))
}

/// The arrivals of each second: at least one request, at most 10^12, in at most [`MOST_SECONDS`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrivals {
    /// The requests that arrived by each second, from second 0 on.
    until: Vec<u64>,
}

impl Arrivals {
    /// Creates arrivals from numbers of requests, each for `every` seconds. A number is spread evenly over its seconds:
    /// the first k of n seconds have ⌊number · k / n⌋ of its requests.
    ///
    /// # Errors
    /// A message for users: no requests, too many, or too long a time.
    pub fn new(numbers: &[u64], every: u64) -> Result<Self, String> {
        let every = every.max(1);
        let seconds = (numbers.len() as u64).saturating_mul(every);
        if seconds > MOST_SECONDS as u64 {
            return Err(format!("expected arrivals of at most a day, found {seconds} seconds"));
        }
        let mut until = Vec::with_capacity(usize::try_from(seconds).unwrap_or(0) + 1);
        until.push(0_u64);
        let mut before = 0_u64;
        for number in numbers {
            let part = |second: u64| u128::from(*number) * u128::from(second) / u128::from(every);
            // A part is at most the number.
            let by = |second| before.saturating_add(u64::try_from(part(second)).unwrap_or(*number));
            until.extend((1..=every).map(by));
            before = before.saturating_add(*number);
        }
        match before {
            0 => Err("expected at least one request, found none".to_owned()),
            1..=MOST_REQUESTS => Ok(Self { until }),
            _ => Err("expected at most 10^12 requests in total".to_owned()),
        }
    }

    /// Returns the number of seconds.
    pub fn seconds(&self) -> usize {
        self.until.len() - 1
    }

    /// Returns the requests that arrived by `second`.
    pub fn by(&self, second: usize) -> u64 {
        self.until.get(second).copied().unwrap_or_else(|| self.total())
    }

    /// Returns the requests that arrive in the second that ends at `second`.
    pub fn at(&self, second: usize) -> u64 {
        self.by(second) - self.by(second.saturating_sub(1))
    }

    /// Returns the number of requests.
    pub fn total(&self) -> u64 {
        self.until.last().copied().unwrap_or(0)
    }

    /// Returns the last second in which a request arrives.
    pub fn last(&self) -> usize {
        self.until.partition_point(|requests| *requests < self.total())
    }
}

/// The requests a second that one environment serves: 0.001 to 1,000,000, with up to three decimals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// The parts of a request that an environment serves in a second.
    pub(super) parts: u64,
    /// The parts that make one request: 1, 10, 100 or 1,000.
    pub(super) per_request: u64,
}

impl Rate {
    /// Parses a rate, such as `300` or `2.5`.
    ///
    /// # Errors
    /// The text has another form, or the rate is not in the range.
    pub fn parse(text: &str) -> Result<Self, TextError> {
        let rate = Decimal::from_str_exact(text).ok().map(|rate| rate.normalize());
        let range = Decimal::new(1, 3)..=Decimal::from(1_000_000);
        let rate = rate.filter(|rate| range.contains(rate) && rate.scale() <= 3);
        let rate = rate.and_then(|rate| {
            Some(Self { parts: u64::try_from(rate.mantissa()).ok()?, per_request: 10_u64.pow(rate.scale()) })
        });
        rate.ok_or_else(|| {
            TextError::expected("requests a second from 0.001 to 1000000, with up to three decimals", text)
        })
    }

    /// Returns the rate as a decimal.
    pub fn decimal(self) -> Decimal {
        Decimal::from(self.parts) / Decimal::from(self.per_request)
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.decimal().normalize())
    }
}
