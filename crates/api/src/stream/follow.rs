//! The event log as one socket sees it: what it has missed from the rows, then what happens from the hub.

use std::sync::Arc;

use axum::extract::ws::Utf8Bytes;
use domain::ids::NamespaceId;
use tokio::sync::broadcast::{
    Receiver,
    error::{RecvError, TryRecvError},
};

use crate::{
    App,
    stream::{
        frame::Change,
        hub::PAGE,
        socket::{Next, Source},
    },
};

/// How many frames are handed over at once when there are many.
const BATCH: usize = 64;

/// What a client sees of the log.
pub(crate) trait View: Send + 'static {
    /// The frame of a change; none where the client does not want to know of it.
    fn frame(&self, change: &Change) -> Option<Utf8Bytes>;
}

/// Follows the log of one namespace from a place on.
pub(crate) struct Follower<V> {
    app: App,
    namespace: NamespaceId,
    /// The last place that was shown to the view.
    seen: i64,
    /// What the hub publishes; none while the rows are read.
    live: Option<Receiver<Arc<Change>>>,
    view: V,
}

impl<V: View> Follower<V> {
    /// Shows everything behind the place `seen`.
    pub(crate) fn new(app: App, namespace: NamespaceId, seen: i64, view: V) -> Self {
        Self {
            app,
            namespace,
            seen,
            live: None,
            view,
        }
    }

    /// Reads on in the rows, or changes over to the hub.
    async fn catch_up(&mut self) -> Next {
        let streams = &self.app.streams;
        // In this order: what is behind the position is received, and what is not behind it is in the rows.
        let live = streams.changes();
        let position = streams.position().await;
        if position <= self.seen {
            self.live = Some(live);
            return Next::Frames(Vec::new());
        }
        // It would only fill up while the rows are read.
        drop(live);
        let page = streams
            .page(&self.app.pool, self.namespace, self.seen)
            .await;
        if page.len() < PAGE as usize {
            self.seen = position;
        }
        let mut frames = Vec::with_capacity(page.len());
        for event in page {
            self.seen = self.seen.max(event.seq);
            frames.extend(self.view.frame(&Change::new(event)));
        }
        Next::Frames(frames)
    }

    fn show(&mut self, change: &Change) -> Option<Utf8Bytes> {
        let event = &change.event;
        if event.seq <= self.seen {
            return None;
        }
        self.seen = event.seq;
        if event.namespace_id != self.namespace {
            return None;
        }
        self.view.frame(change)
    }
}

impl<V: View> Source for Follower<V> {
    async fn next(&mut self) -> Next {
        let mut frames = Vec::new();
        while frames.len() < BATCH {
            let Some(live) = &mut self.live else {
                return self.catch_up().await;
            };
            let received = match frames.is_empty() {
                true => live.recv().await.map_err(|error| match error {
                    RecvError::Lagged(missed) => TryRecvError::Lagged(missed),
                    RecvError::Closed => TryRecvError::Closed,
                }),
                false => live.try_recv(),
            };
            match received {
                Ok(change) => frames.extend(self.show(&change)),
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Lagged(_)) => {
                    self.live = None;
                    if frames.is_empty() {
                        return Next::Behind;
                    }
                    break;
                }
                Err(TryRecvError::Closed) => return Next::End("there is nothing more to come"),
            }
        }
        Next::Frames(frames)
    }
}
