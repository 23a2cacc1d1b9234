//! The ClickHouse library: loaded at run time, wrapped so that the rest of the
//! engine has no `unsafe`.
//!
//! In: the path of `libchdb.so`. Out: [`Connection`]s to one data directory, on
//! which a statement runs whole ([`Connection::query`]), as a stream of answers
//! ([`Connection::stream`]) or as a stream of rows to insert
//! ([`Connection::insert`]).
//!
//! Invariants: the library is never unloaded (its threads outlive every
//! handle); one connection runs one statement at a time, which the borrow of
//! `&mut Connection` states; every result is destroyed exactly once; a stream
//! that is dropped early is cancelled.
//!
//! The functions and their contracts are those of `programs/local/chdb.h` in
//! chdb-core 26.7. Only the binary-safe variants (`…_n`) are used: `chdb_query`
//! cuts at a NUL byte. Inline data of an INSERT is cut at some bytes even there,
//! so that rows always go through [`Connection::insert`].

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::ptr::NonNull;

use super::exception::Exception;
use crate::search::{Search, SearchError, Wanted};

/// What `chdb_connect` gives out: a pointer to the handle that the others take.
type ConnectionPointer = *mut *mut c_void;
type ResultPointer = *mut c_void;
type InsertPointer = *mut c_void;
type Bytes = *const c_char;

/// `chdb_query_with_params_n`, `chdb_stream_query_with_params_n` and
/// `chdb_stream_insert_with_params_n` share this shape.
type StatementFunction = unsafe extern "C" fn(
    connection: *mut c_void,
    query: Bytes,
    query_length: usize,
    format: Bytes,
    format_length: usize,
    names: *const Bytes,
    name_lengths: *const usize,
    values: *const Bytes,
    value_lengths: *const usize,
    parameters: usize,
) -> *mut c_void;

/// The library's functions that the engine uses.
pub struct Library {
    connect: unsafe extern "C" fn(c_int, *mut *mut c_char) -> ConnectionPointer,
    close: unsafe extern "C" fn(ConnectionPointer),
    query: StatementFunction,
    stream_query: StatementFunction,
    stream_fetch: unsafe extern "C" fn(*mut c_void, ResultPointer) -> ResultPointer,
    stream_cancel: unsafe extern "C" fn(*mut c_void, ResultPointer),
    insert: StatementFunction,
    insert_error: unsafe extern "C" fn(InsertPointer) -> *const c_char,
    insert_append: unsafe extern "C" fn(InsertPointer, *const c_void, usize) -> c_int,
    insert_done: unsafe extern "C" fn(InsertPointer) -> ResultPointer,
    insert_cancel: unsafe extern "C" fn(InsertPointer),
    insert_destroy: unsafe extern "C" fn(InsertPointer),
    result_destroy: unsafe extern "C" fn(ResultPointer),
    result_buffer: unsafe extern "C" fn(ResultPointer) -> *const u8,
    result_length: unsafe extern "C" fn(ResultPointer) -> usize,
    result_error: unsafe extern "C" fn(ResultPointer) -> *const c_char,
    result_rows: unsafe extern "C" fn(ResultPointer) -> u64,
    result_rows_read: unsafe extern "C" fn(ResultPointer) -> u64,
    result_bytes_read: unsafe extern "C" fn(ResultPointer) -> u64,
    result_rows_written: unsafe extern "C" fn(ResultPointer) -> u64,
    result_bytes_written: unsafe extern "C" fn(ResultPointer) -> u64,
    shutdown: unsafe extern "C" fn() -> c_int,
}

/// Why the library cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LibraryError {
    /// No file at any of the places.
    #[error(transparent)]
    Missing(#[from] SearchError),
    /// The file is there but is not a library of this machine's kind.
    #[error("cannot load the ClickHouse library {path}: {reason}; `npm ci` in the repository brings the right one", path = .0.display(), reason = .1)]
    Unloadable(PathBuf, String),
    /// Another version: a function that the engine needs is not in it.
    #[error("the ClickHouse library {path} has no function {name}; the engine needs libchdb 26.7, which `npm ci` brings", path = .0.display(), name = .1)]
    Incomplete(PathBuf, &'static str),
}

/// One session of the engine: its settings and current database are its own.
pub struct Connection {
    library: &'static Library,
    pointer: NonNull<*mut c_void>,
}

/// Query parameters: `{name:Type}` in the text takes the value by name.
pub type Parameters = Vec<(String, Vec<u8>)>;

/// A finished piece of an answer. Holds the library's own buffer.
pub struct Answer {
    library: &'static Library,
    pointer: NonNull<c_void>,
}

/// An answer that comes in pieces; cancelled when dropped before its end.
pub struct Rows<'connection> {
    library: &'static Library,
    connection: *mut c_void,
    pointer: NonNull<c_void>,
    finished: bool,
    borrow: PhantomData<&'connection mut Connection>,
}

/// An insert that takes its rows in pieces; cancelled when dropped before [`Insert::done`].
pub struct Insert<'connection> {
    library: &'static Library,
    pointer: NonNull<c_void>,
    finished: bool,
    borrow: PhantomData<&'connection mut Connection>,
}

// === impl Library ===

/// Finds the library: see [`Search`] for the places.
pub fn find(configured: Option<&Path>) -> Result<PathBuf, SearchError> {
    Search::here().find(
        configured,
        Wanted {
            what: "the ClickHouse library",
            key: "engine.library",
            library_name: "libchdb.so",
            module_path: match (std::env::consts::OS, std::env::consts::ARCH) {
                ("linux", "aarch64") => "@chdb/lib-linux-arm64-gnu/libchdb.so",
                ("macos", "aarch64") => "@chdb/lib-darwin-arm64/libchdb.so",
                ("macos", _) => "@chdb/lib-darwin-x64/libchdb.so",
                _ => "@chdb/lib-linux-x64-gnu/libchdb.so",
            },
        },
    )
}

impl Library {
    /// Loads the library at `path`. It stays loaded until the process ends.
    pub fn load(path: &Path) -> Result<&'static Library, LibraryError> {
        // SAFETY: libchdb's initialisers only set up its allocator and tables;
        // signal handlers come with the first connection and are refused below.
        let loaded = unsafe { libloading::Library::new(path) }
            .map_err(|error| LibraryError::Unloadable(path.to_owned(), error.to_string()))?;
        // Never unloaded: the library's threads and exit handlers stay in use.
        let loaded: &'static libloading::Library = Box::leak(Box::new(loaded));
        macro_rules! function {
            ($name:literal) => {{
                // SAFETY: the type on the left is that of chdb.h for this name.
                *unsafe { loaded.get(concat!($name, "\0").as_bytes()) }
                    .map_err(|_| LibraryError::Incomplete(path.to_owned(), $name))?
            }};
        }
        let set_signal_handlers: unsafe extern "C" fn(c_int) = function!("chdb_set_signal_handlers_enabled");
        // SAFETY: takes a number and sets a flag. The library's own handlers
        // would sleep for minutes in a crash instead of ending the process.
        unsafe { set_signal_handlers(0) };
        Ok(Box::leak(Box::new(Library {
            connect: function!("chdb_connect"),
            close: function!("chdb_close_conn"),
            query: function!("chdb_query_with_params_n"),
            stream_query: function!("chdb_stream_query_with_params_n"),
            stream_fetch: function!("chdb_stream_fetch_result"),
            stream_cancel: function!("chdb_stream_cancel_query"),
            insert: function!("chdb_stream_insert_with_params_n"),
            insert_error: function!("chdb_stream_insert_error"),
            insert_append: function!("chdb_stream_append"),
            insert_done: function!("chdb_stream_done"),
            insert_cancel: function!("chdb_stream_cancel_insert"),
            insert_destroy: function!("chdb_destroy_insert_stream"),
            result_destroy: function!("chdb_destroy_query_result"),
            result_buffer: function!("chdb_result_buffer"),
            result_length: function!("chdb_result_length"),
            result_error: function!("chdb_result_error"),
            result_rows: function!("chdb_result_rows_read"),
            result_rows_read: function!("chdb_result_storage_rows_read"),
            result_bytes_read: function!("chdb_result_storage_bytes_read"),
            result_rows_written: function!("chdb_result_rows_written"),
            result_bytes_written: function!("chdb_result_bytes_written"),
            shutdown: function!("chdb_shutdown"),
        })))
    }

    /// Opens a connection; the first one of the process starts the engine with
    /// `arguments` (`--path=…`, `--config-file=…`), the later ones must name the same path.
    pub fn connect(&'static self, arguments: &[String]) -> Option<Connection> {
        let arguments: Vec<CString> = std::iter::once("metka-engine")
            .chain(arguments.iter().map(String::as_str))
            .map(|argument| CString::new(argument).expect("paths and options hold no NUL byte"))
            .collect();
        let mut pointers: Vec<*mut c_char> =
            arguments.iter().map(|argument| argument.as_ptr().cast_mut()).collect();
        // SAFETY: the array and its strings live until the call returns; the
        // library copies what it keeps and writes to none of them.
        let pointer = unsafe { (self.connect)(pointers.len() as c_int, pointers.as_mut_ptr()) };
        NonNull::new(pointer).map(|pointer| Connection { library: self, pointer })
    }

    /// Joins the engine's threads. Does nothing while a connection is open.
    pub fn shutdown(&'static self) -> bool {
        // SAFETY: may be called at any time from any thread.
        unsafe { (self.shutdown)() == 0 }
    }
}

// === impl Connection ===

// SAFETY: a connection may move between threads; the library guards it with a
// mutex of its own, and `&mut` keeps one statement at a time.
unsafe impl Send for Connection {}

impl Connection {
    /// Runs one statement and returns its whole answer.
    pub fn query(&mut self, sql: &str, format: &str, parameters: &Parameters) -> Result<Answer, Exception> {
        let pointer = self.call(self.library.query, sql, format, parameters);
        Answer::checked(self.library, pointer)
    }

    /// Starts a SELECT whose answer comes in pieces. The library refuses other
    /// statements here without running them ([`Exception::is_not_streamable`]).
    pub fn stream(
        &mut self,
        sql: &str,
        format: &str,
        parameters: &Parameters,
    ) -> Result<Rows<'_>, Exception> {
        let pointer = self.call(self.library.stream_query, sql, format, parameters);
        let Some(pointer) = NonNull::new(pointer) else { return Err(Exception::without_answer()) };
        let rows = Rows {
            library: self.library,
            connection: self.handle(),
            pointer,
            finished: false,
            borrow: PhantomData,
        };
        // SAFETY: the result is live; the text is copied before it goes.
        match unsafe { error_text((self.library.result_error)(pointer.as_ptr())) } {
            Some(text) => {
                let mut rows = rows;
                rows.finished = true;
                Err(Exception::from_engine(text))
            }
            None => Ok(rows),
        }
    }

    /// Starts an INSERT that takes rows in `format`. `sql` ends before `FORMAT`.
    pub fn insert(
        &mut self,
        sql: &str,
        format: &str,
        parameters: &Parameters,
    ) -> Result<Insert<'_>, Exception> {
        let pointer = self.call(self.library.insert, sql, format, parameters);
        let Some(pointer) = NonNull::new(pointer) else { return Err(Exception::without_answer()) };
        let mut insert = Insert { library: self.library, pointer, finished: false, borrow: PhantomData };
        match insert.error() {
            Some(text) => {
                insert.finished = true;
                Err(Exception::from_engine(text))
            }
            None => Ok(insert),
        }
    }

    fn handle(&self) -> *mut c_void {
        // SAFETY: the pointer is what `chdb_connect` returned and is closed only in `drop`.
        unsafe { *self.pointer.as_ptr() }
    }

    fn call(
        &mut self,
        function: StatementFunction,
        sql: &str,
        format: &str,
        parameters: &Parameters,
    ) -> *mut c_void {
        let names: Vec<Bytes> = parameters.iter().map(|(name, _)| name.as_ptr().cast()).collect();
        let name_lengths: Vec<usize> = parameters.iter().map(|(name, _)| name.len()).collect();
        let values: Vec<Bytes> = parameters.iter().map(|(_, value)| value.as_ptr().cast()).collect();
        let value_lengths: Vec<usize> = parameters.iter().map(|(_, value)| value.len()).collect();
        // SAFETY: every pointer comes with its length and lives until the call
        // returns; the library copies query, format and parameters.
        unsafe {
            function(
                self.handle(),
                sql.as_ptr().cast(),
                sql.len(),
                format.as_ptr().cast(),
                format.len(),
                names.as_ptr(),
                name_lengths.as_ptr(),
                values.as_ptr(),
                value_lengths.as_ptr(),
                parameters.len(),
            )
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // SAFETY: closed once; results and streams borrow the connection and are gone.
        unsafe { (self.library.close)(self.pointer.as_ptr()) }
    }
}

// === impl Answer ===

// SAFETY: a finished result is a buffer of its own; the library attaches no thread to it.
unsafe impl Send for Answer {}
// SAFETY: as above; it is only read.
unsafe impl Sync for Answer {}

impl Answer {
    fn checked(library: &'static Library, pointer: ResultPointer) -> Result<Answer, Exception> {
        let Some(pointer) = NonNull::new(pointer) else { return Err(Exception::without_answer()) };
        let answer = Answer { library, pointer };
        // SAFETY: the result is live; the text is copied before it goes.
        match unsafe { error_text((library.result_error)(pointer.as_ptr())) } {
            Some(text) => Err(Exception::from_engine(text)),
            None => Ok(answer),
        }
    }

    /// Rows in the answer.
    pub fn rows(&self) -> u64 {
        // SAFETY: the result is live.
        unsafe { (self.library.result_rows)(self.pointer.as_ptr()) }
    }

    /// Rows and bytes read from tables for it.
    pub fn read(&self) -> (u64, u64) {
        let pointer = self.pointer.as_ptr();
        // SAFETY: the result is live.
        unsafe { ((self.library.result_rows_read)(pointer), (self.library.result_bytes_read)(pointer)) }
    }

    /// Rows and bytes written to tables for it, those of materialized views included.
    pub fn written(&self) -> (u64, u64) {
        let pointer = self.pointer.as_ptr();
        // SAFETY: the result is live.
        unsafe { ((self.library.result_rows_written)(pointer), (self.library.result_bytes_written)(pointer)) }
    }
}

impl AsRef<[u8]> for Answer {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: buffer and length belong together and live as long as the result.
        unsafe {
            let buffer = (self.library.result_buffer)(self.pointer.as_ptr());
            let length = (self.library.result_length)(self.pointer.as_ptr());
            if buffer.is_null() || length == 0 { &[] } else { std::slice::from_raw_parts(buffer, length) }
        }
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        // SAFETY: destroyed once.
        unsafe { (self.library.result_destroy)(self.pointer.as_ptr()) }
    }
}

// === impl Rows ===

impl Rows<'_> {
    /// The next piece; `None` at the end.
    pub fn fetch(&mut self) -> Result<Option<Answer>, Exception> {
        if self.finished {
            return Ok(None);
        }
        // SAFETY: the stream is live and fetched from one thread at a time (`&mut`).
        let pointer = unsafe { (self.library.stream_fetch)(self.connection, self.pointer.as_ptr()) };
        let answer = Answer::checked(self.library, pointer).inspect_err(|_| self.finished = true)?;
        if answer.as_ref().is_empty() {
            self.finished = true;
            return Ok(None);
        }
        Ok(Some(answer))
    }
}

impl Drop for Rows<'_> {
    fn drop(&mut self) {
        // SAFETY: destroyed once; an unfinished stream is cancelled first, as the header asks.
        unsafe {
            if !self.finished {
                (self.library.stream_cancel)(self.connection, self.pointer.as_ptr());
            }
            (self.library.result_destroy)(self.pointer.as_ptr());
        }
    }
}

// === impl Insert ===

impl Insert<'_> {
    /// Adds bytes of rows; waits while the engine is behind. `false` when the
    /// insert has failed: [`Insert::done`] tells why.
    pub fn append(&mut self, bytes: &[u8]) -> bool {
        // SAFETY: the stream is live; the library copies the bytes.
        unsafe {
            (self.library.insert_append)(self.pointer.as_ptr(), bytes.as_ptr().cast(), bytes.len()) == 0
        }
    }

    /// Ends the rows and waits until they are committed.
    pub fn done(mut self) -> Result<Answer, Exception> {
        self.finished = true;
        // SAFETY: the stream is live; it is destroyed in `drop`, not here.
        let pointer = unsafe { (self.library.insert_done)(self.pointer.as_ptr()) };
        Answer::checked(self.library, pointer)
    }

    fn error(&self) -> Option<String> {
        // SAFETY: the stream is live; the text is copied before it goes.
        unsafe { error_text((self.library.insert_error)(self.pointer.as_ptr())) }
    }
}

impl Drop for Insert<'_> {
    fn drop(&mut self) {
        // SAFETY: destroyed once; an unfinished insert is cancelled first.
        unsafe {
            if !self.finished {
                (self.library.insert_cancel)(self.pointer.as_ptr());
            }
            (self.library.insert_destroy)(self.pointer.as_ptr());
        }
    }
}

/// Copies an error text of the library; `None` when there is none.
///
/// # Safety
/// `text` is null or a NUL-terminated string that is live during the call.
unsafe fn error_text(text: *const c_char) -> Option<String> {
    if text.is_null() {
        return None;
    }
    // SAFETY: by the caller's promise.
    let text = unsafe { CStr::from_ptr(text) }.to_string_lossy();
    (!text.is_empty()).then(|| text.into_owned())
}
