//! Logs on standard error.

use std::io;
use std::sync::{Mutex, PoisonError};

use clap::ValueEnum;
use serde_json::Value;
use tracing::{Event, Subscriber};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::prelude::*;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{fmt, registry};

use super::output::Log;
use crate::domain::clean::clean_output;

/// Format of logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Text for people.
    Text,
    /// One JSON object per line.
    Json,
}

/// Starts logging to standard error. Later calls do nothing.
pub fn start(format: LogFormat, filter: Targets, color: bool) {
    let started = registry().with(filter).with(cap());
    // Fails if a logger is set already, which then stays.
    let _ = match format {
        LogFormat::Text => {
            started.with(fmt::layer().with_writer(|| Cleaned(Log)).with_ansi(color)).try_init()
        }
        LogFormat::Json => {
            let lines = fmt::layer()
                .with_writer(|| Log)
                .json()
                .flatten_event(true)
                .with_current_span(false)
                .with_span_list(false);
            started.with(lines).try_init()
        }
    };
}

/// Limits the events of other crates to debug. At trace, the SDK and the HTTP stack log credentials (secret keys,
/// session tokens, headers).
fn cap() -> Targets {
    let own = [env!("CARGO_PKG_NAME"), "bootstrap"].map(|name| (name, LevelFilter::TRACE));
    Targets::new().with_default(LevelFilter::DEBUG).with_targets(own)
}

/// A writer that escapes control characters in text records, see [`clean_output`], and indents all lines of a record
/// but the first, so that text from outside cannot imitate a record. The formatter passes each record in one write.
struct Cleaned<W>(W);

impl<W: io::Write> io::Write for Cleaned<W> {
    fn write(&mut self, record: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(record);
        let text = text.trim_end_matches('\n').replace('\n', "\n    ");
        self.0.write_all(format!("{}\n", clean_output(&text)).as_bytes())?;
        Ok(record.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// The target under which the runtime crate logs each failed invocation a second time, in Rust's debug format.
const DUMPS: &str = "lambda_runtime::layers::panic";

/// The request id of the current or last invocation. Lambda runs one at a time in an environment.
static INVOCATION: Mutex<Option<String>> = Mutex::new(None);

/// Starts logging in a Lambda: JSON lines with the request id of the invocation in `requestId`.
pub fn start_in_lambda(filter: Targets) {
    let is_explicit = filter.iter().any(|(target, _)| target.starts_with("lambda_runtime"));
    let filter = if is_explicit { filter } else { filter.with_target(DUMPS, LevelFilter::OFF) };
    let lines = fmt::layer().with_writer(io::stderr).json();
    let lines = lines.flatten_event(true).with_current_span(false).with_span_list(false);
    let lines = lines.map_event_format(OfInvocation);
    // Fails if a logger is set already, which then stays.
    let _ = registry().with(filter).with(cap()).with(lines).try_init();
}

/// Sets the request id of the following records.
pub fn invocation(request_id: &str) {
    *INVOCATION.lock().unwrap_or_else(PoisonError::into_inner) = Some(request_id.to_owned());
}

/// A formatter that appends the request id to JSON lines. A span does not suffice: filters may disable it, and spawned
/// tasks are outside of it.
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

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn written(record: &str) -> String {
        let mut out = Vec::new();
        Cleaned(&mut out).write_all(record.as_bytes()).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_record_cannot_imitate_another_or_move_the_cursor() {
        assert_eq!(written("\x1b[2mtime\x1b[0m INFO warm\n"), "\x1b[2mtime\x1b[0m INFO warm\n");
        assert_eq!(
            written("INFO no key\n2026-11-20T09:00:00Z ERROR forged\u{202e}\x1b[2J\r\n"),
            "INFO no key\n    2026-11-20T09:00:00Z ERROR forged\\u{202e}\\u{1b}[2J\\r\n"
        );
    }
}
