//! Targets that people name on the command line.

use super::error::Failure;
use crate::domain::fleet::{Fleet, Target};
use crate::domain::function::{FunctionRef, Region};
use crate::domain::parse::nearest;

/// The targets of `function`, in every region it is configured in, in the order of the configuration.
///
/// # Errors
/// When there is none; the nearest configured function is the hint.
pub fn targets<'f>(fleet: &'f Fleet, function: &FunctionRef) -> Result<Vec<&'f Target>, Failure> {
    let found: Vec<_> =
        fleet.targets.iter().filter(|target| target.id == function.identity(target.region())).collect();
    if !found.is_empty() {
        return Ok(found);
    }
    let written = function.to_string();
    let labels = || fleet.targets.iter().map(|target| target.label.as_str());
    let hint = match near(&written, labels) {
        Some(label) => format!("\nhint: did you mean `{label}`?"),
        None => String::new(),
    };
    Err(Failure::Usage(format!("`{written}` is not in the configuration{hint}")))
}

/// What was probably meant by a function that is not among `labels`.
pub fn near<'l, L: Iterator<Item = &'l str>>(written: &str, labels: impl Fn() -> L) -> Option<&'l str> {
    // The name alone, of a function that is configured with a qualifier, is the likeliest slip.
    let qualified = labels().find(|label| label.split_once(':').is_some_and(|(name, _)| name == written));
    qualified.or_else(|| nearest(written, labels()))
}

/// The one target of `function` that is meant.
///
/// # Errors
/// When there is none, or several and `region` does not say which.
pub fn target<'f>(
    fleet: &'f Fleet,
    function: &FunctionRef,
    region: Option<Region>,
) -> Result<&'f Target, Failure> {
    let all = targets(fleet, function)?;
    let regions = || all.iter().map(|target| target.region().as_str()).collect::<Vec<_>>().join(", ");
    let mut meant = all.iter().filter(|target| region.is_none_or(|region| region == target.region()));
    match (meant.next(), meant.next()) {
        (Some(only), None) => Ok(only),
        (Some(_), Some(_)) => Err(Failure::Usage(format!(
            "`{function}` is configured in {}: say which with --region",
            regions()
        ))),
        (None, _) => {
            let region = region.map_or("", Region::as_str);
            Err(Failure::Usage(format!("`{function}` is not configured in {region}, only in {}", regions())))
        }
    }
}
