//! The lock of a state directory, so that one daemon uses it.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::Path;
use std::process;

use rustix::fs::{Mode, OFlags};

/// The file that is locked. It contains the process id of the daemon that locked it last, and is never removed.
const FILE: &str = "daemon.lock";
/// The most characters of a process id.
const MOST_DIGITS: u64 = 20;

/// The exclusive use of a state directory. It ends when this is dropped, and with the process: the kernel releases it.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

/// The reason why a directory is not locked.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process has locked it.
    #[error("in use by another daemon{}", by.map(|id| format!(" (process {id})")).unwrap_or_default())]
    Held {
        /// The id of that process, if it could be read.
        by: Option<u32>,
    },
    /// The file cannot be opened, or the file system has no locks.
    #[error("{FILE}: {0}")]
    Unavailable(#[from] io::Error),
}

impl Lock {
    /// Locks a directory for this process. Creates the directory if it does not exist.
    ///
    /// # Errors
    /// [`LockError`].
    pub fn take(directory: &Path) -> Result<Self, LockError> {
        fs::create_dir_all(directory)?;
        // Never follows a link to a file of somebody else, and never blocks on a pipe.
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let opened = rustix::fs::open(directory.join(FILE), flags, Mode::from_raw_mode(0o644));
        let mut file = File::from(opened.map_err(io::Error::from)?);
        if !file.metadata()?.is_file() {
            return Err(io::Error::other("it is not a regular file").into());
        }
        match file.try_lock() {
            Ok(()) => {
                // For the message of a second daemon only: the lock holds without it, on a full disk for example.
                let _ = write_id(&mut file);
                Ok(Self { _file: file })
            }
            Err(TryLockError::WouldBlock) => Err(LockError::Held { by: read_id(file) }),
            Err(TryLockError::Error(error)) => Err(error.into()),
        }
    }
}

fn write_id(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", process::id())
}

fn read_id(file: File) -> Option<u32> {
    let mut text = String::new();
    file.take(MOST_DIGITS).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn refused(directory: &Path) -> String {
        Lock::take(directory).unwrap_err().to_string()
    }

    #[test]
    fn a_directory_is_locked_until_the_lock_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let directory = folder.path().join("not/yet/there");
        let lock = Lock::take(&directory).unwrap();
        let expected = format!("in use by another daemon (process {})", process::id());
        assert_eq!(refused(&directory), expected);
        // A process that has died in between has left its id only.
        for content in ["", "no number", &"1".repeat(40)] {
            fs::write(directory.join(FILE), content).unwrap();
            assert_eq!(refused(&directory), "in use by another daemon", "{content}");
        }
        drop(lock);
        let _lock = Lock::take(&directory).unwrap();
        assert_eq!(fs::read_to_string(directory.join(FILE)).unwrap(), format!("{}\n", process::id()));
    }

    #[test]
    fn no_other_file_is_locked_or_written() {
        let folder = tempfile::tempdir().unwrap();
        let (file, other) = (folder.path().join(FILE), folder.path().join("other"));
        fs::write(&other, "content").unwrap();
        symlink(&other, &file).unwrap();
        assert!(refused(folder.path()).starts_with("daemon.lock: Too many levels of symbolic links"));
        assert_eq!(fs::read_to_string(&other).unwrap(), "content");
        fs::remove_file(&file).unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, &file, Mode::RUSR | Mode::WUSR).unwrap();
        insta::assert_snapshot!(refused(folder.path()), @"daemon.lock: it is not a regular file");
        fs::remove_file(&file).unwrap();
        fs::create_dir(&file).unwrap();
        insta::assert_snapshot!(refused(folder.path()), @"daemon.lock: Is a directory (os error 21)");
    }
}
