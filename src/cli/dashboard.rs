//! `warmd dashboard`: prints, puts and deletes the CloudWatch dashboard.

use std::fmt::Write as _;

use clap::{ArgGroup, Args};
use serde_json::Value;

use super::app::App;
use super::deploy::{print_pretty, region_or_own};
use super::error::Failure;
use super::exit::Exit;
use super::output::{print, print_message};
use super::render::WIDTH;
use super::render::cost::dollars;
use super::value_parsers;
use crate::aws::AwsObservability;
use crate::deploy::dashboard::{DashboardInput, body, is_name, is_ours};
use crate::domain::cost::PriceBook;
use crate::domain::cost::self_usage::{dashboards_cost, least_observing_per_day};
use crate::domain::coverage::Slo;
use crate::domain::function::Region;
use crate::domain::metrics::{Metric, Scope};
use crate::domain::parse::{TextError, quoted};
use crate::domain::text::wrapped;
use crate::engine::observability::{DashboardFinding, Observability};
use crate::engine::ports::{CallError, ErrorKind};

const EXAMPLES: &str = "\
Examples:
  warmd dashboard --print > dashboard.json
  warmd dashboard --put warmd
  warmd dashboard --delete warmd

--put creates a dashboard, or replaces one that warmd has made, with the changes that others made to
it. Its text says `Made by warmd dashboard`; a dashboard without that text is neither replaced nor
deleted. Names of dashboards are unique in an account, not in a region. An unchanged dashboard is
not written. What CloudWatch finds in the body is shown by its place. `warmd iam --observe` prints
the permissions.";

/// `warmd dashboard`.
#[derive(Debug, Args)]
#[command(
    group(ArgGroup::new("mode").required(true).args(["print", "put", "delete"])),
    after_help = EXAMPLES,
    after_long_help = format!("{EXAMPLES}\n\n{}", metrics_help())
)]
pub struct DashboardArgs {
    /// Print the dashboard body as JSON. Its cost goes to stderr.
    #[arg(long)]
    pub print: bool,
    /// Create the dashboard, or replace it.
    #[arg(long, value_name = "NAME", value_parser = name)]
    pub put: Option<String>,
    /// Delete the dashboard.
    #[arg(long, value_name = "NAME", value_parser = name)]
    pub delete: Option<String>,
    /// Objective for coverage, percent.
    #[arg(long, value_name = "PERCENT", default_value = "99", value_parser = value_parsers::objective)]
    pub objective: Slo,
    /// Region of the Lambda. [default: the profile's]
    #[arg(long, value_name = "REGION", env = "AWS_REGION", hide_env_values = true,
        value_parser = value_parsers::region)]
    pub region: Option<Region>,
    /// CloudWatch namespace of the metrics.
    #[arg(long, value_name = "NAME", default_value = "warmd")]
    pub namespace: String,
    /// Log group of the Lambda.
    #[arg(long, value_name = "NAME", default_value = "/aws/lambda/warmd")]
    pub log_group: String,
}

fn name(text: &str) -> Result<String, String> {
    let expected = "a name of 1 to 255 letters, digits, - and _";
    if is_name(text) { Ok(text.to_owned()) } else { Err(TextError::expected(expected, text).into_line()) }
}

/// Returns the table of metrics by scope.
fn metrics_help() -> String {
    let mut out = "Metrics, in the region of the warmer, for each tick:\n".to_owned();
    let mut group = |title: &str, scopes: &[Scope]| {
        let _ = writeln!(out, "  {title}");
        for metric in Metric::ALL.iter().filter(|metric| scopes.contains(&metric.scope())) {
            let (name, unit) = (metric.name(), metric.unit().as_str());
            for line in wrapped(&format!("{name} ({unit}): {}", metric.meaning()), WIDTH - 4) {
                let _ = writeln!(out, "    {line}");
            }
        }
    };
    let always = [Scope::Fleet, Scope::FleetAndTarget, Scope::FleetAndNotZeroTarget];
    group("of the fleet, zeros included", &always);
    group("of the fleet, if not zero", &[Scope::FleetNotZero, Scope::FleetAndTargetNotZero]);
    let title = "of each target, with `metrics: { detail: function }`, dimensions Function and Region";
    group(title, &[Scope::Target, Scope::FleetAndTarget]);
    let not_zero = [Scope::FleetAndTargetNotZero, Scope::FleetAndNotZeroTarget];
    group("of each target with that detail, if not zero", &not_zero);
    let title = "of coverage, when minutes of windows are judged, and with that detail of each target";
    group(title, &[Scope::Coverage]);
    let title = "of a fleet with capacity, zeros included, and with that detail of each of its targets";
    group(title, &[Scope::Capacity]);
    out
}

/// Prints, puts or deletes the dashboard.
///
/// # Errors
/// No region, a dashboard of others, a failed call, or standard output cannot be written.
pub async fn dashboard(args: &DashboardArgs) -> Result<Exit, Failure> {
    let region = region_or_own(args.region).await?;
    let prices = PriceBook::embedded();
    let body = body(&DashboardInput {
        namespace: &args.namespace,
        log_group: &args.log_group,
        region: region.as_str(),
        objective: args.objective,
        observing_per_day: least_observing_per_day(&prices),
    });
    let cost = dollars(dashboards_cost(&prices, region, 1).total());
    let cost = format!("1 dashboard: {cost} a month at list prices, without the queries of its log");
    if args.print {
        print_message(&cost);
        return print_pretty(&body);
    }
    let port = AwsObservability::new(App::aws().await.clients(), region);
    if let Some(name) = &args.delete {
        let word = match own(&port, name).await? {
            None => "there is no",
            Some(_) => {
                port.delete_dashboard(name).await.map_err(|error| failed(&error, error.to_string()))?;
                "deleted"
            }
        };
        print(&format!("{word} dashboard {name}\n"))?;
    } else if let Some(name) = &args.put {
        print(&format!("{cost}\n"))?;
        let known = own(&port, name).await?;
        let word = match &known {
            Some(known) if *known == body => "unchanged",
            _ => {
                put(&port, name, &body).await?;
                if known.is_some() { "updated" } else { "created" }
            }
        };
        print(&format!("{word} dashboard {name} in {region}\n"))?;
    }
    Ok(Exit::Success)
}

/// Reads the body of a dashboard of warmd; `None` if there is none with that name.
async fn own(port: &impl Observability, name: &str) -> Result<Option<Value>, Failure> {
    let text = port.dashboard(name).await.map_err(|error| failed(&error, error.to_string()))?;
    let Some(text) = text else { return Ok(None) };
    // A body that is not JSON is not ours.
    match serde_json::from_str(&text) {
        Ok(body) if is_ours(&body) => Ok(Some(body)),
        _ => {
            let message = format!("the dashboard {} was not made by warmd, and is not changed", quoted(name));
            Err(Failure::Usage(format!("{message}\nhint: choose another name, or delete that dashboard")))
        }
    }
}

/// Returns the failure of a call, with a hint where a permission is missing.
fn failed(reason: &CallError, message: String) -> Failure {
    match reason.kind {
        ErrorKind::AccessDenied => {
            Failure::Unexpected(format!("{message}\nhint: `warmd iam --observe` prints the permissions"))
        }
        _ => Failure::Unexpected(message),
    }
}

async fn put(port: &impl Observability, name: &str, body: &Value) -> Result<(), Failure> {
    let line = |DashboardFinding { path, message }: &DashboardFinding| match path.as_str() {
        "" => message.clone(),
        path => format!("{path}: {message}"),
    };
    match port.put_dashboard(name, &body.to_string()).await {
        Ok(findings) => {
            findings.iter().for_each(|finding| print_message(&format!("warning: {}", line(finding))));
            Ok(())
        }
        Err(refused) => {
            let lines: String =
                refused.findings.iter().map(|finding| format!("\n  {}", line(finding))).collect();
            let message = format!("the dashboard was not put: {}{lines}", refused.reason);
            Err(failed(&refused.reason, message))
        }
    }
}
