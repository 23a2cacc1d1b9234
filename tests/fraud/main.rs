//! Whether a visitor is plausible, with the real binary, engine and geo databases.
//!
//! Where addresses are is what the default databases say, which are asked here too.

mod alerts;
#[path = "../support/browser.rs"]
#[expect(dead_code, reason = "each test binary uses its part of the shared browser")]
mod browser;
mod collectors;
mod crowd;
mod follow;
#[path = "../support/http.rs"]
#[expect(dead_code, reason = "each test binary uses its part of the shared client")]
mod http;
mod memory;
#[path = "../support/place.rs"]
#[expect(dead_code, reason = "each test binary uses its part of the shared place")]
mod place;
#[path = "../support/population/mod.rs"]
mod population;
mod question;
#[path = "../support/random.rs"]
#[expect(dead_code, reason = "each test binary uses its part of the shared random numbers")]
mod random;
mod retention;
#[path = "../support/server.rs"]
#[expect(dead_code, reason = "each test binary uses its part of the shared server")]
mod server;
mod signals;
mod user;

use serde_json::{Value, json};

use browser::{Browser, SECRET};
use http::Reply;
use place::Place;
use server::{Server, wait_for};

const CONFIG: &str = r#"
[collect]
threads = 1
[ship]
interval = "200ms"
[fraud]
people_per_address = 5
pages_per_ten_minutes = 30
page_order = ["/payment > /payment/done"]
[[site]]
id = "clinic"
hosts = ["clinic.example"]
user_key_secret_file = "user-key.secret"
[[site]]
id = "other"
hosts = ["other.example"]
"#;
/// Public resolvers: their places are in every database, far from each other.
const IN_RUSSIA: &str = "77.88.8.8";
const IN_AMERICA: &str = "8.8.8.8";
const IN_JAPAN: &str = "210.130.0.1";

fn place() -> Place {
    let place = Place::with(CONFIG);
    std::fs::write(place.path().join("user-key.secret"), SECRET).expect("written");
    place
}

fn token(server: &Server, role: &str, site: Option<&str>) -> String {
    let name = format!("{role}-{}", site.unwrap_or("all"));
    let mut arguments = vec!["token", "create", "--name", &name, "--role", role];
    arguments.extend(site.iter().flat_map(|site| ["--site", site]));
    format!("Bearer {}", server.command(&arguments)["token"].as_str().expect("a token"))
}

fn post(server: &Server, token: &str, body: &Value) -> Reply {
    let headers = [("Authorization", token), ("Content-Type", "application/json")];
    http::exchange(
        server.web,
        &http::request("POST", "/api/v1/fraud/check", &headers, body.to_string().as_bytes()),
    )
}

/// Who came over the threshold after a number.
fn alerts(server: &Server, token: &str, after: u64, wait: u64) -> Value {
    let target = format!("/api/v1/fraud/alerts?site_id=clinic&after={after}&wait={wait}");
    let reply = http::exchange(server.web, &http::get(&target, &[("Authorization", token)]));
    assert_eq!(reply.status, 200);
    reply.json()
}

/// What is said of somebody once all hits of a site that were answered are remembered.
fn checked(server: &Server, token: &str, mut body: Value) -> Value {
    let site = body["site_id"].as_str().unwrap_or("clinic").to_owned();
    body["site_id"] = json!(site);
    body["purpose"] = json!("payments");
    remembered(server, &site);
    let reply = post(server, token, &body);
    assert_eq!(reply.status, 200, "{}", String::from_utf8_lossy(&reply.body));
    reply.json()
}

/// Waits until every stored hit of a site is remembered.
fn remembered(server: &Server, site: &str) {
    server.settled(site);
    let blocked = "(SELECT subject FROM metka.blocked)";
    let sql = format!(
        "SELECT count() FROM metka.hits WHERE site = '{site}' AND visitor NOT IN {blocked}
         AND minted NOT IN {blocked} AND before NOT IN {blocked} AND user_key NOT IN {blocked}"
    );
    let stored = server.rows(&sql)[0][0].clone();
    wait_for("all stored hits to be remembered", || {
        let memory = server.command(&["status"])["jobs"]["fraud"][site].clone();
        (memory["ready"] == true && memory["hits"] == stored).then_some(())
    });
}

/// The evidence of a rule that fired.
fn evidence(answer: &Value, rule: &str) -> Value {
    let signals = answer["signals"].as_array().expect("a list");
    let signal = signals.iter().find(|signal| signal["rule"] == rule);
    signal.unwrap_or_else(|| panic!("{rule} did not fire: {answer}"))["evidence"].clone()
}

/// The rules that fired.
fn fired(answer: &Value) -> Vec<String> {
    let signals = answer["signals"].as_array().expect("a list");
    signals.iter().filter_map(|signal| signal["rule"].as_str().map(str::to_owned)).collect()
}
