//! `POST /api/infra/v1/token/`: a token with which machines register themselves as nodes.

use axum::{extract::State, http::StatusCode};
use domain::{action::ActionKind, state::ActionState};
use serde::Serialize;
use store::{
    access,
    action::{self, ObjectType},
};
use utoipa::ToSchema;

use crate::{App, answer::Acted, auth::Caller, error::ApiError, install};

/// A registration token.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Token {
    /// 32 hexadecimal digits. They can't be read again: only their SHA-256 is kept.
    #[schema(
        example = "21268a001bcf40acb5c0884679d4fd1f",
        pattern = "^[0-9a-f]{32}$"
    )]
    token: String,
    /// What makes a machine a node of the namespace, entered there; absent where the operator has not said under which URL
    /// machines reach Berth.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(
        example = "curl -fsSL https://berth.example.com/agent/install.sh | sudo sh -s 21268a001bcf40acb5c0884679d4fd1f"
    )]
    command: Option<String>,
}

/// Create a registration token
///
/// With it, one machine of the user's own registers itself as a node of the namespace. A body is ignored.
#[utoipa::path(
    post,
    path = "/api/infra/v1/token/",
    operation_id = "create_token",
    tag = "Nodes",
    responses(
        (
            status = 201, description = "The new token.", body = Token,
            headers(("X-DockerCloud-Action-URI" = String, description = "The URI of the action that records it."))
        ),
    )
)]
pub(crate) async fn create(
    State(app): State<App>,
    caller: Caller,
) -> Result<Acted<Token>, ApiError> {
    let token = pki::fresh_token().map_err(|error| ApiError::Authority(error.into()))?;
    let mut tx = app.pool.begin().await?;
    let id =
        access::add_node_token(&mut tx, caller.namespace(), &pki::token_digest(&token)).await?;
    let new = action::New {
        kind: ActionKind::CreateToken,
        object_type: ObjectType::Token,
        object_id: id,
        target_num_nodes: None,
        state: ActionState::Success,
    };
    let action = action::insert(&mut tx, &caller.record(""), new).await?;
    tx.commit().await?;

    tracing::info!(%action, "a registration token was created");
    Ok(Acted {
        status: StatusCode::CREATED,
        action,
        object: Token {
            command: install::command(&app, &token),
            token,
        },
    })
}
