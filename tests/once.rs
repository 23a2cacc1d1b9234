//! Exactly once, with the real server and the real engine: storage that has
//! forgotten its tokens, storage that has lost or doubled what it acknowledged,
//! batches that it refuses for good, rows that were erased before they arrived.

#[path = "support/http.rs"]
#[expect(dead_code, reason = "each test binary uses its part of the shared client")]
mod http;
#[path = "support/server.rs"]
mod server;

use std::collections::BTreeMap;
use std::path::Path;

use metka::count::Counters;
use metka::spool::{self, Durability, Options, Subject, Tombstone};
use serde_json::{Value, json};

use http::{event, exchange};
use server::{Server, wait_for};

const CONFIG: &str = r#"
[collect]
rate_limit_per_minute = 0
rate_limit_network_per_minute = 0
threads = 2
[ship]
interval = "100ms"
[[site]]
id = "clinic"
hosts = ["clinic.example"]
"#;
/// Nobody listens there: hits wait in the spool.
const NO_STORAGE: &str = "[storage]\nurl = \"http://127.0.0.1:1\"\n";

fn configure(dir: &Path, more: &str) {
    std::fs::write(dir.join("metka.toml"), format!("{CONFIG}{more}")).expect("written");
}

/// Sends hits on pages `/hit/N`, all of which are kept.
fn send(server: &Server, numbers: std::ops::Range<u64>) {
    for number in numbers {
        let body = format!(r#"{{"s":"clinic","k":"pageview","u":"https://clinic.example/hit/{number}"}}"#);
        assert_eq!(exchange(server.collect, &event(&body, &[])).status, 202, "hit {number}");
    }
}

/// How often each page is in the table.
fn pages(server: &Server) -> BTreeMap<String, u64> {
    let rows = server.rows("SELECT path, count() FROM metka.hits GROUP BY path ORDER BY path");
    rows.iter()
        .map(|row| (row[0].as_str().expect("a path").to_owned(), row[1].as_u64().expect("a count")))
        .collect()
}

fn each_once(server: &Server, hits: u64) {
    let pages = pages(server);
    let total: u64 = pages.values().sum();
    assert_eq!((pages.len() as u64, total), (hits, hits), "{pages:?}");
}

fn shipper(server: &Server, field: &str) -> u64 {
    server.command(&["status"])["jobs"]["ship"][field].as_u64().expect("a number")
}

/// Waits until storage has all, and all of it was counted.
fn verified(server: &Server) -> Value {
    let counts = server.settled("clinic");
    wait_for("every batch to be counted in storage", || {
        (server.command(&["status"])["backlog"]["unverified_batches"] == 0).then_some(())
    });
    counts
}

fn execute(server: &Server, sql: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(server.storage().execute(sql, &[])).expect("the statement works");
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

/// Waits until the engine of a killed server has ended too.
fn engine_ended(data: &Path) {
    let lock = std::fs::File::open(data.join("engine/lock")).expect("the engine's lock");
    wait_for("the engine to end", || lock.try_lock().ok());
}

/// All files below a directory that lie in a directory of this name.
fn files_in(dir: &Path, name: &str, found: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        // The engine's tables are reached by links as well.
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            files_in(&path, name, found);
        } else if path.is_file()
            && path.parent().and_then(Path::file_name).is_some_and(|parent| parent == name)
        {
            found.push(path);
        }
    }
}

#[test]
fn batches_whose_acknowledgement_and_tokens_are_both_lost_are_counted_and_not_sent_again() {
    let dir = tempfile::tempdir().expect("a directory");
    configure(dir.path(), NO_STORAGE);
    let server = Server::start(dir.path(), &[]);
    send(&server, 0..60);
    server.kill();
    // What the disk would hold if the machine lost its power before the acknowledgements.
    let before = dir.path().join("before");
    copy(&dir.path().join("data/spool"), &before);

    configure(dir.path(), "");
    let server = Server::start(dir.path(), &[]);
    verified(&server);
    each_once(&server, 60);
    server.kill();
    let data = dir.path().join("data");
    engine_ended(&data);
    std::fs::remove_dir_all(data.join("spool")).expect("it is removed");
    std::fs::rename(&before, data.join("spool")).expect("it is renamed");
    // The engine's log of tokens, which it never syncs: lost.
    let mut logs = Vec::new();
    files_in(&data.join("engine"), "deduplication_logs", &mut logs);
    assert!(!logs.is_empty(), "the engine keeps no log of tokens");
    logs.iter().for_each(|log| std::fs::remove_file(log).expect("it is removed"));

    let server = Server::start(dir.path(), &[]);
    send(&server, 60..80);
    let counts = verified(&server);
    each_once(&server, 80);
    let found = shipper(&server, "found_batches");
    println!("{} logs of tokens removed, {found} batches found in storage and not sent again", logs.len());
    assert!(found > 0, "nothing was counted");
    assert_eq!((&counts["stored"], shipper(&server, "mended_batches")), (&json!(80), 0));
    assert_eq!(server.terminate().0, Some(0));
}

#[test]
fn rows_that_the_engine_lost_or_doubled_are_mended_when_it_was_started_again() {
    let dir = tempfile::tempdir().expect("a directory");
    configure(dir.path(), "");
    let server = Server::start(dir.path(), &[]);
    let mut hits = 0;
    let batches = loop {
        send(&server, hits..hits + 10);
        hits += 10;
        verified(&server);
        let batches = server.rows("SELECT batch FROM metka.hits GROUP BY batch ORDER BY batch");
        if batches.len() >= 4 {
            break batches;
        }
    };
    let id = |index: usize| batches[index][0].as_u64().expect("a batch id");
    // As a crash of the machine would leave it: one batch lost with its token known,
    // one with some rows, one there twice.
    execute(&server, &format!("ALTER TABLE metka.hits DELETE WHERE batch = {}", id(0)));
    execute(&server, &format!("ALTER TABLE metka.hits DELETE WHERE batch = {} AND row = 0", id(1)));
    execute(&server, &format!("INSERT INTO metka.hits SELECT * FROM metka.hits WHERE batch = {}", id(2)));
    assert_ne!(pages(&server).values().sum::<u64>(), hits);
    let pid: i32 = std::fs::read_to_string(server.data().join("engine/lock"))
        .expect("the engine's lock")
        .trim()
        .parse()
        .expect("a process id");
    let pid = rustix::process::Pid::from_raw(pid).expect("a process id");
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("the engine runs");
    wait_for("the lost batches to be mended", || (shipper(&server, "mended_batches") >= 3).then_some(()));
    let counts = verified(&server);
    each_once(&server, hits);
    println!("{hits} hits in {} batches: 1 lost, 1 short, 1 doubled, all mended", batches.len());
    assert_eq!(counts["stored"], json!(hits));
    assert!(shipper(&server, "storage_restarts") >= 1);
    assert_eq!(server.terminate().0, Some(0));
}

#[test]
fn what_storage_refuses_for_good_waits_as_a_dead_letter_and_can_be_replayed() {
    let dir = tempfile::tempdir().expect("a directory");
    configure(dir.path(), "");
    let server = Server::start(dir.path(), &[]);
    send(&server, 0..5);
    verified(&server);
    execute(&server, "ALTER TABLE metka.hits ADD CONSTRAINT none CHECK path = ''");
    send(&server, 5..15);
    let dead = || server.command(&["status"])["backlog"]["dead_rows"].as_u64().expect("a number");
    wait_for("ten dead rows", || (dead() == 10).then_some(()));
    let counts = server.command(&["status"])["sites"]["clinic"].clone();
    assert_eq!((&counts["stored"], &counts["waiting"]), (&json!(5), &json!(10)), "{counts}");
    let metrics =
        exchange(server.web, b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    let metrics = String::from_utf8_lossy(&metrics.body).into_owned();
    assert!(metrics.contains("metka_backlog_dead_rows 10\n"), "{metrics}");
    assert!(!metrics.contains("metka_ship_dead_batches_total 0\n"), "{metrics}");
    let stat = server.command(&["spool", "stat"]);
    let letters = stat["dead"].as_array().expect("a list").clone();
    assert!(
        letters
            .iter()
            .all(|letter| letter["reason"] == "469: storage refused with code 469: VIOLATED_CONSTRAINT"),
        "{stat}"
    );

    // Sent again before the cause is mended, they are refused again.
    let (code, text) = replay(dir.path(), &[]);
    assert_eq!(code, Some(1), "{text}");
    assert_eq!(dead(), 10);
    execute(&server, "ALTER TABLE metka.hits DROP CONSTRAINT none");
    let one = letters[0]["id"].as_str().expect("an id");
    let (code, text) = replay(dir.path(), &[one]);
    let remain = letters.len() - 1;
    assert_eq!(code, Some(i32::from(remain > 0)), "{text}");
    // The rest without a server.
    assert_eq!(server.terminate().0, Some(0));
    if remain > 0 {
        let (code, text) = replay(dir.path(), &[]);
        assert_eq!(code, Some(0), "{text}");
    }
    for (id, code) in [("0123456789abcdef", 1), ("no", 2)] {
        let (found, text) = replay(dir.path(), &[id]);
        assert_eq!(found, Some(code), "{text}");
        assert!(text.contains(id), "{text}");
    }
    let server = Server::start(dir.path(), &[]);
    let counts = verified(&server);
    each_once(&server, 15);
    assert_eq!((&counts["stored"], &counts["waiting"]), (&json!(15), &json!(0)), "{counts}");
    assert_eq!(server.command(&["spool", "stat"])["dead_letters"], 0);
    println!("{} dead letters with 10 rows, replayed: 15 of 15 hits stored once", letters.len());
}

fn replay(dir: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_metka"))
        .args(["spool", "replay", "--config", "metka.toml"])
        .args(arguments)
        .current_dir(dir)
        .output()
        .expect("the binary runs");
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&text).into_owned())
}

#[test]
fn hits_of_an_erased_visitor_that_still_wait_never_reach_storage() {
    let dir = tempfile::tempdir().expect("a directory");
    configure(dir.path(), "");
    let server = Server::start(dir.path(), &[]);
    send(&server, 0..3);
    verified(&server);
    let visitor = server.rows("SELECT DISTINCT visitor FROM metka.hits")[0][0].as_u64().expect("a hash");
    server.terminate();
    configure(dir.path(), NO_STORAGE);
    let server = Server::start(dir.path(), &[]);
    send(&server, 3..20);
    server.kill();

    let options = Options {
        dir: dir.path().join("data/spool"),
        spools: 2,
        durability: Durability::Fsync,
        seal_interval: std::time::Duration::from_secs(1),
        batch_rows: 1000,
        max_bytes: 1 << 30,
    };
    let now_ms = jiff::Timestamp::now().as_millisecond();
    let opened = spool::open(options, Counters::new(["clinic"])).expect("the spool opens");
    let subject = Subject::Visitor(visitor);
    let tombstone = Tombstone { site: "clinic".to_owned(), subject, before_ms: now_ms, made_ms: now_ms };
    opened.outlet.erase(&[tombstone], &[]).expect("it is written");
    drop(opened);

    configure(dir.path(), "");
    let server = Server::start(dir.path(), &[]);
    let counts = verified(&server);
    // The three that were stored before go too: a start looks after every erasure in force.
    wait_for("the start to look after the erasure", || {
        (server.rows("SELECT count() FROM metka.hits")[0][0] == 0).then_some(())
    });
    assert_eq!((&counts["received"], &counts["stored"]), (&json!(20), &json!(20)), "{counts}");
    send(&server, 20..22);
    verified(&server);
    each_once(&server, 2);
    println!("17 waiting hits of an erased visitor left out, 3 stored ones deleted, 2 later ones stored");
}
