//! Measures a marketer's dashboard on a large table:
//!
//! ```text
//! cargo bench --bench dashboard -- [--hits N] [--rounds N] [--rollups BOOL]
//! ```
//!
//! It starts the built binary on a directory of its own, has the engine make up a year of hits,
//! waits until the rollups are made (with them), starts the server again, and asks the
//! whole unfiltered dashboard of the last 30 days and of the year, and both under one filter,
//! as the page does: fourteen questions in one `POST /api/v2/queries`. Each round asks for
//! another number of rows, so that no answer is one that was remembered. Printed are the first
//! round after the start, the median and the slowest of twenty; the bytes on disk of a hit with all
//! tables; and what making the rollups took. It fails where a question is not answered.
//!
//! The hits are those of `tests/support/year.rs`. Default: 2 million, which takes a few minutes.

#[path = "../tests/support/http.rs"]
#[expect(dead_code, reason = "the bench uses its part of the shared client")]
mod http;
#[path = "../tests/support/place.rs"]
#[expect(dead_code, reason = "the bench uses its part of the shared place")]
mod place;
#[path = "../tests/support/server.rs"]
#[expect(dead_code, reason = "the bench uses its part of the shared server")]
mod server;
#[path = "../tests/support/year.rs"]
mod year;

use std::time::{Duration, Instant};

use jiff::ToSpan;
use serde_json::{Value, json};

use place::Place;
use server::Server;
use year::{HITS_PER_VISIT, ZONE, insert};

/// How long the rollups of a year may take to be made.
const PATIENCE: Duration = Duration::from_secs(4 * 3600);

struct Options {
    hits: u64,
    rounds: u64,
    rollups: bool,
}

fn main() {
    let Options { hits, rounds, rollups } = options();
    let place = Place::with(&format!(
        "[storage]\nrollups = {rollups}\n[[site]]\nid = \"clinic\"\nhosts = [\"clinic.example\"]\ntimezone = \"{ZONE}\"\n"
    ));
    let server = place.serve();
    // The server may still be making the table.
    server.rows("SELECT count() FROM metka.blocked");
    let started = Instant::now();
    let visits = (hits as f64 / HITS_PER_VISIT) as u64;
    for month in 1..=12 {
        execute(&server, &insert(visits, month));
    }
    execute(&server, "OPTIMIZE TABLE metka.hits FINAL");
    let stored = number(&server, "SELECT count() FROM metka.hits");
    println!("{stored} hits made up and merged in {:.1?}", started.elapsed());
    if rollups {
        let started = Instant::now();
        // A server that finds the hits when it starts.
        assert_eq!(server.terminate().0, Some(0));
        let server = place.serve();
        let made = "SELECT count() FROM (SELECT day, argMax(numbers, version) AS made FROM metka.rollup_days GROUP BY day HAVING made)";
        // A day is made three hours after it.
        let days = "SELECT uniqExact(toDate(time, 'Europe/Moscow') AS day) FROM metka.hits WHERE day < toDate(now() - INTERVAL 3 HOUR, 'Europe/Moscow')";
        let days = number(&server, days);
        while number(&server, made) < days {
            assert!(started.elapsed() < PATIENCE, "the rollups are not made");
            #[expect(clippy::disallowed_methods, reason = "the pause between two looks at a condition")]
            std::thread::sleep(Duration::from_secs(1));
        }
        println!("rollups of {days} days made in {:.1?}", started.elapsed());
        assert_eq!(server.terminate().0, Some(0));
    } else {
        assert_eq!(server.terminate().0, Some(0));
    }
    let server = place.serve();
    server.rows("SELECT count() FROM metka.blocked");
    let bytes =
        number(&server, "SELECT sum(bytes_on_disk) FROM system.parts WHERE database = 'metka' AND active");
    println!("{:<44} {:>9.1}", "bytes on disk per hit, all tables", bytes as f64 / stored as f64);
    let made = server.command(&["token", "create", "--name", "bench", "--role", "owner"]);
    let token = format!("Bearer {}", made["token"].as_str().expect("a token"));
    // Questions are answered a moment after storage is there.
    let live = http::get("/api/v1/live?site_id=clinic", &[("Authorization", &token)]);
    server::wait_for("questions to be answered", || {
        (http::exchange(server.web, &live).status == 200).then_some(())
    });
    let today = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::get(ZONE).expect("a zone")).date();
    let until = |days: i64| {
        let day = |back: i64| today.checked_sub(back.days()).expect("a day").to_string();
        json!([day(days), day(1)])
    };
    let mut limits = (500..10_000).cycle();
    for (name, days, filter) in [
        ("30 days", 30, json!([])),
        ("the year", 365, json!([])),
        ("30 days, one country", 30, json!([["is", "visit:country", ["KZ"]]])),
        ("the year, one country", 365, json!([["is", "visit:country", ["KZ"]]])),
        ("the year, one page", 365, json!([["is", "event:page", ["/statya-3/"]]])),
    ] {
        let range = until(days);
        let mut took: Vec<f64> = (0..rounds)
            .map(|_| ask(&token, &server, &range, &filter, limits.next().expect("endless")))
            .collect();
        let first = took[0];
        took.sort_by(f64::total_cmp);
        println!(
            "{name:<28} first {first:>8.0} ms, median {:>8.0} ms, slowest {:>8.0} ms",
            took[took.len() / 2],
            took[took.len() - 1]
        );
    }
    assert_eq!(server.terminate().0, Some(0));
}

/// One dashboard; milliseconds.
fn ask(token: &str, server: &Server, range: &Value, filter: &Value, limit: u64) -> f64 {
    let question = |metrics: &[&str], dimension: Option<&str>| {
        json!({
            "site_id": "clinic", "metrics": metrics, "date_range": range, "filters": filter,
            "dimensions": dimension.map_or(vec![], |one| vec![one]), "pagination": { "limit": limit },
        })
    };
    let headline = ["visitors", "visits", "pageviews", "views_per_visit", "bounce_rate", "visit_duration"];
    let mut questions = vec![question(&headline, None), question(&["visitors"], Some("time:day"))];
    questions.push(question(&["visitors", "pageviews"], Some("event:page")));
    for dimension in [
        "visit:entry_page",
        "visit:exit_page",
        "visit:source",
        "visit:channel",
        "visit:utm_campaign",
        "visit:country",
        "visit:region",
        "visit:city",
        "visit:device",
        "visit:browser",
        "visit:os",
    ] {
        questions.push(question(&["visitors"], Some(dimension)));
    }
    let body = json!({ "site_id": "clinic", "queries": questions }).to_string();
    let headers = [("Authorization", token), ("Content-Type", "application/json")];
    let begun = Instant::now();
    let reply =
        http::exchange(server.web, &http::request("POST", "/api/v2/queries", &headers, body.as_bytes()));
    let took = begun.elapsed().as_secs_f64() * 1000.0;
    assert_eq!(reply.status, 200, "{}", reply.json());
    let answers = reply.json();
    for (question, answer) in questions.iter().zip(answers["answers"].as_array().expect("answers")) {
        assert!(answer["answer"]["results"].is_array(), "{question}: {answer}");
    }
    took
}

fn execute(server: &Server, sql: &str) {
    let storage = server.storage();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(storage.execute(sql, &[])).expect("executed");
}

fn number(server: &Server, sql: &str) -> u64 {
    server.rows(sql)[0][0].as_u64().expect("a number")
}

fn options() -> Options {
    let mut options = Options { hits: 2_000_000, rounds: 20, rollups: true };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().unwrap_or_else(|| panic!("{argument}: expected a value"));
        let number =
            |text: String| text.replace('_', "").parse().unwrap_or_else(|_| panic!("{text}: no number"));
        match argument.as_str() {
            "--hits" => options.hits = number(value()),
            "--rounds" => options.rounds = number(value()),
            "--rollups" => options.rollups = value() == "true",
            // cargo's own
            "--bench" => {}
            other => panic!("{other}: expected --hits N, --rounds N or --rollups BOOL"),
        }
    }
    options
}
