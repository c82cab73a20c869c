//! The hosts that Berth launches: they register with the token of their launch, as the instance that they are.

use domain::{
    ids::{LaunchId, NamespaceId, NodeId},
    state::NodeState,
};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::Result;

/// The token of a launch as it is presented.
#[derive(Debug, Clone)]
pub struct LaunchToken {
    /// The launch.
    pub launch: LaunchId,
    /// The namespace of its cluster.
    pub namespace_id: NamespaceId,
    /// Whether its instances are known; until then nobody can say whether one is its own.
    pub is_settled: bool,
}

/// The launch whose instances were given the token with this SHA-256.
///
/// # Errors
/// Postgres' own.
pub async fn launch_token(conn: &mut PgConnection, sha256: &[u8]) -> Result<Option<LaunchToken>> {
    let row = sqlx::query!(
        r#"SELECT launch.id, cluster.namespace_id, launch.state NOT IN ('decided', 'sent') AS "is_settled!"
           FROM launch JOIN cluster ON cluster.id = cluster_id WHERE token_sha256 = $1"#,
        sha256
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| LaunchToken {
        launch: row.id.into(),
        namespace_id: row.namespace_id.into(),
        is_settled: row.is_settled,
    }))
}

/// A launched node as its host registers.
#[derive(Debug, Clone)]
pub struct Launched {
    /// The node.
    pub node: NodeId,
    /// Its state.
    pub state: NodeState,
    /// The address of the machine that has registered; none where none has.
    pub registered_from: Option<String>,
    /// Whether the node has announced its certificate.
    pub is_announced: bool,
}

/// The node of this instance, which is of this launch, locked until the transaction's end.
///
/// # Errors
/// Postgres' own.
pub async fn lock_launched(
    conn: &mut PgConnection,
    launch: LaunchId,
    instance_id: &str,
) -> Result<Option<Launched>> {
    // A statement of its own: whoever waited for the lock must see what the one before has written.
    let id = sqlx::query_scalar!(
        "SELECT id FROM node WHERE launch_id = $1 AND instance_id = $2 FOR NO KEY UPDATE",
        launch.0,
        instance_id
    )
    .fetch_optional(&mut *conn)
    .await?;
    let Some(id) = id else { return Ok(None) };
    let row = sqlx::query!(
        r#"SELECT state, public_cert IS NOT NULL AS "is_announced!", used_from AS "used_from?"
           FROM node LEFT JOIN node_token ON node_token.node_id = node.id WHERE node.id = $1"#,
        id
    )
    .fetch_one(conn)
    .await?;
    Ok(Some(Launched {
        node: id.into(),
        state: row.state.parse()?,
        registered_from: row.used_from,
        is_announced: row.is_announced,
    }))
}

/// Gives a launched node, which is locked, a token of its own instead of one that it may have been given before, and tells
/// the log of its cluster's action that it has called home.
///
/// # Errors
/// Postgres' own.
pub async fn give_token(
    conn: &mut PgConnection,
    node: NodeId,
    namespace: NamespaceId,
    sha256: &[u8],
    from: &str,
    agent_version: &str,
) -> Result<()> {
    sqlx::query!(
        r#"INSERT INTO node_token (id, namespace_id, sha256, node_id, used_at, used_from)
           VALUES ($1, $2, $3, $4, now(), $5)
           ON CONFLICT (node_id) DO UPDATE
           SET sha256 = excluded.sha256, used_at = excluded.used_at, used_from = excluded.used_from"#,
        Uuid::new_v4(),
        namespace.0,
        sha256,
        node.0,
        from
    )
    .execute(&mut *conn)
    .await?;
    sqlx::query!(
        "UPDATE node SET agent_version = $2, last_seen_at = now() WHERE id = $1",
        node.0,
        agent_version
    )
    .execute(&mut *conn)
    .await?;
    let what = format!("has called home from {from}");
    log(conn, node, &what, false).await
}

/// Tells the log of the cluster's action that the node has taken this state.
///
/// # Errors
/// Postgres' own.
pub(super) async fn tell(conn: &mut PgConnection, node: NodeId, state: NodeState) -> Result<()> {
    log(conn, node, &format!("is {state}"), true).await
}

/// A line about the node in the log of what is under way on its cluster, if anything is.
async fn log(conn: &mut PgConnection, node: NodeId, what: &str, with_address: bool) -> Result<()> {
    sqlx::query!(
        r#"INSERT INTO action_log (action_id, line)
           SELECT cluster.action_id,
                  'Node ' || node.id || ' (' || coalesce(instance_id, 'no instance') || ') ' || $2
                  || CASE WHEN $3 THEN coalesce(' at ' || engine_address, '') ELSE '' END
           FROM node JOIN cluster ON cluster.id = node.cluster_id
           WHERE node.id = $1 AND cluster.action_id IS NOT NULL"#,
        node.0,
        what,
        with_address
    )
    .execute(conn)
    .await?;
    Ok(())
}
