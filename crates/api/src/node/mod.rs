//! Nodes: the hosts of a cluster. They are made by deploying and scaling their cluster; here one is read, renamed,
//! checked, upgraded or terminated by itself.

pub(crate) mod certificate;
pub(crate) mod delete;
pub(crate) mod deploy;
pub(crate) mod docker_upgrade;
pub(crate) mod events;
pub(crate) mod get;
pub(crate) mod health_check;
pub(crate) mod list;
pub(crate) mod update;
pub(crate) mod wire;

use axum::http::StatusCode;
use domain::{ids::NodeId, state::NodeOperation};
use store::{
    PgConnection, cluster,
    node::{self, Node},
    operation,
};

use crate::{App, answer::Acted, auth::Caller, error::ApiError};

/// Asks an operation of the caller's node.
async fn ask(
    app: &App,
    caller: &Caller,
    id: NodeId,
    asked: NodeOperation,
) -> Result<Acted<wire::Node>, ApiError> {
    let mut tx = app.pool.begin().await?;
    let before = lock_with_cluster(&mut tx, caller, id).await?;
    let action = operation::ask_of_node(&mut tx, &caller.record(""), &before, asked).await?;
    let after = read(&mut tx, caller, id).await?;
    tx.commit().await?;

    tracing::info!(node = %id, %action, ?asked, "an operation was asked of node {id}");
    Ok(Acted {
        status: StatusCode::ACCEPTED,
        action,
        object: wire::Node::new(&caller.uris, after),
    })
}

/// The caller's node of this id, locked with its cluster until the transaction's end. Everybody who locks both locks the
/// cluster first; which one that is never changes.
pub(crate) async fn lock_with_cluster(
    conn: &mut PgConnection,
    caller: &Caller,
    id: NodeId,
) -> Result<Node, ApiError> {
    let found = read(conn, caller, id).await?;
    if let Some(cluster_id) = found.cluster_id {
        cluster::lock(conn, caller.namespace(), cluster_id).await?;
    }
    lock(conn, caller, id).await
}

/// The caller's node of this id, locked until the transaction's end. Lock its cluster first.
async fn lock(conn: &mut PgConnection, caller: &Caller, id: NodeId) -> Result<Node, ApiError> {
    node::lock(conn, caller.namespace(), id)
        .await?
        .ok_or_else(|| ApiError::no_such("node", id))
}

/// The caller's node of this id.
async fn read(conn: &mut PgConnection, caller: &Caller, id: NodeId) -> Result<Node, ApiError> {
    node::get(conn, caller.namespace(), id)
        .await?
        .ok_or_else(|| ApiError::no_such("node", id))
}
