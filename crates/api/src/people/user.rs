//! `/api/berth/v1/user/`: the users, for those who manage the installation.

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
use store::{action::ObjectType, key, people};
use utoipa::ToSchema;

use super::{Page, one, record};
use crate::{
    App,
    answer::{Acted, Names},
    auth::{self, Caller},
    body::JsonBody,
    error::{ApiError, ErrorBody},
    list::{List, ListQuery},
    time,
};

/// A user.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct User {
    /// When the user was made.
    #[schema(example = "Tue, 16 Sep 2014 17:00:05 +0000")]
    created: String,
    /// Whether the user may manage the installation.
    is_operator: bool,
    /// The user's name, which is that of the namespace, too.
    #[schema(example = "anna")]
    name: String,
}

/// A new user.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct NewUser {
    /// The user's first API key: 64 hexadecimal digits, which can't be read again.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    key: String,
    /// The user's name, which is that of the namespace, too.
    #[schema(example = "anna")]
    name: String,
}

/// A wish for a new user.
// Only there for the specification: the handler takes the members one by one.
#[derive(ToSchema)]
#[schema(example = json!({"name": "anna"}))]
#[expect(dead_code, reason = "the schema is what it is for")]
pub(crate) struct UserWish {
    /// The name. Names of users and organizations are not used twice.
    #[schema(example = "anna", pattern = "^[a-z0-9][a-z0-9_-]{0,62}$")]
    name: String,
}

impl User {
    fn new(user: people::User) -> Self {
        Self {
            created: time::wire(user.created_at),
            is_operator: user.is_operator,
            name: user.name,
        }
    }
}

/// List the users
#[utoipa::path(
    get,
    path = "/api/berth/v1/user/",
    operation_id = "list_users",
    tag = "People",
    params(Page),
    responses(
        (status = 200, description = "A page of the users, by name.", body = List<User>),
        (status = 400, description = "A parameter: there is none but those of a list's page.", body = ErrorBody),
    )
)]
pub(crate) async fn list(
    State(app): State<App>,
    caller: Caller,
    uri: Uri,
) -> Result<Json<List<User>>, ApiError> {
    let query = ListQuery::parse(&uri, &[])?;
    let mut connection = app.pool.acquire().await?;
    let users = people::users(&mut connection).await?;
    Ok(query.answer(&caller.asked, query.cut(users), User::new))
}

/// Create a user
///
/// With a namespace of the same name and a first API key. Operators are made by `berth user add --operator` alone.
#[utoipa::path(
    post,
    path = "/api/berth/v1/user/",
    operation_id = "create_user",
    tag = "People",
    request_body = UserWish,
    responses(
        (
            status = 201, description = "The new user.", body = NewUser,
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
) -> Result<Acted<NewUser>, ApiError> {
    let name = body.members.text("name")?.unwrap_or_default();
    validate_name("name", &name)?;
    let secret = auth::new_key();
    let mut tx = app.pool.begin().await?;
    let user = people::add_user(&mut tx, &name, false).await?;
    let new = key::New {
        name: None,
        role: Role::Admin,
        days: None,
        sha256: &auth::key_digest(&secret),
    };
    key::add(&mut tx, user.id, new).await?;
    let what = (ActionKind::CreateUser, ObjectType::User, user.id.0);
    let action = record(&mut tx, &caller, user.namespace_id, &body.text, what).await?;
    tx.commit().await?;

    tracing::info!(user = name, by = caller.name(), "a user was made");
    Ok(Acted {
        status: StatusCode::CREATED,
        action,
        object: NewUser { key: secret, name },
    })
}

/// Remove a user
///
/// With all API keys and memberships. Nothing of the user's own namespace may be left. What was recorded stays, and the
/// name is not given to anybody else.
#[utoipa::path(
    delete,
    path = "/api/berth/v1/user/{user}/",
    operation_id = "remove_user",
    tag = "People",
    params(("user" = String, Path, pattern = "^[a-z0-9][a-z0-9_-]{0,62}$", description = "The user's name.")),
    responses(
        (
            status = 202, description = "The user as it was.", body = User,
            headers(("X-DockerCloud-Action-URI" = String, description = "The URI of the action that records it."))
        ),
        (
            status = 403, body = ErrorBody,
            description = "The user's namespace has something that lives, or the caller is no operator."
        ),
        (status = 404, description = "There is no such user.", body = ErrorBody),
        (status = 409, description = "It is the caller.", body = ErrorBody),
    )
)]
pub(crate) async fn remove(
    State(app): State<App>,
    caller: Caller,
    Names(names): Names,
) -> Result<Acted<User>, ApiError> {
    let name = one(names)?;
    let mut tx = app.pool.begin().await?;
    let user = super::user(&mut tx, &name).await?;
    if user.id == caller.user() {
        return Err(ApiError::Conflict(
            "that is you: another operator can remove you".to_owned(),
        ));
    }
    people::remove_user(&mut tx, &user).await?;
    let what = (ActionKind::RemoveUser, ObjectType::User, user.id.0);
    let action = record(&mut tx, &caller, user.namespace_id, "", what).await?;
    tx.commit().await?;

    tracing::info!(user = name, by = caller.name(), "a user was removed");
    Ok(Acted {
        status: StatusCode::ACCEPTED,
        action,
        object: User::new(user),
    })
}
