//! Where `initdb` and `postgres` are.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Error;
use crate::download::Downloads;

/// A folder with `initdb` and `postgres`, and their major version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Binaries {
    pub(crate) folder: PathBuf,
    pub(crate) major: u32,
}

/// The places to look in, as data, so that a test can say them.
#[derive(Debug)]
pub(crate) struct Search {
    pub(crate) pg_bin: Option<PathBuf>,
    pub(crate) path: Vec<PathBuf>,
    /// Folders whose children named `prefix…` hold a `bin`, as package managers lay them out.
    pub(crate) packaged: Vec<(PathBuf, &'static str)>,
    pub(crate) downloads: Option<Downloads>,
}

impl Search {
    pub(crate) fn from_environment() -> Self {
        let path = env::var_os("PATH").unwrap_or_default();
        Self {
            pg_bin: env::var_os("PG_BIN").map(PathBuf::from),
            path: env::split_paths(&path).collect(),
            packaged: vec![
                ("/usr/lib/postgresql".into(), ""),
                ("/opt/homebrew/opt".into(), "postgresql"),
                ("/usr/local/opt".into(), "postgresql"),
            ],
            downloads: Downloads::from_environment(),
        }
    }

    /// The best server there is; of the major version `wanted` when the data already has one.
    pub(crate) fn find(&self, data_dir: &Path, wanted: Option<u32>) -> Result<Binaries, Error> {
        let suits = |binaries: &Binaries| wanted.is_none_or(|wanted| wanted == binaries.major);
        let mut looked_in = self.places();
        let mut found = Vec::new();
        for folder in self.folders() {
            match probe(&folder) {
                Ok(binaries) if suits(&binaries) => return Ok(binaries),
                Ok(binaries) => found.push(binaries),
                Err(reason) => looked_in.push(format!("{}: {reason}", folder.display())),
            }
        }
        // Whoever names a folder means that one, not a download.
        if found.is_empty() && self.pg_bin.is_none() {
            let downloads = self.downloads.as_ref();
            match downloads.and_then(|downloads| downloads.install(&mut looked_in)) {
                Some(binaries) if suits(&binaries) => return Ok(binaries),
                Some(binaries) => found.push(binaries),
                None => {}
            }
        }
        match wanted {
            Some(data) if !found.is_empty() => Err(Error::VersionMismatch {
                data_dir: data_dir.to_owned(),
                data,
                found: found
                    .iter()
                    .map(|Binaries { folder, major }| format!("{major} ({})", folder.display()))
                    .collect(),
            }),
            _ => Err(Error::NotFound { looked_in }),
        }
    }

    /// The places that always count, for the error message.
    fn places(&self) -> Vec<String> {
        if self.pg_bin.is_some() {
            return vec!["PG_BIN".into()];
        }
        let packaged = self
            .packaged
            .iter()
            .map(|(parent, prefix)| format!("{}/{prefix}*/bin", parent.display()));
        ["PATH".into(), "pg_config".into()]
            .into_iter()
            .chain(packaged)
            .collect()
    }

    fn folders(&self) -> Vec<PathBuf> {
        if let Some(folder) = &self.pg_bin {
            return vec![folder.clone()];
        }
        let on_path = self
            .path
            .iter()
            .filter(|folder| folder.join("initdb").exists() && folder.join("postgres").exists());
        let mut folders: Vec<PathBuf> = on_path.cloned().collect();
        folders.extend(self.pg_config());
        for (parent, prefix) in &self.packaged {
            folders.extend(newest_first(parent, prefix));
        }
        if let Some(downloads) = &self.downloads {
            folders.extend(downloads.installed());
        }
        folders
    }

    /// `pg_config` also comes with the client library's headers, without a server beside it.
    fn pg_config(&self) -> Option<PathBuf> {
        let program = self
            .path
            .iter()
            .map(|folder| folder.join("pg_config"))
            .find(|program| program.is_file())?;
        let output = Command::new(program).arg("--bindir").output().ok()?;
        let folder = String::from_utf8(output.stdout).ok()?;
        Some(PathBuf::from(folder.trim())).filter(|folder| folder.is_absolute())
    }
}

/// `<parent>/<prefix>*/bin`, the highest version number first.
fn newest_first(parent: &Path, prefix: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(parent).into_iter().flatten().flatten();
    let mut versions: Vec<(u32, PathBuf)> = entries
        .filter_map(|entry| {
            let name = entry.file_name();
            let version = name.to_str()?.strip_prefix(prefix)?.trim_start_matches('@');
            let folder = entry.path().join("bin");
            folder
                .is_dir()
                .then(|| (leading_number(version).unwrap_or_default(), folder))
        })
        .collect();
    versions.sort_unstable();
    versions
        .into_iter()
        .rev()
        .map(|(_, folder)| folder)
        .collect()
}

/// The binaries in a folder, or what is wrong with it.
pub(crate) fn probe(folder: &Path) -> Result<Binaries, String> {
    for name in ["initdb", "postgres"] {
        if !folder.join(name).is_file() {
            return Err(format!("no `{name}`"));
        }
    }
    let output = Command::new(folder.join("postgres"))
        .arg("--version")
        .output()
        .map_err(|error| error.to_string())?;
    // "postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)"
    let major = String::from_utf8_lossy(&output.stdout)
        .split_whitespace()
        .nth(2)
        .and_then(leading_number);
    match major {
        Some(major) => Ok(Binaries {
            folder: folder.to_owned(),
            major,
        }),
        None => Err(format!(
            "`postgres --version` does not work: {}",
            first_line(&output.stderr)
        )),
    }
}

pub(crate) fn first_line(output: &[u8]) -> String {
    let text = String::from_utf8_lossy(output);
    text.trim().lines().next().unwrap_or_default().to_owned()
}

pub(crate) fn leading_number(text: &str) -> Option<u32> {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    text[..end].parse().ok()
}

/// The first program of that name on the path.
pub(crate) fn which(path: &OsStr, name: &str) -> Option<PathBuf> {
    env::split_paths(path)
        .map(|folder| folder.join(name))
        .find(|program| program.is_file())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn fake(folder: &Path, version: &str) {
        fs::create_dir_all(folder).unwrap();
        for name in ["initdb", "postgres"] {
            let file = folder.join(name);
            fs::write(
                &file,
                format!("#!/bin/sh\necho 'postgres (PostgreSQL) {version} (x)'\n"),
            )
            .unwrap();
            fs::set_permissions(file, fs::Permissions::from_mode(0o755)).unwrap();
        }
    }

    fn search(root: &Path) -> Search {
        Search {
            pg_bin: None,
            path: vec![root.join("empty")],
            packaged: vec![(root.join("lib"), ""), (root.join("opt"), "postgresql")],
            downloads: None,
        }
    }

    #[test]
    fn the_newest_packaged_version_wins_unless_the_data_has_one() {
        let root = tempfile::tempdir().unwrap();
        for version in ["9", "15", "17beta1"] {
            fake(
                &root.path().join("lib").join(version).join("bin"),
                &format!("{version}.3"),
            );
        }
        fake(&root.path().join("opt/postgresql@14/bin"), "14.1");
        let search = search(root.path());
        let major = |wanted| search.find(Path::new("/data"), wanted).unwrap().major;
        assert_eq!(major(None), 17);
        assert_eq!(major(Some(9)), 9);
        assert_eq!(major(Some(14)), 14);
        let error = search.find(Path::new("/data"), Some(12)).unwrap_err();
        let message = error.to_string();
        assert!(message.contains("made by Postgres 12"), "{message}");
        assert!(message.contains("14 ("), "{message}");
    }

    #[test]
    fn pg_bin_alone_counts_when_it_is_set() {
        let root = tempfile::tempdir().unwrap();
        fake(&root.path().join("lib/15/bin"), "15.3");
        let mut search = search(root.path());
        search.pg_bin = Some(root.path().join("nothing-here"));
        let message = search
            .find(Path::new("/data"), None)
            .unwrap_err()
            .to_string();
        assert!(message.contains("PG_BIN; "), "{message}");
        assert!(message.contains("nothing-here: no `initdb`"), "{message}");
        fake(&root.path().join("nothing-here"), "16.0");
        assert_eq!(search.find(Path::new("/data"), None).unwrap().major, 16);
    }

    #[test]
    fn nothing_found_says_what_to_install() {
        let root = tempfile::tempdir().unwrap();
        let message = search(root.path())
            .find(Path::new("/data"), None)
            .unwrap_err()
            .to_string();
        for hint in [
            "apt-get install postgresql",
            "brew install postgresql",
            "PG_BIN",
            "lib/*/bin",
        ] {
            assert!(message.contains(hint), "{message}");
        }
    }
}
