//! The configuration that a command was given, and whether its files have changed since.

use std::fs;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use super::error::Failure;
use super::options::{Configs, Only, Prices};
use super::remote::{self, S3ConfigSource, Text};
use super::value_parsers::Regions;
use crate::config::{self, Loaded, Problems, SourceFile};
use crate::domain::fleet::{Fleet, Target};
use crate::domain::function::Region;
use crate::domain::s3_uri::S3Uri;

/// Where a configuration comes from, and which part of it is meant.
#[derive(Debug, Clone)]
pub struct Origin {
    source: Source,
    only: Only,
    prices: Prices,
}

#[derive(Debug, Clone)]
enum Source {
    /// Files and directories.
    Files(Vec<PathBuf>),
    /// A prefix of a bucket.
    S3(Arc<S3ConfigSource>),
    /// Nothing that can be read, and why.
    Wrong(Problems),
}

impl Source {
    fn of(paths: Vec<PathBuf>) -> Self {
        let remote = paths.iter().find_map(|path| Some((path, S3Uri::of_path(path)?)));
        let Some((path, place)) = remote else {
            return Self::Files(paths);
        };
        let wrong = |reason| Self::Wrong(remote::problem(&path.to_string_lossy(), reason));
        if paths.len() > 1 {
            return wrong("a configuration in S3 stands alone, without other paths".to_owned());
        }
        match place.and_then(S3ConfigSource::new) {
            Ok(remote) => Self::S3(Arc::new(remote)),
            Err(reason) => wrong(reason),
        }
    }
}

impl Origin {
    /// As the command line says.
    pub fn new(configs: &Configs, only: &Only) -> Self {
        Self { source: Source::of(configs.paths()), only: only.clone(), prices: Prices::default() }
    }

    /// Several paths.
    pub fn of_paths(paths: Vec<PathBuf>, only: &Only) -> Self {
        Self { source: Source::of(paths), only: only.clone(), prices: Prices::default() }
    }

    /// A single path.
    pub fn of_path(path: &Path, only: &Only) -> Self {
        Self { source: Source::of(vec![path.to_owned()]), only: only.clone(), prices: Prices::default() }
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
        let filter = self.filter();
        let mut loaded = match &self.source {
            Source::Files(paths) => config::load(paths, filter)?,
            Source::S3(remote) => remote.refresh().and_then(|_| remote.load(filter))?,
            Source::Wrong(problems) => return Err(problems.clone()),
        };
        loaded.fleet.prices = self.prices.over(loaded.fleet.prices)?;
        Ok(loaded)
    }

    /// The newest published version before the one that [`Origin::load`] saw which is sound and `accepted`, and when
    /// it was replaced, as its manifest says. Of files there is none.
    pub fn earlier(&self, accepted: &dyn Fn(&Loaded) -> bool) -> Option<(Loaded, String)> {
        let Source::S3(remote) = &self.source else { return None };
        let (mut loaded, replaced) = remote.earlier(self.filter(), accepted)?;
        loaded.fleet.prices = self.prices.over(loaded.fleet.prices).ok()?;
        Some((loaded, replaced))
    }

    /// The texts that make what [`Origin::load`] has loaded.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn texts(&self, loaded: &Loaded) -> Result<Vec<Text>, Failure> {
        if let Source::S3(remote) = &self.source {
            return Ok(remote.texts()?);
        }
        let named = |path: &PathBuf| {
            let text = fs::read_to_string(path)
                .map_err(|error| Failure::Usage(format!("{}: cannot be read: {error}", path.display())))?;
            Ok(Text { path: plain(path)?, configuration: false, text })
        };
        let file = |file: &SourceFile| {
            let path = plain(Path::new(&file.path))?;
            Ok(Text { path, configuration: true, text: file.text.clone() })
        };
        loaded.attachments().iter().map(named).chain(loaded.files().iter().map(file)).collect()
    }

    fn filter(&self) -> Option<&[Region]> {
        match &self.only.regions {
            Regions::All => None,
            Regions::Only(regions) => Some(regions),
        }
    }

    /// What tells whether a file has changed, come or gone. `attachments` are files that the configuration names.
    ///
    /// # Errors
    /// When that cannot be known.
    pub fn fingerprint(&self, attachments: &[PathBuf]) -> Result<Fingerprint, Problems> {
        let paths = match &self.source {
            Source::Files(paths) => paths,
            Source::S3(remote) => return Ok(Fingerprint::Objects(remote.refresh()?)),
            Source::Wrong(problems) => return Err(problems.clone()),
        };
        let mut files = Vec::new();
        for path in paths.iter().chain(attachments).chain(&self.prices.prices) {
            match fs::read_dir(path) {
                Ok(entries) => {
                    files.extend(entries.filter_map(Result::ok).map(|entry| Stamp::of(&entry.path())))
                }
                Err(_) => files.push(Stamp::of(path)),
            }
        }
        files.sort();
        Ok(Fingerprint::Files(files))
    }
}

/// An absolute path without `.` and `..`, as far as the text tells.
fn plain(path: &Path) -> Result<PathBuf, Failure> {
    let absolute = std::path::absolute(path).map_err(|error| Failure::Unexpected(error.to_string()))?;
    let mut out = PathBuf::new();
    for component in absolute.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                out.pop();
            }
            other => out.push(other),
        }
    }
    Ok(out)
}

/// What tells whether files have changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fingerprint {
    /// Of files.
    Files(Vec<Stamp>),
    /// Of objects: path and version of each.
    Objects(Vec<(String, String)>),
}

/// What tells whether a file has changed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stamp {
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

/// The pings of the largest round that the fleet ever needs.
pub fn largest(fleet: &Fleet) -> u32 {
    fleet.targets.iter().map(Target::highest).max().unwrap_or(0)
}
