//! What an officer does at the web address, with the real binary and the real engine.

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
        http::exchange(self.server.web, &http::get(target, &headers))
    }

    fn post(&self, target: &str, body: &Value) -> Reply {
        let headers = [("Authorization", self.token.as_str()), ("Content-Type", "application/json")];
        http::exchange(self.server.web, &http::request("POST", target, &headers, body.to_string().as_bytes()))
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

/// One page view of a browser, with the cookie that it has or is offered; returns that.
fn view(server: &Server, site: &str, path: &str, cookie: &str) -> String {
    let target = format!("/pixel.gif?s={site}&u=https://{site}.example{path}");
    let headers = [("Cookie", cookie), ("X-Forwarded-For", ADDRESS)];
    let reply = http::exchange(server.collect, &http::get(&target, &headers));
    assert_eq!(reply.header("x-metka"), Some("ok"), "{path}");
    reply.cookie("metka").unwrap_or_else(|| cookie.to_owned())
}

/// Waits until storage has so many rows of a site.
fn stored(server: &Server, site: &str, rows: u64) {
    wait_for("storage to have the rows", || {
        let sql = format!("SELECT count() FROM metka.hits WHERE site = '{site}'");
        (server.rows(&sql)[0][0] == rows).then_some(())
    });
}

fn value(cookie: &str) -> &str {
    cookie.split_once('=').expect("it has a cookie").1
}
