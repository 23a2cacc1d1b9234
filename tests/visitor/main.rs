//! The visitor's own page, with the real binary and the real engine.

mod away;
#[path = "../support/browser.rs"]
#[expect(dead_code, reason = "each test binary uses its part of the shared browser")]
mod browser;
#[path = "../support/http.rs"]
#[expect(dead_code, reason = "each test binary uses its part of the shared client")]
mod http;
mod looks;
#[path = "../support/place.rs"]
#[expect(dead_code, reason = "each test binary uses its part of the shared place")]
mod place;
mod requests;
#[path = "../support/server.rs"]
#[expect(dead_code, reason = "each test binary uses its part of the shared server")]
mod server;
mod told;

use serde_json::Value;

use browser::{Browser, stored};
use http::Reply;
use place::Place;
use server::Server;

const CONFIG: &str = r#"
[collect]
threads = 1
rate_limit_per_minute = 0
rate_limit_network_per_minute = 0
[ship]
interval = "1s"
[operator]
name = "Клиника «Пример»"
official = "И. Иванова, ответственная за обработку"
[[site]]
id = "clinic"
hosts = ["clinic.example"]
timezone = "Europe/Moscow"
contact = "privacy@clinic.example"
[[site]]
id = "other"
hosts = ["other.example"]
"#;
/// Where the page's own forms come from.
const ORIGIN: (&str, &str) = ("Origin", "http://stats.clinic.example");
/// Addresses of visitors, found wherever they go.
const ADDRESS: &str = "203.0.113.77";
const ELSEWHERE: &str = "198.51.100.20";

/// A place whose site has the rest of the configuration too.
fn place_with(more: &str) -> Place {
    Place::with(&format!("{more}{CONFIG}"))
}

fn place() -> Place {
    place_with("")
}

// === impl Browser ===

impl Browser {
    /// Sends a form of the page.
    fn post(&self, server: &Server, target: &str, form: &str) -> Reply {
        self.post_from(server, target, form, &[ORIGIN])
    }

    fn post_from(&self, server: &Server, target: &str, form: &str, from: &[(&str, &str)]) -> Reply {
        let mut headers = vec![
            ("Cookie", self.cookie.as_str()),
            ("X-Forwarded-For", self.address),
            ("Content-Type", "application/x-www-form-urlencoded"),
        ];
        headers.extend_from_slice(from);
        http::exchange(server.collect, &http::request("POST", target, &headers, form.as_bytes()))
    }

    /// Asks for something, and gets the address of the request.
    fn ask(&self, server: &Server, form: &str) -> String {
        let reply = self.post(server, "/privacy/request", form);
        assert_eq!(reply.status, 303, "{form}: {}", text(&reply));
        reply.header("location").expect("it leads to the request").to_owned()
    }
}

fn text(reply: &Reply) -> String {
    String::from_utf8_lossy(&reply.body).into_owned()
}

/// The register, as the officer's command has it.
fn register(place: &Place) -> Vec<Value> {
    place.done(&["subject", "list"], "")["requests"].as_array().expect("requests").clone()
}

/// What the trail says that visitors did: the action, whom it is about, and the detail.
fn trail(place: &Place) -> Vec<(String, String)> {
    let entries = place.done(&["audit", "list"], "")["entries"].as_array().expect("entries").clone();
    let mut by_visitors: Vec<(String, String)> = entries
        .iter()
        .filter(|entry| entry["actor"] == "visitor")
        .map(|entry| {
            assert_eq!(entry["purpose"], "rights", "{entry}");
            let word = |name: &str| entry[name].as_str().unwrap_or_default().to_owned();
            (word("action"), word("subject"))
        })
        .collect();
    by_visitors.sort();
    by_visitors
}

fn count(server: &Server, site: &str) -> u64 {
    let sql = format!("SELECT count() FROM metka.hits WHERE site = '{site}'");
    server.rows(&sql)[0][0].as_u64().expect("a count")
}

/// Visitors and page views, as the numbers say.
fn numbers(place: &Place) -> Value {
    let question = serde_json::json!({
        "site_id": "clinic", "metrics": ["visitors", "pageviews"], "date_range": "all"
    });
    std::fs::write(place.path().join("question.json"), question.to_string()).expect("written");
    place.done(&["stats", "question.json"], "")["results"][0]["metrics"].clone()
}
