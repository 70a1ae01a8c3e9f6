//! State in a directory: for the daemon, and for commands beside it.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::{Document, NotPut, State, Unavailable, Version};

/// Documents in a directory, without locks: version `n` of a document is the file `name.n.json`, its newest is the
/// one with the highest number, and making `n + 1` is a hard link, which fails when somebody else has made it.
///
/// A process that dies leaves at most a temporary file behind. Needs a file system with hard links.
#[derive(Debug, Clone)]
pub struct Directory {
    root: PathBuf,
}

impl Directory {
    /// The directory; it is made when the first document is written.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    fn file(&self, name: &str, number: u64) -> PathBuf {
        self.root.join(format!("{name}.{number}.json"))
    }

    /// The numbers of the versions that are there.
    fn versions(&self, name: &str) -> io::Result<Vec<u64>> {
        let entries = match fs::read_dir(&self.root) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut versions = Vec::new();
        for entry in entries {
            let file = entry?.file_name();
            let rest = file.to_str().and_then(|file| file.strip_prefix(name)?.strip_prefix('.'));
            versions
                .extend(rest.and_then(|rest| rest.strip_suffix(".json")).and_then(|n| n.parse::<u64>().ok()));
        }
        Ok(versions)
    }

    fn read(&self, name: &str) -> io::Result<Option<Document>> {
        loop {
            let Some(newest) = self.versions(name)?.into_iter().max() else {
                return Ok(None);
            };
            match fs::read(self.file(name, newest)) {
                Ok(bytes) => return Ok(Some(Document { bytes, version: Version(newest.to_string()) })),
                // Replaced and removed since: there is a newer one.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Makes the version after `replaced`; `None` when it is not the newest any more.
    fn write(&self, name: &str, bytes: &[u8], replaced: u64) -> io::Result<Option<u64>> {
        fs::create_dir_all(&self.root)?;
        let next = replaced + 1;
        let temporary = self.root.join(format!(".{name}.{:016x}", rand::random::<u64>()));
        let made = write_through(&temporary, bytes)
            .and_then(|()| fs::hard_link(&temporary, self.file(name, next)))
            .map(|()| true)
            .or_else(|error| (error.kind() == io::ErrorKind::AlreadyExists).then_some(false).ok_or(error));
        let _ = fs::remove_file(&temporary);
        if !made? {
            return Ok(None);
        }
        let versions = self.versions(name)?;
        if versions.iter().any(|version| *version > next) {
            // `replaced` was long replaced, and its successor removed: ours was never the newest, so nobody saw it.
            let _ = fs::remove_file(self.file(name, next));
            return Ok(None);
        }
        for old in versions.into_iter().filter(|version| *version < next) {
            let _ = fs::remove_file(self.file(name, old));
        }
        Ok(Some(next))
    }

    fn failed(&self, error: &io::Error) -> Unavailable {
        Unavailable(format!("{}: {error}", self.root.display()))
    }
}

/// Writes a file and waits until it is on the disk, so that a link to it never leads to half a document.
fn write_through(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = fs::File::create_new(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Runs what waits for the disk off the threads that serve pings.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Unavailable> {
    tokio::task::spawn_blocking(work).await.map_err(|error| Unavailable(error.to_string()))
}

impl State for Directory {
    async fn get(&self, name: &str) -> Result<Option<Document>, Unavailable> {
        let (this, name) = (self.clone(), name.to_owned());
        blocking(move || this.read(&name)).await?.map_err(|error| self.failed(&error))
    }

    async fn put(&self, name: &str, bytes: Vec<u8>, replaces: Option<&Version>) -> Result<Version, NotPut> {
        let (this, name) = (self.clone(), name.to_owned());
        let replaced = replaces.map_or(Ok(0), |version| version.0.parse());
        let Ok(replaced) = replaced else {
            return Err(NotPut::Conflict);
        };
        let written = blocking(move || this.write(&name, &bytes, replaced)).await?;
        match written.map_err(|error| self.failed(&error))? {
            Some(number) => Ok(Version(number.to_string())),
            None => Err(NotPut::Conflict),
        }
    }
}
