//! Logs of the Lambda: JSON lines on standard error.

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

use crate::domain::parse::quoted;
use crate::service::environment::redact_json;

/// The target under which the runtime crate logs every refused event a second time, in Rust's debug format.
const DUMPS: &str = "lambda_runtime::layers::panic";

/// The request id of the current invocation: an environment has one invocation at a time.
static REQUEST_ID: Mutex<Option<String>> = Mutex::new(None);

/// Parses a log filter: a level, or directives such as `info,warmd=debug`. An empty text has no directives.
///
/// Not an `EnvFilter`: its filters by field need two regex engines.
///
/// # Errors
/// The mistake and the expected form.
pub fn log_filter(text: &str) -> Result<Targets, String> {
    let expected = "expected error, warn, info, debug, trace, or directives such as info,warmd=debug";
    // The parser reads an empty part as `error`, and any other text as the name of a target.
    let parts: Vec<&str> = text.split(',').map(str::trim).filter(|part| !part.is_empty()).collect();
    if let Some(wrong) = parts.iter().find(|part| part.contains(|c: char| c == '[' || c.is_whitespace())) {
        return Err(format!("{expected}, found {}", quoted(wrong)));
    }
    if parts.is_empty() {
        return Ok(Targets::new());
    }
    parts.join(",").parse().map_err(|error| format!("{error}; {expected}"))
}

/// Allows events of this crate at any level, and those of every other crate at debug at most: at trace the SDK and the
/// HTTP stack log credentials (the secret key and the session token of an assumed role, headers).
pub(crate) fn level_cap() -> Targets {
    let own = [env!("CARGO_PKG_NAME"), "bootstrap"].map(|name| (name, LevelFilter::TRACE));
    Targets::new().with_default(LevelFilter::DEBUG).with_targets(own)
}

/// A writer that removes the values of environment variables in payloads from JSON records. The formatter passes each
/// record in one write.
pub(crate) struct Redacted<W>(pub W);

impl<W: io::Write> io::Write for Redacted<W> {
    fn write(&mut self, record: &[u8]) -> io::Result<usize> {
        self.0.write_all(redact_json(&String::from_utf8_lossy(record)).as_bytes())?;
        Ok(record.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Starts logging. Every line carries the request id of the invocation in `requestId`.
pub(super) fn start(filter: Targets) {
    let names_runtime = filter.iter().any(|(target, _)| target.starts_with("lambda_runtime"));
    let filter = if names_runtime { filter } else { filter.with_target(DUMPS, LevelFilter::OFF) };
    let lines = fmt::layer().with_writer(|| Redacted(io::stderr())).json();
    let lines = lines.flatten_event(true).with_current_span(false).with_span_list(false);
    let lines = lines.map_event_format(WithRequestId);
    // An earlier logger is kept.
    let _ = registry().with(filter).with(level_cap()).with(lines).try_init();
}

/// Sets the request id of all lines from now on.
pub(super) fn set_request_id(request_id: &str) {
    *REQUEST_ID.lock().unwrap_or_else(PoisonError::into_inner) = Some(request_id.to_owned());
}

/// Adds the request id to JSON lines. A span is no substitute: a filter may exclude it, and spawned
/// tasks have none.
struct WithRequestId<F>(F);

impl<S, N, F> FormatEvent<S, N> for WithRequestId<F>
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
        let id = REQUEST_ID.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match (id, line.trim_end().strip_suffix('}')) {
            (Some(id), Some(open)) => writeln!(writer, "{open},\"requestId\":{}}}", Value::from(id)),
            _ => writer.write_str(&line),
        }
    }
}
