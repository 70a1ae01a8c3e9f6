//! Files that commands write.

use std::fs;
use std::io;
use std::path::Path;

/// Writes a file as a whole, so that a crash leaves the old or the new one. The permissions of an old file are kept.
///
/// # Errors
/// An error of the operating system, also if `path` is a directory.
pub fn write_whole(path: &Path, text: &str) -> io::Result<()> {
    let path = match fs::canonicalize(path) {
        Ok(path) if path.is_dir() => return Err(io::ErrorKind::IsADirectory.into()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => path.to_owned(),
        resolved => resolved?,
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
