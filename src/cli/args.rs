//! The command line: every command, every flag.

mod money;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use chrono::{DateTime, Utc};
use clap::{ArgGroup, Args, Parser, Subcommand, ValueEnum};
use tracing_subscriber::filter::Targets;

pub use self::money::{
    CompareArgs, Ec2Args, EgressArgs, LambdaArgs, ManagedArgs, PriceArgs, PriceCommand, Prices,
};
use super::deploy::{DashboardArgs, IamArgs, LambdaEventArgs};
use super::handler::Language;
use super::pause::{PauseArgs, ResumeArgs, StateArgs};
use super::publish::PublishArgs;
use super::status::StatusArgs;
use super::value_parsers::{self, Regions};
use crate::domain::fleet::Hold;
use crate::domain::function::{FunctionRef, Region};

const EXIT_CODES: &str = "\
Exit codes:
  0  nothing short
  1  something of warmd's own failed (metrics lost, a round not run), and neither 2 nor 3 applies
  2  usage or configuration: nothing was sent
  3  at least one round is short
  4  `diff --exit-code` found changes";

/// Keeps AWS Lambda functions warm: N pings at once, so that they reach N distinct environments; proof of how many
/// were reached; and what it cost.
#[derive(Debug, Parser)]
#[command(name = "warmd", version, after_help = EXIT_CODES, max_term_width = 100)]
pub struct Cli {
    /// Log format on stderr. Data goes to stdout.
    #[arg(
        long,
        global = true,
        value_name = "text|json",
        default_value = "text",
        hide_possible_values = true,
        help_heading = "Output"
    )]
    pub log_format: LogFormat,
    /// What to log: error, warn, info, debug, trace, or directives such as `info,warmd=debug`.
    /// [default: info for the daemon, warn otherwise]
    #[arg(long, global = true, value_name = "FILTER", env = "RUST_LOG", hide_env_values = true,
        value_parser = value_parsers::log_filter, help_heading = "Output")]
    pub log_level: Option<Targets>,
    /// Colour: auto is on for a terminal, unless NO_COLOR is set.
    #[arg(
        long,
        global = true,
        value_name = "auto|always|never",
        default_value = "auto",
        hide_possible_values = true,
        help_heading = "Output"
    )]
    pub color: Color,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Log format on stderr.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// One JSON object a line.
    Json,
}

/// `warmd schema`.
#[derive(Debug, Args)]
pub struct SchemaArgs {
    /// The format to describe.
    #[arg(long, value_enum, default_value_t = SchemaOf::Config)]
    pub of: SchemaOf,
}

/// A format with a JSON Schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SchemaOf {
    /// A configuration file.
    Config,
    /// The tick object, as `run --once --json` and the Lambda print it.
    Tick,
}

/// When to use colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless NO_COLOR is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Keep the fleet warm: as a daemon, or one tick with --once.
    Run(RunArgs),
    /// Warm one function now: one round, no configuration needed.
    Warm(WarmArgs),
    /// Validate the configuration: every mistake at once, then one line per target.
    Check(CheckArgs),
    /// Show what will happen: targets over time, in local time and UTC.
    Plan(PlanArgs),
    /// Say why a function's target is what it is, window by window, and when it changes next.
    Explain(ExplainArgs),
    /// Show what a change of configuration will change.
    Diff(DiffArgs),
    /// Make a configuration in S3 live, all of it at once, or go back to the one before.
    Publish(PublishArgs),
    /// Keep a function, or everything, from being warmed for a while.
    Pause(PauseArgs),
    /// End a pause.
    Resume(ResumeArgs),
    /// Show how the last tick went, and what is paused or asked for.
    Status(StatusArgs),
    /// Print a sample of an event that the Lambda takes.
    LambdaEvent(LambdaEventArgs),
    /// Print the CloudWatch dashboard.
    Dashboard(DashboardArgs),
    /// Print the IAM policies that a configuration needs.
    Iam(IamArgs),
    /// Reckon prices: the price book, and what a month of Lambda, S3 egress or instances costs.
    Price(PriceArgs),
    /// Compare what else would keep the same environments ready, in money.
    Compare(CompareArgs),
    /// Print the JSON Schema of the configuration, or of the tick object.
    Schema(SchemaArgs),
    /// Print the handler snippet that knows warmd's pings.
    Handler(HandlerArgs),
    /// Serve the embedded emulator of Lambda, CloudWatch, EventBridge and S3.
    Emulate(EmulateArgs),
}

/// Which configuration.
#[derive(Debug, Clone, Default, Args)]
pub struct Configs {
    /// Configuration: YAML files, directories of *.yaml, or s3://bucket/prefix. [default: warm-configs]
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// The same as PATH.
    #[arg(long = "configs", value_name = "PATH", num_args = 1..)]
    configs: Vec<PathBuf>,
}

impl Configs {
    /// The paths that were given; `warm-configs` when none was.
    pub fn paths(&self) -> Vec<PathBuf> {
        if self.paths.is_empty() && self.configs.is_empty() {
            return vec![PathBuf::from("warm-configs")];
        }
        self.paths.iter().chain(&self.configs).cloned().collect()
    }
}

/// Which part of the fleet.
#[derive(Debug, Clone, Default, Args)]
pub struct Only {
    /// Serve targets in these regions only, separated by commas; `all` for all.
    #[arg(long, value_name = "REGION,…", env = "WARMD_REGIONS", hide_env_values = true, default_value = "all",
        hide_default_value = true, value_parser = value_parsers::regions)]
    pub regions: Regions,
}

/// `warmd run`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  warmd run --once --local              one tick against the embedded emulator: needs no AWS account
  warmd run --once --dry-run            what would be sent now; sends nothing
  warmd run --once --json | jq .rounds  one tick, as an object
  warmd run                             the daemon: a tick every minute until SIGTERM or SIGINT
  warmd run --once --due-only --state s3://my-warmd/state
                                        what is due, for a cron job of every minute

--once serves every target whose window is open at that minute. The daemon serves what has been
due since its previous tick.

With --state pauses are honoured, requests are kept in force, and `warmd status` shows how the tick
went. The daemon, and --once with --due-only, also note what they serve: of several with one store
only one serves a minute, and what a lost tick has left is served at the next one. --at and
--dry-run note nothing; pauses are those of now.

On SIGTERM or SIGINT the rounds in flight are finished and recorded;
a second signal ends at once. SIGHUP reloads the configuration; changed files are noticed at the
next tick anyway.

Metrics go to CloudWatch in the region of AWS_REGION or the profile. What CloudWatch does not take
is written to stderr as embedded-metric lines.")]
pub struct RunArgs {
    /// One tick, then end.
    #[arg(long)]
    pub once: bool,
    /// The tick's time in RFC 3339, instead of now: it decides what is due. The pings are real.
    #[arg(long, value_name = "RFC3339", value_parser = value_parsers::instant, requires = "once")]
    pub at: Option<DateTime<Utc>>,
    /// Serve only targets that are due in that minute, as the daemon would, not all that are open.
    #[arg(long, requires = "once")]
    pub due_only: bool,
    /// Show what would be sent; send nothing.
    #[arg(long, requires = "once")]
    pub dry_run: bool,
    /// When the daemon ticks: six cron fields, seconds first, in UTC.
    #[arg(long, value_name = "CRON", default_value = "0 * * * * *", value_parser = value_parsers::cron,
        conflicts_with = "once")]
    pub cron: cron::Schedule,
    /// Time that SIGTERM leaves to rounds in flight and to their records, from 1s to 15m. Rounds left behind are named.
    #[arg(long, value_name = "DURATION", default_value = "20s", value_parser = value_parsers::grace)]
    pub grace: Duration,
    /// Remembers requests, pauses and when targets were last served.
    #[command(flatten)]
    pub state: StateArgs,
    /// Ping the embedded emulator, started for this run, instead of AWS.
    #[arg(long)]
    pub local: bool,
    /// Print one JSON object per tick; two for a tick with rounds that take long.
    #[arg(long)]
    pub json: bool,
    /// Prices of the user's own.
    #[command(flatten)]
    pub prices: Prices,
    /// Which part of the fleet.
    #[command(flatten)]
    pub only: Only,
    /// Which configuration.
    #[command(flatten)]
    pub configs: Configs,
}

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

One round now, with its top-ups. It sends no metrics to CloudWatch: what it did is what it prints.
The region is that of an ARN, else --region, AWS_REGION or the profile; --local falls back to
us-east-1.")]
pub struct WarmArgs {
    /// The function: NAME, NAME:QUALIFIER or the ARN.
    #[arg(value_name = "FUNCTION", value_parser = value_parsers::function)]
    pub function: FunctionRef,
    /// How many environments to warm: that many pings at once.
    #[arg(long, short = 'n', value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub concurrency: u32,
    /// How the function's handler knows a ping.
    #[arg(long, value_name = "PROTOCOL", default_value = "warmd", value_parser = value_parsers::protocols())]
    pub protocol: String,
    /// The payload of `--protocol custom`: JSON with the placeholders {{index}}, {{concurrency}}, {{hold_ms}}, {{round}}.
    #[arg(long, value_name = "JSON", value_parser = value_parsers::json, required_if_eq("protocol", "custom"))]
    pub payload: Option<serde_json::Value>,
    /// How long each ping asks its handler to hold, so that all overlap: auto, or a duration such as 75ms.
    #[arg(long, value_name = "auto|DURATION", default_value = "auto", value_parser = value_parsers::hold)]
    pub hold: Hold,
    /// The function's region.
    #[arg(long, value_name = "REGION", value_parser = value_parsers::region)]
    pub region: Option<Region>,
    /// Ask the deployed Lambda for it, with a Warm Request on the bus, instead of pinging from here.
    #[arg(long, conflicts_with_all = ["local", "payload", "json", "protocol", "hold"])]
    pub via_bus: bool,
    /// How long the Lambda is to keep them warm.
    #[arg(long = "for", value_name = "DURATION", value_parser = value_parsers::some_time)]
    pub for_: Option<Duration>,
    /// The bus: its name or ARN. [env: WARMD_BUS] [default: the account's default bus]
    // Not the parser's `env`: a bus in the environment is no reason to refuse pings from here.
    #[arg(long, value_name = "NAME")]
    pub bus: Option<String>,
    /// Why, for people: one line of at most 256 characters. It stands in the Lambda's records.
    #[arg(long, value_name = "TEXT", value_parser = crate::domain::events::reason)]
    pub reason: Option<String>,
    /// Ping the embedded emulator, started for this run, instead of AWS.
    #[arg(long)]
    pub local: bool,
    /// Print the tick object as JSON.
    #[arg(long)]
    pub json: bool,
}

/// `warmd check`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  warmd check                       the files in warm-configs/
  warmd check --format github       annotations for a GitHub Actions run
  warmd check --live                the same, and what is deployed
  warmd check --live --local        how that looks: needs no AWS account

Exits 2 when there is a mistake. Warnings do not change the exit code.

--live asks Lambda about every target: may it be invoked (a dry run: no handler runs), is it there
and active, do memory, timeout and architecture fit the configuration, is there room for its rounds
in reserved and account concurrency, is there need for them. It asks with the credentials it is
given: those of the warmer tell what the warmer may do. At most 10 questions a second go out for
each region and role. What may not be read is said, and is no mistake. Exits 1 when targets could
not be compared for another reason: nobody answered, or not as Lambda does.")]
pub struct CheckArgs {
    /// Compare every target with what is deployed, too. No function runs.
    #[arg(long)]
    pub live: bool,
    /// Compare with the embedded emulator, started for this run, instead of AWS.
    #[arg(long, requires = "live")]
    pub local: bool,
    /// text for people, json for programs, github for workflow annotations.
    #[arg(long, value_name = "text|json|github", default_value = "text", hide_possible_values = true)]
    pub format: CheckFormat,
    /// Which part of the fleet.
    #[command(flatten)]
    pub only: Only,
    /// Which configuration.
    #[command(flatten)]
    pub configs: Configs,
}

/// How `check` answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CheckFormat {
    /// For people.
    Text,
    /// One JSON object.
    Json,
    /// Workflow commands of GitHub Actions.
    Github,
}

/// `warmd plan`.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("end").args(["for_", "until"])), after_help = "\
Examples:
  warmd plan                                            the next 7 days
  warmd plan --zone Europe/London --from 2026-10-24 --for 3d
  warmd plan --function nlp-inference:live --json

A DATE is midnight in --zone, in UTC without it. --until is exclusive.

Costs are estimates at list prices without free tiers. What they assume is marked with * and can be
said in the configuration under `assume`. Hours of a NAT gateway are not counted: it is there anyway.")]
pub struct PlanArgs {
    /// Where the plan begins: RFC 3339 or a DATE. [default: now]
    #[arg(long, value_name = "RFC3339|DATE")]
    pub from: Option<String>,
    /// How long it is, such as 12h or 30d. [default: 7d]
    #[arg(long = "for", value_name = "DURATION", value_parser = value_parsers::duration)]
    pub for_: Option<Duration>,
    /// Where it ends, exclusive: RFC 3339 or a DATE.
    #[arg(long, value_name = "RFC3339|DATE")]
    pub until: Option<String>,
    /// Only this function: NAME, NAME:QUALIFIER or the ARN, as configured.
    #[arg(long, value_name = "FUNCTION", value_parser = value_parsers::function)]
    pub function: Option<FunctionRef>,
    /// Zone of dates and of the picture. [default: the zone of the target's first window; UTC for dates]
    #[arg(long, value_name = "ZONE", value_parser = value_parsers::zone)]
    pub zone: Option<chrono_tz::Tz>,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
    /// Prices of the user's own.
    #[command(flatten)]
    pub prices: Prices,
    /// Which part of the fleet.
    #[command(flatten)]
    pub only: Only,
    /// Which configuration.
    #[command(flatten)]
    pub configs: Configs,
}

/// `warmd explain`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  warmd explain storefront-ssr:live
  warmd explain nlp-inference:live --region us-east-1 --at 2026-10-25T00:30:00Z --json")]
pub struct ExplainArgs {
    /// The function: NAME, NAME:QUALIFIER or the ARN, as configured.
    #[arg(value_name = "FUNCTION", value_parser = value_parsers::function)]
    pub function: FunctionRef,
    /// Its region, when it is configured in several.
    #[arg(long, value_name = "REGION", value_parser = value_parsers::region)]
    pub region: Option<Region>,
    /// The minute to explain, RFC 3339. [default: now]
    #[arg(long, value_name = "RFC3339", value_parser = value_parsers::instant)]
    pub at: Option<DateTime<Utc>>,
    /// Take requests in force and pauses into account.
    #[command(flatten)]
    pub state: StateArgs,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
    /// Which configuration.
    #[command(flatten)]
    pub configs: Configs,
}

/// `warmd diff`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  git worktree add /tmp/live main && warmd diff /tmp/live/warm-configs warm-configs
  warmd diff OLD NEW --for 30d --format markdown      for a pull-request comment
  warmd diff OLD NEW --exit-code                      4 when anything changes")]
pub struct DiffArgs {
    /// The configuration before: a file, a directory, or s3://bucket/prefix.
    #[arg(value_name = "OLD")]
    pub old: PathBuf,
    /// The configuration after: a file, a directory, or s3://bucket/prefix.
    #[arg(value_name = "NEW")]
    pub new: PathBuf,
    /// Where the comparison begins: RFC 3339 or a DATE, its midnight in UTC. [default: now]
    #[arg(long, value_name = "RFC3339|DATE")]
    pub from: Option<String>,
    /// How much time is compared, such as 7d.
    #[arg(long = "for", value_name = "DURATION", default_value = "7d", value_parser = value_parsers::duration)]
    pub for_: Duration,
    /// table for people, json for programs, markdown for a pull-request comment.
    #[arg(long, value_name = "table|json|markdown", default_value = "table", hide_possible_values = true)]
    pub format: DiffFormat,
    /// Exit with 4 when anything changes.
    #[arg(long)]
    pub exit_code: bool,
    /// Prices of the user's own.
    #[command(flatten)]
    pub prices: Prices,
    /// Which part of the fleet.
    #[command(flatten)]
    pub only: Only,
}

/// How `diff` answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DiffFormat {
    /// For people.
    Table,
    /// For programs.
    Json,
    /// For a pull-request comment.
    Markdown,
}

/// `warmd handler`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  warmd handler python > warmd_handler.py
  warmd handler node")]
pub struct HandlerArgs {
    /// The handler's language.
    #[arg(value_name = "LANGUAGE")]
    pub language: Language,
}

/// `warmd emulate`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  warmd emulate --listen 127.0.0.1:9000
  AWS_ENDPOINT_URL=http://127.0.0.1:9000 AWS_ACCESS_KEY_ID=x AWS_SECRET_ACCESS_KEY=x \\
      warmd run --once

Prints one line, `listening on http://ADDR`, when it is ready. Ends on SIGTERM or SIGINT.")]
pub struct EmulateArgs {
    /// Address and port; port 0 takes a free one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9000")]
    pub listen: SocketAddr,
    /// Profiles of functions, YAML. Without it every function exists, with the default profile.
    #[arg(long, value_name = "FILE")]
    pub functions: Option<PathBuf>,
    /// Certificate chain, PEM: serves TLS with HTTP/2 and HTTP/1.1.
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// Private key of the certificate, PEM.
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definitions_are_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn paths_and_configs_mean_the_same() {
        let paths = |args: &[&str]| {
            let cli = Cli::try_parse_from([&["warmd", "run"], args].concat()).unwrap();
            let Command::Run(run) = cli.command else { panic!("not run") };
            run.configs.paths()
        };
        let both = [PathBuf::from("a"), PathBuf::from("b.yaml")];
        assert_eq!(paths(&["a", "b.yaml"]), both);
        assert_eq!(paths(&["--configs", "a", "b.yaml"]), both);
        assert_eq!(paths(&["--configs", "a", "--configs", "b.yaml"]), both);
        assert_eq!(paths(&["a", "--configs", "b.yaml"]), both);
        assert_eq!(paths(&[]), [PathBuf::from("warm-configs")]);
    }

    #[test]
    fn every_path_taking_command_takes_both() {
        for args in [&["run"][..], &["check"], &["plan"], &["explain", "nlp:live"]] {
            for given in [&["x.yaml"][..], &["--configs", "x.yaml"]] {
                let line = [&["warmd"], args, given].concat();
                Cli::try_parse_from(&line).unwrap_or_else(|error| panic!("{line:?}: {error}"));
            }
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for line in [
            &["warmd"][..],
            &["warmd", "run", "--at", "2026-11-20T09:00:00Z"],
            &["warmd", "run", "--dry-run"],
            &["warmd", "run", "--once", "--cron", "0 * * * * *"],
            &["warmd", "run", "--once", "--at", "9:00"],
            &["warmd", "run", "--regions", "eu-west-2,london"],
            &["warmd", "warm", "f"],
            &["warmd", "warm", "f", "-n", "0"],
            &["warmd", "warm", "f", "-n", "1", "--protocol", "custom"],
            &["warmd", "warm", "f g", "-n", "1"],
            &["warmd", "emulate", "--tls-cert", "c.pem"],
            &["warmd", "plan", "--for", "7d", "--until", "2026-11-20"],
            &["warmd", "plan", "--zone", "IST"],
        ] {
            let error = Cli::try_parse_from(line).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{line:?}");
        }
    }
}
