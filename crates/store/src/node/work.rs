//! What a reconciler reads and writes of nodes.

use domain::{
    action::ActionKind,
    ids::{ClusterId, LaunchId, NodeId},
    placement::Seat,
    plan,
    state::NodeState,
};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{Result, action};

/// Begins the termination of live nodes.
///
/// # Errors
/// Postgres' own.
pub async fn retire(conn: &mut PgConnection, ids: &[NodeId]) -> Result<()> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    sqlx::query!(
        r#"UPDATE node SET state = 'Terminating'
           WHERE id = ANY ($1) AND state IN ('Deploying', 'Deployed', 'Unreachable', 'Upgrading')"#,
        &ids
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Notes that EC2 was asked to terminate the instances of these nodes.
///
/// # Errors
/// Postgres' own.
pub async fn mark_terminate_requested(conn: &mut PgConnection, ids: &[NodeId]) -> Result<()> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    sqlx::query!(
        "UPDATE node SET terminate_requested_at = now() WHERE id = ANY ($1)",
        &ids
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Notes that the nodes are gone, and ends what was asked of each by itself: a termination has reached its aim.
///
/// # Errors
/// Postgres' own.
pub async fn bury(conn: &mut PgConnection, ids: &[NodeId]) -> Result<()> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    sqlx::query!(
        r#"UPDATE node SET state = 'Terminated', destroyed_at = now()
           WHERE id = ANY ($1) AND state <> 'Terminated'"#,
        &ids
    )
    .execute(&mut *conn)
    .await?;
    let reason = "the node was terminated";
    action::finish_all(conn, &ids, ActionKind::TerminateNode, reason).await
}

/// Writes down the state of one node.
///
/// # Errors
/// Postgres' own.
pub async fn set_state(conn: &mut PgConnection, id: NodeId, state: NodeState) -> Result<()> {
    sqlx::query!(
        "UPDATE node SET state = $2 WHERE id = $1",
        id.0,
        state.as_str()
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Notes that the instances of these nodes bear the nodes' own tags.
///
/// # Errors
/// Postgres' own.
pub async fn mark_tagged(conn: &mut PgConnection, id: NodeId) -> Result<()> {
    sqlx::query!("UPDATE node SET tagged_at = now() WHERE id = $1", id.0)
        .execute(conn)
        .await?;
    Ok(())
}

/// Keeps what the instance of a node has printed, which could not be used; none where EC2 has nothing of it.
///
/// # Errors
/// Postgres' own.
pub async fn keep_console_output(
    conn: &mut PgConnection,
    id: NodeId,
    output: Option<&str>,
) -> Result<()> {
    sqlx::query!(
        "UPDATE node SET examined_at = now(), console_output = $2 WHERE id = $1",
        id.0,
        output
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The nodes of a cluster as its plan needs them: all but the terminated.
///
/// # Errors
/// Postgres' own.
pub async fn for_plan(conn: &mut PgConnection, cluster: ClusterId) -> Result<Vec<plan::Node>> {
    let rows = sqlx::query!(
        r#"SELECT id, state, zone, subnet_id, launch_id, instance_id, created_at, terminate_requested_at, tagged_at,
                  deployed_at IS NOT NULL AS "was_deployed!", agent_version IS NOT NULL AS "has_registered!",
                  examined_at IS NOT NULL AS "is_examined!"
           FROM node WHERE cluster_id = $1 AND state <> 'Terminated' ORDER BY created_at, id"#,
        cluster.0
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(plan::Node {
                id: row.id.into(),
                state: row.state.parse()?,
                seat: row
                    .zone
                    .zip(row.subnet_id)
                    .map(|(zone, subnet_id)| Seat { zone, subnet_id }),
                launch_id: row.launch_id.map(LaunchId),
                instance_id: row.instance_id,
                created_at: row.created_at,
                terminate_requested_at: row.terminate_requested_at,
                is_tagged: row.tagged_at.is_some(),
                call: plan::Call {
                    was_deployed: row.was_deployed,
                    has_registered: row.has_registered,
                    is_examined: row.is_examined,
                },
            })
        })
        .collect()
}
