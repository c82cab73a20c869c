//! `GET /api/infra/v1/provider/aws/credentials/`

use axum::{Json, extract::State};

use super::ProviderCredentials;
use crate::{App, auth::Caller, error::ApiError};

/// Get the credentials for AWS
///
/// Without what is secret of them. Before anything is linked it tells the external id that the trust policy of a role has
/// to ask for.
#[utoipa::path(
    get,
    path = "/api/infra/v1/provider/aws/credentials/",
    operation_id = "get_credentials",
    tag = "Providers",
    responses(
        (status = 200, description = "The namespace's credentials, or that there are none.", body = ProviderCredentials),
    )
)]
pub(crate) async fn get(
    State(app): State<App>,
    caller: Caller,
) -> Result<Json<ProviderCredentials>, ApiError> {
    let mut connection = app.pool.acquire().await?;
    let shown = ProviderCredentials::read(&app, &mut connection, &caller).await?;
    Ok(Json(shown))
}
