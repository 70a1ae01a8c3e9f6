//! `warmd warm`: one round now.

use std::num::NonZeroU32;
use std::sync::Arc;

use serde_json::json;
use tokio::time::Instant;

use super::app::App;
use super::args::WarmArgs;
use super::clock::SystemClock;
use super::error::Failure;
use super::exit::Exit;
use super::output::print;
use super::render::Style;
use super::run::{insisted, show};
use super::signals::Termination;
use crate::domain::events::{SOURCE, WARM_REQUEST};
use crate::domain::fleet::{Limits, Target};
use crate::domain::function::Region;
use crate::domain::protocol::{CustomPayload, Protocol};
use crate::engine::ports::{Clock, Event, Events};
use crate::engine::record::PATIENCE;
use crate::engine::stop::stop;
use crate::engine::tick::Due;

/// Where the emulator's functions are when nobody says where.
const LOCAL_REGION: &str = "us-east-1";

/// One round.
///
/// # Errors
/// Whatever keeps it from beginning; nothing was sent then.
pub async fn warm(args: &WarmArgs, style: Style) -> Result<Exit, Failure> {
    if args.via_bus {
        return via_bus(args).await;
    }
    // The parser's `requires` would let them pass beside whatever conflicts with --via-bus.
    let for_the_lambda =
        [("--for", args.for_.is_some()), ("--bus", args.bus.is_some()), ("--reason", args.reason.is_some())];
    if let Some((flag, _)) = for_the_lambda.iter().find(|(_, given)| *given) {
        return Err(Failure::Usage(format!("{flag} goes with --via-bus only")));
    }
    let protocol = protocol(args)?;
    let termination = Termination::listen().map_err(|error| Failure::Unexpected(error.to_string()))?;
    let app = App::of(args.local, &[]).await?;
    let bare = Target::bare(&args.function, region(args, &app)?);
    let target = Target { protocol, hold: args.hold, ..bare };
    let limits = Limits { max_in_flight: args.concurrency, ..Limits::default() };
    let engine = app.engine(limits, args.concurrency)?;
    let concurrency = NonZeroU32::new(args.concurrency).unwrap_or(NonZeroU32::MIN);
    let due = vec![Due { target: Arc::new(target), concurrency }];
    let (stopper, stop) = stop();
    tokio::select! {
        report = engine.tick(SystemClock.now(), None, due, &stop) => {
            show(&report, args.json, style)?;
            Ok(Exit::of_tick(&report, None))
        }
        exit = insisted(termination, stopper, &engine) => Ok(exit),
    }
}

/// Asks the Lambda, on the bus.
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
        "asked for {} environments of {} on the bus {bus} in {own_region}\n",
        args.concurrency, args.function
    ))?;
    Ok(Exit::Success)
}

fn protocol(args: &WarmArgs) -> Result<Protocol, Failure> {
    match (Protocol::parse(&args.protocol), &args.payload) {
        (Some(protocol), None) => Ok(protocol),
        (Some(_), Some(_)) => Err(Failure::Usage("--payload goes with `--protocol custom` only".to_owned())),
        // The parser lets no other name through, and asks for a payload.
        (None, payload) => CustomPayload::parse(payload.clone().unwrap_or_default())
            .map(Protocol::Custom)
            .map_err(|mistakes| Failure::Usage(format!("--payload: {mistakes}"))),
    }
}

/// The region of the ARN, or of the flag, or of the SDK's configuration.
fn region(args: &WarmArgs, app: &App) -> Result<Region, Failure> {
    let own = args.function.place.as_ref().map(|(_, region)| *region);
    match (own, args.region) {
        (Some(own), Some(other)) if own != other => {
            Err(Failure::Usage(format!("the ARN is in {own}, --region says {other}")))
        }
        (Some(region), _) | (None, Some(region)) => Ok(region),
        (None, None) if args.local => parse(LOCAL_REGION),
        (None, None) => app.own_region(),
    }
}

fn parse(region: &str) -> Result<Region, Failure> {
    super::value_parsers::region(region).map_err(Failure::Usage)
}
