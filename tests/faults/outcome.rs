//! Inserts whose outcome is not known: the connection to storage breaks at any
//! place, and what the batch came to is seen neither by the shipper nor by the
//! proxy. Exact in the table, and in what a materialized view feeds from it.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use metka::store::{Endpoint, Limits, Storage};
use serde_json::Value;

use crate::load::Load;
use crate::proxy::{Place, Proxy, message_length, read_until};
use crate::server::{PATIENCE, Server, wait_for};
use crate::{configured, faults};

const CLIENTS: u64 = 6;
/// Of each client between two hits.
const PAUSE: Duration = Duration::from_millis(20);
/// How often each recorded insert is sent again.
const TIMES: usize = 5;
/// The fewest inserts to be sent again.
const FEWEST: u64 = 50;
/// Seed of the order in which they are.
const SEED: u64 = 0x9e37_79b9_7f4a_7c15;

const RAW: &str = "SELECT path, count() FROM metka.hits GROUP BY path";
const FED: &str = "SELECT path, sum(hits) FROM metka.hits_by_path GROUP BY path";

/// An engine of the test's own, on TCP.
struct Engine {
    child: Child,
    address: SocketAddr,
    storage: Storage,
    runtime: tokio::runtime::Runtime,
}

impl Engine {
    fn start(data: &Path) -> Engine {
        let mut child = Command::new(env!("CARGO_BIN_EXE_metka"))
            .args(["engine", "--listen", "127.0.0.1:0", "--data"])
            .arg(data)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the binary runs");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("a line");
        let ready: Value = serde_json::from_str(&line).expect("the line of readiness");
        let url = ready["listen"].as_str().expect("an address").to_owned();
        let password = std::fs::read_to_string(data.join("engine/secret")).expect("a secret");
        let endpoint = Endpoint::Http { url: url.clone(), user: "default".to_owned(), password };
        Engine {
            child,
            address: url.trim_start_matches("http://").parse().expect("an address"),
            storage: Storage::new(&endpoint, "metka"),
            runtime: tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime"),
        }
    }

    fn execute(&self, sql: &str) {
        self.runtime.block_on(self.storage.execute(sql, &[])).expect("the statement works");
    }

    fn rows(&self, sql: &str) -> Vec<Vec<Value>> {
        let limits = Limits { result_rows: 10_000_000, ..Limits::default() };
        self.runtime.block_on(self.storage.json(sql, &[], &limits)).expect("an answer")
    }

    fn number(&self, sql: &str) -> u64 {
        self.runtime.block_on(self.storage.number(sql, &[])).expect("a number")
    }

    /// Sends a recorded request once more; returns the answer's first line.
    fn replay(&self, request: &[u8]) -> String {
        let mut stream = TcpStream::connect(self.address).expect("the engine listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
        stream.write_all(request).expect("it is taken");
        let mut answer = Vec::new();
        read_until(&mut stream, &mut answer, message_length).expect("an answer");
        String::from_utf8_lossy(&answer).lines().next().unwrap_or_default().to_owned()
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `cuts` places, of all kinds by turns, each within its kind somewhere else.
fn plan(cuts: u64) -> VecDeque<Place> {
    let turns = cuts.div_ceil(20);
    (0..cuts)
        .map(|cut| {
            let share = |nth: u64, of: u64| (1000 * (cut / 20 * of + nth) + 500) / (turns * of);
            let share = |nth, of| usize::try_from(share(nth, of)).expect("below a thousand");
            match cut % 20 {
                0 => Place::Before,
                nth @ 1..=3 => Place::Head(share(nth - 1, 3)),
                nth @ 4..=5 => Place::Sending(share(nth - 4, 2)),
                nth @ 6..=11 => Place::Body(share(nth - 6, 6)),
                12 => Place::LastByte,
                13 | 14 => Place::Sent,
                15 | 16 => Place::Swallowed,
                nth => Place::Answer(share(nth - 17, 3)),
            }
        })
        .collect()
}

fn shuffle<T>(items: &mut [T]) {
    let mut state = SEED;
    for last in (1..items.len()).rev() {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        items.swap(last, (state % (last as u64 + 1)) as usize);
    }
}

#[test]
fn inserts_of_unknown_outcome_are_exact_in_the_table_and_in_what_is_fed_from_it() {
    let cuts = faults(100, 1000);
    let plan = plan(cuts);
    let mut kinds: Vec<&str> = plan.iter().map(|place| place.name()).collect();
    kinds.sort_unstable();
    kinds.dedup();
    let data = tempfile::tempdir().expect("a directory");
    let engine = Engine::start(data.path());
    let proxy = Proxy::start(engine.address, plan);
    let secret = data.path().join("engine/secret");
    let dir = configured(
        1,
        "100ms",
        &format!("[storage]\nurl = \"http://{}\"\npassword_file = \"{}\"\n", proxy.address, secret.display()),
    );
    let server = Server::start(dir.path(), &[]);
    wait_for("the table", || {
        (engine.number("SELECT count() FROM system.tables WHERE database = 'metka' AND name = 'hits'") == 1)
            .then_some(())
    });
    engine.execute(
        "CREATE TABLE metka.hits_by_path (path String, hits UInt64) ENGINE = SummingMergeTree ORDER BY path \
         SETTINGS non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1",
    );
    engine.execute(
        "CREATE MATERIALIZED VIEW metka.feed TO metka.hits_by_path AS \
         SELECT path, count() AS hits FROM metka.hits GROUP BY path",
    );

    let load = Load::start(server.collect, CLIENTS, PAUSE, &Arc::new(AtomicU64::new(0)));
    let made = || proxy.book().cuts.values().sum::<u64>();
    wait_for("the first cuts", || (made() > 0).then_some(()));
    let mut before = 0;
    while before < cuts {
        // Patience is for each further cut, however many there are.
        before = wait_for("further cuts", || Some(made()).filter(|made| *made > before));
    }
    let seen = load.stop();
    let counts = server.settled("clinic");
    let ship = server.command(&["status"])["jobs"]["ship"].clone();
    let (raw, fed) = (seen.compare(&engine.rows(RAW)), seen.compare(&engine.rows(FED)));
    let book = std::mem::take(&mut *proxy.book());
    println!(
        "{cuts} inserts cut ({:?}) of {}, {} retries, {} mended: {raw}; fed from it: {} stored, {} lost, {} doubled",
        book.cuts, book.inserts, ship["retries"], ship["mended_batches"], fed.stored, fed.lost, fed.doubled,
    );
    assert_eq!(book.cuts.keys().copied().collect::<Vec<_>>(), kinds, "every kind of cut was made");
    assert!(ship["retries"].as_u64() >= Some(cuts), "a cut that the shipper did not notice: {ship}");
    for outcome in [&raw, &fed] {
        outcome.assert_exact();
        assert_eq!(outcome.unanswered, 0, "no hit is without an answer");
    }
    assert_eq!(counts["stored"].as_u64(), Some(raw.stored as u64), "{counts}");
    assert_eq!((&ship["dead_batches"], &ship["mended_batches"]), (&0.into(), &0.into()), "{ship}");

    // The same batches five times more, in any order.
    let batches: Vec<&Vec<u8>> = book.requests.values().take(faults(FEWEST, 1000) as usize).collect();
    assert!(batches.len() as u64 >= FEWEST, "{} batches recorded", batches.len());
    let mut again: Vec<&Vec<u8>> = batches.iter().flat_map(|request| [*request; TIMES]).collect();
    shuffle(&mut again);
    for request in &again {
        let line = engine.replay(request);
        assert!(line.starts_with("HTTP/1.1 200"), "{line}");
    }
    let (raw, fed) = (seen.compare(&engine.rows(RAW)), seen.compare(&engine.rows(FED)));
    println!(
        "{} batches sent {TIMES} times more in random order (seed {SEED:#x}): {} stored, {} lost, {} doubled; fed from it: {} lost, {} doubled",
        batches.len(),
        raw.stored,
        raw.lost,
        raw.doubled,
        fed.lost,
        fed.doubled,
    );
    raw.assert_exact();
    fed.assert_exact();
    assert_eq!(server.terminate().0, Some(0));
}
