//! `PATCH /api/infra/v1/node/{uuid}/`: other tags, another nickname.

use axum::{extract::State, http::StatusCode};
use domain::{action::ActionKind, cluster::validate_nickname, ids::NodeId, state::ActionState};
use store::{
    action::{self, ObjectType},
    node,
};
use utoipa::ToSchema;

use crate::{
    App,
    answer::{Acted, Id},
    auth::Caller,
    body::JsonBody,
    error::{ApiError, ErrorBody},
    node::wire::Node,
    tag::{self, NewTag},
};

/// What to change of a node; what is left out stays.
// Only there for the specification: the handler takes the members one by one.
#[derive(ToSchema)]
#[schema(example = json!({"tags": [{"name": "web"}]}))]
#[expect(dead_code, reason = "the schema is what it is for")]
pub(crate) struct NodeChange {
    /// The user's own tags: they replace those that there were.
    tags: Option<Vec<NewTag>>,
    /// The name for people; an empty one stands for the external name.
    #[schema(
        example = "First node",
        max_length = 128,
        pattern = r"^[^\u0000-\u001f\u007f-\u009f]*$"
    )]
    nickname: Option<String>,
}

/// Change a node
///
/// Allowed in every state but `Terminating` and `Terminated`.
/// Members that are unknown or can't be changed are ignored. Either all of the change is made or none.
#[utoipa::path(
    patch,
    path = "/api/infra/v1/node/{uuid}/",
    operation_id = "update_node",
    tag = "Nodes",
    params(("uuid" = Uuid, Path, description = "The node's id.")),
    request_body = Option<NodeChange>,
    responses(
        (
            status = 202, description = "The node as it is from now on.", body = Node,
            headers(("X-DockerCloud-Action-URI" = String, description = "The URI of the action that records it."))
        ),
        (status = 400, description = "A member can't be taken, or the node's state forbids it.", body = ErrorBody),
        (status = 404, description = "There is no such node in the namespace.", body = ErrorBody),
        (status = 413, description = "The body is larger than 1 MiB.", body = ErrorBody),
    )
)]
pub(crate) async fn update(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id,
    mut body: JsonBody,
) -> Result<Acted<Node>, ApiError> {
    let id = NodeId(id);
    let mut tx = app.pool.begin().await?;
    let before = super::lock(&mut tx, &caller, id).await?;
    let tags = tag::read(&mut body.members, &before.automatic_tags)?;
    let nickname = body.members.text("nickname")?;
    if let Some(nickname) = &nickname {
        validate_nickname(nickname)?;
    }
    before.state.check_change()?;
    let action = action::insert(
        &mut tx,
        &caller.record(&body.text),
        action::New {
            kind: ActionKind::UpdateNode,
            object_type: ObjectType::Node,
            object_id: id.0,
            target_num_nodes: None,
            state: ActionState::Success,
        },
    )
    .await?;
    if let Some(tags) = &tags {
        node::set_tags(&mut tx, id, tags).await?;
    }
    if let Some(nickname) = &nickname {
        node::set_nickname(&mut tx, id, nickname).await?;
    }
    let after = super::read(&mut tx, &caller, id).await?;
    tx.commit().await?;

    tracing::info!(node = %id, %action, "node {id} was changed");
    Ok(Acted {
        status: StatusCode::ACCEPTED,
        action,
        object: Node::new(&caller.uris, after),
    })
}
