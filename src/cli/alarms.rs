//! `warmd alarms`: prints, puts and deletes the CloudWatch alarms of a fleet.

use clap::{ArgGroup, Args, ValueEnum};

use super::app::App;
use super::configuration;
use super::deploy::{print_pretty, region_or_own};
use super::error::Failure;
use super::exit::Exit;
use super::options::{Configs, Only};
use super::output::{print, print_message};
use super::render::cost::dollars;
use super::value_parsers;
use crate::aws::AwsObservability;
use crate::deploy::alarms::{AlarmsInput, alarms as wanted, document, is_of_fleet};
use crate::domain::alarm::{Alarm, Step, deletions, prefix, steps};
use crate::domain::capacity::Owner;
use crate::domain::cost::PriceBook;
use crate::domain::cost::self_usage::alarms_cost;
use crate::domain::coverage::Slo;
use crate::domain::fleet::Fleet;
use crate::domain::function::Region;
use crate::domain::parse::TextError;
use crate::domain::text::count;
use crate::engine::observability::Observability;
use crate::engine::ports::ErrorKind;
use crate::service::alarms::{Incomplete, apply};

/// `warmd alarms`.
#[derive(Debug, Args)]
#[command(
    group(ArgGroup::new("mode").required(true).args(["print", "put", "delete"])),
    after_help = "\
Examples:
  warmd alarms --print
  warmd alarms --put --topic arn:aws:sns:eu-west-2:123456789012:on-call
  warmd alarms --put --of functions      beside a stack, which has the alarms of the fleet
  warmd alarms --delete --of fleet

The alarms of the fleet are: no tick for five minutes; and the error budget of coverage burns 13.4
times too fast (within 1 h and within 5 min) or 5.6 times (6 h and 30 min), each with at least two
short or unsafe rounds in the longer time, so that a single short round raises none. Each of the two
is a composite alarm on two metric alarms, and only the composite one has actions. Missing data is a
breach for no tick alone. Without data, as between rounds, an alarm keeps its state until the longer
time is over. With a round an hour, 1 h has no two rounds, so only the slower alarm can be raised.

Rounds that reach their number with cold pings alone are not short, and raise none, however long it
lasts: the dashboard shows them as coverage, and `warmd report` as burn rate.

Functions with `slo` in the configuration have the two of their own, with their own objective. They
need `metrics: { detail: function }`.

Names begin with warmd-PREFIX-, and descriptions end with [warmd:owner=PREFIX]. Other alarms are
neither changed nor deleted. --put deletes alarms of the same prefix that are no longer wanted,
those of removed functions for example. With --of, alarms of the other kind are neither changed nor
deleted. --put does not write what is unchanged, keeps the actions of alarms that exist unless
--topic is given, and never enables disabled actions. After a failure, exit code 1, a repetition
completes it. `warmd iam --observe` prints the permissions."
)]
pub struct AlarmsArgs {
    /// Print the alarms as JSON, the input of PutMetricAlarm and PutCompositeAlarm. Their cost goes to stderr.
    #[arg(long)]
    pub print: bool,
    /// Create and change the alarms, and delete those that are no longer wanted.
    #[arg(long)]
    pub put: bool,
    /// Delete the alarms.
    #[arg(long)]
    pub delete: bool,
    /// Prefix of the alarms. [default: `owner` under `capacity` in the configuration]
    #[arg(long, value_name = "PREFIX", value_parser = value_parsers::owner)]
    pub name: Option<Owner>,
    /// Alarms to print, put or delete. Beside a stack, which has those of the fleet: functions.
    #[arg(
        long,
        value_enum,
        value_name = "all|fleet|functions",
        default_value = "all",
        hide_possible_values = true
    )]
    pub of: Of,
    /// Objective for the coverage of the fleet, percent.
    #[arg(long, value_name = "PERCENT", default_value = "99", value_parser = value_parsers::objective)]
    pub objective: Slo,
    /// SNS topic to notify of ALARM and OK.
    #[arg(long, value_name = "ARN", value_parser = topic)]
    pub topic: Option<String>,
    /// Region of the metrics, which is that of the warmer. [default: the profile's]
    #[arg(long, value_name = "REGION", env = "AWS_REGION", hide_env_values = true,
        value_parser = value_parsers::region)]
    pub region: Option<Region>,
    /// The configuration.
    #[command(flatten)]
    pub configs: Configs,
}

/// The alarms that the command is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Of {
    /// Those of the fleet and of functions.
    All,
    /// Those of the fleet.
    Fleet,
    /// Those of functions.
    Functions,
}

impl Of {
    /// Returns true if the command is about an alarm of the owner.
    fn includes(self, owner: &Owner, alarm: &Alarm) -> bool {
        match self {
            Self::All => true,
            Self::Fleet => is_of_fleet(owner, &alarm.name),
            Self::Functions => !is_of_fleet(owner, &alarm.name),
        }
    }

    /// Returns the alarms in words.
    fn text(self) -> &'static str {
        match self {
            Self::All => "alarms",
            Self::Fleet => "alarms of the fleet",
            Self::Functions => "alarms of functions",
        }
    }
}

fn topic(text: &str) -> Result<String, String> {
    let is_topic = text.starts_with("arn:") && text.contains(":sns:") && !text.contains(char::is_whitespace);
    let expected = || TextError::expected("the ARN of an SNS topic", text).into_line();
    is_topic.then(|| text.to_owned()).ok_or_else(expected)
}

/// Prints, puts or deletes the alarms.
///
/// # Errors
/// An invalid configuration, no region, functions without metrics, alarms of others, a failed read, or standard output
/// cannot be written. Nothing was changed then.
pub async fn alarms(args: &AlarmsArgs) -> Result<Exit, Failure> {
    // Alarms can be deleted without the configuration that they are for.
    let fleet = match (&args.name, args.delete) {
        (Some(_), true) => Fleet::new(Vec::new()),
        _ => configuration::load(&args.configs, &Only::default()).await?,
    };
    let owner = args.name.as_ref().unwrap_or(&fleet.owner);
    let region = region_or_own(args.region).await?;
    let port = async || AwsObservability::new(App::aws().await.clients(), region);
    if args.delete {
        let port = port().await;
        let found = read(&port, args.of, owner).await?;
        return take(&port, deletions(&found, owner), (args.of, region)).await;
    }
    let wanted = wanted(&AlarmsInput {
        fleet: &fleet,
        owner,
        objective: (args.of != Of::Functions).then_some(args.objective),
        of_functions: args.of != Of::Fleet,
        topic: args.topic.as_deref(),
    });
    let wanted = wanted.map_err(|refused| {
        let hint = "set `metrics: { detail: function }` in the configuration, or add --of fleet";
        Failure::Usage(format!("{refused}\nhint: {hint}"))
    })?;
    let cost = cost(&wanted, &fleet.prices, region);
    if args.print {
        print_message(&cost);
        return print_pretty(&document(&wanted));
    }
    print(&format!("{cost}\n"))?;
    let port = port().await;
    let found = read(&port, args.of, owner).await?;
    let steps = steps(wanted, &found, owner, args.topic.is_none());
    let steps = steps.map_err(|foreign| {
        Failure::Usage(format!("{foreign}\nhint: choose another prefix with --name, or delete those alarms"))
    })?;
    take(&port, steps, (args.of, region)).await
}

async fn read(port: &impl Observability, of: Of, owner: &Owner) -> Result<Vec<Alarm>, Failure> {
    let found = port.alarms(&prefix(owner)).await;
    let mut found =
        found.map_err(|error| Failure::Unexpected(format!("the alarms cannot be read: {error}")))?;
    found.retain(|alarm| of.includes(owner, alarm));
    Ok(found)
}

/// Takes the steps and prints each.
async fn take(
    port: &impl Observability,
    steps: Vec<Step>,
    (of, region): (Of, Region),
) -> Result<Exit, Failure> {
    if steps.is_empty() {
        print(&format!("no {} in {region}\n", of.text()))?;
        return Ok(Exit::Success);
    }
    let mut printed = Ok(());
    let taken = apply(port, steps, |word, name| {
        if printed.is_ok() {
            printed = print(&format!("{word:<9} {name}\n"));
        }
    });
    let taken = taken.await;
    printed?;
    let Err(Incomplete { names, reason, left }) = taken else { return Ok(Exit::Success) };
    let left = match left {
        0 => String::new(),
        left => format!("; {} left as before", count(left as u64, "alarm")),
    };
    let hint = match reason.kind {
        ErrorKind::AccessDenied => "`warmd iam --observe` prints the permissions",
        _ => "run the command again to complete it",
    };
    Err(Failure::Unexpected(format!("{}: {reason}{left}\nhint: {hint}", names.join(", "))))
}

/// Returns the monthly cost in one line.
fn cost(alarms: &[Alarm], prices: &PriceBook, region: Region) -> String {
    let metrics = alarms.iter().map(Alarm::metrics).sum();
    let composite = alarms.iter().filter(|alarm| alarm.is_composite()).count() as u64;
    let usd = dollars(alarms_cost(prices, region, metrics, composite).total());
    format!(
        "{} ({}, {}): {usd} a month at list prices",
        count(alarms.len() as u64, "alarm"),
        count(metrics, "alarm metric"),
        count(composite, "composite alarm"),
    )
}
