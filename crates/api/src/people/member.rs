//! `/api/berth/v1/<organization>/member/`: who belongs to an organization.

use axum::{
    Json,
    extract::State,
    http::{StatusCode, Uri},
};
use domain::{action::ActionKind, role::parse_role};
use serde::Serialize;
use store::{PgConnection, action::ObjectType, people};
use utoipa::ToSchema;

use super::{Page, one, record, user};
use crate::{
    App,
    answer::{Acted, Names},
    auth::Caller,
    body::JsonBody,
    error::{ApiError, ErrorBody},
    list::{List, ListQuery},
    people::key::roles,
};

/// A member of an organization.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Member {
    #[schema(schema_with = roles)]
    role: &'static str,
    /// The user's name.
    #[schema(example = "anna")]
    user: String,
}

/// A wish for a member.
// Only there for the specification: the handler takes the members one by one.
#[derive(ToSchema)]
#[schema(example = json!({"role": "read-write"}))]
#[expect(dead_code, reason = "the schema is what it is for")]
pub(crate) struct MemberWish {
    #[schema(schema_with = roles)]
    role: String,
}

/// List the members
///
/// Of the organization whose namespace stands in the path. A user's own namespace has none.
#[utoipa::path(
    get,
    path = "/api/berth/v1/member/",
    operation_id = "list_members",
    tag = "People",
    params(Page),
    responses(
        (status = 200, description = "A page of the members, by name.", body = List<Member>),
        (status = 400, description = "A parameter: there is none but those of a list's page.", body = ErrorBody),
    )
)]
pub(crate) async fn list(
    State(app): State<App>,
    caller: Caller,
    uri: Uri,
) -> Result<Json<List<Member>>, ApiError> {
    let query = ListQuery::parse(&uri, &[])?;
    let mut connection = app.pool.acquire().await?;
    let members = people::members(&mut connection, caller.namespace()).await?;
    Ok(
        query.answer(&caller.asked, query.cut(members), |member| Member {
            role: member.role.as_str(),
            user: member.user_name,
        }),
    )
}

/// Set a member's role
///
/// Takes the user in where the user is no member yet. An organization always has an admin.
#[utoipa::path(
    put,
    path = "/api/berth/v1/member/{user}/",
    operation_id = "set_member",
    tag = "People",
    params(("user" = String, Path, pattern = "^[a-z0-9][a-z0-9_-]{0,62}$", description = "The user's name.")),
    request_body = MemberWish,
    responses(
        (
            status = 202, description = "The member.", body = Member,
            headers(("X-DockerCloud-Action-URI" = String, description = "The URI of the action that records it."))
        ),
        (status = 400, description = "The role is missing or there is none such.", body = ErrorBody),
        (
            status = 403, body = ErrorBody,
            description = "The organization would have no admin any more, or the role does not allow it."
        ),
        (status = 404, description = "There is no such user, or the namespace is no organization's.", body = ErrorBody),
        (status = 413, description = "The body is larger than 1 MiB.", body = ErrorBody),
    )
)]
pub(crate) async fn set(
    State(app): State<App>,
    caller: Caller,
    Names(names): Names,
    mut body: JsonBody,
) -> Result<Acted<Member>, ApiError> {
    let name = one(names)?;
    let role = body.members.text("role")?.unwrap_or_default();
    let role = parse_role("role", &role)?;
    let mut tx = app.pool.begin().await?;
    lock(&mut tx, &caller).await?;
    let user = user(&mut tx, &name).await?;
    people::set_member(&mut tx, caller.namespace(), user.id, role).await?;
    let what = (ActionKind::SetMember, ObjectType::Member, user.id.0);
    let action = record(&mut tx, &caller, caller.namespace(), &body.text, what).await?;
    tx.commit().await?;

    tracing::info!(user = name, %role, by = caller.name(), "a member's role was set");
    Ok(Acted {
        status: StatusCode::ACCEPTED,
        action,
        object: Member {
            role: role.as_str(),
            user: name,
        },
    })
}

/// Remove a member
#[utoipa::path(
    delete,
    path = "/api/berth/v1/member/{user}/",
    operation_id = "remove_member",
    tag = "People",
    params(("user" = String, Path, pattern = "^[a-z0-9][a-z0-9_-]{0,62}$", description = "The user's name.")),
    responses(
        (
            status = 202, description = "The member as it was.", body = Member,
            headers(("X-DockerCloud-Action-URI" = String, description = "The URI of the action that records it."))
        ),
        (
            status = 403, body = ErrorBody,
            description = "The organization would have no admin any more, or the role does not allow it."
        ),
        (status = 404, description = "There is no such member, or the namespace is no organization's.", body = ErrorBody),
    )
)]
pub(crate) async fn remove(
    State(app): State<App>,
    caller: Caller,
    Names(names): Names,
) -> Result<Acted<Member>, ApiError> {
    let name = one(names)?;
    let mut tx = app.pool.begin().await?;
    lock(&mut tx, &caller).await?;
    let members = people::members(&mut tx, caller.namespace()).await?;
    let found = members.into_iter().find(|member| member.user_name == name);
    let found = found.ok_or_else(|| ApiError::no_such("member", format!("{name:?}")))?;
    people::remove_member(&mut tx, caller.namespace(), found.user_id).await?;
    let what = (
        ActionKind::RemoveMember,
        ObjectType::Member,
        found.user_id.0,
    );
    let action = record(&mut tx, &caller, caller.namespace(), "", what).await?;
    tx.commit().await?;

    tracing::info!(user = name, by = caller.name(), "a member was removed");
    Ok(Acted {
        status: StatusCode::ACCEPTED,
        action,
        object: Member {
            role: found.role.as_str(),
            user: name,
        },
    })
}

async fn lock(conn: &mut PgConnection, caller: &Caller) -> Result<(), ApiError> {
    match people::lock_organization(conn, caller.namespace()).await? {
        true => Ok(()),
        false => Err(ApiError::NotFound(
            "the namespace is a user's own, which has no members: put an organization's name into the path, as in \
             /api/berth/v1/<organization>/member/"
                .to_owned(),
        )),
    }
}
