//! A connection that counts for as long as it lives, also as a WebSocket's, and that is not waited for for ever when its
//! client reads nothing.

use std::{
    future::Future,
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Sleep, sleep},
};

/// A connection with what it holds.
#[derive(Debug)]
pub(super) struct Guarded<T, H> {
    io: T,
    patience: Duration,
    /// There while the client has made no room.
    stalled: Option<Pin<Box<Sleep>>>,
    _held: H,
}

impl<T, H> Guarded<T, H> {
    /// `held` is dropped with the connection.
    pub(super) fn new(io: T, patience: Duration, held: H) -> Self {
        Self {
            io,
            patience,
            stalled: None,
            _held: held,
        }
    }

    fn patiently<R>(
        &mut self,
        cx: &mut Context<'_>,
        polled: Poll<io::Result<R>>,
    ) -> Poll<io::Result<R>> {
        if polled.is_ready() {
            self.stalled = None;
            return polled;
        }
        let patience = self.patience;
        let stalled = self
            .stalled
            .get_or_insert_with(|| Box::pin(sleep(patience)));
        match stalled.as_mut().poll(cx) {
            Poll::Ready(()) => {
                self.stalled = None;
                Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
            }
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<T: AsyncRead + Unpin, H: Unpin> AsyncRead for Guarded<T, H> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_read(cx, buffer)
    }
}

impl<T: AsyncWrite + Unpin, H: Unpin> AsyncWrite for Guarded<T, H> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let it = self.get_mut();
        let polled = Pin::new(&mut it.io).poll_write(cx, bytes);
        it.patiently(cx, polled)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let it = self.get_mut();
        let polled = Pin::new(&mut it.io).poll_write_vectored(cx, slices);
        it.patiently(cx, polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let it = self.get_mut();
        let polled = Pin::new(&mut it.io).poll_flush(cx);
        it.patiently(cx, polled)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let it = self.get_mut();
        let polled = Pin::new(&mut it.io).poll_shutdown(cx);
        it.patiently(cx, polled)
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt, duplex},
        time::Instant,
    };

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(30);

    #[tokio::test(start_paused = true)]
    async fn a_client_that_makes_no_room_is_given_up() {
        let (ours, mut theirs) = duplex(16);
        let mut ours = Guarded::new(ours, PATIENCE, ());
        let started = Instant::now();
        let error = ours.write_all(&[0; 64]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(started.elapsed() >= PATIENCE);
        // One that reads slowly is not: it makes room again and again.
        let reading = tokio::spawn(async move {
            let mut room = [0; 16];
            for _ in 0..20 {
                sleep(PATIENCE / 2).await;
                theirs.read_exact(&mut room).await.unwrap();
            }
            theirs
        });
        ours.write_all(&[0; 16 * 19]).await.unwrap();
        reading.await.unwrap();
    }
}
