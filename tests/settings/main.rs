//! What people keep beside the numbers: settings, shared links, people and tokens over
//! the web, reports by mail; with the real binary.

#[path = "../support/http.rs"]
#[expect(dead_code, reason = "each test binary uses its part of the shared client")]
mod http;
mod kept;
mod mail;
#[path = "../support/mail.rs"]
mod mail_server;
mod people;
#[path = "../support/place.rs"]
#[expect(dead_code, reason = "each test binary uses its part of the shared place")]
mod place;
#[path = "../support/server.rs"]
#[expect(dead_code, reason = "each test binary uses its part of the shared server")]
mod server;
mod share;

use serde_json::{Value, json};

use http::Reply;
use server::Server;

const CONFIG: &str = r#"
[collect]
threads = 1
[ship]
interval = "1s"
[[site]]
id = "clinic"
hosts = ["clinic.example"]
[[site]]
id = "other"
hosts = ["other.example"]
"#;
const SETTINGS: &str = "/api/v1/settings";

/// Somebody who asks, with headers of their own.
struct Asker<'a> {
    server: &'a Server,
    headers: Vec<(&'static str, String)>,
}

// === impl Asker ===

impl<'a> Asker<'a> {
    /// A program with a new token of a role, for one site or for all.
    fn with_token(server: &'a Server, role: &str, site: Option<&str>) -> Asker<'a> {
        let name = format!("{role}-{}", site.unwrap_or("all"));
        let mut arguments = vec!["token", "create", "--name", &name, "--role", role];
        arguments.extend(site.iter().flat_map(|site| ["--site", site]));
        let made = server.command(&arguments);
        Asker::bearer(server, made["token"].as_str().expect("a token"))
    }

    fn bearer(server: &'a Server, token: &str) -> Asker<'a> {
        Asker { server, headers: vec![("Authorization", format!("Bearer {token}"))] }
    }

    /// Somebody who has an address with a secret in it.
    fn with_link(server: &'a Server, secret: &str) -> Asker<'a> {
        Asker { server, headers: vec![("X-Metka-Link", secret.to_owned())] }
    }

    /// The same with one header more.
    fn and(&self, name: &'static str, value: &str) -> Asker<'a> {
        let mut headers = self.headers.clone();
        headers.push((name, value.to_owned()));
        Asker { server: self.server, headers }
    }

    fn send(&self, method: &str, target: &str, body: &Value) -> Reply {
        let mut headers: Vec<(&str, &str)> =
            self.headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let body = match method {
            "GET" => String::new(),
            _ => {
                headers.push(("Content-Type", "application/json"));
                body.to_string()
            }
        };
        http::exchange(self.server.web, &http::request(method, target, &headers, body.as_bytes()))
    }

    fn get(&self, target: &str) -> Reply {
        self.send("GET", target, &Value::Null)
    }

    fn post(&self, target: &str, body: &Value) -> Reply {
        self.send("POST", target, body)
    }

    /// What may be read.
    fn seen(&self, target: &str) -> Value {
        let reply = self.get(target);
        assert_eq!(reply.status, 200, "{target}: {}", text(&reply));
        reply.json()
    }

    /// What may be done.
    fn done(&self, target: &str, body: &Value) -> Value {
        let reply = self.post(target, body);
        assert_eq!(reply.status, 200, "{target} {body}: {}", text(&reply));
        reply.json()
    }

    /// What may not, with its error.
    fn refused(&self, target: &str, body: &Value, status: u16) -> String {
        let reply = self.post(target, body);
        assert_eq!(reply.status, status, "{target} {body}: {}", text(&reply));
        reply.json()["error"].as_str().unwrap_or_default().to_owned()
    }

    /// Puts something beside the numbers of a site.
    fn put(&self, site: &str, thing: Value) -> Value {
        self.done(SETTINGS, &json!({ "site_id": site, "put": thing }))
    }
}

fn text(reply: &Reply) -> String {
    String::from_utf8_lossy(&reply.body).into_owned()
}

/// Actions and details of the last entries of the audit trail.
fn trail(server: &Server) -> Vec<(String, String)> {
    let listed = server.command(&["audit", "list", "--last", "1000"]);
    let entries = listed["entries"].as_array().expect("entries").iter();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    entries.map(|entry| (text(&entry["action"]), text(&entry["detail"]))).collect()
}
