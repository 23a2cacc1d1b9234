//! Measures what a person's rights cost on a large table:
//!
//! ```text
//! cargo bench --bench rights -- [--rows N] [--subjects N]
//! ```
//!
//! It starts the built binary on a directory of its own, has the engine make up the
//! hits, and asks by the commands that an officer uses: one request erased, many
//! requests erased in one order, a person blocked. Beside the seconds it prints what must
//! hold, and fails if it does not: as many rows are gone as were to be destroyed, none of the
//! erased is left, and nobody else's.
//!
//! The hits: ten of each visitor in visits of three pages over sixty days, one visitor in ten without
//! a cookie and offered a new one with each hit, one in twenty with a user key, one hit in
//! seven an event with properties; places, networks, browsers and pages as of a large
//! site, and every column filled as the collector fills it. They are merged before anything
//! is measured, so that no merge of the loading runs beside it.
//! Default: 10 million hits, 1,000 subjects, which takes some minutes and 2 GB of disk.

mod made_up;
#[path = "../tests/support/place.rs"]
#[expect(dead_code, reason = "the bench uses its part of the shared place")]
mod place;
#[path = "../tests/support/server.rs"]
#[expect(dead_code, reason = "the bench uses its part of the shared server")]
mod server;

use std::process::{Command, Stdio};
use std::time::Instant;

use jiff::Timestamp;
use metka::config::Config;
use metka::rights::desk::{Desk, Received};
use metka::rights::request::{IdentifiedBy, Subject};
use metka::rights::terms::Kind;
use serde_json::json;

use place::Place;
use server::{Server, wait_for};

const CONFIG: &str = "[[site]]\nid = \"clinic\"\nhosts = [\"clinic.example\"]\n";
const PURPOSE: &str = "measured";
/// Hits of one visitor.
const HITS_EACH: u64 = 10;
/// Over so many days.
const DAYS: u64 = 60;

struct Options {
    rows: u64,
    subjects: u64,
}

fn main() {
    let Options { rows, subjects } = options();
    let visitors = rows / HITS_EACH;
    assert!(subjects + 2 <= visitors / 2, "--subjects: at most {} of {rows} rows", visitors / 2 - 2);
    let place = Place::with(CONFIG);
    let server = place.serve();
    let started = Instant::now();
    made_up::load(&server, rows, visitors, DAYS);
    let before = count(&server, "1");
    println!("{before} hits of {visitors} visitors made up and merged in {:.1?}", started.elapsed());

    // The day's run of retention, so that it does not come in between.
    let started = Instant::now();
    server.command(&["retention", "run"]);
    println!("{:<44} {:>8.2} s", "retention, nothing past its term", started.elapsed().as_secs_f64());

    // Those with cookies: of the others a request could name nobody. Who is blocked has
    // hits of the last day, which the question is about.
    let chosen = |condition: &str, most: u64| -> Vec<u64> {
        let sql = format!(
            "SELECT visitor FROM metka.hits WHERE identity = 'cookie' GROUP BY visitor \
             HAVING {condition} ORDER BY cityHash64(visitor) LIMIT {most}"
        );
        let rows = server.rows(&sql);
        assert_eq!(rows.len() as u64, most, "{condition}");
        rows.iter().map(|row| row[0].as_u64().expect("a hash")).collect()
    };
    let day = server.rows("SELECT toString(toDate(max(time))) FROM metka.hits")[0][0].clone();
    let day = day.as_str().expect("a date").to_owned();
    let blocked = chosen(&format!("toDate(max(time)) = '{day}'"), 1);
    let erased = chosen(&format!("toDate(max(time)) != '{day}'"), subjects + 1);
    let numbers = register(&place, &[&blocked[..], &erased[..]].concat());

    let (blocked, rest) = numbers.split_at(1);
    let (one, many) = rest.split_at(1);
    let (seconds, of_one) = erase(&place, &server, one, &erased[..1]);
    println!("{:<44} {seconds:>8.2} s   {of_one} rows", "one subject erased");
    let (seconds, of_many) = erase(&place, &server, many, &erased[1..]);
    println!("{:<44} {seconds:>8.2} s   {of_many} rows", format!("{subjects} subjects erased in one batch"));
    let (unseen, returned) = block(&place, &server, &blocked[0], &day);
    println!("{:<44} {unseen:>8.2} s", "blocked: in no answer of a stats question");
    println!("{:<44} {returned:>8.2} s", "blocked: the command has returned");
    assert_eq!(server.terminate().0, Some(0));
}

/// Erases these, and says how long that took and how many rows it were.
fn erase(place: &Place, server: &Server, numbers: &[String], hashes: &[u64]) -> (f64, u64) {
    let list: Vec<String> = hashes.iter().map(u64::to_string).collect();
    // Its own: an offered cookie counts to the browser that took it.
    let theirs = format!("visitor IN ({0}) OR minted IN ({0})", list.join(", "));
    let (all, held) = (count(server, "1"), count(server, &theirs));
    let started = Instant::now();
    let done = place.done(
        &[
            "subject",
            "erase",
            "--site",
            "clinic",
            "--purpose",
            PURPOSE,
            "--by",
            "bench",
            "--requests-file",
            "-",
        ],
        &numbers.join("\n"),
    );
    let seconds = started.elapsed().as_secs_f64();
    let deleted = done["rows"].as_u64().expect("a number");
    assert!(deleted > 0 && deleted == held, "{deleted} of {held} rows");
    assert_eq!(all - deleted, count(server, "1"), "as many are left as before without those");
    assert_eq!(count(server, &theirs), 0, "none of the erased");
    assert_eq!(done["requests"].as_array().map(Vec::len), Some(numbers.len()));
    (seconds, deleted)
}

/// Blocks whom the request is about: how long until a stats question does not count them,
/// and until the command returns.
fn block(place: &Place, server: &Server, number: &str, day: &str) -> (f64, f64) {
    let question = json!({"site_id": "clinic", "metrics": ["pageviews", "events"], "date_range": [day, day]});
    std::fs::write(place.path().join("question.json"), question.to_string()).expect("written");
    let ask = || server.command(&["stats", "question.json"])["results"].clone();
    let before = ask();
    let started = Instant::now();
    let mut command = Command::new(env!("CARGO_BIN_EXE_metka"))
        .args(["subject", "block", "--site", "clinic", "--purpose", PURPOSE, "--request", number])
        .args(["--json", "--config", "metka.toml"])
        .current_dir(place.path())
        .stdout(Stdio::null())
        .spawn()
        .expect("the binary runs");
    let asked_at = wait_for("an answer without the person", || {
        // When the question is put: its own time is not the block's.
        let asked = Instant::now();
        (ask() != before).then_some(asked)
    });
    assert!(command.wait().expect("it ends").success());
    let returned = started.elapsed().as_secs_f64();
    (asked_at.duration_since(started).as_secs_f64(), returned)
}

/// Registers a request for each, as an officer would with the cookie.
fn register(place: &Place, hashes: &[u64]) -> Vec<String> {
    let text = std::fs::read_to_string(place.path().join("metka.toml")).expect("readable");
    let config = Config::parse(&text, [], place.path()).expect("valid");
    let desk = Desk::open(&config).expect("a desk");
    let site = config.site("clinic").expect("configured");
    let now = Timestamp::now();
    let received = |hash: &u64| Received {
        kind: Kind::Erase,
        about: None,
        identified: IdentifiedBy::Cookie,
        subjects: vec![Subject::visitor(*hash)],
        at: now,
        purpose: PURPOSE.to_owned(),
    };
    let receive = |hash| desk.receive(site, received(hash), "bench", now).expect("registered").number;
    hashes.iter().map(receive).collect()
}

fn count(server: &Server, condition: &str) -> u64 {
    server.rows(&format!("SELECT count() FROM metka.hits WHERE {condition}"))[0][0].as_u64().expect("a count")
}

fn options() -> Options {
    let mut options = Options { rows: 10_000_000, subjects: 1_000 };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let target = match argument.as_str() {
            "--rows" => &mut options.rows,
            "--subjects" => &mut options.subjects,
            // cargo's own
            "--bench" => continue,
            other => panic!("{other}: expected --rows N or --subjects N"),
        };
        let value = arguments.next().and_then(|text| text.replace('_', "").parse().ok());
        *target = value.unwrap_or_else(|| panic!("{argument}: expected a number"));
    }
    options
}
