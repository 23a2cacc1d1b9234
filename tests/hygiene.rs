//! Page hygiene from outside: what every field of a hit carries in ends up in no
//! column of storage and in no file of the server; and what it costs.

#[path = "support/http.rs"]
#[expect(dead_code, reason = "each test binary uses its part of the shared client")]
mod http;
#[path = "support/server.rs"]
#[expect(dead_code, reason = "each test binary uses its part of the shared server")]
mod server;

use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

use http::{event, exchange, get};
use metka::config::Site;
use metka::parse::{hit, hygiene, query};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};
use server::Server;

const CONFIG: &str = r#"
[collect]
rate_limit_per_minute = 0
rate_limit_network_per_minute = 0
max_new_visitors_per_address_per_day = 0
[ship]
interval = "200ms"
[[site]]
id = "clinic"
hosts = ["clinic.example"]
query_parameters = ["q"]
path_rules = ["/doctors/* => /doctors/:doctor"]
"#;
/// Stored on purpose, in every field: what shows that the search looks there.
const KEPT: &str = "kanareyka";
/// What each canary comes as.
const CANARIES: [(&str, &[&str]); 3] = [
    ("[email]", &["leaked.person@example.ru", "leaked.person%40example.ru", "leaked.person+tag@пример.рф"]),
    ("[phone]", &["+7 (912) 345-67-89", "8-912-345-67-89", "79123456789", "%2B7%20912%20345%2067%2089"]),
    ("[card]", &["4111 1111 1111 1111", "4111111111111111", "4111-1111-1111-1111"]),
];
/// What is left of a canary when all but letters and digits is taken away.
const TRACES: [&str; 3] = ["leakedperson", "9123456789", "4111111111111111"];

/// Percent-encoded.
fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

/// An address with the text in path, query and campaign.
fn address(host: &str, text: &str) -> String {
    let text = encoded(text);
    let utm: String = ["source", "medium", "campaign", "content", "term"]
        .map(|key| format!("&utm_{key}={text}-{KEPT}"))
        .concat();
    format!("https://{host}/{KEPT}/{text}/?q={KEPT}%20{text}&secret={text}{utm}#{text}")
}

/// The pixel's query with the text in every field.
fn pixel(text: &str, kind: &str) -> String {
    let mut target = "/pixel.gif?s=clinic".to_owned();
    for (key, value) in [
        ("u", address("clinic.example", text)),
        ("r", address("other.example", text)),
        ("k", kind.to_owned()),
        ("t", format!("{KEPT} {text}")),
        ("n", format!("{KEPT} {text}")),
        ("ad", format!("{KEPT} {text}")),
        ("uk", format!("{text}.00")),
    ] {
        target.push_str(&format!("&{key}={}", encoded(&value)));
    }
    target
}

/// An event with the text in every field.
fn body(text: &str, name: &str) -> Value {
    json!({
        "s": "clinic", "k": "event", "u": address("clinic.example", text), "r": address("other.example", text),
        "t": format!("{KEPT} {text}"), "n": name, "ad": format!("{KEPT} {text}"), "z": text, "uk": format!("{text}.00"),
        "p": { "url": address("other.example", text), format!("{KEPT} {text}"): format!("{KEPT} {text}"), "path": format!("/{KEPT}/{text}") },
    })
}

#[test]
fn what_fields_carry_in_is_in_no_column_and_in_no_file() {
    let dir = tempfile::tempdir().expect("a directory");
    std::fs::write(dir.path().join("metka.toml"), CONFIG).expect("written");
    let server = Server::start(dir.path(), &[]);
    let mut sent = 0;
    for text in CANARIES.iter().flat_map(|(_, forms)| *forms) {
        let headers = [("User-Agent", &*format!("Mozilla/5.0 {KEPT}/1 ({text})")), ("Accept-Language", text)];
        // A header holds ASCII only.
        let headers: &[_] = if text.is_ascii() { &headers } else { &[] };
        for kind in ["pageview", "event", "ad_view", "ad_viewable", "ad_click"] {
            let reply = exchange(server.collect, &get(&pixel(text, kind), headers));
            assert_eq!(reply.header("x-metka"), Some("bad-user-key"), "{text} {kind}: {reply:?}");
            sent += 1;
        }
        let referer = get("/pixel.gif?s=clinic", &[("Referer", &address("clinic.example", text))]);
        assert_eq!(exchange(server.collect, &referer).header("x-metka"), Some("ok"));
        let named = format!("{KEPT} {text}");
        for name in [named.as_str(), "outbound", "download", "404"] {
            let reply = exchange(server.collect, &event(&body(text, name).to_string(), headers));
            assert_eq!(reply.status, 202, "{text} {name}: {}", String::from_utf8_lossy(&reply.body));
            sent += 1;
        }
        sent += 1;
    }
    let doctor = encoded("https://clinic.example/doctors/leaked.person");
    let grouped = get(&format!("/pixel.gif?s=clinic&u={doctor}&t=leaked.person"), &[]);
    assert_eq!(exchange(server.collect, &grouped).header("x-metka"), Some("ok"));
    sent += 1;
    assert_eq!(server.settled("clinic")["stored"], json!(sent));

    let columns = server.rows(
        "SELECT name, type FROM system.columns WHERE database = 'metka' AND table = 'hits' ORDER BY position",
    );
    let (mut values, mut kept_in, mut markers) = (0, Vec::new(), [0; CANARIES.len()]);
    for column in &columns {
        let (column, kind) = (column[0].as_str().expect("a name"), column[1].as_str().expect("a type"));
        let mut found = false;
        // Encrypted addresses are no text.
        let function = if kind.starts_with("FixedString") { "hex" } else { "toString" };
        for row in server.rows(&format!("SELECT {function}(`{column}`) FROM metka.hits")) {
            let text = row[0].as_str().expect("text");
            check(text, &format!("column {column}"));
            found |= text.contains(KEPT);
            for (count, (marker, _)) in markers.iter_mut().zip(CANARIES) {
                *count += text.matches(marker).count();
            }
            values += 1;
        }
        if found {
            kept_in.push(column);
        }
    }
    println!("{sent} hits, {} columns, {values} values; markers: {markers:?}", columns.len());
    println!("{KEPT} was found in {}", kept_in.join(", "));
    assert_eq!(values, sent * columns.len());
    for column in [
        "path",
        "query",
        "title",
        "referrer_path",
        "utm_source",
        "utm_medium",
        "utm_campaign",
        "utm_content",
        "utm_term",
        "ad",
        "name",
        "props",
    ] {
        assert!(kept_in.contains(&column), "{column} was not looked at: {kept_in:?}");
    }
    for ((marker, forms), count) in CANARIES.iter().zip(markers) {
        // Ten hits of each form, each with at least eight texts.
        assert!(count >= forms.len() * 10 * 8, "{marker}: {count}");
    }
    let paths = server.rows("SELECT DISTINCT path, title FROM metka.hits WHERE path LIKE '/doctors%'");
    assert_eq!(paths, [[json!("/doctors/:doctor"), json!("")]]);

    // The spool holds rows as they are, and storage's own logs may hold anything.
    let (mut files, mut kept) = (0, false);
    let mut pending = vec![server.data()];
    while let Some(path) = pending.pop() {
        if path.is_dir() {
            pending.extend(
                std::fs::read_dir(&path).expect("readable").map(|entry| entry.expect("an entry").path()),
            );
        } else if let Some(bytes) = contents(&path) {
            let text = String::from_utf8_lossy(&bytes);
            for canary in CANARIES.iter().flat_map(|(_, forms)| *forms).chain(&["leaked.person"]) {
                assert!(!text.contains(canary), "{canary} is in {}", path.display());
            }
            kept |= text.contains(KEPT);
            files += 1;
        }
    }
    println!("{files} files");
    assert!(kept, "the spool was not looked at");
    let (_, log) = server.terminate();
    check(&log, "the log");
}

/// What cannot be read as a file (a socket) holds nothing.
fn contents(path: &Path) -> Option<Vec<u8>> {
    path.is_file().then(|| std::fs::read(path).ok()).flatten()
}

fn check(text: &str, place: &str) {
    let letters: String = text.chars().filter(|character| character.is_alphanumeric()).collect();
    for trace in TRACES {
        assert!(!letters.to_lowercase().contains(trace), "{trace} is in {place}: {text}");
    }
}

/// A page view of a clinic as its script sends it.
const TYPICAL: &str = "s=clinic&u=https%3A%2F%2Fclinic.example%2Fuslugi%2Flazernaya-epilyaciya%2F%3Futm_source%3Dyandex%26utm_medium%3Dcpc%26utm_campaign%3Dkosmetolog-moskva-2024%26utm_term%3D%25D0%25BA%25D0%25BE%25D1%2581%25D0%25BC%25D0%25B5%25D1%2582%25D0%25BE%25D0%25BB%25D0%25BE%25D0%25B3%26yclid%3D12345678901234567&r=https%3A%2F%2Fyandex.ru%2Fsearch%2F&t=%D0%9B%D0%B0%D0%B7%D0%B5%D1%80%D0%BD%D0%B0%D1%8F+%D1%8D%D0%BF%D0%B8%D0%BB%D1%8F%D1%86%D0%B8%D1%8F+%E2%80%94+%D0%9A%D0%BB%D0%B8%D0%BD%D0%B8%D0%BA%D0%B0+%D0%BA%D0%BE%D1%81%D0%BC%D0%B5%D1%82%D0%BE%D0%BB%D0%BE%D0%B3%D0%B8%D0%B8&w=1920";

/// Prints the cost; asserts nothing about it, since machines differ.
#[test]
fn the_cost_of_a_hit() {
    let rounds = if std::env::var_os("METKA_SOAK").is_some() { 200_000 } else { 2_000 };
    let site = Site::with_defaults("clinic", &["clinic.example"]);
    let personal = TYPICAL.replace("&w=", "+%2B7+912+345-67-89+user%40example.ru&w=");
    for (what, request) in [("typical", TYPICAL), ("with a phone and an e-mail", personal.as_str())] {
        let read = || {
            let mut decoded = Vec::new();
            let report = query::parse(black_box(request), &mut decoded).expect("valid");
            black_box(hit::hit(&report, None, &site).expect("kept")).title.len()
        };
        let mut decoded = Vec::new();
        let report = query::parse(request, &mut decoded).expect("valid");
        let hit = hit::hit(&report, None, &site).expect("kept");
        assert_eq!(hit.title.contains("[phone] [email]"), request == personal);
        let utm = &hit.page.utm;
        let texts = [
            &hit.page.path,
            &utm.source,
            &utm.medium,
            &utm.campaign,
            &utm.term,
            &hit.referrer.path,
            &*report.title,
        ];
        let scrub =
            || texts.iter().map(|text| black_box(hygiene::scrub(black_box(text))).len()).sum::<usize>();
        let (parse_ns, scrub_ns) = (nanoseconds(rounds, read), nanoseconds(rounds, scrub));
        println!(
            "{what}: hygiene {scrub_ns:.0} ns of {parse_ns:.0} ns of parsing, {:.0} %{}",
            100.0 * scrub_ns / parse_ns,
            if cfg!(debug_assertions) { " (a debug build: not to be quoted)" } else { "" }
        );
    }
}

/// How many runs the best is taken of.
const RUNS: u32 = 200;

/// The best of many short runs: those that nothing interrupted.
fn nanoseconds<T>(rounds: u32, mut run: impl FnMut() -> T) -> f64 {
    let mut best = f64::MAX;
    for _ in 0..RUNS {
        let started = Instant::now();
        for _ in 0..rounds / RUNS {
            black_box(run());
        }
        best = best.min(started.elapsed().as_nanos() as f64 / f64::from(rounds / RUNS));
    }
    best
}
