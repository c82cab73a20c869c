//! `POST /api/infra/v1/node/{uuid}/deploy/`: the deployment of a node, watched by itself.

use axum::extract::State;
use domain::state::NodeOperation;

use crate::{
    App,
    answer::{Acted, Id},
    auth::Caller,
    error::{ApiError, ErrorBody},
    node::wire::Node,
};

/// Deploy a node
///
/// Nodes are deployed with their node cluster, so what is left of this operation of older versions is to watch one:
/// allowed in state `Deploying`, its action ends when the node is deployed, or will not be. A body is ignored.
#[utoipa::path(
    post,
    path = "/api/infra/v1/node/{uuid}/deploy/",
    operation_id = "deploy_node",
    tag = "Nodes",
    params(("uuid" = Uuid, Path, description = "The node's id.")),
    responses(
        (
            status = 202, description = "The node, in state `Deploying`.", body = Node,
            headers(("X-DockerCloud-Action-URI" = String, description = "The URI of the action to watch."))
        ),
        (status = 400, description = "The node's state forbids it.", body = ErrorBody),
        (status = 404, description = "There is no such node in the namespace.", body = ErrorBody),
    )
)]
pub(crate) async fn deploy(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id,
) -> Result<Acted<Node>, ApiError> {
    super::ask(&app, &caller, id.into(), NodeOperation::Deploy).await
}
