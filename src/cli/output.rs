//! Standard output (data, and nothing else) and standard error.

use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde::Serialize;
use tokio::time::timeout;

use super::exit::Exit;
use super::options::Color;
use super::outlet::{Delivered, Outlet, Overflow, Pushed};
use super::render::{Fit, Style};
use super::signals::Termination;
use crate::domain::clean::clean_output;

/// The longest time that the daemon waits at its end for the readers of its output.
const LAST_OUTPUT: Duration = Duration::from_secs(2);

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

/// The streams of a process that listens for signals, each with a thread of its own.
static THREADS: OnceLock<Threads> = OnceLock::new();

/// The reader of standard output has closed its end, in a process without [`THREADS`].
static CLOSED: AtomicBool = AtomicBool::new(false);

#[derive(Debug)]
struct Threads {
    overflow: Overflow,
    stdout: Outlet,
    stderr: Outlet,
}

/// From now on both streams are written by threads of their own, and printing never waits for a reader. For processes
/// that listen for signals; the others wait in place, and a signal ends them.
///
/// # Errors
/// The operating system's.
pub fn start_threads(overflow: Overflow) -> io::Result<()> {
    // Copies of the descriptors: a thread that is blocked must not hold the locks of the standard streams.
    let stdout = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    let stderr = File::from(io::stderr().as_fd().try_clone_to_owned()?);
    let stdout = Outlet::start("standard output", overflow, stdout)?;
    let stderr = Outlet::start("standard error", overflow, stderr)?;
    // The first call counts.
    let _ = THREADS.set(Threads { overflow, stdout, stderr });
    Ok(())
}

/// Waits until all that was printed is written. The daemon, and a command that ends with [`Exit::Interrupted`], wait for
/// [`LAST_OUTPUT`] at most; any other command waits until SIGINT or SIGTERM.
///
/// # Errors
/// Why the output of a command could not be written.
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
                // What is left is dropped with the process.
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
        // A daemon goes on without a reader: its exit code is not the reader's affair.
        true if threads.stdout.is_closed() && threads.overflow == Overflow::Keep => Delivered::Closed,
        true => Delivered::Done,
    })
}

/// Writes text for people to standard output, without control characters other than line feeds and colours.
///
/// # Errors
/// As [`print_data`].
pub fn print(text: &str) -> io::Result<()> {
    print_data(&clean_output(text))
}

/// Writes what programs read to standard output as it is, or hands it to the thread that does.
///
/// # Errors
/// The operating system's, except that a reader who has gone away (`warmd … | head`) is not an error.
pub fn print_data(text: &str) -> io::Result<()> {
    if let Some(threads) = THREADS.get() {
        // What is dropped is counted there.
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
/// As [`print_data`].
pub fn print_json(value: &impl Serialize) -> io::Result<()> {
    let mut line = serde_json::to_string(value)?;
    line.push('\n');
    print_data(&line)
}

/// Writes a message of the command line's own to standard error: one that is not a log record.
pub fn complain(message: &str) {
    // When standard error is gone as well, nobody is left to tell.
    let _ = Stderr.write_all(format!("{}\n", clean_output(message)).as_bytes());
}

/// Standard error, or the thread that writes it. Each write is one message.
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

/// [`Stderr`] for log records. Never fails: the logger would print the error on standard error, and panic when it
/// cannot.
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
