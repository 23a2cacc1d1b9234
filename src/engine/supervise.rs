//! The parent's side: starts the engine, watches it, starts it again.
//!
//! In: the configuration and the binary to run. Out: an endpoint for
//! [`crate::store`], which is known before the engine runs, and a channel with
//! the engine's [`State`].
//!
//! Invariants: the engine never outlives its parent (it ends when the pipe to
//! its standard input closes, which the kernel does however the parent dies); a
//! new engine waits for the lock of an older one instead of failing; an engine
//! that cannot do a trivial statement is killed, since one that hangs would hold
//! the lock for ever.
//!
//! One rule finds all that can be wrong with an engine that runs: a beat is good
//! when the engine has done a statement that needs some memory (`/alive`), and
//! after [`MISSED_TICKS`] ticks without a good beat the engine is killed. A hang
//! gives no answer, an engine without memory refuses the statement, the
//! connection, or dies by itself.
//!
//! ```text
//! crash          at once
//! anything else  (MISSED_TICKS + 1) * TICK = 4.5 s after the last good beat, at the latest
//! ```
//!
//! Ticks are counted, not the clock: while the machine lets this process not run
//! either, they do not go on. An engine that is only slow has 4 s for some
//! milliseconds' work.
//!
//! Started again after [`FIRST_BACKOFF`], doubling to [`LAST_BACKOFF`]; to
//! [`LAST_BACKOFF_OF_READY`] if it had come as far as being ready, so that what
//! kills an engine now and then does not keep it away for long.
//!
//! It does not watch an engine that is starting ([`START_TIMEOUT`] is all): opening
//! many parts may take long, and nothing is there to be asked.

use std::path::PathBuf;
use std::pin::Pin;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Empty};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};

use super::directory::{self, DirectoryError};
use super::library;
use crate::config::{Config, ENVIRONMENT_PREFIX};
use crate::store::Endpoint;

/// How often the engine is looked at: a beat costs it some milliseconds.
const TICK: Duration = Duration::from_millis(500);
/// Ticks without a good beat after which the engine is killed, which makes 4.5 s
/// at most: it shall be found within 5 s. With all cores busy a beat takes some
/// hundred milliseconds.
const MISSED_TICKS: u32 = 8;
/// Opening many parts after a crash takes long; waiting for a lock too.
const START_TIMEOUT: Duration = Duration::from_secs(600);
const FIRST_BACKOFF: Duration = Duration::from_millis(100);
const LAST_BACKOFF: Duration = Duration::from_secs(10);
/// Found within 5 s, waited for this long and started in 1 or 2 s: back within 10 s.
const LAST_BACKOFF_OF_READY: Duration = Duration::from_secs(1);
/// An engine that ran for so long has not failed to start.
const STABLE_AFTER: Duration = Duration::from_secs(60);
/// More than the engine's own drain.
const STOP_TIMEOUT: Duration = Duration::from_secs(15);
/// The longest line of readiness that is read.
const MAX_LINE_BYTES: u64 = 64 << 10;

/// `CANNOT_ALLOCATE_MEMORY` and `MEMORY_LIMIT_EXCEEDED`.
const MEMORY_CODES: [u32; 2] = [173, 241];

/// A beat that waits for its answer.
type Beat = Pin<Box<dyn Future<Output = Result<(), Sickness>> + Send>>;

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
    /// It runs and does not do its work: to be killed.
    Sick(Box<Child>, Sickness),
    Stopped,
}

/// What the last beat of an engine came to that had no good one for too long.
#[derive(Clone, Debug, thiserror::Error)]
enum Sickness {
    #[error("no answer")]
    Silent,
    #[error("out of memory (exception {0})")]
    Memory(u32),
    #[error("exception {0}")]
    Exception(u32),
    #[error("no connection: {0}")]
    Refused(String),
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
            let end = self.live().await;
            if matches!(end, End::Stopped) {
                break;
            }
            let was_ready = self.state.borrow().phase == Phase::Ready;
            if begun.elapsed() > STABLE_AFTER {
                (attempt, backoff) = (0, FIRST_BACKOFF);
            }
            attempt += 1;
            // Said before the dead engine is out of the way: whoever looks sees at once that it is gone.
            self.state.send_modify(|state| {
                *state =
                    State { phase: Phase::Restarting { attempt }, restarts: state.restarts + 1, pid: None };
            });
            match end {
                End::Stopped => {}
                End::Exited(Ok(status)) => tracing::error!(%status, "the engine ended"),
                End::Exited(Err(error)) => tracing::error!(%error, "the engine cannot be started"),
                End::Sick(mut child, sickness) => {
                    tracing::error!(pid = child.id(), %sickness, "the engine does not work and is killed");
                    let _ = child.start_kill();
                    tokio::select! {
                        _ = child.wait() => {}
                        () = told(&mut self.stop) => break,
                    }
                }
            }
            let longest = if was_ready { LAST_BACKOFF_OF_READY } else { LAST_BACKOFF };
            tokio::select! {
                () = sleep(backoff.min(longest)) => {}
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
        let mut ticks = interval(TICK);
        // Late ticks are not made up for: see the module's documentation.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut missed = 0;
        let mut under_way = std::pin::pin!(None::<Beat>);
        let mut sickness = Sickness::Silent;
        loop {
            tokio::select! {
                biased;
                status = child.wait() => return End::Exited(status),
                () = told(&mut self.stop) => return stop(child, pipe).await,
                outcome = answered(under_way.as_mut()) => {
                    under_way.set(None);
                    match outcome {
                        Ok(()) => missed = 0,
                        Err(why) => {
                            tracing::warn!(%why, missed, "the engine refused a heartbeat");
                            sickness = why;
                        }
                    }
                }
                _ = ticks.tick() => {
                    if missed >= MISSED_TICKS {
                        let sickness = if under_way.is_some() { Sickness::Silent } else { sickness };
                        return End::Sick(Box::new(child), sickness);
                    }
                    missed += 1;
                    if under_way.is_none() {
                        under_way.set(Some(Box::pin(beat(self.socket.clone(), self.secret.clone()))));
                    }
                }
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

/// Resolves when the beat under way has its outcome; never, while there is none.
async fn answered(mut beat: Pin<&mut Option<Beat>>) -> Result<(), Sickness> {
    match beat.as_mut().as_pin_mut() {
        Some(beat) => beat.await,
        None => std::future::pending().await,
    }
}

/// One heartbeat, on a connection of its own.
async fn beat(socket: PathBuf, secret: String) -> Result<(), Sickness> {
    fn refused(error: impl std::fmt::Display) -> Sickness {
        Sickness::Refused(error.to_string())
    }
    let stream = tokio::net::UnixStream::connect(&socket).await.map_err(refused)?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(refused)?;
    let request = http::Request::get("/alive")
        .header(http::header::HOST, "engine")
        .header("X-ClickHouse-Key", secret)
        .body(Empty::<bytes::Bytes>::new())
        .map_err(refused)?;
    let answer = async {
        let response = sender.send_request(request).await.map_err(refused)?;
        let success = response.status().is_success();
        let code = response.headers().get("X-ClickHouse-Exception-Code");
        let code = code.and_then(|code| code.to_str().ok()?.parse().ok()).unwrap_or_default();
        response.into_body().collect().await.map_err(refused)?;
        match code {
            0 if success => Ok(()),
            code if MEMORY_CODES.contains(&code) => Err(Sickness::Memory(code)),
            code => Err(Sickness::Exception(code)),
        }
    };
    tokio::select! {
        answer = answer => answer,
        ended = connection => Err(refused(ended.err().map_or("it closed".to_owned(), |e| e.to_string()))),
    }
}
