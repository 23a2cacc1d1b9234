//! Case files: the trail of one visitor, with the real binary and the real engine.

#[path = "../support/browser.rs"]
mod browser;
mod handed_out;
#[path = "../support/http.rs"]
#[expect(dead_code, reason = "each test binary uses its part of the shared client")]
mod http;
mod index;
mod logged;
mod page;
#[path = "../support/place.rs"]
#[expect(dead_code, reason = "each test binary uses its part of the shared place")]
mod place;
#[path = "../support/server.rs"]
#[expect(dead_code, reason = "each test binary uses its part of the shared server")]
mod server;
mod trail;
mod unseen;

use serde_json::{Value, json};

use browser::{Browser, SECRET, stored};
use http::Reply;
use place::{Place, contains, files_below};
use server::{Server, wait_for};

const CONFIG: &str = r#"
[collect]
threads = 1
rate_limit_per_minute = 0
rate_limit_network_per_minute = 0
max_new_visitors_per_address_per_day = 0
[ship]
interval = "1s"
[operator]
name = "Клиника «Пример»"
[[site]]
id = "clinic"
hosts = ["clinic.example"]
timezone = "Europe/Moscow"
user_key_secret_file = "user-key.secret"
[[site]]
id = "other"
hosts = ["other.example"]
"#;
/// In the clear in nothing that is kept or answered.
const ADDRESS: &str = "203.0.113.77";
const ANNAS_KEY: &str = "anna-key-1";
const WORDS: &str = "card payment contested";

/// A program that has a token.
struct Asker<'a> {
    server: &'a Server,
    token: String,
}

// === impl Asker ===

impl<'a> Asker<'a> {
    fn new(server: &'a Server, role: &str, site: Option<&str>) -> Asker<'a> {
        let name = format!("{role}-{}", site.unwrap_or("all"));
        let mut arguments = vec!["token", "create", "--name", &name, "--role", role];
        arguments.extend(site.iter().flat_map(|site| ["--site", site]));
        let made = server.command(&arguments);
        Asker { server, token: format!("Bearer {}", made["token"].as_str().expect("a token")) }
    }

    /// The answer once storage is ready, which it is a moment after the start.
    fn post(&self, target: &str, body: &Value, accepts: &str) -> Reply {
        let headers = [
            ("Authorization", self.token.as_str()),
            ("Content-Type", "application/json"),
            ("Accept-Language", accepts),
        ];
        let request = http::request("POST", target, &headers, body.to_string().as_bytes());
        wait_for("storage to be ready", || {
            let reply = http::exchange(self.server.web, &request);
            (reply.status != 503).then_some(reply)
        })
    }

    fn asked(&self, body: &Value) -> Reply {
        self.post("/api/v1/case", body, "ru")
    }

    /// A case file that may be opened.
    fn opened(&self, body: &Value) -> Value {
        let reply = self.asked(body);
        assert_eq!(reply.status, 200, "{body}: {}", text(&reply));
        reply.json()
    }
}

fn text(reply: &Reply) -> String {
    String::from_utf8_lossy(&reply.body).into_owned()
}

fn place() -> Place {
    let place = Place::with(CONFIG);
    std::fs::write(place.path().join("user-key.secret"), SECRET).expect("written");
    place
}

/// What is asked about somebody of the clinic's.
fn about(who: Value) -> Value {
    json!({ "site": "clinic", "who": who, "purpose": "payments", "words": WORDS })
}

/// The same with more.
fn and(mut body: Value, more: Value) -> Value {
    for (name, value) in more.as_object().into_iter().flatten() {
        body[name] = value.clone();
    }
    body
}

/// Everybody who was seen at the address.
fn at_address(address: &str) -> Value {
    json!({ "address": { "ip": address, "from": "2020-01-01T00:00:00Z", "to": "2100-01-01T00:00:00Z" } })
}

/// The hits of a document in their order, each with the number of its visit.
fn hits(document: &Value) -> Vec<Value> {
    let visits = document["visits"].as_array().expect("visits").iter();
    visits
        .flat_map(|visit| {
            let trail = visit["trail"].as_array().expect("hits").iter();
            trail.map(|hit| and(hit.clone(), json!({ "visit": visit["number"] })))
        })
        .collect()
}

/// One cell of each hit.
fn cells(document: &Value, name: &str) -> Vec<String> {
    hits(document).iter().map(|hit| hit[name].as_str().unwrap_or_default().to_owned()).collect()
}

/// The same hits once more, so many minutes earlier; they come into another batch.
fn copied(server: &Server, condition: &str, minutes: u32) {
    let sql = format!(
        "INSERT INTO metka.hits SELECT * REPLACE (time - toIntervalMinute({minutes}) AS time, batch + {minutes} AS batch) \
         FROM (SELECT * FROM metka.hits WHERE {condition})"
    );
    execute(server, &sql);
}

fn execute(server: &Server, sql: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(server.storage().execute(sql, &[])).expect("it is done");
}

/// The entries of the audit trail about case files.
fn looks(place: &Place) -> Vec<Value> {
    let listed = place.done(&["audit", "list", "--action", "case_file_opened", "--last", "1000"], "");
    listed["entries"].as_array().expect("entries").clone()
}

/// Nothing that identifies somebody stands in a file of the data directory. How many there are.
fn nothing_identifies(place: &Place, canaries: &[&str]) -> usize {
    let mut files = Vec::new();
    files_below(&place.data(), &mut files);
    for (path, bytes) in &files {
        for canary in canaries {
            assert!(!contains(bytes, canary.as_bytes()), "{canary} is in {}", path.display());
        }
    }
    files.len()
}
