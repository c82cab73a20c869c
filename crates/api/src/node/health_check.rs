//! `POST /api/infra/v1/node/{uuid}/health-check/`: whether the node can be reached again.

use axum::extract::State;
use domain::state::NodeOperation;

use crate::{
    App,
    answer::{Acted, Id},
    auth::Caller,
    error::{ApiError, ErrorBody},
    node::wire::Node,
};

/// Check a node's health
///
/// Allowed in state `Unreachable`. Of a node that its owner brought, the engine is asked; of the others, whose engines
/// this version does not know, the instance is looked at in EC2, and the action's log says so. Where it can be reached the
/// node becomes `Deployed`. A body is ignored.
#[utoipa::path(
    post,
    path = "/api/infra/v1/node/{uuid}/health-check/",
    operation_id = "check_node",
    tag = "Nodes",
    params(("uuid" = Uuid, Path, description = "The node's id.")),
    responses(
        (
            status = 202, description = "The node.", body = Node,
            headers(("X-DockerCloud-Action-URI" = String, description = "The URI of the action to watch."))
        ),
        (status = 400, description = "The node's state forbids it.", body = ErrorBody),
        (status = 404, description = "There is no such node in the namespace.", body = ErrorBody),
    )
)]
pub(crate) async fn health_check(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id,
) -> Result<Acted<Node>, ApiError> {
    super::ask(&app, &caller, id.into(), NodeOperation::HealthCheck).await
}
