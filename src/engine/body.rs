//! Bodies between the network, which is asynchronous, and statements, which block.
//!
//! In both directions a bounded channel of [`QUEUED_PIECES`] pieces: a fast
//! sender waits for a slow receiver, so that memory is flat however long the
//! body. A body that ends without its end mark is an error on the receiving
//! side, never an end.

use std::io::{self, Read, Write};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, Bytes};
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming};
use tokio::sync::{Notify, mpsc};

use super::codec::{Sink, refused};
use super::exception::Code;

/// Pieces on the way in each direction; with pieces of up to some MB this
/// bounds one request to a few times that.
const QUEUED_PIECES: usize = 4;
/// Small writes of encoders are gathered to pieces of this size.
const PIECE_BYTES: usize = 64 << 10;
/// A sender that is silent for so long is gone.
const BODY_IDLE: Duration = Duration::from_secs(300);

enum Inbound {
    Data(Bytes),
    End,
    Failed(String),
}

/// A request's body, read by a thread that may block.
pub struct BodyReader {
    pieces: mpsc::Receiver<Inbound>,
    piece: Bytes,
    ended: bool,
}

enum Outbound {
    Data(Bytes),
    End,
    /// The connection must break after what has been sent, so that no client
    /// takes the answer for a whole one.
    Break,
}

/// An answer's body, written by a thread that may block.
pub struct BodyWriter {
    pieces: mpsc::Sender<Outbound>,
    buffer: Vec<u8>,
    broken: Arc<AtomicBool>,
}

/// The other end of a [`BodyWriter`], which hyper sends.
pub struct AnswerBody {
    source: Source,
    breaker: Arc<Breaker>,
}

enum Source {
    Ready(Option<Bytes>),
    Pieces(mpsc::Receiver<Outbound>),
    Broken,
}

/// How an answer breaks its connection: hyper is left waiting for more of the
/// body, and when what it holds has been written out the connection is dropped
/// without the last chunk.
#[derive(Default)]
pub struct Breaker {
    wanted: AtomicBool,
    flushed: Notify,
}

/// Starts reading a body. What the statement does not read is read and thrown
/// away, so that a client that sends before it listens gets its answer.
pub fn inbound(mut incoming: Incoming) -> BodyReader {
    let (sender, pieces) = mpsc::channel(QUEUED_PIECES);
    tokio::spawn(async move {
        loop {
            let piece = match tokio::time::timeout(BODY_IDLE, incoming.frame()).await {
                Ok(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => Inbound::Data(data),
                    Err(_) => continue,
                },
                Ok(Some(Err(error))) => Inbound::Failed(error.to_string()),
                Ok(None) => Inbound::End,
                Err(_) => Inbound::Failed(format!("nothing came for {} s", BODY_IDLE.as_secs())),
            };
            let last = !matches!(piece, Inbound::Data(_));
            // A statement that no longer reads does not stop the reading.
            let _ = sender.send(piece).await;
            if last {
                return;
            }
        }
    });
    BodyReader { pieces, piece: Bytes::new(), ended: false }
}

/// A channel for an answer.
pub fn outbound(breaker: Arc<Breaker>) -> (BodyWriter, AnswerBody) {
    let (sender, pieces) = mpsc::channel(QUEUED_PIECES);
    (
        BodyWriter { pieces: sender, buffer: Vec::new(), broken: Arc::default() },
        AnswerBody { source: Source::Pieces(pieces), breaker },
    )
}

// === impl BodyReader ===

impl Read for BodyReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            if self.ended {
                return Ok(0);
            }
            match self.pieces.blocking_recv() {
                Some(Inbound::Data(piece)) => self.piece = piece,
                Some(Inbound::End) => self.ended = true,
                Some(Inbound::Failed(reason)) => {
                    return Err(refused(
                        Code::NetworkError,
                        format_args!("the request's body broke off: {reason}"),
                    ));
                }
                None => return Err(refused(Code::NetworkError, "the request's body broke off")),
            }
        }
        let taken = buffer.len().min(self.piece.len());
        self.piece.copy_to_slice(&mut buffer[..taken]);
        Ok(taken)
    }
}

// === impl BodyWriter ===

impl BodyWriter {
    /// Sends a piece as it is; an error means that the client is gone.
    pub fn send(&mut self, piece: Bytes) -> io::Result<()> {
        self.flush()?;
        self.put(Outbound::Data(piece))
    }

    /// When this is set, the end of the body breaks the connection. It can be
    /// set while the writer is inside of encoders.
    pub fn break_at_end(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.broken)
    }

    fn put(&mut self, piece: Outbound) -> io::Result<()> {
        self.pieces
            .blocking_send(piece)
            .map_err(|_| io::Error::new(io::ErrorKind::BrokenPipe, "the client is gone"))
    }
}

impl Write for BodyWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= PIECE_BYTES {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let piece = Bytes::from(std::mem::take(&mut self.buffer));
        self.put(Outbound::Data(piece))
    }
}

impl Sink for BodyWriter {
    fn finish(mut self: Box<Self>) -> io::Result<()> {
        self.flush()?;
        let broken = self.broken.load(Ordering::Acquire);
        self.put(if broken { Outbound::Break } else { Outbound::End })
    }
}

// === impl AnswerBody ===

impl AnswerBody {
    /// A body that is known already.
    pub fn ready(bytes: impl Into<Bytes>) -> AnswerBody {
        AnswerBody { source: Source::Ready(Some(bytes.into())), breaker: Arc::default() }
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        match &mut self.source {
            Source::Ready(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Source::Pieces(pieces) => match std::task::ready!(pieces.poll_recv(context)) {
                Some(Outbound::Data(piece)) => Poll::Ready(Some(Ok(Frame::data(piece)))),
                Some(Outbound::End) => Poll::Ready(None),
                // No end mark: the thread that wrote the answer has died.
                Some(Outbound::Break) | None => {
                    self.source = Source::Broken;
                    self.breaker.wanted.store(true, Ordering::Release);
                    Poll::Pending
                }
            },
            Source::Broken => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.source, Source::Ready(None))
    }

    fn size_hint(&self) -> hyper::body::SizeHint {
        match &self.source {
            Source::Ready(bytes) => {
                hyper::body::SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
            _ => hyper::body::SizeHint::default(),
        }
    }
}

// === impl Breaker ===

impl Breaker {
    /// Resolves when an answer has asked for the break and is written out.
    pub async fn broken(&self) {
        self.flushed.notified().await;
    }

    /// hyper has written out all that it holds.
    pub fn written_out(&self) {
        if self.wanted.load(Ordering::Acquire) {
            self.flushed.notify_one();
        }
    }
}
