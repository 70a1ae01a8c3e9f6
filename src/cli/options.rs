//! Options that several commands share.

use std::path::{Path, PathBuf};
use std::{fs, io};

use clap::Args;
use tracing::warn;

use super::app::App;
use super::error::Failure;
use super::value_parsers::{self, Regions};
use crate::domain::parse::quoted;
use crate::domain::records::{PAUSES, Pauses, REQUESTS, Requests};
use crate::domain::s3_uri::S3Uri;
use crate::service::store::{DocumentStore, Lock, LockError};

/// The configuration.
#[derive(Debug, Clone, Default, Args)]
pub struct Configs {
    /// Configuration: YAML files, directories of *.yaml files, or s3://bucket/prefix. [default: warm-configs]
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Configuration, the same as PATH.
    #[arg(long = "configs", value_name = "PATH", num_args = 1..)]
    configs: Vec<PathBuf>,
}

impl Configs {
    /// Creates the configuration of the option `--configs` alone.
    pub fn of(configs: Vec<PathBuf>) -> Self {
        Self { paths: Vec::new(), configs }
    }

    /// Returns the given paths; `warm-configs` if there are none.
    pub fn paths(&self) -> Vec<PathBuf> {
        if self.paths.is_empty() && self.configs.is_empty() {
            return vec![PathBuf::from("warm-configs")];
        }
        self.paths.iter().chain(&self.configs).cloned().collect()
    }
}

/// The part of the fleet.
#[derive(Debug, Clone, Default, Args)]
pub struct Only {
    /// Regions of the targets to include, separated by commas. [default: all]
    #[arg(long, value_name = "REGION,…", env = "WARMD_REGIONS", hide_env_values = true, default_value = "all",
        hide_default_value = true, value_parser = value_parsers::regions)]
    pub regions: Regions,
}

/// The user's own prices.
#[derive(Debug, Clone, Default, Args)]
pub struct Prices {
    /// YAML file with your own prices, in lines such as `nat-gateway.gb: 0.03`. They take precedence over `prices` in
    /// the configuration.
    #[arg(long, value_name = "FILE")]
    pub prices: Option<PathBuf>,
}

/// The state store.
#[derive(Debug, Clone, Args)]
pub struct StateArgs {
    /// State store: a directory, or s3://bucket/prefix.
    #[arg(long, value_name = "DIR|s3://…", env = "WARMD_STATE", hide_env_values = true)]
    pub state: Option<String>,
}

impl StateArgs {
    /// Returns the store's location, if one is given.
    pub fn location(&self) -> Option<&str> {
        self.state.as_deref().filter(|location| !location.is_empty())
    }

    /// Locks the store for a daemon if it is a directory. Without locks, in a file system that has none for example,
    /// there is a warning only.
    ///
    /// # Errors
    /// Another daemon has locked it.
    pub fn lock(&self) -> Result<Option<(&Path, Lock)>, Failure> {
        let Some(directory) = self.location().filter(|location| S3Uri::parse(location).is_none()) else {
            return Ok(None);
        };
        match Lock::take(Path::new(directory)) {
            Ok(lock) => Ok(Some((Path::new(directory), lock))),
            Err(held @ LockError::Held { .. }) => Err(Failure::Usage(format!(
                "the state directory {} is {held}\nhint: stop that daemon, or set --state to another directory",
                quoted(directory)
            ))),
            Err(error) => {
                warn!(
                    directory,
                    "the state directory cannot be locked: {error}; metrics that CloudWatch does not \
                    accept are not spooled, and a second daemon is not refused"
                );
                Ok(None)
            }
        }
    }

    /// Opens the store.
    ///
    /// # Errors
    /// The location is missing or invalid.
    pub async fn open(&self) -> Result<DocumentStore, Failure> {
        self.open_or("no state store").await
    }

    /// Opens the store. `missing` is the message without a location.
    ///
    /// # Errors
    /// The location is missing or invalid.
    pub async fn open_or(&self, missing: &str) -> Result<DocumentStore, Failure> {
        if self.location().is_none() {
            return Err(Failure::Usage(format!("{missing}\nhint: set --state or WARMD_STATE")));
        }
        App::aws().await.documents(self.location())
    }

    /// Opens the store to read it, as [`StateArgs::open_or`].
    ///
    /// # Errors
    /// The location is missing or invalid, or it is a directory that does not exist: nothing was ever written there.
    pub async fn open_existing(&self, missing: &str) -> Result<DocumentStore, Failure> {
        let directory = self.location().filter(|location| S3Uri::parse(location).is_none());
        match directory.map(|directory| (directory, fs::metadata(directory))) {
            Some((directory, Err(error))) if error.kind() == io::ErrorKind::NotFound => {
                Err(Failure::Usage(format!(
                    "the state directory {} does not exist\nhint: check --state or WARMD_STATE; `warmd run` and \
                     `warmd pause` create the directory",
                    quoted(directory)
                )))
            }
            _ => self.open_or(missing).await,
        }
    }

    /// Reads requests and pauses. Without a store there are none.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn known(&self) -> Result<(Requests, Pauses), Failure> {
        if self.location().is_none() {
            return Ok(Default::default());
        }
        let store = self.open_existing("no state store").await?;
        let both = tokio::try_join!(store.read(REQUESTS), store.read(PAUSES));
        both.map_err(|error| Failure::Unexpected(error.to_string()))
    }
}
