//! `warmd explain`: the desired number of a target at a minute.

use chrono::{DateTime, Utc};
use clap::Args;
use serde::Serialize;

use super::configuration;
use super::error::Failure;
use super::exit::Exit;
use super::options::{Configs, Only, StateArgs};
use super::output::{print, print_json};
use super::render::{self, Style};
use super::select;
use super::status::PauseObject;
use super::value_parsers;
use crate::domain::fleet::Target;
use crate::domain::function::{FunctionRef, Region, Tenant};
use crate::domain::records::with_requests;
use crate::domain::schedule::{Explanation, Minute, WindowView, explain as explanation};
use crate::engine::ports::Clock;
use crate::service::clock::SystemClock;

/// `warmd explain`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  warmd explain storefront-ssr:live
  warmd explain nlp-inference:live --region us-east-1 --at 2026-10-25T00:30:00Z --json")]
pub struct ExplainArgs {
    /// Function: NAME, NAME:QUALIFIER or ARN, as in the configuration.
    #[arg(value_name = "FUNCTION", value_parser = value_parsers::function)]
    pub function: FunctionRef,
    /// Region, if the function is configured in several.
    #[arg(long, value_name = "REGION", value_parser = value_parsers::region)]
    pub region: Option<Region>,
    /// Tenant, if the function is configured for several.
    #[arg(long, value_name = "TENANT", value_parser = value_parsers::tenant)]
    pub tenant: Option<Tenant>,
    /// Minute to explain, RFC 3339. [default: now]
    #[arg(long, value_name = "RFC3339", value_parser = value_parsers::instant)]
    pub at: Option<DateTime<Utc>>,
    /// The state store: requests and pauses apply.
    #[command(flatten)]
    pub state: StateArgs,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
    /// The configuration.
    #[command(flatten)]
    pub configs: Configs,
}

#[derive(Serialize)]
struct ExplainObject<'e> {
    function: &'e str,
    region: Region,
    tenant: Option<&'e str>,
    at: Minute,
    local: String,
    zone: &'static str,
    #[serde(rename = "target")]
    desired: u32,
    due: bool,
    windows: &'e [WindowView<'e>],
    next_change: Option<ChangeObject>,
    #[serde(skip_serializing_if = "Option::is_none")]
    paused: Option<PauseObject<'e>>,
}

#[derive(Serialize)]
struct ChangeObject {
    at: Minute,
    #[serde(rename = "target")]
    desired: u32,
}

/// Prints the explanation.
///
/// # Errors
/// An invalid configuration, an unknown function, or an ambiguous region.
pub async fn explain(args: &ExplainArgs, style: Style) -> Result<Exit, Failure> {
    let fleet = configuration::load(&args.configs, &Only::default()).await?;
    let at = args.at.unwrap_or_else(|| SystemClock.now());
    let minute = Minute::of(at);
    let (requests, pauses) = args.state.known().await?;
    let fleet = with_requests(&fleet, &requests, at);
    let target = select::target(&fleet, &args.function, args.region, args.tenant.as_ref())?;
    let pause = pauses.of(target, at);
    let explanation = explanation(target, minute);
    if args.json {
        let paused = pause.map(PauseObject::new);
        print_json(&ExplainObject { paused, ..object(target, minute, &explanation) })?;
    } else {
        // A pause overrides the schedule.
        if let Some(pause) = pause {
            print(&format!("{} ({}) is {pause}\n", target.id.shown(), target.region()))?;
        }
        print(&render::explain::explain(target, minute, &explanation, style))?;
    }
    Ok(Exit::Success)
}

fn object<'e>(target: &'e Target, minute: Minute, explanation: &'e Explanation<'_>) -> ExplainObject<'e> {
    let zone = render::plan::first_zone(target);
    ExplainObject {
        function: &target.label,
        region: target.region(),
        tenant: target.tenant(),
        at: minute,
        local: minute.instant().with_timezone(&zone).to_rfc3339_opts(chrono::SecondsFormat::Secs, false),
        zone: zone.name(),
        desired: explanation.desired,
        due: explanation.due.is_some(),
        windows: &explanation.windows,
        next_change: explanation.next_change.map(|(at, desired)| ChangeObject { at, desired }),
        paused: None,
    }
}
