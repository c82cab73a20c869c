//! One listener on Postgres for all sockets of a replica.
//!
//! The hub holds a single connection: it listens on it, and it reads the event log on it. The order of the log is the
//! order of the commits, so "what is behind the last entry that I have seen" misses nothing, however long the database
//! was away and whatever notifications were lost.

use std::{convert::Infallible, future::Future, iter, sync::Arc, time::Duration};

use domain::ids::{ActionId, NamespaceId};
use futures::future::BoxFuture;
use sqlx::{Acquire, postgres::PgListener};
use store::{
    PgPool,
    access::Pass,
    action,
    event::{self, Event},
};
use tokio::{
    sync::{Semaphore, broadcast, watch},
    time::{sleep, timeout},
};
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::{TaskTracker, task_tracker::TaskTrackerToken},
};
use tracing::{info, warn};
use uuid::Uuid;

use crate::stream::{frame::Change, guests::Guests};

/// How many changes a socket may be behind before it has to read them from the log, or is too slow. They are kept once
/// for all sockets.
const RING: usize = 4096;
/// The same for the notifications of logs; who misses some looks at the log.
const LOG_RING: usize = 1024;
/// How many entries are read at once. Far fewer than the ring has, so that sockets get their turn in between.
pub(super) const PAGE: u32 = 500;
/// How often the log is looked at when nothing is notified: a connection that is dead without a word is noticed by it.
const LOOK_INTERVAL: Duration = Duration::from_secs(5);
/// How long the database may take to answer before its connection counts as dead.
const ANSWERS_WITHIN: Duration = Duration::from_secs(10);
/// How long is waited before the database is tried again.
const PAUSE: Duration = Duration::from_millis(500);
/// How many sockets read rows at the same time. A thousand that have to catch up shall not keep the requests from the
/// connections to the database.
const READERS: usize = 4;
/// How long the sockets have to say goodbye when the replica stops.
const GOODBYES: Duration = Duration::from_secs(5);

/// What is said about the logs of actions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogNews {
    /// This action's log has grown.
    Grown(ActionId),
    /// Any of them may have: notifications were lost.
    Any,
}

/// What the hub and the sockets of a replica share.
#[derive(Debug)]
pub(crate) struct Streams {
    changes: broadcast::Sender<Arc<Change>>,
    logs: broadcast::Sender<LogNews>,
    /// Up to where the log is, or is about to be, in the ring; none until the hub has begun.
    position: watch::Sender<Option<i64>>,
    readers: Semaphore,
    closing: CancellationToken,
    sockets: TaskTracker,
    guests: Guests,
}

impl Default for Streams {
    fn default() -> Self {
        Self {
            changes: broadcast::Sender::new(RING),
            logs: broadcast::Sender::new(LOG_RING),
            position: watch::Sender::new(None),
            readers: Semaphore::new(READERS),
            closing: CancellationToken::new(),
            sockets: TaskTracker::new(),
            guests: Guests::default(),
        }
    }
}

/// Why the hub has to begin anew.
#[derive(Debug, thiserror::Error)]
enum Lost {
    /// The database refused, or the connection broke.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The database closed the connection.
    #[error("the connection was closed")]
    Closed,
    /// Nothing came back.
    #[error("the database did not answer for {ANSWERS_WITHIN:?}")]
    Silent,
}

impl From<sqlx::Error> for Lost {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

impl Streams {
    /// What is published from now on.
    pub(crate) fn changes(&self) -> broadcast::Receiver<Arc<Change>> {
        self.changes.subscribe()
    }

    /// What is said about logs from now on.
    pub(crate) fn logs(&self) -> broadcast::Receiver<LogNews> {
        self.logs.subscribe()
    }

    /// A place in the log: what comes behind it is received by everybody who subscribed before they asked for it.
    /// Waits for the hub's beginning.
    pub(crate) async fn position(&self) -> i64 {
        let mut position = self.position.subscribe();
        let begun = position.wait_for(Option::is_some).await;
        match begun.ok().and_then(|position| *position) {
            Some(position) => position,
            // The sender is a part of `self`, so it is there for as long as somebody can ask.
            None => std::future::pending().await,
        }
    }

    /// Reads rows for a socket, and goes on trying while the database is away.
    ///
    /// Boxed, since a query's future has ten kilobytes, which a socket shall only have while it reads.
    pub(crate) fn read<'a, T, F>(
        &'a self,
        pool: &'a PgPool,
        rows: impl Fn(PoolConnection) -> F + Send + 'a,
    ) -> BoxFuture<'a, T>
    where
        T: Send + 'a,
        F: Future<Output = store::Result<T>> + Send + 'a,
    {
        Box::pin(async move {
            loop {
                let permit = self.readers.acquire().await;
                let read = match pool.acquire().await {
                    Ok(connection) => rows(connection).await,
                    Err(error) => Err(error.into()),
                };
                drop(permit);
                match read {
                    Ok(rows) => return rows,
                    Err(error) => warn!(%error, "a stream can't read on; trying again"),
                }
                sleep(PAUSE).await;
            }
        })
    }

    /// The entries of a namespace behind a place, at most [`PAGE`].
    pub(super) async fn page(&self, pool: &PgPool, namespace: NamespaceId, seq: i64) -> Vec<Event> {
        self.read(pool, |mut connection| async move {
            event::after(&mut connection, Some(namespace), seq, PAGE).await
        })
        .await
    }

    /// Done when the replica stops.
    pub(super) async fn closing(&self) {
        self.closing.cancelled().await;
    }

    /// What is canceled when the pass of a stream is worth nothing any more.
    pub(crate) fn admit(&self, pass: Pass) -> Arc<CancellationToken> {
        self.guests.admit(pass)
    }

    /// Counts a socket until it is dropped.
    pub(super) fn socket(&self) -> TaskTrackerToken {
        self.sockets.token()
    }

    /// Closes everything as soon as a guard is dropped, whyever that is.
    pub(crate) fn guard(&self) -> DropGuard {
        self.closing.clone().drop_guard()
    }

    /// Lets the sockets say goodbye, but not for ever.
    pub(crate) async fn close(&self) {
        self.closing.cancel();
        self.sockets.close();
        if timeout(GOODBYES, self.sockets.wait()).await.is_err() {
            let open = self.sockets.len();
            info!(open, "streams are cut off");
        }
    }

    /// Follows the log, and sees to it that nobody stays who may not, until the replica stops.
    pub(crate) async fn run(&self, pool: PgPool) {
        tokio::select! {
            () = self.follow(&pool) => {}
            () = self.guests.watch(&pool) => {}
        }
    }

    async fn follow(&self, pool: &PgPool) {
        loop {
            let Err(lost) = tokio::select! {
                () = self.closing() => return,
                lost = self.listen(pool) => lost,
            };
            warn!(error = %lost, "the event log can't be followed; trying again");
            tokio::select! {
                () = self.closing() => return,
                () = sleep(PAUSE) => {}
            }
        }
    }

    async fn listen(&self, pool: &PgPool) -> Result<Infallible, Lost> {
        let mut listener = PgListener::connect_with(pool).await?;
        // A new connection is made here, so that there is one way to begin.
        listener.eager_reconnect(false);
        listener
            .listen_all([event::CHANNEL, action::LOG_CHANNEL])
            .await?;
        // What was notified before this moment was missed.
        self.tell_of_log(LogNews::Any);
        let mut has_grown = true;
        loop {
            if has_grown {
                timeout(ANSWERS_WITHIN, self.drain(&mut listener))
                    .await
                    .map_err(|_| Lost::Silent)??;
            }
            let first = match timeout(LOOK_INTERVAL, listener.try_recv()).await {
                Ok(Ok(Some(notification))) => Some(notification),
                Ok(Ok(None)) => return Err(Lost::Closed),
                Ok(Err(error)) => return Err(error.into()),
                Err(_) => None,
            };
            has_grown = first.is_none();
            // What came while the log was read has waited in the listener.
            let rest = iter::from_fn(|| listener.next_buffered());
            for notification in first.into_iter().chain(rest) {
                if notification.channel() == event::CHANNEL {
                    has_grown = true;
                    continue;
                }
                match notification.payload().parse::<Uuid>() {
                    Ok(id) => self.tell_of_log(LogNews::Grown(id.into())),
                    Err(_) => warn!(
                        payload = notification.payload(),
                        "a notification names no action"
                    ),
                }
            }
        }
    }

    /// Publishes what is new in the log.
    async fn drain(&self, listener: &mut PgListener) -> Result<(), Lost> {
        let connection = listener.acquire().await?;
        let begun = *self.position.borrow();
        let Some(mut last) = begun else {
            let last = event::last_seq(connection).await?;
            self.position.send_replace(Some(last));
            return Ok(());
        };
        loop {
            let page = event::after(connection, None, last, PAGE).await?;
            let is_last = page.len() < PAGE as usize;
            if let Some(newest) = page.last() {
                last = newest.seq;
                // Before they are sent: who subscribes in between reads them from the log.
                self.position.send_replace(Some(last));
            }
            for event in page {
                // Without anybody who listens there is nothing to do.
                let _ = self.changes.send(Arc::new(Change::new(event)));
            }
            if is_last {
                return Ok(());
            }
        }
    }

    fn tell_of_log(&self, news: LogNews) {
        // Without anybody who listens there is nothing to do.
        let _ = self.logs.send(news);
    }
}

/// A connection of the pool.
pub(crate) type PoolConnection = sqlx::pool::PoolConnection<sqlx::Postgres>;
