//! `metka retention run` beside a running server and without one, and what is left on the disk.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::rows::{Hit, Terms, insert};
use crate::server::{Server, wait_for};
use crate::{DAY_MS, nothing_is_left_behind};

const CONFIG: &str = "[collect]\nthreads = 1\n[[site]]\nid = \"clinic\"\nhosts = [\"clinic.example\"]\n";
const TERMS: Terms = Terms { keep: 400, ip: 90, city: 30, user_key: 365, props: 365 };

fn retention(dir: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_metka"))
        .args(["retention", "run", "--config", "metka.toml"])
        .args(arguments)
        .current_dir(dir)
        .output()
        .expect("the binary runs")
}

fn report(dir: &Path, arguments: &[&str]) -> Value {
    let output = retention(dir, &[arguments, &["--json"]].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// The trail's entries of runs, as (actor, detail).
fn entries(dir: &Path) -> Vec<(Value, Value)> {
    let output = Command::new(env!("CARGO_BIN_EXE_metka"))
        .args(["audit", "list", "--action", "retention_run", "--json", "--config", "metka.toml"])
        .current_dir(dir)
        .output()
        .expect("the binary runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let listed: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let entries = listed.as_array().or_else(|| listed["entries"].as_array()).expect("a list");
    entries.iter().map(|entry| (entry["actor"].clone(), entry["detail"].clone())).collect()
}

/// A run that cannot be written into the trail does not happen.
fn check_refused(dir: &Path) {
    let (head, last) = (dir.join("data/audit/head"), dir.join("data/retention/last.json"));
    let (head_before, last_before) = (std::fs::read(&head).expect("read"), std::fs::read(&last).ok());
    std::fs::write(&head, b"{}").expect("damaged");
    let output = retention(dir, &[]);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(error.contains("audit"), "{error}");
    assert_eq!(std::fs::read(&last).ok(), last_before, "it ran");
    std::fs::write(&head, head_before).expect("mended");
}

fn removed(report: &Value, kind: &str) -> u64 {
    let kinds = report["kinds"].as_array().expect("a list");
    kinds.iter().filter(|one| one["kind"] == kind).filter_map(|one| one["removed"].as_u64()).sum()
}

/// Waits until the tables are of this version: changing them makes parts anew.
fn ready(server: &Server) {
    wait_for("storage", || {
        let health = crate::http::exchange(server.web, &crate::http::get("/health", &[]));
        (health.json()["storage"] == "ready").then_some(())
    });
}

/// Files below a directory that hold these bytes.
fn files_with(dir: &Path, needle: &[u8], found: &mut Vec<PathBuf>) {
    // The engine moves and removes directories meanwhile.
    let entries = match std::fs::read_dir(dir) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return,
        entries => entries.expect("readable"),
    };
    for entry in entries.flatten() {
        let path = entry.path();
        // The engine's tables are reached by links as well.
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            files_with(&path, needle, found);
        } else if let Ok(bytes) = std::fs::read(&path)
            && bytes.windows(needle.len()).any(|window| window == needle)
        {
            found.push(path);
        }
    }
}

#[test]
fn the_command_works_beside_a_server_and_without_one_and_no_byte_stays() {
    let dir = tempfile::tempdir().expect("a directory");
    std::fs::write(dir.path().join("metka.toml"), CONFIG).expect("written");
    let server = Server::start(dir.path(), &[]);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    ready(&server);
    let storage = server.storage();
    // The engine's own terms act at its merges, whenever it likes.
    runtime.block_on(storage.execute("SYSTEM STOP TTL MERGES metka.hits", &[])).expect("stopped");
    let now = jiff::Timestamp::now().as_millisecond();
    let day = |back: i64| now - back * DAY_MS;
    let hits: Vec<Hit> = (0..600u32)
        .map(|row| Hit {
            site: if row % 2 == 0 { "clinic" } else { "gone" },
            // 200 rows are past all terms, 200 past two, 200 past none.
            time: [day(450), day(200), day(5)][row as usize % 3],
            terms: TERMS,
            hold: row < 6,
            id: (1, row),
            key: 1,
        })
        .collect();
    runtime.block_on(insert(&storage, &hits));
    // Short texts lie plain in a part. Both rows are past the city's term, one past its own.
    let canary = b"Zq7vKx2Wp9LmTj4Rd";
    for (row, back) in [(1, 450), (2, 200)] {
        let sql = format!(
            "INSERT INTO metka.hits (site, time, kind, city, keep_days, ip_days, city_days, user_key_days, props_days, batch, row) \
             SELECT 'clinic', now64(3) - INTERVAL {back} DAY, 'pageview', '{}', 400, 90, 30, 365, 365, 2, {row}",
            String::from_utf8_lossy(canary)
        );
        runtime.block_on(storage.execute(&sql, &[])).expect("inserted");
    }
    let engine = server.data().join("engine");
    let mut before = Vec::new();
    files_with(&engine, canary, &mut before);
    assert!(!before.is_empty(), "the canary is nowhere to begin with");

    let dry = report(dir.path(), &["--dry-run"]);
    assert_eq!(dry["dry_run"], true);
    assert_eq!(server.command(&["status"])["jobs"]["retention"]["last"], Value::Null, "a dry run is no run");
    assert_eq!(server.rows("SELECT count() FROM metka.hits")[0][0], 602);
    let counted: Vec<u64> =
        ["raw", "ip", "city", "user_key", "props"].map(|kind| removed(&dry, kind)).to_vec();
    assert_eq!(counted, [199, 198, 199, 0, 0]);
    assert_eq!(entries(dir.path()), [], "a dry run changes nothing");
    let done = report(dir.path(), &[]);
    assert_eq!(done["kinds"], dry["kinds"]);
    let noted = entries(dir.path());
    assert!(noted.len() == 1 && noted[0].0["command"].is_string(), "{noted:?}");
    check_refused(dir.path());
    assert_eq!(entries(dir.path()), noted);
    assert_eq!(server.rows("SELECT count(), countIf(hold) FROM metka.hits")[0], [json!(403), json!(6)]);
    assert_eq!(
        server.rows("SELECT countIf(city != ''), countIf(ip_key != 0) FROM metka.hits")[0],
        [json!(204), json!(204)]
    );
    runtime.block_on(nothing_is_left_behind(&storage));
    let mut after = Vec::new();
    files_with(&engine, canary, &mut after);
    assert_eq!(after, Vec::<PathBuf>::new(), "an expired value is still on the disk");
    assert_eq!(server.command(&["status"])["jobs"]["retention"]["last"], done);
    let file = server.data().join("retention/last.json");
    let mode = std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(&file).expect("it is there"));
    assert_eq!(mode & 0o777, 0o600);

    // Without a server, on what a year makes of the rest.
    assert_eq!(server.terminate().0, Some(0));
    let again = report(dir.path(), &[]);
    assert_eq!(
        again["kinds"].as_array().expect("a list").iter().filter(|one| one["removed"] != 0).count(),
        0
    );
    let noted = entries(dir.path());
    assert_eq!(noted.len(), 2);
    assert_eq!(noted[1], (noted[0].0.clone(), json!("without a server")));
    check_refused(dir.path());
    let text = retention(dir.path(), &["--dry-run"]);
    let text = String::from_utf8_lossy(&text.stdout).into_owned();
    assert!(text.contains("WOULD GO") && text.contains("address keys to be destroyed: none"), "{text}");
    let status = Command::new(env!("CARGO_BIN_EXE_metka"))
        .args(["status", "--json", "--config", "metka.toml"])
        .current_dir(dir.path())
        .output()
        .expect("the binary runs");
    let status: Value = serde_json::from_slice(&status.stdout).expect("JSON");
    assert_eq!(status["jobs"]["retention"]["last"], again);
    println!(
        "602 rows: {counted:?} rows, addresses, cities, user keys, properties removed in {} s beside a server; \
         the canary was in {} files and is in 0",
        done["seconds"],
        before.len()
    );
}

/// Somebody is held, and storage does not know it: as after a crash while they were put on the list,
/// or when a ClickHouse server was set back to an older state.
#[test]
fn nothing_is_removed_before_storage_knows_who_is_held() {
    let dir = tempfile::tempdir().expect("a directory");
    std::fs::write(dir.path().join("metka.toml"), CONFIG).expect("written");
    let server = Server::start(dir.path(), &[]);
    ready(&server);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let time = jiff::Timestamp::now().as_millisecond() - 450 * DAY_MS;
    let hits = [0, 1, 2].map(|row| Hit {
        site: "clinic",
        time,
        // A part whose every row is past its term is emptied by the engine whenever it is made anew.
        terms: if row < 2 { TERMS } else { Terms { keep: 2000, ..TERMS } },
        hold: false,
        id: (1, row),
        key: 1,
    });
    let [held, _, long] = hits.map(|hit| json!(hit.number()));
    let insert_hits = |server: &Server| {
        let storage = server.storage();
        runtime.block_on(async {
            // The engine's own terms act at its merges; so much lasts across restarts.
            let only_ours = "ALTER TABLE metka.hits MODIFY SETTING max_number_of_merges_with_ttl_in_pool = 0";
            for sql in [only_ours, "TRUNCATE TABLE metka.hits", "TRUNCATE TABLE metka.held"] {
                storage.execute(sql, &[]).await.expect("done");
            }
            insert(&storage, &hits).await;
        });
    };
    let left = |server: &Server| server.rows("SELECT visitor, hold FROM metka.hits ORDER BY visitor");
    let expected = [[held, json!(true)], [long, json!(false)]];

    insert_hits(&server);
    assert_eq!(server.terminate().0, Some(0));
    let hash = format!("{:016x}", hits[0].number());
    let entry = json!({ "site": "clinic", "kind": "visitor", "hash": hash, "since": time });
    let copy = json!({ "version": 1, "blocks": [entry] });
    let rights = dir.path().join("data/rights");
    std::fs::create_dir_all(&rights).expect("made");
    let path = rights.join("holds.json");
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).expect("made");
    file.write_all(copy.to_string().as_bytes()).expect("written");

    // Beside a server that has just begun to prepare its storage.
    let server = Server::start(dir.path(), &[]);
    report(dir.path(), &[]);
    assert_eq!(left(&server), expected);

    // Without one.
    insert_hits(&server);
    assert_eq!(server.terminate().0, Some(0));
    report(dir.path(), &[]);
    assert_eq!(left(&Server::start(dir.path(), &[])), expected);
}

#[test]
fn without_a_server_tables_that_no_server_has_made_are_made_first() {
    let dir = tempfile::tempdir().expect("a directory");
    std::fs::write(dir.path().join("metka.toml"), CONFIG).expect("written");
    let dry = report(dir.path(), &["--dry-run"]);
    assert_eq!((&dry["dry_run"], &dry["kinds"]), (&json!(true), &json!([])));
    let done = report(dir.path(), &[]);
    assert_eq!((&done["dry_run"], &done["kinds"]), (&json!(false), &json!([])));
    assert_eq!(entries(dir.path()).len(), 1);
}
