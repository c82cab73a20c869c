//! Machines that their owners bring: the tokens by which they register.

use domain::{
    ids::{NamespaceId, NodeId},
    state::NodeState,
};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::Result;

/// A registration token as it is presented.
#[derive(Debug, Clone)]
pub struct Token {
    /// Its id.
    pub id: Uuid,
    /// The namespace into which it lets a machine.
    pub namespace_id: NamespaceId,
    /// What became of it; none while it is unused.
    pub used: Option<Use>,
}

/// What a token was used for.
#[derive(Debug, Clone)]
pub struct Use {
    /// The node that registered with it.
    pub node: NodeId,
    /// The node's state.
    pub state: NodeState,
    /// The address of the machine that registered.
    pub from: String,
    /// Whether the node has announced its certificate since.
    pub is_announced: bool,
}

/// The token with this SHA-256, locked until the transaction's end.
///
/// # Errors
/// Postgres' own.
pub async fn lock_token(conn: &mut PgConnection, sha256: &[u8]) -> Result<Option<Token>> {
    // A statement of its own: whoever waited for the lock must see what the one before has written.
    sqlx::query!(
        "SELECT 1 AS locked FROM node_token WHERE sha256 = $1 FOR UPDATE",
        sha256
    )
    .fetch_optional(&mut *conn)
    .await?;
    token(conn, sha256).await
}

/// The token with this SHA-256.
///
/// # Errors
/// Postgres' own.
pub async fn token(conn: &mut PgConnection, sha256: &[u8]) -> Result<Option<Token>> {
    let row = sqlx::query!(
        r#"SELECT node_token.id, node_token.namespace_id, node_id, used_from, node.state AS "state?",
                  node.public_cert IS NOT NULL AS "is_announced!"
           FROM node_token LEFT JOIN node ON node.id = node_id
           WHERE sha256 = $1"#,
        sha256
    )
    .fetch_optional(conn)
    .await?;
    row.map(|row| {
        let used = match (row.node_id, row.used_from, row.state) {
            (Some(node), Some(from), Some(state)) => Some(Use {
                node: node.into(),
                state: state.parse()?,
                from,
                is_announced: row.is_announced,
            }),
            _ => None,
        };
        Ok(Token {
            id: row.id,
            namespace_id: row.namespace_id.into(),
            used,
        })
    })
    .transpose()
}

/// Makes the node of a machine that registers with this token, which is locked and unused. The node's first address is
/// the one that the machine was heard from.
///
/// # Errors
/// Postgres' own.
pub async fn register(
    conn: &mut PgConnection,
    token: &Token,
    from: &str,
    agent_version: &str,
) -> Result<NodeId> {
    let id = Uuid::new_v4();
    sqlx::query!(
        r#"INSERT INTO node (id, namespace_id, brought_by_owner, state, tags, public_ip, external_fqdn, agent_version,
                             last_seen_at)
           VALUES ($1, $2, true, 'Deploying', '{}', $3, $3, $4, now())"#,
        id,
        token.namespace_id.0,
        from,
        agent_version
    )
    .execute(&mut *conn)
    .await?;
    sqlx::query!(
        "UPDATE node_token SET node_id = $2, used_at = now(), used_from = $3 WHERE id = $1",
        token.id,
        id,
        from
    )
    .execute(&mut *conn)
    .await?;
    // The audit log shows who let machines in; this is what came of it.
    let line = format!("Node {id} registered with it from {from}");
    sqlx::query!(
        "INSERT INTO action_log (action_id, line) SELECT id, $2 FROM action WHERE object_id = $1",
        token.id,
        line
    )
    .execute(conn)
    .await?;
    Ok(id.into())
}
