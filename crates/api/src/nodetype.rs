//! Node types: EC2's instance types.

use axum::{Json, extract::State, http::Uri};
use domain::catalogue::{AWS, Offer, View};
use serde::Serialize;
use utoipa::{
    ToSchema,
    openapi::path::{Parameter, ParameterIn},
};

use crate::{
    App,
    answer::Names,
    auth::Caller,
    error::{ApiError, ErrorBody},
    list::{self, List, ListQuery},
    parameter::QueryParameter,
    uri,
};

const FILTERS: &[QueryParameter] = &[
    QueryParameter::text("name", "The node type's name."),
    QueryParameter::form(
        "regions",
        uri::REGION,
        "The URI of a region that offers it.",
    ),
    QueryParameter::form(
        "availability_zones",
        uri::ZONE,
        "The URI of an availability zone that offers it.",
    ),
];

/// A size of node.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct NodeType {
    /// The URIs of the availability zones that offer it.
    #[schema(example = json!(["/api/infra/v1/az/aws/us-east-1/us-east-1a/"]))]
    availability_zones: Vec<String>,
    /// Whether new nodes of it can be deployed: whether some zone that is available offers it.
    available: bool,
    /// The name for people.
    #[schema(example = "t3.micro [2 vCPU, 1 GB]")]
    label: String,
    /// The name.
    #[schema(example = "t3.micro")]
    name: String,
    /// The URI of its provider.
    #[schema(example = "/api/infra/v1/provider/aws/")]
    provider: String,
    /// The URIs of the regions of which some zone offers it.
    #[schema(example = json!(["/api/infra/v1/region/aws/us-east-1/"]))]
    regions: Vec<String>,
    /// Its own URI.
    #[schema(example = "/api/infra/v1/nodetype/aws/t3.micro/")]
    resource_uri: String,
}

impl NodeType {
    fn new(view: &View, node_type: &Offer) -> Self {
        Self {
            availability_zones: view
                .zones_offering(node_type)
                .map(|zone| uri::zone(&view.region_of(zone).name, &zone.name))
                .collect(),
            available: node_type.is_available,
            label: node_type.label.clone(),
            name: node_type.name.clone(),
            provider: uri::provider(),
            regions: view
                .regions_offering(node_type)
                .map(|region| uri::region(&region.name))
                .collect(),
            resource_uri: uri::node_type(&node_type.name),
        }
    }
}

/// The filters of the list.
pub(crate) struct Filters;

impl utoipa::IntoParams for Filters {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        list::parameters(FILTERS)
    }
}

/// List the node types
///
/// Those that are packaged and those that the account offers that the namespace uses, without whole machines.
#[utoipa::path(
    get,
    path = "/api/infra/v1/nodetype/",
    operation_id = "list_node_types",
    tag = "Node types",
    params(Filters),
    responses(
        (status = 200, description = "A page of the node types.", body = List<NodeType>),
        (status = 400, description = "A filter that there is not, or a malformed one.", body = ErrorBody),
    )
)]
pub(crate) async fn list(
    State(app): State<App>,
    caller: Caller,
    uri: Uri,
) -> Result<Json<List<NodeType>>, ApiError> {
    let query = ListQuery::parse(&uri, FILTERS)?;
    let name = query.text("name");
    let region = query.uri("regions", uri::parse_region)?;
    let zone = query.uri("availability_zones", uri::parse_zone)?;
    let view = app.catalogue(&caller).await?;
    let in_region = |node_type: &&Offer| match &region {
        None => true,
        Some(name) => {
            let region = view.region(name);
            region.is_some_and(|region| view.is_offered(node_type, region))
        }
    };
    let in_zone = |node_type: &&Offer| match &zone {
        None => true,
        Some(name) => {
            let mut zones = view.zones_offering(node_type);
            zones.any(|zone| zone.name == *name)
        }
    };
    let found = view
        .node_types()
        .iter()
        .filter(|node_type| name.is_none_or(|name| node_type.name == name))
        .filter(in_region)
        .filter(in_zone)
        .collect();
    Ok(query.answer(&caller.asked, query.cut(found), |node_type| {
        NodeType::new(&view, node_type)
    }))
}

/// Get a node type
///
/// As the account offers it that the namespace uses.
#[utoipa::path(
    get,
    path = "/api/infra/v1/nodetype/{provider}/{name}/",
    operation_id = "get_node_type",
    tag = "Node types",
    params(
        ("provider" = String, Path, pattern = "^[a-z]+$", description = "The name of its provider.", example = "aws"),
        ("name" = String, Path, pattern = "^[a-z0-9.-]+$", description = "The node type's name.", example = "t3.micro"),
    ),
    responses(
        (status = 200, description = "The node type.", body = NodeType),
        (status = 404, description = "There is no such node type.", body = ErrorBody),
    )
)]
pub(crate) async fn get(
    State(app): State<App>,
    caller: Caller,
    Names(names): Names,
) -> Result<Json<NodeType>, ApiError> {
    let view = app.catalogue(&caller).await?;
    let found = match names.as_slice() {
        [provider, name] if provider == AWS => view.node_type(name),
        _ => None,
    };
    found
        .map(|node_type| Json(NodeType::new(&view, node_type)))
        .ok_or_else(|| ApiError::no_such("node type", names.join("/")))
}
