//! What a worker reads and writes of clusters.

use chrono::{DateTime, Utc};
use domain::{
    ids::{ActionId, ClusterId, SiteId},
    state::ClusterState,
};
use sqlx::PgConnection;

use super::{Cluster, by_ids};
use crate::Result;

/// Lets the cluster come to rest in `state`.
///
/// # Errors
/// Postgres' own.
pub async fn settle(conn: &mut PgConnection, id: ClusterId, state: ClusterState) -> Result<()> {
    sqlx::query!(
        r#"UPDATE cluster
           SET state = $2, action_id = NULL,
               deployed_at = CASE WHEN $2 IN ('Deployed', 'Partly deployed') THEN coalesce(deployed_at, now())
                             ELSE deployed_at END,
               destroyed_at = CASE WHEN $2 = 'Terminated' THEN now() END
           WHERE id = $1"#,
        id.0,
        state.as_str()
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Locks the cluster if what is wanted of it has not changed since `revision` was read.
///
/// A worker decides on a look that is older than its write; with this it applies the decision only if it still holds.
///
/// # Errors
/// Postgres' own.
pub async fn lock_unchanged(conn: &mut PgConnection, id: ClusterId, revision: i64) -> Result<bool> {
    let locked = sqlx::query!(
        "SELECT 1 AS locked FROM cluster WHERE id = $1 AND revision = $2 FOR UPDATE",
        id.0,
        revision
    )
    .fetch_optional(conn)
    .await?;
    Ok(locked.is_some())
}

/// The clusters of a site on which there is something to do.
///
/// # Errors
/// Postgres' own.
pub async fn working(conn: &mut PgConnection, site: SiteId) -> Result<Vec<ClusterId>> {
    let ids = sqlx::query_scalar!(
        r#"SELECT id FROM cluster
           WHERE site_id = $1 AND state NOT IN ('Init', 'Terminated') AND (
               state IN ('Deploying', 'Scaling', 'Terminating')
               OR EXISTS (SELECT 1 FROM launch WHERE cluster_id = cluster.id AND launch.state IN ('decided', 'sent'))
               OR EXISTS (SELECT 1 FROM node WHERE cluster_id = cluster.id AND (
                      node.state IN ('Deploying', 'Terminating')
                      OR (node.state = 'Deployed' AND tagged_at IS NULL)))
               -- The last node has gone.
               OR (state IN ('Deployed', 'Partly deployed') AND NOT EXISTS (
                      SELECT 1 FROM node WHERE cluster_id = cluster.id
                        AND node.state IN ('Deployed', 'Unreachable', 'Upgrading'))))
           ORDER BY created_at, id"#,
        site.0
    )
    .fetch_all(conn)
    .await?;
    Ok(ids.into_iter().map(Into::into).collect())
}

/// Locks the cluster and answers with the action that is under way on it.
///
/// # Errors
/// Postgres' own.
pub async fn lock_running_action(
    conn: &mut PgConnection,
    id: ClusterId,
) -> Result<Option<ActionId>> {
    let action = sqlx::query_scalar!(
        "SELECT action_id FROM cluster WHERE id = $1 FOR UPDATE",
        id.0
    )
    .fetch_one(conn)
    .await?;
    Ok(action.map(Into::into))
}

/// What a worker needs to know of a cluster, beside the cluster itself.
#[derive(Debug, Clone)]
pub struct Running {
    /// The cluster.
    pub cluster: Cluster,
    /// The database's time.
    pub now: DateTime<Utc>,
    /// Whose namespace it is: the value of Docker Cloud's tag "Docker ID username".
    pub user_name: String,
    /// When the operation under way began.
    pub action_started_at: Option<DateTime<Utc>>,
    /// Why the operation under way can't reach its aim.
    pub failure: Option<String>,
}

/// Reads a cluster for its worker.
///
/// # Errors
/// Postgres' own.
pub async fn running(conn: &mut PgConnection, id: ClusterId) -> Result<Option<Running>> {
    let row = sqlx::query!(
        r#"SELECT now() AS "now!", namespace.name AS namespace, action.started_at AS "started_at?",
                  action.failure AS "failure?"
           FROM cluster
           JOIN namespace ON namespace.id = cluster.namespace_id
           LEFT JOIN action ON action.id = cluster.action_id
           WHERE cluster.id = $1"#,
        id.0
    )
    .fetch_optional(&mut *conn)
    .await?;
    let cluster = by_ids(conn, &[id.0]).await?.pop();
    Ok(row.zip(cluster).map(|(row, cluster)| Running {
        cluster,
        now: row.now,
        user_name: row.namespace,
        action_started_at: row.started_at,
        failure: row.failure,
    }))
}

/// Notes that a node has gone without having been asked to: decisions on an older look no longer hold.
///
/// # Errors
/// Postgres' own.
pub async fn outdate(conn: &mut PgConnection, id: ClusterId) -> Result<()> {
    sqlx::query!(
        "UPDATE cluster SET revision = revision + 1 WHERE id = $1",
        id.0
    )
    .execute(conn)
    .await?;
    Ok(())
}
