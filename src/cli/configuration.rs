//! The configuration that a command was given, and whether its files have changed since.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::args::{Configs, Only, Prices};
use super::error::Failure;
use super::values::Regions;
use crate::config::{self, Loaded, Problems};
use crate::domain::fleet::{Fleet, Target};

/// Where a configuration comes from, and which part of it is meant.
#[derive(Debug, Clone)]
pub struct Origin {
    paths: Vec<PathBuf>,
    only: Only,
    prices: Prices,
}

impl Origin {
    /// As the command line says.
    pub fn new(configs: &Configs, only: &Only) -> Self {
        Self { paths: configs.paths(), only: only.clone(), prices: Prices::default() }
    }

    /// A single path.
    pub fn of_path(path: &Path, only: &Only) -> Self {
        Self { paths: vec![path.to_owned()], only: only.clone(), prices: Prices::default() }
    }

    /// The same, with prices of a file of their own before those of the configuration.
    #[must_use]
    pub fn with_prices(self, prices: &Prices) -> Self {
        Self { prices: prices.clone(), ..self }
    }

    /// Reads and checks it.
    ///
    /// # Errors
    /// Every mistake in every file.
    pub fn load(&self) -> Result<Loaded, Problems> {
        let filter = match &self.only.regions {
            Regions::All => None,
            Regions::Only(regions) => Some(regions.as_slice()),
        };
        let mut loaded = config::load(&self.paths, filter)?;
        loaded.fleet.prices = self.prices.over(loaded.fleet.prices)?;
        Ok(loaded)
    }

    /// What tells whether a file has changed, come or gone. `attachments` are files that the configuration names.
    pub fn fingerprint(&self, attachments: &[PathBuf]) -> Fingerprint {
        let mut files = Vec::new();
        for path in self.paths.iter().chain(attachments).chain(&self.prices.prices) {
            match fs::read_dir(path) {
                Ok(entries) => {
                    files.extend(entries.filter_map(Result::ok).map(|entry| Stamp::of(&entry.path())))
                }
                Err(_) => files.push(Stamp::of(path)),
            }
        }
        files.sort();
        Fingerprint(files)
    }
}

/// What tells whether files have changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fingerprint(Vec<Stamp>);

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Stamp {
    path: PathBuf,
    modified: Option<SystemTime>,
    length: Option<u64>,
}

impl Stamp {
    /// Symbolic links are followed: a mounted ConfigMap changes by a link that points elsewhere.
    fn of(path: &Path) -> Self {
        let metadata = fs::metadata(path).ok();
        Self {
            path: path.to_owned(),
            modified: metadata.as_ref().and_then(|metadata| metadata.modified().ok()),
            length: metadata.map(|metadata| metadata.len()),
        }
    }
}

/// The fleet that a command was given.
///
/// # Errors
/// Every mistake in every file.
pub fn load(configs: &Configs, only: &Only) -> Result<Fleet, Failure> {
    Ok(Origin::new(configs, only).load()?.fleet)
}

/// The most environments that the target ever wants: the pings of its largest round.
pub fn highest(target: &Target) -> u32 {
    let windows = target.windows.iter().map(|window| window.concurrency);
    windows.max().map_or(0, |highest| highest.saturating_add(target.spare))
}

/// The pings of the largest round that the fleet ever needs.
pub fn largest(fleet: &Fleet) -> u32 {
    fleet.targets.iter().map(highest).max().unwrap_or(0)
}
