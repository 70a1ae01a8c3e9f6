//! Commands, their arguments and output.

mod alarms;
mod app;
mod args;
#[cfg(test)]
mod budget_months;
mod burst;
mod canary;
mod capacity;
mod chain;
mod check;
mod compare;
mod configuration;
mod daemon;
mod dashboard;
mod deploy;
mod deployed;
mod diff;
mod direct;
mod emulate;
mod error;
mod exit;
mod explain;
mod file;
pub mod handler;
mod history;
mod listen;
mod logging;
mod notify;
mod options;
mod outlet;
mod output;
mod overview;
mod pause;
mod period;
mod plan;
mod price;
mod probe;
mod publish;
mod render;
mod report;
mod run;
mod select;
mod signals;
mod status;
mod value_parsers;
mod virtual_time;
mod warm;

use std::process::ExitCode;

use clap::Parser;
use tokio::runtime;
use tracing_subscriber::filter::{LevelFilter, Targets};

use self::args::{Cli, Command, SchemaOf};
use self::error::Failure;
use self::exit::Exit;
use self::outlet::{DAEMON_QUEUE, Overflow};
use self::output::{print_data, print_message};
pub use self::render::report::html::page as report_page;
use self::run::RunArgs;
use self::virtual_time::block_on_virtual;
use self::warm::WarmArgs;
use crate::aws::fd_limit;
use crate::config;
use crate::domain::tick;

/// Runs the command line and returns its exit code.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let color = output::color_on_stderr(cli.color);
    let level = cli
        .log_level
        .clone()
        .filter(|level| *level != Targets::new())
        .unwrap_or_else(|| default_level(&cli.command));
    logging::start(cli.log_format, level, color);
    let ended = command(&cli).and_then(|exit| Ok(exit.after(output::finish(exit)?)));
    let exit = ended.unwrap_or_else(|failure| {
        print_message(&failure.message(color));
        // An output that cannot be written does not change the exit code of the failure.
        let _ = output::finish(failure.exit());
        failure.exit()
    });
    exit.into()
}

/// Returns the log filter without --log-level: info for the daemon, warn for commands. The tables of `run --once` and
/// `warm` contain the engine's warnings, JSON output does not. `capacity` prints the state of its targets itself. The receipt of a signal is always logged, because a
/// round may take minutes to end. Missing regions and credentials have messages of their own.
fn default_level(command: &Command) -> Targets {
    let (own, more) = match command {
        Command::Run(args) if !args.once => (LevelFilter::INFO, Vec::new()),
        Command::Run(RunArgs { json: false, .. })
        | Command::Warm(WarmArgs { json: false, .. })
        | Command::Capacity(_) => (LevelFilter::WARN, vec!["warmd::engine", "warmd::service"]),
        _ => (LevelFilter::WARN, Vec::new()),
    };
    Targets::new()
        .with_default(own)
        .with_target("aws_config", LevelFilter::ERROR)
        .with_target("warmd::cli::signals", LevelFilter::INFO)
        // A metric without a value is in no table.
        .with_target("warmd::service::backlog", own.max(LevelFilter::WARN))
        .with_targets(more.into_iter().map(|target| (target, LevelFilter::ERROR)))
}

fn command(cli: &Cli) -> Result<Exit, Failure> {
    let style = output::style(cli.color);
    // Printing must not block commands that handle signals.
    match &cli.command {
        Command::Run(args) if !args.once => output::start_threads(Overflow::DropAbove(DAEMON_QUEUE))?,
        Command::Run(_) | Command::Warm(_) | Command::Capacity(_) | Command::Probe(_) => {
            output::start_threads(Overflow::Keep)?
        }
        _ => {}
    }
    match &cli.command {
        Command::Run(args) if args.once => block_on(run::once(args, style)),
        Command::Run(args) => block_on(daemon::run(args, style)),
        Command::Warm(args) => block_on(warm::warm(args, style)),
        Command::Emulate(args) => block_on(emulate::emulate(args)),
        Command::Check(args) if args.live => {
            block_on(check::live::check(args, style, output::color_on_stderr(cli.color)))
        }
        Command::Check(args) => block_on(check::check(args, style, output::color_on_stderr(cli.color))),
        Command::Plan(args) => block_on(plan::plan(args, style)),
        Command::Explain(args) => block_on(explain::explain(args, style)),
        Command::Diff(args) => block_on(diff::diff(args, style)),
        Command::Publish(args) => block_on(publish::publish(args, style)),
        Command::Pause(args) => block_on(pause::pause(args)),
        Command::Resume(args) => block_on(pause::resume(args)),
        Command::Canary(args) => block_on(canary::canary(args, style)),
        Command::Capacity(args) => block_on(capacity::capacity(args, style)),
        Command::Status(args) => block_on(status::status(args)),
        Command::History(args) => block_on(history::history(args, style)),
        Command::LambdaEvent(args) => deploy::lambda_event(args),
        Command::Dashboard(args) => block_on(dashboard::dashboard(args)),
        Command::Alarms(args) => block_on(alarms::alarms(args)),
        Command::Iam(args) => block_on(deploy::iam(args)),
        Command::Price(args) => price::price(args, style),
        Command::Burst(args) => burst::burst(args, style),
        Command::Probe(args) if args.local => block_on_virtual(probe::probe(args, style)),
        Command::Probe(args) => block_on(probe::probe(args, style)),
        Command::Compare(args) => block_on(compare::compare(args, style)),
        Command::Report(args) if args.local => block_on_virtual(report::report(args, style)),
        Command::Report(args) => block_on(report::report(args, style)),
        Command::Schema(args) => schema(args.of),
        Command::Handler(args) => Ok(print_data(handler::snippet(args.language)).map(|()| Exit::Success)?),
    }
}

/// Prints a JSON Schema. `warm-configs/schema.json` is a copy of the schema of the configuration.
fn schema(of: SchemaOf) -> Result<Exit, Failure> {
    let schema = serde_json::to_string_pretty(&match of {
        SchemaOf::Config => config::schema(),
        SchemaOf::Tick => tick::schema(),
    });
    let schema = schema.map_err(|error| Failure::Unexpected(error.to_string()))?;
    print_data(&format!("{schema}\n"))?;
    Ok(Exit::Success)
}

/// Runs an asynchronous command.
fn block_on(command: impl Future<Output = Result<Exit, Failure>>) -> Result<Exit, Failure> {
    if let Err(error) = fd_limit::raise() {
        tracing::warn!(%error, "the limit of open files cannot be raised");
    }
    let runtime = runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::Unexpected(format!("cannot start threads: {error}")))?;
    let exit = runtime.block_on(command);
    // A second signal has abandoned the remaining tasks.
    runtime.shutdown_background();
    exit
}
