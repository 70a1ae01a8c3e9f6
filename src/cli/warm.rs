//! `warmd warm`: one round now.

use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use serde_json::json;
use tokio::time::Instant;

use super::app::App;
use super::error::Failure;
use super::exit::Exit;
use super::output::print;
use super::render::Style;
use super::run::{ReportOutput, interrupted};
use super::signals::Termination;
use super::value_parsers;
use crate::domain::events::{DirectWarm, SOURCE, WARM_REQUEST};
use crate::domain::fleet::{Fleet, Hold, Limits};
use crate::domain::function::{FunctionRef, Region, Tenant};
use crate::domain::parse::quoted;
use crate::domain::protocol::{CustomPayload, Protocol};
use crate::domain::secret::Environment;
use crate::engine::ports::{Event, Events};
use crate::engine::stop::stop;
use crate::service::budget::TimeBudget;
use crate::service::environment;
use crate::service::live_config::LiveConfig;
use crate::service::recorder::PATIENCE;
use crate::service::store::DocumentStore;
use crate::service::{Policy, Trigger};

/// `warmd warm`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  warmd warm nlp-inference:live --concurrency 10 --region eu-west-2
  warmd warm my-site-server --concurrency 5 --protocol opennext --hold 75ms
  warmd warm reports --concurrency 3 --protocol custom \\
      --payload '{\"ping\":true,\"n\":\"{{index}}\"}'
  warmd warm anything --concurrency 10 --local
  warmd warm nlp-inference:live --concurrency 5 --for 10m --via-bus

Sends one round with its top-ups, and no metrics to CloudWatch. The region is that of the ARN, else
--region, AWS_REGION or the profile, else us-east-1 with --local.")]
pub struct WarmArgs {
    /// Function: NAME, NAME:QUALIFIER or ARN.
    #[arg(value_name = "FUNCTION", value_parser = value_parsers::function)]
    pub function: FunctionRef,
    /// Number of environments to warm, and of pings sent at once.
    #[arg(long, short = 'n', value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub concurrency: u32,
    /// Ping protocol of the function's handler.
    #[arg(long, value_name = "PROTOCOL", default_value = "warmd", value_parser = value_parsers::protocols())]
    pub protocol: String,
    /// Payload of `--protocol custom`: JSON with placeholders {{index}}, {{concurrency}}, {{hold_ms}}, {{round}}
    /// and environment variables ${env:NAME}.
    #[arg(long, value_name = "JSON", value_parser = value_parsers::json, required_if_eq("protocol", "custom"))]
    pub payload: Option<serde_json::Value>,
    /// Time that the handler holds each ping, so that all overlap: auto, or a duration such as 75ms.
    #[arg(long, value_name = "auto|DURATION", default_value = "auto", value_parser = value_parsers::hold)]
    pub hold: Hold,
    /// Region of the function.
    #[arg(long, value_name = "REGION", value_parser = value_parsers::region)]
    pub region: Option<Region>,
    /// Tenant whose environments to warm, of a function with tenant isolation.
    #[arg(long, value_name = "TENANT", value_parser = value_parsers::tenant)]
    pub tenant: Option<Tenant>,
    /// Send one ping first, and the others only if the handler took it for a ping.
    #[arg(long)]
    pub canary: bool,
    /// Put a Warm Request for the deployed Lambda on the bus, instead of sending pings.
    #[arg(long, conflicts_with_all = ["local", "payload", "json", "protocol", "hold", "tenant", "canary"])]
    pub via_bus: bool,
    /// Time for which the Lambda keeps them warm, such as 10m. With --via-bus.
    #[arg(long = "for", value_name = "DURATION", value_parser = value_parsers::positive_duration)]
    pub for_: Option<Duration>,
    /// Bus, name or ARN. With --via-bus. [env: WARMD_BUS] [default: the account's default bus]
    // Not clap's `env`: WARMD_BUS in the environment must not conflict with --local.
    #[arg(long, value_name = "NAME")]
    pub bus: Option<String>,
    /// Reason for the records, one line of at most 256 characters. With --via-bus.
    #[arg(long, value_name = "TEXT", value_parser = crate::domain::events::reason)]
    pub reason: Option<String>,
    /// Use the embedded emulator, started for this run, instead of AWS.
    #[arg(long)]
    pub local: bool,
    /// Print the tick object as JSON.
    #[arg(long)]
    pub json: bool,
}

/// The region of the emulator's functions if none is given.
const LOCAL_REGION: &str = "us-east-1";

/// Runs one round.
///
/// # Errors
/// The reason why it cannot start. Nothing was sent then.
pub async fn warm(args: &WarmArgs, style: Style) -> Result<Exit, Failure> {
    if args.via_bus {
        return via_bus(args).await;
    }
    // `requires = "via_bus"` would allow these flags with those that conflict with --via-bus.
    let for_lambda =
        [("--for", args.for_.is_some()), ("--bus", args.bus.is_some()), ("--reason", args.reason.is_some())];
    if let Some((flag, _)) = for_lambda.iter().find(|(_, given)| *given) {
        return Err(Failure::Usage(format!("{flag} requires --via-bus")));
    }
    let protocol = protocol(args)?;
    let termination = Termination::listen().map_err(|error| Failure::Unexpected(error.to_string()))?;
    let app = App::of(args.local, &[]).await?;
    let region = region(args, &app)?;
    let warm = DirectWarm {
        function: args.function.clone(),
        region: Some(region),
        tenant: args.tenant.clone(),
        concurrency: args.concurrency,
        protocol: Some(protocol),
        hold: Some(args.hold),
    };
    let live_config = LiveConfig::fixed(fleet(args.concurrency));
    let mut service = app.service(live_config, DocumentStore::memory(), None, Some(args.concurrency))?;
    if args.canary {
        app.guard(&mut service, Policy { checks_contact: true, ..Policy::default() });
    }
    let (stopper, stop) = stop();
    let budget = TimeBudget::until_stopped(stop, None);
    let output = ReportOutput::new(args.json, false, style);
    tokio::select! {
        outcome = service.serve(Trigger::Warm { warm, region }, &budget, &output) => {
            let outcome = outcome.map_err(|refusal| Failure::Usage(refusal.to_string()))?;
            output.finish()?;
            Ok(Exit::of_tick(&outcome.report, outcome.recorded))
        }
        exit = interrupted(termination, stopper, service.engine()) => Ok(exit),
    }
}

/// Returns a fleet without targets that allows so many pings in flight.
fn fleet(max_in_flight: u32) -> Fleet {
    Fleet { limits: Limits { max_in_flight, ..Limits::default() }, ..Fleet::new(Vec::new()) }
}

/// Puts a Warm Request for the deployed Lambda on the bus.
async fn via_bus(args: &WarmArgs) -> Result<Exit, Failure> {
    let app = App::aws().await;
    let events = app.clients().events().map_err(|error| Failure::Usage(error.to_string()))?;
    let own_region = app.clients().own_region().map_err(|error| Failure::Usage(error.to_string()))?;
    let bus = args.bus.clone().or_else(|| std::env::var("WARMD_BUS").ok()).filter(|bus| !bus.is_empty());
    let mut detail = json!({ "function": args.function.to_string(), "concurrency": args.concurrency });
    if let Some(region) = args.region {
        detail["region"] = json!(region);
    }
    if let Some(keep) = args.for_ {
        detail["for"] = json!(format!("{}ms", keep.as_millis()));
    }
    if let Some(reason) = &args.reason {
        detail["reason"] = json!(reason);
    }
    let event = Event {
        bus: bus.clone(),
        source: SOURCE.to_owned(),
        detail_type: WARM_REQUEST.to_owned(),
        detail: detail.to_string(),
    };
    events
        .put(&[event], Instant::now() + PATIENCE)
        .await
        .map_err(|lost| Failure::Unexpected(lost.to_string()))?;
    let bus = bus.as_deref().unwrap_or("default");
    print(&format!(
        "requested {} environments of {} on the bus {bus} in {own_region}\n",
        args.concurrency, args.function
    ))?;
    Ok(Exit::Success)
}

fn protocol(args: &WarmArgs) -> Result<Protocol, Failure> {
    match (Protocol::parse(&args.protocol), &args.payload) {
        (Some(protocol), None) => Ok(protocol),
        (Some(_), Some(_)) => Err(Failure::Usage("--payload requires `--protocol custom`".to_owned())),
        // The parser accepts no other name than `custom`, and requires a payload.
        (None, payload) => {
            let refused = |reason: String| Failure::Usage(format!("--payload: {reason}"));
            let mut payload = CustomPayload::parse(payload.clone().unwrap_or_default()).map_err(refused)?;
            let environment =
                Environment::read(payload.variables(), environment::variable).map_err(|missing| {
                    let names: Vec<String> = missing.into_iter().map(quoted).collect();
                    refused(format!("not set in the environment: {}", names.join(", ")))
                })?;
            environment::hide(environment.redactor());
            payload.bind(&Arc::new(environment));
            Ok(Protocol::Custom(payload))
        }
    }
}

/// Returns the region of the ARN, of the flag, or of the SDK's configuration.
fn region(args: &WarmArgs, app: &App) -> Result<Region, Failure> {
    let own = args.function.place.as_ref().map(|(_, region)| *region);
    match (own, args.region) {
        (Some(own), Some(other)) if own != other => {
            Err(Failure::Usage(format!("--region ({other}) must be the region of the ARN ({own})")))
        }
        (Some(region), _) | (None, Some(region)) => Ok(region),
        (None, None) if args.local => parse(LOCAL_REGION),
        (None, None) => app.own_region(),
    }
}

fn parse(region: &str) -> Result<Region, Failure> {
    super::value_parsers::region(region).map_err(Failure::Usage)
}
