//! The manifest of a published configuration: the live version, and the versions before it.

use serde::{Deserialize, Serialize};

/// The object that names the live version.
pub const MANIFEST: &str = "manifest.json";
/// The most earlier versions that a manifest names.
const MOST_EARLIER: usize = 10;

/// The live version and the versions before it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The live version.
    #[serde(flatten)]
    pub live: ConfigVersion,
    /// The earlier live versions, the latest first: `publish --rollback` goes back to the first.
    #[serde(default)]
    pub before: Vec<ConfigVersion>,
}

/// A published version of a configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigVersion {
    /// The configuration's hash: `config` in the tick object.
    pub config: String,
    /// Its files.
    pub files: Vec<ManifestFile>,
    /// The time of publication.
    pub published: String,
}

/// A file of a version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestFile {
    /// Its path relative to the configuration, by which other files name it.
    pub path: String,
    /// Its object, relative to the prefix. The key contains a hash of the content, so the object never changes.
    pub key: String,
    /// True for a configuration file; false for a file that a configuration file names.
    pub configuration: bool,
}

impl Manifest {
    /// Returns the versions that precede a new version: this live version and the versions before it.
    pub fn history(&self) -> Vec<ConfigVersion> {
        let all = std::iter::once(&self.live).chain(&self.before);
        all.take(MOST_EARLIER).cloned().collect()
    }
}
