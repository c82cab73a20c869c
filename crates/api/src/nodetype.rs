//! Node types: EC2's instance types.

use axum::{Json, extract::State, http::Uri};
use domain::catalogue::{self, AWS};
use serde::Serialize;
use utoipa::{
    ToSchema,
    openapi::path::{Parameter, ParameterIn},
};

use crate::{
    App,
    answer::Names,
    auth::Caller,
    catalogue::Catalogue,
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
    /// Whether new nodes of it can be deployed.
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
    fn new(catalogue: &Catalogue, node_type: &catalogue::NodeType) -> Self {
        Self {
            availability_zones: node_type
                .zones
                .iter()
                .filter_map(|zone| {
                    let region = catalogue.region_of_zone(zone)?;
                    Some(uri::zone(region, zone))
                })
                .collect(),
            available: true,
            label: node_type.label.clone(),
            name: node_type.name.clone(),
            provider: uri::provider(),
            regions: catalogue
                .regions_of(node_type)
                .into_iter()
                .map(uri::region)
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
    let catalogue = app.catalogue().await?;
    let found = catalogue
        .node_types
        .iter()
        .filter(|node_type| name.is_none_or(|name| node_type.name == name))
        .filter(|node_type| {
            region
                .as_deref()
                .is_none_or(|region| catalogue.regions_of(node_type).contains(region))
        })
        .filter(|node_type| {
            zone.as_ref()
                .is_none_or(|zone| node_type.zones.contains(zone))
        })
        .collect();
    Ok(query.answer(&caller.asked, query.cut(found), |node_type| {
        NodeType::new(&catalogue, node_type)
    }))
}

/// Get a node type
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
    _: Caller,
    Names(names): Names,
) -> Result<Json<NodeType>, ApiError> {
    let catalogue = app.catalogue().await?;
    let found = match names.as_slice() {
        [provider, name] if provider == AWS => catalogue.node_type(name),
        _ => None,
    };
    found
        .map(|node_type| Json(NodeType::new(&catalogue, node_type)))
        .ok_or_else(|| ApiError::no_such("node type", names.join("/")))
}
