//! Logs on standard error.

use std::io;

use tracing_subscriber::filter::Targets;
use tracing_subscriber::prelude::*;
use tracing_subscriber::{fmt, registry};

use super::args::LogFormat;

/// Starts logging to standard error. Later calls do nothing.
pub fn start(format: LogFormat, filter: Targets, color: bool) {
    let lines = fmt::layer().with_writer(io::stderr);
    let started = registry().with(filter);
    // A logger that somebody else has set is as good.
    let _ = match format {
        LogFormat::Text => started.with(lines.with_ansi(color)).try_init(),
        LogFormat::Json => {
            let lines = lines.json().flatten_event(true).with_current_span(false).with_span_list(false);
            started.with(lines).try_init()
        }
    };
}

/// Starts logging in a Lambda: JSON lines that carry the request id of the invocation in `span.requestId`.
pub fn start_in_lambda(filter: Targets) {
    let lines = fmt::layer().with_writer(io::stderr).json();
    let lines = lines.flatten_event(true).with_current_span(true).with_span_list(false);
    // A logger that somebody else has set is as good.
    let _ = registry().with(filter).with(lines).try_init();
}
