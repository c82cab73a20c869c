//! `DELETE /api/infra/v1/node/{uuid}/`: this one node is to go, and is not to be replaced.

use axum::extract::State;
use domain::state::NodeOperation;

use crate::{
    App,
    answer::{Acted, Id},
    auth::Caller,
    error::{ApiError, ErrorBody},
    node::wire::Node,
};

/// Terminate a node
///
/// Allowed in the states `Deployed` and `Unreachable`; this can't be undone. One that its owner brought is `Terminated` at
/// once, and its agent is not listened to any more. Its node cluster wants one node less from
/// then on. Behind a health check that is under way it waits: its action is `Pending`. A body is ignored.
#[utoipa::path(
    delete,
    path = "/api/infra/v1/node/{uuid}/",
    operation_id = "terminate_node",
    tag = "Nodes",
    params(("uuid" = Uuid, Path, description = "The node's id.")),
    responses(
        (
            status = 202, description = "The node, in state `Terminating`, or as it was where the action has to wait.", body = Node,
            headers(("X-DockerCloud-Action-URI" = String, description = "The URI of the action to watch."))
        ),
        (status = 400, description = "The node's state forbids it.", body = ErrorBody),
        (status = 404, description = "There is no such node in the namespace.", body = ErrorBody),
    )
)]
pub(crate) async fn delete(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id,
) -> Result<Acted<Node>, ApiError> {
    super::ask(&app, &caller, id.into(), NodeOperation::Terminate).await
}
