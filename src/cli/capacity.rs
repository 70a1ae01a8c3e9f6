//! `warmd capacity`: provisioned concurrency and managed instances, as they are.

mod change;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use chrono::{DateTime, Utc};
use clap::{Args, Subcommand};
use rust_decimal::Decimal;
use tokio::time::Instant;

use super::app::App;
use super::configuration;
use super::deployed::Deployed;
use super::error::Failure;
use super::exit::Exit;
use super::options::{Configs, Only, StateArgs};
use super::output::{print, print_json, print_message};
use super::render::capacity::PricedCapacity;
use super::render::{self, Style};
use super::select::{near, pipelines};
use super::value_parsers;
use crate::domain::budget::{has_budgets, standings};
use crate::domain::capacity::{CapacityReport, Status, Strategy, provisioned_usd_per_hour};
use crate::domain::clean::clean;
use crate::domain::fleet::{Fleet, Target};
use crate::domain::function::{FunctionRef, Identity, Region};
use crate::domain::parse::quoted;
use crate::domain::pipeline::Pipeline;
use crate::domain::records::{Kept, MadeBy, Snapshot};
use crate::engine::ports::Clock;
use crate::engine::stop::{Stop, stop};
use crate::service::capacity::{CapacityKeeper, CapacityPlan, Context};
use crate::service::clock::SystemClock;
use crate::service::spending::spending;
use crate::service::store::{DocumentStore, before};

/// The longest time for reads from the store.
const READ_WITHIN: Duration = Duration::from_secs(10);
/// The time for the work on a few targets.
const WORK_WITHIN: Duration = Duration::from_secs(60);
/// The time for the work on each target, at the rate of the requests that the keeper allows itself.
const WORK_FOR_EACH: Duration = Duration::from_secs(3);

/// `warmd capacity`.
#[derive(Debug, Args)]
pub struct CapacityArgs {
    /// The command.
    #[command(subcommand)]
    pub command: CapacityCommand,
}

/// A command on capacity.
#[derive(Debug, Subcommand)]
pub enum CapacityCommand {
    /// Show provisioned concurrency and managed instances as they are, with their cost per hour.
    Status(CapacityStatusArgs),
    /// Delete the capacity that warmd has made.
    Release(ReleaseArgs),
    /// Take over capacity that another owner has made.
    Adopt(AdoptArgs),
}

/// `warmd capacity status`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  warmd capacity status --state s3://my-warmd/state
  warmd capacity status checkout-api:live --state s3://my-warmd/state --json

Reads the targets with the strategy provisioned or managed, and what warmd has made and the
configuration no longer names (strategy pings). Nothing is changed. A conflict is capacity of
another owner, which warmd never changes; `warmd capacity adopt` takes it over. The cost is the
price of what is up, without invocations. It is unknown for managed instances, and without the
memory of the function. `warmd status` shows what the last tick saw, without access to the
functions. Exit code 1 if a target cannot be read.")]
pub struct CapacityStatusArgs {
    /// Function or pipeline, as in the configuration. [default: all]
    #[arg(value_name = "FUNCTION", value_parser = value_parsers::function)]
    pub function: Option<FunctionRef>,
    /// The options of all commands.
    #[command(flatten)]
    pub common: CommonArgs,
}

/// `warmd capacity release`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  warmd capacity release checkout-api:live --state s3://my-warmd/state
  warmd capacity release --all --yes --state s3://my-warmd/state     before the stack is deleted

Shows what would be deleted, and asks. Only what warmd has made or taken over is deleted: by the
tag warmd:owner with Application Auto Scaling, else by the state store. Versions on managed
instances get the numbers back that they had before. A pause does not prevent it. A running daemon
or stack makes it again at its next tick while the configuration names it: stop it, pause the
function, or set `strategy: pings` first. Exit code 0 when nothing is left, 1 when something could
not be deleted.")]
pub struct ReleaseArgs {
    /// Function or pipeline, as in the configuration, or a function as it was when warmd made its capacity.
    #[arg(value_name = "FUNCTION", value_parser = value_parsers::function, required_unless_present = "all")]
    pub function: Option<FunctionRef>,
    /// All capacity that warmd has made.
    #[arg(long, conflicts_with = "function")]
    pub all: bool,
    /// Do not ask. Needed where standard input is not a terminal.
    #[arg(long)]
    pub yes: bool,
    /// The options of all commands.
    #[command(flatten)]
    pub common: CommonArgs,
}

/// `warmd capacity adopt`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  warmd capacity adopt checkout-api:live --state s3://my-warmd/state

Takes over the provisioned concurrency, the scalable target or the scaling configuration of a
function with the strategy provisioned or managed. Shows what is taken over, and which scaling
policies and scheduled actions of others are deleted, and asks. The next tick sets the numbers of
the windows. Infrastructure as code that has made it should ignore it from then on: otherwise both
change it in turn.

In Terraform:
  resource \"aws_lambda_provisioned_concurrency_config\" \"live\" {
    # …
    lifecycle { ignore_changes = [provisioned_concurrent_executions] }
  }
  resource \"aws_appautoscaling_target\" \"live\" {
    # …
    lifecycle { ignore_changes = [min_capacity, max_capacity, tags, tags_all] }
  }
In CloudFormation and the CDK, remove the scaling resources with `DeletionPolicy: Retain` before the
adoption, and leave `provisionedConcurrentExecutions` out of the alias.")]
pub struct AdoptArgs {
    /// Function or pipeline, as in the configuration.
    #[arg(value_name = "FUNCTION", value_parser = value_parsers::function)]
    pub function: FunctionRef,
    /// Do not ask. Needed where standard input is not a terminal.
    #[arg(long)]
    pub yes: bool,
    /// The options of all commands.
    #[command(flatten)]
    pub common: CommonArgs,
}

/// The options of all commands on capacity.
#[derive(Debug, Args)]
pub struct CommonArgs {
    /// Region, if only one is meant.
    #[arg(long, value_name = "REGION", value_parser = value_parsers::region)]
    pub region: Option<Region>,
    /// Print JSON: an array with the keys of `capacity` in the tick object, and usd_per_hour.
    #[arg(long)]
    pub json: bool,
    /// Use the embedded emulator, started for this command, instead of AWS.
    #[arg(long)]
    pub local: bool,
    /// The state store, which has what warmd has made.
    #[command(flatten)]
    pub state: StateArgs,
    /// Configuration: YAML files, directories of *.yaml files, or s3://bucket/prefix. [default: warm-configs]
    #[arg(long, value_name = "PATH", num_args = 1..)]
    pub configs: Vec<PathBuf>,
}

/// Runs a command on capacity.
///
/// # Errors
/// Invalid arguments or configuration, or a state store that cannot be read. Nothing was changed then.
pub async fn capacity(args: &CapacityArgs, style: Style) -> Result<Exit, Failure> {
    match &args.command {
        CapacityCommand::Status(args) => status(args, style).await,
        CapacityCommand::Release(args) => change::release(args).await,
        CapacityCommand::Adopt(args) => change::adopt(args).await,
    }
}

async fn status(args: &CapacityStatusArgs, style: Style) -> Result<Exit, Failure> {
    let work = Work::begin(&args.common, args.function.as_ref()).await?;
    work.check_known()?;
    let (_stopper, stop) = stop();
    let reports = work.keeper.status(&work.context(&stop), |id| work.selects(id)).await;
    let priced = work.priced(&reports);
    if args.common.json {
        print_json(&priced)?;
    } else if priced.is_empty() {
        print("no capacity\n")?;
    } else {
        print(&render::capacity::status(&priced, style))?;
    }
    let is_read = |report: &CapacityReport| report.status != Status::Unknown;
    Ok(if reports.iter().all(is_read) { Exit::Success } else { Exit::Failed })
}

/// The work on the selected capacity.
struct Work<'a> {
    function: Option<&'a FunctionRef>,
    region: Option<Region>,
    /// The functions of the pipeline, if the name is that of one.
    parts: Vec<Identity>,
    fleet: Fleet,
    plan: CapacityPlan,
    facts: Snapshot,
    documents: DocumentStore,
    keeper: CapacityKeeper,
    now: DateTime<Utc>,
}

impl<'a> Work<'a> {
    /// Reads the configuration and the state store.
    async fn begin(args: &'a CommonArgs, function: Option<&'a FunctionRef>) -> Result<Self, Failure> {
        if args.state.location().is_none() {
            let message = "no state store\nhint: set --state or WARMD_STATE";
            return Err(Failure::Usage(message.to_owned()));
        }
        let configs = Configs::of(args.configs.clone());
        let fleet = configuration::load(&configs, &Only::default()).await?;
        let named = function.map(|name| pipelines(&fleet, Some(name))).unwrap_or_default();
        let parts = named.into_iter().flat_map(Pipeline::functions).cloned().collect();
        let app = App::of(args.local, &fleet.targets).await?;
        let documents = app.documents(args.state.location())?;
        let now = SystemClock.now();
        let plan = read(&documents, &fleet, args.region, now).await?;
        // Facts are for the memory only.
        let facts = Deployed::stored(&documents, &fleet, now).await.unwrap_or_default().facts().clone();
        let keeper = app.keeper(documents.clone());
        Ok(Self { function, region: args.region, parts, fleet, plan, facts, documents, keeper, now })
    }

    /// Reads the state store again. The answer of an operator or a change may have taken long.
    async fn renew(&mut self) -> Result<(), Failure> {
        self.now = SystemClock.now();
        self.plan = read(&self.documents, &self.fleet, self.region, self.now).await?;
        Ok(())
    }

    /// Returns true if a target is selected.
    fn selects(&self, id: &Identity) -> bool {
        self.function.is_none_or(|function| function.is_of(id) || self.is_in_pipeline(id))
            && self.region.is_none_or(|region| region == id.region)
    }

    /// Returns true if a function is one of the given pipeline.
    fn is_in_pipeline(&self, id: &Identity) -> bool {
        self.parts.contains(&id.without_tenant())
    }

    /// Returns the selected targets of the configuration.
    fn targets(&self) -> impl Iterator<Item = &Target> {
        self.fleet.targets.iter().filter(|target| self.selects(&target.id))
    }

    /// Returns the selected records.
    fn kept(&self) -> impl Iterator<Item = (&Identity, &Kept)> {
        self.plan.loaded.all().filter(|(id, _)| self.selects(id))
    }

    /// Returns the circumstances of the work. Its time begins now.
    fn context<'c>(&'c self, stop: &'c Stop) -> Context<'c> {
        let with_capacity = self.targets().filter(|target| target.strategy.is_capacity());
        let number = u32::try_from(with_capacity.count() + self.kept().count()).unwrap_or(u32::MAX);
        let within = WORK_WITHIN.max(WORK_FOR_EACH.saturating_mul(number));
        let until = Instant::now() + within;
        Context { plan: &self.plan, facts: &self.facts, now: self.now, until, stop }
    }

    /// Checks that the configuration or the state store has the function.
    fn check_known(&self) -> Result<(), Failure> {
        let Some(function) = self.function else { return Ok(()) };
        if self.targets().next().is_some() || self.kept().next().is_some() {
            return Ok(());
        }
        let ids = self.fleet.targets.iter().map(|target| &target.id);
        let ids = || ids.clone().chain(self.plan.loaded.all().map(|(id, _)| id));
        let regions: BTreeSet<&str> = ids()
            .filter(|id| function.is_of(id) || self.is_in_pipeline(id))
            .map(|id| id.region.as_str())
            .collect();
        if let (Some(region), false) = (self.region, regions.is_empty()) {
            let regions = regions.into_iter().collect::<Vec<_>>().join(", ");
            return Err(Failure::Usage(format!(
                "`{function}` is not configured in {region}, only in {regions}"
            )));
        }
        let written = function.to_string();
        let names = self.fleet.pipelines.iter().map(|pipeline| pipeline.name.to_string());
        let labels: BTreeSet<String> = ids().map(Identity::label).chain(names).collect();
        let hint = match near(&written, || labels.iter().map(String::as_str)) {
            Some(label) => format!("\nhint: did you mean `{}`?", clean(label)),
            None => String::new(),
        };
        let written = quoted(&written);
        Err(Failure::Usage(format!("{written} is neither in the configuration nor in the state store{hint}")))
    }

    /// Adds the prices of what is up.
    fn priced<'r>(&self, reports: &'r [CapacityReport]) -> Vec<PricedCapacity<'r>> {
        let priced = |report| PricedCapacity { report, usd_per_hour: self.usd_per_hour(report) };
        reports.iter().map(priced).collect()
    }

    fn usd_per_hour(&self, report: &CapacityReport) -> Option<Decimal> {
        let kept = self.plan.loaded.of(&report.id);
        let made = kept.and_then(|kept| kept.made.as_ref());
        // The price of managed instances depends on those of the capacity provider.
        if matches!(report.strategy, Strategy::Managed(_))
            || made.is_some_and(|made| made.by == MadeBy::Managed)
        {
            return None;
        }
        let is_of = |target: &&Target| target.id.without_tenant() == report.id;
        let target = self.fleet.targets.iter().find(is_of);
        let deployed = || {
            let facts = self.facts.of(target?)?;
            facts.seen.configuration.known()?.memory_mb
        };
        let memory_mb = target.and_then(|target| target.memory_mb);
        let memory_mb = memory_mb.or_else(deployed).or_else(|| kept?.memory_mb);
        let architecture = match (target, kept) {
            (Some(target), _) => target.architecture,
            (None, kept) => kept.map(|kept| kept.architecture).unwrap_or_default(),
        };
        let (numbers, place) = ([report.requested, report.allocated], (architecture, report.id.region));
        provisioned_usd_per_hour(report.status, numbers, memory_mb, place, &self.fleet.prices)
    }
}

async fn read(
    documents: &DocumentStore,
    fleet: &Fleet,
    region: Option<Region>,
    now: DateTime<Utc>,
) -> Result<CapacityPlan, Failure> {
    let until = Instant::now() + READ_WITHIN;
    let read = CapacityPlan::read(documents, fleet, region, now, until).await;
    let mut plan = read.map_err(|unavailable| Failure::Unexpected(unavailable.to_string()))?;
    if has_budgets(fleet) {
        match before(until, spending(documents, now)).await {
            Ok(spending) => plan.stop(&standings(fleet, &spending, now), now),
            Err(unavailable) => {
                print_message(&format!("warning: {unavailable}; the budgets are not applied"));
            }
        }
    }
    Ok(plan)
}
