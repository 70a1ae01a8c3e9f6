//! Standard output (data, and nothing else) and standard error.

use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::ValueEnum;
use rustix::termios::tcgetwinsize;
use serde::Serialize;
use tokio::time::timeout;

use super::exit::Exit;
use super::outlet::{Delivered, Outlet, Overflow, Pushed};
use super::render::{Fit, Style};
use super::signals::Termination;
use crate::domain::clean::clean_output;
use crate::service::environment::redact;

/// The longest time that a stopping daemon waits for the readers of its output.
const LAST_OUTPUT: Duration = Duration::from_secs(2);

/// Use of colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless NO_COLOR is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// Returns the style of text on standard output.
pub fn style(color: Color) -> Style {
    let terminal = io::stdout().is_terminal();
    let columns = || tcgetwinsize(io::stdout()).ok().map(|size| size.ws_col.into());
    Style {
        color: colored(color, terminal),
        fit: if terminal { Fit::terminal(columns()) } else { Fit::Whole },
    }
}

/// Returns true if messages on standard error are coloured.
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

/// Writer threads of the streams, in a process that handles signals.
static THREADS: OnceLock<Threads> = OnceLock::new();

/// Set when the reader of standard output closed it, in a process without [`THREADS`].
static CLOSED: AtomicBool = AtomicBool::new(false);

#[derive(Debug)]
struct Threads {
    overflow: Overflow,
    stdout: Outlet,
    stderr: Outlet,
}

/// Starts writer threads for both streams, so that printing never waits for a reader. Processes that handle signals
/// need them; in others printing blocks, and a signal ends the process.
///
/// # Errors
/// An error of the operating system.
pub fn start_threads(overflow: Overflow) -> io::Result<()> {
    // Duplicated descriptors: a blocked thread must not hold the locks of the standard streams.
    let stdout = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    let stderr = File::from(io::stderr().as_fd().try_clone_to_owned()?);
    let stdout = Outlet::start("standard output", overflow, stdout)?;
    let stderr = Outlet::start("standard error", overflow, stderr)?;
    // Later calls have no effect.
    let _ = THREADS.set(Threads { overflow, stdout, stderr });
    Ok(())
}

/// Waits until all output is written. The daemon, and a command that ends with [`Exit::Interrupted`], wait at most
/// [`LAST_OUTPUT`]. Other commands wait until SIGINT or SIGTERM.
///
/// # Errors
/// The output of a command could not be written.
pub fn finish(exit: Exit) -> io::Result<Delivered> {
    let Some(threads) = THREADS.get() else {
        return Ok(if CLOSED.load(Ordering::Relaxed) { Delivered::Closed } else { Delivered::Done });
    };
    threads.stdout.report_dropped();
    threads.stderr.report_dropped();
    let written = tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let drained = async { tokio::join!(threads.stdout.drained(), threads.stderr.drained()) };
        match (threads.overflow, exit) {
            (Overflow::DropAbove(_), _) | (_, Exit::Interrupted) => {
                // The process drops the rest.
                let _ = timeout(LAST_OUTPUT, drained).await;
                Ok(true)
            }
            (Overflow::Keep, _) => {
                let mut termination = Termination::listen()?;
                tokio::select! {
                    biased;
                    _ = drained => Ok::<bool, io::Error>(true),
                    _ = termination.next() => Ok(false),
                }
            }
        }
    })?;
    if let Some(error) = threads.stdout.take_failure() {
        return Err(error);
    }
    Ok(match written {
        false => Delivered::Abandoned,
        // A daemon continues without a reader, so a closed output does not change its exit code.
        true if threads.stdout.is_closed() && threads.overflow == Overflow::Keep => Delivered::Closed,
        true => Delivered::Done,
    })
}

/// Writes text for people to standard output. Escapes control characters except line feeds and colours.
///
/// # Errors
/// Same as [`print_data`].
pub fn print(text: &str) -> io::Result<()> {
    print_data(&clean_output(text))
}

/// Writes text for programs to standard output, unchanged.
///
/// # Errors
/// An error of the operating system. A closed pipe (`warmd … | head`) is not an error.
pub fn print_data(text: &str) -> io::Result<()> {
    if let Some(threads) = THREADS.get() {
        // The outlet counts dropped messages.
        threads.stdout.push(text.into());
        return Ok(());
    }
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
            CLOSED.store(true, Ordering::Relaxed);
            Ok(())
        }
        result => result,
    }
}

/// Writes `value` to standard output as one line of JSON.
///
/// # Errors
/// Same as [`print_data`].
pub fn print_json(value: &impl Serialize) -> io::Result<()> {
    let mut line = serde_json::to_string(value)?;
    line.push('\n');
    print_data(&line)
}

/// Writes a message to standard error. It is not a log record.
pub fn print_message(message: &str) {
    // A failure cannot be reported anywhere.
    let _ = Stderr.write_all(format!("{}\n", clean_output(&redact(message))).as_bytes());
}

/// Standard error or its writer thread. Each write is one message.
#[derive(Debug, Clone, Copy)]
pub struct Stderr;

impl Write for Stderr {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(threads) = THREADS.get() else {
            return io::stderr().lock().write(bytes);
        };
        match threads.stderr.push(bytes.to_vec()) {
            Pushed::Queued => Ok(bytes.len()),
            Pushed::Dropped => Err(io::Error::other("its reader does not read")),
            Pushed::Closed => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// [`Stderr`] without errors, for log records. The logger prints write errors on standard error, and panics if that
/// fails.
#[derive(Debug, Clone, Copy)]
pub struct Log;

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _ = Stderr.write_all(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
