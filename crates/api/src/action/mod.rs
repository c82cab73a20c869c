//! Actions: what was asked for, by whom, and how it went. One for each mutation.

pub(crate) mod cancel;
pub(crate) mod get;
pub(crate) mod list;
pub(crate) mod logs;
pub(crate) mod retry;
pub(crate) mod wire;

use domain::ids::ClusterId;
use store::{
    PgConnection,
    action::{self, Action, ObjectType},
    cluster::Cluster,
    node::Node,
};
use uuid::Uuid;

use crate::{auth::Caller, error::ApiError, node, nodecluster};

/// What an action is about.
enum Object {
    Cluster(Box<Cluster>),
    Node(Box<Node>),
    /// Nothing that anybody works on.
    Settled,
}

impl Object {
    /// The cluster whose worker works on it.
    fn cluster_id(&self) -> Option<ClusterId> {
        match self {
            Self::Cluster(cluster) => Some(cluster.id),
            Self::Node(node) => node.cluster_id,
            Self::Settled => None,
        }
    }
}

/// The caller's action of this id and its object, both locked until the transaction's end.
async fn lock_with_object(
    conn: &mut PgConnection,
    caller: &Caller,
    id: Uuid,
) -> Result<(Action, Object), ApiError> {
    // The object before its action, as everybody locks them. Which object it is never changes.
    let found = reread(conn, caller, id).await?;
    let object = match found.object_type {
        ObjectType::NodeCluster => {
            let cluster = nodecluster::lock(conn, caller, found.object_id.into()).await?;
            Object::Cluster(Box::new(cluster))
        }
        ObjectType::Node => {
            let node = node::lock_with_cluster(conn, caller, found.object_id.into()).await?;
            Object::Node(Box::new(node))
        }
        ObjectType::Token
        | ObjectType::Credentials
        | ObjectType::User
        | ObjectType::Organization
        | ObjectType::Member
        | ObjectType::Key
        | ObjectType::Quota => Object::Settled,
    };
    let found = action::lock(conn, caller.namespace(), id)
        .await?
        .ok_or_else(|| ApiError::no_such("action", id))?;
    Ok((found, object))
}

/// The caller's action of this id, as this transaction has left it.
async fn reread(conn: &mut PgConnection, caller: &Caller, id: Uuid) -> Result<Action, ApiError> {
    action::get(conn, caller.namespace(), id)
        .await?
        .ok_or_else(|| ApiError::no_such("action", id))
}
