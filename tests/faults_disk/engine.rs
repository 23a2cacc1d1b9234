//! `metka engine` on a port of its own: the outside ClickHouse of a server,
//! which can be absent, stand still, and come back.

use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use metka::store::{Endpoint, Limits, Storage};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::server::wait_for;

/// An engine that runs; killed when dropped.
pub struct Engine {
    child: Child,
    dir: PathBuf,
    port: u16,
}

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("bound").port()
}

// === impl Engine ===

impl Engine {
    /// Starts it on its data directory and waits until it answers.
    pub fn start(dir: &Path, port: u16) -> Engine {
        let mut child = Command::new(env!("CARGO_BIN_EXE_metka"))
            .args(["engine", "--listen", &format!("127.0.0.1:{port}"), "--data"])
            .arg(dir)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the binary runs");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("readable");
        assert!(line.starts_with('{'), "the engine is not ready: {line:?}");
        Engine { child, dir: dir.to_owned(), port }
    }

    /// `[storage]` for a server that uses it; the same after a restart.
    pub fn section(&self) -> String {
        let secret = self.dir.join("engine/secret");
        format!(
            "[storage]\nurl = \"http://127.0.0.1:{}\"\npassword_file = \"{}\"",
            self.port,
            secret.display()
        )
    }

    /// It stands still: connections open, and nobody answers.
    pub fn stop(&self) {
        kill_process(Pid::from_child(&self.child), Signal::STOP).expect("it runs");
    }

    pub fn go_on(&self) {
        kill_process(Pid::from_child(&self.child), Signal::CONT).expect("it runs");
    }

    /// Rows of a question.
    pub fn rows(&self, sql: &str) -> Vec<Vec<Value>> {
        let secret = std::fs::read_to_string(self.dir.join("engine/secret")).expect("made at the start");
        let endpoint = Endpoint::Http {
            url: format!("http://127.0.0.1:{}", self.port),
            user: "default".to_owned(),
            password: secret.trim().to_owned(),
        };
        let storage = Storage::new(&endpoint, "metka");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let limits = Limits { result_rows: 10_000_000, ..Limits::default() };
        wait_for("the engine to answer", || {
            runtime.block_on(storage.json(sql, &[], &limits)).ok().map(|rows| rows.to_vec())
        })
    }

    /// How often each numbered hit is in the table.
    pub fn stored(&self) -> HashMap<u64, u64> {
        numbered(self.rows(HITS))
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // A process that stands still is killed all the same.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The numbers of the hits of [`crate::load`], and how often each is stored.
pub const HITS: &str =
    "SELECT extract(path, '^/hit/([0-9]+)') AS n, count() FROM metka.hits WHERE site = 'clinic' GROUP BY n";

/// The answer to [`HITS`].
pub fn numbered(rows: Vec<Vec<Value>>) -> HashMap<u64, u64> {
    rows.iter().map(|row| (number(&row[0]), number(&row[1]))).collect()
}

/// A number, which ClickHouse may write as text.
pub fn number(value: &Value) -> u64 {
    value.as_u64().or_else(|| value.as_str()?.parse().ok()).unwrap_or_else(|| panic!("not a number: {value}"))
}
