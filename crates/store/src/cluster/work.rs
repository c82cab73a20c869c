//! What a worker reads and writes of clusters.

use chrono::{DateTime, Utc};
use domain::{
    action::ActionKind,
    ids::{ActionId, ClusterId, SiteId},
    state::ClusterState,
};
use sqlx::PgConnection;

use super::{Cluster, by_ids};
use crate::{Result, action, signed};

/// Lets the cluster come to rest in `state`, with so many nodes wanted.
///
/// # Errors
/// Postgres' own.
pub async fn settle(
    conn: &mut PgConnection,
    id: ClusterId,
    state: ClusterState,
    target_num_nodes: u32,
) -> Result<()> {
    sqlx::query!(
        r#"UPDATE cluster
           SET state = $2, target_num_nodes = $3, action_id = NULL,
               deployed_at = CASE WHEN $2 IN ('Deployed', 'Partly deployed') THEN coalesce(deployed_at, now())
                             ELSE deployed_at END,
               destroyed_at = CASE WHEN $2 = 'Terminated' THEN now() END
           WHERE id = $1"#,
        id.0,
        state.as_str(),
        signed(target_num_nodes)
    )
    .execute(&mut *conn)
    .await?;
    if state == ClusterState::Terminated {
        let reason = "the node cluster was terminated";
        action::finish_all(conn, &[id.0], ActionKind::TerminateCluster, reason).await?;
    }
    Ok(())
}

/// Notes that nothing is under way on the cluster any more, and that its state stays.
///
/// # Errors
/// Postgres' own.
pub async fn release(conn: &mut PgConnection, id: ClusterId) -> Result<()> {
    sqlx::query!("UPDATE cluster SET action_id = NULL WHERE id = $1", id.0)
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
                        AND node.state IN ('Deployed', 'Unreachable', 'Upgrading')))
               -- A node that was late has called home.
               OR (state = 'Partly deployed' AND readiness = 'agent' AND target_num_nodes <= (
                      SELECT count(*) FROM node
                      WHERE cluster_id = cluster.id AND node.state IN ('Deployed', 'Unreachable', 'Upgrading')
                        AND NOT (node.state = 'Unreachable' AND node.deployed_at IS NULL)))
               -- Something was asked of it, or of one of its nodes.
               OR id IN (SELECT object_id FROM action WHERE ended_at IS NULL
                         UNION SELECT cluster_id FROM node JOIN action ON action.object_id = node.id
                               WHERE action.ended_at IS NULL))
           ORDER BY created_at, id"#,
        site.0
    )
    .fetch_all(conn)
    .await?;
    Ok(ids.into_iter().map(Into::into).collect())
}

/// Locks the cluster and answers with its state and the action that is under way on it.
///
/// # Errors
/// Postgres' own.
pub async fn lock_under_way(
    conn: &mut PgConnection,
    id: ClusterId,
) -> Result<(ClusterState, Option<ActionId>)> {
    let row = sqlx::query!(
        "SELECT state, action_id FROM cluster WHERE id = $1 FOR UPDATE",
        id.0
    )
    .fetch_one(conn)
    .await?;
    Ok((row.state.parse()?, row.action_id.map(Into::into)))
}

/// The cluster, whose ever it is, locked until the transaction's end against every other change.
///
/// # Errors
/// Postgres' own.
pub async fn lock_any(conn: &mut PgConnection, id: ClusterId) -> Result<Option<Cluster>> {
    sqlx::query!(
        "SELECT 1 AS locked FROM cluster WHERE id = $1 FOR UPDATE",
        id.0
    )
    .fetch_optional(&mut *conn)
    .await?;
    Ok(by_ids(conn, &[id.0]).await?.pop())
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
    pub action_began_at: Option<DateTime<Utc>>,
    /// Whether its user has canceled the operation under way.
    pub is_canceling: bool,
    /// Why the operation under way can't reach its aim.
    pub failure: Option<String>,
}

/// Reads a cluster for its worker.
///
/// # Errors
/// Postgres' own.
pub async fn running(conn: &mut PgConnection, id: ClusterId) -> Result<Option<Running>> {
    let row = sqlx::query!(
        r#"SELECT now() AS "now!", namespace.name AS namespace, action.began_at AS "began_at?",
                  action.failure AS "failure?", coalesce(action.state = 'Canceling', false) AS "is_canceling!"
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
        action_began_at: row.began_at,
        is_canceling: row.is_canceling,
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
