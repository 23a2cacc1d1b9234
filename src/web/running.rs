//! The rest of the running server, as seen from the web address and the control
//! socket: two traits that `serve` implements over spool, engine, hit path and
//! storage, and the plain values they give.

use std::future::Future;
use std::net::IpAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::time::Duration;

use http::HeaderMap;
use serde::Serialize;
use serde_json::Value;

use crate::addresses::{AddressError, Opening};
use crate::audit::{Actor, AuditError};
use crate::case::{self, CaseError};
use crate::config::Site;
use crate::disclosure::{self, DisclosureError};
use crate::enrich::{Attribution, DatabaseInfo};
use crate::fraud::alerts::Answered;
use crate::fraud::check::{self, CheckError};
use crate::guard::Asker;
use crate::incident::{self, IncidentError};
use crate::policy::Report;
use crate::query;
use crate::retention::Mode;
use crate::spool::{Backlog, DeadLetter};
use crate::subject::SubjectError;
use crate::subject::batch::Batch;
use crate::subject::job::Asked;

/// What an asynchronous method of a trait object returns.
pub type Answering<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Storage, once it is there.
pub trait Archive: Send + Sync {
    /// Answers a stats question about one site, as `asker` may see it; from what was read `together` where it
    /// is there.
    fn query<'a>(
        &'a self,
        site: &'a Site,
        question: &'a Value,
        now: jiff::Timestamp,
        asker: Asker,
        together: Option<&'a query::Together>,
    ) -> Answering<'a, Result<Value, ArchiveError>>;
    /// Reads once what several questions about one site have in common, for an asker who sees
    /// numbers as they are.
    fn together<'a>(
        &'a self,
        site: &'a Site,
        questions: &'a [Value],
        now: jiff::Timestamp,
        asker: Asker,
    ) -> Answering<'a, Result<Option<query::Together>, ArchiveError>>;
    /// Answers a question about whole visits of one site, or about who is there now.
    fn report<'a>(
        &'a self,
        report: query::Report,
        site: &'a Site,
        question: &'a Value,
        now: jiff::Timestamp,
        asker: Asker,
    ) -> Answering<'a, Result<Value, ArchiveError>>;
    /// How many hits were refused on a site (empty: on none that is known), by hour
    /// and reason.
    fn refusals<'a>(
        &'a self,
        site: &'a str,
        from: jiff::Timestamp,
        to: jiff::Timestamp,
    ) -> Answering<'a, Result<Value, ArchiveError>>;
    /// Removes the made-up rows and says how many there were.
    fn remove_demo(&self) -> Answering<'_, Result<u64, ArchiveError>>;
}

/// Why storage gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The question is not one; a line for each mistake.
    #[error("{}", .0.join("\n"))]
    Question(Vec<String>),
    /// The question is one, but takes more than it may.
    #[error("{0}")]
    Limit(String),
    /// Storage is away for the moment.
    #[error("{0}")]
    Unavailable(String),
    /// Storage refused or broke.
    #[error("{0}")]
    Failed(String),
}

/// Everything else of the server.
pub trait Running: Send + Sync {
    fn backlog(&self) -> Backlog;
    fn engine(&self) -> EngineStatus;
    /// What each step of the hit path did.
    fn steps(&self) -> Vec<StepCount>;
    /// The background jobs, by name.
    fn jobs(&self) -> Value {
        Value::Object(serde_json::Map::new())
    }
    /// The addresses that end TLS themselves, and when their certificates expire.
    fn certificates(&self) -> Vec<(&'static str, jiff::Timestamp)> {
        Vec::new()
    }
    /// Whom the geo data asks to be named.
    fn attribution(&self) -> Vec<Attribution>;
    /// The geo data in force, with its age.
    fn databases(&self, _now: jiff::Timestamp) -> Vec<DatabaseInfo> {
        Vec::new()
    }
    /// What the collector would see of this request; `sites` in it is a list of
    /// what holds on each `site`.
    fn explain(&self, probe: &Probe) -> Value;
    /// Reads configuration and geo data again; says what changed or what is wrong.
    fn reload(&self) -> Result<Vec<String>, String>;
    /// Seals what waits and returns when storage has it.
    fn flush(&self) -> Answering<'_, Result<(), String>>;
    /// Makes a backup in a directory and says what is in it.
    fn backup(&self, _to: PathBuf) -> Answering<'_, Result<Value, String>> {
        Box::pin(async { Err("this server makes no backups".to_owned()) })
    }
    /// Removes what is past its term, or counts it, and says how much of each kind.
    fn retention(&self, _mode: Mode) -> Answering<'_, Result<Value, String>> {
        Box::pin(async { Err("this server has no retention job".to_owned()) })
    }
    /// Reads the key ring again; or, given its file, a master key that the ring is
    /// about to be wrapped under.
    fn keys(&self, _master_key_file: Option<PathBuf>) -> Result<(), String> {
        Err("this server has no key ring".to_owned())
    }
    /// Visitor cookies that were forged, altered, too old, or of a destroyed key.
    fn cookies_refused(&self) -> u64 {
        0
    }
    /// Does something to one person's data, to its end.
    fn subject(&self, _asked: Asked, _by: Actor) -> Answering<'_, Result<Value, SubjectError>> {
        Box::pin(async { Err(SubjectError::Thread("this server does nothing of the kind".to_owned())) })
    }
    /// The policy's table of a site, as it is now.
    fn policy(&self, _site: Site) -> Answering<'_, Result<Report, String>> {
        Box::pin(async { Err("this server has no table of the policy".to_owned()) })
    }
    /// Erases many people in one order, to its end.
    fn subject_batch(&self, _batch: Batch, _by: Actor) -> Answering<'_, Result<Value, SubjectError>> {
        Box::pin(async { Err(SubjectError::Thread("this server does nothing of the kind".to_owned())) })
    }
    /// Hands something out, and writes the log of disclosures before.
    fn disclose(
        &self,
        _asked: disclosure::Asked,
        _by: Actor,
    ) -> Answering<'_, Result<Value, DisclosureError>> {
        let error = SubjectError::Thread("this server discloses nothing".to_owned());
        Box::pin(async { Err(error.into()) })
    }
    /// Opens the case file of one visitor, and writes the audit trail before.
    fn case(&self, _asked: case::Asked, _by: Actor) -> Answering<'_, Result<case::File, CaseError>> {
        let error = SubjectError::Thread("this server opens no case files".to_owned());
        Box::pin(async { Err(error.into()) })
    }
    /// Registers an incident, changes one, or says who is affected.
    fn incident(&self, _asked: incident::Asked, _by: Actor) -> Answering<'_, Result<Value, IncidentError>> {
        let error = SubjectError::Thread("this server has no register of incidents".to_owned());
        Box::pin(async { Err(error.into()) })
    }
    /// Who has come over the threshold on a site after a number, when there are any or the time is over;
    /// the audit trail tells before who reads them.
    fn alerts(
        &self,
        _site: String,
        _after: u64,
        _wait: Duration,
        _by: Actor,
    ) -> Answering<'_, Result<Answered, AuditError>> {
        Box::pin(async { Ok(Answered::default()) })
    }
    /// Says whether somebody is plausible.
    fn check(&self, _asked: check::Asked, _by: Actor) -> Answering<'_, Result<Value, CheckError>> {
        Box::pin(async { Err(CheckError::Nothing) })
    }

    /// Statistics of visitors' addresses on a site, by tokens; the audit trail is written before.
    fn addresses<'a>(
        &'a self,
        _site: &'a Site,
        _question: &'a Value,
        _by: Actor,
        _now: jiff::Timestamp,
    ) -> Answering<'a, Result<Value, ArchiveError>> {
        Box::pin(async { Err(ArchiveError::Failed("this server has no statistics of addresses".to_owned())) })
    }
    /// Opens one address of a site, and writes the audit trail before.
    fn open_address(
        &self,
        _site: Site,
        _opening: Opening,
        _by: Actor,
    ) -> Answering<'_, Result<Value, AddressError>> {
        Box::pin(async { Err(AddressError::Unseen) })
    }
    /// When storage is there, before it is asked anything: nobody who is blocked is in a number.
    fn restore_blocks(&self) -> Answering<'_, Result<(), SubjectError>> {
        Box::pin(async { Ok(()) })
    }
    /// When storage is there and hits are shipped: erasures that were begun are carried
    /// out, and what was erased stays so. Says how many rows had come back.
    fn recheck_erasures(&self) -> Answering<'_, Result<u64, SubjectError>> {
        Box::pin(async { Ok(0) })
    }
    /// Sends one dead letter again, or all; returns when storage has answered for each.
    fn replay(&self, only: Option<u64>) -> Answering<'_, Result<Replayed, String>>;
}

/// What became of dead letters that were sent again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Replayed {
    /// How many were sent.
    pub replayed: u64,
    /// Those that are dead letters still, or again.
    pub dead: Vec<DeadLetter>,
}

/// The embedded engine, or the outside ClickHouse.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EngineStatus {
    /// `starting ready restarting stopped external`
    pub state: &'static str,
    /// How often it was started again.
    pub restarts: u64,
}

/// All states of [`EngineStatus`], for a metric that has each of them.
pub const ENGINE_STATES: [&str; 5] = ["starting", "ready", "restarting", "stopped", "external"];

/// One step of the hit path.
#[derive(Clone, Debug, PartialEq)]
pub struct StepCount {
    pub name: &'static str,
    pub hits: u64,
    pub refused: u64,
    pub seconds: f64,
}

/// A request as it reached the web address. Holds an address and cookies: not
/// printable.
pub struct Probe {
    pub peer: IpAddr,
    pub headers: HeaderMap,
}
