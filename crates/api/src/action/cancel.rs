//! `POST /api/audit/v1/action/{uuid}/cancel/`: what was asked for is not wanted any more.

use axum::{extract::State, http::StatusCode};
use store::{action, cluster, operation};

use super::{lock_with_object, reread};
use crate::{
    App,
    action::wire::Action,
    answer::{Acted, Id},
    auth::Caller,
    error::{ApiError, ErrorBody},
};

/// Cancel an action
///
/// One that is `Pending` is `Canceled` at once. One that is `In progress` is `Canceling` until what has not been launched
/// yet was taken back; then it is `Canceled`. Nodes that run, and those whose launch can't be taken back any more, are
/// kept. A termination that has begun can't be canceled. A body is ignored.
#[utoipa::path(
    post,
    path = "/api/audit/v1/action/{uuid}/cancel/",
    operation_id = "cancel_action",
    tag = "Actions",
    params(("uuid" = Uuid, Path, description = "The action's id.")),
    responses(
        (
            status = 202, description = "The action, in state `Canceling` or `Canceled`.", body = Action,
            headers(("X-DockerCloud-Action-URI" = String, description = "The URI of the action itself."))
        ),
        (status = 400, description = "The action's state forbids it, or it is a termination.", body = ErrorBody),
        (status = 404, description = "There is no such action in the namespace.", body = ErrorBody),
    )
)]
pub(crate) async fn cancel(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id,
) -> Result<Acted<Action>, ApiError> {
    let mut tx = app.pool.begin().await?;
    let (found, object) = lock_with_object(&mut tx, &caller, id).await?;
    caller.may(found.kind.needs())?;
    let after = found.kind.after_cancel(found.state)?;
    let line = format!("{} asked for its cancellation", caller.name());
    action::log(&mut tx, found.id, &line).await?;
    action::cancel(&mut tx, found.id, after).await?;
    if let Some(cluster) = object.cluster_id() {
        // What a worker has decided on a look before this moment no longer holds.
        cluster::outdate(&mut tx, cluster).await?;
        operation::wake(&mut tx, cluster).await?;
    }
    let action = reread(&mut tx, &caller, id).await?;
    tx.commit().await?;

    tracing::info!(action = %id, state = %action.state, "action {id} was canceled");
    Ok(Acted {
        status: StatusCode::ACCEPTED,
        action: action.id,
        object: Action::new(&caller.uris, action),
    })
}
