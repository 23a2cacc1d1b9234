//! The web address: dashboard, sign-in, API, metrics.
//!
//! In: a listener, [`State`], and the certificate if TLS ends here; out: answers
//! over HTTP/1.1, or HTTP/2 on TLS, until the shutdown signal, then a drain of at
//! most [`DRAIN`].
//!
//! - `routes`: the one table of paths, methods, roles and handlers
//! - `access`, `role`, `sessions`, `people`, `password`, `attempts`, `first`, `totp`:
//!   who asks, and how they prove it
//! - `officer`: requests, jobs about people, trail, retention, disclosures, incidents, policy
//! - `case`: the trail of one visitor
//! - `share`: shared links, and what they open
//! - `settings`, `staff`: what a site keeps beside its numbers; people and tokens
//! - `failures`: wrong sign-ins, as few entries of the audit trail as will do
//! - `stats`, `refusals`, `addresses`, `account`, `second_factor`, `pages`, `debug`, `metrics`: the handlers
//! - `unread`: an end for connections whose answers nobody reads
//! - `running`: the rest of the server, as two traits
//!
//! Bounds: [`MAX_CONNECTIONS`], header bytes and time, body bytes and time
//! (`routes`), how long an answer waits for whoever asked ([`UNREAD_TIMEOUT`], over
//! HTTP/2 [`PATIENCE`]), questions at once (`stats`), password checks at once
//! (`password`). It holds no numbers of its own and knows no SQL.

pub mod access;
mod account;
mod addresses;
pub mod answer;
pub mod attempts;
mod batch;
mod case;
mod debug;
mod failures;
pub mod first;
mod fraud;
mod metrics;
mod officer;
mod pages;
pub mod password;
pub mod people;
mod refusals;
pub mod role;
pub mod routes;
pub mod running;
mod schema;
mod second_factor;
pub mod sessions;
mod settings;
pub mod share;
mod staff;
mod stats;
pub mod totp;
mod unread;

use std::convert::Infallible;
use std::future::Future;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};

use crate::audit::{Entry, Trail};
use crate::config::Config;
use crate::count::Counters;
use crate::report;
use crate::settings::Store;
use crate::tls::http2::{self, Patience, Progress};
use crate::tls::{Accepted, Terminator};
pub use metrics::text as metrics_text;
use running::{Archive, Running};
use unread::Unread;

/// How many connections are served at once; further ones wait in the kernel.
pub const MAX_CONNECTIONS: usize = 512;
/// The longest head of a request, in bytes.
const MAX_HEAD_BYTES: usize = 32 << 10;
/// How long a head may take to arrive, and a kept-alive connection may be idle.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// How long an answer waits for a peer that takes nothing of it, as the collect address does.
const UNREAD_TIMEOUT: Duration = Duration::from_secs(30);
/// How long HTTP/2 connections live on: as those of HTTP/1.1, and when they are to
/// end as long as a question may take, body and turn included.
const PATIENCE: Patience = Patience { idle: HEAD_TIMEOUT, parting: Duration::from_secs(90) };
/// How long a drain waits for open requests: no question takes longer.
pub const DRAIN: Duration = Duration::from_secs(5);
/// How often outstanding codes are looked through.
const TIDY_EVERY: Duration = Duration::from_secs(30);
/// How long to wait when the process is out of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// All that the handlers share.
pub struct State {
    pub config: Arc<ArcSwap<Config>>,
    pub counters: Arc<Counters>,
    pub people: people::People,
    pub sessions: sessions::Sessions,
    pub first: first::FirstSignIn,
    pub attempts: attempts::Attempts,
    pub passwords: password::Passwords,
    pub trail: Arc<Trail>,
    failures: failures::Failures,
    pub running: Box<dyn Running>,
    pub metrics: metrics::Metrics,
    /// Whether the demo clinic is served.
    pub demo: bool,
    /// Goals, funnels and the like of each site.
    pub settings: Arc<Store>,
    /// What became of reports by mail.
    pub reports: report::status::Status,
    archive: ArcSwapOption<Box<dyn Archive>>,
    queries: Semaphore,
    clock: fn() -> jiff::Timestamp,
}

// === impl State ===

impl State {
    /// Opens people and sessions in the configuration's data directory.
    pub fn open(
        config: Arc<ArcSwap<Config>>,
        counters: Arc<Counters>,
        running: Box<dyn Running>,
        trail: Arc<Trail>,
        demo: bool,
        clock: fn() -> jiff::Timestamp,
    ) -> std::io::Result<State> {
        let data_dir = config.load().data_dir.clone();
        Ok(State {
            people: people::People::new(&data_dir),
            sessions: sessions::Sessions::open(&data_dir)?,
            first: first::FirstSignIn::new(&data_dir),
            attempts: attempts::Attempts::default(),
            passwords: password::Passwords::default(),
            trail,
            failures: failures::Failures::default(),
            metrics: metrics::Metrics::default(),
            settings: Arc::new(Store::new(&data_dir)),
            reports: report::status::Status::default(),
            archive: ArcSwapOption::empty(),
            queries: Semaphore::new(stats::MAX_QUERIES),
            config,
            counters,
            running,
            demo,
            clock,
        })
    }

    /// Writes an entry into the audit trail, where that keeps nobody else waiting. An
    /// error is why what it is about must not happen.
    pub async fn note(self: &Arc<State>, entry: Entry) -> Result<(), String> {
        let state = self.clone();
        let noted = tokio::task::spawn_blocking(move || state.trail.append(&entry)).await;
        match noted {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(format!("the audit trail cannot be written: {error}")),
            Err(error) => Err(format!("the audit trail cannot be written: {error}")),
        }
    }

    /// Runs what waits for the disk, or for a command that holds a lock, where that
    /// keeps nobody else waiting. None if it panicked, which has been reported.
    pub(crate) async fn on_disk<T: Send + 'static>(
        self: &Arc<State>,
        work: impl FnOnce(&State) -> T + Send + 'static,
    ) -> Option<T> {
        let state = self.clone();
        tokio::task::spawn_blocking(move || work(&state)).await.ok()
    }

    /// Storage is there: questions are answered from now on.
    pub fn set_archive(&self, archive: Box<dyn Archive>) {
        self.archive.store(Some(Arc::new(archive)));
    }

    /// Storage, if it is there yet.
    pub fn archive(&self) -> Option<Arc<Box<dyn Archive>>> {
        self.archive.load_full()
    }

    /// Milliseconds since 1970.
    pub fn now(&self) -> i64 {
        self.timestamp().as_millisecond()
    }

    pub fn timestamp(&self) -> jiff::Timestamp {
        (self.clock)()
    }

    /// The collector's address as browsers see it, without a path.
    fn collector_url(&self) -> String {
        self.config.load().collect.public_url.clone()
    }
}

/// Serves until `shutdown` resolves, and then lets open requests end.
pub async fn serve(
    state: Arc<State>,
    listener: TcpListener,
    tls: Option<Arc<Terminator>>,
    shutdown: impl Future<Output = ()> + Send,
) {
    let connections = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let (stop, stopped) = watch::channel(false);
    let mut tidy = tokio::time::interval(TIDY_EVERY);
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        let place = connections.clone().acquire_owned();
        let accepted = async {
            let place = place.await.expect("the semaphore is never closed");
            (place, listener.accept().await)
        };
        tokio::select! {
            () = &mut shutdown => break,
            _ = tidy.tick() => {
                state.first.expire(state.now());
                let state = state.clone();
                tokio::task::spawn_blocking(move || account::write_failures(&state, failures::Which::Due));
            }
            (place, accepted) = accepted => match accepted {
                Ok((stream, peer)) => {
                    let (state, tls, stopped) = (state.clone(), tls.clone(), stopped.clone());
                    tokio::spawn(async move {
                        greet(state, tls, stream, peer.ip(), stopped).await;
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection to the web address could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
    drop(listener);
    state.first.close();
    // Connections watch this; if none is open there is nobody to tell.
    let _ = stop.send(true);
    let all = u32::try_from(MAX_CONNECTIONS).expect("a small constant");
    if tokio::time::timeout(DRAIN, connections.acquire_many(all)).await.is_err() {
        tracing::warn!("open requests at the web address were cut off");
    }
    // A panic in it has been reported.
    let writing = move || account::write_failures(&state, failures::Which::All);
    drop(tokio::task::spawn_blocking(writing).await);
}

async fn greet(
    state: Arc<State>,
    tls: Option<Arc<Terminator>>,
    stream: TcpStream,
    peer: IpAddr,
    stopped: watch::Receiver<bool>,
) {
    // Answers are written whole; waiting to fill a packet only delays them.
    let _ = stream.set_nodelay(true);
    let Some(tls) = tls else { return connection(state, stream, peer, stopped).await };
    match tls.accept(stream).await {
        Some(Accepted::Http1(stream)) => connection(state, stream, peer, stopped).await,
        Some(Accepted::Http2(stream)) => {
            let progress = Arc::new(Progress::new());
            let noting = progress.clone();
            let service = service_fn(move |request| {
                noting.arrived();
                let state = state.clone();
                async move {
                    Ok::<_, Infallible>(match http2::prepare(request) {
                        Ok(request) => routes::answer(state, peer, request).await,
                        Err(refused) => answer::text(refused.status, refused.text),
                    })
                }
            });
            http2::serve(stream, TokioExecutor::new(), service, &progress, PATIENCE, stopped).await;
        }
        None => tracing::debug!("a TLS handshake at the web address failed"),
    }
}

/// HTTP/1.1.
async fn connection<S>(state: Arc<State>, stream: S, peer: IpAddr, mut stopped: watch::Receiver<bool>)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let service = service_fn(move |request| {
        let state = state.clone();
        async move { Ok::<_, Infallible>(routes::answer(state, peer, request).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(MAX_HEAD_BYTES)
        .serve_connection(TokioIo::new(Unread::new(stream, UNREAD_TIMEOUT)), service);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = &mut connection => ended,
        () = async { drop(stopped.wait_for(|stopped| *stopped).await) } => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection to the web address broke");
    }
}

/// What a server that has started tells its operator, one line each.
pub fn announcement(config: &Config, demo: bool, offer: &first::Offer) -> Vec<String> {
    let mut lines = vec![
        format!("dashboard  {}/", config.web.public_url),
        format!("collector  {}/", config.collect.public_url),
    ];
    if demo {
        lines.push(format!("demo       {}/demo/", config.web.public_url));
    }
    match offer {
        first::Offer::NotNeeded => {}
        first::Offer::Code(code) => {
            lines.push(format!("sign in    with the code {code} (valid for 15 minutes, once)"))
        }
        first::Offer::File(path) => lines.push(sign_in_file(path)),
    }
    lines
}

fn sign_in_file(path: &Path) -> String {
    format!("sign in    with the code in {} (valid for 15 minutes, once)", path.display())
}
