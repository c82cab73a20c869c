//! `DELETE /api/infra/v1/provider/aws/credentials/`

use axum::{extract::State, http::StatusCode};
use domain::{action::ActionKind, state::ActionState};
use store::{
    action::{self, ObjectType},
    link::{self, Credentials},
};

use super::ProviderCredentials;
use crate::{
    App,
    answer::Acted,
    auth::Caller,
    error::{ApiError, ErrorBody},
};

/// Delete the credentials for AWS
///
/// Refused while there are node clusters that are worked on with them: they could not be terminated any more.
#[utoipa::path(
    delete,
    path = "/api/infra/v1/provider/aws/credentials/",
    operation_id = "delete_credentials",
    tag = "Providers",
    responses(
        (
            status = 202, description = "What the namespace has from now on.", body = ProviderCredentials,
            headers(("X-DockerCloud-Action-URI" = String, description = "The URI of the action that records it."))
        ),
        (status = 404, description = "There are none of the namespace's own.", body = ErrorBody),
        (status = 409, description = "There are live node clusters.", body = ErrorBody),
    )
)]
pub(crate) async fn delete(
    State(app): State<App>,
    caller: Caller,
) -> Result<Acted<ProviderCredentials>, ApiError> {
    let mut tx = app.pool.begin().await?;
    let before = link::lock(&mut tx, caller.namespace()).await?;
    if matches!(
        before.link.credentials,
        Credentials::Ambient | Credentials::None
    ) {
        return Err(ApiError::NotFound(format!(
            "the namespace {} has no AWS credentials of its own",
            before.namespace
        )));
    }
    let live = link::live_clusters(&mut tx, caller.namespace(), before.link.id).await?;
    if live > 0 {
        return Err(ApiError::Conflict(format!(
            "the credentials are those of {live} node clusters that are not terminated: terminate them first"
        )));
    }
    link::delete(&mut tx, caller.namespace(), before.link.id).await?;
    let new = action::New {
        kind: ActionKind::UnlinkProvider,
        object_type: ObjectType::Credentials,
        object_id: before.link.id.0,
        target_num_nodes: None,
        state: ActionState::Success,
    };
    let action = action::insert(&mut tx, &caller.record(""), new).await?;
    let after = ProviderCredentials::read(&app, &mut tx, &caller).await?;
    tx.commit().await?;

    tracing::info!(%action, link = %before.link.id, "the credentials of link {} were deleted", before.link.id);
    Ok(Acted {
        status: StatusCode::ACCEPTED,
        action,
        object: after,
    })
}
