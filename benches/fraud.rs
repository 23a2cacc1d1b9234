//! Measures checks of visitors:
//!
//! ```text
//! cargo bench --bench fraud -- [--honest N] [--frauds N] [--hits N] [--checks N] [--place DIR]
//! ```
//!
//! First a made-up month of visitors (`tests/support/population`), and of each rule: how many frauds of its kind it
//! finds (recall), how many of those whom it fires at are frauds (precision; it depends on the mixture), and how many
//! honest ones are over the threshold.
//!
//! Then the built binary, on a year of made-up hits (or on a directory that has some): how long the memory of 30 days
//! takes to be made, what the process has in memory with it, and what a check takes at fifty a second over HTTP, with its
//! entry in the audit trail. It fails where one is not answered.

#[path = "../tests/support/browser.rs"]
#[expect(dead_code, reason = "the bench uses its part of the shared browser")]
mod browser;
#[path = "../tests/support/http.rs"]
#[expect(dead_code, reason = "the bench uses its part of the shared client")]
mod http;
#[path = "../tests/support/place.rs"]
#[expect(dead_code, reason = "the bench uses its part of the shared place")]
mod place;
#[path = "../tests/support/population/mod.rs"]
mod population;
#[path = "../tests/support/random.rs"]
#[expect(dead_code, reason = "the bench uses its part of the shared random numbers")]
mod random;
#[path = "../tests/support/server.rs"]
#[expect(dead_code, reason = "the bench uses its part of the shared server")]
mod server;
#[path = "../tests/support/year.rs"]
mod year;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use metka::config::Config;
use metka::fraud::memory::User;
use metka::fraud::memory::address::Address;
use metka::fraud::memory::visitor::Visitor;
use serde_json::{Value, json};

use browser::{Browser, SECRET};
use place::Place;
use population::Tally;
use server::Server;
use year::{HITS_PER_VISIT, ZONE, insert};

const PAGE_ORDER: &str = "[fraud]\npage_order = [\"/payment > /payment/done\"]\n";
/// A check begins so often.
const EVERY: Duration = Duration::from_millis(20);
/// How long the memory may take to be made.
const PATIENCE: Duration = Duration::from_secs(3600);
/// Browsers that are asked about.
const BROWSERS: usize = 50;

struct Options {
    honest: u64,
    frauds: u64,
    hits: u64,
    checks: u32,
    place: Option<PathBuf>,
}

fn main() {
    let options = options();
    population(&options);
    match &options.place {
        Some(dir) => latency(&options, Server::start(dir, &[])),
        None => {
            let config = format!(
                "{PAGE_ORDER}[storage]\nrollups = false\n[[site]]\nid = \"clinic\"\nhosts = [\"clinic.example\"]\nuser_key_secret_file = \"user-key.secret\"\ntimezone = \"{ZONE}\"\n"
            );
            let place = Place::with(&config);
            std::fs::write(place.path().join("user-key.secret"), SECRET).expect("written");
            make_up(&place, options.hits);
            latency(&options, place.serve());
        }
    }
}

fn population(options: &Options) {
    let config = Config::parse(PAGE_ORDER, [], Path::new("/")).expect("valid");
    for networks in [true, false] {
        println!("\n{} a database that tells of networks", if networks { "with" } else { "without" });
        tell(&population::judge(options.honest, options.frauds, &config, networks), &config);
    }
}

fn tell(tally: &Tally, config: &Config) {
    println!(
        "{:<16} {:>7} {:>7} {:>9} {:>7} {:>15}",
        "rule", "frauds", "recall", "precision", "honest", "over threshold"
    );
    for of in &tally.rules {
        println!(
            "{:<16} {:>7} {:>7.3} {:>9.3} {:>7} {:>15}",
            of.name,
            of.frauds,
            of.recall(),
            of.precision(),
            of.honest,
            of.over
        );
    }
    let over: u64 = tally.honest_over.values().sum();
    println!(
        "{} honest visitors: {over} over the threshold of {}, {} by more than one rule {:?}",
        tally.honest, config.fraud.threshold, tally.honest_over_by_several, tally.honest_over
    );
    let over: u64 = tally.users_over.values().sum();
    println!(
        "as many honest users of two devices, by user key: {over} over it, {} by more than one rule {:?}",
        tally.users_over_by_several, tally.users_over
    );
}

fn make_up(place: &Place, hits: u64) {
    let server = place.serve();
    // The server may still be making the table.
    server.rows("SELECT count() FROM metka.blocked");
    let begun = Instant::now();
    let storage = server.storage();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    for month in 1..=12 {
        let visits = (hits as f64 / HITS_PER_VISIT) as u64;
        runtime.block_on(storage.execute(&insert(visits, month), &[])).expect("made up");
    }
    println!("{hits} hits made up in {:.1?}", begun.elapsed());
    assert_eq!(server.terminate().0, Some(0));
}

fn latency(options: &Options, server: Server) {
    let begun = Instant::now();
    let memory = || server.command(&["status"])["jobs"]["fraud"]["clinic"].clone();
    let made = loop {
        let memory = memory();
        if memory["ready"] == true {
            break memory;
        }
        assert!(begun.elapsed() < PATIENCE, "the memory is not made");
        pause(Duration::from_millis(200));
    };
    println!("memory made: {made}; ready {:.1?} after the start", begun.elapsed());
    println!("resident: {} MB", resident_mb(&server));
    println!(
        "bytes of one: visitor {}, address {} and what its people take, user key {}",
        size_of::<Visitor>(),
        size_of::<Address>(),
        size_of::<User>()
    );
    // Of one user, whose list is full then; a directory that was there may have another secret, or none.
    let browser = match options.place {
        None => Browser::of("u", "77.88.8.8"),
        Some(_) => Browser::new("77.88.8.8"),
    };
    let mut browsers: Vec<Browser> = vec![browser; BROWSERS];
    for _ in 0..3 {
        for browser in &mut browsers {
            browser.view(&server, "clinic", "/");
        }
    }
    server.settled("clinic");
    let token = server.command(&["token", "create", "--name", "bench", "--role", "security"]);
    let token = format!("Bearer {}", token["token"].as_str().expect("a token"));
    let questions: Vec<Value> = browsers
        .iter()
        .flat_map(|browser| {
            [json!({ "cookie": browser.value() }), json!({ "ip": "77.88.8.8" }), json!({ "user": "u" })]
        })
        .collect();
    let mut took: Vec<f64> = Vec::new();
    let begun = Instant::now();
    for number in 0..options.checks {
        let due = begun + EVERY * number;
        pause(due.saturating_duration_since(Instant::now()));
        let mut question = questions[number as usize % questions.len()].clone();
        question["site_id"] = json!("clinic");
        question["purpose"] = json!("payments");
        let headers = [("Authorization", token.as_str()), ("Content-Type", "application/json")];
        let body = question.to_string();
        let asked = Instant::now();
        let reply = http::exchange(
            server.web,
            &http::request("POST", "/api/v1/fraud/check", &headers, body.as_bytes()),
        );
        took.push(asked.elapsed().as_secs_f64() * 1000.0);
        assert_eq!(reply.status, 200, "{}", reply.json());
    }
    let all = begun.elapsed();
    took.sort_by(f64::total_cmp);
    let at = |part: f64| took[((took.len() - 1) as f64 * part) as usize];
    println!(
        "{} checks, {:.1} a second: median {:.1} ms, p99 {:.1} ms, slowest {:.1} ms",
        took.len(),
        took.len() as f64 / all.as_secs_f64(),
        at(0.5),
        at(0.99),
        at(1.0)
    );
    println!("resident: {} MB", resident_mb(&server));
    assert_eq!(server.terminate().0, Some(0));
}

fn resident_mb(server: &Server) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{}/status", server.child.id())).expect("it runs");
    let line = text.lines().find(|line| line.starts_with("VmRSS:")).expect("a line");
    let kilobytes = line.split_whitespace().nth(1).and_then(|number| number.parse::<u64>().ok());
    kilobytes.expect("a number") / 1024
}

#[expect(
    clippy::disallowed_methods,
    reason = "the pause between two looks at a condition, and the pace of a load"
)]
fn pause(time: Duration) {
    std::thread::sleep(time);
}

fn options() -> Options {
    let mut options = Options { honest: 100_000, frauds: 1_000, hits: 2_000_000, checks: 1_500, place: None };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().unwrap_or_else(|| panic!("{argument}: expected a value"));
        let number = |text: String| {
            text.replace('_', "").parse::<u64>().unwrap_or_else(|_| panic!("{text}: no number"))
        };
        match argument.as_str() {
            "--honest" => options.honest = number(value()),
            "--frauds" => options.frauds = number(value()),
            "--hits" => options.hits = number(value()),
            "--checks" => options.checks = u32::try_from(number(value())).expect("fewer"),
            "--place" => options.place = Some(value().into()),
            // cargo's own
            "--bench" => {}
            other => panic!("{other}: expected --honest, --frauds, --hits, --checks N or --place DIR"),
        }
    }
    options
}
