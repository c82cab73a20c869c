//! `/api/berth/v1/key/`: the caller's own API keys.

use axum::{
    Json,
    extract::State,
    http::{StatusCode, Uri},
};
use chrono::{DateTime, Utc};
use domain::{
    action::ActionKind,
    cluster::Invalid,
    role::{Role, parse_role, validate_name},
};
use serde::Serialize;
use store::{action::ObjectType, key};
use utoipa::ToSchema;

use super::{Page, one, record};
use crate::{
    App,
    answer::{Acted, Names},
    auth::{self, Caller},
    body::{JsonBody, Members},
    docs,
    error::{ApiError, ErrorBody},
    list::{List, ListQuery},
    time,
};

const MOST_DAYS: i64 = 3650;

/// An API key. What it opens with is only shown when it is made.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ApiKey {
    /// When it was made.
    #[schema(example = "Tue, 16 Sep 2014 17:00:05 +0000")]
    created: String,
    /// From when on it is worth nothing; null where that is never.
    #[schema(required = true, example = json!(null))]
    expires: Option<String>,
    /// When it was used last, to the minute; null where it never was.
    #[schema(required = true, example = "Tue, 16 Sep 2014 17:01:15 +0000")]
    last_used: Option<String>,
    /// Its name among the keys of its user.
    #[schema(example = "laptop")]
    name: String,
    #[schema(schema_with = roles)]
    role: &'static str,
}

/// A new API key.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct NewApiKey {
    /// The key itself: 64 hexadecimal digits. They can't be read again: only their SHA-256 is kept.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    key: String,
    /// When it was made.
    #[schema(example = "Tue, 16 Sep 2014 17:00:05 +0000")]
    created: String,
    /// From when on it is worth nothing; null where that is never.
    #[schema(required = true, example = json!(null))]
    expires: Option<String>,
    /// Its name among the keys of its user.
    #[schema(example = "laptop")]
    name: String,
    #[schema(schema_with = roles)]
    role: &'static str,
}

pub(super) fn roles() -> utoipa::openapi::Object {
    let all = Role::ALL.iter().map(|role| role.as_str());
    docs::state(all, "What it allows at most.")
}

/// A wish for a new API key.
// Only there for the specification: `Wish::read` takes the members one by one.
#[derive(ToSchema)]
#[schema(as = ApiKeyWish, example = json!({"name": "laptop", "role": "read", "days": 90}))]
#[expect(dead_code, reason = "the schema is what it is for")]
pub(crate) struct KeyWish {
    /// Its name among the caller's keys; one is made up where nothing is said.
    #[schema(example = "laptop", pattern = "^[a-z0-9][a-z0-9_-]{0,62}$")]
    name: Option<String>,
    /// What it allows at most: that of the calling key where nothing is said.
    #[schema(schema_with = roles)]
    role: Option<String>,
    /// For how many days it is good, no longer than the calling key; for ever where nothing is said.
    #[schema(example = 90, minimum = 1, maximum = 3650)]
    days: Option<i64>,
}

struct Wish {
    name: Option<String>,
    role: Option<Role>,
    days: Option<u32>,
}

impl Wish {
    fn read(mut body: Members) -> Result<Self, Invalid> {
        let name = body.text("name")?;
        if let Some(name) = &name {
            validate_name("name", name)?;
        }
        let role = body.text("role")?;
        let days = body.integer("days")?.map(|days| {
            let known = (1..=MOST_DAYS)
                .contains(&days)
                .then(|| u32::try_from(days).ok());
            let out_of_range =
                || format!("{days} is out of range; it must be from 1 to {MOST_DAYS}");
            known
                .flatten()
                .ok_or_else(|| Invalid::new("days", out_of_range()))
        });
        Ok(Self {
            name,
            role: role.map(|role| parse_role("role", &role)).transpose()?,
            days: days.transpose()?,
        })
    }
}

impl ApiKey {
    fn new(key: key::Key) -> Self {
        Self {
            created: time::wire(key.created_at),
            expires: key.expires_at.map(time::wire),
            last_used: key.last_used_at.map(time::wire),
            name: key.name,
            role: key.role.as_str(),
        }
    }
}

/// List one's API keys
///
/// Oldest first, also those that have expired.
#[utoipa::path(
    get,
    path = "/api/berth/v1/key/",
    operation_id = "list_keys",
    tag = "People",
    params(Page),
    responses(
        (status = 200, description = "A page of the keys.", body = List<ApiKey>),
        (status = 400, description = "A parameter: there is none but those of a list's page.", body = ErrorBody),
    )
)]
pub(crate) async fn list(
    State(app): State<App>,
    caller: Caller,
    uri: Uri,
) -> Result<Json<List<ApiKey>>, ApiError> {
    let query = ListQuery::parse(&uri, &[])?;
    let mut connection = app.pool.acquire().await?;
    let keys = key::list(&mut connection, caller.user()).await?;
    Ok(query.answer(&caller.asked, query.cut(keys), ApiKey::new))
}

/// Create an API key
///
/// For the caller. It may do no more than the key that is called with.
#[utoipa::path(
    post,
    path = "/api/berth/v1/key/",
    operation_id = "create_key",
    tag = "People",
    request_body = Option<KeyWish>,
    responses(
        (
            status = 201, description = "The new key.", body = NewApiKey,
            headers(("X-DockerCloud-Action-URI" = String, description = "The URI of the action that records it."))
        ),
        (status = 400, description = "A member can't be taken.", body = ErrorBody),
        (status = 403, description = "The user has 100 keys, or the role does not allow it.", body = ErrorBody),
        (status = 409, description = "A key of the user has the name already.", body = ErrorBody),
        (status = 413, description = "The body is larger than 1 MiB.", body = ErrorBody),
    )
)]
pub(crate) async fn create(
    State(app): State<App>,
    caller: Caller,
    body: JsonBody,
) -> Result<Acted<NewApiKey>, ApiError> {
    let wish = Wish::read(body.members)?;
    let role = wish.role.unwrap_or(caller.key_role());
    caller.may(role)?;
    let secret = auth::new_key();
    let mut tx = app.pool.begin().await?;
    let new = key::New {
        name: wish.name.as_deref(),
        role,
        days: wish.days,
        sha256: &auth::key_digest(&secret),
    };
    let made = key::add(&mut tx, caller.user(), new).await?;
    check_end(made.expires_at, caller.key_expires_at())?;
    let what = (ActionKind::CreateKey, ObjectType::Key, made.id.0);
    let action = record(&mut tx, &caller, caller.own_namespace(), &body.text, what).await?;
    tx.commit().await?;

    tracing::info!(user = caller.name(), key = made.name, "an API key was made");
    Ok(Acted {
        status: StatusCode::CREATED,
        action,
        object: NewApiKey {
            key: secret,
            created: time::wire(made.created_at),
            expires: made.expires_at.map(time::wire),
            name: made.name,
            role: role.as_str(),
        },
    })
}

/// Nobody makes a key that outlives the one that they call with: whoever has stolen that would have the other for ever.
fn check_end(end: Option<DateTime<Utc>>, own: Option<DateTime<Utc>>) -> Result<(), Invalid> {
    let Some(own) = own else { return Ok(()) };
    if end.is_some_and(|end| end <= own) {
        return Ok(());
    }
    Err(Invalid::new(
        "days",
        format!(
            "the key would outlive the one that is called with, which ends at {}: give fewer days, or use a key without \
             an end",
            time::wire(own)
        ),
    ))
}

/// Revoke an API key
///
/// One of the caller's, but not the one that is called with. It is worth nothing from then on, and the streams that were
/// opened with it are closed within seconds.
#[utoipa::path(
    delete,
    path = "/api/berth/v1/key/{name}/",
    operation_id = "revoke_key",
    tag = "People",
    params(("name" = String, Path, pattern = "^[a-z0-9][a-z0-9_-]{0,62}$", description = "The key's name.")),
    responses(
        (
            status = 202, description = "The key as it was.", body = ApiKey,
            headers(("X-DockerCloud-Action-URI" = String, description = "The URI of the action that records it."))
        ),
        (status = 404, description = "The caller has no such key.", body = ErrorBody),
        (status = 409, description = "It is the key that is called with.", body = ErrorBody),
    )
)]
pub(crate) async fn revoke(
    State(app): State<App>,
    caller: Caller,
    Names(names): Names,
) -> Result<Acted<ApiKey>, ApiError> {
    let name = one(names)?;
    let mut tx = app.pool.begin().await?;
    let keys = key::list(&mut tx, caller.user()).await?;
    let found = keys.into_iter().find(|key| key.name == name);
    let found = found.ok_or_else(|| ApiError::no_such("API key", format!("{name:?}")))?;
    if found.id == caller.key() {
        return Err(ApiError::Conflict(format!(
            "{name:?} is the API key of this very request: revoke it with another one"
        )));
    }
    key::revoke(&mut tx, found.id).await?;
    let what = (ActionKind::RevokeKey, ObjectType::Key, found.id.0);
    let action = record(&mut tx, &caller, caller.own_namespace(), "", what).await?;
    tx.commit().await?;

    tracing::info!(user = caller.name(), key = name, "an API key was revoked");
    Ok(Acted {
        status: StatusCode::ACCEPTED,
        action,
        object: ApiKey::new(found),
    })
}
