//! `DELETE /api/infra/v1/nodecluster/{uuid}/`: the cluster and all its nodes are to go.

use axum::{extract::State, http::StatusCode};
use domain::{
    ids::ClusterId,
    state::{ActionState, ClusterOperation, ClusterState},
};
use store::{
    action::{self, ObjectType},
    cluster, site,
};

use crate::{
    App,
    answer::{Acted, Id},
    auth::Caller,
    error::{ApiError, ErrorBody},
    nodecluster::wire::NodeCluster,
};

/// Terminate a node cluster
///
/// Terminates all its nodes; this can't be undone. One in state `Init` is `Terminated` at once. A body is ignored.
#[utoipa::path(
    delete,
    path = "/api/infra/v1/nodecluster/{uuid}/",
    operation_id = "terminate_node_cluster",
    tag = "Node clusters",
    params(("uuid" = Uuid, Path, description = "The node cluster's id.")),
    responses(
        (
            status = 202, description = "The node cluster, in state `Terminating` or `Terminated`.", body = NodeCluster,
            headers(("X-DockerCloud-Action-URI" = String, description = "The URI of the action to watch."))
        ),
        (status = 400, description = "The node cluster's state forbids it.", body = ErrorBody),
        (status = 404, description = "There is no such node cluster in the namespace.", body = ErrorBody),
    )
)]
pub(crate) async fn delete(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id,
) -> Result<Acted<NodeCluster>, ApiError> {
    let id = ClusterId(id);
    let mut tx = app.pool.begin().await?;
    let before = super::lock(&mut tx, &caller, id).await?;
    let state = before.state.after(ClusterOperation::Terminate)?;
    let is_done = state == ClusterState::Terminated;
    let action = action::insert(
        &mut tx,
        &caller.record(""),
        "Node Cluster Terminate",
        ObjectType::NodeCluster,
        id.0,
        match is_done {
            true => ActionState::Success,
            false => ActionState::InProgress,
        },
    )
    .await?;
    if is_done {
        cluster::set_target(&mut tx, id, 0).await?;
        cluster::settle(&mut tx, id, state).await?;
    } else {
        let site = super::site_of(&mut tx, &before).await?;
        cluster::begin(&mut tx, id, state, 0, action, site).await?;
        site::wake(&mut tx, site).await?;
    }
    let after = super::reread(&mut tx, &caller, id).await?;
    tx.commit().await?;

    tracing::info!(cluster = %id, %action, "node cluster {id} is to be terminated");
    Ok(Acted {
        status: StatusCode::ACCEPTED,
        action,
        object: NodeCluster::new(&caller.uris, after),
    })
}
