//! `GET /api/audit/v1/action/{uuid}/logs/`: what an action does, line by line, as it does it.

use std::{mem, sync::Arc};

use axum::{
    extract::{State, ws::Utf8Bytes},
    http::Uri,
    response::Response,
};
use domain::{
    ids::{ActionId, NamespaceId},
    state::ActionState,
};
use store::action::{self, Line};
use tokio::sync::broadcast::{Receiver, error::RecvError};
use utoipa::openapi::path::{Parameter, ParameterIn};

use crate::{
    App,
    answer::Id,
    auth::StreamCaller,
    error::{ApiError, ErrorBody},
    parameter::QueryParameter,
    stream::{
        frame::{self, Change, LogFrame},
        hub::LogNews,
        query::{self, Parameters},
        socket::{self, Next, Source, Upgrade},
    },
};

const PARAMETERS: &[QueryParameter] = &[
    QueryParameter::number(
        "tail",
        0,
        "How many of the lines that there are come first: 300 where nothing is said; more than 10000 is taken as 10000.",
    ),
    QueryParameter::flag(
        "follow",
        "Whether it goes on with the lines that are written later: true where nothing is said.",
    ),
];
/// How many lines come first when nothing is said.
const DEFAULT_TAIL: u32 = 300;
/// How many at most.
const MAX_TAIL: u32 = 10_000;

/// The parameters of the stream.
pub(crate) struct Query;

impl utoipa::IntoParams for Query {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        query::parameters(PARAMETERS)
    }
}

/// Stream an action's log
///
/// A WebSocket: the last lines of the log, one text frame each, and then those that are written from then on, until the
/// action has ended and all of them are sent. Then the socket is closed with 1000.
#[utoipa::path(
    get,
    path = "/api/audit/v1/action/{uuid}/logs/",
    operation_id = "stream_action_logs",
    tag = "Actions",
    params(
        ("uuid" = Uuid, Path, description = "The action's id."),
        Query,
    ),
    responses(
        (status = 101, description = "The stream. The schema is that of each frame.", body = LogFrame),
        (status = 400, description = "A parameter can't be taken.", body = ErrorBody),
        (status = 404, description = "There is no such action in the namespace.", body = ErrorBody),
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
    let parameters = Parameters::parse(&uri, PARAMETERS)?;
    let tail = parameters.number("tail", MAX_TAIL)?;
    let follow = parameters.flag("follow")?.unwrap_or(true);
    // Before the rows are read: what happens to them afterwards is heard of. The state before the lines: if it is an end,
    // they are all there.
    let (changes, news) = (app.streams.changes(), app.streams.logs());
    let mut connection = app.pool.acquire().await?;
    let found = super::reread(&mut connection, &caller, id).await?;
    let tail = tail.unwrap_or(DEFAULT_TAIL);
    // Also where none is wanted: the last line is the place from which it goes on.
    let mut lines = action::log_tail(&mut connection, found.id, tail.max(1)).await?;
    drop(connection);
    let last = lines.last().map_or(0, |line| line.id);
    lines.truncate(tail as usize);
    let source = Log {
        app: app.clone(),
        namespace: caller.namespace(),
        action: found.id,
        backlog: frames(&lines),
        last,
        follow,
        has_ended: found.state.is_over(),
        changes,
        news,
    };
    socket::open(upgrade, &app.streams, caller.pass(), source)
}

/// The log of one action, from its last lines on.
struct Log {
    app: App,
    namespace: NamespaceId,
    action: ActionId,
    /// What comes first.
    backlog: Vec<Utf8Bytes>,
    /// The line that was read last.
    last: i64,
    follow: bool,
    /// Whether the action has ended. Lines are read after this was learned, so those written before the end, and with
    /// it, are among them.
    has_ended: bool,
    changes: Receiver<Arc<Change>>,
    news: Receiver<LogNews>,
}

fn frames(lines: &[Line]) -> Vec<Utf8Bytes> {
    let frame = |line: &Line| frame::log_line(&line.line, line.created_at);
    lines.iter().map(frame).collect()
}

impl Source for Log {
    async fn next(&mut self) -> Next {
        if !self.backlog.is_empty() {
            return Next::Frames(mem::take(&mut self.backlog));
        }
        if !self.follow {
            return Next::End("these are the lines up to now");
        }
        loop {
            let has_ended = self.has_ended;
            let lines = self.grown().await;
            if let Some(last) = lines.last() {
                self.last = last.id;
                return Next::Frames(frames(&lines));
            }
            if has_ended {
                return Next::End("the action has ended");
            }
            self.wait().await;
        }
    }
}

impl Log {
    async fn grown(&self) -> Vec<Line> {
        let (action, last) = (self.action, self.last);
        self.app
            .streams
            .read(&self.app.pool, |mut connection| async move {
                action::log_after(&mut connection, action, last).await
            })
            .await
    }

    /// Waits until the log may have grown or the action has ended.
    async fn wait(&mut self) {
        loop {
            let is_certain = tokio::select! {
                news = self.news.recv() => match news {
                    Ok(LogNews::Grown(action)) if action == self.action => return,
                    Ok(LogNews::Grown(_)) => true,
                    Ok(LogNews::Any) | Err(RecvError::Lagged(_) | RecvError::Closed) => false,
                },
                change = self.changes.recv() => match change {
                    Ok(change) => {
                        if self.is_end(&change) {
                            self.has_ended = true;
                            return;
                        }
                        true
                    }
                    Err(RecvError::Lagged(_) | RecvError::Closed) => false,
                },
            };
            if !is_certain {
                // Something was missed: the row knows.
                return self.look().await;
            }
        }
    }

    fn is_end(&self, change: &Change) -> bool {
        let state: Result<ActionState, _> = change.event.state.parse();
        change.event.object_id == self.action.0 && state.is_ok_and(ActionState::is_over)
    }

    async fn look(&mut self) {
        let (action, namespace) = (self.action, self.namespace);
        let found = self
            .app
            .streams
            .read(&self.app.pool, |mut connection| async move {
                action::get(&mut connection, namespace, action.0).await
            })
            .await;
        self.has_ended = found.is_none_or(|found| found.state.is_over());
    }
}
