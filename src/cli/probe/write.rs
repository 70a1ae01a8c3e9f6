//! The results of a probe in the configuration.

use std::fs;
use std::path::Path;
use std::time::Duration;

use super::ProbeArgs;
use super::measure::{Measurement, Result as Measured};
use super::object::median;
use crate::cli::error::Failure;
use crate::cli::exit::Exit;
use crate::cli::file::write_whole;
use crate::cli::output::print_message;
use crate::config::{self, NotEdited, Setting, SourceFile};
use crate::domain::parse::quoted;
use crate::domain::probe::{Start, interval};
use crate::domain::s3_uri::S3Uri;

/// Writes the results into the function's entry of a file, or prints the lines.
pub(super) fn write(path: &Path, args: &ProbeArgs, measured: &Measurement) -> Result<Exit, Failure> {
    let settings = settings(measured, args.write_interval);
    if args.write_interval && !settings.iter().any(|setting| setting.path == ["interval"]) {
        print_message("warning: `interval` is not written: it needs five repeats and a warm gap");
    }
    if settings.is_empty() {
        print_message("warning: nothing was measured that could be written");
        return Ok(Exit::Failed);
    }
    let paste = |reason: &str| {
        let shown = quoted(&path.display().to_string());
        let lines = config::lines(&settings, 4);
        print_message(&format!(
            "error: {shown} is not changed: {reason}\nhint: add these lines to `{}`:\n{}",
            args.function,
            lines.trim_end()
        ));
        Ok(Exit::Failed)
    };
    if S3Uri::of_path(path).is_some() {
        return paste("it is in S3");
    }
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => return paste(&error.to_string()),
    };
    let file = SourceFile { path: path.display().to_string(), text };
    match config::set(&file, &args.function, &settings) {
        Ok(text) => {
            write_whole(path, &text).map_err(|error| {
                Failure::Unexpected(format!("cannot write {}: {error}", quoted(&file.path)))
            })?;
            print_message(&format!("wrote {} of `{}` to {}", names(&settings), args.function, file.path));
            Ok(Exit::Success)
        }
        Err(NotEdited::Invalid(problems)) => {
            print_message(problems.render_text(false).trim_end());
            paste("it has errors")
        }
        Err(error) => paste(&error.to_string()),
    }
}

fn names(settings: &[Setting]) -> String {
    settings.iter().map(|setting| setting.path.join(".")).collect::<Vec<_>>().join(", ")
}

/// Returns the keys that follow from the measurement.
fn settings(measured: &Measurement, with_interval: bool) -> Vec<Setting> {
    let mut settings = Vec::new();
    let mut add = |path: &[&'static str], value: Option<String>| {
        settings.extend(value.map(|value| Setting { path: path.to_vec(), value }));
    };
    match &measured.result {
        Measured::Idle(plan) => {
            let ((gaps, semi_cold_below), bracket) = (plan.gaps(), plan.bracket());
            let of = |is_new: bool, value: fn(&crate::domain::probe::Measured) -> Option<Duration>| {
                let of_kind = gaps.iter().map(|gap| &gap.ping).filter(|ping| match ping.start {
                    Some(Start::Preinitialized) | None => false,
                    Some(start) => start.is_new() == is_new,
                });
                median(of_kind.filter_map(value).collect())
            };
            if with_interval {
                add(&["interval"], interval(&bracket, plan.passes()).map(minutes));
            }
            add(&["assume", "idle_life"], bracket.certain().filter(|life| life.as_secs() >= 60).map(minutes));
            add(&["assume", "init_duration"], of(true, |ping| ping.init).map(milliseconds));
            add(&["assume", "ping_duration"], of(false, |ping| ping.billed).map(milliseconds));
            add(&["assume", "semi_cold_below"], semi_cold_below.map(milliseconds));
        }
        Measured::FindHold { search, .. } => add(&["hold"], search.proven().map(milliseconds)),
        Measured::Parallel(_) | Measured::Memory(_) => {}
    }
    settings
}

/// Returns whole minutes, rounded down.
fn minutes(time: Duration) -> String {
    format!("{}m", time.as_secs() / 60)
}

/// Returns whole milliseconds, rounded up.
fn milliseconds(time: Duration) -> String {
    format!("{}ms", time.as_nanos().div_ceil(1_000_000).max(1))
}
