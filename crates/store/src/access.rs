//! Who is calling, and which machines may register.

use chrono::{DateTime, Utc};
use domain::{
    ids::{KeyId, NamespaceId, UserId},
    role::{Access, Role},
};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{Result, key, people};

/// Who is calling.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// The user.
    pub user_id: UserId,
    /// The user's name.
    pub user_name: String,
    /// Whether the user may manage the installation.
    pub is_operator: bool,
    /// The key that was used.
    pub key_id: KeyId,
    /// The key's role.
    pub key_role: Role,
    /// From when on the key is worth nothing.
    pub key_expires_at: Option<DateTime<Utc>>,
    /// The user's own namespace.
    pub own_namespace: NamespaceId,
    /// The namespace that was asked for; none where the user has no access to it.
    pub place: Option<Place>,
}

/// A namespace as one user sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Its id.
    pub namespace_id: NamespaceId,
    /// Its name.
    pub name: String,
    /// What may be done there.
    pub access: Access,
}

/// The user of this name that has a key with this SHA-256 which has not expired, in the namespace of this name, or in
/// their own where none is named, which has the user's name. Every request asks this: it is put so that Postgres plans it
/// once for a connection (PREPARE, "Notes"), since planning takes longer than all else.
///
/// # Errors
/// Postgres' own.
pub async fn authenticate(
    conn: &mut PgConnection,
    user_name: &str,
    key_sha256: &[u8],
    namespace: Option<&str>,
) -> Result<Option<Principal>> {
    let row = sqlx::query!(
        r#"SELECT users.id AS "id!", users.name AS "name!", users.is_operator AS "is_operator!",
                  users.namespace_id AS "own_namespace!", api_key.id AS "key_id!", api_key.role AS "key_role!",
                  api_key.expires_at AS "key_expires_at?",
                  coalesce(last_used_at < now() - interval '1 minute', true) AS "is_news!",
                  place.id AS "place_id?", place.name AS "place_name?",
                  CASE WHEN place.id = users.namespace_id THEN 'admin' ELSE member.role END AS member_role
           FROM api_key
           JOIN users ON users.id = api_key.user_id
           LEFT JOIN namespace place ON place.name = coalesce($3, users.name)
           LEFT JOIN member ON member.namespace_id = place.id AND member.user_id = users.id
           WHERE api_key.sha256 = $1 AND users.name = $2 AND users.removed_at IS NULL
             AND (api_key.expires_at IS NULL OR api_key.expires_at > now())"#,
        key_sha256,
        user_name,
        namespace,
    )
    .fetch_optional(&mut *conn)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let key_id = KeyId(row.key_id);
    let key_role = row.key_role.parse()?;
    if row.is_news {
        key::note_use(conn, key_id).await;
    }
    let place = match (row.place_id, row.place_name, row.member_role) {
        (Some(id), Some(name), Some(role)) => Some(Place {
            namespace_id: id.into(),
            name,
            access: Access {
                key: key_role,
                member: role.parse()?,
            },
        }),
        _ => None,
    };
    Ok(Some(Principal {
        user_id: row.id.into(),
        user_name: row.name,
        is_operator: row.is_operator,
        key_id,
        key_role,
        key_expires_at: row.key_expires_at,
        own_namespace: row.own_namespace.into(),
        place,
    }))
}

/// A key in use in a namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Pass {
    /// The key.
    pub key: KeyId,
    /// The namespace.
    pub namespace: NamespaceId,
}

/// Which of these are worth nothing any more: the key was revoked or has expired, or its user is no member any more.
///
/// # Errors
/// Postgres' own.
pub async fn worthless(conn: &mut PgConnection, passes: &[Pass]) -> Result<Vec<Pass>> {
    let keys: Vec<Uuid> = passes.iter().map(|pass| pass.key.0).collect();
    let namespaces: Vec<Uuid> = passes.iter().map(|pass| pass.namespace.0).collect();
    let rows = sqlx::query!(
        r#"SELECT pass.key AS "key!", pass.namespace AS "namespace!"
           FROM unnest($1::uuid[], $2::uuid[]) AS pass (key, namespace)
           WHERE NOT EXISTS (
               SELECT 1 FROM api_key JOIN users ON users.id = api_key.user_id
               WHERE api_key.id = pass.key AND users.removed_at IS NULL
                 AND (api_key.expires_at IS NULL OR api_key.expires_at > now())
                 AND (users.namespace_id = pass.namespace
                      OR EXISTS (SELECT 1 FROM member
                                 WHERE member.namespace_id = pass.namespace AND member.user_id = users.id)))"#,
        &keys,
        &namespaces,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Pass {
            key: row.key.into(),
            namespace: row.namespace.into(),
        })
        .collect())
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

/// Adds a key that may do everything to the user of this name, who is made together with a namespace where there is none
/// yet.
///
/// # Errors
/// Postgres' own, among them its refusal of a malformed name, and a name that was used for something else.
pub async fn add_key(conn: &mut PgConnection, user_name: &str, key_sha256: &[u8]) -> Result<()> {
    let user = people::ensure_user(conn, user_name).await?;
    key::ensure(conn, user.id, key_sha256).await
}
