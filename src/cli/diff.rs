//! `warmd diff`: the effect of a change of configuration.

use std::path::Path;

use chrono::TimeDelta;
use rust_decimal::Decimal;
use serde::Serialize;

use super::args::{DiffArgs, DiffFormat};
use super::clock::SystemClock;
use super::configuration::Origin;
use super::error::Failure;
use super::exit::Exit;
use super::output::{print, print_json};
use super::period::{Bounds, period};
use super::render::{self, Style};
use crate::domain::difference::{ChangeKind, Difference, difference};
use crate::domain::function::Region;
use crate::domain::plan::TargetPlan;
use crate::engine::ports::Clock;

#[derive(Serialize)]
struct DiffObject<'c> {
    changes: Vec<ChangeObject<'c>>,
    before_total: Option<Decimal>,
    after_total: Option<Decimal>,
}

#[derive(Serialize)]
struct ChangeObject<'c> {
    function: &'c str,
    region: Region,
    change: ChangeKind,
    before: Option<Amounts>,
    after: Option<Amounts>,
}

#[derive(Serialize)]
struct Amounts {
    pings: u64,
    cold_starts: u64,
    s3_egress_bytes: u64,
    total: Option<Decimal>,
}

/// Prints the difference.
///
/// # Errors
/// An invalid configuration or period.
pub fn diff(args: &DiffArgs, style: Style) -> Result<Exit, Failure> {
    let load = |path: &Path| Origin::of_path(path, &args.only).with_prices(&args.prices).load();
    let (old, new) = (load(&args.old)?.fleet, load(&args.new)?.fleet);
    let bounds = Bounds { from: args.from.as_deref(), length: Some(args.for_), until: None, zone: None };
    let period = period(bounds, TimeDelta::zero(), SystemClock.now())?;
    let difference = difference(&old, &new, period);
    match args.format {
        DiffFormat::Table => print(&render::diff::table(&difference, period, style))?,
        DiffFormat::Markdown => print(&render::diff::markdown(&difference, period))?,
        DiffFormat::Json => print_json(&object(&difference))?,
    }
    Ok(if args.exit_code && !difference.changes.is_empty() { Exit::Changed } else { Exit::Success })
}

fn object<'c>(difference: &'c Difference<'_>) -> DiffObject<'c> {
    let amounts = |plan: &Option<TargetPlan<'_>>| {
        plan.as_ref().map(|plan| Amounts {
            pings: plan.pings(),
            cold_starts: plan.cost.cold_starts,
            s3_egress_bytes: plan.cost.s3.bytes(),
            total: plan.cost.bill.total(),
        })
    };
    let changes = difference.changes.iter().filter_map(|change| {
        let target = change.target()?;
        Some(ChangeObject {
            function: &target.label,
            region: target.region(),
            change: change.kind(),
            before: amounts(&change.before),
            after: amounts(&change.after),
        })
    });
    DiffObject {
        changes: changes.collect(),
        before_total: difference.before.total(),
        after_total: difference.after.total(),
    }
}
