//! Logs on standard error.

use std::io;

use tracing_subscriber::EnvFilter;

use super::args::LogFormat;

/// Starts logging to standard error. Later calls do nothing.
///
/// `filter` has been checked when it was parsed; text that is none after all logs warnings and errors.
pub fn start(format: LogFormat, filter: &str, color: bool) {
    let filter = EnvFilter::try_new(filter).unwrap_or_else(|_| EnvFilter::new("warn"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    // A logger that somebody else has set is as good.
    let _ = match format {
        LogFormat::Text => builder.with_ansi(color).try_init(),
        LogFormat::Json => {
            builder.json().flatten_event(true).with_current_span(false).with_span_list(false).try_init()
        }
    };
}

/// Starts logging in a Lambda: JSON lines that carry the request id of the invocation in `span.requestId`.
pub fn start_in_lambda(filter: &str) {
    let filter = EnvFilter::try_new(filter).unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    // A logger that somebody else has set is as good.
    let _ = builder.json().flatten_event(true).with_current_span(true).with_span_list(false).try_init();
}
