//! `/api/berth/v1/quota/`: how much a namespace has, and may have.

use axum::{Json, extract::State, http::StatusCode};
use domain::{action::ActionKind, cluster::Invalid, quota::Limits};
use serde::Serialize;
use store::{action::ObjectType, quota};
use utoipa::ToSchema;

use super::{one, record};
use crate::{
    App,
    answer::{Acted, Names},
    auth::Caller,
    body::{JsonBody, Members},
    error::{ApiError, ErrorBody},
};

const MOST: i64 = 1_000_000;

/// How much a namespace has, and may have.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Quota {
    /// How many node clusters there are that are not terminated.
    #[schema(example = 2)]
    clusters: u32,
    /// How many there may be; null where there is no limit.
    #[schema(required = true, example = 10)]
    max_clusters: Option<u32>,
    /// How many nodes there may be; null where there is no limit.
    #[schema(required = true, example = 100)]
    max_nodes: Option<u32>,
    /// How many nodes there are or are wanted.
    #[schema(example = 6)]
    nodes: u32,
}

/// New limits.
// Only there for the specification: the handler takes the members one by one.
#[derive(ToSchema)]
#[schema(example = json!({"max_clusters": 10, "max_nodes": 100}))]
#[expect(dead_code, reason = "the schema is what it is for")]
pub(crate) struct QuotaWish {
    /// How many node clusters there may be; as many as the installation's default where nothing is said.
    #[schema(example = 10, minimum = 0, maximum = 1_000_000)]
    max_clusters: Option<i64>,
    /// How many nodes there may be; as many as the installation's default where nothing is said.
    #[schema(example = 100, minimum = 0, maximum = 1_000_000)]
    max_nodes: Option<i64>,
}

/// Get the quota
///
/// Of the namespace: the caller's own, or that in the path.
#[utoipa::path(
    get,
    path = "/api/berth/v1/quota/",
    operation_id = "get_quota",
    tag = "People",
    responses((status = 200, description = "The quota.", body = Quota))
)]
pub(crate) async fn get(State(app): State<App>, caller: Caller) -> Result<Json<Quota>, ApiError> {
    let mut connection = app.pool.acquire().await?;
    let limits = quota::own(&mut connection, caller.namespace())
        .await?
        .or(app.quota);
    let used = quota::used(&mut connection, caller.namespace()).await?;
    Ok(Json(Quota {
        clusters: used.clusters,
        max_clusters: limits.clusters,
        max_nodes: limits.nodes,
        nodes: used.nodes,
    }))
}

/// Set a quota
///
/// Of a namespace, by those who manage the installation. What there is more than that stays.
#[utoipa::path(
    put,
    path = "/api/berth/v1/quota/{namespace}/",
    operation_id = "set_quota",
    tag = "People",
    params(("namespace" = String, Path, pattern = "^[a-z0-9][a-z0-9_-]{0,62}$", description = "The namespace's name.")),
    request_body = Option<QuotaWish>,
    responses(
        (
            status = 202, description = "The quota.", body = Quota,
            headers(("X-DockerCloud-Action-URI" = String, description = "The URI of the action that records it."))
        ),
        (status = 400, description = "A member can't be taken.", body = ErrorBody),
        (status = 404, description = "There is no such namespace.", body = ErrorBody),
        (status = 413, description = "The body is larger than 1 MiB.", body = ErrorBody),
    )
)]
pub(crate) async fn set(
    State(app): State<App>,
    caller: Caller,
    Names(names): Names,
    mut body: JsonBody,
) -> Result<Acted<Quota>, ApiError> {
    let name = one(names)?;
    let own = Limits {
        clusters: limit(&mut body.members, "max_clusters")?,
        nodes: limit(&mut body.members, "max_nodes")?,
    };
    let mut tx = app.pool.begin().await?;
    let namespace = quota::namespace(&mut tx, &name).await?;
    let namespace = namespace.ok_or_else(|| ApiError::no_such("namespace", format!("{name:?}")))?;
    quota::set(&mut tx, namespace, own).await?;
    let used = quota::used(&mut tx, namespace).await?;
    let what = (ActionKind::SetQuota, ObjectType::Quota, namespace.0);
    let action = record(&mut tx, &caller, namespace, &body.text, what).await?;
    tx.commit().await?;

    tracing::info!(
        namespace = name,
        ?own,
        by = caller.name(),
        "a quota was set"
    );
    let limits = own.or(app.quota);
    Ok(Acted {
        status: StatusCode::ACCEPTED,
        action,
        object: Quota {
            clusters: used.clusters,
            max_clusters: limits.clusters,
            max_nodes: limits.nodes,
            nodes: used.nodes,
        },
    })
}

fn limit(body: &mut Members, name: &str) -> Result<Option<u32>, Invalid> {
    let Some(given) = body.integer(name)? else {
        return Ok(None);
    };
    let known = (0..=MOST)
        .contains(&given)
        .then(|| u32::try_from(given).ok());
    let out_of_range = || format!("{given} is out of range; it must be from 0 to {MOST}");
    known
        .flatten()
        .map(Some)
        .ok_or_else(|| Invalid::new(name, out_of_range()))
}
