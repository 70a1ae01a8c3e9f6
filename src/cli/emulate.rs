//! `warmd emulate`: the embedded emulator as a server.

use std::fs;
use std::path::Path;

use tracing::info;

use super::args::EmulateArgs;
use super::error::Failure;
use super::exit::Exit;
use super::output::print;
use super::signals::Termination;
use crate::emulator::{self, Emulator, Scenario, Tls};

/// Serves until a signal ends it.
///
/// # Errors
/// Files that cannot be used, and an address that cannot be listened on.
pub async fn emulate(args: &EmulateArgs) -> Result<Exit, Failure> {
    let scenario = match &args.functions {
        Some(path) => emulator::functions::load(path).map_err(|error| Failure::Usage(error.to_string()))?,
        None => Scenario::default(),
    };
    let tls = match (&args.tls_cert, &args.tls_key) {
        (Some(certificates), Some(key)) => {
            let (certificates, key) = (read(certificates)?, read(key)?);
            Some(Tls::from_pem(&certificates, &key).map_err(|error| Failure::Usage(error.to_string()))?)
        }
        // The parser asks for both or none.
        _ => None,
    };
    let unexpected = |error: std::io::Error| Failure::Unexpected(error.to_string());
    let mut termination = Termination::listen().map_err(unexpected)?;
    let cannot = |error| Failure::Usage(format!("cannot listen on {}: {error}", args.listen));
    let listener = emulator::listen(args.listen).map_err(cannot)?;
    let scheme = if tls.is_some() { "https" } else { "http" };
    print(&format!("listening on {scheme}://{}\n", listener.local_addr().map_err(unexpected)?))?;
    let ended = async {
        let signal = termination.next().await;
        info!(signal, "stopped");
    };
    Emulator::new(scenario).serve(listener, tls, ended).await;
    Ok(Exit::Success)
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    fs::read(path).map_err(|error| Failure::Usage(format!("{}: {error}", path.display())))
}
