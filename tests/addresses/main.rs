//! Statistics of addresses, with the real binary and the real engine: numbers as a recount of
//! what was sent, by tokens alone; and one address opened.

mod bounds;
#[path = "../support/browser.rs"]
#[expect(dead_code, reason = "each test binary uses its part of the shared browser")]
mod browser;
mod commands;
#[path = "../support/http.rs"]
#[expect(dead_code, reason = "each test binary uses its part of the shared client")]
mod http;
mod listing;
mod months;
mod numbers;
mod opening;
mod people;
#[path = "../support/place.rs"]
#[expect(dead_code, reason = "each test binary uses its part of the shared place")]
mod place;
mod places;
#[path = "../support/server.rs"]
#[expect(dead_code, reason = "each test binary uses its part of the shared server")]
mod server;

use serde_json::{Value, json};

use http::Reply;
use place::Place;
use server::{Server, wait_for};

const CONFIG: &str = r#"
[collect]
threads = 1
rate_limit_per_minute = 30
rate_limit_network_per_minute = 0
max_new_visitors_per_address_per_day = 0
[ship]
interval = "200ms"
[geo]
files = ["places.mmdb"]
[operator]
name = "Клиника «Пример»"
official = "И. Иванова, ответственная за обработку"
[[site]]
id = "clinic"
hosts = ["clinic.example"]
fields = ["title", "errors"]
[[site]]
id = "other"
hosts = ["other.example"]
"#;
const PURPOSE: &str = "request of the person";

/// A program that has a token.
struct Asker<'a> {
    server: &'a Server,
    token: String,
}

// === impl Asker ===

impl<'a> Asker<'a> {
    /// One with a new token of a role, for one site or for all.
    fn new(server: &'a Server, role: &str, site: Option<&str>) -> Asker<'a> {
        let name = format!("{role}-{}", site.unwrap_or("all"));
        let mut arguments = vec!["token", "create", "--name", &name, "--role", role];
        arguments.extend(site.iter().flat_map(|site| ["--site", site]));
        let made = server.command(&arguments);
        Asker { server, token: format!("Bearer {}", made["token"].as_str().expect("a token")) }
    }

    fn get(&self, target: &str) -> Value {
        let headers = [("Authorization", self.token.as_str())];
        let reply = self.answered(&http::get(target, &headers));
        assert_eq!(reply.status, 200, "{target}: {}", text(&reply));
        reply.json()
    }

    /// The answer once storage is ready, which it is a moment after the start.
    fn answered(&self, request: &[u8]) -> Reply {
        wait_for("storage to be ready", || {
            let reply = http::exchange(self.server.web, request);
            (reply.status != 503).then_some(reply)
        })
    }

    fn post(&self, target: &str, body: &Value) -> Reply {
        let headers = [("Authorization", self.token.as_str()), ("Content-Type", "application/json")];
        self.answered(&http::request("POST", target, &headers, body.to_string().as_bytes()))
    }

    fn done(&self, target: &str, body: &Value) -> Value {
        let reply = self.post(target, body);
        assert_eq!(reply.status, 200, "{target} {body}: {}", text(&reply));
        reply.json()
    }

    /// The answer to a question about today, with more to it.
    fn ask(&self, by: &str, more: Value) -> Value {
        let mut question =
            json!({ "site_id": "clinic", "purpose": "security", "date_range": "day", "by": by });
        for (key, value) in more.as_object().expect("an object") {
            question[key] = value.clone();
        }
        self.done("/api/v1/addresses", &question)
    }

    /// Its rows.
    fn rows(&self, by: &str, more: Value) -> Vec<Value> {
        self.ask(by, more)["results"].as_array().expect("rows").clone()
    }

    /// The address behind a token.
    fn open(&self, token: &Value) -> String {
        let opening =
            json!({ "site_id": "clinic", "address": token, "purpose": "security", "words": "a test" });
        self.done("/api/v1/addresses/open", &opening)["ip"].as_str().expect("an address").to_owned()
    }
}

fn text(reply: &Reply) -> String {
    String::from_utf8_lossy(&reply.body).into_owned()
}

/// A directory with the configuration and the database of places.
fn place() -> Place {
    place_with("", "")
}

/// With something else in place of a part of the configuration.
fn place_with(part: &str, other: &str) -> Place {
    let config = if part.is_empty() { CONFIG.to_owned() } else { CONFIG.replacen(part, other, 1) };
    let place = Place::with(&config);
    std::fs::write(place.path().join("places.mmdb"), places::database()).expect("written");
    place
}

/// Sends one hit and gives the outcome that it is told.
fn send(server: &Server, address: &str, query: &str, headers: &[(&str, &str)]) -> String {
    let mut all = vec![("X-Forwarded-For", address)];
    all.extend_from_slice(headers);
    let reply = http::exchange(server.collect, &http::get(&format!("/pixel.gif?{query}"), &all));
    reply.header("x-metka").expect("an outcome").to_owned()
}

/// Waits until storage has so many hits and refusals of the site.
fn stored(server: &Server, hits: u64, refusals: u64) {
    wait_for("storage to have all", || {
        let number = |sql: &str| server.rows(sql)[0][0].as_u64().expect("a number");
        let found = [
            number("SELECT count() FROM metka.hits WHERE site = 'clinic'"),
            number("SELECT sum(count) FROM metka.refusals WHERE site = 'clinic'"),
        ];
        assert!(found[0] <= hits && found[1] <= refusals, "{found:?}");
        (found == [hits, refusals]).then_some(())
    });
}

/// Puts a statement to the engine itself.
fn execute(server: &Server, sql: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(server.storage().execute(sql, &[])).expect("it is done");
}
