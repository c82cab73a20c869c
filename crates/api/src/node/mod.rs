//! Nodes: the hosts of a cluster. They are made by deploying and scaling their cluster; here one is read, renamed or
//! terminated by itself.

pub(crate) mod delete;
pub(crate) mod get;
pub(crate) mod list;
pub(crate) mod update;
pub(crate) mod wire;

use domain::ids::NodeId;
use store::{
    PgConnection,
    node::{self, Node},
};

use crate::{auth::Caller, error::ApiError};

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
