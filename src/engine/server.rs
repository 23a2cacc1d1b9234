//! The HTTP side: sockets, routes, authentication, limits, the end.
//!
//! | request | answer |
//! |---|---|
//! | `GET /ping`, `GET /` without a query, `GET /replicas_status` | `Ok.` |
//! | `GET /alive` (with the secret) | `Ok.` after a statement that needs some memory, outside of the queue of statements |
//! | `GET`, `POST /` | a statement |
//!
//! Limits: [`MAX_CONNECTIONS`] connections, [`MAX_STATEMENTS`] statements at a
//! time, [`QUEUE_WAIT`] in the queue (then exception 202), headers of at most
//! [`MAX_HEADERS`] lines and [`HEADER_BYTES`].

use std::convert::Infallible;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::{Method, Response, header};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use subtle::ConstantTimeEq;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Semaphore, oneshot, watch};

use super::body::{self, AnswerBody, Breaker};
use super::directory::{self, Directory, DirectoryError};
use super::exception::{Code, Exception};
use super::library::{self, Connection, Library};
use super::request::Request;
use super::run::{self, Core};
use super::session::Sessions;
use super::{EngineError, EngineOptions, Listen};
use crate::privacy::memory;

/// Statements that run at a time: the shipper, some jobs and a dashboard's
/// panels. Each is a thread and a connection of its own.
pub const MAX_STATEMENTS: usize = 24;
/// Connections at a time; beyond it new ones wait in the kernel's backlog.
pub const MAX_CONNECTIONS: usize = 512;
/// How long a statement waits for its turn.
const QUEUE_WAIT: Duration = Duration::from_secs(30);
/// Header lines of one request.
const MAX_HEADERS: usize = 100;
/// The request line and the headers: a URL of 64 KiB and ordinary headers.
const HEADER_BYTES: usize = 96 << 10;
/// A client that says nothing for so long is cut off.
const HEADER_TIMEOUT: Duration = Duration::from_secs(120);
/// How long the end waits for statements under way.
const DRAIN: Duration = Duration::from_secs(8);
/// The library parses on the calling thread and guards its stack at 8 MiB.
const STACK_BYTES: usize = 8 << 20;
/// Threads beyond statements: `/alive` and the start.
const SPARE_THREADS: usize = 4;

/// Address space that must be left for `/alive`: the stack of a thread and the
/// buffers of an insert. It is asked for and not touched, which takes microseconds.
const ROOM_BYTES: usize = 64 << 20;
/// What the statement of `/alive` allocates at least, so that `max_server_memory_usage` has its say.
const ALIVE_BYTES: usize = 4 << 20;
/// As if the engine used half of the machine's memory more (1000 would be all of it).
const OOM_SCORE: i32 = 500;
/// A tenth of what a thread of the collector gets of a core that both want: enough for a heartbeat
/// in time when hits take all they can.
const NICENESS: i32 = 10;

struct Server {
    core: Core,
    secret: String,
    statements: Arc<Semaphore>,
    ending: AtomicBool,
}

/// Runs the engine until SIGTERM, SIGINT or the end of the parent's pipe.
pub fn run(options: EngineOptions) -> Result<(), EngineError> {
    if let Listen::Tcp(address) = options.listen
        && !address.ip().is_loopback()
    {
        return Err(EngineError::NotLoopback(address));
    }
    let socket = directory::socket_path(&options.data_dir);
    if options.listen == Listen::Unix && socket.as_os_str().len() > directory::MAX_SOCKET_PATH_BYTES {
        return Err(DirectoryError::SocketPath(socket).into());
    }
    offer_to_the_oom_killer();
    let (input, output) = take_standard_streams()?;
    let (end, ended) = watch::channel(false);
    let end = Arc::new(end);
    if options.parent_pipe {
        yield_to_the_collector();
        watch_pipe(input, Arc::clone(&end))?;
    }
    // The library first: without it nothing on the disk need change.
    let library =
        Library::load(&library::find(options.library.as_deref()).map_err(library::LibraryError::from)?)?;
    let directory = Directory::open(&options.data_dir, options.wait_for_lock)?;
    let secret = directory::secret(&options.data_dir)?;
    let arguments = directory.arguments(options.max_memory_bytes)?;
    let open_error = |reason: String| EngineError::Open(directory.root.clone(), reason);
    let sessions = Sessions::new(library, arguments);
    // Held to the end: the engine stops with its last connection.
    let mut anchor = sessions.connect().map_err(|exception| open_error(exception.text))?;
    let core = describe(&mut anchor, sessions).map_err(|exception| open_error(exception.text))?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(MAX_STATEMENTS + SPARE_THREADS)
        .thread_stack_size(STACK_BYTES)
        .thread_name("engine")
        .enable_all()
        .build()
        .map_err(|error| EngineError::System("cannot start threads", error))?;
    let server = Arc::new(Server {
        core,
        secret,
        statements: Arc::new(Semaphore::new(MAX_STATEMENTS)),
        ending: AtomicBool::new(false),
    });
    let outcome = runtime.block_on(serve(Arc::clone(&server), &options, output, end, ended));
    let _ = std::fs::remove_file(&socket);
    let idle = server.statements.available_permits() == MAX_STATEMENTS;
    server.core.sessions.close_all();
    runtime.shutdown_timeout(Duration::from_secs(1));
    drop(anchor);
    if idle {
        library.shutdown();
    }
    // The lock goes with the process, after everything else.
    drop(directory);
    outcome
}

/// When the machine runs out of memory, the kernel takes the engine and not the
/// collector, whose spool covers the gap.
fn offer_to_the_oom_killer() {
    let path = "/proc/self/oom_score_adj";
    let now = std::fs::read_to_string(path).ok().and_then(|text| text.trim().parse::<i32>().ok());
    let write = || memory::while_open(|| std::fs::write(path, OOM_SCORE.to_string())).flatten();
    if now.is_some_and(|now| now < OOM_SCORE)
        && let Err(error) = write()
    {
        eprintln!("engine: {path} stays as it is: {error}");
    }
}

/// Merges and questions can wait, a hit that is late is lost to its page. Threads
/// inherit this, so it comes before there is a second one.
fn yield_to_the_collector() {
    if let Err(error) = rustix::process::nice(NICENESS) {
        eprintln!("engine: its priority stays as it is: {error}");
    }
}

/// Standard input and output under other numbers: the library must neither
/// read the parent's pipe (`INSERT` without rows would) nor write among the
/// lines that the parent reads.
fn take_standard_streams() -> Result<(std::fs::File, std::fs::File), EngineError> {
    let system =
        |error: rustix::io::Errno| EngineError::System("cannot move the standard streams", error.into());
    let input = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3).map_err(system)?;
    let output = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdout(), 3).map_err(system)?;
    let null = std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/null")
        .map_err(|error| EngineError::System("cannot open /dev/null", error))?;
    rustix::stdio::dup2_stdin(&null).map_err(system)?;
    rustix::stdio::dup2_stdout(rustix::stdio::stderr()).map_err(system)?;
    Ok((input.into(), output.into()))
}

/// Ends the engine when the pipe does, and the process when the end takes too
/// long: an engine without its parent must not hold the lock.
fn watch_pipe(mut pipe: std::fs::File, end: Arc<watch::Sender<bool>>) -> Result<(), EngineError> {
    std::thread::Builder::new()
        .name("parent-pipe".to_owned())
        .spawn(move || {
            let mut buffer = [0; 64];
            while let Ok(1..) = std::io::Read::read(&mut pipe, &mut buffer) {}
            end.send_replace(true);
            give_up_after(DRAIN + Duration::from_secs(2));
        })
        .map_err(|error| EngineError::System("cannot start a thread", error))?;
    Ok(())
}

#[expect(
    clippy::disallowed_methods,
    reason = "a thread of its own ends a process that hangs at its end; the library's files survive that"
)]
fn give_up_after(grace: Duration) {
    std::thread::sleep(grace);
    std::process::exit(0);
}

fn describe(anchor: &mut Connection, sessions: Sessions) -> Result<Core, Exception> {
    let mut ask = |sql: &str| -> Result<String, Exception> {
        Ok(String::from_utf8_lossy(anchor.query(sql, "RawBLOB", &Vec::new())?.as_ref()).into_owned())
    };
    Ok(Core {
        version: ask("SELECT version()")?,
        timezone: ask("SELECT timezone()")?,
        display_name: "metka-engine".to_owned(),
        sessions,
    })
}

async fn serve(
    server: Arc<Server>,
    options: &EngineOptions,
    output: std::fs::File,
    end: Arc<watch::Sender<bool>>,
    mut ended: watch::Receiver<bool>,
) -> Result<(), EngineError> {
    for kind in [tokio::signal::unix::SignalKind::terminate(), tokio::signal::unix::SignalKind::interrupt()] {
        let mut signal = tokio::signal::unix::signal(kind)
            .map_err(|error| EngineError::System("cannot wait for signals", error))?;
        let end = Arc::clone(&end);
        tokio::spawn(async move {
            signal.recv().await;
            end.send_replace(true);
        });
    }
    let connections = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    match options.listen {
        Listen::Unix => {
            let path = directory::socket_path(&options.data_dir);
            // Left by an engine that was killed; the lock says that none runs.
            let _ = std::fs::remove_file(&path);
            let bind = |error| EngineError::Bind(path.display().to_string(), error);
            let listener = tokio::net::UnixListener::bind(&path).map_err(bind)?;
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).map_err(bind)?;
            announce(&server, output, &format!("unix:{}", path.display()));
            loop {
                let permit = Arc::clone(&connections).acquire_owned().await;
                tokio::select! {
                    accepted = listener.accept() => match accepted {
                        Ok((stream, _)) => spawn_connection(&server, stream, permit.ok(), ended.clone()),
                        Err(error) => accept_failed(error).await,
                    },
                    _ = ended.changed() => break,
                }
            }
        }
        Listen::Tcp(address) => {
            let bind = |error| EngineError::Bind(address.to_string(), error);
            let listener = tokio::net::TcpListener::bind(address).await.map_err(bind)?;
            announce(&server, output, &format!("http://{}", listener.local_addr().map_err(bind)?));
            loop {
                let permit = Arc::clone(&connections).acquire_owned().await;
                tokio::select! {
                    accepted = listener.accept() => match accepted {
                        Ok((stream, _)) => {
                            let _ = stream.set_nodelay(true);
                            spawn_connection(&server, stream, permit.ok(), ended.clone());
                        }
                        Err(error) => accept_failed(error).await,
                    },
                    _ = ended.changed() => break,
                }
            }
        }
    }
    server.ending.store(true, Ordering::Release);
    let all = u32::try_from(MAX_CONNECTIONS).expect("a small number");
    let _ = tokio::time::timeout(DRAIN, connections.acquire_many(all)).await;
    Ok(())
}

/// Tells the parent that statements are taken, and where.
fn announce(server: &Server, mut output: std::fs::File, listen: &str) {
    let line = serde_json::json!({
        "listen": listen,
        "version": server.core.version,
        "pid": std::process::id(),
    });
    // A parent that does not read is no reason not to serve.
    let _ = std::io::Write::write_all(&mut output, format!("{line}\n").as_bytes());
}

/// Out of file descriptors: wait for some to close.
async fn accept_failed(error: std::io::Error) {
    eprintln!("engine: cannot accept a connection: {error}");
    tokio::time::sleep(Duration::from_millis(100)).await;
}

fn spawn_connection<S>(
    server: &Arc<Server>,
    stream: S,
    permit: Option<tokio::sync::OwnedSemaphorePermit>,
    mut ended: watch::Receiver<bool>,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let server = Arc::clone(server);
    tokio::spawn(async move {
        let _permit = permit;
        let breaker = Arc::new(Breaker::default());
        let service = {
            let breaker = Arc::clone(&breaker);
            service_fn(move |request| {
                let (server, breaker) = (Arc::clone(&server), Arc::clone(&breaker));
                async move { Ok::<_, Infallible>(server.answer(request, breaker).await) }
            })
        };
        let io = TokioIo::new(Watched { stream, breaker: Arc::clone(&breaker) });
        let connection = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_TIMEOUT)
            .max_headers(MAX_HEADERS)
            .max_buf_size(HEADER_BYTES)
            .serve_connection(io, service);
        tokio::pin!(connection);
        let mut draining = false;
        loop {
            tokio::select! {
                _ = &mut connection => return,
                // Dropping the connection cuts it off inside of the answer.
                () = breaker.broken() => return,
                _ = ended.changed(), if !draining => {
                    draining = true;
                    connection.as_mut().graceful_shutdown();
                }
            }
        }
    });
}

// === impl Server ===

impl Server {
    async fn answer(
        self: Arc<Self>,
        request: http::Request<Incoming>,
        breaker: Arc<Breaker>,
    ) -> Response<AnswerBody> {
        match self.clone().route(request, breaker).await {
            Ok(response) => response,
            Err(exception) => run::failure(&exception, &self.core.version, &self.core.display_name),
        }
    }

    async fn route(
        self: Arc<Self>,
        request: http::Request<Incoming>,
        breaker: Arc<Breaker>,
    ) -> Result<Response<AnswerBody>, Exception> {
        let (parts, incoming) = request.into_parts();
        let reads = matches!(parts.method, Method::GET | Method::HEAD);
        match parts.uri.path() {
            "/ping" | "/replicas_status" if reads => return Ok(ok()),
            "/" if reads && parts.uri.query().is_none() => return Ok(ok()),
            "/" if matches!(parts.method, Method::GET | Method::POST) => {}
            "/alive" if reads => {}
            "/" => {
                return Err(Exception::new(
                    Code::NotImplemented,
                    format_args!("the method {} is not supported by the embedded engine", parts.method),
                ));
            }
            _ => return Ok(no_such_path()),
        }
        // The body is read whatever comes of it, so that the client gets its answer.
        let body = body::inbound(incoming);
        let request = Request::read(&parts)?;
        self.authenticate(&request)?;
        if parts.uri.path() == "/alive" {
            let alive = tokio::task::spawn_blocking(move || self.prove_alive());
            return alive.await.map_err(|_| Exception::without_answer())?.map(|()| ok());
        }
        let statements = Arc::clone(&self.statements);
        let permit = match tokio::time::timeout(QUEUE_WAIT, statements.acquire_owned()).await {
            Ok(Ok(permit)) if !self.ending.load(Ordering::Acquire) => permit,
            Ok(_) => {
                return Err(Exception::new(Code::Aborted, "the engine is ending and takes no statement"));
            }
            Err(_) => {
                return Err(Exception::new(
                    Code::TooManySimultaneousQueries,
                    format_args!("Too many simultaneous queries. Maximum: {MAX_STATEMENTS}"),
                ));
            }
        };
        let (head, answered) = oneshot::channel();
        tokio::task::spawn_blocking(move || {
            run::run(&self.core, request, body, breaker, head);
            drop(permit);
        });
        answered.await.map_err(|_| Exception::without_answer())
    }

    /// Does what the smallest insert needs: a thread, a connection, a statement, memory.
    fn prove_alive(&self) -> Result<(), Exception> {
        // Memory that the library holds back for itself says nothing of what others get.
        let mut room = Vec::<u8>::new();
        room.try_reserve_exact(ROOM_BYTES).map_err(|_| {
            Exception::new(Code::CannotAllocateMemory, "the system gives the engine no more memory")
        })?;
        drop(std::hint::black_box(room));
        // `materialize`: else it is done once and for all while the statement is read.
        let statement =
            format!("SELECT length(repeat(materialize('0123456789abcdef'), {}))", ALIVE_BYTES / 16);
        self.core.sessions.connect()?.query(&statement, "RawBLOB", &Vec::new()).map(drop)
    }

    fn authenticate(&self, request: &Request) -> Result<(), Exception> {
        let right = request.password.ct_eq(self.secret.as_bytes());
        if request.user == "default" && bool::from(right) {
            return Ok(());
        }
        Err(Exception::new(
            Code::AuthenticationFailed,
            format_args!(
                "{}: Authentication failed: password is incorrect, or there is no user with such name",
                request.user.escape_default()
            ),
        ))
    }
}

fn ok() -> Response<AnswerBody> {
    Response::builder()
        .header(header::CONTENT_TYPE, "text/html; charset=UTF-8")
        .body(AnswerBody::ready("Ok.\n"))
        .expect("names and values are valid")
}

fn no_such_path() -> Response<AnswerBody> {
    Response::builder()
        .status(http::StatusCode::NOT_FOUND)
        .header(header::CONTENT_TYPE, "text/plain; charset=UTF-8")
        .body(AnswerBody::ready("There is no such path. Use / for queries and /ping for health checks.\n"))
        .expect("names and values are valid")
}

/// A stream that tells its breaker when hyper has written out all it holds.
struct Watched<S> {
    stream: S,
    breaker: Arc<Breaker>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
        buffer: &mut tokio::io::ReadBuf<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        std::pin::Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
        bytes: &[u8],
    ) -> std::task::Poll<std::io::Result<usize>> {
        std::pin::Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        let flushed = std::pin::Pin::new(&mut self.stream).poll_flush(context);
        if flushed.is_ready() {
            self.breaker.written_out();
        }
        flushed
    }

    fn poll_shutdown(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        std::pin::Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
        bytes: &[std::io::IoSlice<'_>],
    ) -> std::task::Poll<std::io::Result<usize>> {
        std::pin::Pin::new(&mut self.stream).poll_write_vectored(context, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
