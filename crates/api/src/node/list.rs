//! `GET /api/infra/v1/node/`

use axum::{Json, extract::State, http::Uri};
use store::node;
use utoipa::openapi::path::{Parameter, ParameterIn};

use crate::{
    App,
    auth::Caller,
    error::{ApiError, ErrorBody},
    list::{self, Filter, List, ListQuery},
    node::wire::Node,
    uri,
};

const FILTERS: &[Filter] = &[
    Filter::uuid("uuid", "The node's id."),
    Filter::text("uuid__startswith", "What its id begins with."),
    Filter::text("state", "Its state, for example `Deployed`."),
    Filter::text("node_cluster", "The URI of its node cluster."),
    Filter::text("node_type", "The URI of its type."),
    Filter::text("region", "The URI of its region."),
    Filter::text(
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
