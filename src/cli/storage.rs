//! Storage for commands that need it where no server does the work for them:
//! the configured ClickHouse, the embedded engine if one runs on the data
//! directory, or one that is started for as long as the command lasts.

use std::time::Duration;

use super::context::Failure;
use crate::config::Config;
use crate::engine::{Supervisor, directory};
use crate::serve::configured;
use crate::store::{Endpoint, Storage, StorageError};

/// How long an engine of our own may take to answer: it opens the tables first.
const START_TIMEOUT: Duration = Duration::from_secs(60);
/// How often it is asked.
const START_POLL: Duration = Duration::from_millis(50);

/// Storage, and the engine behind it if it is ours.
pub struct Opened {
    pub storage: Storage,
    engine: Option<Supervisor>,
}

// === impl Opened ===

impl Opened {
    /// Ends the engine, if it is ours.
    pub async fn close(self) {
        if let Some(engine) = self.engine {
            engine.stop().await;
        }
    }
}

/// Opens storage and waits until it answers.
pub async fn open(config: &Config) -> Result<Opened, Failure> {
    let database = &config.storage.database;
    if !config.storage.url.is_empty() {
        let endpoint = configured(&config.storage).map_err(Failure::failed)?;
        let storage = Storage::new(&endpoint, database);
        // The rollups are this server's, which does not run.
        let storage = if config.storage.rollups { storage.alone() } else { storage };
        storage.ping().await.map_err(Failure::failed)?;
        return Ok(Opened { storage, engine: None });
    }
    if let Ok(secret) = directory::read_secret(&config.data_dir) {
        let path = directory::socket_path(&config.data_dir);
        let storage = Storage::new(&Endpoint::Unix { path, secret }, database);
        if storage.ping().await.is_ok() {
            return Ok(Opened { storage, engine: None });
        }
    }
    let exe = std::env::current_exe().map_err(Failure::failed)?;
    let engine = Supervisor::start(config, exe).map_err(Failure::failed)?;
    let storage = Storage::new(&engine.endpoint(), database).alone();
    let opened = Opened { storage, engine: Some(engine) };
    match tokio::time::timeout(START_TIMEOUT, answers(&opened.storage)).await {
        Ok(()) => Ok(opened),
        Err(_) => {
            opened.close().await;
            Err(Failure::failed(format_args!(
                "the embedded engine did not answer within {} s",
                START_TIMEOUT.as_secs()
            )))
        }
    }
}

async fn answers(storage: &Storage) {
    while storage.ping().await.is_err() {
        tokio::time::sleep(START_POLL).await;
    }
}

/// Storage's errors, as a command ends with them.
pub fn failure(error: StorageError) -> Failure {
    match error {
        StorageError::Settings(_) => Failure::usage(error),
        other => Failure::failed(other),
    }
}
