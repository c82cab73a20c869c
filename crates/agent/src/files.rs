//! Writing files so that a crash leaves the old content or the new, and keys are never readable by others.

use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// The mode of what only root may read.
pub const PRIVATE: u32 = 0o600;
/// The mode of what everybody may read.
pub const PUBLIC: u32 = 0o644;

/// Where an agent has its own files: on its machine's disk, or in memory, for whoever plays many machines in one process.
#[derive(Debug, Clone, Default)]
pub enum Disk {
    /// This machine's.
    #[default]
    Real,
    /// One of a machine that is played. Clones are the same one.
    Memory(Arc<Mutex<BTreeMap<PathBuf, String>>>),
}

impl Disk {
    /// An empty one in memory.
    pub fn in_memory() -> Self {
        Self::Memory(Arc::default())
    }

    /// As [`write`]; a disk in memory knows no modes.
    pub fn write(&self, path: &Path, content: &str, mode: u32) -> io::Result<()> {
        match self {
            Self::Real => write(path, content.as_bytes(), mode),
            Self::Memory(files) => {
                locked(files).insert(path.to_owned(), content.to_owned());
                Ok(())
            }
        }
    }

    /// As [`read`].
    pub fn read(&self, path: &Path) -> io::Result<Option<String>> {
        match self {
            Self::Real => read(path),
            Self::Memory(files) => Ok(locked(files).get(path).cloned()),
        }
    }

    /// As [`remove`].
    pub fn remove(&self, path: &Path) -> io::Result<()> {
        match self {
            Self::Real => remove(path),
            Self::Memory(files) => {
                locked(files).remove(path);
                Ok(())
            }
        }
    }

    /// Whether there is such a file.
    pub fn has(&self, path: &Path) -> bool {
        match self {
            Self::Real => path.exists(),
            Self::Memory(files) => locked(files).contains_key(path),
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

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
    fn a_disk_in_memory_keeps_files_as_the_real_one_does() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/state.json");
        for disk in [Disk::Real, Disk::in_memory()] {
            assert!(!disk.has(&path));
            assert_eq!(disk.read(&path).unwrap(), None);
            disk.write(&path, "one", PRIVATE).unwrap();
            disk.clone().write(&path, "two", PRIVATE).unwrap();
            assert!(disk.has(&path));
            assert_eq!(disk.read(&path).unwrap().as_deref(), Some("two"));
            disk.remove(&path).unwrap();
            disk.remove(&path).unwrap();
            assert!(!disk.has(&path));
        }
    }

    #[test]
    fn what_is_not_there_reads_as_nothing_and_is_removed_without_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("none");
        assert_eq!(read(&path).unwrap(), None);
        remove(&path).unwrap();
    }
}
