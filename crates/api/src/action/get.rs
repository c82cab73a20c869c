//! `GET /api/audit/v1/action/{uuid}/`

use axum::{Json, extract::State};
use store::action;

use crate::{
    App,
    action::wire::Action,
    answer::Id,
    auth::Caller,
    error::{ApiError, ErrorBody},
};

/// Get an action
#[utoipa::path(
    get,
    path = "/api/audit/v1/action/{uuid}/",
    operation_id = "get_action",
    tag = "Actions",
    params(("uuid" = Uuid, Path, description = "The action's id.")),
    responses(
        (status = 200, description = "The action.", body = Action),
        (status = 404, description = "There is no such action in the namespace.", body = ErrorBody),
    )
)]
pub(crate) async fn get(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id,
) -> Result<Json<Action>, ApiError> {
    let mut connection = app.pool.acquire().await?;
    action::get(&mut connection, caller.namespace(), id)
        .await?
        .map(|found| Json(Action::new(&caller.uris, found)))
        .ok_or_else(|| ApiError::no_such("action", id))
}
