//! ClickHouse is away while millions of hits arrive: memory stays flat, the
//! backlog is told, and when it comes back everything is stored.
//!
//! `METKA_AWAY_HITS` sets the number of hits.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::engine::{Engine, free_port, number};
use crate::http::{Connection, event, exchange, get};
use crate::server::{PATIENCE, Server, wait_for};
use crate::{METRICS, configure, serve, soak};

/// Hits in CI; in soak a day of a thousand hits in a second.
const HITS: u64 = 2_000_000;
const SOAK_HITS: u64 = 86_000_000;
const CLIENTS: u64 = 4;
/// Hits in one request.
const ARRAY: u64 = 50;
/// New hits come at this part of the input's rate while storage catches up.
const SLOWER: u32 = 10;
/// How much memory may differ between a quarter and the whole of the hits.
const FLAT_PERCENT: f64 = 10.0;

/// Clients that send arrays until a goal or an end.
struct Senders {
    kept: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

// === impl Senders ===

impl Senders {
    /// `goal` hits as fast as may be; or with a pause before each request.
    fn start(address: SocketAddr, goal: u64, pause: Option<Duration>) -> Senders {
        let (kept, stop, sent) =
            (Arc::<AtomicU64>::default(), Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let threads = (0..CLIENTS)
            .map(|_| {
                let (kept, stop, sent) = (kept.clone(), stop.clone(), sent.clone());
                std::thread::spawn(move || {
                    let hits: Vec<String> = (0..ARRAY)
                        .map(|n| {
                            format!(
                                r#"{{"s":"clinic","k":"pageview","u":"https://clinic.example/page/{n}"}}"#
                            )
                        })
                        .collect();
                    let bytes = event(&format!("[{}]", hits.join(",")), &[]);
                    let mut connection = Connection::open(address);
                    while !stop.load(Relaxed) && sent.fetch_add(ARRAY, Relaxed) < goal {
                        if let Some(pause) = pause {
                            #[expect(clippy::disallowed_methods, reason = "sets the rate of the load")]
                            std::thread::sleep(pause);
                        }
                        assert!(connection.send(&bytes), "the collector closed a connection");
                        let reply = connection.reply(false);
                        let text = String::from_utf8_lossy(&reply.body).into_owned();
                        assert_eq!(reply.status, 202, "{text}");
                        assert_eq!(reply.json()["accepted"].as_u64(), Some(ARRAY), "{text}");
                        kept.fetch_add(ARRAY, Relaxed);
                    }
                })
            })
            .collect();
        Senders { kept, stop, threads }
    }

    fn kept(&self) -> u64 {
        self.kept.load(Relaxed)
    }

    fn finish(self) -> u64 {
        for thread in self.threads {
            thread.join().expect("every hit is answered");
        }
        self.kept.load(Relaxed)
    }
}

/// Waits without an end of its own as long as there is progress.
fn wait_on(what: &str, goal: u64, mut value: impl FnMut() -> u64) {
    let (mut last, mut since) = (value(), Instant::now());
    while last < goal {
        let now = value();
        if now != last {
            (last, since) = (now, Instant::now());
        }
        assert!(since.elapsed() < PATIENCE, "{what} stands at {last} of {goal}");
        #[expect(clippy::disallowed_methods, reason = "the pause between two looks at a condition")]
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Resident memory of the server in KiB.
fn resident(server: &Server) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{}/status", server.child.id())).expect("it runs");
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a line with VmRSS");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

#[test]
fn memory_stays_flat_while_storage_is_away_and_nothing_is_lost_when_it_is_back() {
    let asked = std::env::var("METKA_AWAY_HITS").ok().and_then(|text| text.parse().ok());
    let hits: u64 = asked.unwrap_or(if soak() { SOAK_HITS } else { HITS });
    let storage = tempfile::tempdir().expect("a directory");
    let port = free_port();
    // Its first start makes the secret; then it goes away.
    let section = Engine::start(storage.path(), port).section();
    let dir = tempfile::tempdir().expect("a directory");
    configure(dir.path(), "", "spool_max_bytes = 68719476736", &section);
    let server = Server::start_by(serve(), dir.path());

    let started = Instant::now();
    let senders = Senders::start(server.collect, hits, None);
    let mut memory = Vec::new();
    for percent in [10, 25, 50, 75] {
        wait_on("the input", hits * percent / 100, || senders.kept());
        memory.push((percent, resident(&server)));
    }
    let first = senders.finish();
    memory.push((100, resident(&server)));
    let input_seconds = started.elapsed().as_secs_f64();
    let input_rate = first as f64 / input_seconds;
    println!(
        "{first} hits answered without storage in {input_seconds:.1} s, {input_rate:.0}/s; VmRSS in KiB: {memory:?}"
    );
    let (quarter, whole) = (memory[1].1 as f64, memory[4].1 as f64);
    let change = (whole / quarter - 1.0) * 100.0;
    told_while_away(&server, first, input_seconds);
    assert!(
        change.abs() <= FLAT_PERCENT,
        "memory changed by {change:.1} % between 25 % and 100 % of the hits"
    );

    let pause = Duration::from_secs_f64((CLIENTS * ARRAY) as f64 / input_rate) * SLOWER;
    let more = Senders::start(server.collect, u64::MAX / 2, Some(pause));
    let engine = Engine::start(storage.path(), port);
    let back = Instant::now();
    let stored = || server.command(&["status"])["sites"]["clinic"]["stored"].as_u64().unwrap_or_default();
    wait_on("the catching up", first, stored);
    let seconds = back.elapsed().as_secs_f64();
    let (caught, meanwhile) = (stored(), more.kept());
    more.stop.store(true, Relaxed);
    let second = more.finish();
    let counts = server.settled("clinic");
    let rate = caught as f64 / seconds;
    println!(
        "memory {change:+.1} % from 25 % to 100 %; caught up {caught} hits in {seconds:.1} s, {rate:.0}/s, {:.1} times the input rate, {:.1} times what arrived meanwhile ({:.0}/s)",
        rate / input_rate,
        rate * seconds / meanwhile.max(1) as f64,
        meanwhile as f64 / seconds
    );
    assert!(second > 0, "no hits arrived while storage caught up");
    let answered = first + second;
    // By batch, so that the question does not need the memory of all rows at once.
    let rows = engine.rows(
        "SELECT sum(rows), sum(distinct_rows) FROM (SELECT count() AS rows, uniqExact(row) AS distinct_rows FROM metka.hits GROUP BY batch)",
    );
    let (count, distinct) = (number(&rows[0][0]), number(&rows[0][1]));
    println!(
        "{answered} hits answered, {count} rows, {} lost, {} doubled",
        answered.saturating_sub(distinct),
        count - distinct
    );
    assert_eq!((count, distinct), (answered, answered));
    assert_eq!(counts["stored"].as_u64(), Some(answered), "{counts}");
    wait_for("an empty backlog in /health", || {
        let backlog = exchange(server.collect, &get("/health", &[])).json()["backlog"].clone();
        (backlog["rows"] == 0 && backlog["oldest_seconds"].is_null()).then_some(())
    });
    assert_eq!(server.terminate().0, Some(0));
}

/// `/health` and the metrics say how much waits, and for how long.
fn told_while_away(server: &Server, hits: u64, seconds: f64) {
    // Sealed batches only: the last one is still open for a moment.
    let backlog = wait_for("the backlog in /health", || {
        let reply = exchange(server.collect, &get("/health", &[]));
        assert_eq!(reply.status, 200, "hits can be made durable");
        let backlog = reply.json()["backlog"].clone();
        (backlog["rows"].as_u64() == Some(hits)).then_some(backlog)
    });
    let batches = backlog["batches"].as_u64().expect("a number");
    assert!(batches > 0 && backlog["bytes"].as_u64() > Some(hits * 50), "{backlog}");
    let oldest = backlog["oldest_seconds"].as_f64().expect("an age");
    assert!(oldest + 5.0 > seconds, "the oldest hit has waited for {seconds} s: {backlog}");
    let reply = exchange(server.web, METRICS);
    let text = String::from_utf8_lossy(&reply.body).into_owned();
    let value = |name: &str| -> f64 {
        let found = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok());
        found.unwrap_or_else(|| panic!("{name} is not among the metrics: {text}"))
    };
    assert_eq!(value("metka_backlog_rows"), hits as f64);
    assert!(value("metka_backlog_size_bytes") > hits as f64 * 50.0);
    assert!(value("metka_backlog_oldest_seconds") + 5.0 > seconds);
    println!("while away: {backlog}");
}
