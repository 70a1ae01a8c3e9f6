//! Objects in a directory: for the daemon, and for commands beside it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use tokio::sync::Semaphore;

use super::MOST_READ_BYTES;
use crate::engine::ports::{
    Condition, Fetched, ObjectStore, ObjectStoreError, PutError, StoreFuture, Version,
};

/// The most attempts to read an object that disappears between the listing and the reading.
const MOST_ATTEMPTS: u32 = 100;
/// The most operations that wait for the disk at once. A tick needs three.
const MOST_OPERATIONS: usize = 16;
/// The age of a temporary file after which its writer no longer exists. Writing takes milliseconds.
const STALE_AFTER: TimeDelta = TimeDelta::hours(1);

/// Objects in a directory, without locks. Version `n` of the object `name.json` is the file `name.n.json`, and that of
/// `name.gz` is `name.n.gz`; the newest version has the highest number. Version `n + 1` is created by a hard link, which fails when another process has
/// created it.
///
/// A killed process leaves at most a temporary file behind. The file system must support hard links.
#[derive(Debug, Clone)]
pub struct Directory {
    root: PathBuf,
    /// Limits the operations that wait for the disk: a file system that hangs must not block every thread.
    permits: Arc<Semaphore>,
}

/// The extensions of objects.
const EXTENSIONS: [&str; 2] = ["json", "gz"];

/// Splits the key of an object into its name and its extension.
fn split(key: &str) -> io::Result<(&str, &str)> {
    let parts = key.rsplit_once('.').filter(|(name, extension)| {
        !name.is_empty() && !name.contains(['/', '.']) && EXTENSIONS.contains(extension)
    });
    parts.ok_or_else(|| {
        io::Error::other(format!("expected a key such as `status.json` or `history.gz`, found \"{key}\""))
    })
}

/// Splits a file name into the key of its object and the version.
fn parse_file(file: &str) -> Option<(String, u64)> {
    let (rest, extension) = file.rsplit_once('.')?;
    let (name, digits) = rest.rsplit_once('.')?;
    let number = digits.parse::<u64>().ok()?;
    // No version is written as `007` or `+7`.
    let is_one = !name.is_empty() && EXTENSIONS.contains(&extension) && number.to_string() == digits;
    is_one.then(|| (format!("{name}.{extension}"), number))
}

impl Directory {
    /// Creates a store in this directory. The directory is created when the first object is written.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into(), permits: Arc::new(Semaphore::new(MOST_OPERATIONS)) }
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    fn file(&self, (name, extension): (&str, &str), number: u64) -> PathBuf {
        self.root.join(format!("{name}.{number}.{extension}"))
    }

    /// Lists the versions of every object by its key.
    fn versions(&self) -> io::Result<BTreeMap<String, BTreeSet<u64>>> {
        let mut versions: BTreeMap<String, BTreeSet<u64>> = BTreeMap::new();
        for entry in self.entries()? {
            let file = entry?.file_name();
            if let Some((key, number)) = file.to_str().and_then(parse_file) {
                versions.entry(key).or_default().insert(number);
            }
        }
        Ok(versions)
    }

    fn versions_of(&self, key: &str) -> io::Result<BTreeSet<u64>> {
        Ok(self.versions()?.remove(key).unwrap_or_default())
    }

    /// The entries of the directory; none when it does not exist.
    pub(super) fn entries(&self) -> io::Result<impl Iterator<Item = io::Result<fs::DirEntry>>> {
        match fs::read_dir(&self.root) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None.into_iter().flatten()),
            entries => Ok(Some(entries?).into_iter().flatten()),
        }
    }

    fn read(&self, key: &str, known: Option<&Version>) -> io::Result<Fetched> {
        let parts = split(key)?;
        for _ in 0..MOST_ATTEMPTS {
            let Some(newest) = self.versions_of(key)?.pop_last() else {
                return Ok(Fetched::Missing);
            };
            let version = Version(newest.to_string());
            if known == Some(&version) {
                return Ok(Fetched::Unchanged);
            }
            match read_regular(&self.file(parts, newest)) {
                Ok(bytes) => return Ok(Fetched::Object { bytes, version }),
                // Replaced and removed since: there is a newer one.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::Error::other(format!("\"{key}\" changed during each of {MOST_ATTEMPTS} attempts to read it")))
    }

    /// Writes an object; none when `replaced` is not its newest version. Version 0 stands for a missing object, and
    /// none for any version.
    fn write(&self, key: &str, bytes: &[u8], replaced: Option<u64>) -> io::Result<Option<u64>> {
        if let Some(replaced) = replaced {
            return self.write_after(key, bytes, replaced);
        }
        loop {
            let newest = self.versions_of(key)?.pop_last().unwrap_or(0);
            if let Some(number) = self.write_after(key, bytes, newest)? {
                return Ok(Some(number));
            }
        }
    }

    /// Creates the version after `replaced`; none when that is not the newest any more.
    fn write_after(&self, key: &str, bytes: &[u8], replaced: u64) -> io::Result<Option<u64>> {
        let parts = split(key)?;
        fs::create_dir_all(&self.root)?;
        let Some(next) = replaced.checked_add(1) else {
            let last = self.file(parts, replaced);
            return Err(io::Error::other(format!("{} is the last possible version", last.display())));
        };
        if !self.create(parts.0, &self.file(parts, next), bytes)? {
            return Ok(None);
        }
        let versions = self.versions_of(key)?;
        if versions.last().is_some_and(|newest| *newest > next) {
            // `replaced` was replaced long ago, and its successor removed: this file was never the newest version.
            let _ = fs::remove_file(self.file(parts, next));
            return Ok(None);
        }
        for old in versions.range(..next) {
            let _ = fs::remove_file(self.file(parts, *old));
        }
        Ok(Some(next))
    }

    /// Creates a file that is complete and on the disk, with a temporary file `.name.…`. Returns false if it exists.
    pub(super) fn create(&self, name: &str, file: &Path, bytes: &[u8]) -> io::Result<bool> {
        let temporary = self.root.join(format!(".{name}.{:016x}", rand::random::<u64>()));
        let made = write_through(&temporary, bytes)
            .and_then(|()| fs::hard_link(&temporary, file))
            .map(|()| true)
            .or_else(|error| (error.kind() == io::ErrorKind::AlreadyExists).then_some(false).ok_or(error));
        let _ = fs::remove_file(&temporary);
        made
    }

    /// Removes temporary files that were written more than an hour before `now`.
    pub(super) fn remove_stale(&self, now: DateTime<Utc>) -> io::Result<usize> {
        let mut removed = 0;
        for entry in self.entries()? {
            let entry = entry?;
            let is_temporary = entry.file_name().to_str().is_some_and(is_temporary);
            if !is_temporary || !entry.file_type()?.is_file() {
                continue;
            }
            let written = DateTime::<Utc>::from(entry.metadata()?.modified()?);
            if now.signed_duration_since(written) > STALE_AFTER && fs::remove_file(entry.path()).is_ok() {
                removed += 1;
            }
        }
        Ok(removed)
    }

    /// Runs file operations on threads for blocking work, a few at a time.
    pub(super) async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> io::Result<T> + Send + 'static,
    ) -> Result<T, ObjectStoreError> {
        let permit = Arc::clone(&self.permits).acquire_owned().await;
        let permit = permit.map_err(|error| ObjectStoreError::from(error.to_string()))?;
        let this = self.clone();
        let work = move || {
            let done = work(&this);
            drop(permit);
            done.map_err(|error| ObjectStoreError::from(format!("{}: {error}", this.root.display())))
        };
        tokio::task::spawn_blocking(work).await.map_err(|error| ObjectStoreError::from(error.to_string()))?
    }
}

impl ObjectStore for Directory {
    fn get<'a>(&'a self, key: &'a str, known: Option<&'a Version>) -> StoreFuture<'a, Fetched> {
        let (key, known) = (key.to_owned(), known.cloned());
        Box::pin(self.blocking(move |this| this.read(&key, known.as_ref())))
    }

    fn put<'a>(
        &'a self,
        key: &'a str,
        bytes: Vec<u8>,
        condition: Condition<'a>,
    ) -> StoreFuture<'a, Version, PutError> {
        let key = key.to_owned();
        Box::pin(async move {
            let replaced = match condition {
                Condition::Always => None,
                Condition::New => Some(0),
                // A version of another store.
                Condition::Replaces(version) => Some(version.0.parse().map_err(|_| PutError::Conflict)?),
            };
            let written = self.blocking(move |this| this.write(&key, &bytes, replaced)).await?;
            written.map(|number| Version(number.to_string())).ok_or(PutError::Conflict)
        })
    }

    fn list(&self) -> StoreFuture<'_, Vec<(String, Version)>> {
        let newest = |(key, mut versions): (String, BTreeSet<u64>)| {
            Some((key, Version(versions.pop_last()?.to_string())))
        };
        Box::pin(self.blocking(move |this| Ok(this.versions()?.into_iter().filter_map(newest).collect())))
    }

    fn sweep(&self, now: DateTime<Utc>) -> StoreFuture<'_, usize> {
        Box::pin(self.blocking(move |this| this.remove_stale(now)))
    }
}

/// Returns true if [`Directory::write_after`] gives temporary files such a name: `.NAME.` and 16 hexadecimal digits.
fn is_temporary(file: &str) -> bool {
    let parts = file.strip_prefix('.').and_then(|rest| rest.rsplit_once('.'));
    parts.is_some_and(|(name, random)| {
        !name.is_empty() && random.len() == 16 && random.bytes().all(|byte| byte.is_ascii_hexdigit())
    })
}

/// Reads a regular file of bounded size. Refuses symbolic links. Never blocks on a pipe.
pub(super) fn read_regular(path: &Path) -> io::Result<Vec<u8>> {
    let refused = |what: &str| io::Error::other(format!("{} is refused: it is {what}", path.display()));
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(file) => fs::File::from(file),
        Err(Errno::LOOP) => return Err(refused("a symbolic link")),
        Err(Errno::NXIO) => return Err(refused("not a regular file")),
        Err(error) => return Err(error.into()),
    };
    if !file.metadata()?.is_file() {
        return Err(refused("not a regular file"));
    }
    let mut bytes = Vec::new();
    // The length in the metadata is no bound: another process may be appending.
    let most = u64::try_from(MOST_READ_BYTES).unwrap_or(u64::MAX);
    file.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() > MOST_READ_BYTES {
        return Err(refused(&format!("larger than {MOST_READ_BYTES} bytes")));
    }
    Ok(bytes)
}

/// Writes a file and syncs it to the disk, so that a link never leads to an incomplete object.
fn write_through(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = fs::File::create_new(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    /// Returns the reason why the newest version of `served.json` is refused. Fails when the read blocks.
    async fn refused(root: &Path) -> String {
        let directory = Directory::new(root);
        let read = tokio::time::timeout(Duration::from_secs(10), directory.get("served.json", None));
        let refused = read.await.expect("the read blocks").unwrap_err().to_string();
        refused.replace(root.to_str().unwrap(), "DIR")
    }

    #[tokio::test]
    async fn only_regular_files_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("served.3.json");
        rustix::fs::mkfifoat(rustix::fs::CWD, &file, Mode::RUSR | Mode::WUSR).unwrap();
        insta::assert_snapshot!(refused(folder.path()).await, @"DIR: DIR/served.3.json is refused: it is not a regular file");
        fs::remove_file(&file).unwrap();
        fs::create_dir(&file).unwrap();
        insta::assert_snapshot!(refused(folder.path()).await, @"DIR: DIR/served.3.json is refused: it is not a regular file");
        fs::remove_dir(&file).unwrap();
        for target in ["/proc/self/environ", "nowhere"] {
            symlink(target, &file).unwrap();
            let linked = "DIR: DIR/served.3.json is refused: it is a symbolic link";
            assert_eq!(refused(folder.path()).await, linked, "{target}");
            fs::remove_file(&file).unwrap();
        }
        let _socket = std::os::unix::net::UnixListener::bind(&file).unwrap();
        insta::assert_snapshot!(refused(folder.path()).await, @"DIR: DIR/served.3.json is refused: it is not a regular file");
    }

    #[tokio::test]
    async fn too_large_files_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = fs::File::create(folder.path().join("served.3.json")).unwrap();
        file.set_len(u64::try_from(MOST_READ_BYTES).unwrap() + 1).unwrap();
        insta::assert_snapshot!(refused(folder.path()).await, @"DIR: DIR/served.3.json is refused: it is larger than 33554432 bytes");
    }

    #[tokio::test]
    async fn files_with_other_names_are_ignored() {
        let folder = tempfile::tempdir().unwrap();
        for name in
            ["served.007.json", "served.+8.json", "served.-1.json", "served.99999999999999999999.json"]
        {
            fs::write(folder.path().join(name), "{}").unwrap();
        }
        let directory = Directory::new(folder.path());
        assert_eq!(directory.get("served.json", None).await, Ok(Fetched::Missing));
        assert_eq!(directory.list().await, Ok(Vec::new()));
        assert!(directory.put("served.json", b"1".to_vec(), Condition::New).await.is_ok());
    }

    #[tokio::test]
    async fn a_hanging_file_system_blocks_a_few_threads_only() {
        let folder = tempfile::tempdir().unwrap();
        let directory = Directory::new(folder.path());
        let (hung, released) = std::sync::mpsc::channel::<()>();
        let released = Arc::new(std::sync::Mutex::new(released));
        let mut operations = Vec::new();
        for _ in 0..MOST_OPERATIONS {
            let (directory, released) = (directory.clone(), Arc::clone(&released));
            let hang = move |_: &Directory| Ok(released.lock().unwrap().recv().is_ok());
            operations.push(tokio::spawn(async move { directory.blocking(hang).await }));
        }
        while directory.permits.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        let read = directory.get("served.json", None);
        tokio::pin!(read);
        tokio::select! {
            biased;
            answer = &mut read => panic!("expected a wait for a permit, found {answer:?}"),
            () = std::future::ready(()) => {}
        }
        drop(hung);
        for operation in operations {
            assert_eq!(operation.await.unwrap(), Ok(false));
        }
        assert_eq!(read.await, Ok(Fetched::Missing));
    }

    #[tokio::test]
    async fn the_last_possible_version_is_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("served.18446744073709551615.json"), "{}").unwrap();
        let directory = Directory::new(folder.path());
        let last = Version(u64::MAX.to_string());
        let put = directory.put("served.json", b"1".to_vec(), Condition::Replaces(&last)).await;
        assert!(
            put.unwrap_err()
                .to_string()
                .ends_with("served.18446744073709551615.json is the last possible version")
        );
    }

    #[test]
    fn stale_temporary_files_are_removed_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let written = UNIX_EPOCH + Duration::from_secs(1_795_165_200);
        let names = [".served.0123456789abcdef", ".hidden", "served.1.json", ".served.0123456789abcdex"];
        for name in names {
            let file = fs::File::create(folder.path().join(name)).unwrap();
            file.set_modified(written).unwrap();
        }
        symlink("served.1.json", folder.path().join(".served.0000000000000000")).unwrap();
        let directory = Directory::new(folder.path());
        let after = |minutes| DateTime::<Utc>::from(written) + TimeDelta::minutes(minutes);
        assert_eq!(directory.remove_stale(after(60)).unwrap(), 0, "its writer may still exist");
        assert_eq!(directory.remove_stale(after(61)).unwrap(), 1);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 4);
        assert_eq!(Directory::new(folder.path().join("none")).remove_stale(after(0)).unwrap(), 0);
    }
}
