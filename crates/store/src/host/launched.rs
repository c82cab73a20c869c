//! The hosts that Berth launches: they register with the token of their launch, as the instance that they are.

use domain::{
    ids::{ActionId, LaunchId, NamespaceId, NodeId},
    state::NodeState,
};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{Result, action};

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
    /// Whether its instance was seen to run, so that its name and address are known.
    pub runs: bool,
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
        r#"SELECT state, coalesce(instance_state = 'running', false) AS "runs!", public_cert IS NOT NULL AS "is_announced!", used_from AS "used_from?"
           FROM node LEFT JOIN node_token ON node_token.node_id = node.id WHERE node.id = $1"#,
        id
    )
    .fetch_one(conn)
    .await?;
    Ok(Some(Launched {
        node: id.into(),
        state: row.state.parse()?,
        runs: row.runs,
        registered_from: row.used_from,
        is_announced: row.is_announced,
    }))
}

/// Gives a launched node, which is locked, a token of its own instead of one that it may have been given before. Answers
/// with the news that it has called home.
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
) -> Result<Option<News>> {
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
    news(conn, node, &what, false).await
}

/// Something about a node that the log of what is under way on its cluster is to tell.
#[derive(Debug, Clone)]
#[must_use]
pub struct News {
    action: ActionId,
    line: String,
}

impl News {
    /// Tells it, after the transaction that it is about: that one has locked the node, and a log locks its action, which
    /// others lock before nodes.
    ///
    /// # Errors
    /// Postgres' own.
    pub async fn tell(self, conn: &mut PgConnection) -> Result<()> {
        action::log(conn, self.action, &self.line).await
    }
}

/// The news that the node has taken this state; none where nothing is under way on its cluster.
///
/// # Errors
/// Postgres' own.
pub(super) async fn has_become(
    conn: &mut PgConnection,
    node: NodeId,
    state: NodeState,
) -> Result<Option<News>> {
    news(conn, node, &format!("is {state}"), true).await
}

async fn news(
    conn: &mut PgConnection,
    node: NodeId,
    what: &str,
    with_address: bool,
) -> Result<Option<News>> {
    let row = sqlx::query!(
        r#"SELECT cluster.action_id AS "action_id!", instance_id, engine_address
           FROM node JOIN cluster ON cluster.id = node.cluster_id
           WHERE node.id = $1 AND cluster.action_id IS NOT NULL"#,
        node.0
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| {
        let instance = row.instance_id.as_deref().unwrap_or("no instance");
        let mut line = format!("Node {node} ({instance}) {what}");
        if let Some(address) = row.engine_address.filter(|_| with_address) {
            line.push_str(&format!(" at {address}"));
        }
        News {
            action: row.action_id.into(),
            line,
        }
    }))
}
