//! `GET /api/infra/v1/nodecluster/{uuid}/`

use axum::{Json, extract::State};
use store::cluster;

use crate::{
    App,
    answer::Id,
    auth::Caller,
    error::{ApiError, ErrorBody},
    nodecluster::wire::NodeCluster,
};

/// Get a node cluster
///
/// A terminated one stays readable for ever.
#[utoipa::path(
    get,
    path = "/api/infra/v1/nodecluster/{uuid}/",
    operation_id = "get_node_cluster",
    tag = "Node clusters",
    params(("uuid" = Uuid, Path, description = "The node cluster's id.")),
    responses(
        (status = 200, description = "The node cluster.", body = NodeCluster),
        (status = 404, description = "There is no such node cluster in the namespace.", body = ErrorBody),
    )
)]
pub(crate) async fn get(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id,
) -> Result<Json<NodeCluster>, ApiError> {
    let mut connection = app.pool.acquire().await?;
    cluster::get(&mut connection, caller.namespace(), id.into())
        .await?
        .map(|found| Json(NodeCluster::new(&caller.uris, found)))
        .ok_or_else(|| ApiError::no_such("node cluster", id))
}
