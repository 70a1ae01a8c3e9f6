//! Files that commands write.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};

/// The kind of a path, after links.
enum Place {
    /// A file, which is replaced, or nothing yet.
    File(PathBuf),
    /// A device or a pipe, which is written to.
    Special,
}

impl Place {
    fn of(path: &Path) -> io::Result<Self> {
        match fs::metadata(path) {
            Ok(found) if found.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
            Ok(found) if found.is_file() => Ok(Self::File(fs::canonicalize(path)?)),
            Ok(_) => Ok(Self::Special),
            Err(error) if error.kind() == io::ErrorKind::NotFound => match fs::read_link(path) {
                Ok(target) => Self::of(&path.with_file_name("").join(target)),
                Err(_) => Ok(Self::File(path.to_owned())),
            },
            Err(error) => Err(error),
        }
    }
}

/// Checks that [`write_whole`] can write to a path at present.
///
/// # Errors
/// An error of the operating system, also if `path` is a directory.
pub fn check_writable(path: &Path) -> io::Result<()> {
    match Place::of(path)? {
        Place::Special => access(path, Access::WRITE_OK)?,
        Place::File(path) => {
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
            access(folder.unwrap_or(Path::new(".")), Access::WRITE_OK | Access::EXEC_OK)?;
        }
    }
    Ok(())
}

/// Writes a file as a whole, so that a crash leaves the old or the new one. The permissions of an old file are kept. What
/// is not a regular file, such as a pipe, is written to.
///
/// # Errors
/// An error of the operating system, also if `path` is a directory.
pub fn write_whole(path: &Path, text: &str) -> io::Result<()> {
    let path = match Place::of(path)? {
        Place::File(path) => path,
        Place::Special => return File::options().write(true).open(path)?.write_all(text.as_bytes()),
    };
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let beside = path.with_file_name(format!(".{name}.{:08x}.tmp", rand::random::<u32>()));
    let written = fs::write(&beside, text)
        .and_then(|()| match fs::metadata(&path) {
            Ok(old) => fs::set_permissions(&beside, old.permissions()),
            Err(_) => Ok(()),
        })
        .and_then(|()| fs::rename(&beside, &path));
    if written.is_err() {
        let _ = fs::remove_file(&beside);
    }
    written
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{FileTypeExt as _, symlink};

    use rustix::fs::Mode;

    use super::*;

    #[test]
    fn a_pipe_is_written_to_and_stays_also_through_a_link() {
        let folder = tempfile::tempdir().unwrap();
        let (pipe, link) = (folder.path().join("pipe"), folder.path().join("link"));
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, Mode::RUSR | Mode::WUSR).unwrap();
        symlink(&pipe, &link).unwrap();
        for path in [&pipe, &link] {
            check_writable(path).unwrap();
            let reader = std::thread::spawn({
                let pipe = pipe.clone();
                move || fs::read_to_string(pipe).unwrap()
            });
            write_whole(path, "page").unwrap();
            assert_eq!(reader.join().unwrap(), "page");
        }
        assert!(fs::symlink_metadata(&pipe).unwrap().file_type().is_fifo());
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_link_to_a_file_stays_and_its_target_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        fs::write(&file, "old").unwrap();
        symlink("file", &link).unwrap();
        check_writable(&link).unwrap();
        write_whole(&link, "new").unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "new");
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        fs::remove_file(&file).unwrap();
        write_whole(&link, "again").unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "again");
    }

    #[test]
    fn what_cannot_be_written_is_found_before() {
        let folder = tempfile::tempdir().unwrap();
        let kind = |path: &Path| check_writable(path).map_err(|error| error.kind());
        assert_eq!(kind(folder.path()), Err(io::ErrorKind::IsADirectory));
        assert_eq!(kind(&folder.path().join("nowhere/page.html")), Err(io::ErrorKind::NotFound));
        fs::write(folder.path().join("file"), "").unwrap();
        assert_eq!(kind(&folder.path().join("file/page.html")), Err(io::ErrorKind::NotADirectory));
        assert_eq!(kind(&folder.path().join("page.html")), Ok(()));
        assert_eq!(kind(Path::new("page.html")), Ok(()));
    }
}
