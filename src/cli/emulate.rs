//! `warmd emulate`: serves the embedded emulator.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::Args;
use tracing::info;

use super::error::Failure;
use super::exit::Exit;
use super::output::print;
use super::signals::Termination;
use crate::emulator::{self, Emulator, Scenario, Tls};

const EXAMPLES: &str = "\
Examples:
  warmd emulate --listen 127.0.0.1:9000
  AWS_ENDPOINT_URL=http://127.0.0.1:9000 AWS_ACCESS_KEY_ID=x AWS_SECRET_ACCESS_KEY=x \\
      warmd run --once

Prints `listening on http://ADDR` when it is ready. Stops on SIGTERM or SIGINT.";

/// A functions file and the paths for control, with titles.
const FUNCTIONS: &str = include_str!("help/emulate.txt");

/// `warmd emulate`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, after_long_help = format!("{EXAMPLES}\n\n{FUNCTIONS}"))]
pub struct EmulateArgs {
    /// Address and port. Port 0 selects a free one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9000")]
    pub listen: SocketAddr,
    /// YAML file with function profiles. [default: every function exists, with the default profile]
    #[arg(long, value_name = "FILE")]
    pub functions: Option<PathBuf>,
    /// PEM file with the certificate chain. Enables TLS with HTTP/2 and HTTP/1.1.
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// PEM file with the private key of the certificate.
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
}

/// Serves until SIGTERM or SIGINT.
///
/// # Errors
/// An invalid file or an address that is in use.
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
        // clap requires both or none.
        _ => None,
    };
    let unexpected = |error: std::io::Error| Failure::Unexpected(error.to_string());
    let mut termination = Termination::listen().map_err(unexpected)?;
    let in_use = |error| Failure::Usage(format!("cannot listen on {}: {error}", args.listen));
    let listener = emulator::listen(args.listen).map_err(in_use)?;
    let scheme = if tls.is_some() { "https" } else { "http" };
    print(&format!("listening on {scheme}://{}\n", listener.local_addr().map_err(unexpected)?))?;
    let stopped = async {
        let signal = termination.next().await;
        info!(signal, "stopped");
    };
    Emulator::new(scenario).serve(listener, tls, stopped).await;
    Ok(Exit::Success)
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    fs::read(path).map_err(|error| Failure::Usage(format!("{}: {error}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_functions_file_of_the_help_is_valid() {
        let (file, _) = FUNCTIONS.split_once("\n\n").unwrap();
        let (_, yaml) = file.split_once('\n').unwrap();
        emulator::functions::parse("help", yaml).unwrap();
    }
}
