//! The key ring, with the real binary: rotation and destruction under load, the
//! master key's places, rings that become one, memory that nobody looks into.
//!
//! `METKA_SOAK=1` makes more rotations under a longer load.

mod destroy;
#[path = "../support/http.rs"]
#[expect(dead_code, reason = "each test binary uses its part of the shared client")]
mod http;
mod master;
mod memory;
mod rotate;
#[path = "../support/server.rs"]
#[expect(dead_code, reason = "each test binary uses its part of the shared server")]
mod server;
mod sync;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use metka::config::Keys;
use metka::privacy::address::ClientIp;
use metka::privacy::keys::KeyRing;
use serde_json::Value;

use http::Reply;
use server::Server;

/// Who sends hits is told by the forwarding header of the test's own address.
const CONFIG: &str = r#"
[collect]
threads = 2
rate_limit_per_minute = 0
rate_limit_network_per_minute = 0
[ship]
interval = "200ms"
[[site]]
id = "clinic"
hosts = ["clinic.example"]
"#;
const PASSPHRASE: &str = "five words on a card";
/// Asked on the machine itself: elsewhere it needs a token.
const METRICS: &[u8] = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

/// A directory with a configuration, for a server and its commands.
struct Place {
    dir: tempfile::TempDir,
    environment: Vec<(String, String)>,
}

impl Place {
    fn new() -> Place {
        Place::with(CONFIG)
    }

    fn with(config: &str) -> Place {
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::write(dir.path().join("metka.toml"), config).expect("written");
        Place { dir, environment: Vec::new() }
    }

    /// The same with a variable for its server and its commands.
    fn and(mut self, name: &str, value: &str) -> Place {
        self.environment.retain(|(other, _)| other != name);
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn keys(&self) -> PathBuf {
        self.path().join("data/keys")
    }

    fn metka(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_metka"));
        command.current_dir(self.path()).envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    fn serve(&self) -> Server {
        let mut command = self.metka();
        command.args(["serve", "--config", "metka.toml"]);
        Server::start_by(command, self.path())
    }

    /// Runs a command of the binary with this text on its standard input.
    fn run(&self, arguments: &[&str], input: &str) -> Output {
        let mut child = self
            .metka()
            .args(arguments)
            .args(["--json", "--config", "metka.toml"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary runs");
        // A command that reads nothing may be gone already.
        let _ = child.stdin.take().expect("piped").write_all(input.as_bytes());
        child.wait_with_output().expect("it ends")
    }

    /// The same, which succeeds.
    fn done(&self, arguments: &[&str], input: &str) -> Value {
        let output = self.run(arguments, input);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).expect("JSON")
    }

    /// The same, which fails with this code; its error.
    fn refused(&self, arguments: &[&str], input: &str, code: i32) -> String {
        let output = self.run(arguments, input);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {text}");
        text
    }

    /// What `metka check` finds, whatever it thinks of storage.
    fn findings(&self) -> Vec<Value> {
        let output = self.run(&["check"], "");
        let checked: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        checked["findings"].as_array().expect("a list").clone()
    }

    /// What it finds of the keys, as text.
    fn checked_keys(&self) -> String {
        let keys = self.findings().into_iter().filter(|finding| finding["what"] == "keys");
        keys.map(|finding| finding["text"].as_str().expect("text").to_owned() + "\n").collect()
    }

    /// The ring, with its master key beside it.
    fn ring(&self) -> KeyRing {
        KeyRing::open(&Keys::in_dir(&self.keys())).expect("the ring opens")
    }

    /// The ids of a purpose's keys that exist, and of those that were destroyed.
    fn ids(&self, purpose: &str) -> (Vec<u64>, Vec<u64>) {
        let listed = self.done(&["keys", "list"], "");
        let keys = listed["keys"].as_array().expect("a list").iter().filter(|key| key["purpose"] == purpose);
        let (gone, kept): (Vec<&Value>, Vec<&Value>) = keys.partition(|key| key["destroyed"] != "");
        let ids = |keys: Vec<&Value>| keys.iter().map(|key| key["id"].as_u64().expect("an id")).collect();
        (ids(kept), ids(gone))
    }
}

/// One page view from an address, which is counted.
fn visit(server: &Server, address: &str, path: &str, cookie: &str) -> Reply {
    let target = format!("/pixel.gif?s=clinic&u=https://clinic.example{path}");
    let headers = [("Cookie", cookie), ("X-Forwarded-For", address)];
    let reply = http::exchange(server.collect, &http::get(&target, &headers));
    assert_eq!(reply.header("x-metka"), Some("ok"), "{path}");
    reply
}

/// The id of the key that signed a cookie.
fn kid(cookie: &str) -> u64 {
    cookie
        .split('.')
        .nth(1)
        .and_then(|kid| kid.parse().ok())
        .unwrap_or_else(|| panic!("no cookie: {cookie:?}"))
}

/// A counter of a server.
fn metric(server: &Server, name: &str) -> u64 {
    let reply = http::exchange(server.web, METRICS);
    let text = String::from_utf8_lossy(&reply.body).into_owned();
    let line = text.lines().find_map(|line| line.strip_prefix(&format!("{name} ")));
    line.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("no {name} in:\n{text}"))
}

/// An address as it is stored, and its key.
#[derive(Clone, PartialEq, Debug)]
struct Stored {
    path: String,
    visitor: u64,
    identity: String,
    ip: [u8; 16],
    key: u32,
}

/// Every row in storage.
fn stored(server: &Server) -> Vec<Stored> {
    let rows =
        server.rows("SELECT path, toString(visitor), toString(identity), hex(ip), ip_key FROM metka.hits");
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    let hex = |text: &str, at: usize| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).expect("hex");
    rows.iter()
        .map(|row| Stored {
            path: text(&row[0]),
            visitor: text(&row[1]).parse().expect("a hash"),
            identity: text(&row[2]),
            ip: std::array::from_fn(|at| hex(&text(&row[3]), at)),
            key: row[4].as_u64().expect("an id") as u32,
        })
        .collect()
}

fn address(text: &str) -> ClientIp {
    ClientIp::parse(text).expect("an address")
}

fn soak(in_ci: u64, in_soak: u64) -> u64 {
    if std::env::var_os("METKA_SOAK").is_some_and(|value| value == "1") { in_soak } else { in_ci }
}
