//! The command line: commands and global options.

use clap::{Args, Parser, Subcommand, ValueEnum};
use tracing_subscriber::filter::Targets;

use super::alarms::AlarmsArgs;
use super::burst::BurstArgs;
use super::canary::CanaryArgs;
use super::capacity::CapacityArgs;
use super::check::CheckArgs;
use super::compare::CompareArgs;
use super::dashboard::DashboardArgs;
use super::deploy::{IamArgs, LambdaEventArgs};
use super::diff::DiffArgs;
use super::emulate::EmulateArgs;
use super::explain::ExplainArgs;
use super::handler::HandlerArgs;
use super::history::HistoryArgs;
use super::logging::LogFormat;
use super::output::Color;
use super::pause::{PauseArgs, ResumeArgs};
use super::plan::PlanArgs;
use super::price::PriceArgs;
use super::probe::ProbeArgs;
use super::publish::PublishArgs;
use super::report::ReportArgs;
use super::run::RunArgs;
use super::status::StatusArgs;
use super::value_parsers;
use super::warm::WarmArgs;

/// Keeps AWS Lambda functions warm. Each round sends N pings at once, so that they reach N distinct execution
/// environments, proves how many were reached, and reports the cost.
#[derive(Debug, Parser)]
#[command(name = "warmd", version, after_help = include_str!("help/warmd.txt"), max_term_width = 100)]
pub struct Cli {
    /// Format of logs, which go to stderr. Data goes to stdout.
    #[arg(
        long,
        global = true,
        value_name = "text|json",
        default_value = "text",
        hide_possible_values = true,
        help_heading = "Output"
    )]
    pub log_format: LogFormat,
    /// Log filter: error, warn, info, debug, trace, or directives such as `info,warmd=debug`. Logs of dependencies are
    /// limited to debug: at trace, the AWS SDK logs credentials. [default: info for the daemon, warn otherwise]
    #[arg(long, global = true, value_name = "FILTER", env = "RUST_LOG", hide_env_values = true,
        value_parser = value_parsers::log_filter, help_heading = "Output")]
    pub log_level: Option<Targets>,
    /// Use of colour. auto: on a terminal, unless NO_COLOR is set.
    #[arg(
        long,
        global = true,
        value_name = "auto|always|never",
        default_value = "auto",
        hide_possible_values = true,
        help_heading = "Output"
    )]
    pub color: Color,
    /// The command.
    #[command(subcommand)]
    pub command: Command,
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

/// A command.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Keep the fleet warm, as a daemon or for one tick with --once.
    Run(RunArgs),
    /// Warm one function now, or a new version like its alias.
    Warm(WarmArgs),
    /// Validate the configuration and list all mistakes and targets.
    Check(CheckArgs),
    /// Show windows, rounds and costs over time, in local time and UTC.
    Plan(PlanArgs),
    /// Explain the desired concurrency of a function, window by window, and its next change.
    Explain(ExplainArgs),
    /// Compare two configurations: targets, rounds and costs.
    Diff(DiffArgs),
    /// Publish a configuration to S3 atomically, or roll back.
    Publish(PublishArgs),
    /// Pause the warming of a function or of the fleet.
    Pause(PauseArgs),
    /// End a pause.
    Resume(ResumeArgs),
    /// Show the last tick, pauses, requests, and what the guards found.
    Status(StatusArgs),
    /// Show the history in the state store: coverage, pings, cold starts and cost by hour.
    History(HistoryArgs),
    /// Report coverage, cold starts and cost of a past period, also as a page.
    Report(ReportArgs),
    /// List what first pings showed of handlers, or allow pings to an unsafe one again.
    Canary(CanaryArgs),
    /// Show, release or take over provisioned concurrency and managed instances.
    Capacity(CapacityArgs),
    /// Print a sample event for the Lambda.
    LambdaEvent(LambdaEventArgs),
    /// Print, put or delete the CloudWatch dashboard.
    Dashboard(DashboardArgs),
    /// Print, put or delete the CloudWatch alarms of the fleet and of functions.
    Alarms(AlarmsArgs),
    /// Print the IAM policies for a configuration.
    Iam(IamArgs),
    /// Calculate prices of Lambda, S3 egress and EC2, or list the price book.
    Price(PriceArgs),
    /// Compare the cost of pings with that of the alternatives.
    Compare(CompareArgs),
    /// Plan the environments of a burst: how many, when, and how they are let go.
    Burst(BurstArgs),
    /// Measure a function: its idle life, its ramp under users, its hold, its memory.
    Probe(ProbeArgs),
    /// Print the JSON Schema of the configuration, or of the tick object.
    Schema(SchemaArgs),
    /// Print a handler snippet that answers pings.
    Handler(HandlerArgs),
    /// Serve the embedded emulator of Lambda, CloudWatch, EventBridge and S3.
    Emulate(EmulateArgs),
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use clap::CommandFactory;

    use super::*;

    #[test]
    fn definitions_are_valid() {
        Cli::command().debug_assert();
    }

    #[test]
    fn positional_paths_and_configs_are_the_same() {
        let paths = |args: &[&str]| {
            let cli = Cli::try_parse_from([&["warmd", "run"], args].concat()).unwrap();
            let Command::Run(run) = cli.command else { panic!("expected run") };
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
    fn commands_with_a_configuration_accept_both_forms() {
        for args in [&["run"][..], &["check"], &["plan"], &["explain", "nlp:live"]] {
            for given in [&["x.yaml"][..], &["--configs", "x.yaml"]] {
                let line = [&["warmd"], args, given].concat();
                Cli::try_parse_from(&line).unwrap_or_else(|error| panic!("{line:?}: {error}"));
            }
        }
    }

    /// Longer lines would be broken again, in the middle of paragraphs.
    #[test]
    fn no_line_of_help_is_longer_than_the_help() {
        let mut commands = vec![Cli::command()];
        let mut checked = 0;
        while let Some(command) = commands.pop() {
            for text in [command.get_after_help(), command.get_after_long_help()].into_iter().flatten() {
                let text = text.to_string();
                let long = text.lines().find(|line| line.chars().count() > 100);
                assert_eq!(long, None, "{}", command.get_name());
                checked += 1;
            }
            commands.extend(command.get_subcommands().cloned());
        }
        assert!(checked > 20, "{checked}");
    }

    #[test]
    fn invalid_arguments_exit_with_2() {
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
