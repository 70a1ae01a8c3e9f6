//! Selection of targets by the name of a function or a pipeline.

use std::collections::BTreeSet;

use super::error::Failure;
use crate::domain::fleet::{Fleet, Target};
use crate::domain::function::{FunctionRef, Region, Tenant};
use crate::domain::parse::{nearest, quoted};
use crate::domain::pipeline::Pipeline;
use crate::domain::plan::{Period, TargetPlan};

/// Returns the targets of `function` in all its regions and for all its tenants, or those of all functions of the
/// pipeline with this name, in the order of the configuration.
///
/// # Errors
/// No target. The nearest configured function or pipeline is the hint.
pub fn targets<'f>(fleet: &'f Fleet, function: &FunctionRef) -> Result<Vec<&'f Target>, Failure> {
    let found: Vec<_> = fleet.targets.iter().filter(|target| function.is_of(&target.id)).collect();
    if !found.is_empty() {
        return Ok(found);
    }
    let pipelines = pipelines(fleet, Some(function));
    if !pipelines.is_empty() {
        let is_in = |target: &&Target| pipelines.iter().any(|pipeline| pipeline.contains(&target.id));
        return Ok(fleet.targets.iter().filter(is_in).collect());
    }
    let written = function.to_string();
    let functions = fleet.targets.iter().map(|target| target.label.as_str());
    let labels = || functions.clone().chain(fleet.pipelines.iter().map(|pipeline| &*pipeline.name));
    let hint = match near(&written, labels) {
        Some(label) => format!("\nhint: did you mean `{label}`?"),
        None => String::new(),
    };
    Err(Failure::Usage(format!("\"{written}\" is not in the configuration{hint}")))
}

/// Returns the pipelines with this name, one for each region, or all without a name. The name of a configured function
/// is that of no pipeline.
pub fn pipelines<'f>(fleet: &'f Fleet, name: Option<&FunctionRef>) -> Vec<&'f Pipeline> {
    let Some(name) = name else { return fleet.pipelines.iter().collect() };
    if fleet.targets.iter().any(|target| name.is_of(&target.id)) {
        return Vec::new();
    }
    let name = name.to_string();
    fleet.pipelines.iter().filter(|pipeline| *pipeline.name == *name).collect()
}

/// Returns the pipeline with this name in `region`, or in its only region; `None` if no pipeline has the name.
///
/// # Errors
/// Not in `region`, or in several regions without `region`.
pub fn pipeline<'f>(
    fleet: &'f Fleet,
    name: &FunctionRef,
    region: Option<Region>,
) -> Result<Option<&'f Pipeline>, Failure> {
    match &pipelines(fleet, Some(name))[..] {
        [] => Ok(None),
        all => one(name, all, region, |pipeline| pipeline.region).map(Some),
    }
}

/// Returns the plans of all targets, or of those of one function or pipeline.
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
    one(function, &all, region, Target::region)
}

/// Returns the one of `all` in `region`, or the only one.
///
/// # Errors
/// None in `region`, or several without `region`.
fn one<'f, T>(
    name: &FunctionRef,
    all: &[&'f T],
    region: Option<Region>,
    region_of: impl Fn(&T) -> Region,
) -> Result<&'f T, Failure> {
    let regions = || all.iter().map(|one| region_of(one).as_str()).collect::<Vec<_>>().join(", ");
    let mut matching = all.iter().filter(|one| region.is_none_or(|region| region == region_of(one)));
    match (matching.next(), matching.next()) {
        (Some(only), None) => Ok(only),
        (Some(_), Some(_)) => Err(Failure::Usage(format!(
            "`{name}` is configured in several regions: add --region with one of {}",
            regions()
        ))),
        (None, _) => {
            let region = region.map_or("", Region::as_str);
            Err(Failure::Usage(format!("`{name}` is not configured in {region}, only in {}", regions())))
        }
    }
}
