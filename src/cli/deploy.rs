//! What a deployment needs, printed: sample events, the dashboard, IAM policies.

use std::fmt::Write as _;

use chrono::SecondsFormat;
use clap::Args;
use serde_json::Value;

use super::app::App;
use super::args::{Configs, Only};
use super::configuration;
use super::error::Failure;
use super::exit::Exit;
use super::output::print_data;
use super::value_parsers;
use crate::domain::clean::clean;
use crate::domain::dashboard;
use crate::domain::events::{EventKind, sample};
use crate::domain::function::{AccountId, Region};
use crate::domain::iam::{Needs, POLICIES_PER_ROLE, Purpose, S3Prefix, assumed, policies};
use crate::engine::ports::Clock;
use crate::service::clock::SystemClock;

/// `warmd lambda-event`.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  aws lambda invoke --function-name NAME --cli-binary-format raw-in-base64-out \\
      --payload \"$(warmd lambda-event warm-request)\" answer.json

NAME is the output `FunctionName` of the stack.")]
pub struct LambdaEventArgs {
    /// scheduled, warm-request or shard.
    #[arg(value_name = "KIND", value_parser = kind)]
    pub kind: EventKind,
}

/// `warmd dashboard`.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  warmd dashboard --print > dashboard.json
  aws cloudwatch put-dashboard --dashboard-name warmd --dashboard-body file://dashboard.json")]
pub struct DashboardArgs {
    /// Print the dashboard's body.
    #[arg(long, required = true)]
    pub print: bool,
    /// The Lambda's region. [default: the profile's]
    #[arg(long, value_name = "REGION", env = "AWS_REGION", hide_env_values = true,
        value_parser = value_parsers::region)]
    pub region: Option<Region>,
    /// The namespace of its metrics.
    #[arg(long, value_name = "NAME", default_value = "warmd")]
    pub namespace: String,
    /// Its log group.
    #[arg(long, value_name = "NAME", default_value = "/aws/lambda/warmd")]
    pub log_group: String,
}

/// `warmd iam`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  warmd iam --account 123456789012 --region eu-west-2 --bus default
  warmd iam --configs s3://my-warmd/configs --state s3://my-warmd/state
  warmd iam --check-live            for whoever runs `warmd check --live`

One policy document a line, each small enough for a managed policy. What is never pinged is left out.
Where the configuration has roles to assume, lines that begin with # say whose documents follow.")]
pub struct IamArgs {
    /// The warmer's own account; without it policies leave it open.
    #[arg(long, value_name = "ID", value_parser = account)]
    pub account: Option<AccountId>,
    /// The warmer's own region. [default: the profile's]
    #[arg(long, value_name = "REGION", env = "AWS_REGION", hide_env_values = true,
        value_parser = value_parsers::region)]
    pub region: Option<Region>,
    /// Where state is kept, when that is S3.
    #[arg(long, value_name = "s3://…", env = "WARMD_STATE", hide_env_values = true)]
    pub state: Option<String>,
    /// The bus of shards and requests: its name or ARN.
    #[arg(long, value_name = "NAME", env = "WARMD_BUS", hide_env_values = true)]
    pub bus: Option<String>,
    /// Print those of whoever runs `check --live`, instead of the warmer's.
    #[arg(long)]
    pub check_live: bool,
    /// Which configuration.
    #[command(flatten)]
    pub configs: Configs,
}

fn kind(text: &str) -> Result<EventKind, String> {
    EventKind::parse(text).ok_or_else(|| {
        let names = EventKind::ALL.map(EventKind::name).join(", ");
        format!("expected one of {names}")
    })
}

fn account(text: &str) -> Result<AccountId, String> {
    AccountId::parse(text).ok_or_else(|| "expected the twelve digits of an account".to_owned())
}

/// Prints a sample event.
///
/// # Errors
/// When standard output cannot be written.
pub fn lambda_event(args: &LambdaEventArgs) -> Result<Exit, Failure> {
    let mut event = sample(args.kind);
    // Of now: one of long ago would be too late to be served.
    let now = SystemClock.now().to_rfc3339_opts(SecondsFormat::Secs, true);
    if args.kind == EventKind::Shard {
        event["detail"]["tick"] = Value::from(now.clone());
    }
    event["time"] = Value::from(now);
    pretty(&event)
}

/// Prints the dashboard.
///
/// # Errors
/// When no region is known, or standard output cannot be written.
pub async fn dashboard(args: &DashboardArgs) -> Result<Exit, Failure> {
    let region = region(args.region).await?;
    pretty(&dashboard::body(&args.namespace, &args.log_group, region.as_str()))
}

/// The region that was given, else that of the profile.
async fn region(given: Option<Region>) -> Result<Region, Failure> {
    match given {
        Some(region) => Ok(region),
        None => App::aws().await.own_region(),
    }
}

/// Prints the policies.
///
/// # Errors
/// A refused configuration, no region, or a place that is none.
pub async fn iam(args: &IamArgs) -> Result<Exit, Failure> {
    let fleet = configuration::load(&args.configs, &Only::default()).await?;
    let place = |text: &str| S3Prefix::parse(text).map_err(Failure::Usage);
    let paths = args.configs.paths();
    let remote = paths.iter().filter_map(|path| path.to_str()).find(|path| path.starts_with("s3://"));
    let configs = remote.map(place).transpose()?;
    let state = args.state.as_deref().filter(|state| state.starts_with("s3://")).map(place).transpose()?;
    let (purpose, own_role) = match args.check_live {
        false => (Purpose::Warm, "# the warmer's own role\n"),
        true => (Purpose::CheckLive, "# whoever runs check --live\n"),
    };
    let needs = Needs {
        purpose,
        fleet: &fleet,
        account: args.account.as_ref(),
        region: region(args.region).await?,
        configs: configs.as_ref(),
        state: state.as_ref(),
        bus: args.bus.as_deref(),
    };
    let (own, roles) = (policies(&needs), assumed(&needs));
    let mut out = String::new();
    if !roles.is_empty() {
        out.push_str(own_role);
    }
    tell(&mut out, &own);
    for role in &roles {
        let _ = writeln!(out, "# {}", clean(&role.arn));
        tell(&mut out, &role.policies);
        match &role.trust {
            Some(trust) => _ = writeln!(out, "# its trust policy, unless it has one: {trust}"),
            None => out.push_str("# its trust policy: with --account\n"),
        }
    }
    print_data(&out)?;
    Ok(Exit::Success)
}

/// The documents of one role, one a line.
fn tell(out: &mut String, documents: &[Value]) {
    if documents.len() > POLICIES_PER_ROLE {
        tracing::warn!(
            policies = documents.len(),
            "a role takes {POLICIES_PER_ROLE} managed policies: tag the functions instead, as the template does"
        );
    }
    documents.iter().for_each(|document| _ = writeln!(out, "{document}"));
}

fn pretty(value: &Value) -> Result<Exit, Failure> {
    print_data(&format!("{value:#}\n"))?;
    Ok(Exit::Success)
}
