//! What all sockets have in common: how they are opened, kept alive and closed.

use std::{future::Future, pin::pin, sync::Arc, time::Duration};

use axum::{
    extract::ws::{
        CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade, close_code,
        rejection::WebSocketUpgradeRejection,
    },
    response::Response,
};
use futures::{FutureExt, SinkExt};
use store::access::Pass;
use tokio::{
    task::unconstrained,
    time::{Instant, Interval, MissedTickBehavior, interval_at, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{error::ApiError, stream::Streams};

/// Clients send pings and nothing else. The library's own buffers are 128 KiB for each socket.
const READ_BUFFER: usize = 512;
/// So many bytes are written at once while there are many frames; whatever there is, when there is no more.
const WRITE_BUFFER: usize = 4 * 1024;
/// What a client may say at most.
const MAX_MESSAGE: usize = 4 * 1024;
/// How often the peer is asked whether it lives.
const PING_INTERVAL: Duration = Duration::from_secs(30);
/// How long it may show no sign of life.
const SILENCE: Duration = Duration::from_secs(60);
/// How long the peer may take to make room for one more frame.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long the peer may take to read the last words and to say its own.
const LAST_WORDS: Duration = Duration::from_secs(5);

const TOO_SLOW: &str =
    "too slow: reconnect with ?since=<uuid of the last event> to get what was missed";
const STOPPING: &str = "the service stops; reconnect";
const WORTHLESS: &str = "the API key was revoked or has expired, or the user is no member any more";

/// What a source has next.
#[derive(Debug)]
pub(crate) enum Next {
    /// These frames, perhaps none.
    Frames(Vec<Utf8Bytes>),
    /// More has happened than is kept for a reader; the source would go on with the rows.
    Behind,
    /// There is nothing more to come, for this reason.
    End(&'static str),
}

/// Where the frames of a socket come from.
pub(crate) trait Source: Send + 'static {
    /// What comes next, as soon as there is something.
    fn next(&mut self) -> impl Future<Output = Next> + Send;
}

/// The headers that ask for a WebSocket, or what is wrong with them: that comes last among the reasons to refuse.
pub(crate) type Upgrade = Result<WebSocketUpgrade, WebSocketUpgradeRejection>;

/// Opens the socket on which `source` is told to whoever has the pass.
pub(crate) fn open(
    upgrade: Upgrade,
    streams: &Arc<Streams>,
    pass: Pass,
    source: impl Source,
) -> Result<Response, ApiError> {
    let upgrade = upgrade.map_err(|_| ApiError::UpgradeRequired)?;
    let streams = Arc::clone(streams);
    let counted = streams.socket();
    let worthless = streams.admit(pass);
    // No limit for what waits to be written: a frame is only taken when the one before it has been.
    let upgrade = upgrade
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(WRITE_BUFFER)
        .max_message_size(MAX_MESSAGE)
        .max_frame_size(MAX_MESSAGE);
    Ok(upgrade.on_upgrade(|socket| async move {
        tell(socket, source, &streams, &worthless).await;
        drop(counted);
    }))
}

/// Tells what the source has until one side has had enough.
async fn tell(
    socket: WebSocket,
    mut source: impl Source,
    streams: &Streams,
    worthless: &CancellationToken,
) {
    let mut peer = Peer::new(socket, streams, worthless);
    loop {
        let told = match peer.listen_until(source.next()).await {
            Ok(Next::Frames(frames)) => peer.send(frames).await,
            // Its connection took everything at once, so it is no slow one: more has happened than anybody could have
            // taken in that time.
            Ok(Next::Behind) if !peer.has_waited => Ok(()),
            Ok(Next::Behind) => Err(Parting::Because(close_code::AGAIN, TOO_SLOW)),
            Ok(Next::End(reason)) => Err(Parting::Because(close_code::NORMAL, reason)),
            Err(parting) => Err(parting),
        };
        if let Err(parting) = told {
            return Box::pin(peer.part(parting)).await;
        }
    }
}

/// Why a socket ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Parting {
    /// We close it, with this code and reason.
    Because(u16, &'static str),
    /// The peer closes it.
    Theirs,
    /// There is nobody left to talk to.
    Gone,
}

/// The other side of a socket.
struct Peer<'a> {
    socket: WebSocket,
    streams: &'a Streams,
    /// Canceled when the peer may not stay.
    worthless: &'a CancellationToken,
    /// When it last showed a sign of life.
    heard_at: Instant,
    pings: Interval,
    /// Whether it had to be waited for when something was last sent.
    has_waited: bool,
}

impl<'a> Peer<'a> {
    fn new(socket: WebSocket, streams: &'a Streams, worthless: &'a CancellationToken) -> Self {
        let now = Instant::now();
        let mut pings = interval_at(now + PING_INTERVAL, PING_INTERVAL);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            socket,
            streams,
            worthless,
            heard_at: now,
            pings,
            has_waited: false,
        }
    }

    /// Waits for `next`, and meanwhile for the peer: its pings are answered by reading on.
    async fn listen_until(&mut self, next: impl Future<Output = Next>) -> Result<Next, Parting> {
        let mut next = pin!(next);
        loop {
            tokio::select! {
                next = &mut next => return Ok(next),
                () = self.streams.closing() => {
                    return Err(Parting::Because(close_code::AWAY, STOPPING));
                }
                () = self.worthless.cancelled() => {
                    return Err(Parting::Because(close_code::POLICY, WORTHLESS));
                }
                message = self.socket.recv() => match message {
                    Some(Ok(Message::Close(_))) => return Err(Parting::Theirs),
                    Some(Ok(_)) => self.heard_at = Instant::now(),
                    Some(Err(_)) | None => return Err(Parting::Gone),
                },
                _ = self.pings.tick() => {
                    if self.heard_at.elapsed() >= SILENCE {
                        return Err(Parting::Gone);
                    }
                    self.push(Message::Ping(Vec::new().into())).await?;
                    self.flush().await?;
                }
            }
        }
    }

    async fn send(&mut self, frames: Vec<Utf8Bytes>) -> Result<(), Parting> {
        self.has_waited = false;
        for frame in frames {
            self.push(Message::Text(frame)).await?;
        }
        self.flush().await
    }

    async fn push(&mut self, message: Message) -> Result<(), Parting> {
        let pushed = patiently(self.streams, self.socket.feed(message)).await?;
        self.has_waited |= pushed.has_waited;
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), Parting> {
        let flushed = patiently(self.streams, self.socket.flush()).await?;
        self.has_waited |= flushed.has_waited;
        Ok(())
    }

    /// Says goodbye and waits for the peer's, so that it gets to read everything before the connection is gone.
    async fn part(mut self, parting: Parting) {
        tracing::debug!(?parting, "a stream ends");
        let last_words = async {
            match parting {
                Parting::Gone => return,
                Parting::Theirs => {}
                Parting::Because(code, reason) => {
                    let frame = CloseFrame {
                        code,
                        reason: Utf8Bytes::from_static(reason),
                    };
                    if self.socket.send(Message::Close(Some(frame))).await.is_err() {
                        return;
                    }
                }
            }
            while let Some(Ok(_)) = self.socket.recv().await {}
        };
        // A peer that does not read them is left without.
        let _ = timeout(LAST_WORDS, last_words).await;
    }
}

/// Something that was written.
struct Written {
    has_waited: bool,
}

/// Waits until the peer has made room, but not for ever.
async fn patiently<E>(
    streams: &Streams,
    writing: impl Future<Output = Result<(), E>>,
) -> Result<Written, Parting> {
    // Unconstrained, so that it is never the runtime that makes it wait, only the peer.
    let mut writing = pin!(unconstrained(writing));
    let (written, has_waited) = match writing.as_mut().now_or_never() {
        Some(written) => (written, false),
        None => tokio::select! {
            () = streams.closing() => return Err(Parting::Because(close_code::AWAY, STOPPING)),
            written = timeout(PATIENCE, writing) => match written {
                Ok(written) => (written, true),
                Err(_) => return Err(Parting::Because(close_code::AGAIN, TOO_SLOW)),
            },
        },
    };
    match written {
        Ok(()) => Ok(Written { has_waited }),
        Err(_) => Err(Parting::Gone),
    }
}

#[cfg(test)]
mod tests;
