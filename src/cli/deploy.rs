//! `warmd lambda-event` and `warmd iam`: print documents for a deployment.

use std::fmt::Write as _;

use chrono::SecondsFormat;
use clap::Args;
use serde_json::Value;

use super::app::App;
use super::configuration;
use super::error::Failure;
use super::exit::Exit;
use super::options::{Configs, Only};
use super::output::print_data;
use super::value_parsers;
use crate::deploy::iam::{
    POLICIES_PER_ROLE, PolicyInput, Purpose, S3Prefix, assumed, observe_policy, policies,
};
use crate::deploy::{self, EventKind};
use crate::domain::capacity::Owner;
use crate::domain::clean::clean;
use crate::domain::function::{AccountId, Region};
use crate::domain::parse::TextError;
use crate::engine::ports::Clock;
use crate::service::clock::SystemClock;

const EVENT_EXAMPLE: &str = "\
Example:
  aws lambda invoke --function-name NAME --cli-binary-format raw-in-base64-out \\
      --payload \"$(warmd lambda-event warm-request)\" response.json

NAME is the output `FunctionName` of the stack.";

/// `warmd lambda-event`.
#[derive(Debug, Args)]
#[command(
    after_help = EVENT_EXAMPLE,
    after_long_help = format!("{EVENT_EXAMPLE}\n\n{}", include_str!("help/lambda-event.txt"))
)]
pub struct LambdaEventArgs {
    /// Kind of event.
    #[arg(value_name = "KIND")]
    pub kind: EventKind,
}

/// `warmd iam`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  warmd iam --account 123456789012 --region eu-west-2 --bus default
  warmd iam --configs s3://my-warmd/configs --state s3://my-warmd/state
  warmd iam --check-live            for the caller of `warmd check --live`
  warmd iam --observe               for the caller of `warmd dashboard` and `warmd alarms`

Prints one policy document per line, each within the size limit of a managed policy. Targets that
are never pinged are left out. If the configuration has roles to assume, lines beginning with # name
the role of the documents that follow.")]
pub struct IamArgs {
    /// AWS account of the warmer, 12 digits. [default: * in the policies]
    #[arg(long, value_name = "ID", value_parser = account)]
    pub account: Option<AccountId>,
    /// Region of the warmer. [default: the profile's]
    #[arg(long, value_name = "REGION", env = "AWS_REGION", hide_env_values = true,
        value_parser = value_parsers::region)]
    pub region: Option<Region>,
    /// State store, if it is in S3.
    #[arg(long, value_name = "s3://…", env = "WARMD_STATE", hide_env_values = true)]
    pub state: Option<String>,
    /// Bus of shards and requests, name or ARN.
    #[arg(long, value_name = "NAME", env = "WARMD_BUS", hide_env_values = true)]
    pub bus: Option<String>,
    /// Print the policies for the caller of `check --live` instead of the warmer.
    #[arg(long)]
    pub check_live: bool,
    /// Print the policy for the caller of `dashboard` and `alarms` instead of the warmer.
    #[arg(long, conflicts_with = "check_live")]
    pub observe: bool,
    /// Prefix of the alarms, as for `alarms --name`. With --observe.
    #[arg(long, value_name = "PREFIX", requires = "observe", value_parser = value_parsers::owner)]
    pub name: Option<Owner>,
    /// The configuration.
    #[command(flatten)]
    pub configs: Configs,
}

fn account(text: &str) -> Result<AccountId, String> {
    AccountId::parse(text).ok_or_else(|| TextError::expected("an account ID of 12 digits", text).into_line())
}

/// Prints a sample event.
///
/// # Errors
/// Standard output cannot be written.
pub fn lambda_event(args: &LambdaEventArgs) -> Result<Exit, Failure> {
    let mut event = deploy::sample(args.kind);
    // The current time: the Lambda refuses stale events.
    let now = SystemClock.now().to_rfc3339_opts(SecondsFormat::Secs, true);
    match args.kind {
        EventKind::Shard => event["detail"]["tick"] = Value::from(now.clone()),
        EventKind::Deployed => event["detail"]["eventTime"] = Value::from(now.clone()),
        EventKind::Scheduled | EventKind::WarmRequest | EventKind::BacklogRequest => {}
    }
    event["time"] = Value::from(now);
    print_pretty(&event)
}

/// Returns `given`, else the region of the profile.
///
/// # Errors
/// No region is configured, or an unknown one.
pub(super) async fn region_or_own(given: Option<Region>) -> Result<Region, Failure> {
    match given {
        Some(region) => Ok(region),
        None => App::aws().await.own_region(),
    }
}

/// Prints the policies.
///
/// # Errors
/// An invalid configuration or S3 URI, no region, or standard output cannot be written.
pub async fn iam(args: &IamArgs) -> Result<Exit, Failure> {
    let fleet = configuration::load(&args.configs, &Only::default()).await?;
    if args.observe {
        let region = region_or_own(args.region).await?;
        let policy =
            observe_policy(args.account.as_ref(), region, args.name.as_ref().unwrap_or(&fleet.owner));
        print_data(&format!("{policy}\n"))?;
        return Ok(Exit::Success);
    }
    let in_s3 = |text: &&str| text.starts_with("s3://");
    let prefix = |text: &str| S3Prefix::parse(text).map_err(Failure::Usage);
    let paths = args.configs.paths();
    let configs = paths.iter().filter_map(|path| path.to_str()).find(in_s3).map(prefix).transpose()?;
    let state = args.state.as_deref().filter(in_s3).map(prefix).transpose()?;
    let (purpose, own_role) = match args.check_live {
        false => (Purpose::Warm, "# the warmer's own role\n"),
        true => (Purpose::CheckLive, "# the caller of check --live\n"),
    };
    let input = PolicyInput {
        purpose,
        fleet: &fleet,
        account: args.account.as_ref(),
        region: region_or_own(args.region).await?,
        configs: configs.as_ref(),
        state: state.as_ref(),
        bus: args.bus.as_deref(),
    };
    let roles = assumed(&input);
    let mut out = String::new();
    if !roles.is_empty() {
        out.push_str(own_role);
    }
    write_documents(&mut out, &policies(&input));
    for role in &roles {
        let _ = writeln!(out, "# {}", clean(&role.arn));
        write_documents(&mut out, &role.policies);
        match &role.trust {
            Some(trust) => _ = writeln!(out, "# its trust policy, unless it has one: {trust}"),
            None => out.push_str("# its trust policy: pass --account to print it\n"),
        }
    }
    print_data(&out)?;
    Ok(Exit::Success)
}

/// Appends the documents of one role, one per line.
fn write_documents(out: &mut String, documents: &[Value]) {
    if documents.len() > POLICIES_PER_ROLE {
        tracing::warn!(
            policies = documents.len(),
            "a role can have {POLICIES_PER_ROLE} managed policies: allow the functions by tag, as template.yaml does"
        );
    }
    documents.iter().for_each(|document| _ = writeln!(out, "{document}"));
}

/// Prints a JSON document for people and programs.
///
/// # Errors
/// Standard output cannot be written.
pub(super) fn print_pretty(value: &Value) -> Result<Exit, Failure> {
    print_data(&format!("{value:#}\n"))?;
    Ok(Exit::Success)
}
