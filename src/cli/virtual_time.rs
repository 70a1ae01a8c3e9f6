//! Commands on virtual time.

use tokio::runtime;

use super::error::Failure;

/// Runs an asynchronous command on virtual time: whenever all tasks wait, the clock moves to the next timer. Its I/O is
/// inside the process.
///
/// # Errors
/// The error of the command, or the runtime cannot be started.
pub fn block_on_virtual<T>(command: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
    let runtime = runtime.map_err(|error| Failure::Unexpected(format!("cannot start a runtime: {error}")))?;
    runtime.block_on(command)
}
