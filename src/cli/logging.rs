//! Logs on standard error.

use std::io;
use std::sync::{Mutex, PoisonError};

use serde_json::Value;
use tracing::{Event, Subscriber};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::prelude::*;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{fmt, registry};

use super::args::LogFormat;
use super::output::Log;

/// Starts logging to standard error. Later calls do nothing.
pub fn start(format: LogFormat, filter: Targets, color: bool) {
    let lines = fmt::layer().with_writer(|| Log);
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

/// Where the runtime crate writes every refused event down a second time, as Rust prints it.
const DUMPS: &str = "lambda_runtime::layers::panic";

/// The request id of the invocation that is served, or was last: Lambda gives an environment one at a time.
static INVOCATION: Mutex<Option<String>> = Mutex::new(None);

/// Starts logging in a Lambda: JSON lines that carry the request id of the invocation in `requestId`.
pub fn start_in_lambda(filter: Targets) {
    let told = filter.iter().any(|(target, _)| target.starts_with("lambda_runtime"));
    let filter = if told { filter } else { filter.with_target(DUMPS, LevelFilter::OFF) };
    let lines = fmt::layer().with_writer(io::stderr).json();
    let lines = lines.flatten_event(true).with_current_span(false).with_span_list(false);
    let lines = lines.map_event_format(OfInvocation);
    // A logger that somebody else has set is as good.
    let _ = registry().with(filter).with(lines).try_init();
}

/// From now on lines are of this invocation.
pub fn invocation(request_id: &str) {
    *INVOCATION.lock().unwrap_or_else(PoisonError::into_inner) = Some(request_id.to_owned());
}

/// JSON lines with the request id. Not by a span: a filter may leave it out, and tasks of their own are in none.
struct OfInvocation<F>(F);

impl<S, N, F> FormatEvent<S, N> for OfInvocation<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> std::fmt::Result {
        let mut line = String::new();
        self.0.format_event(context, Writer::new(&mut line), event)?;
        let id = INVOCATION.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match (id, line.trim_end().strip_suffix('}')) {
            (Some(id), Some(open)) => writeln!(writer, "{open},\"requestId\":{}}}", Value::from(id)),
            _ => writer.write_str(&line),
        }
    }
}
