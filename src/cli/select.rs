//! Selection of targets by function name.

use std::collections::BTreeSet;

use super::error::Failure;
use crate::domain::fleet::{Fleet, Target};
use crate::domain::function::{FunctionRef, Region, Tenant};
use crate::domain::parse::{nearest, quoted};
use crate::domain::plan::{Period, TargetPlan};

/// Returns the targets of `function` in all its regions and for all its tenants, in the order of the configuration.
///
/// # Errors
/// No target. The nearest configured function is the hint.
pub fn targets<'f>(fleet: &'f Fleet, function: &FunctionRef) -> Result<Vec<&'f Target>, Failure> {
    let found: Vec<_> = fleet.targets.iter().filter(|target| function.is_of(&target.id)).collect();
    if !found.is_empty() {
        return Ok(found);
    }
    let written = function.to_string();
    let labels = || fleet.targets.iter().map(|target| target.label.as_str());
    let hint = match near(&written, labels) {
        Some(label) => format!("\nhint: did you mean `{label}`?"),
        None => String::new(),
    };
    Err(Failure::Usage(format!("\"{written}\" is not in the configuration{hint}")))
}

/// Returns the plans of all targets, or of those of one function.
///
/// # Errors
/// The function is not configured.
pub fn plans<'f>(
    fleet: &'f Fleet,
    function: Option<&FunctionRef>,
    period: Period,
) -> Result<Vec<TargetPlan<'f>>, Failure> {
    let targets = match function {
        Some(function) => targets(fleet, function)?,
        None => fleet.targets.iter().collect(),
    };
    Ok(targets.into_iter().map(|target| TargetPlan::new(target, period, &fleet.prices)).collect())
}

/// Returns the label nearest to `written`.
pub fn near<'l, L: Iterator<Item = &'l str>>(written: &str, labels: impl Fn() -> L) -> Option<&'l str> {
    // A name without its configured qualifier is the most likely mistake.
    let qualified = labels().find(|label| label.split_once(':').is_some_and(|(name, _)| name == written));
    qualified.or_else(|| nearest(written, labels()))
}

/// Returns the target of `function` in `region`, or in its only region, for `tenant`, or for its only one.
///
/// # Errors
/// No target, or several without `region` or `tenant`.
pub fn target<'f>(
    fleet: &'f Fleet,
    function: &FunctionRef,
    region: Option<Region>,
    tenant: Option<&Tenant>,
) -> Result<&'f Target, Failure> {
    let mut all = targets(fleet, function)?;
    let tenants: BTreeSet<&str> = all.iter().filter_map(|target| target.tenant()).collect();
    let names = || tenants.iter().copied().collect::<Vec<_>>().join(", ");
    match tenant {
        None if tenants.len() > 1 => {
            return Err(Failure::Usage(format!(
                "`{function}` is configured for several tenants: add --tenant with one of {}",
                names()
            )));
        }
        None => {}
        Some(tenant) if tenants.contains(tenant.as_str()) => {
            all.retain(|target| target.id.tenant.as_ref() == Some(tenant));
        }
        Some(tenant) => {
            let only = if tenants.is_empty() {
                "but without tenants".to_owned()
            } else {
                format!("only for {}", names())
            };
            let tenant = quoted(tenant.as_str());
            return Err(Failure::Usage(format!(
                "`{function}` is not configured for the tenant {tenant}, {only}"
            )));
        }
    }
    let regions = || all.iter().map(|target| target.region().as_str()).collect::<Vec<_>>().join(", ");
    let mut matching = all.iter().filter(|target| region.is_none_or(|region| region == target.region()));
    match (matching.next(), matching.next()) {
        (Some(only), None) => Ok(only),
        (Some(_), Some(_)) => Err(Failure::Usage(format!(
            "`{function}` is configured in several regions: add --region with one of {}",
            regions()
        ))),
        (None, _) => {
            let region = region.map_or("", Region::as_str);
            Err(Failure::Usage(format!("`{function}` is not configured in {region}, only in {}", regions())))
        }
    }
}
