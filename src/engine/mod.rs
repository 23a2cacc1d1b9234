//! The embedded ClickHouse, as a supervised child process.
//!
//! ```text
//! collector ── Supervisor ──► metka engine ──► libchdb (loaded at run time)
//!     │   pipe, heartbeat          │ ClickHouse's HTTP interface
//!     └──────── store ─────────────┘ on a Unix socket or loopback
//! ```
//!
//! In: statements over HTTP. Out: answers as a ClickHouse server would send
//! them, for the part of the interface that the official clients use. What is
//! not supported (external tables, roles, other content codings, `input()`,
//! progress headers) answers with an exception that says so, or is ignored
//! where ClickHouse allows that.
//!
//! On disk, below the data directory:
//!
//! ```text
//! engine.sock       the Unix socket, 0600
//! engine/lock       flock'ed by the one engine that may run; holds its process id
//! engine/secret     the password of user `default`, 64 hex digits, 0600
//! engine/config.xml written at each start: what the library must (not) do
//! engine/clickhouse the library's own directory
//! ```
//!
//! Invariants: one engine per data directory; the library's server log tables
//! do not exist; nothing leaks from one statement to the next; an answer that
//! broke off is never taken for a whole one; the process ends when its
//! parent's pipe closes.
//!
//! - [`library`]: the library's functions, safe to call
//! - [`directory`]: what is on disk, the lock, the secret
//! - [`server`]: the HTTP side
//! - [`request`], [`form`], [`statement`]: what a request asks for
//! - [`session`]: connections, and settings that do not leak
//! - [`run`]: one statement from request to answer
//! - [`pieces`], [`codec`], [`body`]: the answer's bytes
//! - [`exception`]: codes, texts, statuses
//! - [`supervise`]: the parent's side

pub mod body;
pub mod codec;
pub mod directory;
pub mod exception;
pub mod form;
pub mod library;
pub mod pieces;
pub mod request;
pub mod run;
pub mod server;
pub mod session;
pub mod statement;
pub mod supervise;

use std::net::SocketAddr;
use std::path::PathBuf;

pub use supervise::{State, Supervisor};

/// How `metka engine` runs.
#[derive(Clone, Debug)]
pub struct EngineOptions {
    /// Absolute: a relative path breaks inserts once parts are fsynced.
    pub data_dir: PathBuf,
    /// `engine.library`; searched when not set.
    pub library: Option<PathBuf>,
    /// What all statements together may use.
    pub max_memory_bytes: u64,
    pub listen: Listen,
    /// End when standard input does.
    pub parent_pipe: bool,
    /// Wait for another engine's lock instead of failing.
    pub wait_for_lock: bool,
}

/// Where the engine listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listen {
    /// `engine.sock` in the data directory.
    Unix,
    /// A loopback address; port 0 is any free one.
    Tcp(SocketAddr),
}

/// Why the engine does not run.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    #[error(transparent)]
    Directory(#[from] directory::DirectoryError),
    #[error(transparent)]
    Library(#[from] library::LibraryError),
    /// The library refuses the directory; its own words are on standard error.
    #[error("the ClickHouse library cannot open {path}: {reason}", path = .0.display(), reason = .1)]
    Open(PathBuf, String),
    #[error("engine: --listen {0} is not a loopback address; the engine has no encryption")]
    NotLoopback(SocketAddr),
    #[error("engine: cannot listen on {0}: {1}")]
    Bind(String, std::io::Error),
    #[error("engine: {0}: {1}")]
    System(&'static str, std::io::Error),
}

/// Runs the engine until it is told to end.
pub fn run(options: EngineOptions) -> Result<(), EngineError> {
    server::run(options)
}
