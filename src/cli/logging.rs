//! Logs on standard error.

use std::fmt::{Debug, Write as _};
use std::io;
use std::sync::{Mutex, PoisonError};

use clap::ValueEnum;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::filter::{FilterExt, LevelFilter, Targets};
use tracing_subscriber::layer::Context;
use tracing_subscriber::prelude::*;
use tracing_subscriber::{Layer, fmt, registry};

use super::output::Log;
use crate::domain::clean::clean_output;
use crate::domain::health::LoggedError;
use crate::engine::ports::Clock;
use crate::lambda::logging::{Redacted, level_cap};
use crate::service::clock::SystemClock;
use crate::service::environment::redact;

/// The most characters of [`last_error`].
const MOST_ERROR: usize = 500;

/// The last error of this crate, also if the log filter hides it.
static LAST_ERROR: Mutex<Option<LoggedError>> = Mutex::new(None);

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
    let own_errors = Targets::new().with_target(env!("CARGO_PKG_NAME"), LevelFilter::ERROR);
    let started = registry().with(LastError(&LAST_ERROR).with_filter(own_errors));
    let filter = filter.and(level_cap());
    // Fails if a logger is already set.
    let _ = match format {
        LogFormat::Text => {
            let lines = fmt::layer().with_writer(|| Cleaned(Log)).with_ansi(color);
            started.with(lines.with_filter(filter)).try_init()
        }
        LogFormat::Json => {
            let lines = fmt::layer()
                .with_writer(|| Redacted(Log))
                .json()
                .flatten_event(true)
                .with_current_span(false)
                .with_span_list(false);
            started.with(lines.with_filter(filter)).try_init()
        }
    };
}

/// Returns the last error that this crate logged, cut after 500 characters.
pub fn last_error() -> Option<LoggedError> {
    LAST_ERROR.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// Keeps the last event.
struct LastError(&'static Mutex<Option<LoggedError>>);

impl<S: Subscriber> Layer<S> for LastError {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut text = EventText::default();
        event.record(&mut text);
        let message = text.message + &text.fields;
        let message = redact(&message).chars().take(MOST_ERROR).collect();
        let error = LoggedError { at: SystemClock.now(), message };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
    }
}

/// The message and the other fields of an event.
#[derive(Default)]
struct EventText {
    message: String,
    fields: String,
}

impl Visit for EventText {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.fields, " {name}={value:?}"),
        };
    }
}

/// A writer that removes the values of environment variables in payloads from text records, escapes control characters,
/// see [`clean_output`], and indents all lines of a record
/// but the first, so that text from outside cannot imitate a record. The formatter passes each record in one write.
struct Cleaned<W>(W);

impl<W: io::Write> io::Write for Cleaned<W> {
    fn write(&mut self, record: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(record);
        let text = redact(&text);
        let text = text.trim_end_matches('\n').replace('\n', "\n    ");
        self.0.write_all(format!("{}\n", clean_output(&text)).as_bytes())?;
        Ok(record.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;
    use crate::domain::secret::Environment;
    use crate::service::environment::hide;

    fn written(record: &str) -> String {
        let mut out = Vec::new();
        Cleaned(&mut out).write_all(record.as_bytes()).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn records_have_no_values_of_environment_variables() {
        let value = "log-s3cr\"3t\nline 2";
        hide(Environment::read(["LOGGED"], |_| Some(value.to_owned())).unwrap().redactor());
        assert_eq!(
            written(&format!("WARN body {value}, {value:?}\n")),
            "WARN body ${env:LOGGED}, \"${env:LOGGED}\"\n"
        );
        let mut out = Vec::new();
        let record = format!("{}\n", serde_json::json!({ "body": format!("{:?}", value.as_bytes()) }));
        Redacted(&mut out).write_all(record.as_bytes()).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "{\"body\":\"[${env:LOGGED}]\"}\n");
    }

    #[test]
    fn the_last_error_of_this_crate_is_kept() {
        let last: &'static Mutex<_> = Box::leak(Box::default());
        let own = Targets::new().with_target("warmd", LevelFilter::ERROR);
        let logger = registry().with(LastError(last).with_filter(own));
        let shown = || last.lock().unwrap().as_ref().map(|error: &LoggedError| error.message.clone());
        tracing::subscriber::with_default(logger, || {
            tracing::warn!("a warning");
            tracing::error!(target: "hyper", "of another crate");
            assert_eq!(shown(), None);
            tracing::error!(reason = %"Access\nDenied", metrics = 3, "CloudWatch refused {}", "the metrics");
            assert_eq!(shown().unwrap(), "CloudWatch refused the metrics reason=Access\nDenied metrics=3");
            hide(Environment::read(["LAST"], |_| Some("last-s3cret".to_owned())).unwrap().redactor());
            tracing::error!("it has last-s3cret");
            assert_eq!(shown().unwrap(), "it has ${env:LAST}");
            tracing::error!("{}", "é".repeat(MOST_ERROR + 1));
            assert_eq!(shown().unwrap(), "é".repeat(MOST_ERROR));
        });
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
