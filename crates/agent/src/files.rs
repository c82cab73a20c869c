//! Writing files so that a crash leaves the old content or the new, and keys are never readable by others.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::Path,
};

/// The mode of what only root may read.
pub const PRIVATE: u32 = 0o600;
/// The mode of what everybody may read.
pub const PUBLIC: u32 = 0o644;

/// Replaces a file's content at once, and makes its folder if it isn't there.
pub fn write(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(folder)?;
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let new = folder.join(name);
    // A leftover of a crash may have another mode, which opening it would keep.
    remove(&new)?;
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(&new)?;
    // The umask may have taken something away.
    file.set_permissions(fs::Permissions::from_mode(mode))?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    File::open(folder)?.sync_all()
}

/// Makes a file that is private, if it isn't there.
pub fn ensure(path: &Path) -> io::Result<()> {
    if path.exists() {
        return Ok(());
    }
    write(path, b"", PRIVATE)
}

/// A file's text; `None` when there is no such file.
pub fn read(path: &Path) -> io::Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Removes a file that may not be there.
pub fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_file_gets_its_mode_whatever_was_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b/key.pem");
        write(&path, b"one", PUBLIC).unwrap();
        assert_eq!(mode(&path), PUBLIC);
        write(&path, b"two", PRIVATE).unwrap();
        assert_eq!(mode(&path), PRIVATE);
        assert_eq!(read(&path).unwrap().as_deref(), Some("two"));
    }

    #[test]
    fn a_leftover_of_a_crash_is_no_obstacle_and_lends_nothing_its_mode() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key.pem");
        let leftover = folder.path().join("key.pem.new");
        fs::write(&leftover, "half").unwrap();
        fs::set_permissions(&leftover, fs::Permissions::from_mode(0o666)).unwrap();
        write(&path, b"whole", PRIVATE).unwrap();
        assert_eq!(mode(&path), PRIVATE);
        assert!(!leftover.exists());
    }

    #[test]
    fn what_is_not_there_reads_as_nothing_and_is_removed_without_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("none");
        assert_eq!(read(&path).unwrap(), None);
        remove(&path).unwrap();
    }
}
