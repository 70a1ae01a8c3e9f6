//! `warmd warm`: one round now.

use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use rust_decimal::Decimal;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::app::App;
use super::error::Failure;
use super::exit::Exit;
use super::output::print;
use super::render::Style;
use super::run::{ReportOutput, interrupted};
use super::signals::Termination;
use super::value_parsers;
use crate::domain::backlog::per_environment;
use crate::domain::burst::Rate;
use crate::domain::events::{Backlog, DirectWarm, MOST_CONCURRENCY, Need, SOURCE, WARM_REQUEST};
use crate::domain::fleet::{Fleet, Hold, Limits};
use crate::domain::function::{FunctionRef, Region, Tenant};
use crate::domain::parse::quoted;
use crate::domain::protocol::{CustomPayload, Protocol};
use crate::domain::secret::Environment;
use crate::domain::text::{count, grouped};
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
  warmd warm nlp-inference:live --backlog 90000 --rate 300 --drain 10s --via-bus
  warmd warm --pipeline nlp --backlog 90000 --via-bus

With --backlog, the number of environments is ⌈backlog ÷ (rate × drain)⌉. The Lambda keeps it for the
hold time, and reduces it as the environments that it has warmed work the backlog off.

Sends one round with its top-ups, and no metrics to CloudWatch. The region is that of the ARN, else
--region, AWS_REGION or the profile, else us-east-1 with --local.")]
pub struct WarmArgs {
    /// Function: NAME, NAME:QUALIFIER or ARN.
    #[arg(value_name = "FUNCTION", value_parser = value_parsers::function, required_unless_present = "pipeline")]
    pub function: Option<FunctionRef>,
    /// Pipeline whose functions to warm, instead of FUNCTION. With --via-bus and --backlog.
    #[arg(long, value_name = "NAME", value_parser = crate::domain::events::reason,
        conflicts_with_all = ["function", "concurrency", "rate"])]
    pub pipeline: Option<String>,
    /// Number of environments to warm, and of pings sent at once.
    #[arg(long, short = 'n', value_name = "N", required_unless_present = "backlog",
        value_parser = clap::value_parser!(u32).range(1..=i64::from(MOST_CONCURRENCY)))]
    pub concurrency: Option<u32>,
    /// Number of waiting requests, instead of --concurrency. With --via-bus, 0 ends the previous request.
    #[arg(long, value_name = "REQUESTS", conflicts_with = "concurrency")]
    pub backlog: Option<u32>,
    /// Requests a second that one environment works off, such as 300 or 2.5. With --backlog.
    #[arg(long, value_name = "REQUESTS", conflicts_with = "concurrency", value_parser = value_parsers::rate)]
    pub rate: Option<Rate>,
    /// Time in which to work the backlog off, such as 10s, at most 1d. With --backlog.
    #[arg(long, value_name = "DURATION", conflicts_with = "concurrency", value_parser = value_parsers::drain)]
    pub drain: Option<Duration>,
    /// Time for which the Lambda keeps the number at least. With --backlog and --via-bus. [default: that of
    /// `on_request`]
    #[arg(long, value_name = "DURATION", conflicts_with = "concurrency", value_parser = value_parsers::positive_duration)]
    pub hold_for: Option<Duration>,
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
    #[arg(long = "for", value_name = "DURATION", conflicts_with = "backlog", value_parser = value_parsers::positive_duration)]
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

/// What is to be warmed.
enum Wanted<'a> {
    /// Environments of a function.
    Function(&'a FunctionRef, Need),
    /// The stages of a pipeline, for this number of waiting requests.
    Pipeline(&'a str, u32),
}

impl WarmArgs {
    /// Returns what is to be warmed. The parser has checked all but the keys that depend on two others.
    fn wanted(&self) -> Result<Wanted<'_>, Failure> {
        match (&self.function, &self.pipeline, self.concurrency, self.backlog) {
            (Some(function), _, Some(number), _) => {
                Ok(Wanted::Function(function, Need::Environments(number)))
            }
            (Some(function), _, None, Some(messages)) => {
                let (Some(rate), Some(drain)) = (self.rate, self.drain) else {
                    return Err(Failure::Usage("--backlog requires --rate and --drain".to_owned()));
                };
                let (rate, hold_for) = (rate.decimal(), self.hold_for);
                Ok(Wanted::Function(function, Need::Backlog(Backlog { messages, rate, drain, hold_for })))
            }
            (None, Some(pipeline), _, Some(messages)) => Ok(Wanted::Pipeline(pipeline, messages)),
            (None, ..) => Err(Failure::Usage("--pipeline requires --backlog".to_owned())),
            (Some(_), _, None, None) => {
                Err(Failure::Usage("--concurrency or --backlog is required".to_owned()))
            }
        }
    }
}

/// Runs one round.
///
/// # Errors
/// The reason why it cannot start. Nothing was sent then.
pub async fn warm(args: &WarmArgs, style: Style) -> Result<Exit, Failure> {
    let wanted = args.wanted()?;
    if args.via_bus {
        return via_bus(args, &wanted).await;
    }
    // `requires = "via_bus"` would allow these flags with those that conflict with --via-bus.
    let for_lambda = [
        ("--pipeline", args.pipeline.is_some()),
        ("--hold-for", args.hold_for.is_some()),
        ("--for", args.for_.is_some()),
        ("--bus", args.bus.is_some()),
        ("--reason", args.reason.is_some()),
    ];
    let misplaced = for_lambda.iter().find(|(_, given)| *given).map(|(flag, _)| flag);
    let (None, Wanted::Function(function, need)) = (misplaced, wanted) else {
        let flag = misplaced.unwrap_or(&"--pipeline");
        return Err(Failure::Usage(format!("{flag} requires --via-bus")));
    };
    let concurrency = need.environments();
    if !(1..=MOST_CONCURRENCY).contains(&concurrency) {
        let [most, number] = [MOST_CONCURRENCY, concurrency].map(|number| grouped(number.into()));
        let message = format!("expected a backlog for 1 to {most} environments, found {number}");
        return Err(Failure::Usage(message));
    }
    let protocol = protocol(args)?;
    let termination = Termination::listen().map_err(|error| Failure::Unexpected(error.to_string()))?;
    let app = App::of(args.local, &[]).await?;
    let region = region(args, function, &app)?;
    if let (Need::Backlog(backlog), false) = (&need, args.json) {
        print(&format!("{}: {}\n", shown(backlog), count(concurrency.into(), "environment")))?;
    }
    let warm = DirectWarm {
        function: function.clone(),
        region: Some(region),
        tenant: args.tenant.clone(),
        need,
        protocol: Some(protocol),
        hold: Some(args.hold),
    };
    let live_config = LiveConfig::fixed(fleet(concurrency));
    let mut service = app.service(live_config, DocumentStore::memory(), None, Some(concurrency))?;
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

/// Formats a backlog, such as `90,000 requests at 300/s within 10 s`.
fn shown(Backlog { messages, rate, drain, .. }: &Backlog) -> String {
    let seconds = per_environment(Decimal::ONE, *drain).normalize();
    format!("{} at {}/s within {seconds} s", count(u64::from(*messages), "request"), rate.normalize())
}

/// Returns a fleet without targets that allows so many pings in flight.
fn fleet(max_in_flight: u32) -> Fleet {
    Fleet { limits: Limits { max_in_flight, ..Limits::default() }, ..Fleet::new(Vec::new()) }
}

/// Returns the `detail` of a Warm Request.
fn detail(args: &WarmArgs, wanted: &Wanted<'_>) -> Value {
    let mut detail = match wanted {
        Wanted::Function(function, Need::Environments(concurrency)) => {
            json!({ "function": function.to_string(), "concurrency": concurrency })
        }
        Wanted::Function(function, Need::Backlog(Backlog { messages, rate, .. })) => {
            // A rate is at most 1,000,000 with three decimals: a JSON number holds it exactly.
            let rate = rate.normalize().to_string().parse::<serde_json::Number>().ok();
            json!({ "function": function.to_string(), "backlog": messages, "rate": rate })
        }
        Wanted::Pipeline(pipeline, messages) => json!({ "pipeline": pipeline, "backlog": messages }),
    };
    let durations = [("drain", args.drain), ("hold_for", args.hold_for), ("for", args.for_)];
    for (key, duration) in durations.into_iter().filter_map(|(key, duration)| Some((key, duration?))) {
        detail[key] = json!(format!("{}ms", duration.as_millis()));
    }
    if let Some(region) = args.region {
        detail["region"] = json!(region);
    }
    if let Some(reason) = &args.reason {
        detail["reason"] = json!(reason);
    }
    detail
}

/// Puts a Warm Request for the deployed Lambda on the bus.
async fn via_bus(args: &WarmArgs, wanted: &Wanted<'_>) -> Result<Exit, Failure> {
    let app = App::aws().await;
    let events = app.clients().events().map_err(|error| Failure::Usage(error.to_string()))?;
    let own_region = app.clients().own_region().map_err(|error| Failure::Usage(error.to_string()))?;
    let bus = args.bus.clone().or_else(|| std::env::var("WARMD_BUS").ok()).filter(|bus| !bus.is_empty());
    let event = Event {
        bus: bus.clone(),
        source: SOURCE.to_owned(),
        detail_type: WARM_REQUEST.to_owned(),
        detail: detail(args, wanted).to_string(),
    };
    events
        .put(&[event], Instant::now() + PATIENCE)
        .await
        .map_err(|lost| Failure::Unexpected(lost.to_string()))?;
    let bus = bus.as_deref().unwrap_or("default");
    let what = match wanted {
        Wanted::Function(function, Need::Environments(number)) => {
            format!("{number} environments of {function}")
        }
        Wanted::Function(function, Need::Backlog(backlog)) => {
            let number = count(backlog.environments().into(), "environment");
            format!("{number} of {function} ({})", shown(backlog))
        }
        Wanted::Pipeline(pipeline, messages) => {
            let messages = count(u64::from(*messages), "request");
            format!("environments of the pipeline {} for {messages}", quoted(pipeline))
        }
    };
    print(&format!("requested {what} on the bus {bus} in {own_region}\n"))?;
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
fn region(args: &WarmArgs, function: &FunctionRef, app: &App) -> Result<Region, Failure> {
    let own = function.place.as_ref().map(|(_, region)| *region);
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

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::domain::events::{LambdaEvent, Subject, WarmRequest};

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(flatten)]
        args: WarmArgs,
    }

    /// The Warm Request that a command line puts on the bus.
    fn request(args: &str) -> WarmRequest {
        let Cli { args } = Cli::parse_from(format!("warm {args} --via-bus").split(' '));
        let detail = detail(&args, &args.wanted().unwrap());
        let event = json!({ "source": SOURCE, "detail-type": WARM_REQUEST, "detail": detail });
        let LambdaEvent::Request(request) = LambdaEvent::parse(&event).unwrap() else { panic!("{event}") };
        request
    }

    #[test]
    fn the_lambda_reads_what_the_command_line_says() {
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        let plain = request("f:live -n 5 --for 10m --region eu-west-2 --reason why");
        let function = || FunctionRef::parse("f:live").unwrap();
        let expected = WarmRequest {
            id: None,
            at: None,
            subject: Subject::Function(function(), Need::Environments(5)),
            region: Region::parse("eu-west-2").ok(),
            keep_for: seconds(600),
            reason: Some("why".to_owned()),
        };
        assert_eq!(plain, expected);
        let backlog = |rate, hold_for| Backlog {
            messages: 90_000,
            rate,
            drain: Duration::from_millis(10_500),
            hold_for,
        };
        for (rate, parsed) in
            [("300", 300.into()), ("0.001", Decimal::new(1, 3)), ("2.50", Decimal::new(25, 1))]
        {
            let asked = request(&format!("f:live --backlog 90000 --rate {rate} --drain 10500ms"));
            let need = Need::Backlog(backlog(parsed, None));
            assert_eq!(asked.subject, Subject::Function(function(), need));
        }
        let held = request("f:live --backlog 90000 --rate 300 --drain 10500ms --hold-for 2m");
        let need = Need::Backlog(backlog(300.into(), seconds(120)));
        assert_eq!(held.subject, Subject::Function(function(), need));
        let name = "nlp".to_owned();
        assert_eq!(
            request("--pipeline nlp --backlog 0 --drain 10s --hold-for 1s").subject,
            Subject::Pipeline { name, messages: 0, drain: seconds(10), hold_for: seconds(1) }
        );
    }
}
