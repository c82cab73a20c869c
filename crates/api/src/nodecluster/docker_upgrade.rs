//! `POST /api/infra/v1/nodecluster/{uuid}/docker-upgrade/`: the newest Docker engine on every node.

use axum::extract::State;
use domain::state::ClusterOperation;

use crate::{
    App,
    answer::{Acted, Id},
    auth::Caller,
    error::{ApiError, ErrorBody},
    nodecluster::wire::NodeCluster,
};

/// Upgrade the Docker engines of a node cluster
///
/// Allowed in the states `Deployed` and `Partly deployed`; the cluster's own state stays. Its deployed nodes are upgraded
/// by their agents one at a time, oldest first, the next when the one before is back; the first that fails ends the
/// action, whose log says which nodes were upgraded, which failed and which were not begun. A cancellation awaits the node
/// that is at it and begins no other. A body is ignored.
#[utoipa::path(
    post,
    path = "/api/infra/v1/nodecluster/{uuid}/docker-upgrade/",
    operation_id = "upgrade_node_cluster",
    tag = "Node clusters",
    params(("uuid" = Uuid, Path, description = "The node cluster's id.")),
    responses(
        (
            status = 202, description = "The node cluster.", body = NodeCluster,
            headers(("X-DockerCloud-Action-URI" = String, description = "The URI of the action to watch."))
        ),
        (status = 400, description = "The node cluster's state forbids it.", body = ErrorBody),
        (status = 404, description = "There is no such node cluster in the namespace.", body = ErrorBody),
    )
)]
pub(crate) async fn docker_upgrade(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id,
) -> Result<Acted<NodeCluster>, ApiError> {
    super::ask(&app, &caller, id.into(), ClusterOperation::DockerUpgrade).await
}
