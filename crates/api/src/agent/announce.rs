//! `PATCH /api/agent/v1/node/{uuid}/`: an agent has started, or has opened a tunnel.

use axum::{Json, extract::State};
use domain::{cluster::Invalid, host::validate_word};
use pki::Certificate;
use store::host::{self, Announcement};
use utoipa::ToSchema;

use super::{
    auth::{Agent, REMOVED, is_gone},
    wire::AgentNode,
};
use crate::{
    App,
    body::{JsonBody, Members},
    error::{ApiError, ErrorBody},
};

/// What an agent announces.
// Only there for the specification: `read` takes the members one by one.
#[derive(ToSchema)]
#[schema(example = json!({"agent_version": "1.1.0", "docker_version": "1.11.2-cs7"}))]
#[expect(dead_code, reason = "the schema is what it is for")]
pub(crate) struct AgentAnnouncement {
    /// The agent's version.
    #[schema(max_length = 128)]
    agent_version: Option<String>,
    /// The engine's version.
    #[schema(max_length = 128)]
    docker_version: Option<String>,
    /// The certificate (PEM) that the engine shows. It is the same for the whole life of the node.
    #[schema(example = json!(null))]
    public_cert: Option<String>,
    /// The address of the tunnel by which the engine can be reached.
    #[schema(max_length = 128, example = json!(null))]
    tunnel: Option<String>,
}

/// Announce one's own node
///
/// An agent announces the certificate of its engine each time that it starts, and the address of its tunnel. What it
/// leaves out stays; unknown members are ignored. The address from which a brought host calls is the node's from then
/// on. A certificate that is not the one that the node announced first is answered with 401: it is another machine's.
#[utoipa::path(
    patch,
    path = "/api/agent/v1/node/{uuid}/",
    operation_id = "announce_own_node",
    tag = "Agents",
    params(("uuid" = Uuid, Path, description = "The node's id.")),
    request_body = Option<AgentAnnouncement>,
    responses(
        (status = 200, description = "The node.", body = AgentNode),
        (status = 400, description = "A member can't be taken.", body = ErrorBody),
        (status = 404, description = "The token is of no such node.", body = ErrorBody),
        (status = 413, description = "The body is larger than 1 MiB.", body = ErrorBody),
    )
)]
pub(crate) async fn announce(
    State(app): State<App>,
    agent: Agent,
    body: JsonBody,
) -> Result<Json<AgentNode>, ApiError> {
    let announcement = read(body.members)?;
    let mut tx = app.pool.begin().await?;
    let host = host::lock(&mut tx, agent.node)
        .await?
        .filter(|host| !is_gone(host.state))
        .ok_or(REMOVED)?;
    if let (Some(pinned), Some(shown)) = (&host.public_cert, &announcement.public_cert)
        && Certificate::from_pem(pinned) != Certificate::from_pem(shown)
    {
        return Err(ApiError::UnknownAgent(
            "the node has announced another certificate, so this is another machine, or one that has lost its key; \
             remove the node, and register with a new token of POST /api/infra/v1/token/",
        ));
    }
    host::announce(&mut tx, agent.node, &announcement).await?;
    if host::take_address(&mut tx, agent.node, &agent.from).await? {
        tracing::info!(node = %agent.node, from = agent.from, "node {} has another address", agent.node);
    }
    let answer = super::read(&mut tx, agent.node).await?;
    tx.commit().await?;
    Ok(Json(answer))
}

fn read(mut body: Members) -> Result<Announcement, Invalid> {
    let mut word = |name: &str| {
        let word = body.text(name)?;
        if let Some(word) = &word {
            validate_word(name, word)?;
        }
        Ok::<_, Invalid>(word)
    };
    let agent_version = word("agent_version")?;
    let docker_version = word("docker_version")?;
    let tunnel = word("tunnel")?;
    let public_cert = body.text("public_cert")?;
    if let Some(pem) = &public_cert {
        Certificate::from_pem(pem)
            .map_err(|error| Invalid::new("public_cert", error.to_string()))?;
    }
    Ok(Announcement {
        agent_version,
        docker_version,
        public_cert,
        tunnel,
    })
}
