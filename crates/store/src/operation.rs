//! Operations: what is asked of a cluster or node, put under way, or made to wait behind what is under way already.
//!
//! The rows are all there is to an operation, so asking for one, beginning one that has waited and trying one again are
//! the same writes. The caller holds the lock on the object (a node's cluster first, then the node).

use domain::{
    action::{ActionKind, End},
    ids::{ActionId, ClusterId, NodeId},
    state::{ActionState, ClusterOperation, ClusterState, NodeOperation, NodeState},
};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    Result,
    action::{self, New, ObjectType, Request},
    cluster::{self, Cluster},
    node::{self, Node},
    site, upgrade,
};

mod brought;

pub use brought::{begin_next_on_brought, brought_with_waiting, claim_on_brought};

/// Asks an operation of a cluster, which is locked; `target` is the size that a scale asks for.
///
/// # Errors
/// [`crate::Error::Forbidden`] where its state does not allow it.
pub async fn ask_of_cluster(
    conn: &mut PgConnection,
    request: &Request,
    cluster: &Cluster,
    operation: ClusterOperation,
    target: Option<u32>,
) -> Result<ActionId> {
    let after = cluster.state.after(operation)?;
    let waits = is_anything_open(conn, cluster.id.0).await?;
    // A cluster that was never deployed has nothing to be worked on.
    let is_done = cluster.state == ClusterState::Init && !after.is_moving();
    let action = action::insert(
        conn,
        request,
        New {
            kind: operation.into(),
            object_type: ObjectType::NodeCluster,
            object_id: cluster.id.0,
            target_num_nodes: target,
            state: match () {
                () if waits => ActionState::Pending,
                () if is_done => ActionState::Success,
                () => ActionState::InProgress,
            },
        },
    )
    .await?;
    if !waits {
        begin_on_cluster(conn, cluster, operation, target, action).await?;
    }
    Ok(action)
}

/// Asks an operation of a node, which is locked, as its cluster is.
///
/// # Errors
/// [`crate::Error::Forbidden`] where its state does not allow it.
pub async fn ask_of_node(
    conn: &mut PgConnection,
    request: &Request,
    node: &Node,
    operation: NodeOperation,
) -> Result<ActionId> {
    let state = match operation {
        // Its turn in the upgrade of its cluster goes on although it is Deployed again after a restart.
        NodeOperation::DockerUpgrade if upgrade::is_ordered(conn, node.id).await? => {
            NodeState::Upgrading
        }
        _ => node.state,
    };
    state.after(operation)?;
    let waits = is_anything_open(conn, node.id.0).await?;
    let action = action::insert(
        conn,
        request,
        New {
            kind: operation.into(),
            object_type: ObjectType::Node,
            object_id: node.id.0,
            target_num_nodes: None,
            state: match waits {
                true => ActionState::Pending,
                false => ActionState::InProgress,
            },
        },
    )
    .await?;
    if !waits {
        begin_on_node(conn, node, operation, action).await?;
    }
    Ok(action)
}

async fn begin_on_cluster(
    conn: &mut PgConnection,
    cluster: &Cluster,
    operation: ClusterOperation,
    target: Option<u32>,
    action: ActionId,
) -> Result<()> {
    let after = cluster.state.after(operation)?;
    let target = match operation {
        ClusterOperation::Terminate => 0,
        _ => target.unwrap_or(cluster.target_num_nodes),
    };
    if cluster.state == ClusterState::Init && !after.is_moving() {
        cluster::set_target(conn, cluster.id, target).await?;
        if after == ClusterState::Terminated {
            cluster::settle(conn, cluster.id, after, target).await?;
        }
        return Ok(());
    }
    let site = match cluster.site_id {
        Some(site) => site,
        // Decided at the first deploy, kept from then on.
        None => site::ensure(conn, cluster.namespace_id, &cluster.region).await?,
    };
    match operation {
        ClusterOperation::Deploy | ClusterOperation::Redeploy | ClusterOperation::Scale => {
            // Where there are too many, the worker picks those that go.
            let live = node::count_live(conn, cluster.id).await?;
            let missing = target.saturating_sub(live);
            if missing > 0 {
                node::insert_many(conn, cluster.id, missing).await?;
            }
        }
        ClusterOperation::DockerUpgrade => upgrade::order_first(conn, action, cluster.id).await?,
        ClusterOperation::Terminate => {}
    }
    cluster::begin(conn, cluster.id, after, target, action, site).await?;
    site::wake(conn, site).await
}

async fn begin_on_node(
    conn: &mut PgConnection,
    node: &Node,
    operation: NodeOperation,
    action: ActionId,
) -> Result<()> {
    node.state.after(operation)?;
    match operation {
        NodeOperation::Terminate => {
            node::retire(conn, &[node.id]).await?;
            match node.cluster_id {
                Some(cluster) => cluster::want_one_less(conn, cluster).await?,
                // The machine is its owner's: nothing of it is ours to take down.
                None => node::bury(conn, &[node.id]).await?,
            }
        }
        NodeOperation::DockerUpgrade => upgrade::order_one(conn, action, node.id).await?,
        NodeOperation::Deploy | NodeOperation::HealthCheck => {}
    }
    if let Some(cluster) = node.cluster_id {
        wake(conn, cluster).await?;
    }
    Ok(())
}

/// Tells the worker of the cluster's site, when the transaction commits, that there is work.
///
/// # Errors
/// Postgres' own.
pub async fn wake(conn: &mut PgConnection, cluster: ClusterId) -> Result<()> {
    let site = sqlx::query_scalar!("SELECT site_id FROM cluster WHERE id = $1", cluster.0)
        .fetch_one(&mut *conn)
        .await?;
    match site {
        Some(id) => site::wake(conn, id.into()).await,
        None => Ok(()),
    }
}

/// Whether anything that was asked of the cluster, or of one of its nodes, has not ended.
///
/// # Errors
/// Postgres' own.
pub async fn is_anything_asked(conn: &mut PgConnection, cluster: ClusterId) -> Result<bool> {
    Ok(sqlx::query_scalar!(
        r#"SELECT EXISTS (
               SELECT 1 FROM action
               WHERE ended_at IS NULL
                 AND (object_id = $1 OR object_id IN (SELECT id FROM node WHERE cluster_id = $1))
           ) AS "asked!""#,
        cluster.0
    )
    .fetch_one(conn)
    .await?)
}

async fn is_anything_open(conn: &mut PgConnection, object: Uuid) -> Result<bool> {
    Ok(sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT 1 FROM action WHERE object_id = $1 AND ended_at IS NULL) AS "open!""#,
        object
    )
    .fetch_one(conn)
    .await?)
}

/// An operation under way on one node by itself.
#[derive(Debug, Clone)]
pub struct OnNode {
    /// Its action.
    pub action: ActionId,
    /// What it does.
    pub operation: NodeOperation,
    /// Whether its user has canceled it.
    pub is_canceling: bool,
    /// The node.
    pub node: NodeId,
    /// The node's state.
    pub state: NodeState,
}

/// The operations under way on single nodes of a cluster.
///
/// # Errors
/// Postgres' own.
pub async fn under_way_on_nodes(
    conn: &mut PgConnection,
    cluster: ClusterId,
) -> Result<Vec<OnNode>> {
    let rows = sqlx::query!(
        r#"SELECT action.id, action.name, action.state, node.id AS node_id, node.state AS node_state
           FROM action JOIN node ON node.id = action.object_id
           WHERE node.cluster_id = $1 AND action.state IN ('In progress', 'Canceling')
           ORDER BY action.began_at, action.id"#,
        cluster.0
    )
    .fetch_all(conn)
    .await?;
    let mut operations = Vec::new();
    for row in rows {
        let kind: ActionKind = row.name.parse()?;
        if let Some(operation) = kind.node_operation() {
            operations.push(OnNode {
                action: row.id.into(),
                operation,
                is_canceling: row.state == ActionState::Canceling.as_str(),
                node: row.node_id.into(),
                state: row.node_state.parse()?,
            });
        }
    }
    Ok(operations)
}

/// What an operation waits for no longer: a cluster or one of its nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Free {
    /// The cluster.
    Cluster,
    /// This node of it.
    Node(NodeId),
}

/// Where, of a cluster and its nodes, something waits and nothing is under way.
///
/// # Errors
/// Postgres' own.
pub async fn free_with_waiting(conn: &mut PgConnection, cluster: ClusterId) -> Result<Vec<Free>> {
    let objects = sqlx::query_scalar!(
        r#"SELECT object_id FROM action
           WHERE ended_at IS NULL
             AND (object_id = $1 OR object_id IN (SELECT id FROM node WHERE cluster_id = $1))
           GROUP BY object_id HAVING bool_and(state = 'Pending')
           ORDER BY min(started_at), object_id"#,
        cluster.0
    )
    .fetch_all(conn)
    .await?;
    Ok(objects
        .into_iter()
        .map(|object| match object == cluster.0 {
            true => Free::Cluster,
            false => Free::Node(object.into()),
        })
        .collect())
}

/// Begins the operation that has waited longest, if nothing is under way on its object. Where the object's state no
/// longer allows it, its action fails by that name. The cluster is locked here, then the node.
///
/// # Errors
/// Postgres' own.
pub async fn begin_next(conn: &mut PgConnection, id: ClusterId, free: Free) -> Result<()> {
    let Some(cluster) = cluster::lock_any(conn, id).await? else {
        return Ok(());
    };
    match free {
        Free::Cluster => begin_waiting(conn, On::Cluster(&cluster)).await,
        Free::Node(node) => match node::lock(conn, cluster.namespace_id, node).await? {
            Some(node) => begin_waiting(conn, On::Node(&node)).await,
            None => Ok(()),
        },
    }
}

/// What an operation is on; it is locked, a node's cluster, too.
enum On<'a> {
    Cluster(&'a Cluster),
    Node(&'a Node),
}

/// Begins the operation that has waited longest on this, if nothing is under way on it.
async fn begin_waiting(conn: &mut PgConnection, on: On<'_>) -> Result<()> {
    let object = match on {
        On::Cluster(cluster) => cluster.id.0,
        On::Node(node) => node.id.0,
    };
    let next = sqlx::query!(
        r#"SELECT id, name, target_num_nodes FROM action
           WHERE object_id = $1 AND state = 'Pending'
             AND NOT EXISTS (SELECT 1 FROM action running
                             WHERE running.object_id = $1 AND running.state IN ('In progress', 'Canceling'))
           ORDER BY started_at, id LIMIT 1 FOR UPDATE"#,
        object
    )
    .fetch_optional(&mut *conn)
    .await?;
    let Some(next) = next else { return Ok(()) };
    let action = ActionId(next.id);
    let kind: ActionKind = next.name.parse()?;
    let forbidden = match (kind.cluster_operation(), kind.node_operation(), &on) {
        (Some(operation), _, On::Cluster(cluster)) => cluster.state.after(operation).err(),
        (_, Some(operation), On::Node(node)) => node.state.after(operation).err(),
        // An action that is done with its request never waits.
        _ => return Ok(()),
    };
    if let Some(forbidden) = forbidden {
        let reason = forbidden.to_string();
        action::log(conn, action, &reason).await?;
        return action::finish(conn, action, &End::Failed(reason)).await;
    }
    action::begin(conn, action).await?;
    match (kind.cluster_operation(), kind.node_operation(), on) {
        (Some(operation), _, On::Cluster(cluster)) => {
            let target = next.target_num_nodes.map(crate::unsigned);
            begin_on_cluster(conn, cluster, operation, target, action).await
        }
        (_, Some(operation), On::Node(node)) => begin_on_node(conn, node, operation, action).await,
        _ => Ok(()),
    }
}
