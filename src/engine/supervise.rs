//! The parent's side: starts the engine, watches it, starts it again.
//!
//! In: the configuration and the binary to run. Out: an endpoint for
//! [`crate::store`], which is known before the engine runs, and a channel with
//! the engine's [`State`].
//!
//! Invariants: the engine never outlives its parent (it ends when the pipe to
//! its standard input closes, which the kernel does however the parent dies); a
//! new engine waits for the lock of an older one instead of failing; an engine
//! that does not answer is killed, since one that hangs would hold the lock
//! for ever.
//!
//! Limits: a heartbeat every [`HEARTBEAT`]; killed when one takes
//! [`HUNG_AFTER`] or [`REFUSED_BEATS`] in a row are refused; restarts after
//! [`FIRST_BACKOFF`], doubling to [`LAST_BACKOFF`].

use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Empty};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use super::directory::{self, DirectoryError};
use super::library;
use crate::config::{Config, ENVIRONMENT_PREFIX};
use crate::store::Endpoint;

/// A crash is noticed at once, a hang within this and [`HUNG_AFTER`].
const HEARTBEAT: Duration = Duration::from_secs(1);
/// `SELECT 1` takes a millisecond; with all cores busy some hundred.
const HUNG_AFTER: Duration = Duration::from_secs(5);
/// Refused connections of a process that is there: its socket is gone.
const REFUSED_BEATS: u32 = 5;
/// Opening many parts after a crash takes long; waiting for a lock too.
const START_TIMEOUT: Duration = Duration::from_secs(600);
const FIRST_BACKOFF: Duration = Duration::from_millis(100);
const LAST_BACKOFF: Duration = Duration::from_secs(10);
/// An engine that ran for so long has not failed to start.
const STABLE_AFTER: Duration = Duration::from_secs(60);
/// More than the engine's own drain.
const STOP_TIMEOUT: Duration = Duration::from_secs(15);
/// The longest line of readiness that is read.
const MAX_LINE_BYTES: u64 = 64 << 10;

/// What the engine is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    pub phase: Phase,
    /// How often it was started again.
    pub restarts: u64,
    /// The process, while there is one.
    pub pid: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    Starting,
    Ready,
    /// It ended or was killed, and is being started for the `attempt`th time in a row.
    Restarting {
        attempt: u32,
    },
    Stopped,
}

/// The engine's keeper. Dropping it kills the engine; [`Supervisor::stop`] ends it.
pub struct Supervisor {
    endpoint: Endpoint,
    state: watch::Receiver<State>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

/// How one engine's life ended.
enum End {
    Exited(std::io::Result<ExitStatus>),
    Stopped,
}

struct Keeper {
    exe: PathBuf,
    arguments: Vec<std::ffi::OsString>,
    socket: PathBuf,
    secret: String,
    state: Arc<watch::Sender<State>>,
    stop: watch::Receiver<bool>,
}

// === impl State ===

impl State {
    /// `starting ready restarting stopped`
    pub fn name(&self) -> &'static str {
        match self.phase {
            Phase::Starting => "starting",
            Phase::Ready => "ready",
            Phase::Restarting { .. } => "restarting",
            Phase::Stopped => "stopped",
        }
    }

    pub fn restarts(&self) -> u64 {
        self.restarts
    }
}

// === impl Supervisor ===

impl Supervisor {
    /// Starts `exe engine` for this configuration and keeps it running. Needs a
    /// tokio runtime; returns before the engine is ready.
    pub fn start(config: &Config, exe: PathBuf) -> Result<Supervisor, DirectoryError> {
        let secret = directory::secret(&config.data_dir)?;
        let socket = directory::socket_path(&config.data_dir);
        if socket.as_os_str().len() > directory::MAX_SOCKET_PATH_BYTES {
            return Err(DirectoryError::SocketPath(socket));
        }
        if let Err(error) = library::find(config.engine.library.as_deref()) {
            tracing::error!("{error}");
        }
        let mut arguments = vec!["engine".into(), "--data".into(), config.data_dir.clone().into_os_string()];
        arguments.extend(["--parent-pipe".into(), "--wait-for-lock".into(), "--max-memory-bytes".into()]);
        arguments.push(config.engine.max_memory_bytes.to_string().into());
        if let Some(library) = &config.engine.library {
            arguments.extend(["--library".into(), library.clone().into_os_string()]);
        }
        let (state, states) = watch::channel(State { phase: Phase::Starting, restarts: 0, pid: None });
        let (stop, stopped) = watch::channel(false);
        let keeper = Keeper {
            exe,
            arguments,
            socket: socket.clone(),
            secret: secret.clone(),
            state: Arc::new(state),
            stop: stopped,
        };
        Ok(Supervisor {
            endpoint: Endpoint::Unix { path: socket, secret },
            state: states,
            stop,
            task: tokio::spawn(keeper.keep()),
        })
    }

    /// Where the engine is, or will be.
    pub fn endpoint(&self) -> Endpoint {
        self.endpoint.clone()
    }

    /// What the engine is doing, now and later.
    pub fn state(&self) -> watch::Receiver<State> {
        self.state.clone()
    }

    /// Ends the engine in order: statements under way are waited for.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        // The task ends by its own bounds.
        let _ = (&mut self.task).await;
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        // The child is killed with the task that holds it.
        self.task.abort();
    }
}

// === impl Keeper ===

impl Keeper {
    async fn keep(mut self) {
        let mut attempt = 0;
        let mut backoff = FIRST_BACKOFF;
        loop {
            let begun = Instant::now();
            match self.live().await {
                End::Stopped => break,
                End::Exited(Ok(status)) => tracing::error!(%status, "the engine ended"),
                End::Exited(Err(error)) => tracing::error!(%error, "the engine cannot be started"),
            }
            if begun.elapsed() > STABLE_AFTER {
                (attempt, backoff) = (0, FIRST_BACKOFF);
            }
            attempt += 1;
            self.state.send_modify(|state| {
                *state =
                    State { phase: Phase::Restarting { attempt }, restarts: state.restarts + 1, pid: None };
            });
            tokio::select! {
                () = sleep(backoff) => {}
                () = told(&mut self.stop) => break,
            }
            backoff = (backoff * 2).min(LAST_BACKOFF);
        }
        self.state.send_modify(|state| {
            state.phase = Phase::Stopped;
            state.pid = None;
        });
    }

    /// One engine from its start to its end.
    async fn live(&mut self) -> End {
        let mut command = Command::new(&self.exe);
        command
            .args(&self.arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .kill_on_drop(true);
        // What the child needs is in its arguments; the parent's file is not read again.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with(ENVIRONMENT_PREFIX) && name != crate::log::VARIABLE {
                command.env_remove(name);
            }
        }
        let mut child = match command.spawn() {
            Ok(child) => child,
            Err(error) => return End::Exited(Err(error)),
        };
        self.state.send_modify(|state| state.pid = child.id());
        let (Some(output), Some(pipe)) = (child.stdout.take(), child.stdin.take()) else {
            return End::Exited(Err(std::io::Error::other("no pipes to the engine")));
        };
        let mut line = String::new();
        let mut output = BufReader::new(tokio::io::AsyncReadExt::take(output, MAX_LINE_BYTES));
        let ready = tokio::select! {
            read = timeout(START_TIMEOUT, output.read_line(&mut line)) => Some(matches!(read, Ok(Ok(1..)))),
            () = told(&mut self.stop) => None,
        };
        let Some(ready) = ready else { return stop(child, pipe).await };
        if !ready {
            let _ = child.start_kill();
            return End::Exited(child.wait().await);
        }
        self.state.send_modify(|state| state.phase = Phase::Ready);
        tracing::info!(pid = child.id(), "the engine is ready");
        self.watch(child, pipe).await
    }

    /// `pipe` is held apart from the child, whose `wait` would close it.
    async fn watch(&mut self, mut child: Child, pipe: ChildStdin) -> End {
        let mut refused = 0;
        loop {
            tokio::select! {
                status = child.wait() => return End::Exited(status),
                () = told(&mut self.stop) => return stop(child, pipe).await,
                () = sleep(HEARTBEAT) => {}
            }
            let beat = tokio::select! {
                status = child.wait() => return End::Exited(status),
                () = told(&mut self.stop) => return stop(child, pipe).await,
                beat = timeout(HUNG_AFTER, beat(&self.socket, &self.secret)) => beat,
            };
            let hung = match beat {
                // Any answer is a sign of life, an exception too: it may be out of memory.
                Ok(Ok(())) => {
                    refused = 0;
                    false
                }
                Ok(Err(error)) => {
                    refused += 1;
                    tracing::warn!(%error, refused, "the engine refused a heartbeat");
                    refused >= REFUSED_BEATS
                }
                Err(_) => true,
            };
            if hung {
                tracing::error!(pid = child.id(), "the engine hangs and is killed");
                let _ = child.start_kill();
                return End::Exited(child.wait().await);
            }
        }
    }
}

/// Resolves when the supervisor is told to stop, or is gone.
async fn told(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

/// Ends an engine: first by asking, at last by force.
async fn stop(mut child: Child, pipe: ChildStdin) -> End {
    drop(pipe);
    if let Some(pid) = child.id().and_then(|pid| rustix::process::Pid::from_raw(pid.cast_signed())) {
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
    }
    if timeout(STOP_TIMEOUT, child.wait()).await.is_err() {
        tracing::error!("the engine does not end and is killed");
        let _ = child.kill().await;
    }
    End::Stopped
}

/// One heartbeat, on a connection of its own.
async fn beat(socket: &Path, secret: &str) -> std::io::Result<()> {
    let stream = tokio::net::UnixStream::connect(socket).await?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(std::io::Error::other)?;
    let request = http::Request::get("/alive")
        .header(http::header::HOST, "engine")
        .header("X-ClickHouse-Key", secret)
        .body(Empty::<bytes::Bytes>::new())
        .map_err(std::io::Error::other)?;
    let answer = async {
        let response = sender.send_request(request).await.map_err(std::io::Error::other)?;
        response.into_body().collect().await.map_err(std::io::Error::other)?;
        Ok(())
    };
    tokio::select! {
        answer = answer => answer,
        ended = connection => Err(ended.err().map_or_else(
            || std::io::Error::other("the connection closed"),
            std::io::Error::other,
        )),
    }
}
