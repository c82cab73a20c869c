//! Regions.

use axum::{Json, extract::State, http::Uri};
use domain::catalogue::{AWS, Place, View};
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
    QueryParameter::text("name", "The region's name."),
    QueryParameter::form("provider", uri::PROVIDER, "The URI of its provider."),
];

/// A region of a provider.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Region {
    /// The URIs of its availability zones.
    #[schema(example = json!(["/api/infra/v1/az/aws/us-east-1/us-east-1a/"]))]
    availability_zones: Vec<String>,
    /// Whether new node clusters can be deployed there: whether some zone of it is available.
    available: bool,
    /// The name for people.
    #[schema(example = "US East (N. Virginia)")]
    label: String,
    /// The name.
    #[schema(example = "us-east-1")]
    name: String,
    /// The URIs of the node types that some zone of it offers.
    #[schema(example = json!(["/api/infra/v1/nodetype/aws/t3.micro/"]))]
    node_types: Vec<String>,
    /// The URI of its provider.
    #[schema(example = "/api/infra/v1/provider/aws/")]
    provider: String,
    /// Its own URI.
    #[schema(example = "/api/infra/v1/region/aws/us-east-1/")]
    resource_uri: String,
}

impl Region {
    fn new(view: &View, region: &Place) -> Self {
        Self {
            availability_zones: view
                .zones_of(region)
                .map(|zone| uri::zone(&region.name, &zone.name))
                .collect(),
            available: region.is_available,
            label: region.label.clone(),
            name: region.name.clone(),
            node_types: view
                .node_types()
                .iter()
                .filter(|node_type| view.is_offered(node_type, region))
                .map(|node_type| uri::node_type(&node_type.name))
                .collect(),
            provider: uri::provider(),
            resource_uri: uri::region(&region.name),
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

/// List the regions
///
/// Those that are packaged and those of the account that the namespace uses, which decides what is available once it was
/// read: see `catalogue` of the credentials.
#[utoipa::path(
    get,
    path = "/api/infra/v1/region/",
    operation_id = "list_regions",
    tag = "Regions",
    params(Filters),
    responses(
        (status = 200, description = "A page of the regions.", body = List<Region>),
        (status = 400, description = "A filter that there is not, or a malformed one.", body = ErrorBody),
    )
)]
pub(crate) async fn list(
    State(app): State<App>,
    caller: Caller,
    uri: Uri,
) -> Result<Json<List<Region>>, ApiError> {
    let query = ListQuery::parse(&uri, FILTERS)?;
    let name = query.text("name");
    let provider = query.uri("provider", uri::parse_provider)?;
    let view = app.catalogue(&caller).await?;
    let found = view
        .regions()
        .iter()
        .filter(|region| name.is_none_or(|name| region.name == name))
        .filter(|_| provider.as_ref().is_none_or(|provider| provider == AWS))
        .collect();
    Ok(query.answer(&caller.asked, query.cut(found), |region| {
        Region::new(&view, region)
    }))
}

/// Get a region
///
/// As the account has it that the namespace uses.
#[utoipa::path(
    get,
    path = "/api/infra/v1/region/{provider}/{name}/",
    operation_id = "get_region",
    tag = "Regions",
    params(
        ("provider" = String, Path, pattern = "^[a-z]+$", description = "The name of its provider.", example = "aws"),
        ("name" = String, Path, pattern = "^[a-z0-9-]+$", description = "The region's name.", example = "us-east-1"),
    ),
    responses(
        (status = 200, description = "The region.", body = Region),
        (status = 404, description = "There is no such region.", body = ErrorBody),
    )
)]
pub(crate) async fn get(
    State(app): State<App>,
    caller: Caller,
    Names(names): Names,
) -> Result<Json<Region>, ApiError> {
    let view = app.catalogue(&caller).await?;
    let found = match names.as_slice() {
        [provider, name] if provider == AWS => view.region(name),
        _ => None,
    };
    found
        .map(|region| Json(Region::new(&view, region)))
        .ok_or_else(|| ApiError::no_such("region", names.join("/")))
}
