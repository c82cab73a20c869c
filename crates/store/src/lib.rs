//! All SQL of Berth: plain functions, grouped by table, that take a connection.
//!
//! A caller begins a transaction, calls what belongs together, and commits. The writes of a worker begin with
//! [`site::fence`], so that a worker that has lost its site writes nothing more. Every state change of a cluster, node
//! or action is written to the event log by a trigger, in the same commit.

use std::time::Duration;

use sqlx::{
    Connection,
    postgres::{PgConnectOptions, PgPoolOptions},
};

pub mod access;
pub mod action;
pub mod authority;
pub mod catalogue;
pub mod cluster;
pub mod event;
pub mod host;
pub mod installation;
pub mod key;
pub mod launch;
pub mod link;
pub mod naming;
pub mod network;
pub mod node;
pub mod operation;
pub mod outage;
pub mod page;
pub mod people;
pub mod quota;
pub mod shown;
pub mod site;
pub mod tag;
pub mod upgrade;

pub use sqlx::{PgConnection, PgPool};

/// The migrations, embedded.
pub static MIGRATOR: sqlx::migrate::Migrator = sqlx::migrate!("../../migrations");

/// What can go wrong with the state.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another worker holds the site, or keeps the names, by now: nothing was written.
    #[error("the lease is lost")]
    LeaseLost,
    /// A live cluster of the namespace has the name already.
    #[error("a node cluster named \"{0}\" exists already")]
    NameTaken(String),
    /// The object's state does not allow what was asked of it.
    #[error(transparent)]
    Forbidden(#[from] domain::state::Forbidden),
    /// Something else that must be unique is taken; it says what.
    #[error("{0}")]
    Taken(String),
    /// What there is forbids it; it says what and how much.
    #[error("{0}")]
    Enough(String),
    /// The namespace would have more than it may have.
    #[error(transparent)]
    OverQuota(#[from] domain::quota::OverQuota),
    /// A row holds what this version can't read.
    #[error("the database holds an unreadable value: {0}")]
    Unreadable(String),
    /// The URL is of something else; it is not repeated, since it may hold a password.
    #[error("the URL must begin with postgres://, as in postgres://USER:PASSWORD@HOST/NAME")]
    NoPostgresUrl,
    /// No connection could be made.
    #[error("can't connect to Postgres at {host}: {source}")]
    Unreachable {
        /// The host and port, or the socket's folder.
        host: String,
        /// Why.
        source: sqlx::Error,
    },
    /// Postgres has not answered in time.
    #[error("the database does not answer")]
    NoAnswer,
    /// Postgres refused, or could not be reached.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

impl From<domain::state::UnknownText> for Error {
    fn from(unknown: domain::state::UnknownText) -> Self {
        Self::Unreadable(unknown.to_string())
    }
}

impl From<serde_json::Error> for Error {
    fn from(error: serde_json::Error) -> Self {
        Self::Unreadable(error.to_string())
    }
}

/// The result of every function here.
pub type Result<T> = std::result::Result<T, Error>;

/// A pool of connections to `database_url`; the first connection is made at first use.
///
/// # Errors
/// A malformed URL.
pub fn connect(database_url: &str, max_connections: u32) -> Result<PgPool> {
    Ok(pool(options(database_url)?, max_connections))
}

/// The same, once a connection could be made.
///
/// # Errors
/// A malformed URL, and a server that can't be reached or refuses, named with its host.
pub async fn reach(database_url: &str, max_connections: u32) -> Result<PgPool> {
    let options = options(database_url)?;
    // The pool would try until its time is up and then say only that it is.
    match PgConnection::connect_with(&options).await {
        Ok(connection) => connection.close().await?,
        Err(source) => {
            let host = match options.get_socket() {
                Some(socket) => socket.display().to_string(),
                None => format!("{}:{}", options.get_host(), options.get_port()),
            };
            return Err(Error::Unreachable { host, source });
        }
    }
    Ok(pool(options, max_connections))
}

fn options(database_url: &str) -> Result<PgConnectOptions> {
    if !database_url.starts_with("postgres://") && !database_url.starts_with("postgresql://") {
        return Err(Error::NoPostgresUrl);
    }
    let options: PgConnectOptions = database_url.parse()?;
    Ok(options.application_name("berth"))
}

/// A process that is lost inside a transaction, without its connection being closed, must not keep what it has locked:
/// nobody could take its sites over. And nobody waits for a lock for ever. Nor for the compiling of a statement: what is
/// written for many at a time looks costly enough to Postgres' JIT, which takes a second for what runs in milliseconds,
/// on each new connection. Set by statements rather than as start-up options, which poolers refuse.
const SETTINGS: &str =
    "SET idle_in_transaction_session_timeout = '5s'; SET lock_timeout = '10s'; SET jit = off";

/// A connection that was in use so lately is taken to be there still: asking costs every request as much as the look at who
/// calls. A request that comes later than this after a restart of Postgres, or of a pooler, never meets a closed one.
const TRUSTED_FOR: Duration = Duration::from_millis(10);

fn pool(options: PgConnectOptions, max_connections: u32) -> PgPool {
    PgPoolOptions::new()
        .max_connections(max_connections)
        .acquire_timeout(Duration::from_secs(10))
        .test_before_acquire(false)
        .before_acquire(|conn, connection| {
            Box::pin(async move {
                if connection.idle_for > TRUSTED_FOR {
                    conn.ping().await?;
                }
                Ok(true)
            })
        })
        .after_connect(|conn, _| {
            Box::pin(async move { sqlx::raw_sql(SETTINGS).execute(conn).await.map(|_| ()) })
        })
        .connect_lazy_with(options)
}

/// Brings the database up to date: the migrations, and the packaged catalogue where there is none yet.
///
/// # Errors
/// Postgres' own, and a database that a newer version has migrated.
pub async fn migrate(pool: &PgPool) -> std::result::Result<(), MigrateError> {
    // Replicas that start together wait for the one that migrates, however long that takes.
    let patient = PgPoolOptions::new()
        .max_connections(1)
        .connect_lazy_with(pool.connect_options().as_ref().clone());
    MIGRATOR.run(&patient).await?;
    patient.close().await;
    let mut tx = pool.begin().await.map_err(Error::from)?;
    catalogue::install_packaged(&mut tx).await?;
    tx.commit().await.map_err(Error::from)?;
    Ok(())
}

/// Whether every migration that this version knows has been applied.
///
/// # Errors
/// Postgres' own.
pub async fn is_migrated(pool: &PgPool) -> Result<bool> {
    let newest = MIGRATOR.iter().map(|migration| migration.version).max();
    let applied: std::result::Result<Option<i64>, sqlx::Error> =
        sqlx::query_scalar("SELECT max(version) FROM _sqlx_migrations WHERE success")
            .fetch_one(pool)
            .await;
    match applied {
        Ok(applied) => Ok(applied >= newest),
        // 42P01: the table does not exist, so nothing was ever applied.
        Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some("42P01") => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// What can go wrong with a migration.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// A migration could not be applied.
    #[error(transparent)]
    Migration(#[from] sqlx::migrate::MigrateError),
    /// The catalogue could not be written.
    #[error(transparent)]
    Catalogue(#[from] Error),
}

/// Postgres has no unsigned integers; the constraints keep these columns non-negative.
fn unsigned(value: i32) -> u32 {
    u32::try_from(value).unwrap_or(0)
}

fn signed(value: u32) -> i32 {
    i32::try_from(value).unwrap_or(i32::MAX)
}
