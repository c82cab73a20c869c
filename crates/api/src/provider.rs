//! Providers: there is one, AWS.

pub(crate) mod credentials;
pub(crate) mod options;

use axum::{Json, extract::State, http::Uri};
use domain::catalogue::{AWS, AWS_LABEL, View};
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

const FILTERS: &[QueryParameter] = &[QueryParameter::text("name", "The provider's name.")];

/// Where nodes can be deployed.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Provider {
    /// Whether new node clusters can be deployed there: whether some region is available.
    available: bool,
    /// The name for people.
    #[schema(example = "Amazon Web Services")]
    label: String,
    /// The name.
    #[schema(example = "aws")]
    name: String,
    /// The URIs of its regions.
    #[schema(example = json!(["/api/infra/v1/region/aws/us-east-1/"]))]
    regions: Vec<String>,
    /// Its own URI.
    #[schema(example = "/api/infra/v1/provider/aws/")]
    resource_uri: String,
}

impl Provider {
    fn aws(view: &View) -> Self {
        Self {
            available: view.regions().iter().any(|region| region.is_available),
            label: AWS_LABEL.to_owned(),
            name: AWS.to_owned(),
            regions: view
                .regions()
                .iter()
                .map(|region| uri::region(&region.name))
                .collect(),
            resource_uri: uri::provider(),
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

/// List the providers
#[utoipa::path(
    get,
    path = "/api/infra/v1/provider/",
    operation_id = "list_providers",
    tag = "Providers",
    params(Filters),
    responses(
        (status = 200, description = "A page of the providers.", body = List<Provider>),
        (status = 400, description = "A filter that there is not, or a malformed one.", body = ErrorBody),
    )
)]
pub(crate) async fn list(
    State(app): State<App>,
    caller: Caller,
    uri: Uri,
) -> Result<Json<List<Provider>>, ApiError> {
    let query = ListQuery::parse(&uri, FILTERS)?;
    let view = app.catalogue(&caller).await?;
    let found = match query.text("name") {
        Some(name) if name != AWS => vec![],
        _ => vec![Provider::aws(&view)],
    };
    Ok(query.answer(&caller.asked, query.cut(found), |provider| provider))
}

/// Get a provider
#[utoipa::path(
    get,
    path = "/api/infra/v1/provider/{name}/",
    operation_id = "get_provider",
    tag = "Providers",
    params(("name" = String, Path, pattern = "^[a-z]+$", description = "The provider's name.", example = "aws")),
    responses(
        (status = 200, description = "The provider.", body = Provider),
        (status = 404, description = "There is no such provider.", body = ErrorBody),
    )
)]
pub(crate) async fn get(
    State(app): State<App>,
    caller: Caller,
    Names(names): Names,
) -> Result<Json<Provider>, ApiError> {
    if names != [AWS] {
        return Err(ApiError::no_such("provider", names.join("/")));
    }
    Ok(Json(Provider::aws(&*app.catalogue(&caller).await?)))
}
