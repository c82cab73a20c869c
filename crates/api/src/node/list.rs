//! `GET /api/infra/v1/node/`

use axum::{Json, extract::State, http::Uri};
use store::node;
use utoipa::openapi::path::{Parameter, ParameterIn};

use crate::{
    App,
    auth::Caller,
    error::{ApiError, ErrorBody},
    list::{self, List, ListQuery},
    node::wire::Node,
    parameter::QueryParameter,
    uri,
};

const FILTERS: &[QueryParameter] = &[
    QueryParameter::uuid("uuid", "The node's id."),
    QueryParameter::text("uuid__startswith", "What its id begins with."),
    QueryParameter::text("state", "Its state, for example `Deployed`."),
    QueryParameter::form("node_cluster", uri::CLUSTER, "The URI of its node cluster."),
    QueryParameter::form("node_type", uri::NODE_TYPE, "The URI of its type."),
    QueryParameter::form("region", uri::REGION, "The URI of its region."),
    QueryParameter::text(
        "docker_version",
        "The version of its Docker engine, for example `1.11.2-cs7`.",
    ),
];

/// The filters of the list.
pub(crate) struct Filters;

impl utoipa::IntoParams for Filters {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        list::parameters(FILTERS)
    }
}

/// List the nodes
///
/// Oldest first: those that live, and those terminated within the last hour.
#[utoipa::path(
    get,
    path = "/api/infra/v1/node/",
    operation_id = "list_nodes",
    tag = "Nodes",
    params(Filters),
    responses(
        (status = 200, description = "A page of the nodes.", body = List<Node>),
        (status = 400, description = "A filter that there is not, or a malformed one.", body = ErrorBody),
    )
)]
pub(crate) async fn list(
    State(app): State<App>,
    caller: Caller,
    uri: Uri,
) -> Result<Json<List<Node>>, ApiError> {
    let query = ListQuery::parse(&uri, FILTERS)?;
    let filter = node::Filter {
        id: query.uuid("uuid")?,
        id_prefix: query.prefix("uuid__startswith"),
        state: query.owned("state"),
        cluster_id: query.uri("node_cluster", uri::parse_cluster)?,
        node_type: query.uri("node_type", uri::parse_node_type)?,
        region: query.uri("region", uri::parse_region)?,
        docker_version: query.owned("docker_version"),
    };
    let mut connection = app.pool.acquire().await?;
    let listed = node::list(&mut connection, caller.namespace(), &filter, query.page).await?;
    Ok(query.answer(&caller.asked, listed, |found| {
        Node::new(&caller.uris, found)
    }))
}
