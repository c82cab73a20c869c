//! `GET /api/audit/v1/action/`

use axum::{Json, extract::State, http::Uri};
use domain::cluster::Invalid;
use store::action;
use utoipa::openapi::path::{Parameter, ParameterIn};

use crate::{
    App,
    action::wire::Action,
    auth::Caller,
    error::{ApiError, ErrorBody},
    list::{self, Filter, List, ListQuery},
    uri,
};

const FILTERS: &[Filter] = &[
    Filter::uuid("uuid", "The action's id."),
    Filter::text("uuid__startswith", "What its id begins with."),
    Filter::text("state", "Its state, for example `In progress`."),
    Filter::text(
        "object",
        "The URI of the node cluster or node that it is about.",
    ),
    Filter::flag(
        "include_related",
        "With `object`: also the actions of the node cluster's nodes, or of the node's cluster.",
    ),
    Filter::time("start_date__gte", "Started then or later."),
    Filter::time("start_date__lte", "Started then or earlier."),
    Filter::time("end_date__gte", "Ended then or later."),
    Filter::time("end_date__lte", "Ended then or earlier."),
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
    if filter.with_related && filter.object_id.is_none() {
        let reason = "there is nothing to relate to: it needs the filter object";
        return Err(Invalid::new("include_related", reason).into());
    }
    let mut connection = app.pool.acquire().await?;
    let listed = action::list(&mut connection, caller.namespace(), &filter, query.page).await?;
    Ok(query.answer(&caller.asked, listed, |found| {
        Action::new(&caller.uris, found)
    }))
}
