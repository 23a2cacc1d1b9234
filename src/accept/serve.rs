//! One hit thread: accepts, serves each connection as its own task, drains.
//!
//! A connection greets (PROXY protocol, then TLS, each where configured), and is
//! served by what it speaks: HTTP/1.1 in the clear or encrypted, or HTTP/2. The
//! plain one is compiled for itself: what is encrypted costs it nothing.

use std::cell::Cell;
use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context as TaskContext, Poll};
use std::thread::JoinHandle;
use std::time::Duration;

use http::{Request, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};
use tokio::task::LocalSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::Shared;
use super::answer::{self, Answer};
use super::limits::{MAX_BUFFER_BYTES, MAX_HEAD_BYTES};
use super::proxy;
use super::route::{Context, route};
use crate::config::ClientAddress;
use crate::headers;
use crate::parse::address::is_trusted;
use crate::privacy::address::ClientIp;
use crate::spool::Writer;
use crate::tls::http2::{self, Patience, Progress};
use crate::tls::{Accepted, Terminator};

/// How long accepting pauses when the process has no file descriptor left:
/// connections must end before another try can succeed.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Starts a hit thread with its own runtime. It ends after `shutdown` has turned
/// true, or been dropped, and the drain is over.
pub fn spawn(
    thread: usize,
    shared: Arc<Shared>,
    writer: Writer,
    listener: std::net::TcpListener,
    tls: Option<Arc<Terminator>>,
    shutdown: watch::Receiver<bool>,
) -> io::Result<JoinHandle<()>> {
    listener.set_nonblocking(true)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::Builder::new().name(format!("hit-{thread}")).spawn(move || {
        let local = LocalSet::new();
        let outcome = local.block_on(&runtime, serve(thread, shared, writer, listener, tls, shutdown));
        if let Err(error) = outcome {
            tracing::error!(thread, %error, "a hit thread could not listen");
        }
    })
}

/// Serves one listener until `shutdown`, then drains. Within a `LocalSet`.
pub async fn serve(
    thread: usize,
    shared: Arc<Shared>,
    writer: Writer,
    listener: std::net::TcpListener,
    tls: Option<Arc<Terminator>>,
    mut shutdown: watch::Receiver<bool>,
) -> io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    let server =
        Rc::new(Server { thread, shared, writer, tls, open: Cell::new(0), one_closed: Notify::new() });
    let stop = shutdown.clone();
    let mut stopping = pin!(async move {
        // An error means that whoever would say stop is gone.
        let _ = shutdown.wait_for(|stop| *stop).await;
    });
    loop {
        let accepted = tokio::select! {
            biased;
            () = &mut stopping => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => server.clone().take(stream, peer, stop.clone()),
            Err(error) => {
                tracing::warn!(thread, %error, "a connection could not be accepted");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    // What the kernel has queued for this listener would be reset by closing it.
    while let Poll::Ready(Ok((stream, peer))) =
        poll_fn(|context| Poll::Ready(listener.poll_accept(context))).await
    {
        server.clone().take(stream, peer, stop.clone());
    }
    drop(listener);
    let drain = server.shared.settings().config.collect.drain;
    let emptied = async {
        while server.open.get() > 0 {
            server.one_closed.notified().await;
        }
    };
    if timeout(drain, emptied).await.is_err() {
        let connections = server.open.get();
        tracing::warn!(
            thread,
            connections,
            drain_ms = drain.as_millis() as u64,
            "the drain ended with open connections"
        );
    }
    Ok(())
}

/// One thread's server.
struct Server {
    thread: usize,
    shared: Arc<Shared>,
    writer: Writer,
    tls: Option<Arc<Terminator>>,
    open: Cell<usize>,
    one_closed: Notify,
}

/// Keeps the number of open connections, however they end.
struct Open(Rc<Server>);

// === impl Server ===

impl Server {
    fn take(self: Rc<Self>, stream: TcpStream, peer: SocketAddr, stop: watch::Receiver<bool>) {
        if self.open.get() >= self.shared.limits.connections_per_thread {
            self.shared.connections_refused.fetch_add(1, Relaxed);
            return;
        }
        let open = Open::new(self);
        tokio::task::spawn_local(async move {
            let server = &open.0;
            let Some((stream, peer)) = server.greet(stream, peer.ip()).await else { return };
            match &server.tls {
                None => server.connection(stream, peer, stop).await,
                // Boxed: a connection in the clear is not as large as one with TLS.
                Some(tls) => Box::pin(server.encrypted(tls, stream, peer, stop)).await,
            }
        });
    }

    /// Reads who connected where a proxy says it before the first request.
    async fn greet(&self, mut stream: TcpStream, peer: IpAddr) -> Option<(TcpStream, IpAddr)> {
        // Answers are small and whole: waiting to fill a packet only delays them.
        let _ = stream.set_nodelay(true);
        let settings = self.shared.settings();
        let collect = &settings.config.collect;
        let announced = collect.client_address == ClientAddress::ProxyProtocol
            && is_trusted(&ClientIp::new(peer), &collect.trusted_proxies);
        if !announced {
            return Some((stream, peer));
        }
        match timeout(self.shared.limits.head_read, proxy::read(&mut stream)).await {
            Ok(Ok(source)) => Some((stream, source.unwrap_or(peer))),
            Ok(Err(_)) | Err(_) => None,
        }
    }

    async fn encrypted(
        self: &Rc<Self>,
        tls: &Terminator,
        stream: TcpStream,
        peer: IpAddr,
        stop: watch::Receiver<bool>,
    ) {
        match tls.accept(stream).await {
            Some(Accepted::Http1(stream)) => self.connection(stream, peer, stop).await,
            Some(Accepted::Http2(stream)) => {
                let limits = self.shared.limits;
                let patience = Patience { idle: limits.head_read, parting: limits.body_read };
                let progress = Rc::new(Progress::new());
                let (server, noting) = (self.clone(), progress.clone());
                let service = service_fn(move |request: Request<Incoming>| {
                    noting.arrived();
                    let server = server.clone();
                    async move {
                        Ok::<Answer, Infallible>(match http2::prepare(request) {
                            Ok(request) => server.answer(peer, request).await,
                            Err(refused) => answer::text(refused.status, refused.text),
                        })
                    }
                });
                http2::serve(stream, OnThisThread, service, &progress, patience, stop).await;
            }
            None => {
                self.shared.handshakes_failed.fetch_add(1, Relaxed);
            }
        }
    }

    /// HTTP/1.1.
    async fn connection<S>(self: &Rc<Self>, stream: S, peer: IpAddr, mut stop: watch::Receiver<bool>)
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let limits = self.shared.limits;
        let progress = Rc::new(Cell::new(Instant::now()));
        let service = service_fn(|request: Request<Incoming>| {
            progress.set(Instant::now());
            let server = self.clone();
            async move { Ok::<Answer, Infallible>(server.answer(peer, request).await) }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.head_read)
            .max_header_size(MAX_HEAD_BYTES)
            .max_buf_size(MAX_BUFFER_BYTES)
            .keep_alive(true)
            .serve_connection(TokioIo::new(stream), service);
        let mut connection = pin!(connection);
        let mut stopping = pin!(async move {
            let _ = stop.wait_for(|stop| *stop).await;
        });
        let mut draining = false;
        loop {
            tokio::select! {
                // A broken connection is the peer's affair; nothing is left to answer.
                _ = &mut connection => return,
                () = &mut stopping, if !draining => {
                    draining = true;
                    connection.as_mut().graceful_shutdown();
                }
                () = sleep_until(progress.get() + limits.stall) => {
                    if progress.get().elapsed() >= limits.stall {
                        return;
                    }
                }
            }
        }
    }

    async fn answer(&self, peer: IpAddr, request: Request<Incoming>) -> Answer {
        let context = Context { shared: &self.shared, writer: &self.writer, thread: self.thread, peer };
        let mut answer = match CatchPanic(Box::pin(route(&context, request))).await {
            Ok(answer) => answer,
            Err(Panicked) => {
                self.shared.panics.fetch_add(1, Relaxed);
                tracing::error!(thread = self.thread, "a request panicked; it was answered 500");
                answer::close(answer::text(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "the collector made a mistake\n",
                ))
            }
        };
        if self.shared.settings.load().secure {
            headers::secure(answer.headers_mut());
        }
        answer
    }
}

// === impl Open ===

impl Open {
    fn new(server: Rc<Server>) -> Self {
        server.open.set(server.open.get() + 1);
        server.shared.connections.fetch_add(1, Relaxed);
        Open(server)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.set(self.0.open.get() - 1);
        self.0.shared.connections.fetch_sub(1, Relaxed);
        self.0.one_closed.notify_one();
    }
}

/// Runs the streams of an HTTP/2 connection beside it: what answers them belongs
/// to this thread.
#[derive(Clone)]
struct OnThisThread;

impl<F> hyper::rt::Executor<F> for OnThisThread
where
    F: Future + 'static,
{
    fn execute(&self, future: F) {
        tokio::task::spawn_local(async move {
            future.await;
        });
    }
}

/// A future whose panics are its outcome.
struct CatchPanic<F>(Pin<Box<F>>);

#[derive(Debug, PartialEq, Eq)]
struct Panicked;

impl<F: Future> Future for CatchPanic<F> {
    type Output = Result<F::Output, Panicked>;

    fn poll(mut self: Pin<&mut Self>, context: &mut TaskContext) -> Poll<Self::Output> {
        // A future that panicked is not polled again, so nobody sees it half done;
        // what it shares are counters and the spool, which keep their own order.
        match catch_unwind(AssertUnwindSafe(|| self.0.as_mut().poll(context))) {
            Ok(poll) => poll.map(Ok),
            Err(_) => Poll::Ready(Err(Panicked)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_outcome() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("runtime");
        let panicking = CatchPanic(Box::pin(async { assert!(std::hint::black_box(false), "on purpose") }));
        assert_eq!(runtime.block_on(panicking), Err(Panicked));
        assert_eq!(runtime.block_on(CatchPanic(Box::pin(async { 5 }))), Ok(5));
    }
}
