//! `DELETE /api/infra/v1/nodecluster/{uuid}/`: the cluster and all its nodes are to go.

use axum::extract::State;
use domain::state::ClusterOperation;

use crate::{
    App,
    answer::{Acted, Id},
    auth::Caller,
    error::{ApiError, ErrorBody},
    nodecluster::wire::NodeCluster,
};

/// Terminate a node cluster
///
/// Terminates all its nodes; this can't be undone. Allowed in the states `Deployed`, `Partly deployed` and
/// `Empty cluster`, and in `Init`, where it is `Terminated` at once; while its nodes are being deployed, cancel that
/// action first. Behind an upgrade that is under way it waits: its action is `Pending`. A body is ignored.
#[utoipa::path(
    delete,
    path = "/api/infra/v1/nodecluster/{uuid}/",
    operation_id = "terminate_node_cluster",
    tag = "Node clusters",
    params(("uuid" = Uuid, Path, description = "The node cluster's id.")),
    responses(
        (
            status = 202, description = "The node cluster, in state `Terminating` or `Terminated`, or as it was where the action has to wait.", body = NodeCluster,
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
    super::ask(&app, &caller, id.into(), ClusterOperation::Terminate).await
}
