//! A configuration in S3: the version that a manifest names, or the YAML objects under a prefix.
//!
//! Objects are read again only when they have changed. A manifest names every object of its version, and objects of a
//! version never change: a reader sees the old configuration or the new one, never a mixture.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use super::manifest::{ConfigVersion, MANIFEST, Manifest};
use crate::config::{self, Loaded, Problem, Problems, SourceFile};
use crate::domain::function::Region;
use crate::domain::s3_uri::S3Uri;
use crate::engine::ports::{Fetched, ObjectStore, ObjectStoreError, Version};

/// The most objects that are read without a manifest.
const MOST_OBJECTS: usize = 1_000;
/// The most bytes of an object, as of a configuration file.
const MOST_BYTES: usize = 8 << 20;
/// The most bytes of all objects together, as of all configuration files.
const MOST_TOTAL_BYTES: usize = 64 << 20;

/// The text of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    /// Its path: absolute, or relative to a configuration in S3.
    pub path: PathBuf,
    /// True for a configuration file; false for a file that a configuration file names.
    pub configuration: bool,
    /// Its content.
    pub text: String,
}

/// A configuration in S3.
#[derive(Debug)]
pub struct S3ConfigSource {
    uri: S3Uri,
    objects: Arc<dyn ObjectStore>,
    snapshot: Mutex<Arc<Snapshot>>,
}

/// The objects of a configuration as they were read.
#[derive(Debug, Clone, Default)]
struct Snapshot {
    manifest: Option<(Version, Manifest)>,
    /// By path relative to the configuration.
    files: BTreeMap<String, SnapshotFile>,
}

#[derive(Debug, Clone)]
struct SnapshotFile {
    key: String,
    version: Version,
    configuration: bool,
    text: Arc<Result<String, String>>,
}

impl Snapshot {
    /// Parses and checks the configuration. Adds the names of the files that it names to `named`.
    fn load(
        &self,
        uri: &S3Uri,
        regions: Option<&[Region]>,
        named: &mut BTreeSet<String>,
    ) -> Result<Loaded, Problems> {
        let root = uri.to_string();
        if total_bytes(&self.files) > MOST_TOTAL_BYTES {
            return Err(problem(&root, "all objects together are larger than 64 MB"));
        }
        let mut files = Vec::new();
        for (path, file) in self.files.iter().filter(|(_, file)| file.configuration) {
            let path = format!("{root}/{path}");
            match file.text.as_ref() {
                Ok(text) => files.push(SourceFile { path, text: text.clone() }),
                Err(reason) => return Err(problem(&path, reason.clone())),
            }
        }
        if files.is_empty() {
            return Err(problem(&root, "there is no .yaml object under this prefix"));
        }
        let mut read = |path: &str| {
            let name = normalized(path.strip_prefix(&root).unwrap_or(path));
            let file = self.files.get(&name).ok_or_else(|| "there is no such object".to_owned())?;
            named.insert(name);
            file.text.as_ref().clone()
        };
        let mut loaded = config::resolve(files, &mut read, regions)?;
        if let Some((_, manifest)) = &self.manifest {
            // The hash under which it was published. The paths of its files do not count.
            loaded.fleet.hash.clone_from(&manifest.live.config);
        }
        Ok(loaded)
    }
}

impl S3ConfigSource {
    /// Creates a source without reading anything. `objects` is the store under the prefix of `uri`.
    pub fn new(uri: S3Uri, objects: Arc<dyn ObjectStore>) -> Self {
        Self { uri, objects, snapshot: Mutex::default() }
    }

    /// Reads the objects that have changed. Returns path and version of each.
    ///
    /// # Errors
    /// When S3 cannot be read.
    pub async fn refresh(&self) -> Result<Vec<(String, String)>, Problems> {
        let known = self.snapshot();
        let read = self.read(known).await.map_err(|error| unreachable(&self.uri, &error))?;
        let versions = read.files.iter().map(|(path, file)| (path.clone(), file.version.0.clone())).collect();
        *self.snapshot.lock().unwrap_or_else(PoisonError::into_inner) = read;
        Ok(versions)
    }

    /// Parses and checks what [`S3ConfigSource::refresh`] read last.
    ///
    /// # Errors
    /// Every problem in it.
    pub async fn load(&self, regions: Option<&[Region]>) -> Result<Loaded, Problems> {
        load_off_thread(self.snapshot(), &self.uri, regions).await
    }

    /// Returns the files of the configuration that [`S3ConfigSource::refresh`] read last.
    ///
    /// # Errors
    /// Every problem in it.
    pub fn texts(&self) -> Result<Vec<Text>, Problems> {
        let snapshot = self.snapshot();
        let mut named = BTreeSet::new();
        snapshot.load(&self.uri, None, &mut named)?;
        let texts =
            snapshot.files.iter().filter(|(path, file)| file.configuration || named.contains(path.as_str()));
        let text = |(path, file): (&String, &SnapshotFile)| match file.text.as_ref() {
            Ok(text) => Ok(Text { path: path.into(), configuration: file.configuration, text: text.clone() }),
            Err(reason) => Err(problem(&format!("{}/{path}", self.uri), reason.clone())),
        };
        texts.map(text).collect()
    }

    /// Returns the newest of the versions that were live before which is valid and `accepted`, and the time of its
    /// replacement as the manifest has it. None when there is no such version, or when S3 cannot be read.
    pub async fn earlier(
        &self,
        regions: Option<&[Region]>,
        accepted: impl Fn(&Loaded) -> bool,
    ) -> Option<(Loaded, String)> {
        let (_, Manifest { live, before }) = self.snapshot().manifest.clone()?;
        let mut replaced = live.published;
        for version in before {
            let published = version.published.clone();
            let read = read_version(self.objects.as_ref(), &Snapshot::default(), version).await.ok()?;
            match load_off_thread(Arc::new(read), &self.uri, regions).await {
                Ok(loaded) if accepted(&loaded) => return Some((loaded, replaced)),
                Ok(_) | Err(_) => replaced = published,
            }
        }
        None
    }

    fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.snapshot.lock().unwrap_or_else(PoisonError::into_inner))
    }

    async fn read(&self, known: Arc<Snapshot>) -> Result<Arc<Snapshot>, ObjectStoreError> {
        let known_manifest = known.manifest.as_ref().map(|(version, _)| version);
        match self.objects.get(MANIFEST, known_manifest).await? {
            Fetched::Unchanged => Ok(known),
            Fetched::Object { bytes, version } => {
                let manifest: Manifest = serde_json::from_slice(&bytes)
                    .map_err(|error| ObjectStoreError::from(format!("{MANIFEST} cannot be read: {error}")))?;
                let read = read_version(self.objects.as_ref(), &known, manifest.live.clone()).await?;
                Ok(Arc::new(Snapshot { manifest: Some((version, manifest)), ..read }))
            }
            Fetched::Missing => Ok(Arc::new(self.read_listed(&known).await?)),
        }
    }

    /// Reads the YAML objects under the prefix, and the calendars that they may name.
    async fn read_listed(&self, known: &Snapshot) -> Result<Snapshot, ObjectStoreError> {
        let mut files = BTreeMap::new();
        let listed = self.objects.list().await?.into_iter().filter(|(key, _)| {
            let extension = key.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase());
            matches!(extension.as_deref(), Some("yaml" | "yml" | "ics"))
        });
        for (key, version) in listed.take(MOST_OBJECTS) {
            if total_bytes(&files) > MOST_TOTAL_BYTES {
                break;
            }
            let known = known.files.get(&key).filter(|file| file.version == version);
            let (text, version) = match known {
                Some(known) => (Arc::clone(&known.text), version),
                None => match self.objects.get(&key, None).await? {
                    Fetched::Object { bytes, version } => (Arc::new(text(bytes)), version),
                    // Removed after it was listed.
                    Fetched::Missing | Fetched::Unchanged => continue,
                },
            };
            // As in a directory: files in subdirectories can only be named by calendars.
            let configuration = !key.contains('/') && !key.to_ascii_lowercase().ends_with(".ics");
            files.insert(key.clone(), SnapshotFile { key, version, configuration, text });
        }
        Ok(Snapshot { manifest: None, files })
    }
}

/// Reads the files of a published version. Files that `known` has are not read again.
async fn read_version(
    objects: &dyn ObjectStore,
    known: &Snapshot,
    version: ConfigVersion,
) -> Result<Snapshot, ObjectStoreError> {
    let mut files = BTreeMap::new();
    for file in &version.files {
        let known = known.files.values().find(|known| known.key == file.key && known.version.0 == file.key);
        if total_bytes(&files) > MOST_TOTAL_BYTES {
            break;
        }
        let text = match known {
            Some(known) => Arc::clone(&known.text),
            None => match objects.get(&file.key, None).await? {
                Fetched::Object { bytes, .. } => Arc::new(text(bytes)),
                Fetched::Missing | Fetched::Unchanged => {
                    Arc::new(Err(format!("its object {} is missing", file.key)))
                }
            },
        };
        // The key contains a hash of the content, so it serves as the version.
        let (key, version) = (file.key.clone(), Version(file.key.clone()));
        let file_read = SnapshotFile { key, version, configuration: file.configuration, text };
        files.insert(normalized(&file.path), file_read);
    }
    let manifest = Manifest { live: version, before: Vec::new() };
    Ok(Snapshot { manifest: Some((Version(String::new()), manifest)), files })
}

/// Reads and checks a version as a reader of `uri` does.
///
/// # Errors
/// Every problem in it, or that S3 cannot be read: [`Problems::unreached`].
pub async fn load_version(
    objects: &dyn ObjectStore,
    uri: &S3Uri,
    version: &ConfigVersion,
) -> Result<Loaded, Problems> {
    let read = read_version(objects, &Snapshot::default(), version.clone()).await;
    load_off_thread(Arc::new(read.map_err(|error| unreachable(uri, &error))?), uri, None).await
}

/// Parses and checks a configuration on a thread for blocking work: it may take seconds.
async fn load_off_thread(
    snapshot: Arc<Snapshot>,
    uri: &S3Uri,
    regions: Option<&[Region]>,
) -> Result<Loaded, Problems> {
    let (uri_read, regions) = (uri.clone(), regions.map(<[Region]>::to_vec));
    let load = move || snapshot.load(&uri_read, regions.as_deref(), &mut BTreeSet::new());
    let loaded = tokio::task::spawn_blocking(load).await;
    loaded.unwrap_or_else(|error| Err(problem(&uri.to_string(), format!("cannot be read: {error}"))))
}

/// Returns the number of bytes of all texts. Reading stops after [`MOST_TOTAL_BYTES`]: the check of the configuration
/// refuses more.
fn total_bytes(files: &BTreeMap<String, SnapshotFile>) -> usize {
    files.values().map(|file| file.text.as_ref().as_ref().map_or(0, String::len)).sum()
}

fn text(bytes: Vec<u8>) -> Result<String, String> {
    if bytes.len() > MOST_BYTES {
        return Err("the object is larger than 8 MB".to_owned());
    }
    String::from_utf8(bytes).map_err(|_| "the object is not UTF-8 text".to_owned())
}

/// Returns a path without `.`, `..` and empty components.
fn normalized(path: &str) -> String {
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// Creates the problem of a whole source.
pub(super) fn problem(path: &str, message: impl Into<String>) -> Problems {
    Problem::of_file(path, message.into()).into()
}

/// Creates the problem of a source that cannot be read now: no mistake of the configuration.
fn unreachable(uri: &S3Uri, error: &ObjectStoreError) -> Problems {
    Problems { unreached: true, ..problem(&uri.to_string(), format!("cannot be read: {error}")) }
}
