//! The engine as a process: lock, library, secret, crash, end.

use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use super::harness::{self, Engine, wait};

#[test]
fn a_second_engine_on_one_directory_is_refused_by_name() {
    let directory = tempfile::tempdir().unwrap();
    let first = Engine::start(directory.path());
    let second = harness::command(directory.path()).stderr(Stdio::piped()).output().unwrap();
    assert_eq!(second.status.code(), Some(1));
    let error = String::from_utf8_lossy(&second.stderr);
    assert!(error.contains(&format!("another engine (process {})", first.child.id())), "{error}");
    assert!(error.contains(&directory.path().display().to_string()), "{error}");
    assert_eq!(first.query("SELECT 1"), "1\n", "the first is not disturbed");
}

#[test]
fn a_missing_library_is_named_with_the_command_that_brings_it() {
    let directory = tempfile::tempdir().unwrap();
    let missing = directory.path().join("nowhere/libchdb.so");
    let output = harness::command(directory.path())
        .arg("--library")
        .arg(&missing)
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(error.contains(&missing.display().to_string()) && error.contains("npm ci"), "{error}");
    let other = directory.path().join("libchdb.so");
    std::fs::write(&other, "not a library").unwrap();
    let output = harness::command(directory.path())
        .arg("--library")
        .arg(&other)
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(error.contains("cannot load") && error.contains("npm ci"), "{error}");
}

#[test]
fn files_are_for_their_owner_only_and_the_secret_stays() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let engine = Engine::start(&data);
    let mode = |path: &str| std::fs::metadata(data.join(path)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("engine"), mode("engine/secret"), mode("engine.sock")), (0o700, 0o600, 0o600));
    let secret = engine.secret.clone();
    assert_eq!(engine.terminate(), Some(0));
    assert!(!data.join("engine.sock").exists());
    let engine = Engine::start(&data);
    assert_eq!(engine.secret, secret);
    drop(engine);
    std::fs::set_permissions(data.join("engine/secret"), std::fs::Permissions::from_mode(0o644)).unwrap();
    let output = harness::command(&data).stderr(Stdio::piped()).output().unwrap();
    assert!(String::from_utf8_lossy(&output.stderr).contains("chmod"), "{output:?}");
}

#[test]
fn only_loopback_is_listened_on() {
    let directory = tempfile::tempdir().unwrap();
    let output = harness::command(directory.path())
        .args(["--listen", "192.0.2.1:0"])
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("loopback"));
    let engine = Engine::start_tcp(directory.path());
    assert!(engine.listen.starts_with("http://127.0.0.1:"), "{}", engine.listen);
    assert_eq!(engine.query("SELECT 1"), "1\n");
}

/// A relative data path breaks inserts once parts are fsynced, so it is made absolute.
#[test]
fn a_relative_data_directory_takes_fsynced_inserts() {
    let directory = tempfile::tempdir().unwrap();
    let mut command = harness::command(std::path::Path::new("data"));
    let mut child = command.current_dir(directory.path()).spawn().unwrap();
    let socket = directory.path().join("data/engine.sock");
    wait("the socket", || socket.exists().then_some(()));
    let secret = std::fs::read_to_string(directory.path().join("data/engine/secret")).unwrap();
    let engine = Engine {
        data: directory.path().join("data"),
        listen: format!("unix:{}", socket.display()),
        secret,
        child: {
            child.stdout.take();
            child
        },
    };
    engine.query(FSYNCED);
    engine.query("INSERT INTO t VALUES (1)");
    assert_eq!(engine.query("SELECT count() FROM t"), "1\n");
}

const FSYNCED: &str = "CREATE TABLE t (a UInt64) ENGINE = MergeTree ORDER BY a SETTINGS fsync_after_insert = 1, \
                       fsync_part_directory = 1, non_replicated_deduplication_window = 1000";

#[test]
fn after_kill_9_what_was_acknowledged_is_there_once() {
    let directory = tempfile::tempdir().unwrap();
    let mut engine = Engine::start(directory.path());
    engine.query(FSYNCED);
    let mut acknowledged = 0u64;
    for round in 0..3u64 {
        std::thread::scope(|scope| {
            let (engine, acknowledged) = (&engine, &mut acknowledged);
            let writer = scope.spawn(move || {
                loop {
                    let token = *acknowledged;
                    let url = format!("/?insert_deduplication_token=t{token}&query=INSERT+INTO+t+FORMAT+TSV");
                    let rows: String = (0..100).map(|row| format!("{}\n", token * 100 + row)).collect();
                    let sent = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                        engine.post(&url, rows.as_bytes()).status
                    }));
                    match sent {
                        Ok(200) => *acknowledged += 1,
                        _ => return,
                    }
                }
            });
            let wanted = (round + 1) * 5;
            wait("some inserts", || (count(engine)? >= wanted * 100).then_some(()));
            harness::signal(engine.child.id(), rustix::process::Signal::KILL);
            // The writer sees the crash by its own failing request.
            let hook = std::panic::take_hook();
            std::panic::set_hook(Box::new(|_| {}));
            writer.join().unwrap();
            std::panic::set_hook(hook);
        });
        engine.kill();
        engine = Engine::start(directory.path());
        // What was acknowledged is there; the batch of unknown outcome wholly or not at all.
        let rows_of = acknowledged * 100;
        let held = format!("SELECT countIf(a < {rows_of}), countIf(a >= {rows_of}), uniqExact(a) FROM t");
        let held = engine.query(&held);
        let whole = format!("{rows_of}\t100\t{}\n", rows_of + 100);
        assert!(
            [format!("{rows_of}\t0\t{rows_of}\n"), whole.clone()].contains(&held),
            "round {round}: {held}"
        );
        // It is sent again under its old token only if it is there, where that changes
        // nothing. The note of a token may outlive a part that the crash undid, and
        // would then swallow the rows: so a batch that is missing gets a new token. (The
        // shipper counts after each acknowledgement, and does the same then.)
        let token = if held == whole { format!("t{acknowledged}") } else { format!("again{acknowledged}") };
        let url = format!("/?insert_deduplication_token={token}&query=INSERT+INTO+t+FORMAT+TSV");
        let rows: String = (0..100).map(|row| format!("{}\n", acknowledged * 100 + row)).collect();
        assert_eq!(engine.post(&url, rows.as_bytes()).status, 200);
        acknowledged += 1;
        let expected = format!("{0}\t{0}\n", acknowledged * 100);
        assert_eq!(engine.query("SELECT count(), uniqExact(a) FROM t"), expected, "round {round}");
    }
}

fn count(engine: &Engine) -> Option<u64> {
    let answer = engine.post("/", b"SELECT count() FROM t");
    (answer.status == 200).then(|| answer.text().trim().parse().unwrap())
}

/// The log tables that fill disks in every ClickHouse: none exists, and
/// hundreds of statements leave nothing in the `system` database's directory.
#[test]
fn no_system_log_grows() {
    let directory = tempfile::tempdir().unwrap();
    let engine = Engine::start(directory.path());
    let stored =
        "SELECT count() FROM system.tables WHERE database = 'system' AND engine LIKE '%MergeTree' FORMAT TSV";
    for n in 0..300 {
        engine.query(&format!("SELECT {n} FROM numbers(10)"));
        engine.post("/?log_queries=1&log_queries_min_type=QUERY_START", b"SELECT throwIf(1)");
    }
    engine.post("/", b"SYSTEM FLUSH LOGS");
    assert_eq!(engine.query(stored), "0\n");
    let logs = "SELECT count() FROM system.tables WHERE database = 'system' AND name LIKE '%\\_log'";
    assert_eq!(engine.query(logs), "0\n");
    assert_eq!(engine.query("SELECT count() FROM system.parts"), "0\n");
    assert!(!engine.data.join("engine/clickhouse/data/system").exists());
    let logs_of_text: Vec<_> = walk(&engine.data).into_iter().filter(|path| path.ends_with(".log")).collect();
    assert!(logs_of_text.is_empty(), "{logs_of_text:?}");
}

fn walk(directory: &std::path::Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap().flatten() {
        let path = entry.path();
        if entry.file_type().unwrap().is_dir() {
            found.extend(walk(&path));
        } else {
            found.push(path.display().to_string());
        }
    }
    found
}

#[test]
fn memory_is_bounded() {
    let directory = tempfile::tempdir().unwrap();
    let engine = Engine::start_with(directory.path(), &["--max-memory-bytes", "600000000"]);
    let greedy = engine.post("/", b"SELECT length(groupArray(number)) FROM numbers(300000000)");
    assert_eq!(greedy.exception().0, Some("241"), "{}", greedy.text());
    assert_eq!(engine.query("SELECT 1"), "1\n", "it lives on");
}

#[test]
fn the_end_waits_for_statements_under_way() {
    let directory = tempfile::tempdir().unwrap();
    let engine = Engine::start(directory.path());
    engine.query("CREATE TABLE t (a UInt64) ENGINE = MergeTree ORDER BY a");
    let pid = engine.child.id();
    let slow = std::thread::scope(|scope| {
        let asked = scope.spawn(|| engine.query("SELECT sleep(1)"));
        wait("the statement", || {
            let running =
                engine.query("SELECT count() FROM system.processes WHERE query LIKE 'SELECT sleep%'");
            (running == "1\n").then_some(())
        });
        harness::signal(pid, rustix::process::Signal::TERM);
        asked.join().unwrap()
    });
    assert_eq!(slow, "0\n");
    assert_eq!(engine.terminate(), Some(0));
}

#[test]
fn the_engine_yields_to_its_parent_and_ends_when_its_pipe_closes() {
    let directory = tempfile::tempdir().unwrap();
    let mut child =
        harness::command(directory.path()).arg("--parent-pipe").stdin(Stdio::piped()).spawn().unwrap();
    let socket = directory.path().join("engine.sock");
    wait("the socket", || socket.exists().then_some(()));
    assert!(child.try_wait().unwrap().is_none());
    let parent = std::fs::read_to_string("/proc/self/stat").unwrap();
    let yields = (nice(&parent) + 10).min(19);
    for task in std::fs::read_dir(format!("/proc/{}/task", child.id())).unwrap() {
        let Ok(stat) = std::fs::read_to_string(task.unwrap().path().join("stat")) else { continue };
        // The library's thread that watches the memory sets its own, where it may.
        if !stat.contains("(MemoryWorker)") {
            assert_eq!(nice(&stat), yields, "{stat}");
        }
    }
    drop(child.stdin.take());
    let status = wait("the end", || child.try_wait().unwrap());
    assert_eq!(status.code(), Some(0));
}

/// As the supervisor asks. Small statements still work without memory: that is no life.
#[test]
fn an_engine_without_memory_says_that_it_is_not_alive() {
    let directory = tempfile::tempdir().unwrap();
    let engine = Engine::start(directory.path());
    let pid = engine.child.id();
    let score = std::fs::read_to_string(format!("/proc/{pid}/oom_score_adj")).unwrap();
    assert_eq!(score.trim(), "500", "the kernel takes the engine first");
    let alive = |headers: &[(&str, &str)]| engine.send("GET", "/alive", headers, b"");
    assert_eq!(alive(&[]).exception().0, Some("516"));
    let secret: [(&str, &str); 1] = [("X-ClickHouse-Key", &engine.secret)];
    assert_eq!((alive(&secret).status, alive(&secret).text()), (200, "Ok.\n".to_owned()));
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let size = status.lines().find_map(|line| line.strip_prefix("VmSize:")?.trim().strip_suffix(" kB"));
    let limit = format!("--as={}", size.unwrap().parse::<u64>().unwrap() * 1024);
    let set =
        std::process::Command::new("prlimit").args(["--pid", &pid.to_string(), &limit]).status().unwrap();
    assert!(set.success());
    assert_eq!(alive(&secret).exception().0, Some("173"));
}

/// Of a thread's `stat`: the 19th field, the name in parentheses being the second.
fn nice(stat: &str) -> i32 {
    let (_, rest) = stat.rsplit_once(") ").unwrap();
    rest.split_whitespace().nth(16).unwrap().parse().unwrap()
}
