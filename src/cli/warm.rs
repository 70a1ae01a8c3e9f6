//! `warmd warm`: one round now.

mod like;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use rust_decimal::Decimal;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::app::{App, AwsService};
use super::error::Failure;
use super::exit::Exit;
use super::output::print;
use super::render::Style;
use super::run::{ReportOutput, interrupted};
use super::signals::Termination;
use super::value_parsers;
use crate::domain::backlog::per_environment;
use crate::domain::burst::Rate;
use crate::domain::events::{Backlog, DirectNeed, DirectWarm, MOST_CONCURRENCY, Need, SOURCE, WARM_REQUEST};
use crate::domain::fleet::{Fleet, Hold, Limits};
use crate::domain::function::{FunctionRef, Qualifier, Region, Tenant};
use crate::domain::parse::quoted;
use crate::domain::protocol::{CustomPayload, Protocol};
use crate::domain::secret::Environment;
use crate::domain::text::{count, grouped};
use crate::domain::tick::TickReport;
use crate::engine::ports::{Event, Events};
use crate::engine::stop::stop;
use crate::service::budget::TimeBudget;
use crate::service::environment;
use crate::service::live_config::LiveConfig;
use crate::service::recorder::PATIENCE;
use crate::service::store::DocumentStore;
use crate::service::{Outcome, Policy, Trigger};

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
  warmd warm orders:8 --like live --require-reached --configs s3://my-warmd/configs

With --backlog, the number of environments is ⌈backlog ÷ (rate × drain)⌉. The Lambda keeps it for
the hold time, and reduces it as the environments that it has warmed work the backlog off.

With --like, a new version is warmed before its alias moves to it, with the number of pings that a
tick would send to the alias now: that of its windows and metrics, and of requests if --state is
given. Other settings are those of the alias in the configuration. One ping precedes the round
unless the code is trusted or `canary` is off. If the number is 0, nothing is sent. A pause
applies: a paused alias is not kept warm, so its new version is not warmed either. Both are
successes, also with --require-reached. If limits of concurrency lower the number, the lower one
is to be reached: the alias has no more either. If throttles of the version lowered it,
--require-reached exits with 3. Before it, `aws lambda wait published-version-active` waits until
a new version can be invoked.

Sends one round with its top-ups, and no metrics to CloudWatch. The region is that of the ARN,
else --region, else with --like the only one of the alias, else AWS_REGION or the profile, else
us-east-1 with --local.")]
pub struct WarmArgs {
    /// Function: NAME, NAME:QUALIFIER or ARN.
    #[arg(value_name = "FUNCTION", value_parser = value_parsers::function, required_unless_present = "pipeline")]
    pub function: Option<FunctionRef>,
    /// Pipeline whose functions to warm, instead of FUNCTION. With --via-bus and --backlog.
    #[arg(long, value_name = "NAME", value_parser = crate::domain::events::reason,
        conflicts_with_all = ["function", "concurrency", "rate"])]
    pub pipeline: Option<String>,
    /// Number of environments to warm, and of pings sent at once.
    #[arg(long, short = 'n', value_name = "N", required_unless_present_any = ["backlog", "like"],
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
    /// Alias whose present number of environments FUNCTION, a version, is to have, instead of --concurrency.
    #[arg(long, value_name = "ALIAS", value_parser = value_parsers::qualifier,
        conflicts_with_all = ["concurrency", "backlog", "rate", "drain", "hold_for", "pipeline", "via_bus"])]
    pub like: Option<Qualifier>,
    /// Exit with 3 unless every environment is proven warm: the verdict is `reached`.
    #[arg(long, conflicts_with = "via_bus")]
    pub require_reached: bool,
    /// Ping protocol of the function's handler. [default: warmd, or that of the alias]
    #[arg(long, value_name = "PROTOCOL", value_parser = value_parsers::protocols())]
    pub protocol: Option<String>,
    /// Payload of `--protocol custom`: JSON with placeholders {{index}}, {{concurrency}}, {{hold_ms}}, {{round}}
    /// and environment variables ${env:NAME}.
    #[arg(long, value_name = "JSON", value_parser = value_parsers::json, required_if_eq("protocol", "custom"))]
    pub payload: Option<serde_json::Value>,
    /// Time that the handler holds each ping, so that all overlap: auto, or a duration such as 75ms. [default: auto, or
    /// that of the alias]
    #[arg(long, value_name = "auto|DURATION", value_parser = value_parsers::hold)]
    pub hold: Option<Hold>,
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
    /// Configuration that has the alias: YAML files, directories of *.yaml files, or s3://bucket/prefix. With --like.
    /// [default: warm-configs]
    #[arg(long, value_name = "PATH", num_args = 1..)]
    pub configs: Vec<PathBuf>,
    /// State store: requests and pauses apply, and trusted code gets no ping first. With --like. [env: WARMD_STATE]
    // Not clap's `env`: WARMD_STATE in the environment must not require --like.
    #[arg(long, value_name = "DIR|s3://…")]
    pub state: Option<String>,
    /// Use the embedded emulator, started for this run, instead of AWS.
    #[arg(long)]
    pub local: bool,
    /// Print the tick object as JSON.
    #[arg(long)]
    pub json: bool,
}

/// The region of the emulator's functions if none is given.
const LOCAL_REGION: &str = "us-east-1";

/// The environments to warm.
enum Wanted<'a> {
    /// Environments of a function.
    Function(&'a FunctionRef, Need),
    /// The stages of a pipeline, for this number of waiting requests.
    Pipeline(&'a str, u32),
}

impl WarmArgs {
    /// Refuses flags without the one that they require. Clap's `requires` would allow them with flags that conflict with
    /// the required one.
    fn check_misplaced(&self) -> Result<(), Failure> {
        let flags = [
            ("--pipeline", self.pipeline.is_some(), "--via-bus"),
            ("--hold-for", self.hold_for.is_some(), "--via-bus"),
            ("--for", self.for_.is_some(), "--via-bus"),
            ("--bus", self.bus.is_some(), "--via-bus"),
            ("--reason", self.reason.is_some(), "--via-bus"),
            ("--configs", !self.configs.is_empty(), "--like"),
            ("--state", self.state.is_some(), "--like"),
        ];
        let is_missing = |required: &str| match required {
            "--like" => self.like.is_none(),
            _ => !self.via_bus,
        };
        match flags.into_iter().find(|(_, is_given, required)| *is_given && is_missing(required)) {
            Some((flag, _, required)) => Err(Failure::Usage(format!("{flag} requires {required}"))),
            None => Ok(()),
        }
    }

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
    args.check_misplaced()?;
    if let (Some(like), Some(function)) = (&args.like, &args.function) {
        return like::warm(args, function, like, style).await;
    }
    let wanted = args.wanted()?;
    if args.via_bus {
        return via_bus(args, &wanted).await;
    }
    let Wanted::Function(function, need) = wanted else {
        return Err(Failure::Usage("--pipeline requires --via-bus".to_owned()));
    };
    let concurrency = need.environments();
    if !(1..=MOST_CONCURRENCY).contains(&concurrency) {
        let [most, number] = [MOST_CONCURRENCY, concurrency].map(|number| grouped(number.into()));
        let message = format!("expected a backlog for 1 to {most} environments, found {number}");
        return Err(Failure::Usage(message));
    }
    let protocol = protocol(args)?.unwrap_or(Protocol::Warmd);
    let termination = listen()?;
    let app = App::of(args.local, &[]).await?;
    let region = region(args, function, &app)?;
    if let (Need::Backlog(backlog), false) = (&need, args.json) {
        print(&format!("{}: {}\n", shown(backlog), count(concurrency.into(), "environment")))?;
    }
    let warm = DirectWarm {
        function: function.clone(),
        region: Some(region),
        tenant: args.tenant.clone(),
        need: DirectNeed::Given(need),
        protocol: Some(protocol),
        hold: Some(args.hold.unwrap_or_default()),
    };
    let live_config = LiveConfig::fixed(fleet(concurrency));
    let mut service = app.service(live_config, DocumentStore::memory(), None, Some(concurrency))?;
    if args.canary {
        app.guard(&mut service, Policy { checks_contact: true, ..Policy::default() });
    }
    let trigger = Trigger::Warm { warm, region };
    Ok(serve(args, &service, trigger, termination, style).await?.0)
}

fn listen() -> Result<Termination, Failure> {
    Termination::listen().map_err(|error| Failure::Unexpected(error.to_string()))
}

/// Serves the round. Returns its report too, unless a second signal has ended it.
async fn serve(
    args: &WarmArgs,
    service: &AwsService,
    trigger: Trigger,
    termination: Termination,
    style: Style,
) -> Result<(Exit, Option<TickReport>), Failure> {
    let (stopper, stop) = stop();
    let budget = TimeBudget::until_stopped(stop, None);
    let output = ReportOutput::new(args.json, false, style);
    tokio::select! {
        outcome = service.serve(trigger, &budget, &output) => {
            let Outcome { report, recorded, health } =
                outcome.map_err(|refusal| Failure::Usage(refusal.to_string()))?;
            output.finish()?;
            let exit = match args.require_reached && !report.is_proven() {
                true => Exit::Short,
                false => Exit::of_tick(&report, recorded).with_store(health),
            };
            Ok((exit, Some(report)))
        }
        exit = interrupted(termination, stopper, service.engine()) => Ok((exit, None)),
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

/// Returns the protocol of the flags, if they name one.
fn protocol(args: &WarmArgs) -> Result<Option<Protocol>, Failure> {
    match (args.protocol.as_deref().map(Protocol::parse), &args.payload) {
        (None, None) => Ok(None),
        (Some(Some(protocol)), None) => Ok(Some(protocol)),
        (None | Some(Some(_)), Some(_)) => {
            Err(Failure::Usage("--payload requires `--protocol custom`".to_owned()))
        }
        // The parser accepts no other name than `custom`, and requires a payload.
        (Some(None), payload) => {
            let refused = |reason: String| Failure::Usage(format!("--payload: {reason}"));
            let payload = CustomPayload::parse(payload.clone().unwrap_or_default()).map_err(refused)?;
            let mut protocol = Protocol::Custom(payload);
            bind(&mut protocol).map_err(refused)?;
            Ok(Some(protocol))
        }
    }
}

/// Sets the values of the environment variables in a payload, and removes them from logs.
fn bind(protocol: &mut Protocol) -> Result<(), String> {
    let environment = Environment::read(protocol.variables(), environment::variable).map_err(|missing| {
        let names: Vec<String> = missing.into_iter().map(quoted).collect();
        format!("not set in the environment: {}", names.join(", "))
    })?;
    environment::hide(environment.redactor());
    protocol.bind(&Arc::new(environment));
    Ok(())
}

/// Returns the region of the ARN, of the flag, or of the SDK's configuration.
fn region(args: &WarmArgs, function: &FunctionRef, app: &App) -> Result<Region, Failure> {
    match fixed_region(args, function)? {
        Some(region) => Ok(region),
        None if args.local => parse(LOCAL_REGION),
        None => app.own_region(),
    }
}

/// Returns the region of the ARN, or of the flag.
fn fixed_region(args: &WarmArgs, function: &FunctionRef) -> Result<Option<Region>, Failure> {
    let own = function.place.as_ref().map(|(_, region)| *region);
    match (own, args.region) {
        (Some(own), Some(other)) if own != other => {
            Err(Failure::Usage(format!("--region ({other}) must be the region of the ARN ({own})")))
        }
        (own, given) => Ok(own.or(given)),
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
