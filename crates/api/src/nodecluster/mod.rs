//! Node clusters. Each verb has its file; they all write in the same manner:
//!
//! one transaction that locks the cluster, asks `domain` whether its state allows the operation, records the action,
//! writes what is wanted and wakes the worker of the site. What was answered is in that commit, or nothing is.

pub(crate) mod certificate;
pub(crate) mod create;
pub(crate) mod delete;
pub(crate) mod deploy;
pub(crate) mod docker_upgrade;
pub(crate) mod get;
pub(crate) mod list;
pub(crate) mod update;
pub(crate) mod wire;

use axum::http::StatusCode;
use domain::{
    ids::ClusterId,
    state::{ClusterOperation, ClusterState},
};
use store::{
    PgConnection,
    cluster::{self, Cluster},
    operation,
};

use crate::{
    App, answer::Acted, auth::Caller, error::ApiError, nodecluster::wire::NodeCluster,
    provider::credentials::MayLaunch,
};

/// Asks an operation of the caller's cluster that needs nothing but its name.
async fn ask(
    app: &App,
    caller: &Caller,
    id: ClusterId,
    asked: ClusterOperation,
) -> Result<Acted<NodeCluster>, ApiError> {
    let mut tx = app.pool.begin().await?;
    let may_launch = MayLaunch::keep(app, &mut tx, caller).await?;
    let before = lock(&mut tx, caller, id).await?;
    check_launch(may_launch, &before, asked, None)?;
    let request = caller.record("");
    let action = operation::ask_of_cluster(&mut tx, &request, &before, asked, None).await?;
    let after = reread(&mut tx, caller, id).await?;
    tx.commit().await?;

    tracing::info!(cluster = %id, %action, ?asked, "an operation was asked of node cluster {id}");
    Ok(Acted {
        status: StatusCode::ACCEPTED,
        action,
        object: NodeCluster::new(&caller.uris, after),
    })
}

/// Refuses an operation that launches nodes, where the namespace has no credentials to launch them with. What the cluster's
/// state forbids is refused for that reason.
pub(crate) fn check_launch(
    may_launch: MayLaunch,
    cluster: &Cluster,
    asked: ClusterOperation,
    target: Option<u32>,
) -> Result<(), ApiError> {
    let launches = match asked {
        ClusterOperation::Deploy | ClusterOperation::Redeploy => true,
        ClusterOperation::Scale => {
            cluster.state != ClusterState::Init && target > Some(cluster.target_num_nodes)
        }
        ClusterOperation::DockerUpgrade | ClusterOperation::Terminate => false,
    };
    cluster.state.after(asked)?;
    match launches {
        true => may_launch.check(),
        false => Ok(()),
    }
}

/// The caller's cluster of this id, locked against every other change until the transaction's end.
pub(crate) async fn lock(
    conn: &mut PgConnection,
    caller: &Caller,
    id: ClusterId,
) -> Result<Cluster, ApiError> {
    cluster::lock(conn, caller.namespace(), id)
        .await?
        .ok_or_else(|| ApiError::no_such("node cluster", id))
}

/// The cluster as this transaction leaves it.
async fn reread(
    conn: &mut PgConnection,
    caller: &Caller,
    id: ClusterId,
) -> Result<Cluster, ApiError> {
    cluster::get(conn, caller.namespace(), id)
        .await?
        .ok_or_else(|| ApiError::no_such("node cluster", id))
}
