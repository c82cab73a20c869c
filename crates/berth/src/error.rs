//! What ends a command.

/// What ends a command, in words for the user.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The state can't be used.
    #[error("the database: {0}")]
    Store(#[from] store::Error),
    /// The database can't be brought up to date.
    #[error("the database can't be brought up to date: {0}")]
    Migrate(#[from] store::MigrateError),
    /// The database was not migrated.
    #[error("the database is not up to date: run `berth migrate` with the same DATABASE_URL first")]
    NotMigrated,
    /// The Postgres of `dev` and `demo`.
    #[error("{0}")]
    Postgres(#[from] embedded_postgres::Error),
    /// A socket, file or folder.
    #[error("{0}: {1}")]
    Io(String, #[source] std::io::Error),
    /// A flag or argument.
    #[error("{0}")]
    Usage(String),
    /// The demo did not get there.
    #[error("{0}")]
    Demo(String),
}
