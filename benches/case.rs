//! Measures how long a case file takes on a large table:
//!
//! ```text
//! cargo bench --bench case -- [--rows N] [--looks N] [--place DIR]
//! ```
//!
//! It starts the built binary on a directory of its own, has the engine make up the hits of a
//! year, and opens case files over the web address, each of another visitor, for the whole
//! year: by requests of the register that hold a cookie's hash, and by a user key, for which
//! the browsers must be found first. Before that it asks for a request that is none, which is
//! an entry of the audit trail and nothing more. It fails if a file has not every hit of its visitor.
//! Each number is the time of a whole answer: the entry of the audit trail and its fsync, the
//! questions to storage, the document. Beside it stands what the engine used of the CPU, which a
//! busy machine changes less.
//!
//! The hits are those of `made_up`, thirty of each visitor over a year, merged before
//! anything is measured; or those of a directory that has some. Default: 5 million hits,
//! 40 looks of each kind.

#[path = "../tests/support/http.rs"]
#[expect(dead_code, reason = "the bench uses its part of the shared client")]
mod http;
mod made_up;
#[path = "../tests/support/place.rs"]
#[expect(dead_code, reason = "the bench uses its part of the shared place")]
mod place;
#[path = "../tests/support/server.rs"]
#[expect(dead_code, reason = "the bench uses its part of the shared server")]
mod server;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use metka::config::Config;
use metka::privacy::keys::KeyRing;
use metka::rights::desk::{Desk, Received};
use metka::rights::request::{IdentifiedBy, Subject};
use metka::rights::terms::Kind;
use serde_json::{Value, json};

use place::Place;
use server::Server;

const CONFIG: &str = "[[site]]\nid = \"clinic\"\nhosts = [\"clinic.example\"]\n";
/// Hits of one visitor.
const HITS_EACH: u64 = 30;
/// Over so many days.
const DAYS: u64 = 365;

struct Options {
    rows: u64,
    looks: usize,
    place: Option<PathBuf>,
}

fn main() {
    let Options { rows, looks, place: existing } = options();
    let visitors = rows / HITS_EACH;
    let fresh = existing.is_none().then(|| Place::with(CONFIG));
    let dir = fresh.as_ref().map(Place::path).or(existing.as_deref()).expect("one of them");
    let server = Server::start(dir, &[]);
    if fresh.is_some() {
        let started = Instant::now();
        made_up::load(&server, rows, visitors, DAYS);
        println!("{rows} hits of {visitors} visitors made up and merged in {:.1?}", started.elapsed());
    }

    let sql = format!(
        "SELECT visitor, count() FROM metka.hits WHERE identity = 'cookie' GROUP BY visitor \
         ORDER BY cityHash64(visitor) LIMIT {looks}"
    );
    let chosen: Vec<(u64, u64)> = server
        .rows(&sql)
        .iter()
        .map(|row| (row[0].as_u64().expect("a hash"), row[1].as_u64().expect("a count")))
        .collect();
    assert_eq!(chosen.len(), looks, "as many visitors as looks");
    let keys = user_keys(dir, &server, &chosen);
    let numbers = register(dir, &chosen);
    let token = server.command(&["token", "create", "--name", "bench", "--role", "security"]);
    let token = format!("Bearer {}", token["token"].as_str().expect("a token"));

    let engine = engine_of(server.child.id());
    let before = used(engine);
    let entries = (0..looks).map(|_| asked(&server, &token, &json!({ "request": "1999-0001" }), 404).0);
    told("the entry alone: a request that is none", entries.collect(), used(engine) - before);
    let before = used(engine);
    let by_cookie = numbers.iter().zip(&chosen).map(|(number, (_, hits))| {
        let (took, answer) = asked(&server, &token, &json!({ "request": number }), 200);
        assert_eq!(answer["summary"]["hits"], *hits, "every hit of the visitor");
        took
    });
    told("a visitor's year by the hash of a cookie", by_cookie.collect(), used(engine) - before);
    let before = used(engine);
    let by_key = keys.iter().zip(&chosen).map(|(key, (_, hits))| {
        let (took, answer) = asked(&server, &token, &json!({ "user": key }), 200);
        assert_eq!(answer["summary"]["hits"], *hits, "the key's browser as a whole");
        took
    });
    told("a visitor's year by a user key", by_key.collect(), used(engine) - before);
    assert_eq!(server.terminate().0, Some(0));
}

/// Asks for one case file.
fn asked(server: &Server, token: &str, who: &Value, status: u16) -> (Duration, Value) {
    let body = json!({ "site": "clinic", "who": who, "purpose": "support", "words": "measured" });
    let headers = [("Authorization", token), ("Content-Type", "application/json")];
    let request = http::request("POST", "/api/v1/case", &headers, body.to_string().as_bytes());
    let started = Instant::now();
    let reply = http::exchange(server.web, &request);
    let took = started.elapsed();
    assert_eq!(reply.status, status, "{}", String::from_utf8_lossy(&reply.body));
    (took, reply.json())
}

fn told(what: &str, mut took: Vec<Duration>, cpu: Duration) {
    took.sort();
    let ms = |took: &Duration| took.as_secs_f64() * 1000.0;
    println!(
        "{what:<44} median {:>7.1} ms, slowest {:>7.1} ms of {}; CPU of the engine {:>6.1} ms each",
        ms(&took[took.len() / 2]),
        ms(&took[took.len() - 1]),
        took.len(),
        ms(&cpu) / took.len() as f64
    );
}

/// The engine: the server's only child.
fn engine_of(server: u32) -> u32 {
    let all = std::fs::read_dir("/proc").expect("readable");
    let mut all = all.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    let is_child = |pid: &u32| fields(*pid).is_some_and(|fields| fields[1] == server.to_string());
    all.find(is_child).expect("the server's child")
}

/// What a process has used of the CPU: its own time and the kernel's, in hundredths of a second.
fn used(pid: u32) -> Duration {
    let fields = fields(pid).expect("it runs");
    let ticks = |field: &str| field.parse::<u64>().expect("a number");
    Duration::from_millis(10 * (ticks(&fields[11]) + ticks(&fields[12])))
}

/// What stands behind the name in a process's `stat`.
fn fields(pid: u32) -> Option<Vec<String>> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, after) = stat.rsplit_once(") ")?;
    Some(after.split(' ').map(str::to_owned).collect())
}

/// Gives each of them a user key that can be named, in one hit of theirs.
fn user_keys(dir: &Path, server: &Server, chosen: &[(u64, u64)]) -> Vec<String> {
    let ring = KeyRing::open(&config(dir).keys).expect("the ring");
    let keys: Vec<String> = (0..chosen.len()).map(|number| format!("bench-key-{number}")).collect();
    let list = |numbers: Vec<u64>| {
        let numbers: Vec<String> = numbers.iter().map(|number| format!("toUInt64({number})")).collect();
        numbers.join(", ")
    };
    let visitors = list(chosen.iter().map(|(visitor, _)| *visitor).collect());
    let hashes = list(keys.iter().map(|key| ring.user_key_hash("clinic", key)).collect());
    let sql = format!(
        "ALTER TABLE metka.hits UPDATE user_key = transform(visitor, [{visitors}], [{hashes}], toUInt64(0)) \
         WHERE visitor IN ({visitors})"
    );
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(server.storage().execute(&sql, &[])).expect("keys are given");
    keys
}

/// Registers a request for each, as an officer would with the cookie.
fn register(dir: &Path, chosen: &[(u64, u64)]) -> Vec<String> {
    let config = config(dir);
    let desk = Desk::open(&config).expect("a desk");
    let site = config.site("clinic").expect("configured");
    let now = Timestamp::now();
    let received = |hash: u64| Received {
        kind: Kind::Access,
        about: None,
        identified: IdentifiedBy::Cookie,
        subjects: vec![Subject::visitor(hash)],
        at: now,
        purpose: "measured".to_owned(),
    };
    let receive = |hash| desk.receive(site, received(hash), "bench", now).expect("registered").number;
    chosen.iter().map(|(hash, _)| receive(*hash)).collect()
}

fn config(dir: &Path) -> Config {
    let text = std::fs::read_to_string(dir.join("metka.toml")).expect("readable");
    Config::parse(&text, [], dir).expect("valid")
}

fn options() -> Options {
    let mut options = Options { rows: 5_000_000, looks: 40, place: None };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().unwrap_or_else(|| panic!("{argument}: expected a value"));
        let number = |text: String| {
            text.replace('_', "").parse::<u64>().unwrap_or_else(|_| panic!("{text}: no number"))
        };
        match argument.as_str() {
            "--rows" => options.rows = number(value()),
            "--looks" => options.looks = number(value()) as usize,
            "--place" => options.place = Some(value().into()),
            // cargo's own
            "--bench" => {}
            other => panic!("{other}: expected --rows N, --looks N or --place DIR"),
        }
    }
    options
}
