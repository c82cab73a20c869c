//! `GET /api/agent/v1/node/{uuid}/`

use axum::{Json, extract::State};

use super::{auth::Agent, wire::AgentNode};
use crate::{
    App,
    error::{ApiError, ErrorBody},
};

/// Get one's own node
///
/// An agent is told here whether its node is `Deployed`.
#[utoipa::path(
    get,
    path = "/api/agent/v1/node/{uuid}/",
    operation_id = "get_own_node",
    tag = "Agents",
    params(("uuid" = Uuid, Path, description = "The node's id.")),
    responses(
        (status = 200, description = "The node.", body = AgentNode),
        (status = 404, description = "The token is of no such node.", body = ErrorBody),
    )
)]
pub(crate) async fn get(State(app): State<App>, agent: Agent) -> Result<Json<AgentNode>, ApiError> {
    let mut connection = app.pool.acquire().await?;
    Ok(Json(super::read(&mut connection, agent.node).await?))
}
