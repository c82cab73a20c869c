//! API keys: only their SHA-256 is kept. A key has 256 random bits, so there is nothing to guess.

use chrono::{DateTime, Utc};
use domain::{
    ids::{KeyId, UserId},
    role::Role,
};
use sqlx::PgConnection;
use tracing::warn;

use crate::{Error, Result, people};

/// How many keys a user may have.
pub const MOST: i64 = 100;

/// A key as it is read.
#[derive(Debug, Clone)]
pub struct Key {
    /// Its id.
    pub id: KeyId,
    /// Its name, among those of its user.
    pub name: String,
    /// What it may do at most.
    pub role: Role,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// From when on it is worth nothing.
    pub expires_at: Option<DateTime<Utc>>,
    /// When it was used last, to the minute.
    pub last_used_at: Option<DateTime<Utc>>,
}

/// A new key.
#[derive(Debug, Clone, Copy)]
pub struct New<'a> {
    /// Its name; one is made up where none is given.
    pub name: Option<&'a str>,
    /// What it may do at most.
    pub role: Role,
    /// For how many days it is good; for ever where nothing is said.
    pub days: Option<u32>,
    /// What is kept of it.
    pub sha256: &'a [u8],
}

/// Notes that a key is used, once a minute: that a request waits for nothing, the row is left alone where somebody else
/// is writing it, and a database that takes no writes does not keep anybody out.
pub(crate) async fn note_use(conn: &mut PgConnection, key: KeyId) {
    let noted = sqlx::query!(
        "UPDATE api_key SET last_used_at = now()
         WHERE id = (SELECT id FROM api_key
                     WHERE id = $1 AND (last_used_at IS NULL OR last_used_at < now() - interval '1 minute')
                     FOR NO KEY UPDATE SKIP LOCKED)",
        key.0
    )
    .execute(conn)
    .await;
    if let Err(error) = noted {
        warn!(%error, %key, "the use of a key could not be noted");
    }
}

/// Adds a key to a user.
///
/// # Errors
/// A name that the user has given already, and more keys than a user may have.
pub async fn add(conn: &mut PgConnection, user: UserId, new: New<'_>) -> Result<Key> {
    people::lock_user(conn, user).await?;
    let there = list(conn, user).await?;
    if let Some(name) = new.name
        && there.iter().any(|key| key.name == name)
    {
        return Err(Error::Taken(format!(
            "there is an API key \"{name}\" already: revoke it first, or choose another name"
        )));
    }
    if there.len() as i64 >= MOST {
        return Err(Error::Enough(format!(
            "there are {} API keys, and no user may have more than {MOST}: revoke one that is not used",
            there.len()
        )));
    }
    let id = sqlx::query_scalar!(
        r#"INSERT INTO api_key (user_id, name, role, expires_at, sha256)
           VALUES ($1, coalesce($2, 'key-' || left(gen_random_uuid()::text, 8)), $3,
                   now() + $4::integer * interval '1 day', $5)
           RETURNING id"#,
        user.0,
        new.name,
        new.role.as_str(),
        new.days.map(crate::signed),
        new.sha256,
    )
    .fetch_one(&mut *conn)
    .await?;
    let made = list(conn, user)
        .await?
        .into_iter()
        .find(|key| key.id.0 == id);
    made.ok_or_else(|| sqlx::Error::RowNotFound.into())
}

/// Sees to it that a user has this key.
pub(crate) async fn ensure(conn: &mut PgConnection, user: UserId, sha256: &[u8]) -> Result<()> {
    sqlx::query!(
        "INSERT INTO api_key (user_id, sha256) VALUES ($1, $2) ON CONFLICT (sha256) DO NOTHING",
        user.0,
        sha256,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The keys of a user, oldest first, also those that have expired.
///
/// # Errors
/// Postgres' own.
pub async fn list(conn: &mut PgConnection, user: UserId) -> Result<Vec<Key>> {
    let rows = sqlx::query!(
        "SELECT id, name, role, created_at, expires_at, last_used_at FROM api_key
         WHERE user_id = $1 ORDER BY created_at, name",
        user.0
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(Key {
                id: row.id.into(),
                name: row.name,
                role: row.role.parse()?,
                created_at: row.created_at,
                expires_at: row.expires_at,
                last_used_at: row.last_used_at,
            })
        })
        .collect()
}

/// Revokes a key: it is worth nothing from the commit on.
///
/// # Errors
/// Postgres' own.
pub async fn revoke(conn: &mut PgConnection, key: KeyId) -> Result<()> {
    sqlx::query!("DELETE FROM api_key WHERE id = $1", key.0)
        .execute(conn)
        .await?;
    Ok(())
}
