//! A private Postgres server as a child process, for `berth dev`, `berth demo` and the tests.
//!
//! ```no_run
//! # async fn example() -> Result<(), embedded_postgres::Error> {
//! use embedded_postgres::{EmbeddedPostgres, Options};
//!
//! let postgres = EmbeddedPostgres::start(Options { data_dir: "/tmp/example".into(), durable: true }).await?;
//! postgres.create_database("berth").await?;
//! let url = postgres.url("berth");
//! // … connect with sqlx or psql …
//! postgres.stop().await
//! # }
//! ```
//!
//! The data folder holds:
//!
//! - `pgdata/`, the database, with the server's socket in it. There is no TCP listener. Only the user whom the
//!   server runs as, and root, can enter, and that is the whole access control.
//! - `postgres.log`, which is also the lock: every process of a server has it open and locked, so the folder is
//!   free exactly when the last of them is gone, whatever became of the process that started them.
//! - `owner.pid`, the process that started the server, for the error message.
//!
//! The server ends with the process that started it, also when that is killed, or when [`EmbeddedPostgres`] is
//! dropped (in the background then; use [`EmbeddedPostgres::stop`] to wait for the end).

mod account;
mod binaries;
mod download;
mod error;
mod prepare;
mod process;

use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tempfile::TempDir;
use tokio::process::Child;
use tokio::time::{Instant, sleep, timeout};

pub use error::Error;
use prepare::{Prepared, tail};

/// The database superuser's name.
pub(crate) const USER: &str = "berth";

/// After a crash the server first replays its log.
const READY_WITHIN: Duration = Duration::from_secs(60);
const STOPPED_WITHIN: Duration = Duration::from_secs(60);

/// What to start.
#[derive(Clone, Debug)]
pub struct Options {
    /// The folder of the database and its log; it is made when it does not exist.
    pub data_dir: PathBuf,
    /// Whether data must survive a crash of the machine. `false`, for tests and the demo, turns fsync off.
    pub durable: bool,
}

/// A running server; it ends when this is dropped.
#[derive(Debug)]
pub struct EmbeddedPostgres {
    socket_dir: String,
    supervisor: Child,
    log: PathBuf,
    log_start: u64,
    /// The short name of the socket's folder, when its own name is too long for a socket.
    _short_name: Option<TempDir>,
}

impl EmbeddedPostgres {
    /// Starts the server on the folder, making the database first when there is none, and waits until it
    /// accepts connections.
    pub async fn start(options: Options) -> Result<Self, Error> {
        let log = prepare::lock(&options.data_dir).await?;
        let data_dir = options.data_dir.clone();
        let prepared = tokio::task::spawn_blocking(move || prepare::prepare(&options, log)).await;
        let Prepared {
            server,
            socket_dir,
            short_name,
            log,
            log_start,
        } = prepared
            .map_err(io::Error::other)
            .map_err(Error::io("prepare", &data_dir))??;
        // The command holds our last handle of the log; spawned and dropped, only the server has the lock.
        let supervisor = tokio::process::Command::from(server)
            .spawn()
            .map_err(Error::io("start", Path::new("/bin/sh")))?;
        let postgres = Self {
            socket_dir,
            supervisor,
            log,
            log_start,
            _short_name: short_name,
        };
        postgres.ready().await
    }

    async fn ready(mut self) -> Result<Self, Error> {
        let deadline = Instant::now() + READY_WITHIN;
        loop {
            if let Ok(Some(status)) = self.supervisor.try_wait() {
                return Err(self.failed(format!("did not start ({status})")));
            }
            match self.connect("postgres").await {
                Ok(connection) => {
                    connection.close().await?;
                    return Ok(self);
                }
                Err(error) if Instant::now() > deadline => {
                    return Err(self.failed(format!("did not get ready ({error})")));
                }
                // No socket yet, or a server that is still starting up.
                Err(_) => sleep(Duration::from_millis(10)).await,
            }
        }
    }

    /// The address of a database on this server, for sqlx and for `psql`.
    pub fn url(&self, database: &str) -> String {
        format!(
            "postgres:///{}?host={}&port=5432&user={USER}&sslmode=disable",
            percent_encode(database),
            percent_encode(&self.socket_dir)
        )
    }

    /// Makes a database unless there is one of that name.
    pub async fn create_database(&self, name: &str) -> Result<(), Error> {
        let mut connection = self.connect("postgres").await?;
        let statement = format!(r#"CREATE DATABASE "{}""#, name.replace('"', r#""""#));
        let result = sqlx::raw_sql(AssertSqlSafe(statement))
            .execute(&mut connection)
            .await;
        connection.close().await?;
        match result {
            // 42P04: it exists. 23505: somebody else is making it at this moment.
            Err(sqlx::Error::Database(error))
                if matches!(error.code().as_deref(), Some("42P04" | "23505")) =>
            {
                Ok(())
            }
            Err(error) => Err(error.into()),
            Ok(_) => Ok(()),
        }
    }

    /// Ends the server: running transactions are aborted, what was committed is written out.
    pub async fn stop(mut self) -> Result<(), Error> {
        // Waiting closes the pipe that keeps the server alive.
        match timeout(STOPPED_WITHIN, self.supervisor.wait()).await {
            Ok(Ok(status)) if status.success() => Ok(()),
            Ok(Ok(status)) => Err(self.failed(format!("ended with an error ({status})"))),
            Ok(Err(error)) => Err(self.failed(format!("cannot be waited for ({error})"))),
            Err(_) => Err(self.failed(format!("did not end within {STOPPED_WITHIN:?}"))),
        }
    }

    async fn connect(&self, database: &str) -> Result<PgConnection, sqlx::Error> {
        PgConnection::connect(&self.url(database)).await
    }

    fn failed(&self, what: String) -> Error {
        Error::Failed {
            what,
            log: self.log.clone(),
            log_tail: tail(&self.log, self.log_start),
        }
    }
}

fn percent_encode(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'-' | b'_' | b'.') {
            encoded.push(char::from(byte));
        } else {
            write!(encoded, "%{byte:02X}").expect("writing to a string does not fail");
        }
        encoded
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_url_reserves_is_encoded() {
        assert_eq!(percent_encode("/tmp/a b/ü?"), "/tmp/a%20b/%C3%BC%3F");
    }
}
