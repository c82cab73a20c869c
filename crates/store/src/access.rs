//! Users and their API keys.

use domain::ids::{NamespaceId, UserId};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::Result;

/// Who is calling.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// The user.
    pub user_id: UserId,
    /// The user's name.
    pub user_name: String,
    /// The user's own namespace.
    pub namespace_id: NamespaceId,
    /// Its name.
    pub namespace: String,
}

/// The user of this name that has a key with this SHA-256.
///
/// # Errors
/// Postgres' own.
pub async fn authenticate(
    conn: &mut PgConnection,
    user_name: &str,
    key_sha256: &[u8],
) -> Result<Option<Principal>> {
    let row = sqlx::query!(
        r#"SELECT users.id, users.name, namespace.id AS namespace_id, namespace.name AS namespace
           FROM api_key
           JOIN users ON users.id = api_key.user_id
           JOIN namespace ON namespace.id = users.namespace_id
           WHERE api_key.sha256 = $1 AND users.name = $2"#,
        key_sha256,
        user_name,
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| Principal {
        user_id: row.id.into(),
        user_name: row.name,
        namespace_id: row.namespace_id.into(),
        namespace: row.namespace,
    }))
}

/// Keeps a token with which machines may register themselves as nodes of the namespace. Answers with its id.
///
/// # Errors
/// Postgres' own.
pub async fn add_node_token(
    conn: &mut PgConnection,
    namespace: NamespaceId,
    sha256: &[u8],
) -> Result<Uuid> {
    let id = Uuid::new_v4();
    sqlx::query!(
        "INSERT INTO node_token (id, namespace_id, sha256) VALUES ($1, $2, $3)",
        id,
        namespace.0,
        sha256
    )
    .execute(conn)
    .await?;
    Ok(id)
}

/// Adds a key to the user of this name, who is made together with a namespace where there is none yet.
///
/// # Errors
/// Postgres' own, among them its refusal of a malformed name.
pub async fn add_key(conn: &mut PgConnection, user_name: &str, key_sha256: &[u8]) -> Result<()> {
    sqlx::query!(
        r#"INSERT INTO namespace (name, account_link_id)
           SELECT $1, id FROM account_link WHERE kind = 'ambient'
           ON CONFLICT (name) DO NOTHING"#,
        user_name,
    )
    .execute(&mut *conn)
    .await?;
    sqlx::query!(
        r#"INSERT INTO users (name, namespace_id)
           SELECT $1, id FROM namespace WHERE name = $1
           ON CONFLICT (name) DO NOTHING"#,
        user_name,
    )
    .execute(&mut *conn)
    .await?;
    sqlx::query!(
        r#"INSERT INTO api_key (user_id, sha256)
           SELECT id, $2 FROM users WHERE name = $1
           ON CONFLICT (sha256) DO NOTHING"#,
        user_name,
        key_sha256,
    )
    .execute(conn)
    .await?;
    Ok(())
}
