//! `POST /api/infra/v1/nodecluster/{uuid}/deploy/`: the nodes are wanted from now on.

use axum::extract::State;
use domain::state::ClusterOperation;

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
    super::ask(&app, &caller, id.into(), ClusterOperation::Deploy).await
}
