//! `GET /api/infra/v1/nodecluster/`

use axum::{Json, extract::State, http::Uri};
use store::cluster;
use utoipa::openapi::path::{Parameter, ParameterIn};

use crate::{
    App,
    auth::Caller,
    error::{ApiError, ErrorBody},
    list::{self, List, ListQuery},
    nodecluster::wire::NodeCluster,
    parameter::QueryParameter,
    uri,
};

const FILTERS: &[QueryParameter] = &[
    QueryParameter::uuid("uuid", "The node cluster's id."),
    QueryParameter::text("uuid__startswith", "What its id begins with."),
    QueryParameter::text("state", "Its state, for example `Deployed`."),
    QueryParameter::text("name", "Its name."),
    QueryParameter::form("region", uri::REGION, "The URI of its region."),
    QueryParameter::form(
        "node_type",
        uri::NODE_TYPE,
        "The URI of the type of its nodes.",
    ),
];

/// The filters of the list.
pub(crate) struct Filters;

impl utoipa::IntoParams for Filters {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        list::parameters(FILTERS)
    }
}

/// List the node clusters
///
/// Oldest first: those that live, and those terminated within the last hour.
#[utoipa::path(
    get,
    path = "/api/infra/v1/nodecluster/",
    operation_id = "list_node_clusters",
    tag = "Node clusters",
    params(Filters),
    responses(
        (status = 200, description = "A page of the node clusters.", body = List<NodeCluster>),
        (status = 400, description = "A filter that there is not, or a malformed one.", body = ErrorBody),
    )
)]
pub(crate) async fn list(
    State(app): State<App>,
    caller: Caller,
    uri: Uri,
) -> Result<Json<List<NodeCluster>>, ApiError> {
    let query = ListQuery::parse(&uri, FILTERS)?;
    let filter = cluster::Filter {
        id: query.uuid("uuid")?,
        id_prefix: query.prefix("uuid__startswith"),
        name: query.owned("name"),
        state: query.owned("state"),
        region: query.uri("region", uri::parse_region)?,
        node_type: query.uri("node_type", uri::parse_node_type)?,
    };
    let mut connection = app.pool.acquire().await?;
    let listed = cluster::list(&mut connection, caller.namespace(), &filter, query.page).await?;
    Ok(query.answer(&caller.asked, listed, |found| {
        NodeCluster::new(&caller.uris, found)
    }))
}
