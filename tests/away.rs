//! ClickHouse is away while hits arrive: the spool takes them in flat memory, says
//! how far behind it is, and catches up beside new hits. Nothing is lost.
//!
//! 2,000,000 hits, with `METKA_SOAK=1` a day of a thousand a second: 86,400,000.
//! `METKA_AWAY_HITS` sets another number.

#[path = "support/http.rs"]
#[expect(dead_code, reason = "each test binary uses its part of the shared client")]
mod http;
#[path = "support/server.rs"]
#[expect(dead_code, reason = "each test binary uses its part of the shared server")]
mod server;

use std::io::BufRead;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use metka::store::{Endpoint, Limits, Storage};

use http::{Connection, exchange, request};
use server::{Server, wait_for};

const HITS: u64 = 2_000_000;
const SOAK_HITS: u64 = 86_400_000;
/// Hits in one request.
const ARRAY: u64 = 50;
const CLIENTS: usize = 3;
/// While storage catches up, hits come at the rate of a busy site.
const RATE_WHILE_CATCHING_UP: u64 = 1_000;
/// The memory at the end may differ so much from that after a quarter, in percent.
const FLAT_PERCENT: u64 = 10;
/// Storing a day's hits takes long; a test that waits so much longer has failed.
const PATIENCE: Duration = Duration::from_secs(3 * 60 * 60);

/// `metka engine` as the ClickHouse server that is away and comes back.
struct Engine(Child);

impl Engine {
    fn start(data: &Path, address: SocketAddr) -> Engine {
        let mut child = Command::new(env!("CARGO_BIN_EXE_metka"))
            .args(["engine", "--parent-pipe", "--listen", &address.to_string(), "--data"])
            .arg(data)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the engine starts");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("piped");
        std::io::BufReader::new(stdout).read_line(&mut line).expect("it says that it is ready");
        assert!(line.contains("\"listen\""), "{line:?}");
        Engine(child)
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Sends arrays of hits until `more` says that it is enough; returns how many were answered.
fn send(address: SocketAddr, numbers: &AtomicU64, answered: &AtomicU64, more: impl Fn(u64) -> bool) {
    let mut connection = Connection::open(address);
    loop {
        let first = numbers.fetch_add(ARRAY, Relaxed);
        if !more(first) {
            return;
        }
        let hits: Vec<String> = (first..first + ARRAY)
            .map(|number| {
                let page = number % 5_000;
                format!(r#"{{"s":"clinic","k":"pageview","u":"https://clinic.example/page/{page}","r":"https://search.example/"}}"#)
            })
            .collect();
        let body = format!("[{}]", hits.join(","));
        let kind = [("Content-Type", "application/json")];
        assert!(connection.send(&request("POST", "/event", &kind, body.as_bytes())), "the collector is gone");
        let reply = connection.reply(false);
        assert_eq!(reply.status, 202, "{}", String::from_utf8_lossy(&reply.body));
        assert_eq!(reply.json()["accepted"], ARRAY, "{}", String::from_utf8_lossy(&reply.body));
        answered.fetch_add(ARRAY, Relaxed);
    }
}

fn resident_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("the process runs");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("a line of memory");
    line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).expect("a number")
}

fn metric(server: &Server, name: &str) -> f64 {
    let reply =
        exchange(server.web, b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    let text = String::from_utf8_lossy(&reply.body).into_owned();
    let line =
        text.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("no {name} in {text}"));
    line.rsplit_once(' ').and_then(|(_, value)| value.parse().ok()).expect("a number")
}

fn waiting(server: &Server) -> u64 {
    metric(server, "metka_hits_waiting{site=\"clinic\"}") as u64
}

#[test]
fn while_clickhouse_is_away_the_spool_grows_in_flat_memory_and_catches_up() {
    let chosen = std::env::var("METKA_AWAY_HITS").ok().and_then(|text| text.parse().ok());
    let full = if std::env::var_os("METKA_SOAK").is_some() { SOAK_HITS } else { HITS };
    let hits: u64 = chosen.unwrap_or(full).next_multiple_of(4 * ARRAY);
    let dir = tempfile::tempdir().expect("a directory");
    let engine_data = dir.path().join("clickhouse");
    let address = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port");
    // It makes its secret, and goes away.
    drop(Engine::start(&engine_data, address));
    let secret = engine_data.join("engine/secret");
    let config = format!(
        r#"
[collect]
rate_limit_per_minute = 0
rate_limit_network_per_minute = 0
threads = 1
[ship]
spool_max_bytes = 68719476736
[storage]
url = "http://{address}"
password_file = {secret:?}
[[site]]
id = "clinic"
hosts = ["clinic.example"]
"#
    );
    std::fs::write(dir.path().join("metka.toml"), config).expect("written");
    let server = Server::start(dir.path(), &[]);
    let (numbers, answered) = (AtomicU64::new(0), AtomicU64::new(0));

    let mut resident = Vec::new();
    let started = Instant::now();
    for quarter in 1..=4 {
        let goal = hits / 4 * quarter;
        numbers.store(answered.load(Relaxed), Relaxed);
        std::thread::scope(|scope| {
            for _ in 0..CLIENTS {
                scope.spawn(|| send(server.collect, &numbers, &answered, |first| first < goal));
            }
        });
        resident.push(resident_kib(server.pid()));
    }
    let input_rate = hits as f64 / started.elapsed().as_secs_f64();
    assert_eq!(answered.load(Relaxed), hits);
    let (early, late) = (resident[0], resident[3]);
    println!("away: {hits} hits at {input_rate:.0} per second; resident memory by quarter {resident:?} KiB");
    assert!(late * 100 <= early * (100 + FLAT_PERCENT), "memory grew: {resident:?} KiB");
    let bytes = metric(&server, "metka_backlog_size_bytes");
    let age = metric(&server, "metka_backlog_oldest_seconds");
    assert_eq!(waiting(&server), hits);
    assert!(bytes / hits as f64 > 50.0 && age > 0.0, "{bytes} bytes, {age} s");
    let health = exchange(server.collect, &http::get("/health", &[]));
    assert_eq!(health.status, 200, "hits are still made durable");
    println!(
        "away: a backlog of {bytes:.0} bytes ({:.0} a hit), {age:.0} s old; /health: {}",
        bytes / hits as f64,
        String::from_utf8_lossy(&health.body)
    );

    // It comes back; new hits keep coming.
    let stop = AtomicBool::new(false);
    let came_back = Instant::now();
    let engine = std::thread::scope(|scope| {
        scope.spawn(|| {
            let begun = Instant::now();
            let before = answered.load(Relaxed);
            send(server.collect, &numbers, &answered, |_| {
                // No faster than a busy site: wait until the next array is due.
                let due =
                    |sent: u64| begun.elapsed().as_secs_f64() * RATE_WHILE_CATCHING_UP as f64 >= sent as f64;
                while !stop.load(Relaxed) && !due(answered.load(Relaxed) - before) {
                    std::thread::yield_now();
                    #[expect(clippy::disallowed_methods, reason = "the pace of a client")]
                    std::thread::sleep(Duration::from_millis(5));
                }
                !stop.load(Relaxed)
            });
        });
        let engine = Engine::start(&engine_data, address);
        let limit = Instant::now() + PATIENCE;
        // All but what a site sends in a few batches' time.
        while waiting(&server) > 10 * RATE_WHILE_CATCHING_UP {
            assert!(Instant::now() < limit, "storage does not catch up: {} wait", waiting(&server));
            #[expect(clippy::disallowed_methods, reason = "the pause between two looks at a condition")]
            std::thread::sleep(Duration::from_millis(100));
        }
        let rate = hits as f64 / came_back.elapsed().as_secs_f64();
        println!(
            "away: caught up at {rate:.0} hits per second beside {RATE_WHILE_CATCHING_UP} new ones, {:.1} times their rate (goal 5), {:.2} times the rate at which they had come",
            rate / RATE_WHILE_CATCHING_UP as f64,
            rate / input_rate
        );
        stop.store(true, Relaxed);
        engine
    });
    wait_for("the last hits to be stored", || (waiting(&server) == 0).then_some(()));
    let sent = answered.load(Relaxed);
    let secret = std::fs::read_to_string(&secret).expect("the engine's secret").trim().to_owned();
    let endpoint =
        Endpoint::Http { url: format!("http://{address}"), user: "default".to_owned(), password: secret };
    let storage = Storage::new(&endpoint, "metka");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let limits = Limits { time: Duration::from_secs(600), memory_bytes: 8 << 30, ..Limits::default() };
    let sql = "SELECT count(), sum(rows = distinct_rows AND rows = top) = count(), sum(rows) FROM (SELECT count() AS rows, uniqExact(row) AS distinct_rows, max(row) + 1 AS top FROM metka.hits GROUP BY batch)";
    let row = runtime.block_on(storage.json(sql, &[], &limits)).expect("the question is answered")[0].clone();
    println!(
        "away: {sent} answered, {} stored in {} batches, each whole and once: {}",
        row[2], row[0], row[1]
    );
    assert_eq!((row[2].as_u64(), row[1].as_u64()), (Some(sent), Some(1)), "{row:?}");
    assert_eq!(server.terminate().0, Some(0));
    drop(engine);
}
