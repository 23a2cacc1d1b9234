//! ClickHouse: endpoint, migrations, the row and its encoding.
//!
//! In: encoded batches ([`row`]) and read-only questions with bound values.
//! Out: an acknowledgement, or rows as JSON, or a [`StorageError`] that says
//! whether trying again can help. Everything goes over ClickHouse's HTTP
//! interface, to the embedded engine on its Unix socket or to a server by URL.
//!
//! Invariants:
//! - an insert carries every setting on which "once each" depends, whatever
//!   the server's defaults are ([`INSERT_SETTINGS`]), and names its columns;
//! - a question is read-only and bounded in time, memory and rows ([`Limits`]);
//! - values never become part of the SQL text: they are bound as `{name:Type}`.
//!
//! It does not retry: the shipper and the callers of questions decide that.

mod answers;
mod batches;
mod blocks;
mod connect;
mod correct;
mod erase;
pub mod error;
pub mod migrate;
pub mod native;
pub mod parts;
mod queue;
pub mod refusals;
pub mod row;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use clickhouse::Client;
use clickhouse::query::BytesCursor;
use serde::Serialize;
use tokio::sync::Mutex;

use answers::Answers;

pub use answers::Digest;
pub use batches::{Asked, Held};
pub use blocks::{Block, List, MAX_BLOCKS};
pub use correct::Change;
pub use erase::Alike;
pub use error::StorageError;

use crate::fraud::follow::Memories;
use crate::rollup::{self, Rollups};
use crate::spool::Subject;

/// The settings of every insert. One batch is one block is one part, so that
/// the token stands for exactly these rows (see `schema/README.md`).
pub const INSERT_SETTINGS: &[(&str, &str)] = &[
    // The acknowledgement must mean "written", not "queued".
    ("async_insert", "0"),
    ("insert_deduplicate", "1"),
    // Since ClickHouse 26.2 this one decides, and the one above only names a default.
    ("deduplicate_insert", "enable"),
    // The token holds for rollups as well.
    ("deduplicate_blocks_in_dependent_materialized_views", "1"),
    // A batch holds one month; a second partition would be a fault here.
    ("max_partitions_per_insert_block", "1"),
    // Never split a batch into blocks, each with its own token.
    ("max_insert_block_size", "1048576"),
    ("min_insert_block_size_rows", "0"),
    ("min_insert_block_size_bytes", "0"),
    ("input_format_parallel_parsing", "0"),
];

/// A batch goes to the connection in frames of this size: large enough to cost
/// nothing, small enough that a slow server holds back the sender.
const FRAME_BYTES: usize = 256 << 10;
/// A frame that the server does not take for so long is a dead connection.
const SEND_TIMEOUT: Duration = Duration::from_secs(60);
/// How long an insert may take after its last byte; fsync of a part on a busy
/// disk takes seconds, not minutes.
const INSERT_TIMEOUT: Duration = Duration::from_secs(120);
/// Migrations and jobs rewrite parts; an hour is a mistake, not work.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(3600);
/// A job's count reads all of a column, which on a large table and a cold disk takes minutes.
const COUNT_TIME: Duration = Duration::from_secs(600);
/// What the server may add to a question's own limit before we give up on it.
const ANSWER_GRACE: Duration = Duration::from_secs(5);
/// A question follows a chain (`WITH RECURSIVE`) so far: its chains have a step for
/// each day at most, and no row is kept for more than 3,650 days.
const MAX_STEPS: u32 = 4000;

/// Where ClickHouse is.
#[derive(Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// The embedded engine; the secret is the password of the user `default`.
    Unix { path: PathBuf, secret: String },
    /// A server.
    Http { url: String, user: String, password: String },
}

/// What one question may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    pub time: Duration,
    pub memory_bytes: u64,
    pub result_rows: u64,
}

/// A bound value, `{name:Type}` in the SQL text.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Param {
    Text(String),
    Texts(Vec<String>),
    Number(i64),
    Numbers(Vec<u64>),
}

/// A storage; cheap to clone, shared by all tasks.
#[derive(Clone)]
pub struct Storage {
    client: Client,
    database: String,
    answers: Arc<Answers>,
    rollups: Option<Arc<Rollups>>,
    memories: Option<Arc<Memories>>,
    /// No server looks after the rollups meanwhile.
    alone: bool,
    /// The place of whoever rewrites parts ([`parts`]).
    rewriting: Arc<Mutex<()>>,
    embedded: bool,
}

// === impl Limits ===

impl Default for Limits {
    /// A dashboard's question: seconds, and a share of a small machine.
    fn default() -> Self {
        Limits { time: Duration::from_secs(10), memory_bytes: 2 << 30, result_rows: 100_000 }
    }
}

// === impl Storage ===

impl Storage {
    /// A storage at `endpoint`. Connects on first use. `database` is an
    /// identifier (letters, digits, underscores), as the configuration checks.
    pub fn new(endpoint: &Endpoint, database: &str) -> Storage {
        let client = match endpoint {
            Endpoint::Unix { path, secret } => connect::unix(path).with_user("default").with_password(secret),
            Endpoint::Http { url, user, password } => {
                Client::default().with_url(url).with_user(user).with_password(password)
            }
        };
        let client = client
            .with_compression(clickhouse::Compression::None)
            .with_product_info("metka", env!("CARGO_PKG_VERSION"));
        let embedded = matches!(endpoint, Endpoint::Unix { .. });
        let answers = Arc::new(Answers::new(embedded));
        Storage {
            client,
            database: database.to_owned(),
            answers,
            rollups: None,
            memories: None,
            alone: false,
            rewriting: Arc::default(),
            embedded,
        }
    }

    /// The same storage, whose questions may be answered from rollups.
    pub fn with_rollups(self, rollups: Arc<Rollups>) -> Storage {
        Storage { rollups: Some(rollups), ..self }
    }

    /// The same storage, for a job while no server runs: whatever was made of rows goes with any of them, and a
    /// server makes it again.
    pub fn alone(self) -> Storage {
        Storage { alone: true, ..self }
    }

    /// Its rollups, if it is asked with them.
    pub fn rollups(&self) -> Option<&Arc<Rollups>> {
        self.rollups.as_ref()
    }

    /// The same storage, of whose visitors something is remembered.
    pub fn with_memories(self, memories: Arc<Memories>) -> Storage {
        Storage { memories: Some(memories), ..self }
    }

    /// What is remembered of its visitors, if anything is.
    pub fn memories(&self) -> Option<&Arc<Memories>> {
        self.memories.as_ref()
    }

    /// Nobody of these is remembered when this returns, nor before they were [forgotten](Storage::forget): their
    /// rows are about to go.
    pub(crate) fn begin_to_forget<'a>(&self, subjects: impl Iterator<Item = (&'a str, Subject)>) {
        if let Some(memories) = &self.memories {
            memories.begin_to_forget(subjects);
        }
    }

    /// Nobody of these is remembered when this returns. To be called when their rows have gone or are hidden.
    pub(crate) fn forget<'a>(&self, subjects: impl Iterator<Item = (&'a str, Subject)>) {
        if let Some(memories) = &self.memories {
            memories.forget(subjects);
        }
    }

    /// Stored rows are about to be changed by a job: from now on hits answer, and not what
    /// rollups held of them.
    pub(crate) fn rows_will_change(&self) {
        if let Some(rollups) = &self.rollups {
            rollups.changed();
        }
    }

    /// They are: what has changed is in no rollup when this returns. `values`: not how
    /// many rows there are, but what they say.
    pub(crate) async fn rows_have_changed(&self, values: bool) -> Result<(), StorageError> {
        if let Some(memories) = &self.memories {
            memories.changed();
        }
        match &self.rollups {
            Some(rollups) => rollups.settle_all(values).await,
            None if self.alone => rollup::forget_all(self).await,
            None => Ok(()),
        }
    }

    /// How often something was changed through this storage. To be asked before a question
    /// is put whose answer is to be [remembered](Storage::remember).
    pub fn changes(&self) -> u64 {
        self.answers.changes()
    }

    /// An answer from before that is still true.
    pub fn remembered(&self, question: &Digest) -> Option<serde_json::Value> {
        self.answers.get(question, Instant::now())
    }

    /// Remembers an answer to a question that was put after so many changes.
    pub fn remember(&self, question: Digest, changes: u64, answer: &serde_json::Value, made: Instant) {
        self.answers.put(question, changes, answer, made);
    }

    /// Whether it is the embedded engine, on which one process works; otherwise other collectors may.
    pub(crate) fn is_embedded(&self) -> bool {
        self.embedded
    }

    /// The database that holds the tables.
    pub fn database(&self) -> &str {
        &self.database
    }

    /// Whether the storage answers.
    pub async fn ping(&self) -> Result<(), StorageError> {
        let limits = Limits { time: Duration::from_secs(2), ..Limits::default() };
        self.json("SELECT 1", &[], &limits).await.map(|_| ())
    }

    /// Inserts encoded rows (RowBinary, of `columns` in their order) as one
    /// block into `hits`. A token that was acknowledged before inserts nothing.
    pub async fn insert(&self, columns: &[&str], token: &str, payload: Bytes) -> Result<(), StorageError> {
        self.insert_into("hits", columns, token, payload).await
    }

    /// [`Storage::insert`] into another table of ours.
    pub async fn insert_into(
        &self,
        table: &str,
        columns: &[&str],
        token: &str,
        mut payload: Bytes,
    ) -> Result<(), StorageError> {
        let _changing = self.answers.changing();
        let sql = format!("INSERT INTO {}.{table} ({}) FORMAT RowBinary", self.database, columns.join(", "));
        let mut insert = self
            .client
            .insert_formatted_with(sql)
            .with_timeouts(Some(SEND_TIMEOUT), Some(INSERT_TIMEOUT))
            .with_setting("wait_end_of_query", "1")
            .with_setting("insert_deduplication_token", token);
        for (name, value) in INSERT_SETTINGS {
            insert = insert.with_setting(*name, *value);
        }
        while !payload.is_empty() {
            let frame = payload.split_to(payload.len().min(FRAME_BYTES));
            insert.send(frame).await.map_err(StorageError::of_insert)?;
        }
        insert.end().await.map_err(StorageError::of_insert)
    }

    /// The rows of a read-only question, each as a list of its columns.
    pub async fn json(
        &self,
        sql: &str,
        params: &[(String, Param)],
        limits: &Limits,
    ) -> Result<Vec<Vec<serde_json::Value>>, StorageError> {
        self.json_with(sql, params, limits, &[]).await
    }

    /// [`Storage::json`] under further settings.
    async fn json_with(
        &self,
        sql: &str,
        params: &[(String, Param)],
        limits: &Limits,
        settings: &[(&str, &str)],
    ) -> Result<Vec<Vec<serde_json::Value>>, StorageError> {
        let query = self.reading(sql, params, limits, settings);
        let answer = async { query.fetch_bytes("JSONCompactEachRow")?.collect().await };
        let bytes = tokio::time::timeout(limits.time + ANSWER_GRACE, answer)
            .await
            .map_err(|_| StorageError::TimedOut { after: limits.time + ANSWER_GRACE })??;
        bytes
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
            .map(|line| {
                serde_json::from_slice(line).map_err(|error| StorageError::Unreadable(error.to_string()))
            })
            .collect()
    }

    /// A read-only question.
    fn reading(
        &self,
        sql: &str,
        params: &[(String, Param)],
        limits: &Limits,
        settings: &[(&str, &str)],
    ) -> clickhouse::query::Query {
        let mut query = self
            .client
            .query_raw(sql)
            .with_setting("max_execution_time", limits.time.as_secs().max(1).to_string())
            .with_setting("max_memory_usage", limits.memory_bytes.to_string())
            .with_setting("max_result_rows", limits.result_rows.to_string())
            .with_setting("result_overflow_mode", "throw")
            .with_setting("output_format_json_quote_64bit_integers", "0")
            .with_setting("output_format_json_quote_denormals", "0")
            // A decimal is exact only as text.
            .with_setting("output_format_json_quote_decimals", "1")
            .with_setting("allow_introspection_functions", "0")
            .with_setting("max_recursive_cte_evaluation_depth", MAX_STEPS.to_string())
            .with_setting("wait_end_of_query", "1")
            .with_setting("readonly", "1");
        for (name, value) in settings {
            query = query.with_setting(*name, *value);
        }
        for (name, value) in params {
            query = query.param(name, value);
        }
        query
    }

    /// The blocks of a read-only question in the format `Native`, as they come. The time that it may take is the
    /// engine's to keep, and the caller's.
    pub fn native(
        &self,
        sql: &str,
        params: &[(String, Param)],
        limits: &Limits,
        settings: &[(&str, &str)],
    ) -> Result<BytesCursor, StorageError> {
        Ok(self.reading(sql, params, limits, settings).fetch_bytes("Native")?)
    }

    /// The number in the first column of the first row; 0 when there is none.
    pub async fn number(&self, sql: &str, params: &[(String, Param)]) -> Result<u64, StorageError> {
        self.number_within(sql, params, &Limits::default()).await
    }

    async fn number_within(
        &self,
        sql: &str,
        params: &[(String, Param)],
        limits: &Limits,
    ) -> Result<u64, StorageError> {
        let rows = self.json(sql, params, limits).await?;
        match rows.first().and_then(|row| row.first()) {
            Some(value) => value
                .as_u64()
                .ok_or_else(|| StorageError::Unreadable(format!("expected a number, found {value}"))),
            None => Ok(0),
        }
    }

    /// The same for a job, which counts what it is about to change and has changed.
    pub(crate) async fn count(&self, sql: &str, params: &[(String, Param)]) -> Result<u64, StorageError> {
        let limits = Limits { time: COUNT_TIME, ..Limits::default() };
        self.number_within(sql, params, &limits).await
    }

    /// Runs a statement that changes something. Returns when it is done.
    pub async fn execute(&self, sql: &str, params: &[(String, Param)]) -> Result<(), StorageError> {
        self.execute_with(sql, params, &[]).await
    }

    /// [`Storage::execute`] under further settings.
    pub(super) async fn execute_with(
        &self,
        sql: &str,
        params: &[(String, Param)],
        settings: &[(&str, &str)],
    ) -> Result<(), StorageError> {
        let _changing = self.answers.changing();
        let mut query = self
            .client
            .query_raw(sql)
            .with_setting("wait_end_of_query", "1")
            .with_setting("mutations_sync", "2")
            .with_setting("alter_sync", "2");
        for (name, value) in settings {
            query = query.with_setting(*name, *value);
        }
        for (name, value) in params {
            query = query.param(name, value);
        }
        tokio::time::timeout(STATEMENT_TIMEOUT, query.execute())
            .await
            .map_err(|_| StorageError::TimedOut { after: STATEMENT_TIMEOUT })??;
        Ok(())
    }

    /// Creates what is missing (`schema/`), then checks the settings on which
    /// the promises rest. Returns the numbers of the migrations it applied.
    pub async fn migrate(&self) -> Result<Vec<u32>, StorageError> {
        migrate::run(self, &migrate::Form::default()).await
    }
}
