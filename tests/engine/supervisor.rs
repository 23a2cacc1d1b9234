//! The parent's side: crash, hang, stop, and the parent's own death.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use metka::config::Config;
use metka::engine::supervise::{Phase, State, Supervisor};
use metka::store::Endpoint;
use tokio::sync::watch::Receiver;

use super::harness::{self, PATIENCE};

fn config(data: &Path) -> Config {
    let environment =
        std::env::var("METKA_ENGINE__LIBRARY").map(|library| ("METKA_ENGINE__LIBRARY".to_owned(), library));
    Config::load(None, Some(data), environment, Path::new("/")).unwrap()
}

fn start(data: &Path) -> Supervisor {
    Supervisor::start(&config(data), PathBuf::from(env!("CARGO_BIN_EXE_metka"))).unwrap()
}

async fn ready(state: &mut Receiver<State>, restarts: u64) -> u32 {
    let ready = state.wait_for(|state| state.phase == Phase::Ready && state.restarts >= restarts);
    let state = tokio::time::timeout(PATIENCE, ready).await.expect("the engine gets ready").unwrap();
    state.pid.unwrap()
}

async fn ask(endpoint: &Endpoint) -> String {
    let Endpoint::Unix { path, secret } = endpoint.clone() else { panic!("not a Unix socket") };
    tokio::task::spawn_blocking(move || {
        use std::io::{Read, Write};
        let mut stream = std::os::unix::net::UnixStream::connect(path).unwrap();
        let request =
            format!("GET /?query=SELECT+42 HTTP/1.0\r\nHost: e\r\nX-ClickHouse-Key: {secret}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        let read = stream.read_to_end(&mut answer);
        let answer = String::from_utf8_lossy(&answer).into_owned();
        assert!(read.is_ok(), "{read:?} after {answer:?}");
        answer
    })
    .await
    .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_engine_is_started_again_and_a_stopped_one_is_not() {
    let directory = tempfile::tempdir().unwrap();
    let supervisor = start(directory.path());
    let mut state = supervisor.state();
    let first = ready(&mut state, 0).await;
    assert!(ask(&supervisor.endpoint()).await.ends_with("42\n"));
    harness::signal(first, rustix::process::Signal::KILL);
    let second = ready(&mut state, 1).await;
    assert_ne!(first, second);
    assert!(ask(&supervisor.endpoint()).await.ends_with("42\n"));
    supervisor.stop().await;
    assert_eq!(state.borrow().phase, Phase::Stopped);
    assert!(!directory.path().join("engine.sock").exists(), "it ended in order");
}

/// SIGSTOP is as good as a hang: alive, and silent.
#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_hangs_is_killed_and_started_again() {
    let directory = tempfile::tempdir().unwrap();
    let supervisor = start(directory.path());
    let mut state = supervisor.state();
    let first = ready(&mut state, 0).await;
    harness::signal(first, rustix::process::Signal::STOP);
    let second = ready(&mut state, 1).await;
    assert_ne!(first, second);
    assert!(ask(&supervisor.endpoint()).await.ends_with("42\n"));
    supervisor.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_engine_waits_for_the_lock_of_an_older_one() {
    let directory = tempfile::tempdir().unwrap();
    let older = harness::Engine::start(directory.path());
    // One whose open files may be looked at, also by who is not root.
    let open = directory.path().join("open");
    let script = format!("#!/bin/sh\nMETKA_DUMPABLE=1 exec '{}' \"$@\"\n", env!("CARGO_BIN_EXE_metka"));
    std::fs::write(&open, script).unwrap();
    std::fs::set_permissions(&open, std::fs::Permissions::from_mode(0o700)).unwrap();
    let supervisor = Supervisor::start(&config(directory.path()), open).unwrap();
    let mut state = supervisor.state();
    // It has opened the lock's file, so it waits for the lock and does not fail.
    let waiting = state.wait_for(|state| state.pid.is_some());
    let pid = tokio::time::timeout(PATIENCE, waiting).await.unwrap().unwrap().pid.unwrap();
    let lock = directory.path().join("engine/lock");
    harness::wait("the second engine at the lock", || {
        std::fs::read_dir(format!("/proc/{pid}/fd"))
            .ok()?
            .flatten()
            .find_map(|file| std::fs::read_link(file.path()).ok().filter(|target| *target == lock).map(drop))
    });
    assert_eq!(state.borrow().phase, Phase::Starting);
    assert_eq!(older.query("SELECT 1"), "1\n");
    drop(older);
    ready(&mut state, 0).await;
    assert_eq!(state.borrow().restarts, 0);
    supervisor.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_library_is_tried_again_and_can_be_stopped() {
    let directory = tempfile::tempdir().unwrap();
    let mut config = config(directory.path());
    config.engine.library = Some(directory.path().join("nowhere.so"));
    let supervisor = Supervisor::start(&config, PathBuf::from(env!("CARGO_BIN_EXE_metka"))).unwrap();
    let mut state = supervisor.state();
    let tried = state.wait_for(|state| state.restarts >= 2);
    tokio::time::timeout(PATIENCE, tried).await.unwrap().unwrap();
    supervisor.stop().await;
}
