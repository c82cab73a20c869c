//! What is asked of nodes that their owners brought: they have no cluster whose reconciler would carry it on.

use domain::{action::ActionKind, host::Settings, ids::NodeId, state::ActionState};
use sqlx::PgConnection;

use super::{On, OnNode, begin_waiting};
use crate::{Result, host::Due, node};

/// Takes what is under way on brought nodes and can be carried on, with the host where its engine can be asked. A node
/// that another worker is dealing with is left out.
///
/// # Errors
/// Postgres' own.
pub async fn claim_on_brought(
    conn: &mut PgConnection,
    settings: &Settings,
) -> Result<Vec<(OnNode, Option<Due>)>> {
    let rows = sqlx::query!(
        r#"WITH asked AS (
               SELECT node.id, action.id AS action_id, action.name, action.state
               FROM node JOIN action ON action.object_id = node.id
               WHERE node.brought_by_owner AND node.state <> 'Terminated'
                 AND action.state IN ('In progress', 'Canceling')
                 -- Its end comes with the node's.
                 AND NOT (action.name = $2 AND action.state = 'In progress' AND node.state = 'Deploying')
                 -- The agent is at it.
                 AND NOT EXISTS (
                     SELECT 1 FROM upgrade
                     WHERE upgrade.action_id = action.id AND told_at IS NOT NULL AND outcome IS NULL
                       AND ordered_at > now() - make_interval(secs => $3))
                 AND (probe_claimed_until IS NULL OR probe_claimed_until < now())
               ORDER BY action.began_at
               FOR UPDATE OF node SKIP LOCKED
               LIMIT 50
           )
           UPDATE node SET probe_claimed_until = now() + make_interval(secs => $1)
           FROM asked WHERE node.id = asked.id
           RETURNING node.id, node.namespace_id, node.state AS node_state, engine_address, public_cert, asked.action_id, asked.name,
                     asked.state AS action_state"#,
        settings.claim_seconds(),
        ActionKind::DeployNode.as_str(),
        settings.upgrade.as_seconds_f64()
    )
    .fetch_all(conn)
    .await?;
    let mut operations = Vec::new();
    for row in rows {
        let kind: ActionKind = row.name.parse()?;
        let Some(operation) = kind.node_operation() else {
            continue;
        };
        let id = row.id.into();
        let due = row.engine_address.zip(row.public_cert);
        operations.push((
            OnNode {
                action: row.action_id.into(),
                operation,
                is_canceling: row.action_state == ActionState::Canceling.as_str(),
                node: id,
                state: row.node_state.parse()?,
            },
            due.map(|(address, public_cert)| Due {
                id,
                namespace_id: row.namespace_id.into(),
                address,
                public_cert,
            }),
        ));
    }
    Ok(operations)
}

/// The brought nodes on which something waits and nothing is under way.
///
/// # Errors
/// Postgres' own.
pub async fn brought_with_waiting(conn: &mut PgConnection) -> Result<Vec<NodeId>> {
    let ids = sqlx::query_scalar!(
        r#"SELECT object_id FROM action JOIN node ON node.id = object_id
           WHERE ended_at IS NULL AND brought_by_owner
           GROUP BY object_id HAVING bool_and(action.state = 'Pending')
           ORDER BY min(started_at), object_id"#
    )
    .fetch_all(conn)
    .await?;
    Ok(ids.into_iter().map(Into::into).collect())
}

/// Begins the operation that has waited longest on a brought node, if nothing is under way on it. The node is locked
/// here.
///
/// # Errors
/// Postgres' own.
pub async fn begin_next_on_brought(conn: &mut PgConnection, id: NodeId) -> Result<()> {
    match node::lock_any(conn, id).await? {
        Some(node) => begin_waiting(conn, On::Node(&node)).await,
        None => Ok(()),
    }
}
