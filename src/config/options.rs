//! Texts of flags and environment variables: durations and regions.

use std::time::Duration;

use crate::domain::function::Region;

/// Units of a duration, longest name first so that `ms` is not read as `m`.
const UNITS: [(&str, u64); 5] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

/// A duration: a whole number and one unit, such as `75ms`, `90s`, `5m`, `2h` or `7d`.
///
/// # Errors
/// The expected form.
pub fn duration(text: &str) -> Result<Duration, String> {
    let expected = || "expected a whole number and a unit, such as 75ms, 90s, 5m, 2h or 7d".to_owned();
    let (number, factor) = UNITS
        .iter()
        .find_map(|(unit, factor)| Some((text.strip_suffix(unit)?, factor)))
        .ok_or_else(expected)?;
    let number: u64 = number.parse().map_err(|_| expected())?;
    number.checked_mul(*factor).map(Duration::from_millis).ok_or_else(|| "too long".to_owned())
}

/// A region of the known list.
///
/// # Errors
/// Which name is unknown, and the nearest known one.
pub fn region(text: &str) -> Result<Region, String> {
    Region::parse(text).map_err(|error| match error.nearest {
        Some(nearest) => format!("{error}; did you mean `{nearest}`?"),
        None => format!("{error}; expected a name such as eu-west-2"),
    })
}

/// Regions that are served.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Regions {
    /// All.
    #[default]
    All,
    /// These.
    Only(Vec<Region>),
}

/// Regions separated by commas, or `all`. Nothing, as an empty environment variable has it, is all.
///
/// # Errors
/// Which name is unknown, and the nearest known one.
pub fn regions(text: &str) -> Result<Regions, String> {
    let mut names = text.split(',').map(str::trim).filter(|name| !name.is_empty()).peekable();
    if text.trim() == "all" || names.peek().is_none() {
        return Ok(Regions::All);
    }
    names.map(region).collect::<Result<_, _>>().map(Regions::Only)
}
