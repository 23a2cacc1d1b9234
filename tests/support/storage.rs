//! A fresh database in the real embedded engine for each test.
//!
//! The tests of one binary share an engine: it starts with the first of them
//! and ends, with its directory, after the last. `METKA_TEST_CLICKHOUSE_URL`
//! names a running server to use instead.

use std::ops::Deref;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use metka::store::{Endpoint, Storage};

/// Loading the library from a cold disk takes seconds.
const START_TIMEOUT: Duration = Duration::from_secs(120);

static NEXT: AtomicU32 = AtomicU32::new(0);
static RUNNING: Mutex<Weak<Engine>> = Mutex::new(Weak::new());

/// A migrated, empty database.
pub struct Fresh {
    storage: Storage,
    _engine: Option<Arc<Engine>>,
}

struct Engine {
    process: Child,
    directory: tempfile::TempDir,
}

impl Deref for Fresh {
    type Target = Storage;

    fn deref(&self) -> &Storage {
        &self.storage
    }
}

impl Engine {
    fn shared() -> Arc<Engine> {
        let mut running = RUNNING.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        running.upgrade().unwrap_or_else(|| {
            let engine = Arc::new(Engine::start());
            *running = Arc::downgrade(&engine);
            engine
        })
    }

    fn start() -> Engine {
        let directory = tempfile::tempdir().expect("a directory for the engine");
        let process = Command::new(env!("CARGO_BIN_EXE_metka"))
            .args(["engine", "--parent-pipe", "--data"])
            .arg(directory.path())
            .stdin(Stdio::piped())
            .spawn()
            .expect("the engine starts");
        Engine { process, directory }
    }

    async fn storage(&self, database: &str) -> Storage {
        let started = Instant::now();
        loop {
            if let Ok(secret) = std::fs::read_to_string(self.directory.path().join("engine/secret")) {
                let path = self.directory.path().join("engine.sock");
                let endpoint = Endpoint::Unix { path, secret: secret.trim().to_owned() };
                let storage = Storage::new(&endpoint, database);
                match storage.ping().await {
                    Ok(()) => return storage,
                    Err(error) => {
                        assert!(started.elapsed() < START_TIMEOUT, "the engine is not ready: {error}")
                    }
                }
            }
            assert!(started.elapsed() < START_TIMEOUT, "the engine made no secret");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // Its directory goes as well, so there is nothing to close properly.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Migrated and empty.
pub async fn fresh() -> Fresh {
    let name = format!("test_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    let (storage, engine) = match std::env::var("METKA_TEST_CLICKHOUSE_URL") {
        Ok(url) => {
            let endpoint = Endpoint::Http { url, user: "default".to_owned(), password: String::new() };
            (Storage::new(&endpoint, &name), None)
        }
        Err(_) => {
            let engine = Engine::shared();
            (engine.storage(&name).await, Some(engine))
        }
    };
    storage.migrate().await.expect("migrations apply");
    Fresh { storage, _engine: engine }
}
