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

use super::options::LogFormat;
use super::output::Log;
use crate::domain::clean::clean_output;

/// Starts logging to standard error. Later calls do nothing.
pub fn start(format: LogFormat, filter: Targets, color: bool) {
    let started = registry().with(filter).with(cap());
    // A logger that somebody else has set is as good.
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

/// Own events at any level, those of every other crate at debug at most: at trace the SDK and the HTTP stack write
/// credentials down (the secret key and the session token of an assumed role, headers).
fn cap() -> Targets {
    let own = [env!("CARGO_PKG_NAME"), "bootstrap"].map(|name| (name, LevelFilter::TRACE));
    Targets::new().with_default(LevelFilter::DEBUG).with_targets(own)
}

/// Text records that text from outside cannot disguise: see [`clean_output`]. Every line of a record but its first is
/// indented, so that nothing in a record looks like the next one. A record is written at once, as the formatter does.
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
    let _ = registry().with(filter).with(cap()).with(lines).try_init();
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
    fn a_record_cannot_pass_for_two_or_move_the_cursor() {
        assert_eq!(written("\x1b[2mtime\x1b[0m INFO warm\n"), "\x1b[2mtime\x1b[0m INFO warm\n");
        assert_eq!(
            written("INFO no key\n2026-11-20T09:00:00Z ERROR forged\u{202e}\x1b[2J\r\n"),
            "INFO no key\n    2026-11-20T09:00:00Z ERROR forged\\u{202e}\\u{1b}[2J\\r\n"
        );
    }
}
