//! `GET /api/infra/v1/tag/`

use axum::{Json, extract::State, http::Uri};
use domain::cluster::Invalid;
use serde::Serialize;
use store::tag;
use utoipa::{
    ToSchema,
    openapi::path::{Parameter, ParameterIn},
};

use crate::{
    App,
    auth::Caller,
    error::{ApiError, ErrorBody},
    list::{self, List, ListQuery},
    parameter::QueryParameter,
};

const FILTERS: &[QueryParameter] = &[
    QueryParameter::text("name", "The tag itself."),
    QueryParameter::choice("origin", &[USER, SYSTEM], "Where it comes from."),
];

/// A tag that a user gave.
const USER: &str = "user";
/// A tag that an object got by itself; the name is older than Docker Cloud's.
const SYSTEM: &str = "tutum";

/// A tag that some node cluster or node bears.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UsedTag {
    /// The tag itself.
    #[schema(example = "us-east-1")]
    name: String,
    /// `user`, or `tutum` for one that an object got by itself.
    #[schema(example = "tutum")]
    origin: &'static str,
}

/// The filters of the list.
pub(crate) struct Filters;

impl utoipa::IntoParams for Filters {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        list::parameters(FILTERS)
    }
}

/// List the tags
///
/// By name: those of the node clusters and nodes that are not terminated, each once for each origin.
#[utoipa::path(
    get,
    path = "/api/infra/v1/tag/",
    operation_id = "list_tags",
    tag = "Tags",
    params(Filters),
    responses(
        (status = 200, description = "A page of the tags.", body = List<UsedTag>),
        (status = 400, description = "A filter that there is not, or a malformed one.", body = ErrorBody),
    )
)]
pub(crate) async fn list(
    State(app): State<App>,
    caller: Caller,
    uri: Uri,
) -> Result<Json<List<UsedTag>>, ApiError> {
    let query = ListQuery::parse(&uri, FILTERS)?;
    let is_automatic = match query.text("origin") {
        Some(USER) => Some(false),
        Some(SYSTEM) => Some(true),
        Some(other) => {
            let reason = format!("{other:?} is no origin of a tag; it is {USER} or {SYSTEM}");
            return Err(Invalid::new("origin", reason).into());
        }
        None => None,
    };
    let filter = tag::Filter {
        name: query.owned("name"),
        is_automatic,
    };
    let mut connection = app.pool.acquire().await?;
    let listed = tag::list(&mut connection, caller.namespace(), &filter, query.page).await?;
    Ok(query.answer(&caller.asked, listed, |tag| UsedTag {
        name: tag.name,
        origin: if tag.is_automatic { SYSTEM } else { USER },
    }))
}
