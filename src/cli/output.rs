//! Standard output: data, and nothing else.

use std::io::{self, IsTerminal, Write};

use serde::Serialize;

use super::args::Color;
use super::render::{Fit, Style};
use crate::domain::clean::clean_output;

/// How the text of a command is styled on standard output.
pub fn style(color: Color) -> Style {
    let terminal = io::stdout().is_terminal();
    Style { color: colored(color, terminal), fit: if terminal { Fit::Terminal } else { Fit::Whole } }
}

/// Whether what goes to standard error is coloured.
pub fn color_on_stderr(color: Color) -> bool {
    colored(color, io::stderr().is_terminal())
}

fn colored(color: Color, terminal: bool) -> bool {
    match color {
        Color::Always => true,
        Color::Never => false,
        // https://no-color.org: present and not empty.
        Color::Auto => terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
    }
}

/// Writes text for people to standard output, without control characters other than line feeds and colours.
///
/// # Errors
/// As [`print_data`].
pub fn print(text: &str) -> io::Result<()> {
    print_data(&clean_output(text))
}

/// Writes what programs read to standard output, as it is.
///
/// # Errors
/// The operating system's, except that a reader who has gone away (`warmd … | head`) is not an error.
pub fn print_data(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

/// Writes `value` to standard output as one line of JSON.
///
/// # Errors
/// As [`print_data`].
pub fn print_json(value: &impl Serialize) -> io::Result<()> {
    let mut line = serde_json::to_string(value)?;
    line.push('\n');
    print_data(&line)
}

/// Writes a message of the command line's own to standard error: one that is not a log record.
pub fn complain(message: &str) {
    // When standard error is gone as well, nobody is left to tell.
    let _ = writeln!(io::stderr().lock(), "{}", clean_output(message));
}
