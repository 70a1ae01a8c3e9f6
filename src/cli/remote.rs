//! A configuration in S3: either what is published there under a manifest, or the YAML objects that lie there.
//!
//! Objects are read again only when they have changed. A manifest names every object of its version, and objects
//! of a version are never written again: a reader sees the old configuration or the new one, never a mixture.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use tokio::runtime::{self, Runtime};

use super::error::Failure;
use crate::aws::{Bucket, Clients};
use crate::config::{self, Loaded, Problem, Problems, SourceFile};
use crate::domain::function::Region;
use crate::domain::s3_uri::S3Uri;
use crate::engine::ports::{Fetched, Objects, ObjectsFailed};
use crate::engine::state::Version;

/// The object that says which version is live.
pub const MANIFEST: &str = "manifest.json";
/// The most objects that are read without a manifest.
const MOST_OBJECTS: usize = 1_000;
/// The most bytes of an object: what the configuration takes of a file.
const MOST_BYTES: usize = 8 << 20;
/// The most bytes of all objects together: what the configuration takes of all files.
const MOST_TOTAL_BYTES: usize = 64 << 20;

/// Which version is live, and which were before.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The live configuration's hash: the tick object's `config`.
    pub config: String,
    /// Its files.
    pub files: Vec<ManifestFile>,
    /// When it was published.
    pub published: String,
    /// What was live before, the latest first: `publish --rollback` goes back to it.
    #[serde(default)]
    pub before: Vec<EarlierVersion>,
}

/// A version that was live.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EarlierVersion {
    /// Its hash.
    pub config: String,
    /// Its files.
    pub files: Vec<ManifestFile>,
    /// When it was published.
    pub published: String,
}

/// A file of a version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestFile {
    /// Its path, relative to the configuration: what other files name it by.
    pub path: String,
    /// Its object, relative to the prefix. Named by its content, so it never changes.
    pub key: String,
    /// Whether it is a configuration, not just a file that one names.
    pub configuration: bool,
}

/// A file's text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    /// Its path: absolute, or relative to a configuration in S3.
    pub path: PathBuf,
    /// Whether it is a configuration, not just a file that one names.
    pub configuration: bool,
    /// What it says.
    pub text: String,
}

/// A configuration in S3.
pub struct S3ConfigSource {
    place: S3Uri,
    /// None only while it is being dropped.
    runtime: Option<Runtime>,
    bucket: Mutex<Option<Bucket>>,
    seen: Mutex<Seen>,
}

impl Drop for S3ConfigSource {
    fn drop(&mut self) {
        // To wait for it, as its own drop does, is not allowed where this may happen.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl std::fmt::Debug for S3ConfigSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "S3ConfigSource({})", self.place)
    }
}

/// What was read last.
#[derive(Debug, Clone, Default)]
struct Seen {
    manifest: Option<(Version, Manifest)>,
    /// By path relative to the configuration.
    files: BTreeMap<String, SeenFile>,
}

#[derive(Debug, Clone)]
struct SeenFile {
    key: String,
    version: Version,
    configuration: bool,
    text: Arc<Result<String, String>>,
}

impl Seen {
    /// The bytes of all texts.
    fn bytes(&self) -> usize {
        bytes(&self.files)
    }

    /// Checks it.
    fn load(&self, place: &S3Uri, filter: Option<&[Region]>) -> Result<Loaded, Problems> {
        self.load_noting(place, filter, &mut BTreeSet::new())
    }

    /// The same, noting which files it names.
    fn load_noting(
        &self,
        place: &S3Uri,
        filter: Option<&[Region]>,
        named: &mut BTreeSet<String>,
    ) -> Result<Loaded, Problems> {
        let root = place.to_string();
        if self.bytes() > MOST_TOTAL_BYTES {
            return Err(problem(&root, "all objects together are larger than 64 MB".to_owned()));
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
            return Err(problem(&root, "there is no .yaml object under this prefix".to_owned()));
        }
        let mut read = |path: &str| {
            let wanted = relative(path.strip_prefix(&root).unwrap_or(path));
            let file = self.files.get(&wanted);
            let text = file.ok_or_else(|| "there is no such object".to_owned())?;
            named.insert(wanted);
            text.text.as_ref().clone()
        };
        let mut loaded = config::resolve(files, &mut read, filter)?;
        if let Some((_, manifest)) = &self.manifest {
            // The name under which it was published, wherever its files lay then.
            loaded.fleet.hash.clone_from(&manifest.config);
        }
        Ok(loaded)
    }
}

impl S3ConfigSource {
    /// The configuration at a place. Nothing is read yet.
    ///
    /// # Errors
    /// When no thread can be had.
    pub fn new(place: S3Uri) -> Result<Self, String> {
        // A runtime of its own: commands that are not async read configurations too, and a reader that blocks must
        // not wait for threads that wait for it.
        let runtime = runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| format!("cannot read from S3: {error}"))?;
        Ok(Self { place, runtime: Some(runtime), bucket: Mutex::default(), seen: Mutex::default() })
    }

    /// Looks at what is there now. Returns the version of each object.
    ///
    /// # Errors
    /// When S3 cannot be read.
    pub fn refresh(&self) -> Result<Vec<(String, String)>, Problems> {
        match self.wait(self.look()) {
            Ok(seen) => {
                let stamps =
                    seen.files.iter().map(|(path, file)| (path.clone(), file.version.0.clone())).collect();
                *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = seen;
                Ok(stamps)
            }
            Err(error) => {
                let lost = problem(&self.place.to_string(), format!("cannot be read: {error}"));
                // Without a region there is no bucket to ask.
                let asked = self.bucket.lock().unwrap_or_else(PoisonError::into_inner).is_some();
                Err(Problems { unreached: asked, ..lost })
            }
        }
    }

    /// Checks what [`S3ConfigSource::refresh`] saw last.
    ///
    /// # Errors
    /// Every mistake in it.
    pub fn load(&self, filter: Option<&[Region]>) -> Result<Loaded, Problems> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone();
        seen.load(&self.place, filter)
    }

    /// What [`S3ConfigSource::refresh`] saw last, as far as it is of the configuration.
    ///
    /// # Errors
    /// Every mistake in it.
    pub fn texts(&self) -> Result<Vec<Text>, Problems> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut named = BTreeSet::new();
        seen.load_noting(&self.place, None, &mut named)?;
        let texts = seen.files.into_iter().filter(|(path, file)| file.configuration || named.contains(path));
        let text = |(path, file): (String, SeenFile)| match file.text.as_ref() {
            Ok(text) => Ok(Text { path: path.into(), configuration: file.configuration, text: text.clone() }),
            Err(reason) => Err(problem(&format!("{}/{path}", self.place), reason.clone())),
        };
        texts.map(text).collect()
    }

    /// The newest of the versions that were live before which is sound and `accepted`, and when it was replaced. None
    /// when there is none, nothing was published, or S3 cannot be read.
    pub fn earlier(
        &self,
        filter: Option<&[Region]>,
        accepted: &dyn Fn(&Loaded) -> bool,
    ) -> Option<(Loaded, String)> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let (_, Manifest { mut published, before, .. }) = seen.manifest?;
        for EarlierVersion { config, files, published: live_from } in before {
            let manifest = Manifest { config, files, published: live_from.clone(), before: Vec::new() };
            let read = async {
                let bucket = self.bucket().await?;
                self::published(&bucket, &Seen::default(), Version(String::new()), manifest).await
            };
            match self.wait(read).ok()?.load(&self.place, filter) {
                Ok(loaded) if accepted(&loaded) => return Some((loaded, published)),
                Ok(_) | Err(_) => published = live_from,
            }
        }
        None
    }

    /// Waits for what is read.
    fn wait<T: Send>(
        &self,
        reading: impl Future<Output = Result<T, ObjectsFailed>> + Send,
    ) -> Result<T, ObjectsFailed> {
        let wait = || match &self.runtime {
            Some(runtime) => runtime.block_on(reading),
            None => Err(ObjectsFailed::from("the process is ending".to_owned())),
        };
        // A thread that runs a runtime cannot block on another one; a thread of its own can.
        let waited = std::thread::scope(|scope| scope.spawn(wait).join());
        waited.unwrap_or_else(|_| Err(ObjectsFailed::from("reading from S3 ended unexpectedly".to_owned())))
    }

    async fn look(&self) -> Result<Seen, ObjectsFailed> {
        let bucket = self.bucket().await?;
        let before = self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let known = before.manifest.as_ref().map(|(version, _)| version);
        match bucket.get(MANIFEST, known).await? {
            Fetched::Unchanged => Ok(before),
            Fetched::Object { bytes, version } => {
                let manifest: Manifest = serde_json::from_slice(&bytes)
                    .map_err(|error| ObjectsFailed::from(format!("{MANIFEST} cannot be read: {error}")))?;
                published(&bucket, &before, version, manifest).await
            }
            Fetched::Missing => self.lying(&bucket, &before).await,
        }
    }

    async fn bucket(&self) -> Result<Bucket, ObjectsFailed> {
        let known = self.bucket.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(bucket) = known {
            return Ok(bucket);
        }
        let bucket = Clients::load().await.bucket(&self.place.bucket, &self.place.prefix);
        let bucket = bucket.map_err(|error| ObjectsFailed::from(error.to_string()))?;
        *self.bucket.lock().unwrap_or_else(PoisonError::into_inner) = Some(bucket.clone());
        Ok(bucket)
    }

    /// The YAML objects that lie under the prefix, and the calendars that they may name.
    async fn lying(&self, bucket: &Bucket, before: &Seen) -> Result<Seen, ObjectsFailed> {
        let mut files = BTreeMap::new();
        let listed = bucket.list().await?;
        let wanted = listed.into_iter().filter(|(key, _)| {
            let extension = key.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase());
            matches!(extension.as_deref(), Some("yaml" | "yml" | "ics"))
        });
        for (key, version) in wanted.take(MOST_OBJECTS) {
            let known = before.files.get(&key).filter(|seen| seen.version == version);
            if bytes(&files) > MOST_TOTAL_BYTES {
                break;
            }
            let (text, version) = match known {
                Some(known) => (Arc::clone(&known.text), version),
                None => match bucket.get(&key, None).await? {
                    Fetched::Object { bytes, version } => (Arc::new(text(bytes)), version),
                    // Gone between the list and now.
                    Fetched::Missing | Fetched::Unchanged => continue,
                },
            };
            // As in a directory: those in deeper ones are for calendars to name.
            let configuration = !key.contains('/') && !key.to_ascii_lowercase().ends_with(".ics");
            files.insert(key.clone(), SeenFile { key, version, configuration, text });
        }
        Ok(Seen { manifest: None, files })
    }
}

/// What a manifest names.
async fn published(
    bucket: &Bucket,
    before: &Seen,
    version: Version,
    manifest: Manifest,
) -> Result<Seen, ObjectsFailed> {
    let mut files = BTreeMap::new();
    for file in &manifest.files {
        let known = before.files.values().find(|seen| seen.key == file.key && seen.version.0 == file.key);
        if bytes(&files) > MOST_TOTAL_BYTES {
            break;
        }
        let text = match known {
            Some(known) => Arc::clone(&known.text),
            None => match bucket.get(&file.key, None).await? {
                Fetched::Object { bytes, .. } => Arc::new(text(bytes)),
                Fetched::Missing | Fetched::Unchanged => {
                    Arc::new(Err(format!("its object {} is missing", file.key)))
                }
            },
        };
        // Named by its content: the key is the version.
        let (key, version) = (file.key.clone(), Version(file.key.clone()));
        let seen = SeenFile { key, version, configuration: file.configuration, text };
        files.insert(relative(&file.path), seen);
    }
    Ok(Seen { manifest: Some((version, manifest)), files })
}

/// A version as who reads it at `place` will understand it.
///
/// # Errors
/// Every mistake in it, or that S3 cannot be read.
pub async fn version(bucket: &Bucket, place: &S3Uri, manifest: &Manifest) -> Result<Loaded, Failure> {
    let seen = published(bucket, &Seen::default(), Version(String::new()), manifest.clone()).await;
    let seen = seen.map_err(|error| Failure::Unexpected(format!("{place} cannot be read: {error}")))?;
    Ok(seen.load(place, None)?)
}

/// The bytes of the texts that were read. More than [`MOST_TOTAL_BYTES`] are refused when they are checked, so reading
/// ends there.
fn bytes(files: &BTreeMap<String, SeenFile>) -> usize {
    files.values().map(|file| file.text.as_ref().as_ref().map_or(0, String::len)).sum()
}

fn text(bytes: Vec<u8>) -> Result<String, String> {
    if bytes.len() > MOST_BYTES {
        return Err("the object is larger than 8 MB".to_owned());
    }
    String::from_utf8(bytes).map_err(|_| "the object is not UTF-8 text".to_owned())
}

/// A path without `.`, `..` and empty parts.
pub fn relative(path: &str) -> String {
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

/// A mistake of a whole source.
pub fn problem(path: &str, message: String) -> Problems {
    Problem::of_file(path, message).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::exit::Exit;

    #[tokio::test]
    async fn that_s3_cannot_be_read_is_no_mistake_of_the_configuration() {
        // Nobody listens there.
        let bucket = Clients::local("http://127.0.0.1:1").bucket("warmd-config", "live").unwrap();
        let place = S3Uri { bucket: "warmd-config".to_owned(), prefix: "live".to_owned() };
        let file =
            ManifestFile { path: "a.yaml".to_owned(), key: "objects/a".to_owned(), configuration: true };
        let manifest = Manifest { files: vec![file], ..Manifest::default() };
        let failure = version(&bucket, &place, &manifest).await.unwrap_err();
        assert_eq!(failure.exit(), Exit::Failed, "{failure}");
    }
}
