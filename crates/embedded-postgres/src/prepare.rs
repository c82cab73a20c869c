//! All that comes before the server is started: the lock, the binaries, the database's folder.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, chown, symlink};
use std::path::{self, Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use crate::account::{self, Account};
use crate::binaries::{Search, leading_number};
use crate::process::Launcher;
use crate::{Error, Options};

/// A server that lost its owner needs a moment to end.
const FREE_WITHIN: Duration = Duration::from_secs(3);
/// A path of a socket may have 107 bytes on Linux, 103 on macOS.
const SOCKET_PATH_MAX: usize = 103;
const SOCKET: &str = ".s.PGSQL.5432";
const LOG_MAX_BYTES: u64 = 10 << 20;
const TAIL_LINES: usize = 20;

#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) server: Command,
    pub(crate) socket_dir: String,
    pub(crate) short_name: Option<TempDir>,
    pub(crate) log: PathBuf,
    /// How long the log was before this server.
    pub(crate) log_start: u64,
}

fn log_path(data_dir: &Path) -> PathBuf {
    data_dir.join("postgres.log")
}

/// Opens the log and takes the lock that its open handle stands for, also in every process that inherits it.
pub(crate) async fn lock(data_dir: &Path) -> Result<File, Error> {
    fs::create_dir_all(data_dir).map_err(Error::io("make the folder", data_dir))?;
    let log = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(log_path(data_dir))
        .map_err(Error::io("open", &log_path(data_dir)))?;
    let owner = data_dir.join("owner.pid");
    let deadline = Instant::now() + FREE_WITHIN;
    loop {
        match log.try_lock() {
            Ok(()) => break,
            Err(TryLockError::Error(error)) => {
                return Err(Error::io("lock", &log_path(data_dir))(error));
            }
            Err(TryLockError::WouldBlock) if Instant::now() > deadline => {
                let pid = fs::read_to_string(&owner).unwrap_or_default();
                return Err(Error::InUse {
                    data_dir: data_dir.to_owned(),
                    pid: pid.trim().to_owned(),
                });
            }
            Err(TryLockError::WouldBlock) => sleep(Duration::from_millis(20)).await,
        }
    }
    fs::write(&owner, format!("{}\n", std::process::id())).map_err(Error::io("write", &owner))?;
    Ok(log)
}

/// Everything up to the command that starts the server.
pub(crate) fn prepare(options: &Options, log: File) -> Result<Prepared, Error> {
    let data_dir = path::absolute(&options.data_dir)
        .map_err(Error::io("find the folder", &options.data_dir))?;
    let pgdata = data_dir.join("pgdata");
    let account = account::choose(&pgdata);
    let existing = version(&pgdata)?;
    let binaries = Search::from_environment().find(&pgdata, existing)?;
    let log_start = trim(&log).map_err(Error::io("read", &log_path(&data_dir)))?;
    tracing::debug!(bin = %binaries.folder.display(), major = binaries.major, ?account, "starting Postgres");
    let launcher = Launcher {
        bin: binaries.folder,
        account,
        log,
    };
    if existing.is_none() {
        initialize(&launcher, &data_dir, &pgdata, options.durable, log_start)?;
    }
    remove_stale_pid(&pgdata);
    let (socket_dir, short_name) = socket_dir(&pgdata)?;
    let server = launcher
        .server(&pgdata, options.durable)
        .map_err(Error::io("open", &pgdata))?;
    Ok(Prepared {
        server,
        socket_dir,
        short_name,
        log: log_path(&data_dir),
        log_start,
    })
}

/// The major version of the database in the folder, `None` when there is no folder.
fn version(pgdata: &Path) -> Result<Option<u32>, Error> {
    let file = pgdata.join("PG_VERSION");
    match fs::read_to_string(&file) {
        Ok(text) => leading_number(&text)
            .map(Some)
            .ok_or_else(|| Error::NotADatabase(pgdata.to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if pgdata.exists() {
                return Err(Error::NotADatabase(pgdata.to_owned()));
            }
            Ok(None)
        }
        Err(error) => Err(Error::io("read", &file)(error)),
    }
}

/// Makes the database under another name first: what is called `pgdata` is complete.
fn initialize(
    launcher: &Launcher,
    data_dir: &Path,
    pgdata: &Path,
    durable: bool,
    log_start: u64,
) -> Result<(), Error> {
    let partial = data_dir.join("pgdata.new");
    match fs::remove_dir_all(&partial) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(Error::io("remove", &partial)(error));
        }
        _ => {}
    }
    DirBuilder::new()
        .mode(0o700)
        .create(&partial)
        .map_err(Error::io("make the folder", &partial))?;
    if let Some(Account { uid, gid }) = launcher.account {
        chown(&partial, Some(uid), Some(gid))
            .map_err(Error::io("change the owner of", &partial))?;
    }
    let status = launcher
        .initdb(&partial, durable)
        .and_then(|mut command| command.status())
        .map_err(Error::io("run", &launcher.bin.join("initdb")))?;
    if !status.success() {
        let log = log_path(data_dir);
        return Err(Error::Failed {
            what: format!("could not make a database ({status})"),
            log_tail: tail(&log, log_start),
            log,
        });
    }
    fs::rename(&partial, pgdata).map_err(Error::io("rename", &partial))
}

/// A hard kill leaves `postmaster.pid`, and the server refuses to start when that number has meanwhile gone to
/// another process, as it does in a restarted container. We hold the lock, so no server that we started lives;
/// but somebody may have started one by hand.
fn remove_stale_pid(pgdata: &Path) {
    let file = pgdata.join("postmaster.pid");
    let Ok(content) = fs::read_to_string(&file) else {
        return;
    };
    let pid = content.lines().next().unwrap_or_default().trim();
    match fs::read_to_string(Path::new("/proc").join(pid).join("comm")) {
        Ok(name) if name.trim() != "postgres" => {
            tracing::debug!(pid, "removing the stale postmaster.pid");
            // Should this fail, the server says so itself.
            let _ = fs::remove_file(file);
        }
        // The server itself removes the file of a process that is gone.
        _ => {}
    }
}

/// The folder to give to clients: the database's own, or a short link to it.
fn socket_dir(pgdata: &Path) -> Result<(String, Option<TempDir>), Error> {
    let utf8 = |path: &Path| {
        path.to_str()
            .map(str::to_owned)
            .ok_or_else(|| Error::NotUtf8(path.to_owned()))
    };
    let own = utf8(pgdata)?;
    if own.len() + 1 + SOCKET.len() <= SOCKET_PATH_MAX {
        return Ok((own, None));
    }
    // Not the system's temporary folder: that may have a long name as well.
    let tmp = Path::new("/tmp");
    let folder = tempfile::Builder::new()
        .prefix("berth-pg-")
        .tempdir_in(tmp)
        .map_err(Error::io("make a folder in", tmp))?;
    let link = folder.path().join("s");
    symlink(pgdata, &link).map_err(Error::io("make the link", &link))?;
    Ok((utf8(&link)?, Some(folder)))
}

/// Empties a log that has grown large; returns its length.
fn trim(log: &File) -> io::Result<u64> {
    let length = log.metadata()?.len();
    if length > LOG_MAX_BYTES {
        log.set_len(0)?;
        return Ok(0);
    }
    Ok(length)
}

/// The last lines of what was logged since `start`.
pub(crate) fn tail(log: &Path, start: u64) -> String {
    let mut text = Vec::new();
    let read = File::open(log).and_then(|mut file| {
        file.seek(SeekFrom::Start(start))?;
        file.read_to_end(&mut text)
    });
    if let Err(error) = read {
        return error.to_string();
    }
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
}
