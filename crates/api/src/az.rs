//! Availability zones.

use axum::{Json, extract::State, http::Uri};
use domain::catalogue::{AWS, Zone};
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
    QueryParameter::text("name", "The availability zone's name."),
    QueryParameter::form("region", uri::REGION, "The URI of its region."),
];

/// An availability zone of a region.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AvailabilityZone {
    /// Whether new nodes can be deployed there: whether its state is `available` in the account that is linked to the
    /// namespace. Before that account was read, and without one, it is.
    available: bool,
    /// The name.
    #[schema(example = "us-east-1a")]
    name: String,
    /// The URI of its region.
    #[schema(example = "/api/infra/v1/region/aws/us-east-1/")]
    region: String,
    /// Its own URI.
    #[schema(example = "/api/infra/v1/az/aws/us-east-1/us-east-1a/")]
    resource_uri: String,
}

impl AvailabilityZone {
    fn new(region: &str, zone: &Zone) -> Self {
        Self {
            available: zone.is_available,
            name: zone.name.clone(),
            region: uri::region(region),
            resource_uri: uri::zone(region, &zone.name),
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

/// List the availability zones
///
/// Those that are packaged and those of the account that the namespace uses. Local and wavelength zones are none of them.
#[utoipa::path(
    get,
    path = "/api/infra/v1/az/",
    operation_id = "list_availability_zones",
    tag = "Availability zones",
    params(Filters),
    responses(
        (status = 200, description = "A page of the availability zones.", body = List<AvailabilityZone>),
        (status = 400, description = "A filter that there is not, or a malformed one.", body = ErrorBody),
    )
)]
pub(crate) async fn list(
    State(app): State<App>,
    caller: Caller,
    uri: Uri,
) -> Result<Json<List<AvailabilityZone>>, ApiError> {
    let query = ListQuery::parse(&uri, FILTERS)?;
    let name = query.text("name");
    let of_region = query.uri("region", uri::parse_region)?;
    let view = app.catalogue(&caller).await?;
    let found = view
        .regions()
        .iter()
        .filter(|region| of_region.as_ref().is_none_or(|name| region.name == *name))
        .flat_map(|region| view.zones_of(region).map(|zone| (&region.name, zone)))
        .filter(|(_, zone)| name.is_none_or(|name| zone.name == name))
        .collect();
    Ok(
        query.answer(&caller.asked, query.cut(found), |(region, zone)| {
            AvailabilityZone::new(region, zone)
        }),
    )
}

/// Get an availability zone
///
/// As the account has it that the namespace uses.
#[utoipa::path(
    get,
    path = "/api/infra/v1/az/{provider}/{region}/{name}/",
    operation_id = "get_availability_zone",
    tag = "Availability zones",
    params(
        ("provider" = String, Path, pattern = "^[a-z]+$", description = "The name of its provider.", example = "aws"),
        ("region" = String, Path, pattern = "^[a-z0-9-]+$", description = "The name of its region.", example = "us-east-1"),
        ("name" = String, Path, pattern = "^[a-z0-9-]+$", description = "The availability zone's name.", example = "us-east-1a"),
    ),
    responses(
        (status = 200, description = "The availability zone.", body = AvailabilityZone),
        (status = 404, description = "There is no such availability zone.", body = ErrorBody),
    )
)]
pub(crate) async fn get(
    State(app): State<App>,
    caller: Caller,
    Names(names): Names,
) -> Result<Json<AvailabilityZone>, ApiError> {
    let view = app.catalogue(&caller).await?;
    let found = match names.as_slice() {
        [provider, region, name] if provider == AWS => view
            .zone(name)
            .filter(|zone| view.region_of(zone).name == *region),
        _ => None,
    };
    found
        .map(|zone| Json(AvailabilityZone::new(&view.region_of(zone).name, zone)))
        .ok_or_else(|| ApiError::no_such("availability zone", names.join("/")))
}
