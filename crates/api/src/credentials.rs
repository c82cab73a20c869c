//! `GET /auth/`: whether the credentials are good. The original Python library asks it before it uses them.

use axum::{Json, http::Uri};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    auth::Caller,
    error::{ApiError, ErrorBody},
    list::{List, ListQuery},
};

/// Whose the credentials are.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Credentials {
    /// The user's name.
    #[schema(example = "dev")]
    username: String,
}

/// Check credentials
///
/// A list of one object, or 401. Docker Cloud's had the key in it, too; Berth can't, since it keeps only a digest.
#[utoipa::path(
    get,
    path = "/auth/",
    operation_id = "check_credentials",
    tag = "Credentials",
    responses(
        (status = 200, description = "They are good.", body = List<Credentials>),
        (status = 400, description = "A parameter: there is none but those of a list's page.", body = ErrorBody),
    )
)]
pub(crate) async fn check(caller: Caller, uri: Uri) -> Result<Json<List<Credentials>>, ApiError> {
    let query = ListQuery::parse(&uri, &[])?;
    let own = Credentials {
        username: caller.name().to_owned(),
    };
    Ok(query.answer(&caller.asked, query.cut(vec![own]), |own| own))
}
