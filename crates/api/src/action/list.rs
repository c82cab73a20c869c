//! `GET /api/audit/v1/action/`

use axum::{Json, extract::State, http::Uri};
use store::action;
use utoipa::openapi::path::{Parameter, ParameterIn};

use crate::{
    App,
    action::wire::Action,
    auth::Caller,
    error::{ApiError, ErrorBody},
    list::{self, List, ListQuery},
    parameter::QueryParameter,
    uri,
};

const FILTERS: &[QueryParameter] = &[
    QueryParameter::uuid("uuid", "The action's id."),
    QueryParameter::text("uuid__startswith", "What its id begins with."),
    QueryParameter::text("state", "Its state, for example `In progress`."),
    QueryParameter::form(
        "object",
        uri::OBJECT,
        "The URI of the node cluster or node that it is about.",
    ),
    QueryParameter::flag(
        "include_related",
        "With `object`: also the actions of the node cluster's nodes, or of the node's cluster. Without it all are listed.",
    ),
    QueryParameter::time("start_date__gte", "Started then or later."),
    QueryParameter::time("start_date__lte", "Started then or earlier."),
    QueryParameter::time("end_date__gte", "Ended then or later."),
    QueryParameter::time("end_date__lte", "Ended then or earlier."),
];

/// The filters of the list.
pub(crate) struct Filters;

impl utoipa::IntoParams for Filters {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        list::parameters(FILTERS)
    }
}

/// List the actions
///
/// Newest first.
#[utoipa::path(
    get,
    path = "/api/audit/v1/action/",
    operation_id = "list_actions",
    tag = "Actions",
    params(Filters),
    responses(
        (status = 200, description = "A page of the actions.", body = List<Action>),
        (status = 400, description = "A filter that there is not, or a malformed one.", body = ErrorBody),
    )
)]
pub(crate) async fn list(
    State(app): State<App>,
    caller: Caller,
    uri: Uri,
) -> Result<Json<List<Action>>, ApiError> {
    let query = ListQuery::parse(&uri, FILTERS)?;
    let filter = action::Filter {
        id: query.uuid("uuid")?,
        id_prefix: query.prefix("uuid__startswith"),
        state: query.owned("state"),
        object_id: query.uri("object", uri::parse_object)?,
        with_related: query.flag("include_related")?,
        started_from: query.time("start_date__gte")?,
        started_to: query.time("start_date__lte")?,
        ended_from: query.time("end_date__gte")?,
        ended_to: query.time("end_date__lte")?,
    };
    let mut connection = app.pool.acquire().await?;
    let listed = action::list(&mut connection, caller.namespace(), &filter, query.page).await?;
    Ok(query.answer(&caller.asked, listed, |found| {
        Action::new(&caller.uris, found)
    }))
}
