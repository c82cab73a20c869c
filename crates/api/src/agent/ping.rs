//! `POST /api/agent/v1/node/{uuid}/ping/`: whether the engine of the host can be reached from here.

use axum::{Json, extract::State};
use pki::Certificate;
use serde::Serialize;
use store::host::{self, Host};
use utoipa::ToSchema;

use super::auth::Agent;
use crate::{
    App, authority,
    error::{ApiError, ErrorBody},
};

/// Whether the engine can be reached.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Reachability {
    /// Whether it answered at the node's address.
    #[schema(example = true)]
    reachable: bool,
}

/// Ask whether one's own engine can be reached
///
/// The engine is asked at once, at the address from which the host calls, on the ports 2376 and 2375: it must show the
/// certificate that was announced. Where it answers the node becomes `Deployed`. A body is ignored.
#[utoipa::path(
    post,
    path = "/api/agent/v1/node/{uuid}/ping/",
    operation_id = "ping_own_node",
    tag = "Agents",
    params(("uuid" = Uuid, Path, description = "The node's id.")),
    responses(
        (status = 200, description = "Whether it answered.", body = Reachability),
        (status = 404, description = "The token is of no such node.", body = ErrorBody),
    )
)]
pub(crate) async fn ping(
    State(app): State<App>,
    agent: Agent,
) -> Result<Json<Reachability>, ApiError> {
    let mut tx = app.pool.begin().await?;
    host::take_address(&mut tx, agent.node, &agent.from).await?;
    let host = host::get(&mut tx, agent.node).await?;
    let asked = host.as_ref().and_then(whom_to_ask);
    let identity = match &host {
        Some(host) => Some(authority::for_a_probe(&app, &mut tx, host.namespace_id).await?),
        None => None,
    };
    tx.commit().await?;
    let (Some((address, certificate)), Some(identity)) = (asked, identity) else {
        tracing::info!(node = %agent.node, "node {} has announced no certificate to ask for", agent.node);
        return Ok(Json(Reachability { reachable: false }));
    };
    let patience = app.hosts.probe_patience;
    let answered = engine::reach(&app.engines, address, &certificate, &identity, patience).await;
    if let Err(why) = &answered {
        tracing::info!(node = %agent.node, %why, "the engine of node {} can't be reached", agent.node);
    }
    let reachable = answered.is_ok();
    let mut tx = app.pool.begin().await?;
    host::record_probe(&mut tx, agent.node, &address.to_string(), reachable).await?;
    let changed = host::settle(&mut tx, agent.node, app.hosts.limits).await?;
    tx.commit().await?;
    super::tell(&app, changed.and_then(|changed| changed.news)).await?;
    Ok(Json(Reachability { reachable }))
}

fn whom_to_ask(host: &Host) -> Option<(std::net::IpAddr, Certificate)> {
    let address = host.engine_address.as_deref()?.parse().ok()?;
    let certificate = Certificate::from_pem(host.public_cert.as_deref()?).ok()?;
    Some((address, certificate))
}
