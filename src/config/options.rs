//! Texts of flags and environment variables: durations and regions.

use std::time::Duration;

use crate::domain::function::Region;
use crate::domain::parse::TextError;
use crate::domain::quantity::DurationRange;

/// Parses a duration: a whole number and one unit, such as `75ms`, `90s`, `5m`, `2h` or `7d`.
///
/// # Errors
/// The text has another form.
pub fn duration(text: &str) -> Result<Duration, String> {
    DurationRange::ALL.parse(text).map_err(TextError::into_line)
}

/// Parses the name of a known region.
///
/// # Errors
/// The name is unknown; the message suggests the nearest one.
pub fn region(text: &str) -> Result<Region, String> {
    Region::parse(text).map_err(|error| TextError::from(error).into_line())
}

/// A choice of regions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Regions {
    /// Every region.
    #[default]
    All,
    /// Only these regions.
    Only(Vec<Region>),
}

/// Parses regions separated by commas, or `all`. An empty text, as an empty environment variable has, is `all`.
///
/// # Errors
/// A name is unknown; the message suggests the nearest one.
pub fn regions(text: &str) -> Result<Regions, String> {
    let mut names = text.split(',').map(str::trim).filter(|name| !name.is_empty()).peekable();
    if text.trim() == "all" || names.peek().is_none() {
        return Ok(Regions::All);
    }
    names.map(region).collect::<Result<_, _>>().map(Regions::Only)
}
