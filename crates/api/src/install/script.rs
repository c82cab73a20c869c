//! `GET /agent/install.sh`: what makes a machine a node.

use axum::{
    extract::State,
    http::{HeaderMap, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
};

use super::{program::Architecture, url};
use crate::{App, error::ApiError};

/// The script, with names in the places of what is told by Berth.
const SCRIPT: &str = include_str!("install.sh");

/// Read the script that installs the agent
///
/// A machine becomes a node by `curl -fsSL …/agent/install.sh | sudo sh -s TOKEN`. The script installs Docker where there is
/// none, and the agent, whose SHA-256 it knows. Needs no credentials.
#[utoipa::path(
    get,
    path = "/agent/install.sh",
    operation_id = "read_install_script",
    tag = "Agents",
    responses((status = 200, description = "The script.", body = String, content_type = "text/x-shellscript"))
)]
pub(crate) async fn script(
    State(app): State<App>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let url = url(&app, &headers)?;
    let read = {
        let app = app.clone();
        tokio::task::spawn_blocking(move || {
            Architecture::ALL.map(|architecture| {
                let folder = app.agents.folder.as_deref();
                app.checksums
                    .of(folder, architecture)
                    .unwrap_or_else(|error| {
                        tracing::error!(%error, "the agent's program can't be read");
                        None
                    })
            })
        })
    };
    let [amd64, arm64] = read.await.unwrap_or_default();
    let script = SCRIPT
        .replace("@HOST@", url.as_str())
        .replace("@SHA256_AMD64@", &amd64.unwrap_or_default())
        .replace("@SHA256_ARM64@", &arm64.unwrap_or_default());
    Ok(([(CONTENT_TYPE, "text/x-shellscript")], script).into_response())
}
