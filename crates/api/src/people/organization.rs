//! `/api/berth/v1/org/`: the organizations that the caller is a member of.

use axum::{
    Json,
    extract::State,
    http::{StatusCode, Uri},
};
use domain::{
    action::ActionKind,
    role::{Role, validate_name},
};
use serde::Serialize;
use store::{action::ObjectType, people};
use utoipa::ToSchema;

use super::{Page, record};
use crate::{
    App,
    answer::Acted,
    auth::Caller,
    body::JsonBody,
    error::{ApiError, ErrorBody},
    list::{List, ListQuery},
    people::key::roles,
};

/// An organization, as one of its members sees it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Organization {
    /// Its name, which is that of the namespace, too.
    #[schema(example = "acme")]
    name: String,
    /// What the caller may do there.
    #[schema(schema_with = roles)]
    role: &'static str,
}

/// A wish for a new organization.
// Only there for the specification: the handler takes the members one by one.
#[derive(ToSchema)]
#[schema(example = json!({"name": "acme"}))]
#[expect(dead_code, reason = "the schema is what it is for")]
pub(crate) struct OrganizationWish {
    /// The name. Names of users and organizations are not used twice.
    #[schema(example = "acme", pattern = "^[a-z0-9][a-z0-9_-]{0,62}$")]
    name: String,
}

/// List one's organizations
#[utoipa::path(
    get,
    path = "/api/berth/v1/org/",
    operation_id = "list_organizations",
    tag = "People",
    params(Page),
    responses(
        (status = 200, description = "A page of the organizations, by name.", body = List<Organization>),
        (status = 400, description = "A parameter: there is none but those of a list's page.", body = ErrorBody),
    )
)]
pub(crate) async fn list(
    State(app): State<App>,
    caller: Caller,
    uri: Uri,
) -> Result<Json<List<Organization>>, ApiError> {
    let query = ListQuery::parse(&uri, &[])?;
    let mut connection = app.pool.acquire().await?;
    let found = people::organizations(&mut connection, Some(caller.user())).await?;
    Ok(
        query.answer(&caller.asked, query.cut(found), |found| Organization {
            name: found.name,
            role: found.role.unwrap_or(Role::Read).as_str(),
        }),
    )
}

/// Create an organization
///
/// The caller, who must manage the installation, is its first admin.
#[utoipa::path(
    post,
    path = "/api/berth/v1/org/",
    operation_id = "create_organization",
    tag = "People",
    request_body = OrganizationWish,
    responses(
        (
            status = 201, description = "The new organization.", body = Organization,
            headers(("X-DockerCloud-Action-URI" = String, description = "The URI of the action that records it."))
        ),
        (status = 400, description = "The name is missing or can't be taken.", body = ErrorBody),
        (status = 409, description = "The name is or was somebody's.", body = ErrorBody),
        (status = 413, description = "The body is larger than 1 MiB.", body = ErrorBody),
    )
)]
pub(crate) async fn create(
    State(app): State<App>,
    caller: Caller,
    mut body: JsonBody,
) -> Result<Acted<Organization>, ApiError> {
    let name = body.members.text("name")?.unwrap_or_default();
    validate_name("name", &name)?;
    let mut tx = app.pool.begin().await?;
    let id = people::add_organization(&mut tx, &name, caller.user()).await?;
    let what = (
        ActionKind::CreateOrganization,
        ObjectType::Organization,
        id.0,
    );
    let action = record(&mut tx, &caller, id, &body.text, what).await?;
    tx.commit().await?;

    tracing::info!(
        organization = name,
        by = caller.name(),
        "an organization was made"
    );
    Ok(Acted {
        status: StatusCode::CREATED,
        action,
        object: Organization {
            name,
            role: Role::Admin.as_str(),
        },
    })
}
