//! `GET /api/infra/v1/node/{uuid}/certificate/`: what lets a Docker client into the node's engine.

use axum::{Json, extract::State};

use crate::{
    App,
    answer::Id,
    auth::Caller,
    authority::{self, ClientBundle},
    error::{ApiError, ErrorBody},
};

/// Get a certificate for a node
///
/// A new certificate each time, good for 90 days, with which a Docker client is let in by the engine:
/// `docker --tlsverify --tlscacert ca.pem --tlscert cert.pem --tlskey key.pem -H tcp://<external_fqdn>:2376 info`. It is
/// good for every node of the namespace.
#[utoipa::path(
    get,
    path = "/api/infra/v1/node/{uuid}/certificate/",
    operation_id = "get_node_certificate",
    tag = "Nodes",
    params(("uuid" = Uuid, Path, description = "The node's id.")),
    responses(
        (status = 200, description = "The certificates and the key.", body = ClientBundle),
        (status = 404, description = "There is no such node in the namespace.", body = ErrorBody),
    )
)]
pub(crate) async fn certificate(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id,
) -> Result<Json<ClientBundle>, ApiError> {
    let mut tx = app.pool.begin().await?;
    let node = super::read(&mut tx, &caller, id.into()).await?;
    let namespace = caller.namespace();
    let bundle = authority::for_a_user(&app, &mut tx, namespace, caller.name(), node.id.0).await?;
    tx.commit().await?;
    tracing::info!(node = %id, user = caller.name(), "a certificate was issued");
    Ok(Json(bundle))
}
