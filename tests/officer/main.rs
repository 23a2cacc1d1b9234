//! What an officer does at the web address, with the real binary and the real engine.

#[path = "../support/browser.rs"]
#[expect(dead_code, reason = "each test binary uses its part of the shared browser")]
mod browser;
#[path = "../support/http.rs"]
#[expect(dead_code, reason = "each test binary uses its part of the shared client")]
mod http;
mod journey;
#[path = "../support/place.rs"]
#[expect(dead_code, reason = "each test binary uses its part of the shared place")]
mod place;
mod policy;
mod scope;
#[path = "../support/server.rs"]
#[expect(dead_code, reason = "each test binary uses its part of the shared server")]
mod server;

use serde_json::Value;

use browser::{Browser, stored};
use http::Reply;
use place::Place;
use server::{Server, wait_for};

const CONFIG: &str = r#"
[collect]
threads = 1
[ship]
interval = "1s"
[operator]
name = "Клиника «Пример»"
official = "И. Иванова, ответственная за обработку"
[[site]]
id = "clinic"
hosts = ["clinic.example"]
policy_version = "2024-04-01"
policy_url = "https://clinic.example/policy"
contact = "privacy@clinic.example"
[[site]]
id = "other"
hosts = ["other.example"]
"#;
const PURPOSE: &str = "request of the person";
/// In the clear in nothing that is kept.
const ADDRESS: &str = "203.0.113.77";

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

    fn get(&self, target: &str) -> Reply {
        let headers = [("Authorization", self.token.as_str())];
        self.answered(&http::get(target, &headers))
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

    /// The answer to a question that is one.
    fn seen(&self, target: &str) -> Value {
        let reply = self.get(target);
        assert_eq!(reply.status, 200, "{target}: {}", text(&reply));
        reply.json()
    }

    /// What came of something that may be done.
    fn done(&self, target: &str, body: &Value) -> Value {
        let reply = self.post(target, body);
        assert_eq!(reply.status, 200, "{target} {body}: {}", text(&reply));
        reply.json()
    }
}

fn text(reply: &Reply) -> String {
    String::from_utf8_lossy(&reply.body).into_owned()
}

/// A browser that has viewed one page of a site.
fn visitor(server: &Server, site: &str, path: &str) -> Browser {
    let mut browser = Browser::new(ADDRESS);
    browser.view(server, site, path);
    browser
}
