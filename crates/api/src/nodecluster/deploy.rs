//! `POST /api/infra/v1/nodecluster/{uuid}/deploy/`: the nodes are wanted from now on.

use axum::{extract::State, http::StatusCode};
use domain::{
    ids::ClusterId,
    state::{ActionState, ClusterOperation},
};
use store::{
    action::{self, ObjectType},
    cluster, node, site,
};

use crate::{
    App,
    answer::{Acted, Id},
    auth::Caller,
    error::{ApiError, ErrorBody},
    nodecluster::wire::NodeCluster,
};

/// Deploy a node cluster
///
/// Allowed in state `Init`. The answer comes at once with state `Deploying`; the action ends when the nodes are
/// deployed, or with the reason why they are not. A body is ignored.
#[utoipa::path(
    post,
    path = "/api/infra/v1/nodecluster/{uuid}/deploy/",
    operation_id = "deploy_node_cluster",
    tag = "Node clusters",
    params(("uuid" = Uuid, Path, description = "The node cluster's id.")),
    responses(
        (
            status = 202, description = "The node cluster, in state `Deploying`.", body = NodeCluster,
            headers(("X-DockerCloud-Action-URI" = String, description = "The URI of the action to watch."))
        ),
        (status = 400, description = "The node cluster's state forbids it.", body = ErrorBody),
        (status = 404, description = "There is no such node cluster in the namespace.", body = ErrorBody),
    )
)]
pub(crate) async fn deploy(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id,
) -> Result<Acted<NodeCluster>, ApiError> {
    let id = ClusterId(id);
    let mut tx = app.pool.begin().await?;
    let before = super::lock(&mut tx, &caller, id).await?;
    let state = before.state.after(ClusterOperation::Deploy)?;
    let action = action::insert(
        &mut tx,
        &caller.record(""),
        "Node Cluster Deploy",
        ObjectType::NodeCluster,
        id.0,
        ActionState::InProgress,
    )
    .await?;
    let site = super::site_of(&mut tx, &before).await?;
    node::insert_many(&mut tx, id, before.target_num_nodes).await?;
    cluster::begin(&mut tx, id, state, before.target_num_nodes, action, site).await?;
    site::wake(&mut tx, site).await?;
    let after = super::reread(&mut tx, &caller, id).await?;
    tx.commit().await?;

    tracing::info!(cluster = %id, %action, "node cluster {id} is to be deployed");
    Ok(Acted {
        status: StatusCode::ACCEPTED,
        action,
        object: NodeCluster::new(&caller.uris, after),
    })
}
