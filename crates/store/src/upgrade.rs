//! Upgrades of engines: one row for each node of an action, from its order to its end.

use domain::{
    action::ActionKind,
    ids::{ActionId, ClusterId, NodeId},
    state::NodeState,
    upgrade::{Order, Outcome, Report, Stage, Turn},
};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{Result, action, host, operation};

/// Orders the upgrade of one node's engine, for the action on it.
///
/// # Errors
/// Postgres' own.
pub async fn order_one(conn: &mut PgConnection, action: ActionId, node: NodeId) -> Result<()> {
    sqlx::query!(
        "INSERT INTO upgrade (action_id, node_id, turn) VALUES ($1, $2, 1)",
        action.0,
        node.0
    )
    .execute(&mut *conn)
    .await?;
    order(conn, action, node).await
}

/// Gives the deployed nodes of a cluster their turns, oldest first, and orders the first.
///
/// # Errors
/// Postgres' own.
pub async fn order_first(
    conn: &mut PgConnection,
    action: ActionId,
    cluster: ClusterId,
) -> Result<()> {
    sqlx::query!(
        r#"INSERT INTO upgrade (action_id, node_id, turn)
           SELECT $1, id, row_number() OVER (ORDER BY created_at, id)
           FROM node WHERE cluster_id = $2 AND state = 'Deployed'"#,
        action.0,
        cluster.0
    )
    .execute(&mut *conn)
    .await?;
    match turns(conn, action).await?.first() {
        Some(first) => order(conn, action, first.node).await,
        None => Ok(()),
    }
}

/// Whether an order is under way on the node, whoever has asked for it.
///
/// # Errors
/// Postgres' own.
pub async fn is_ordered(conn: &mut PgConnection, node: NodeId) -> Result<bool> {
    Ok(sqlx::query_scalar!(
        r#"SELECT EXISTS (
               SELECT 1 FROM upgrade WHERE node_id = $1 AND ordered_at IS NOT NULL AND ended_at IS NULL
           ) AS "ordered!""#,
        node.0
    )
    .fetch_one(conn)
    .await?)
}

/// Whether the end of the node, or of its cluster, waits until the order has ended.
///
/// # Errors
/// Postgres' own.
pub async fn does_an_end_wait(conn: &mut PgConnection, node: NodeId) -> Result<bool> {
    Ok(sqlx::query_scalar!(
        r#"SELECT EXISTS (
               SELECT 1 FROM action
               WHERE state = 'Pending'
                 AND (object_id = $1 AND name = $2
                      OR object_id = (SELECT cluster_id FROM node WHERE id = $1) AND name = $3)
           ) AS "waits!""#,
        node.0,
        ActionKind::TerminateNode.as_str(),
        ActionKind::TerminateCluster.as_str()
    )
    .fetch_one(conn)
    .await?)
}

/// Lets a node's turn begin, unless it is not deployed any more, or another order for it is under way.
///
/// # Errors
/// Postgres' own.
pub async fn order(conn: &mut PgConnection, action: ActionId, node: NodeId) -> Result<()> {
    sqlx::query!(
        r#"WITH begun AS (
               UPDATE node SET state = 'Upgrading'
               WHERE id = $2 AND state = 'Deployed' AND NOT EXISTS (
                   SELECT 1 FROM upgrade WHERE node_id = $2 AND ordered_at IS NOT NULL AND ended_at IS NULL)
               RETURNING docker_version
           )
           UPDATE upgrade SET ordered_at = now(), version_before = begun.docker_version
           FROM begun WHERE action_id = $1 AND node_id = $2"#,
        action.0,
        node.0
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The turns of an action, in their order. A node that is being upgraded for another action is `Upgrading`, also while it
/// is `Deployed` again after a restart.
///
/// # Errors
/// Postgres' own.
pub async fn turns(conn: &mut PgConnection, action: ActionId) -> Result<Vec<Turn>> {
    let rows = sqlx::query!(
        r#"SELECT node_id, ordered_at, outcome, ended_at, failure,
                  CASE WHEN node.state = 'Deployed' AND EXISTS (
                           SELECT 1 FROM upgrade other
                           WHERE other.node_id = node.id AND other.action_id <> $1
                             AND other.ordered_at IS NOT NULL AND other.ended_at IS NULL)
                       THEN 'Upgrading' ELSE node.state END AS "state!"
           FROM upgrade JOIN node ON node.id = node_id
           WHERE action_id = $1 ORDER BY turn"#,
        action.0
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(Turn {
                node: row.node_id.into(),
                state: row.state.parse()?,
                stage: match (row.ended_at, row.ordered_at) {
                    (Some(_), _) if row.failure.is_some() => Stage::Failed,
                    (Some(_), _) if row.outcome.is_some() => Stage::Upgraded,
                    (Some(_), _) => Stage::Left,
                    (None, Some(_)) => Stage::Ordered,
                    (None, None) => Stage::Waiting,
                },
            })
        })
        .collect()
}

/// An order under way, as it is carried on.
#[derive(Debug, Clone)]
pub struct UnderWay {
    /// The order.
    pub order: Order,
    /// The engine's version when it was ordered.
    pub version_before: Option<String>,
}

/// The order of an action that is under way on a node, which is locked; so is the order then.
///
/// # Errors
/// Postgres' own.
pub async fn lock(
    conn: &mut PgConnection,
    action: ActionId,
    node: NodeId,
) -> Result<Option<UnderWay>> {
    let row = sqlx::query!(
        r#"SELECT ordered_at AS "ordered_at!", told_at, outcome, message, version_before
           FROM upgrade
           WHERE action_id = $1 AND node_id = $2 AND ordered_at IS NOT NULL AND ended_at IS NULL
           FOR UPDATE"#,
        action.0,
        node.0
    )
    .fetch_optional(conn)
    .await?;
    row.map(|row| {
        let outcome: Option<Outcome> = row.outcome.map(|text| text.parse()).transpose()?;
        let message = row.message.unwrap_or_default();
        Ok(UnderWay {
            order: Order {
                ordered_at: row.ordered_at,
                is_told: row.told_at.is_some(),
                report: match outcome {
                    Some(Outcome::Success) => Some(Ok(message)),
                    Some(Outcome::Failed) => Some(Err(message)),
                    Some(Outcome::Running) | None => None,
                },
            },
            version_before: row.version_before,
        })
    })
    .transpose()
}

/// Ends a node's turn; `failure` says why its engine was not upgraded.
///
/// # Errors
/// Postgres' own.
pub async fn end(
    conn: &mut PgConnection,
    action: ActionId,
    node: NodeId,
    failure: Option<&str>,
) -> Result<()> {
    sqlx::query!(
        "UPDATE upgrade SET ended_at = now(), failure = $3 WHERE action_id = $1 AND node_id = $2 AND ended_at IS NULL",
        action.0,
        node.0,
        failure
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Why the upgrade of a node has failed that an action was about; none where none has.
///
/// # Errors
/// Postgres' own.
pub async fn failure(conn: &mut PgConnection, action: ActionId) -> Result<Option<String>> {
    Ok(sqlx::query_scalar!(
        r#"SELECT failure AS "failure!" FROM upgrade
           WHERE action_id = $1 AND failure IS NOT NULL ORDER BY turn LIMIT 1"#,
        action.0
    )
    .fetch_optional(conn)
    .await?)
}

/// What the answer to a heartbeat says of a node for which there may be an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// The node's state.
    pub state: NodeState,
    /// The order to carry out.
    pub order: Option<Uuid>,
}

/// Takes an agent's report, and the order that is under way on its node along: from then on it counts as told. None
/// where there is no such node. An order is told until it has ended, since the state alone is an order to the agent.
///
/// # Errors
/// Postgres' own.
pub async fn tell(
    conn: &mut PgConnection,
    id: NodeId,
    report: Option<&Report>,
) -> Result<Option<Told>> {
    let Some(host) = host::lock(conn, id).await? else {
        return Ok(None);
    };
    let order = sqlx::query!(
        r#"SELECT id, action_id, told_at, outcome, version_before
           FROM upgrade WHERE node_id = $1 AND ordered_at IS NOT NULL AND ended_at IS NULL FOR UPDATE"#,
        id.0
    )
    .fetch_optional(&mut *conn)
    .await?;
    let Some(order) = order else {
        return Ok(Some(Told {
            state: host.state,
            order: None,
        }));
    };
    if order.told_at.is_none() {
        sqlx::query!("UPDATE upgrade SET told_at = now() WHERE id = $1", order.id)
            .execute(&mut *conn)
            .await?;
        let version = order.version_before.as_deref().unwrap_or("unknown");
        let line = format!("The agent of node {id} upgrades its engine (version {version})");
        action::log(conn, order.action_id.into(), &line).await?;
    }
    let ended = report.filter(|report| {
        report.outcome != Outcome::Running
            && report.order == order.id.to_string()
            && order.outcome.is_none()
    });
    if let Some(report) = ended {
        sqlx::query!(
            "UPDATE upgrade SET outcome = $2, message = $3 WHERE id = $1",
            order.id,
            report.outcome.as_str(),
            report.message
        )
        .execute(&mut *conn)
        .await?;
        // Whether the new engine answers is not known.
        sqlx::query!("UPDATE node SET is_reachable = NULL WHERE id = $1", id.0)
            .execute(&mut *conn)
            .await?;
        if let Some(cluster) = host.cluster_id {
            operation::wake(conn, cluster).await?;
        }
    }
    Ok(Some(Told {
        state: host.state,
        order: Some(order.id),
    }))
}
