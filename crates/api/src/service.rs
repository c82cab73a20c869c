//! `/api/app/v1/service/`: Berth has no services, and says so in the form of a list.
//!
//! The original command line looks for a service before it looks for a node cluster or a node with the same id, and
//! gives up where the list itself is not there.

use axum::{Json, http::Uri};
use serde::Serialize;
use utoipa::{
    ToSchema,
    openapi::path::{Parameter, ParameterIn},
};

use crate::{
    answer::Id,
    auth::Caller,
    error::{ApiError, ErrorBody},
    list::{self, List, ListQuery},
    parameter::QueryParameter,
};

const FILTERS: &[QueryParameter] = &[
    QueryParameter::uuid("uuid", "The service's id."),
    QueryParameter::text("uuid__startswith", "What its id begins with."),
    QueryParameter::text("name", "Its name."),
    QueryParameter::text("state", "Its state."),
    QueryParameter::text("stack", "The URI of its stack."),
];

/// A service; there is none.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Service {}

/// The filters of the list.
pub(crate) struct Filters;

impl utoipa::IntoParams for Filters {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        list::parameters(FILTERS)
    }
}

/// List the services
///
/// There are none: Berth has node clusters only.
#[utoipa::path(
    get,
    path = "/api/app/v1/service/",
    operation_id = "list_services",
    tag = "Services",
    params(Filters),
    responses(
        (status = 200, description = "An empty page.", body = List<Service>),
        (status = 400, description = "A filter that there is not, or a malformed one.", body = ErrorBody),
    )
)]
pub(crate) async fn list(caller: Caller, uri: Uri) -> Result<Json<List<Service>>, ApiError> {
    let query = ListQuery::parse(&uri, FILTERS)?;
    query.uuid("uuid")?;
    Ok(query.answer(&caller.asked, query.cut(Vec::new()), |service| service))
}

/// Get a service
///
/// There are none.
#[utoipa::path(
    get,
    path = "/api/app/v1/service/{uuid}/",
    operation_id = "get_service",
    tag = "Services",
    params(("uuid" = Uuid, Path, description = "The service's id.")),
    responses((status = 404, description = "There is no such service.", body = ErrorBody))
)]
pub(crate) async fn get(_: Caller, Id(id): Id) -> ApiError {
    ApiError::no_such("service", id)
}
