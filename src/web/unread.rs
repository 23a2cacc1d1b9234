//! A stream whose peer has to read what it asked for.
//!
//! In: the stream of a connection of HTTP/1.1. Out: the same, where what is written
//! fails with [`ErrorKind::TimedOut`] once the peer has taken nothing of it for so
//! long. hyper has a timer for heads only: without this one a connection whose answer
//! nobody reads would keep its place until the process ends.
//!
//! A peer that reads has its time, however long its answer is: every byte that it takes
//! begins the wait anew. The timer is made when something has to wait, which what fits
//! into the kernel's buffer does not.

use std::future::Future;
use std::io::{Error, ErrorKind, IoSlice, Result};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// The stream.
pub struct Unread<S> {
    stream: S,
    patience: Duration,
    /// Runs while the peer takes nothing.
    waiting: Option<Pin<Box<Sleep>>>,
}

// === impl Unread ===

impl<S> Unread<S> {
    /// One that waits so long for its peer.
    pub fn new(stream: S, patience: Duration) -> Unread<S> {
        Unread { stream, patience, waiting: None }
    }

    fn within_patience<T>(&mut self, context: &mut Context<'_>, polled: Poll<Result<T>>) -> Poll<Result<T>> {
        if polled.is_ready() {
            self.waiting = None;
            return polled;
        }
        let patience = self.patience;
        let waiting = self.waiting.get_or_insert_with(|| Box::pin(sleep(patience)));
        waiting.as_mut().poll(context).map(|()| {
            let text = format!("the peer has read nothing for {} s", patience.as_secs());
            Err(Error::new(ErrorKind::TimedOut, text))
        })
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Unread<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Unread<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.within_patience(context, polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(context, pieces);
        self.within_patience(context, polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_flush(context);
        self.within_patience(context, polled)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_shutdown(context);
        self.within_patience(context, polled)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    /// Short, since a test waits for it; nothing is said of how long that takes.
    const PATIENCE: Duration = Duration::from_millis(50);

    #[tokio::test]
    async fn what_nobody_reads_fails_and_what_somebody_reads_does_not() {
        let (stream, mut peer) = tokio::io::duplex(8);
        let mut stream = Unread::new(stream, PATIENCE);
        stream.write_all(b"it fits.").await.expect("there is room");
        let error = stream.write_all(b"and this does not").await.expect_err("nobody reads");
        assert_eq!(error.kind(), ErrorKind::TimedOut);

        let mut read = [0; 8];
        peer.read_exact(&mut read).await.expect("what came before");
        assert_eq!(&read, b"it fits.");
        let reading = tokio::spawn(async move {
            let mut all = Vec::new();
            peer.read_to_end(&mut all).await.expect("all of it");
            all.len()
        });
        stream.write_all(&[7; 1000]).await.expect("somebody reads");
        drop(stream);
        assert_eq!(reading.await.expect("no panic"), 1000);
    }
}
