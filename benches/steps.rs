//! What each step of the hit path costs, in nanoseconds per hit, as the built
//! binary times itself (`pipeline::StepCounters`, read from `/metrics`).
//!
//! `cargo bench --bench steps -- ROUNDS`: ROUNDS times the same 1,000 different
//! requests over one connection: pixel and event, with and without a cookie,
//! 200 user agents, campaigns, referrers; one in ten comes again under its id, and
//! one in ten is refused. One passage in 64 is timed, so 64 rounds are about a
//! thousand timings of each step. A round before them is not counted: its first
//! hit makes the day's salt, and caches are empty. The hits are not waited for on
//! the disk (`durability = "write"`): no step does that. The
//! addresses are of documentation, which have no place and are not looked up.

use std::collections::BTreeMap;

#[path = "../tests/support/http.rs"]
#[expect(dead_code, reason = "each program uses its part of the shared client")]
mod http;
#[path = "../tests/support/server.rs"]
#[expect(dead_code, reason = "each program uses its part of the shared server")]
mod server;

use http::{Connection, event, exchange, get};
use server::Server;

const REQUESTS: usize = 1000;
const DEFAULT_ROUNDS: usize = 64;
const CONFIG: &str = r#"
[collect]
threads = 1
durability = "write"
rate_limit_per_minute = 1000000000
rate_limit_network_per_minute = 1000000000
[[site]]
id = "clinic"
hosts = ["clinic.example"]
"#;

/// The bytes of one of the thousand requests, as it comes in a round.
fn request(number: usize, round: usize, cookie: &str) -> Vec<u8> {
    // Half of the people come back with a cookie; each has an address and one of 200 browsers.
    let address = format!("192.0.2.{}", number % 250 + 1);
    let agent = format!(
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{}.0.0.0 Safari/537.36",
        number % 200
    );
    let mut headers = vec![
        ("X-Forwarded-For", address.as_str()),
        ("User-Agent", agent.as_str()),
        ("Accept-Language", "ru-RU,ru;q=0.9"),
    ];
    if number.is_multiple_of(2) {
        headers.push(("Cookie", cookie));
    }
    let page = format!("https://clinic.example/page/{number}");
    // One in ten is a retry of what the round before sent.
    let id = if number % 10 == 9 { number } else { round * REQUESTS + number };
    match number % 10 {
        // Refused: another site's page, and a site that does not exist.
        0 if number.is_multiple_of(20) => get("/pixel.gif?s=clinic&u=https://elsewhere.example/", &headers),
        0 => get("/pixel.gif?s=unknown&u=https://clinic.example/", &headers),
        1..=4 => get(&format!("/pixel.gif?s=clinic&u={page}%3Futm_source%3Dvk%26utm_medium%3Dcpc"), &headers),
        _ => event(
            &format!(
                r#"{{"s":"clinic","k":"event","n":"zapis","u":"{page}","r":"https://yandex.ru/search/","t":"A title","w":1920,"z":"Europe/Moscow","p":{{"usluga":"{number}"}},"i":"{id:016x}"}}"#
            ),
            &headers,
        ),
    }
}

fn main() {
    // Cargo passes `--bench` as well.
    let rounds =
        std::env::args().filter_map(|argument| argument.parse().ok()).next().unwrap_or(DEFAULT_ROUNDS);
    let dir = tempfile::tempdir().expect("a directory");
    std::fs::write(dir.path().join("metka.toml"), CONFIG).expect("written");
    let server = Server::start(dir.path(), &[]);
    let cookie = exchange(server.collect, &get("/pixel.gif?s=clinic&u=https://clinic.example/", &[]))
        .cookie("metka")
        .expect("a cookie");
    let mut connection = Connection::open(server.collect);
    let mut answers = BTreeMap::new();
    let mut round = |round: usize| {
        for number in 0..REQUESTS {
            assert!(connection.send(&request(number, round, &cookie)), "the connection stays");
            let reply = connection.reply(false);
            *answers.entry(reply.status).or_insert(0_u64) += 1;
        }
    };
    round(0);
    let before = metrics(&server);
    (1..=rounds).for_each(&mut round);
    let after = metrics(&server);
    let value = |name: &str, step: &str| -> f64 {
        let of = |text: &str| {
            let line =
                text.lines().find_map(|line| line.strip_prefix(&format!("{name}{{step=\"{step}\"}} ")));
            line.and_then(|value| value.parse::<f64>().ok()).unwrap_or(0.0)
        };
        of(&after) - of(&before)
    };
    println!("1 + {rounds} rounds of {REQUESTS} requests; answers by status: {answers:?}\n");
    println!("| step | hits | ns per hit |\n|---|---:|---:|");
    let mut whole = 0.0;
    for step in &metka::pipeline::STEPS {
        let hits = value("metka_step_hits_total", step.name);
        let nanoseconds = value("metka_step_time_seconds_total", step.name) / hits.max(1.0) * 1e9;
        whole += nanoseconds;
        println!("| `{}` | {hits} | {nanoseconds:.0} |", step.name);
    }
    println!("| all | | {whole:.0} |");
}

fn metrics(server: &Server) -> String {
    let reply =
        exchange(server.web, b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    String::from_utf8(reply.body).expect("text")
}
