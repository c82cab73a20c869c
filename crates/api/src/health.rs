//! For load balancers and orchestrators: whether the process lives, and whether it can serve.

use std::time::Duration;

use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{App, error::ErrorBody};

/// Who asks wants to know it soon, not after the pool's own patience.
const PATIENCE: Duration = Duration::from_secs(3);

/// That all is well.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Health {
    /// `ok`
    #[schema(example = "ok")]
    status: &'static str,
}

const OK: Json<Health> = Json(Health { status: "ok" });

/// Whether the process lives
///
/// Needs no credentials.
#[utoipa::path(
    get,
    path = "/healthz",
    operation_id = "is_alive",
    tag = "Health",
    responses((status = 200, description = "It does.", body = Health))
)]
pub(crate) async fn alive() -> Json<Health> {
    OK
}

/// Whether requests can be served
///
/// The database answers and has every migration. Needs no credentials.
#[utoipa::path(
    get,
    path = "/readyz",
    operation_id = "is_ready",
    tag = "Health",
    responses(
        (status = 200, description = "They can.", body = Health),
        (status = 503, description = "They can't; the error says why.", body = ErrorBody),
    )
)]
pub(crate) async fn ready(State(app): State<App>) -> Response {
    let reason = match tokio::time::timeout(PATIENCE, store::is_migrated(&app.pool)).await {
        Ok(Ok(true)) => return OK.into_response(),
        Ok(Ok(false)) => "the database lacks migrations; run `berth migrate`",
        Ok(Err(error)) => {
            tracing::warn!(%error, "not ready: the database can't be asked");
            "the database can't be reached"
        }
        Err(_) => "the database does not answer",
    };
    let body = Json(ErrorBody {
        error: reason.to_owned(),
    });
    (StatusCode::SERVICE_UNAVAILABLE, body).into_response()
}
