//! `GET /api/audit/v1/events/`: every change of a cluster, node or action, as it happens.

use axum::{
    extract::{State, ws::Utf8Bytes},
    http::Uri,
    response::Response,
};
use domain::cluster::Invalid;
use store::event;
use utoipa::openapi::path::{Parameter, ParameterIn};

use crate::{
    App,
    auth::StreamCaller,
    error::{ApiError, ErrorBody},
    parameter::QueryParameter,
    stream::{
        filter::{self, Filter},
        follow::{Follower, View},
        frame::{Change, EventFrame},
        query::{self, Parameters},
        socket::{self, Upgrade},
    },
    uri::{self, Uris},
};

const PARAMETERS: &[QueryParameter] = &[
    QueryParameter::form(
        "type",
        filter::TYPES_FORM,
        "Only events of objects of these types, with commas: `stack`, `service`, `container`, `nodecluster`, `node`, \
         `action`, `error`. The first three and the last are known, but nothing happens of them.",
    ),
    QueryParameter::form(
        "object",
        filter::URIS_FORM,
        "Only events of the objects with these URIs, with commas.",
    ),
    QueryParameter::form(
        "parent",
        filter::URIS_FORM,
        "Only events of what belongs to the objects with these URIs, with commas.",
    ),
    QueryParameter::form("parents", filter::URIS_FORM, "The same as `parent`."),
    QueryParameter::uuid(
        "since",
        "The id of an event: what came after it comes first.",
    ),
];

/// The parameters of the stream.
pub(crate) struct Query;

impl utoipa::IntoParams for Query {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        query::parameters(PARAMETERS)
    }
}

/// The events that one client wants, in the form of its request.
struct Wanted {
    filter: Filter,
    uris: Uris,
    with_namespace: bool,
}

impl View for Wanted {
    fn frame(&self, change: &Change) -> Option<Utf8Bytes> {
        let wanted = self.filter.lets_pass(&change.event);
        wanted.then(|| change.text(&self.uris, self.with_namespace))
    }
}

/// Stream events
///
/// A WebSocket. Each change of a node cluster, a node or an action is one text frame, once, in the order in which the
/// changes were made, from the moment of the connection on, or from a known event on: a client that reconnects names
/// the last one that it has seen with `since`, and gets what it has missed first. Filters that are given together must
/// all agree.
///
/// A client that reads too slowly is closed with 1013, one whose replica stops with 1001. Pings are answered; a client
/// that leaves the server's own unanswered for a minute is dropped.
#[utoipa::path(
    get,
    path = "/api/audit/v1/events/",
    operation_id = "stream_events",
    tag = "Events",
    params(Query),
    responses(
        (status = 101, description = "The stream. The schema is that of each frame.", body = EventFrame),
        (status = 400, description = "A parameter can't be taken.", body = ErrorBody),
        (status = 404, description = "The namespace has no event of the id that `since` names.", body = ErrorBody),
        (status = 426, description = "The request did not ask for a WebSocket.", body = ErrorBody, headers(("Upgrade" = String, description = "`websocket`"))),
    )
)]
pub(crate) async fn stream(
    State(app): State<App>,
    StreamCaller(caller): StreamCaller,
    upgrade: Upgrade,
    uri: Uri,
) -> Result<Response, ApiError> {
    let parameters = Parameters::parse(&uri, PARAMETERS)?;
    let filter = Filter::parse(&parameters)?;
    let mut connection = app.pool.acquire().await?;
    let seen = match parameters.get("since") {
        Some(text) => {
            let id = uri::parse_uuid(text).ok_or_else(|| {
                Invalid::new(
                    "since",
                    format!("{text:?} is no id of an event, which is a uuid"),
                )
            })?;
            let seq = event::seq_of(&mut connection, caller.namespace(), id).await?;
            seq.ok_or_else(|| ApiError::no_such("event", id))?
        }
        None => event::last_seq(&mut connection).await?,
    };
    drop(connection);
    let wanted = Wanted {
        filter,
        with_namespace: caller.asked.namespace.is_some(),
        uris: caller.uris.clone(),
    };
    let source = Follower::new(app.clone(), caller.namespace(), seen, wanted);
    socket::open(upgrade, &app.streams, caller.pass(), source)
}
