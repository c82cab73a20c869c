//! `POST /api/infra/v1/node/{uuid}/docker-upgrade/`: the newest Docker engine on the node.

use axum::extract::State;
use domain::state::NodeOperation;

use crate::{
    App,
    answer::{Acted, Id},
    auth::Caller,
    error::{ApiError, ErrorBody},
    node::wire::Node,
};

/// Upgrade a node's Docker engine
///
/// Allowed in state `Deployed`. The agent on the node is told with its next heartbeat, and upgrades the engine; the node is
/// `Upgrading` until that has ended and the engine answers again. The action fails where the agent says that it could
/// not, where none is on the node that sends heartbeats, and where it has not reported within 40 minutes. A cancellation
/// withdraws an order that no heartbeat has carried; one under way is awaited. A body is ignored.
#[utoipa::path(
    post,
    path = "/api/infra/v1/node/{uuid}/docker-upgrade/",
    operation_id = "upgrade_node",
    tag = "Nodes",
    params(("uuid" = Uuid, Path, description = "The node's id.")),
    responses(
        (
            status = 202, description = "The node, in state `Upgrading`.", body = Node,
            headers(("X-DockerCloud-Action-URI" = String, description = "The URI of the action to watch."))
        ),
        (status = 400, description = "The node's state forbids it.", body = ErrorBody),
        (status = 404, description = "There is no such node in the namespace.", body = ErrorBody),
    )
)]
pub(crate) async fn docker_upgrade(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id,
) -> Result<Acted<Node>, ApiError> {
    super::ask(&app, &caller, id.into(), NodeOperation::DockerUpgrade).await
}
