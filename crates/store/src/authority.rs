//! The certificate authorities of the namespaces.

use domain::ids::NamespaceId;
use sqlx::PgConnection;

use crate::Result;

/// An authority as it is kept.
#[derive(Debug, Clone)]
pub struct Authority {
    /// Its certificate in PEM.
    pub certificate: String,
    /// Its key, sealed under the installation's secret key.
    pub sealed_key: Vec<u8>,
}

/// The authority of a namespace.
///
/// # Errors
/// Postgres' own.
pub async fn get(conn: &mut PgConnection, namespace: NamespaceId) -> Result<Option<Authority>> {
    Ok(sqlx::query_as!(
        Authority,
        "SELECT certificate, sealed_key FROM authority WHERE namespace_id = $1",
        namespace.0
    )
    .fetch_optional(conn)
    .await?)
}

/// Keeps the authority of a namespace, unless it has one already. Answers with the one that it has.
///
/// # Errors
/// Postgres' own.
pub async fn keep(
    conn: &mut PgConnection,
    namespace: NamespaceId,
    certificate: &str,
    sealed_key: &[u8],
) -> Result<Authority> {
    sqlx::query!(
        r#"INSERT INTO authority (namespace_id, certificate, sealed_key) VALUES ($1, $2, $3)
           ON CONFLICT (namespace_id) DO NOTHING"#,
        namespace.0,
        certificate,
        sealed_key
    )
    .execute(&mut *conn)
    .await?;
    // A statement of its own: the one above does not see what another transaction made while it waited for it.
    Ok(sqlx::query_as!(
        Authority,
        "SELECT certificate, sealed_key FROM authority WHERE namespace_id = $1",
        namespace.0
    )
    .fetch_one(conn)
    .await?)
}

/// The database's time, in seconds since 1970.
///
/// # Errors
/// Postgres' own.
pub async fn now(conn: &mut PgConnection) -> Result<i64> {
    Ok(
        sqlx::query_scalar!(r#"SELECT extract(epoch FROM now())::bigint AS "now!""#)
            .fetch_one(conn)
            .await?,
    )
}

/// The authorities of all namespaces, locked: each with its sealed key.
///
/// # Errors
/// Postgres' own.
pub async fn sealed(conn: &mut PgConnection) -> Result<Vec<(NamespaceId, Vec<u8>)>> {
    let rows = sqlx::query!(
        "SELECT namespace_id, sealed_key FROM authority ORDER BY namespace_id FOR UPDATE"
    )
    .fetch_all(conn)
    .await?;
    let rows = rows.into_iter();
    Ok(rows
        .map(|row| (row.namespace_id.into(), row.sealed_key))
        .collect())
}

/// Keeps the same key, sealed anew.
///
/// # Errors
/// Postgres' own.
pub async fn reseal(conn: &mut PgConnection, namespace: NamespaceId, sealed: &[u8]) -> Result<()> {
    sqlx::query!(
        "UPDATE authority SET sealed_key = $2 WHERE namespace_id = $1",
        namespace.0,
        sealed
    )
    .execute(conn)
    .await?;
    Ok(())
}
