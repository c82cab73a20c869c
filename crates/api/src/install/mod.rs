//! The agent's program and its installation: served by Berth itself, so that a machine needs nobody else to become a node.
//!
//! Whoever asks needs no credentials, since a machine has none before it has the agent; nothing secret is in either.

use axum::http::{HeaderMap, header::HOST};
use domain::{cluster::Invalid, user_data::PublicUrl};

use crate::{App, error::ApiError};

pub(crate) mod program;
pub(crate) mod script;

/// What makes a machine a node with this token, where the operator has said under which URL machines reach Berth.
pub(crate) fn command(app: &App, token: &str) -> Option<String> {
    let url = app.agents.public_url.as_ref()?.as_str();
    Some(format!(
        "curl -fsSL {url}/agent/install.sh | sudo sh -s {token}"
    ))
}

/// Under which URL the machine that asks reaches Berth: the operator's, else the one that it has asked.
fn url(app: &App, headers: &HeaderMap) -> Result<PublicUrl, ApiError> {
    if let Some(url) = &app.agents.public_url {
        return Ok(url.clone());
    }
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let host = host.ok_or_else(|| Invalid::new("Host", "is required"))?;
    Ok(PublicUrl::new("Host", &format!("http://{host}"))?)
}
