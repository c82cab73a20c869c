//! `GET /api/infra/v1/node/{uuid}/`

use axum::{Json, extract::State};

use crate::{
    App,
    answer::Id,
    auth::Caller,
    error::{ApiError, ErrorBody},
    node::wire::Node,
};

/// Get a node
///
/// A terminated one stays readable for ever.
#[utoipa::path(
    get,
    path = "/api/infra/v1/node/{uuid}/",
    operation_id = "get_node",
    tag = "Nodes",
    params(("uuid" = Uuid, Path, description = "The node's id.")),
    responses(
        (status = 200, description = "The node.", body = Node),
        (status = 404, description = "There is no such node in the namespace.", body = ErrorBody),
    )
)]
pub(crate) async fn get(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id,
) -> Result<Json<Node>, ApiError> {
    let mut connection = app.pool.acquire().await?;
    let found = super::read(&mut connection, &caller, id.into()).await?;
    Ok(Json(Node::new(&caller.uris, found)))
}
