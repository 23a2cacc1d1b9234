//! Connections: one for each statement, or one kept for each session.
//!
//! A connection to the running engine opens in a third of a millisecond and
//! has settings and a current database of its own. So each statement gets a
//! fresh one, and nothing can leak from one statement to another. A request
//! with a `session_id` needs more only once its session has a state: from its
//! first `SET`, `USE` or `CREATE TEMPORARY TABLE` on, the session keeps its
//! connection, and settings of a request are put back after it.
//!
//! Limits: at most [`MAX_SESSIONS`] kept; one that is idle for its
//! `session_timeout` is closed; two statements at a time in one session are
//! refused with exception 373, as ClickHouse does.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::{Duration, Instant};

use super::exception::{Code, Exception};
use super::library::{Connection, Library};
use super::request::{Request, Session};

/// Sessions with a state; each holds a connection, some 100 kB.
pub const MAX_SESSIONS: usize = 64;

/// A statement's answer is out a moment before its settings are put back; the
/// next statement of the same client waits for that.
const SESSION_WAIT: Duration = Duration::from_secs(1);

/// Where the engine differs from a server, and what must hold whatever its
/// defaults become: an acknowledged insert is written, a typing error is not a
/// SELECT, no query writes a log table.
const BASE_SETTINGS: &str = "SET implicit_select = 0, allow_introspection_functions = 0, async_insert = 0, \
                             log_queries = 0, log_query_threads = 0, log_processors_profiles = 0, \
                             storage_file_read_method = 'pread'";

/// Opens connections and keeps those of sessions.
pub struct Sessions {
    library: &'static Library,
    /// What the first connection was opened with; the path must be the same.
    arguments: Vec<String>,
    kept: Mutex<HashMap<String, Kept>>,
}

struct Kept {
    connection: Arc<Mutex<Connection>>,
    used: Instant,
    idle: Duration,
}

/// The connection that a statement runs on.
pub enum Lease {
    Fresh(Connection),
    Kept(Arc<Mutex<Connection>>),
}

// === impl Sessions ===

impl Sessions {
    pub fn new(library: &'static Library, arguments: Vec<String>) -> Sessions {
        Sessions { library, arguments, kept: Mutex::default() }
    }

    /// A connection with the base settings.
    pub fn connect(&self) -> Result<Connection, Exception> {
        let mut connection = self
            .library
            .connect(&self.arguments)
            .ok_or_else(|| Exception::new(Code::Aborted, "the engine is closed and takes no statement"))?;
        connection.query(BASE_SETTINGS, "TabSeparated", &Vec::new())?;
        Ok(connection)
    }

    /// The connection for a request; `stateful` when its statement acts on the session.
    pub fn lease(&self, session: Option<&Session>, stateful: bool) -> Result<Lease, Exception> {
        let Some(session) = session else { return Ok(Lease::Fresh(self.connect()?)) };
        let mut kept = self.kept();
        let now = Instant::now();
        kept.retain(|_, kept| {
            now.duration_since(kept.used) < kept.idle || Arc::strong_count(&kept.connection) > 1
        });
        if let Some(known) = kept.get_mut(&session.id) {
            known.used = now;
            known.idle = Duration::from_secs(session.seconds);
            return Ok(Lease::Kept(Arc::clone(&known.connection)));
        }
        if session.check {
            return Err(Exception::new(
                Code::SessionNotFound,
                format_args!("Session {} not found", session.id),
            ));
        }
        if !stateful {
            return Ok(Lease::Fresh(self.connect()?));
        }
        if kept.len() >= MAX_SESSIONS {
            return Err(Exception::new(
                Code::TooManySimultaneousQueries,
                format_args!("the embedded engine keeps at most {MAX_SESSIONS} sessions"),
            ));
        }
        let connection = Arc::new(Mutex::new(self.connect()?));
        let idle = Duration::from_secs(session.seconds);
        kept.insert(session.id.clone(), Kept { connection: Arc::clone(&connection), used: now, idle });
        Ok(Lease::Kept(connection))
    }

    /// Forgets a session.
    pub fn close(&self, session: &Session) {
        self.kept().remove(&session.id);
    }

    /// Forgets all sessions; their connections close when their statements end.
    pub fn close_all(&self) {
        self.kept().clear();
    }

    fn kept(&self) -> MutexGuard<'_, HashMap<String, Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Lease ===

impl Lease {
    /// Runs `work` on the connection with the request's database and settings,
    /// which a kept connection does not keep.
    pub fn with<T>(
        self,
        request: &Request,
        reads_only: bool,
        work: impl FnOnce(&mut Connection) -> Result<T, Exception>,
    ) -> Result<T, Exception> {
        match self {
            Lease::Fresh(mut connection) => {
                apply(&mut connection, request.database.as_deref(), &request.settings)?;
                work(&mut connection)
            }
            Lease::Kept(connection) => {
                let mut connection = locked(&connection).ok_or_else(|| {
                    Exception::new(Code::SessionIsLocked, "Session is locked by a concurrent client")
                })?;
                let mut settings = request.settings.clone();
                // `readonly` cannot be taken back, so it is checked here instead.
                if settings.iter().any(|(name, value)| name == "readonly" && value != "0") {
                    if !reads_only {
                        return Err(Exception::new(
                            Code::BadArguments,
                            "Cannot execute query in readonly mode in a session with a state",
                        ));
                    }
                    settings.retain(|(name, _)| name != "readonly");
                }
                let mut before = Vec::new();
                for (name, _) in &settings {
                    let sql = format!("SELECT value FROM system.settings WHERE name = {}", quoted(name));
                    let answer = connection.query(&sql, "RawBLOB", &Vec::new())?;
                    before.push((name.clone(), String::from_utf8_lossy(answer.as_ref()).into_owned()));
                }
                let database = match &request.database {
                    Some(_) => Some(connection.query("SELECT currentDatabase()", "RawBLOB", &Vec::new())?),
                    None => None,
                };
                let database = database.map(|answer| String::from_utf8_lossy(answer.as_ref()).into_owned());
                apply(&mut connection, request.database.as_deref(), &settings)?;
                let outcome = work(&mut connection);
                apply(&mut connection, database.as_deref(), &before)?;
                outcome
            }
        }
    }
}

/// The connection, if it gets free within [`SESSION_WAIT`].
fn locked(connection: &Mutex<Connection>) -> Option<MutexGuard<'_, Connection>> {
    let begun = Instant::now();
    loop {
        match connection.try_lock() {
            Ok(locked) => return Some(locked),
            Err(TryLockError::Poisoned(poisoned)) => return Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) if begun.elapsed() > SESSION_WAIT => return None,
            #[expect(
                clippy::disallowed_methods,
                reason = "a statement's thread may block, and a mutex has no timed lock"
            )]
            Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(1)),
        }
    }
}

fn apply(
    connection: &mut Connection,
    database: Option<&str>,
    settings: &[(String, String)],
) -> Result<(), Exception> {
    if let Some(database) = database {
        let name = database.replace('\\', "\\\\").replace('`', "\\`");
        connection.query(&format!("USE `{name}`"), "TabSeparated", &Vec::new())?;
    }
    if !settings.is_empty() {
        let list: Vec<String> =
            settings.iter().map(|(name, value)| format!("{name} = {}", quoted(value))).collect();
        connection.query(&format!("SET {}", list.join(", ")), "TabSeparated", &Vec::new())?;
    }
    Ok(())
}

/// A string literal.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}
