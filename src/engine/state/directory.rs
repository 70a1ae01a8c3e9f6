//! State in a directory: for the daemon, and for commands beside it.

use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use tokio::sync::Semaphore;

use super::{Document, MOST_READ_BYTES, NotPut, State, Unavailable, Version};

/// The number of attempts to read a document when it disappears between the listing and the reading.
const MOST_READS: u32 = 100;
/// The most operations that wait for the disk at once. A tick needs three.
const MOST_OPERATIONS: usize = 16;
/// Temporary files are gone after milliseconds: one that is older than this has been left behind.
const STALE_AFTER: TimeDelta = TimeDelta::hours(1);

/// Documents in a directory, without locks: version `n` of a document is the file `name.n.json`, its newest is the
/// one with the highest number, and making `n + 1` is a hard link, which fails when somebody else has made it.
///
/// A process that dies leaves at most a temporary file behind. Needs a file system with hard links.
#[derive(Debug, Clone)]
pub struct Directory {
    root: PathBuf,
    /// For operations that wait for the disk: a file system that hangs must not take all threads that may wait.
    permits: Arc<Semaphore>,
}

impl Directory {
    /// The directory; it is made when the first document is written.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into(), permits: Arc::new(Semaphore::new(MOST_OPERATIONS)) }
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
            let digits = rest.and_then(|rest| rest.strip_suffix(".json"));
            let number = digits.and_then(|digits| digits.parse::<u64>().ok());
            // `007` and `+7` are not how a version is written: there is no file of their number.
            versions.extend(number.filter(|number| digits == Some(number.to_string().as_str())));
        }
        Ok(versions)
    }

    fn read(&self, name: &str) -> io::Result<Option<Document>> {
        for _ in 0..MOST_READS {
            let Some(newest) = self.versions(name)?.into_iter().max() else {
                return Ok(None);
            };
            match read_regular(&self.file(name, newest)) {
                Ok(bytes) => return Ok(Some(Document { bytes, version: Version(newest.to_string()) })),
                // Replaced and removed since: there is a newer one.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::Error::other(format!("`{name}` kept changing: {MOST_READS} attempts to read it failed")))
    }

    /// Makes the version after `replaced`; `None` when it is not the newest any more.
    fn write(&self, name: &str, bytes: &[u8], replaced: u64) -> io::Result<Option<u64>> {
        fs::create_dir_all(&self.root)?;
        let Some(next) = replaced.checked_add(1) else {
            let last = self.file(name, replaced);
            return Err(io::Error::other(format!("{} is the last possible version", last.display())));
        };
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

    /// Removes temporary files that processes have left behind which died more than an hour before `now`.
    ///
    /// # Errors
    /// The operating system's.
    pub fn remove_stale(&self, now: DateTime<Utc>) -> io::Result<usize> {
        let entries = match fs::read_dir(&self.root) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
            entries => entries?,
        };
        let mut removed = 0;
        for entry in entries {
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

    /// Runs what waits for the disk off the threads that serve pings, a few at a time.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> T + Send + 'static,
    ) -> Result<T, Unavailable> {
        let permit = Arc::clone(&self.permits).acquire_owned().await;
        let permit = permit.map_err(|error| Unavailable(error.to_string()))?;
        let this = self.clone();
        let work = move || {
            let done = work(&this);
            drop(permit);
            done
        };
        tokio::task::spawn_blocking(work).await.map_err(|error| Unavailable(error.to_string()))
    }

    fn failed(&self, error: &io::Error) -> Unavailable {
        Unavailable(format!("{}: {error}", self.root.display()))
    }
}

/// Returns true if a file of that name is made by [`Directory::write`] before it has its final name: `.NAME.` and 16
/// hexadecimal digits.
fn is_temporary(file: &str) -> bool {
    let parts = file.strip_prefix('.').and_then(|rest| rest.rsplit_once('.'));
    parts.is_some_and(|(name, random)| {
        !name.is_empty() && random.len() == 16 && random.bytes().all(|byte| byte.is_ascii_hexdigit())
    })
}

/// Reads a file that is neither a symbolic link nor anything else than a regular file, and not too large. Never waits
/// for a writer of a pipe.
fn read_regular(path: &Path) -> io::Result<Vec<u8>> {
    let refused = |what: &str| io::Error::other(format!("{} is refused: it is {what}", path.display()));
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(file) => fs::File::from(file),
        Err(Errno::LOOP) => return Err(refused("a symbolic link")),
        Err(Errno::NXIO) => return Err(refused("no regular file")),
        Err(error) => return Err(error.into()),
    };
    if !file.metadata()?.is_file() {
        return Err(refused("no regular file"));
    }
    let mut bytes = Vec::new();
    // The bound holds whatever its length says: another process may be appending.
    let most = u64::try_from(MOST_READ_BYTES).unwrap_or(u64::MAX);
    file.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() > MOST_READ_BYTES {
        return Err(refused(&format!("larger than {MOST_READ_BYTES} bytes")));
    }
    Ok(bytes)
}

/// Writes a file and waits until it is on the disk, so that a link to it never leads to half a document.
fn write_through(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = fs::File::create_new(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

impl State for Directory {
    async fn get(&self, name: &str) -> Result<Option<Document>, Unavailable> {
        let name = name.to_owned();
        self.blocking(move |this| this.read(&name)).await?.map_err(|error| self.failed(&error))
    }

    async fn put(&self, name: &str, bytes: Vec<u8>, replaces: Option<&Version>) -> Result<Version, NotPut> {
        let name = name.to_owned();
        let replaced = replaces.map_or(Ok(0), |version| version.0.parse());
        let Ok(replaced) = replaced else {
            return Err(NotPut::Conflict);
        };
        let written = self.blocking(move |this| this.write(&name, &bytes, replaced)).await?;
        match written.map_err(|error| self.failed(&error))? {
            Some(number) => Ok(Version(number.to_string())),
            None => Err(NotPut::Conflict),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    /// Why the newest version of `served` is refused. Fails when that takes as long as a pipe does.
    async fn refused(root: &Path) -> String {
        let directory = Directory::new(root);
        let read = tokio::time::timeout(Duration::from_secs(10), directory.get("served"));
        let refused = read.await.expect("it waits for somebody").unwrap_err().to_string();
        refused.replace(root.to_str().unwrap(), "DIR")
    }

    #[tokio::test]
    async fn what_is_no_regular_file_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("served.3.json");
        rustix::fs::mkfifoat(rustix::fs::CWD, &file, Mode::RUSR | Mode::WUSR).unwrap();
        insta::assert_snapshot!(refused(folder.path()).await, @"the state store: DIR: DIR/served.3.json is refused: it is no regular file");
        fs::remove_file(&file).unwrap();
        fs::create_dir(&file).unwrap();
        insta::assert_snapshot!(refused(folder.path()).await, @"the state store: DIR: DIR/served.3.json is refused: it is no regular file");
        fs::remove_dir(&file).unwrap();
        for target in ["/proc/self/environ", "nowhere"] {
            symlink(target, &file).unwrap();
            let linked = "the state store: DIR: DIR/served.3.json is refused: it is a symbolic link";
            assert_eq!(refused(folder.path()).await, linked, "{target}");
            fs::remove_file(&file).unwrap();
        }
        let _socket = std::os::unix::net::UnixListener::bind(&file).unwrap();
        insta::assert_snapshot!(refused(folder.path()).await, @"the state store: DIR: DIR/served.3.json is refused: it is no regular file");
    }

    #[tokio::test]
    async fn what_is_too_large_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let file = fs::File::create(folder.path().join("served.3.json")).unwrap();
        file.set_len(u64::try_from(MOST_READ_BYTES).unwrap() + 1).unwrap();
        insta::assert_snapshot!(refused(folder.path()).await, @"the state store: DIR: DIR/served.3.json is refused: it is larger than 33554432 bytes");
    }

    #[tokio::test]
    async fn files_that_are_not_named_as_versions_are_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        for name in
            ["served.007.json", "served.+8.json", "served.-1.json", "served.99999999999999999999.json"]
        {
            fs::write(folder.path().join(name), "{}").unwrap();
        }
        let directory = Directory::new(folder.path());
        assert_eq!(directory.get("served").await, Ok(None));
        assert!(directory.put("served", b"1".to_vec(), None).await.is_ok());
    }

    #[tokio::test]
    async fn a_file_system_that_hangs_takes_a_few_threads_only() {
        let folder = tempfile::tempdir().unwrap();
        let directory = Directory::new(folder.path());
        let (hung, released) = std::sync::mpsc::channel::<()>();
        let released = Arc::new(std::sync::Mutex::new(released));
        let mut operations = Vec::new();
        for _ in 0..MOST_OPERATIONS {
            let (directory, released) = (directory.clone(), Arc::clone(&released));
            let hang = move |_: &Directory| released.lock().unwrap().recv().is_ok();
            operations.push(tokio::spawn(async move { directory.blocking(hang).await }));
        }
        while directory.permits.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        let asked = directory.get("served");
        tokio::pin!(asked);
        tokio::select! {
            biased;
            answer = &mut asked => panic!("it does not wait for a permit: {answer:?}"),
            () = std::future::ready(()) => {}
        }
        drop(hung);
        for operation in operations {
            assert_eq!(operation.await.unwrap(), Ok(false));
        }
        assert_eq!(asked.await, Ok(None), "it goes on when the file system answers");
    }

    #[tokio::test]
    async fn the_last_possible_version_is_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("served.18446744073709551615.json"), "{}").unwrap();
        let directory = Directory::new(folder.path());
        let document = directory.get("served").await.unwrap().unwrap();
        let put = directory.put("served", b"1".to_vec(), Some(&document.version)).await;
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
        assert_eq!(directory.remove_stale(after(60)).unwrap(), 0, "somebody may be writing it");
        assert_eq!(directory.remove_stale(after(61)).unwrap(), 1);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 4);
        assert_eq!(Directory::new(folder.path().join("none")).remove_stale(after(0)).unwrap(), 0);
    }
}
