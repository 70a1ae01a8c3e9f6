//! `warmd diff`: the effect of a change of configuration.

use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono::TimeDelta;
use clap::{Args, ValueEnum};
use rust_decimal::Decimal;
use serde::Serialize;

use super::configuration;
use super::error::Failure;
use super::exit::Exit;
use super::options::{Only, Prices};
use super::output::{print, print_json, print_message};
use super::period::{Bounds, period};
use super::render::cost::dollars;
use super::render::{self, Style};
use super::value_parsers;
use crate::domain::difference::{ChangeKind, Difference, Setting, difference};
use crate::domain::function::Region;
use crate::domain::plan::{Period, TargetPlan};
use crate::engine::ports::Clock;
use crate::service::clock::SystemClock;

/// `warmd diff`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  git worktree add /tmp/live main && warmd diff /tmp/live/warm-configs warm-configs
  warmd diff OLD NEW --for 30d --format markdown      for a pull-request comment
  warmd diff OLD NEW --exit-code                      exits with 4 if there are changes
  warmd diff OLD NEW --only-if-increase --fail-above 500

--only-if-increase prints nothing and exits with 0 if the total cost does not rise, whatever else
changes and whatever --fail-above says. A cost that is unknown, before or after, may rise.

--fail-above compares the total after the change, warmd itself included, not the increase: a budget
is a total. The cost of the period is scaled to a month of 730 hours, so choose --for such that it
has every kind of day. Parts of unknown cost count as 0, with a warning: a total that is above the
limit without them fails. Exit code 5 goes before 4.")]
pub struct DiffArgs {
    /// Configuration before: a file, a directory, or s3://bucket/prefix.
    #[arg(value_name = "OLD")]
    pub old: PathBuf,
    /// Configuration after: a file, a directory, or s3://bucket/prefix.
    #[arg(value_name = "NEW")]
    pub new: PathBuf,
    /// Start: RFC 3339 or a DATE, which is midnight UTC. [default: now]
    #[arg(long, value_name = "RFC3339|DATE")]
    pub from: Option<String>,
    /// Length, such as 30d.
    #[arg(long = "for", value_name = "DURATION", default_value = "7d", value_parser = value_parsers::duration)]
    pub for_: Duration,
    /// Output format: table, json, or markdown for a pull-request comment.
    #[arg(long, value_name = "table|json|markdown", default_value = "table", hide_possible_values = true)]
    pub format: DiffFormat,
    /// Exit with 4 if there are changes.
    #[arg(long)]
    pub exit_code: bool,
    /// Print nothing and exit with 0 if the cost does not rise.
    #[arg(long)]
    pub only_if_increase: bool,
    /// Exit with 5 if the total after the change is above this number of US dollars per month of 730 hours.
    #[arg(long, value_name = "USD", value_parser = value_parsers::amount)]
    pub fail_above: Option<Decimal>,
    /// The user's own prices.
    #[command(flatten)]
    pub prices: Prices,
    /// The part of the fleet.
    #[command(flatten)]
    pub only: Only,
}

/// The hours of a month, as AWS counts them in estimates.
const MONTH_HOURS: i64 = 730;

/// Output format of `diff`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DiffFormat {
    /// Text for people.
    Table,
    /// One JSON object.
    Json,
    /// Markdown for a pull-request comment.
    Markdown,
}

#[derive(Serialize)]
struct DiffObject<'c> {
    settings: Vec<SettingObject<'c>>,
    pipelines: Vec<PipelineObject<'c>>,
    changes: Vec<ChangeObject<'c>>,
    before_total: Option<Decimal>,
    after_total: Option<Decimal>,
}

#[derive(Serialize)]
struct PipelineObject<'c> {
    name: &'c str,
    region: Region,
    change: ChangeKind,
    settings: Vec<SettingObject<'c>>,
}

#[derive(Serialize)]
struct SettingObject<'c> {
    name: &'c str,
    before: Option<&'c str>,
    after: Option<&'c str>,
}

#[derive(Serialize)]
struct ChangeObject<'c> {
    function: &'c str,
    region: Region,
    tenant: Option<&'c str>,
    change: ChangeKind,
    before: Option<Amounts>,
    after: Option<Amounts>,
}

#[derive(Serialize)]
struct Amounts {
    strategy: &'static str,
    pings: u64,
    cold_starts: u64,
    s3_egress_bytes: u64,
    total: Option<Decimal>,
}

/// Prints the difference.
///
/// # Errors
/// An invalid configuration or period.
pub async fn diff(args: &DiffArgs, style: Style) -> Result<Exit, Failure> {
    let load = async |path: &Path| {
        let source = configuration::source(vec![path.to_owned()], &args.only).await;
        source.with_prices(args.prices.prices.clone()).load().await
    };
    let (old, new) = (load(&args.old).await?.fleet, load(&args.new).await?.fleet);
    let bounds = Bounds { from: args.from.as_deref(), length: Some(args.for_), until: None, zone: None };
    let period = period(bounds, TimeDelta::zero(), SystemClock.now())?;
    let difference = difference(&old, &new, period);
    if args.only_if_increase && !difference.may_cost_more() {
        return Ok(Exit::Success);
    }
    match args.format {
        DiffFormat::Table => print(&render::diff::table(&difference, period, style))?,
        DiffFormat::Markdown => print(&render::diff::markdown(&difference, period))?,
        DiffFormat::Json => print_json(&object(&difference))?,
    }
    if args.fail_above.is_some_and(|limit| is_above(&difference, period, limit)) {
        return Ok(Exit::AboveLimit);
    }
    Ok(if args.exit_code && !difference.is_empty() { Exit::Changed } else { Exit::Success })
}

/// Returns true if the known cost of a month after the change is above `limit`, with a message. Warns of unknown cost
/// otherwise.
fn is_above(difference: &Difference<'_>, period: Period, limit: Decimal) -> bool {
    let bill = &difference.after.bill;
    let monthly = monthly(bill.known(), period);
    let mut unknown = bill.lines.iter().filter(|line| line.amount().is_none());
    let besides = match (unknown.next(), unknown.count()) {
        (None, _) if monthly <= limit => return false,
        (None, _) => String::new(),
        (Some(line), 0) => format!(", and {}, whose price is unknown", line.item),
        (Some(line), more) => format!(", and {} and {more} more, whose prices are unknown", line.item),
    };
    let (of, limit_usd) = (dollars(Some(monthly)), dollars(Some(limit)));
    let cost = format!("the configuration costs {of} a month{besides}");
    match monthly > limit {
        true => print_message(&format!("error: {cost}: more than the limit of {limit_usd}")),
        false => print_message(&format!(
            "warning: {cost}: the limit of {limit_usd} cannot be checked\nhint: set these prices with --prices"
        )),
    }
    monthly > limit
}

/// Scales the cost of a period to [`MONTH_HOURS`].
fn monthly(usd: Decimal, period: Period) -> Decimal {
    let minutes = (period.until.instant() - period.from.instant()).num_minutes().max(1);
    usd.saturating_mul(Decimal::from(MONTH_HOURS * 60)) / Decimal::from(minutes)
}

impl<'c> SettingObject<'c> {
    fn new((name, before, after): &'c Setting) -> Self {
        Self { name, before: before.as_deref(), after: after.as_deref() }
    }
}

fn object<'c>(difference: &'c Difference<'_>) -> DiffObject<'c> {
    let amounts = |plan: &Option<TargetPlan<'_>>| {
        plan.as_ref().map(|plan| Amounts {
            strategy: plan.target.strategy.name(),
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
            tenant: target.tenant(),
            change: change.kind(),
            before: amounts(&change.before),
            after: amounts(&change.after),
        })
    });
    let pipelines = difference.pipelines.iter().map(|change| PipelineObject {
        name: &change.pipeline.name,
        region: change.pipeline.region,
        change: change.kind,
        settings: change.settings.iter().map(SettingObject::new).collect(),
    });
    DiffObject {
        settings: difference.settings.iter().map(SettingObject::new).collect(),
        pipelines: pipelines.collect(),
        changes: changes.collect(),
        before_total: difference.before.total(),
        after_total: difference.after.total(),
    }
}
