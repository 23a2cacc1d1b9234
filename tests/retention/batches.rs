//! A batch that retention has emptied is not sent again, though storage has neither its rows nor its token.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use metka::retention::Mode;
use metka::store::{Endpoint, Storage};
use serde_json::json;

use crate::http::{event, exchange};
use crate::server::{Server, wait_for};
use crate::shim::Shim;
use crate::{DAY_MS, job, run};

const CONFIG: &str = r#"
[collect]
threads = 1
rate_limit_per_minute = 0
rate_limit_network_per_minute = 0
[ship]
interval = "100ms"
[[site]]
id = "short"
hosts = ["short.example"]
[site.retention]
raw_days = 1
[[site]]
id = "long"
hosts = ["long.example"]
"#;
/// Nobody listens there: hits wait in the spool.
const NO_STORAGE: &str = "[storage]\nurl = \"http://127.0.0.1:1\"\n";

/// The embedded engine alone, on a server's data directory, by the machine's clock.
struct Engine(Child);

impl Engine {
    fn start(dir: &Path) -> (Engine, Storage) {
        let data = dir.join("data");
        let child = Command::new(env!("CARGO_BIN_EXE_metka"))
            .args(["engine", "--parent-pipe", "--data"])
            .arg(&data)
            .stdin(Stdio::piped())
            .spawn()
            .expect("the engine starts");
        let secret = std::fs::read_to_string(data.join("engine/secret")).expect("a server was here");
        let endpoint = Endpoint::Unix { path: data.join("engine.sock"), secret: secret.trim().to_owned() };
        (Engine(child), Storage::new(&endpoint, "metka"))
    }

    fn stop(mut self) {
        drop(self.0.stdin.take());
        wait_for("the engine to end", || self.0.try_wait().expect("a child of ours"));
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // Ended by the test already, or the test failed.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn configure(dir: &Path, more: &str) {
    std::fs::write(dir.join("metka.toml"), format!("{CONFIG}{more}")).expect("written");
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a directory can be made");
    for entry in std::fs::read_dir(from).expect("it lists").flatten() {
        let target = to.join(entry.file_name());
        match entry.file_type().expect("it has a type").is_dir() {
            true => copy(&entry.path(), &target),
            false => drop(std::fs::copy(entry.path(), target).expect("it is copied")),
        }
    }
}

/// `hits` on the site with a term of a day, and `kept` on the other, in the same batches.
fn check(hits: u64, kept: u64) {
    let dir = tempfile::tempdir().expect("a directory");
    configure(dir.path(), NO_STORAGE);
    let server = Server::start(dir.path(), &[]);
    for number in 0..hits.max(kept) {
        for (site, _) in [("short", hits), ("long", kept)].into_iter().filter(|(_, count)| number < *count) {
            let body =
                format!(r#"{{"s":"{site}","k":"pageview","u":"https://{site}.example/hit/{number}"}}"#);
            assert_eq!(exchange(server.collect, &event(&body, &[])).status, 202, "hit {number}");
        }
    }
    server.kill();
    // What the disk would hold if the machine lost its power before the acknowledgements.
    let spool = dir.path().join("data/spool");
    let before = dir.path().join("before");
    copy(&spool, &before);
    configure(dir.path(), "");
    let server = Server::start(dir.path(), &[]);
    server.settled("short");
    server.settled("long");
    assert_eq!(server.rows("SELECT count() FROM metka.hits")[0][0], json!(hits + kept));
    let mixed = server
        .rows("SELECT count() FROM (SELECT batch FROM metka.hits GROUP BY batch HAVING uniqExact(site) = 2)");
    assert_eq!(mixed[0][0] == json!(0), kept == 0, "{mixed:?} batches of both sites");
    assert_eq!(server.terminate().0, Some(0));
    std::fs::remove_dir_all(&spool).expect("removed");
    std::fs::rename(&before, &spool).expect("renamed");

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let (engine, storage) = Engine::start(dir.path());
    wait_for("the engine", || runtime.block_on(storage.ping()).ok());
    let other = tempfile::tempdir().expect("a directory");
    let in_two_days = jiff::Timestamp::now().as_millisecond() + 2 * DAY_MS;
    let report = runtime.block_on(run(&job(&storage, other.path(), ""), in_two_days, Mode::Remove));
    assert_eq!(report.removed(), hits);
    assert!(report.parts_dropped > 0 || kept > 0, "{report:?}");
    engine.stop();

    let shim = Shim::new(dir.path());
    shim.set_clock(2 * DAY_MS * 1_000_000);
    let mut command = Command::new(env!("CARGO_BIN_EXE_metka"));
    command.args(["serve", "--config", "metka.toml"]);
    shim.under(&mut command);
    let server = Server::start_by(command, dir.path());
    assert!(shim.is_attached(), "the shim is not loaded");
    let counts = [server.settled("short"), server.settled("long")];
    let status = wait_for("every batch to be counted in storage", || {
        let status = server.command(&["status"]);
        (status["backlog"]["unverified_batches"] == 0).then_some(status)
    });
    let rows = server.rows("SELECT site, count(), uniqExact(path) FROM metka.hits GROUP BY site");
    match kept {
        0 => assert_eq!(rows, Vec::<Vec<serde_json::Value>>::new()),
        _ => assert_eq!(rows, [[json!("long"), json!(kept), json!(kept)]]),
    }
    assert_eq!([&counts[0]["stored"], &counts[1]["stored"]], [&json!(hits), &json!(kept)]);
    assert_eq!(status["jobs"]["ship"]["mended_batches"], 0, "{status}");
    let (code, log) = server.terminate();
    assert_eq!(code, Some(0));
    assert!(log.contains("erased or expired rows are left out"), "no batch came again:\n{log}");
    println!("{hits} rows past their term and {kept} others: {} removed, none sent again", report.removed());
}

#[test]
fn a_batch_that_was_dropped_with_its_token_is_not_sent_again() {
    check(40, 0);
}

#[test]
fn of_a_batch_that_was_emptied_in_part_only_the_rest_is_looked_for() {
    check(30, 20);
}
