//! The sources of a configuration: files, directories, or a prefix in S3.

use std::fs;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use super::environment;
use super::s3_config::{S3ConfigSource, Text, problem};
use crate::config::{self, Loaded, Problems, Regions, SourceFile};
use crate::domain::fleet::{Fleet, Target};
use crate::domain::function::Region;
use crate::domain::s3_uri::S3Uri;
use crate::engine::ports::ObjectStore;

/// The path and the version of every file or object of a configuration.
pub type Fingerprint = Vec<(String, String)>;

/// A source of configurations, and the part of the fleet that is used.
#[derive(Debug, Clone)]
pub struct ConfigSource {
    backend: Backend,
    regions: Regions,
    prices: Option<PathBuf>,
    /// The configurations are for pings, so their payloads need the environment variables that they name.
    is_bound: bool,
    /// The process has no durable state store, which strategies that change capacity need.
    lacks_store: bool,
}

#[derive(Debug, Clone)]
enum Backend {
    /// Files and directories.
    Files(Vec<PathBuf>),
    /// A prefix of a bucket.
    S3(Arc<S3ConfigSource>),
    /// A source that cannot be read, with the reason.
    Invalid(Problems),
}

impl ConfigSource {
    /// Creates a source of these paths without reading anything. `connect` returns the object store under an S3 prefix;
    /// its error is reported by every read.
    pub fn new(
        paths: Vec<PathBuf>,
        regions: Regions,
        connect: impl FnOnce(&S3Uri) -> Result<Arc<dyn ObjectStore>, String>,
    ) -> Self {
        let backend = Backend::new(paths, connect);
        Self { backend, regions, prices: None, is_bound: false, lacks_store: false }
    }

    /// Returns the source with the prices of a file in place of those of the configuration.
    #[must_use]
    pub fn with_prices(self, prices: Option<PathBuf>) -> Self {
        Self { prices, ..self }
    }

    /// Returns the source of configurations whose pings are sent: their payloads have the values of the environment
    /// variables of this process. A configuration with a variable that is not set is refused. The values are removed
    /// from logs.
    #[must_use]
    pub fn for_pings(self) -> Self {
        Self { is_bound: true, ..self }
    }

    /// Returns the source of configurations of a process that changes capacity, and has a durable state store or not.
    /// Without one, a configuration with such a strategy is refused.
    #[must_use]
    pub fn for_capacity(self, has_store: bool) -> Self {
        Self { lacks_store: !has_store, ..self }
    }

    /// The regions whose targets are used.
    pub fn regions(&self) -> &Regions {
        &self.regions
    }

    /// Reads and checks the configuration.
    ///
    /// # Errors
    /// Every problem in every file.
    pub async fn load(&self) -> Result<Loaded, Problems> {
        let loaded = match &self.backend {
            Backend::Files(paths) => {
                let (paths, regions) = (paths.clone(), self.regions.clone());
                off_thread(move || config::load(&paths, filter(&regions))).await?
            }
            Backend::S3(source) => {
                source.refresh().await?;
                source.load(filter(&self.regions)).await?
            }
            Backend::Invalid(problems) => return Err(problems.clone()),
        };
        self.checked(self.priced(loaded).await?)
    }

    /// Returns the newest published version before the one that [`ConfigSource::load`] read which is valid and
    /// `accepted`, and the time of its replacement. Files have no earlier versions.
    pub async fn earlier(&self, accepted: impl Fn(&Loaded) -> bool) -> Option<(Loaded, String)> {
        let Backend::S3(source) = &self.backend else { return None };
        let has_checks = self.is_bound || self.lacks_store;
        let accepted =
            |loaded: &Loaded| accepted(loaded) && (!has_checks || self.checked(loaded.clone()).is_ok());
        let (loaded, replaced) = source.earlier(filter(&self.regions), accepted).await?;
        Some((self.checked(self.priced(loaded).await.ok()?).ok()?, replaced))
    }

    /// Returns the configuration if this process can carry it out, with the values of environment variables.
    fn checked(&self, mut loaded: Loaded) -> Result<Loaded, Problems> {
        let mut problems = if self.lacks_store { loaded.without_store() } else { Problems::default() };
        if self.is_bound {
            match loaded.bind(environment::variable) {
                Ok(environment) => environment::hide(environment.redactor()),
                Err(missing) => problems.append(missing),
            }
        }
        if problems.list.is_empty() { Ok(loaded) } else { Err(problems) }
    }

    async fn priced(&self, mut loaded: Loaded) -> Result<Loaded, Problems> {
        let Some(path) = self.prices.clone() else { return Ok(loaded) };
        off_thread(move || {
            loaded.fleet.prices = config::load_prices(&path, &loaded.fleet.prices)?;
            Ok(loaded)
        })
        .await
    }

    /// Returns the texts of the files that [`ConfigSource::load`] read.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn texts(&self, loaded: &Loaded) -> Result<Vec<Text>, Problems> {
        if let Backend::S3(source) = &self.backend {
            return source.texts();
        }
        let attachment = |path: &PathBuf| {
            let text = fs::read_to_string(path)
                .map_err(|error| problem(&path.to_string_lossy(), format!("cannot be read: {error}")))?;
            Ok(Text { path: normalized(path)?, configuration: false, text })
        };
        let file = |file: &SourceFile| {
            let path = normalized(Path::new(&file.path))?;
            Ok(Text { path, configuration: true, text: file.text.clone() })
        };
        loaded.attachments().iter().map(attachment).chain(loaded.files().iter().map(file)).collect()
    }

    /// Returns a value that changes when a file changes, is added or is removed. `attachments` are files that the
    /// configuration names.
    ///
    /// # Errors
    /// When the source cannot be read.
    pub async fn fingerprint(&self, attachments: &[PathBuf]) -> Result<Fingerprint, Problems> {
        let paths = match &self.backend {
            Backend::Files(paths) => paths,
            Backend::S3(source) => return source.refresh().await,
            Backend::Invalid(problems) => return Err(problems.clone()),
        };
        let paths: Vec<PathBuf> = paths.iter().chain(attachments).chain(&self.prices).cloned().collect();
        off_thread(move || Ok(fingerprint(&paths))).await
    }

    /// Returns the warning for a fleet that has nothing to warm in the selected regions.
    pub fn empty_warning(&self, fleet: &Fleet) -> Option<String> {
        if fleet.targets.iter().any(Target::is_warmed) {
            return None;
        }
        Some(match &self.regions {
            Regions::All => "the configuration has nothing to warm".to_owned(),
            Regions::Only(regions) => {
                let regions: Vec<&str> = regions.iter().map(|region| region.as_str()).collect();
                format!(
                    "the configuration has nothing to warm in {} (--regions, WARMD_REGIONS)",
                    regions.join(", ")
                )
            }
        })
    }
}

impl Backend {
    fn new(
        paths: Vec<PathBuf>,
        connect: impl FnOnce(&S3Uri) -> Result<Arc<dyn ObjectStore>, String>,
    ) -> Self {
        let Some((path, uri)) = paths.iter().find_map(|path| Some((path, S3Uri::of_path(path)?))) else {
            return Self::Files(paths);
        };
        if paths.len() > 1 {
            let message = "a configuration in S3 stands alone, without other paths";
            return Self::Invalid(problem(&path.to_string_lossy(), message));
        }
        match uri {
            Err(reason) => Self::Invalid(problem(&path.to_string_lossy(), reason)),
            Ok(uri) => match connect(&uri) {
                Ok(objects) => Self::S3(Arc::new(S3ConfigSource::new(uri, objects))),
                Err(reason) => Self::Invalid(problem(&uri.to_string(), format!("cannot be read: {reason}"))),
            },
        }
    }
}

fn filter(regions: &Regions) -> Option<&[Region]> {
    match regions {
        Regions::All => None,
        Regions::Only(regions) => Some(regions),
    }
}

/// Runs file I/O and parsing on a thread for blocking work.
async fn off_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Problems> + Send + 'static,
) -> Result<T, Problems> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(problem("configuration", format!("cannot be read: {error}"))))
}

/// Returns the metadata of files, and of the files in directories.
fn fingerprint(paths: &[PathBuf]) -> Fingerprint {
    let mut versions = Vec::new();
    let mut add = |path: &Path| {
        // Follows symbolic links: an update of a mounted ConfigMap changes a link.
        let metadata = fs::metadata(path).ok().map(|metadata| (metadata.modified().ok(), metadata.len()));
        versions.push((path.to_string_lossy().into_owned(), format!("{metadata:?}")));
    };
    for path in paths {
        match fs::read_dir(path) {
            Ok(entries) => entries.filter_map(Result::ok).for_each(|entry| add(&entry.path())),
            Err(_) => add(path),
        }
    }
    versions.sort();
    versions
}

/// Returns an absolute path without `.` and `..`. Links are not resolved.
fn normalized(path: &Path) -> Result<PathBuf, Problems> {
    let absolute =
        std::path::absolute(path).map_err(|error| problem(&path.to_string_lossy(), error.to_string()))?;
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
