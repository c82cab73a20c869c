//! How much a namespace may have.

use domain::{
    ids::NamespaceId,
    quota::{Limits, Used},
};
use sqlx::PgConnection;

use crate::{Error, Result, signed, unsigned};

/// The limits of a namespace of its own; what is absent is the installation's.
///
/// # Errors
/// Postgres' own.
pub async fn own(conn: &mut PgConnection, namespace: NamespaceId) -> Result<Limits> {
    let row = sqlx::query!(
        "SELECT max_clusters, max_nodes FROM namespace WHERE id = $1",
        namespace.0
    )
    .fetch_one(conn)
    .await?;
    Ok(Limits {
        clusters: row.max_clusters.map(unsigned),
        nodes: row.max_nodes.map(unsigned),
    })
}

/// Sets the limits of a namespace's own.
///
/// # Errors
/// Postgres' own.
pub async fn set(conn: &mut PgConnection, namespace: NamespaceId, limits: Limits) -> Result<()> {
    sqlx::query!(
        "UPDATE namespace SET max_clusters = $2, max_nodes = $3 WHERE id = $1",
        namespace.0,
        limits.clusters.map(signed),
        limits.nodes.map(signed),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The namespace of this name.
///
/// # Errors
/// Postgres' own.
pub async fn namespace(conn: &mut PgConnection, name: &str) -> Result<Option<NamespaceId>> {
    let id = sqlx::query_scalar!("SELECT id FROM namespace WHERE name = $1", name)
        .fetch_optional(conn)
        .await?;
    Ok(id.map(NamespaceId))
}

/// What a namespace has: clusters that are not terminated, and nodes that are there or are wanted.
///
/// # Errors
/// Postgres' own.
pub async fn used(conn: &mut PgConnection, namespace: NamespaceId) -> Result<Used> {
    // A cluster counts for what it has, what it wants and what a scale that waits asks for, whichever is most: one that
    // shrinks still has its nodes, and one that was not deployed yet will have them.
    let row = sqlx::query!(
        r#"SELECT count(*) AS "clusters!", coalesce(sum(greatest(wanted, waiting, live)), 0)::bigint AS "nodes!",
                  (SELECT count(*) FROM node
                   WHERE namespace_id = $1 AND cluster_id IS NULL AND state <> 'Terminated') AS "brought!"
           FROM (SELECT CASE WHEN state = 'Terminating' THEN 0 ELSE target_num_nodes END AS wanted,
                        (SELECT max(action.target_num_nodes) FROM action
                         WHERE action.object_id = cluster.id AND action.state = 'Pending') AS waiting,
                        (SELECT count(*) FROM node WHERE cluster_id = cluster.id AND state <> 'Terminated') AS live
                 FROM cluster WHERE namespace_id = $1 AND state <> 'Terminated') AS of_cluster"#,
        namespace.0
    )
    .fetch_one(conn)
    .await?;
    let count = |number: i64| u32::try_from(number).unwrap_or(u32::MAX);
    Ok(Used {
        clusters: count(row.clusters),
        nodes: count(row.nodes.saturating_add(row.brought)),
    })
}

/// What a namespace has, which is locked until the transaction's end: nobody else makes anything in it meanwhile. It is
/// locked before what is in it. [`check`] follows, when it has grown.
///
/// # Errors
/// Postgres' own.
pub async fn begin(conn: &mut PgConnection, namespace: NamespaceId) -> Result<Used> {
    sqlx::query!(
        "SELECT 1 AS locked FROM namespace WHERE id = $1 FOR NO KEY UPDATE",
        namespace.0
    )
    .fetch_optional(&mut *conn)
    .await?;
    used(conn, namespace).await
}

/// Whether the namespace keeps to its limits as this transaction has left it, where it has grown since `before`, with
/// which [`begin`] has answered.
///
/// # Errors
/// [`Error::OverQuota`], with the numbers.
pub async fn check(
    conn: &mut PgConnection,
    namespace: NamespaceId,
    installation: Limits,
    before: Used,
) -> Result<()> {
    let limits = own(conn, namespace).await?.or(installation);
    let after = used(conn, namespace).await?;
    limits.check(before, after).map_err(Error::OverQuota)
}
