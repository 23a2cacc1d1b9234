//! Measures how long statistics of addresses take:
//!
//! ```text
//! cargo bench --bench addresses -- [--rows N] [--asks N]
//! ```
//!
//! It starts the built binary on a directory of its own, has the engine make up the hits of a
//! month and some refusals, and asks each question over the web address, for 7 and for 30 days.
//! Each number is the time of a whole answer. Beside it stands what the engine used of the CPU,
//! which a busy machine changes less. It fails where an answer has not every hit of the month.
//!
//! The hits are those of `made_up`; of four addresses in seven several people are. Default:
//! 3 million hits, 5 times each question.

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

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use place::Place;
use server::{Server, wait_for};

const CONFIG: &str = "[storage]\nrollups = false\n[[site]]\nid = \"clinic\"\nhosts = [\"clinic.example\"]\ntimezone = \"UTC\"\n";
/// Hits of one visitor.
const HITS_EACH: u64 = 30;
/// Over so many days.
const DAYS: u64 = 30;
/// Sums of refusals.
const REFUSALS: u64 = 60_000;

fn main() {
    let (rows, asks) = options();
    let place = Place::with(CONFIG);
    let server = place.serve();
    let key = months_key(&server);
    made_up::load(&server, rows, rows / HITS_EACH, DAYS);
    // Under the month's key any sixteen bytes are an address.
    execute(
        &server,
        &format!(
            "ALTER TABLE metka.hits UPDATE ip_key = {key}, \
             ip = MD5(toString(intDiv(visitor % 100000, 1 + visitor % 7))) WHERE ip_key != 0"
        ),
    );
    execute(
        &server,
        &format!(
            "INSERT INTO metka.refusals (site, hour, reason, ip, ip_key, asn, country, count, ip_days) \
             SELECT 'clinic', toStartOfHour(now()) - toIntervalHour(number % 720), \
             ['rate-limited', 'foreign-host', 'crawler'][1 + number % 3], MD5(toString(number)), {key}, \
             8000 + number % 500, 'RU', 1 + number % 50, 90 FROM numbers({REFUSALS})"
        ),
    );
    let addresses = server.rows("SELECT uniqExact(ip) FROM metka.hits")[0][0].clone();
    println!("{rows} hits from {addresses} addresses in {DAYS} days, {REFUSALS} sums of refusals");
    let token = server.command(&["token", "create", "--name", "bench", "--role", "security"]);
    let token = format!("Bearer {}", token["token"].as_str().expect("a token"));
    let engine = engine_of(server.child.id());
    for days in [7, DAYS] {
        for by in ["address", "network", "asn", "country", "time:hour", "time:day"] {
            let before = used(engine);
            let mut took: Vec<Duration> = (0..asks).map(|_| asked(&server, &token, by, days, rows)).collect();
            took.sort();
            let ms = |took: Duration| took.as_secs_f64() * 1000.0;
            println!(
                "{days:>2} days by {by:<10} median {:>7.0} ms, slowest {:>7.0} ms of {asks}; CPU of the engine {:>6.0} ms each",
                ms(took[took.len() / 2]),
                ms(took[took.len() - 1]),
                ms(used(engine) - before) / asks as f64
            );
        }
    }
    assert_eq!(server.terminate().0, Some(0));
}

/// Asks one question.
fn asked(server: &Server, token: &str, by: &str, days: u64, rows: u64) -> Duration {
    let question =
        json!({ "site_id": "clinic", "purpose": "security", "date_range": format!("{days}d"), "by": by });
    let headers = [("Authorization", token), ("Content-Type", "application/json")];
    let request = http::request("POST", "/api/v1/addresses", &headers, question.to_string().as_bytes());
    let started = Instant::now();
    let reply = http::exchange(server.web, &request);
    let took = started.elapsed();
    assert_eq!(reply.status, 200, "{}", String::from_utf8_lossy(&reply.body));
    let answer: Value = reply.json();
    let hits = answer["totals"]["hits"].as_u64().expect("a number");
    assert!(days < DAYS || hits == rows, "{hits} hits of {rows}");
    took
}

/// The id of the key under which this month's addresses are stored: of a hit that is sent.
fn months_key(server: &Server) -> u64 {
    let target = "/pixel.gif?s=clinic&u=https://clinic.example/";
    let reply = http::exchange(server.collect, &http::get(target, &[("X-Forwarded-For", "192.0.2.1")]));
    assert_eq!(reply.header("x-metka"), Some("ok"));
    wait_for("the hit to be stored", || {
        server.rows("SELECT ip_key FROM metka.hits WHERE ip_key != 0").first()?[0].as_u64()
    })
}

fn execute(server: &Server, sql: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(server.storage().execute(sql, &[])).expect("it is done");
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

fn options() -> (u64, usize) {
    let (mut rows, mut asks) = (3_000_000, 5);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let target: &mut dyn FnMut(u64) = match argument.as_str() {
            "--rows" => &mut |number| rows = number,
            "--asks" => &mut |number| asks = number as usize,
            // cargo's own
            "--bench" => continue,
            other => panic!("{other}: expected --rows N or --asks N"),
        };
        let value = arguments.next().and_then(|text| text.replace('_', "").parse().ok());
        target(value.unwrap_or_else(|| panic!("{argument}: expected a number")));
    }
    (rows, asks)
}
