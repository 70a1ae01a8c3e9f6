//! Logs on standard error.

use std::io;

use clap::ValueEnum;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::prelude::*;
use tracing_subscriber::{fmt, registry};

use super::output::Log;
use crate::domain::clean::clean_output;
use crate::lambda::logging::{Redacted, level_cap};
use crate::service::environment::redact;

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
    let started = registry().with(filter).with(level_cap());
    // Fails if a logger is already set.
    let _ = match format {
        LogFormat::Text => {
            started.with(fmt::layer().with_writer(|| Cleaned(Log)).with_ansi(color)).try_init()
        }
        LogFormat::Json => {
            let lines = fmt::layer()
                .with_writer(|| Redacted(Log))
                .json()
                .flatten_event(true)
                .with_current_span(false)
                .with_span_list(false);
            started.with(lines).try_init()
        }
    };
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
    fn a_record_cannot_imitate_another_or_move_the_cursor() {
        assert_eq!(written("\x1b[2mtime\x1b[0m INFO warm\n"), "\x1b[2mtime\x1b[0m INFO warm\n");
        assert_eq!(
            written("INFO no key\n2026-11-20T09:00:00Z ERROR forged\u{202e}\x1b[2J\r\n"),
            "INFO no key\n    2026-11-20T09:00:00Z ERROR forged\\u{202e}\\u{1b}[2J\\r\n"
        );
    }
}
