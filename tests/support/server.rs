//! `metka serve` as a child process on a directory of its own, with ports that
//! the kernel chooses.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use metka::store::{Endpoint, Limits, Storage};
use serde_json::Value;

/// A test that waits so long has failed.
pub const PATIENCE: Duration = Duration::from_secs(120);
/// How often a condition is looked at.
const POLL: Duration = Duration::from_millis(20);

/// A running server.
pub struct Server {
    pub child: Child,
    pub dir: PathBuf,
    pub collect: SocketAddr,
    pub web: SocketAddr,
    /// What it has written to standard error so far.
    pub log: Arc<Mutex<String>>,
    /// The same of standard output.
    pub out: Arc<Mutex<String>>,
}

/// Waits until `condition` gives something.
pub fn wait_for<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(started.elapsed() < PATIENCE, "waited {} s for {what}", PATIENCE.as_secs());
        #[expect(clippy::disallowed_methods, reason = "the pause between two looks at a condition")]
        std::thread::sleep(POLL);
    }
}

// === impl Server ===

impl Server {
    /// Starts `metka serve` in `dir`, whose `metka.toml` the caller wrote, and
    /// waits until it has printed its addresses.
    pub fn start(dir: &Path, arguments: &[&str]) -> Server {
        let mut command = Command::new(env!("CARGO_BIN_EXE_metka"));
        command.args(["serve", "--config", "metka.toml"]).args(arguments);
        Server::start_by(command, dir)
    }

    /// The same by a command of the caller's, which may have an environment of
    /// its own, or be another program that runs the server in its place.
    pub fn start_by(mut command: Command, dir: &Path) -> Server {
        let mut child = command
            .current_dir(dir)
            .env("METKA_COLLECT__LISTEN", "127.0.0.1:0")
            .env("METKA_WEB__LISTEN", "127.0.0.1:0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary runs");
        let log = Arc::new(Mutex::new(String::new()));
        let stderr = BufReader::new(child.stderr.take().expect("piped"));
        let sink = log.clone();
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                let mut log = sink.lock().expect("no panic holds this lock");
                log.push_str(&line);
                log.push('\n');
            }
        });
        let mut stdout = BufReader::new(child.stdout.take().expect("piped"));
        let out = Arc::new(Mutex::new(String::new()));
        let mut address = |name: &str| {
            let mut line = String::new();
            stdout.read_line(&mut line).expect("readable");
            out.lock().expect("no panic holds this lock").push_str(&line);
            let url = line.strip_prefix(name).unwrap_or_else(|| {
                panic!("expected a line with {name}, found {line:?}; log:\n{}", log.lock().expect("free"))
            });
            url.trim()
                .trim_start_matches("http://")
                .trim_start_matches("https://")
                .trim_end_matches('/')
                .parse()
                .expect("an address")
        };
        let web = address("dashboard");
        let collect = address("collector");
        // The pipe must not fill up.
        let rest = out.clone();
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                let mut out = rest.lock().expect("no panic holds this lock");
                out.push_str(&line);
                out.push('\n');
            }
        });
        Server { child, dir: dir.to_owned(), collect, web, log, out }
    }

    /// Where the data is.
    pub fn data(&self) -> PathBuf {
        self.dir.join("data")
    }

    /// `kill -9`, and the process is gone.
    pub fn kill(mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it ends");
    }

    /// `SIGTERM`; returns the exit code and the whole log.
    pub fn terminate(mut self) -> (Option<i32>, String) {
        self.signal(rustix::process::Signal::TERM);
        let status = wait_for("the server to end", || self.child.try_wait().expect("a child of ours"));
        let log = self.log.lock().expect("free").clone();
        (status.code(), log)
    }

    pub fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).expect("it runs");
    }

    /// Runs a command of the binary beside the server.
    pub fn command(&self, arguments: &[&str]) -> Value {
        let output = Command::new(env!("CARGO_BIN_EXE_metka"))
            .args(arguments)
            .args(["--json", "--config", "metka.toml"])
            .current_dir(&self.dir)
            .output()
            .expect("the binary runs");
        assert!(
            output.status.success(),
            "{arguments:?}: {}\n{}",
            String::from_utf8_lossy(&output.stderr),
            self.log.lock().expect("free")
        );
        serde_json::from_slice(&output.stdout).expect("JSON")
    }

    /// Waits until storage has everything, as long as it goes on taking hits, and
    /// returns the counts of a site.
    pub fn settled(&self, site: &str) -> Value {
        let mut stored = 0;
        loop {
            let (done, counts) = wait_for("storage to take hits", || {
                let counts = self.command(&["status"])["sites"][site].clone();
                let done = counts["waiting"] == 0 && counts["in_flight"] == 0;
                (done || counts["stored"].as_u64() > Some(stored)).then_some((done, counts))
            });
            if done {
                return counts;
            }
            stored = counts["stored"].as_u64().expect("a number");
        }
    }

    /// The engine behind the server.
    pub fn storage(&self) -> Storage {
        let secret = wait_for("the engine's secret", || {
            std::fs::read_to_string(self.data().join("engine/secret")).ok()
        });
        let endpoint =
            Endpoint::Unix { path: self.data().join("engine.sock"), secret: secret.trim().to_owned() };
        Storage::new(&endpoint, "metka")
    }

    /// Rows of a question put to the engine itself.
    pub fn rows(&self, sql: &str) -> Vec<Vec<Value>> {
        let storage = self.storage();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let limits = Limits { result_rows: 10_000_000, ..Limits::default() };
        wait_for("the engine to answer", || {
            runtime.block_on(storage.json(sql, &[], &limits)).ok().map(|rows| rows.to_vec())
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!(
                "the server had printed:\n{}",
                self.out.lock().map(|out| out.clone()).unwrap_or_default()
            );
        }
        // Ended by the test already, or the test failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
