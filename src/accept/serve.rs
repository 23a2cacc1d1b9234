//! One hit thread: accepts, serves each connection as its own task, drains.
//!
//! A connection greets (PROXY protocol, then TLS, each where configured), and is
//! served by what it speaks: HTTP/1.1 in the clear or encrypted, or HTTP/2. The
//! plain one is compiled for itself: what is encrypted costs it nothing.
//!
//! What all connections share is done once for all of them:
//!
//! - The hits of everything that is ready at one moment go to the disk together.
//!   Who takes a hit rings a bell; the task that it wakes comes after all that were
//!   ready, and flushes the writer.
//! - No connection of HTTP/1.1 has a timer. Each notes when it was asked and
//!   answered, and a sweep looks at all of them ([`Watch`]).

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::ops::DerefMut;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context as TaskContext, Poll, Waker};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use http::{Request, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};
use tokio::task::LocalSet;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use super::Shared;
use super::answer::{self, Answer};
use super::limits::{Limits, MAX_BUFFER_BYTES, MAX_HEAD_BYTES};
use super::proxy;
use super::route::{Context, Routed, route};
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
/// A connection outlives its time by at most this part of it.
const SWEEPS: u32 = 16;

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
    let mut sweep = interval((shared.limits.head_read / SWEEPS).max(Duration::from_millis(1)));
    sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let server = Rc::new(Server {
        thread,
        shared,
        writer,
        tls,
        gathered: Notify::new(),
        open: Cell::new(0),
        one_closed: Notify::new(),
        is_draining: Cell::new(false),
        next_watch: Cell::new(0),
        watched: RefCell::default(),
    });
    tokio::task::spawn_local(server.clone().flush());
    let stop = shutdown.clone();
    let mut stopping = pin!(async move {
        // An error means that whoever would say stop is gone.
        let _ = shutdown.wait_for(|stop| *stop).await;
    });
    loop {
        let accepted = tokio::select! {
            biased;
            () = &mut stopping => break,
            _ = sweep.tick() => {
                server.sweep();
                continue;
            }
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
    server.is_draining.set(true);
    server.judge_all(Verdict::Drain);
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
    /// Rung for each hit that was gathered.
    gathered: Notify,
    open: Cell<usize>,
    one_closed: Notify,
    is_draining: Cell<bool>,
    next_watch: Cell<u64>,
    watched: RefCell<HashMap<u64, Rc<Watch>>>,
}

/// How a connection of HTTP/1.1 is doing, for whoever ends those that take too long.
struct Watch {
    /// When it was opened, asked, or answered last.
    since: Cell<Instant>,
    is_asked: Cell<bool>,
    verdict: Cell<Verdict>,
    waker: RefCell<Option<Waker>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Live,
    /// It ends with the answer that it is about, if there is one.
    Drain,
    /// It ends now.
    Close,
}

/// Keeps a connection among the watched, however it ends.
struct Watched<'a> {
    server: &'a Server,
    number: u64,
    watch: Rc<Watch>,
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
                None => server.connection(stream, peer).await,
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
            Some(Accepted::Http1(stream)) => self.connection(stream, peer).await,
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
    async fn connection<S>(&self, stream: S, peer: IpAddr)
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let watched = self.watch();
        let watch = &*watched.watch;
        let service = service_fn(|request: Request<Incoming>| {
            watch.note(true);
            // At once and not when polled: hyper reads on into the buffer that a request
            // which still lives holds, and would have to get another one.
            let routed = self.begin(peer, request);
            async move {
                let answer = self.finish(peer, routed).await;
                watch.note(false);
                Ok::<Answer, Infallible>(answer)
            }
        });
        let connection = http1::Builder::new()
            .header_read_timeout(None)
            .max_header_size(MAX_HEAD_BYTES)
            .max_buf_size(MAX_BUFFER_BYTES)
            .keep_alive(true)
            // Who has said all and waits for the answer gets it; and nobody looks for an
            // end in the middle of a request.
            .half_close(true)
            // Answers are small: copied into one piece they leave sooner.
            .writev(false)
            .serve_connection(TokioIo::new(stream), service);
        let mut connection = pin!(connection);
        let mut draining = false;
        poll_fn(|context| {
            // A broken connection is the peer's affair; nothing is left to answer.
            if connection.as_mut().poll(context).is_ready() {
                return Poll::Ready(());
            }
            match watch.verdict.get() {
                Verdict::Close => return Poll::Ready(()),
                Verdict::Drain if !draining => {
                    draining = true;
                    connection.as_mut().graceful_shutdown();
                    if connection.as_mut().poll(context).is_ready() {
                        return Poll::Ready(());
                    }
                }
                Verdict::Drain | Verdict::Live => {}
            }
            watch.keep_waker(context.waker());
            Poll::Pending
        })
        .await;
    }

    async fn answer(&self, peer: IpAddr, request: Request<Incoming>) -> Answer {
        self.finish(peer, self.begin(peer, request)).await
    }

    fn context(&self, peer: IpAddr) -> Context<'_> {
        Context {
            shared: &self.shared,
            writer: &self.writer,
            thread: self.thread,
            peer,
            gathered: &self.gathered,
        }
    }

    /// Does what can be done at once.
    fn begin(&self, peer: IpAddr, request: Request<Incoming>) -> Result<Routed<'_>, Panicked> {
        let context = self.context(peer);
        catch_unwind(AssertUnwindSafe(|| route(context, request))).map_err(|_| Panicked)
    }

    /// Waits for the rest.
    async fn finish(&self, peer: IpAddr, begun: Result<Routed<'_>, Panicked>) -> Answer {
        let answered = match begun {
            Ok(Routed::Answered(answer)) => Ok(answer),
            Ok(Routed::Pixel(waiting)) => CatchPanic(pin!(waiting.answer(&self.context(peer)))).await,
            Ok(Routed::Event(answer)) => CatchPanic(answer).await,
            Err(Panicked) => Err(Panicked),
        };
        let mut answer = answered.unwrap_or_else(|Panicked| {
            self.shared.panics.fetch_add(1, Relaxed);
            tracing::error!(thread = self.thread, "a request panicked; it was answered 500");
            answer::close(answer::text(StatusCode::INTERNAL_SERVER_ERROR, "the collector made a mistake\n"))
        });
        if self.shared.settings.load().secure {
            headers::secure(answer.headers_mut());
        }
        answer
    }

    /// Flushes the writer each time when all that was ready has been taken.
    async fn flush(self: Rc<Self>) {
        loop {
            self.gathered.notified().await;
            self.writer.flush();
        }
    }

    fn watch(&self) -> Watched<'_> {
        let number = self.next_watch.replace(self.next_watch.get() + 1);
        let watch = Rc::new(Watch {
            since: Cell::new(Instant::now()),
            is_asked: Cell::new(false),
            // One whose greeting took until now.
            verdict: Cell::new(if self.is_draining.get() { Verdict::Drain } else { Verdict::Live }),
            waker: RefCell::default(),
        });
        self.watched.borrow_mut().insert(number, watch.clone());
        Watched { server: self, number, watch }
    }

    /// Ends the connections whose time is over.
    fn sweep(&self) {
        let now = Instant::now();
        for watch in self.watched.borrow().values() {
            if watch.is_over(now, &self.shared.limits) {
                watch.judge(Verdict::Close);
            }
        }
    }

    fn judge_all(&self, verdict: Verdict) {
        for watch in self.watched.borrow().values() {
            watch.judge(verdict);
        }
    }
}

// === impl Watch ===

impl Watch {
    fn note(&self, is_asked: bool) {
        self.is_asked.set(is_asked);
        self.since.set(Instant::now());
    }

    fn is_over(&self, now: Instant, limits: &Limits) -> bool {
        let limit = if self.is_asked.get() { limits.stall } else { limits.head_read };
        now.saturating_duration_since(self.since.get()) >= limit
    }

    fn judge(&self, verdict: Verdict) {
        self.verdict.set(verdict);
        if let Some(waker) = self.waker.borrow_mut().take() {
            waker.wake();
        }
    }

    fn keep_waker(&self, waker: &Waker) {
        let mut kept = self.waker.borrow_mut();
        if !kept.as_ref().is_some_and(|kept| kept.will_wake(waker)) {
            *kept = Some(waker.clone());
        }
    }
}

impl Drop for Watched<'_> {
    fn drop(&mut self) {
        self.server.watched.borrow_mut().remove(&self.number);
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
struct CatchPanic<P>(Pin<P>);

#[derive(Debug, PartialEq, Eq)]
struct Panicked;

impl<P: DerefMut<Target: Future> + Unpin> Future for CatchPanic<P> {
    type Output = Result<<P::Target as Future>::Output, Panicked>;

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
