//! `POST /api/agent/v1/node/`: a machine becomes a node.

use axum::{Json, extract::State, http::StatusCode};
use domain::host::validate_word;
use store::{
    host::{self, Token},
    quota,
};
use utoipa::ToSchema;

use super::{
    auth::{Presented, REMOVED, UNKNOWN, is_gone},
    launched::{self, INSTANCE_ID},
    wire::AgentNode,
};
use crate::{
    App, authority,
    body::JsonBody,
    error::{ApiError, ErrorBody},
};

/// What a machine says when it registers.
// Only there for the specification: the handler takes the members one by one.
#[derive(ToSchema)]
#[schema(example = json!({"agent_version": "1.1.0"}))]
#[expect(dead_code, reason = "the schema is what it is for")]
pub(crate) struct Registration {
    /// The agent's version.
    #[schema(max_length = 128)]
    agent_version: Option<String>,
    /// The EC2 instance that the machine is; needed with the token of a launch.
    #[schema(max_length = 128, example = json!(null))]
    instance_id: Option<String>,
}

/// Register a host
///
/// The machine becomes a node of the token's namespace, in state `Deploying`; the token is its credential from then on,
/// and is not taken from another machine. Until the node has announced its certificate, the same machine may send this
/// again: the answer may have been lost. With the token that Berth has given to the instances of a launch, the machine
/// becomes the node of the instance that it is, and is told a token of its own.
#[utoipa::path(
    post,
    path = "/api/agent/v1/node/",
    operation_id = "register_host",
    tag = "Agents",
    request_body = Option<Registration>,
    responses(
        (status = 201, description = "The node.", body = AgentNode),
        (status = 400, description = "A member can't be taken.", body = ErrorBody),
        (status = 403, description = "The namespace may have no more nodes.", body = ErrorBody),
        (status = 413, description = "The body is larger than 1 MiB.", body = ErrorBody),
        (
            status = 503, description = "The launch's instances are not known yet: try again shortly.", body = ErrorBody
        ),
    )
)]
pub(crate) async fn register(
    State(app): State<App>,
    presented: Presented,
    mut body: JsonBody,
) -> Result<(StatusCode, Json<AgentNode>), ApiError> {
    let agent_version = body.members.text("agent_version")?.unwrap_or_default();
    validate_word("agent_version", &agent_version)?;
    let instance_id = body.members.text(INSTANCE_ID)?.filter(|id| !id.is_empty());
    let mut tx = app.pool.begin().await?;
    let Some(token) = host::lock_token(&mut tx, &presented.sha256).await? else {
        let launch = host::launch_token(&mut tx, &presented.sha256)
            .await?
            .ok_or_else(|| {
                presented.is_wrong(&app);
                UNKNOWN
            })?;
        presented.is_right(&app);
        let (answer, news) = launched::register(
            &app,
            &mut tx,
            &launch,
            &presented,
            instance_id,
            &agent_version,
        )
        .await?;
        tx.commit().await?;
        super::tell(&app, news).await?;
        return Ok((StatusCode::CREATED, Json(answer)));
    };
    presented.is_right(&app);
    let node = match registered_before(&token, &presented)? {
        Some(node) => node,
        None => {
            authority::ensure(&app, &mut tx, token.namespace_id).await?;
            let had = quota::begin(&mut tx, token.namespace_id).await?;
            let node = host::register(&mut tx, &token, &presented.from, &agent_version).await?;
            quota::check(&mut tx, token.namespace_id, app.quota, had).await?;
            tracing::info!(%node, from = presented.from, "node {node} registered");
            node
        }
    };
    let answer = super::read(&mut tx, node).await?;
    tx.commit().await?;
    Ok((StatusCode::CREATED, Json(answer)))
}

/// The node that this machine has become with the token already, if the token was used.
fn registered_before(
    token: &Token,
    presented: &Presented,
) -> Result<Option<domain::ids::NodeId>, ApiError> {
    let Some(used) = &token.used else {
        return Ok(None);
    };
    if is_gone(used.state) {
        return Err(REMOVED);
    }
    if used.is_announced || used.from != presented.from {
        return Err(ApiError::UnknownAgent(
            "another machine has registered with the token, which is good for one; POST /api/infra/v1/token/ gives a \
             new one",
        ));
    }
    Ok(Some(used.node))
}
