//! `GET /api/infra/v1/node/{uuid}/events/`: what happens to one node, in words.

use axum::{
    extract::{State, ws::Utf8Bytes},
    http::Uri,
    response::Response,
};
use domain::ids::NodeId;
use store::event;
use utoipa::openapi::path::{Parameter, ParameterIn};

use crate::{
    App,
    answer::Id,
    auth::StreamCaller,
    error::{ApiError, ErrorBody},
    stream::{
        follow::{Follower, View},
        frame::{self, Change, LogFrame},
        query::{self, Parameters},
        socket::{self, Upgrade},
    },
};

/// The changes of one node.
struct OfNode(NodeId);

impl View for OfNode {
    fn frame(&self, change: &Change) -> Option<Utf8Bytes> {
        let event = &change.event;
        (event.object_id == self.0.0).then(|| {
            let line = format!("Node {} is {}", self.0, event.state);
            frame::node_line(&line, event.created_at)
        })
    }
}

/// The parameters of the stream.
pub(crate) struct Query;

impl utoipa::IntoParams for Query {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        query::parameters(&[])
    }
}

/// Stream a node's changes
///
/// A WebSocket: one text frame for each change of the node's state, from the moment of the connection on.
#[utoipa::path(
    get,
    path = "/api/infra/v1/node/{uuid}/events/",
    operation_id = "stream_node_events",
    tag = "Nodes",
    params(
        ("uuid" = Uuid, Path, description = "The node's id."),
        Query,
    ),
    responses(
        (status = 101, description = "The stream. The schema is that of each frame.", body = LogFrame),
        (status = 400, description = "A parameter can't be taken.", body = ErrorBody),
        (status = 404, description = "There is no such node in the namespace.", body = ErrorBody),
        (status = 426, description = "The request did not ask for a WebSocket.", body = ErrorBody, headers(("Upgrade" = String, description = "`websocket`"))),
    )
)]
pub(crate) async fn stream(
    State(app): State<App>,
    StreamCaller(caller): StreamCaller,
    Id(id): Id,
    upgrade: Upgrade,
    uri: Uri,
) -> Result<Response, ApiError> {
    Parameters::parse(&uri, &[])?;
    let mut connection = app.pool.acquire().await?;
    let node = super::read(&mut connection, &caller, id.into()).await?;
    let seen = event::last_seq(&mut connection).await?;
    drop(connection);
    let source = Follower::new(app.clone(), caller.namespace(), seen, OfNode(node.id));
    socket::open(upgrade, &app.streams, caller.pass(), source)
}
