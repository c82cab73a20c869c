use std::io;
use std::path::{Path, PathBuf};

/// Why the embedded Postgres could not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no Postgres server on this machine and none could be fetched.
    #[error(
        "no Postgres server was found. Install one (Debian, Ubuntu: `apt-get install postgresql`; \
         macOS: `brew install postgresql`) or set PG_BIN to the folder that holds `initdb` and \
         `postgres`. Tried: {}",
        looked_in.join("; ")
    )]
    NotFound {
        /// Each place that was tried, with what was wrong with it.
        looked_in: Vec<String>,
    },

    /// The data was written by a major version of Postgres that is not installed.
    #[error(
        "the database in {} was made by Postgres {data}, but only {} was found. Install Postgres \
         {data}, set PG_BIN to its folder, or choose another data folder",
        data_dir.display(),
        found.join(", ")
    )]
    VersionMismatch {
        /// The folder of the database.
        data_dir: PathBuf,
        /// The major version that made it.
        data: u32,
        /// What is installed instead: version and folder.
        found: Vec<String>,
    },

    /// Another process runs a server on the same folder.
    #[error("the database in {} is already used by process {pid}", data_dir.display())]
    InUse {
        /// The folder of the database.
        data_dir: PathBuf,
        /// The process that started the other server, as far as it left its number.
        pid: String,
    },

    /// The folder has content, but not a database's.
    #[error("{} exists, but holds no Postgres database; choose another data folder", .0.display())]
    NotADatabase(PathBuf),

    /// The folder's name cannot be written into a connection URL.
    #[error("the path of the data folder {} is not valid UTF-8", .0.display())]
    NotUtf8(PathBuf),

    /// `initdb` or the server ended with an error, or the server did not get ready in time.
    #[error("Postgres {what}; the end of {} says:\n{log_tail}", log.display())]
    Failed {
        /// What happened, as the rest of a sentence.
        what: String,
        /// Where the whole log is.
        log: PathBuf,
        /// The last lines of it.
        log_tail: String,
    },

    /// A file or a process could not be handled.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// With which file or program.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },

    /// The server runs, but refused a statement.
    #[error("the embedded Postgres refused: {0}")]
    Database(#[from] sqlx::Error),
}

impl Error {
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io {
            action,
            path,
            source,
        }
    }
}
