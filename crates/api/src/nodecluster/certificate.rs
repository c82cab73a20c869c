//! `GET /api/infra/v1/nodecluster/{uuid}/certificate/`: what lets a Docker client into the engines of the cluster's nodes.

use axum::{Json, extract::State};

use crate::{
    App,
    answer::Id,
    auth::Caller,
    authority::{self, ClientBundle},
    error::{ApiError, ErrorBody},
};

/// Get a certificate for a node cluster
///
/// A new certificate each time, good for 90 days, with which a Docker client is let in by the engines of all of the
/// cluster's nodes. `ca` has what the engines show that are there now.
#[utoipa::path(
    get,
    path = "/api/infra/v1/nodecluster/{uuid}/certificate/",
    operation_id = "get_node_cluster_certificate",
    tag = "Node clusters",
    params(("uuid" = Uuid, Path, description = "The node cluster's id.")),
    responses(
        (status = 200, description = "The certificates and the key.", body = ClientBundle),
        (status = 404, description = "There is no such node cluster in the namespace.", body = ErrorBody),
    )
)]
pub(crate) async fn certificate(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id,
) -> Result<Json<ClientBundle>, ApiError> {
    let mut tx = app.pool.begin().await?;
    let cluster = super::reread(&mut tx, &caller, id.into()).await?;
    let namespace = caller.namespace();
    let bundle =
        authority::for_a_user(&app, &mut tx, namespace, caller.name(), cluster.id.0).await?;
    tx.commit().await?;
    tracing::info!(cluster = %id, user = caller.name(), "a certificate was issued");
    Ok(Json(bundle))
}
