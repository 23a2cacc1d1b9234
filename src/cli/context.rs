//! What every command shares: the global options, the configuration they name,
//! how results are printed and how a failure becomes an exit code.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::Value;

use crate::addresses::AddressError;
use crate::audit::{Action, Actor, AuditError, Entry, Trail};
use crate::case::CaseError;
use crate::config::{Config, ConfigError, SiteError};
use crate::control::client::{Client, ControlError};
use crate::disclosure::DisclosureError;
use crate::fraud::check::CheckError;
use crate::incident::IncidentError;
use crate::privacy::keys::{KeyError, KeyRing};
use crate::report::ReportError;
use crate::settings::SettingsError;
use crate::subject::SubjectError;
use crate::web::people::{People, PeopleError};

/// The global options and the surroundings of the process.
pub struct Context {
    pub config_file: Option<PathBuf>,
    pub data_dir: Option<PathBuf>,
    pub json: bool,
}

/// Why a command did not do its work.
#[derive(Debug)]
pub enum Failure {
    /// Exit code 2: what was asked or configured cannot be meant so.
    Usage(String),
    /// Exit code 1: it was meant so, and did not work.
    Failed(anyhow::Error),
}

/// What a command returns.
pub type Outcome = Result<(), Failure>;

// === impl Context ===

impl Context {
    /// The configuration that the options and the environment name.
    pub fn config(&self) -> Result<Config, Failure> {
        Ok(self.read_config()?)
    }

    /// The same, for a server that reads it again later.
    pub fn read_config(&self) -> Result<Config, ConfigError> {
        let environment = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        let working_dir = std::env::current_dir()
            .map_err(|error| ConfigError(vec![format!("the working directory: {error}")]))?;
        Config::load(self.config_file.as_deref(), self.data_dir.as_deref(), environment, &working_dir)
    }

    /// The people of the data directory.
    pub fn people(&self) -> Result<People, Failure> {
        Ok(People::new(&self.config()?.data_dir))
    }

    /// The audit trail of the data directory, whose key is in the key ring; a ring is
    /// made where there is none.
    pub fn trail(&self, config: &Config) -> Result<Trail, Failure> {
        Ok(Trail::open(&config.data_dir, Arc::new(KeyRing::open(&config.keys)?)))
    }

    /// Writes into the audit trail what this command is about to do.
    pub fn note(&self, config: &Config, action: Action, detail: impl Into<String>) -> Outcome {
        self.trail(config)?.append(&command(action).detail(detail))?;
        Ok(())
    }

    /// The server that runs on the data directory, if one does. Needs a runtime.
    pub fn server(&self, config: &Config) -> Result<Option<Client>, Failure> {
        Client::connect(&config.data_dir)
            .map_err(|error| Failure::failed(format!("{}: {error}", config.data_dir.display())))
    }

    /// Runs asynchronous work of a command on this thread.
    pub fn block_on<T>(&self, work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::failed)?;
        runtime.block_on(work)
    }

    /// Prints a result: the JSON with `--json`, else the lines for people.
    pub fn print(&self, json: &Value, lines: impl IntoIterator<Item = String>) -> Outcome {
        let mut text = String::new();
        if self.json {
            text = json.to_string();
            text.push('\n');
        } else {
            for line in lines {
                text.push_str(&line);
                text.push('\n');
            }
        }
        match std::io::stdout().write_all(text.as_bytes()) {
            // Whoever read our output (`| head`) has enough.
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
            other => other.map_err(Failure::failed),
        }
    }
}

// === impl Failure ===

impl Failure {
    pub fn usage(text: impl std::fmt::Display) -> Failure {
        Failure::Usage(text.to_string())
    }

    pub fn failed(error: impl std::fmt::Display) -> Failure {
        Failure::Failed(anyhow::anyhow!("{error}"))
    }

    pub fn exit_code(&self) -> u8 {
        match self {
            Failure::Usage(_) => 2,
            Failure::Failed(_) => 1,
        }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Failure::Usage(text) => f.write_str(text),
            Failure::Failed(error) => write!(f, "{error:#}"),
        }
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Failure {
        Failure::usage(error)
    }
}

impl From<SiteError> for Failure {
    fn from(error: SiteError) -> Failure {
        Failure::usage(format_args!("--site: {error}"))
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Failure {
        Failure::Failed(error)
    }
}

impl From<PeopleError> for Failure {
    fn from(error: PeopleError) -> Failure {
        match error {
            PeopleError::Name(_) => Failure::usage(error),
            PeopleError::Audit(error) => error.into(),
            _ => Failure::failed(error),
        }
    }
}

impl From<KeyError> for Failure {
    fn from(error: KeyError) -> Failure {
        match error {
            KeyError::ShortPassphrase | KeyError::Permanent { .. } | KeyError::FixedMaster { .. } => {
                Failure::usage(error)
            }
            _ => Failure::failed(error),
        }
    }
}

impl From<SubjectError> for Failure {
    fn from(error: SubjectError) -> Failure {
        if error.is_of_the_question() { Failure::usage(error) } else { Failure::failed(error) }
    }
}

impl From<AddressError> for Failure {
    fn from(error: AddressError) -> Failure {
        if error.is_of_the_question() { Failure::usage(error) } else { Failure::failed(error) }
    }
}

impl From<DisclosureError> for Failure {
    fn from(error: DisclosureError) -> Failure {
        if error.is_of_the_question() { Failure::usage(error) } else { Failure::failed(error) }
    }
}

impl From<CheckError> for Failure {
    fn from(error: CheckError) -> Failure {
        if error.is_of_the_question() { Failure::usage(error) } else { Failure::failed(error) }
    }
}

impl From<CaseError> for Failure {
    fn from(error: CaseError) -> Failure {
        if error.is_of_the_question() { Failure::usage(error) } else { Failure::failed(error) }
    }
}

impl From<IncidentError> for Failure {
    fn from(error: IncidentError) -> Failure {
        if error.is_of_the_question() { Failure::usage(error) } else { Failure::failed(error) }
    }
}

impl From<ReportError> for Failure {
    fn from(error: ReportError) -> Failure {
        if error.is_of_the_question() { Failure::usage(error) } else { Failure::failed(error) }
    }
}

impl From<SettingsError> for Failure {
    fn from(error: SettingsError) -> Failure {
        match error {
            SettingsError::Audit(error) => error.into(),
            error if error.is_of_the_question() => Failure::usage(error),
            error => Failure::failed(error),
        }
    }
}

impl From<AuditError> for Failure {
    fn from(error: AuditError) -> Failure {
        match error {
            AuditError::Field { .. } | AuditError::AnchorForm(_) => Failure::usage(error),
            _ => Failure::failed(format_args!("the audit trail: {error}")),
        }
    }
}

impl From<ControlError> for Failure {
    fn from(error: ControlError) -> Failure {
        match error {
            ControlError::Refused(status, text) if status == http::StatusCode::BAD_REQUEST => {
                Failure::Usage(text)
            }
            other => Failure::failed(other),
        }
    }
}

/// An entry of the audit trail about what the user who runs this command does.
pub fn command(action: Action) -> Entry {
    Entry::new(jiff::Timestamp::now(), Actor::running(), action)
}

/// Where the spool of a data directory is.
pub fn spool_dir(config: &Config) -> PathBuf {
    config.data_dir.join("spool")
}

/// Milliseconds since 1970.
pub fn now() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

/// A moment as people read it, in UTC.
pub fn moment(milliseconds: i64) -> String {
    jiff::Timestamp::from_millisecond(milliseconds)
        .map_or_else(|_| milliseconds.to_string(), |moment| moment.strftime("%Y-%m-%d %H:%M UTC").to_string())
}

/// Lines with their columns under each other.
pub fn table<const COLUMNS: usize>(heads: [&str; COLUMNS], rows: Vec<[String; COLUMNS]>) -> Vec<String> {
    let heads = heads.map(str::to_owned);
    let width = |column: usize| {
        std::iter::once(&heads).chain(&rows).map(|row| row[column].chars().count()).max().unwrap_or(0)
    };
    let widths: [usize; COLUMNS] = std::array::from_fn(width);
    std::iter::once(&heads)
        .chain(&rows)
        .map(|row| {
            let cells: Vec<String> =
                row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
            cells.join("  ").trim_end().to_owned()
        })
        .collect()
}
