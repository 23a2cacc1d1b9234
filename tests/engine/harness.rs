//! Starts engines and speaks HTTP/1.1 to them without a client library, so
//! that broken answers can be seen as they are.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Generous: the machine may be busy with other tests.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A running engine; killed when dropped.
pub struct Engine {
    pub child: Child,
    pub data: PathBuf,
    pub listen: String,
    pub secret: String,
}

/// An answer as it came.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// The body ended as HTTP says it must.
    pub complete: bool,
}

/// Waits until `condition` gives a value.
#[expect(clippy::disallowed_methods, reason = "this is the helper that polls")]
pub fn wait<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(begun.elapsed() < PATIENCE, "{what} did not happen");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// `metka engine` on a directory, not started yet.
pub fn command(data: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_metka"));
    command.arg("engine").arg("--data").arg(data).stdin(Stdio::null()).stdout(Stdio::piped());
    command
}

impl Engine {
    pub fn start(data: &Path) -> Engine {
        Engine::start_with(data, &[])
    }

    pub fn start_tcp(data: &Path) -> Engine {
        Engine::start_with(data, &["--listen", "127.0.0.1:0"])
    }

    pub fn start_with(data: &Path, arguments: &[&str]) -> Engine {
        let mut child = command(data).args(arguments).spawn().expect("the binary starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let ready: serde_json::Value =
            serde_json::from_str(&line).unwrap_or_else(|_| panic!("not ready: {line:?}"));
        Engine {
            child,
            data: data.to_owned(),
            listen: ready["listen"].as_str().unwrap().to_owned(),
            secret: std::fs::read_to_string(data.join("engine/secret")).unwrap(),
        }
    }

    /// A statement as POST; panics unless it succeeds.
    pub fn query(&self, sql: &str) -> String {
        let answer = self.post("/", sql.as_bytes());
        assert_eq!(answer.status, 200, "{sql}: {}", answer.text());
        assert!(answer.complete, "{sql}");
        answer.text()
    }

    /// A POST with the secret.
    pub fn post(&self, target: &str, body: &[u8]) -> Answer {
        self.send("POST", target, &[("X-ClickHouse-Key", &self.secret)], body)
    }

    /// Any request.
    pub fn send(&self, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut head = format!("{method} {target} HTTP/1.1\r\nHost: engine\r\nConnection: close\r\n");
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if method == "POST" {
            head.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        head.push_str("\r\n");
        let mut bytes = head.into_bytes();
        bytes.extend_from_slice(body);
        Answer::parse(&self.exchange(&bytes))
    }

    /// Sends bytes and reads until the other side closes.
    pub fn exchange(&self, bytes: &[u8]) -> Vec<u8> {
        fn both(mut stream: impl Read + Write, bytes: &[u8]) -> Vec<u8> {
            // An early answer may close the other direction: what was read counts.
            let _ = stream.write_all(bytes);
            let mut answer = Vec::new();
            let _ = stream.read_to_end(&mut answer);
            answer
        }
        match self.listen.strip_prefix("unix:") {
            Some(path) => both(UnixStream::connect(path).unwrap(), bytes),
            None => both(TcpStream::connect(self.listen.strip_prefix("http://").unwrap()).unwrap(), bytes),
        }
    }

    /// kill -9.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM, and the exit code.
    pub fn terminate(mut self) -> Option<i32> {
        signal(self.child.id(), rustix::process::Signal::TERM);
        self.child.wait().unwrap().code()
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends a signal to a process that the test started.
pub fn signal(pid: u32, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_raw(pid.cast_signed()).unwrap();
    rustix::process::kill_process(pid, signal).unwrap();
}

impl Answer {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// Code and status of an exception.
    pub fn exception(&self) -> (Option<&str>, u16) {
        (self.header("x-clickhouse-exception-code"), self.status)
    }

    fn parse(bytes: &[u8]) -> Answer {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").unwrap_or_else(|| {
            panic!("no head in {:?}", String::from_utf8_lossy(bytes));
        });
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers: Vec<(String, String)> = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        let mut rest = &bytes[end + 4..];
        let mut answer = Answer { status, headers, body: Vec::new(), complete: false };
        if answer.header("transfer-encoding") == Some("chunked") {
            while let Some(line) = rest.windows(2).position(|two| two == b"\r\n") {
                let size = usize::from_str_radix(std::str::from_utf8(&rest[..line]).unwrap(), 16).unwrap();
                rest = &rest[line + 2..];
                if size == 0 {
                    answer.complete = true;
                    break;
                }
                answer.body.extend_from_slice(&rest[..size.min(rest.len())]);
                rest = rest.get(size + 2..).unwrap_or_default();
            }
        } else {
            answer.body = rest.to_vec();
            answer.complete =
                answer.header("content-length").and_then(|length| length.parse().ok()) == Some(rest.len());
        }
        answer
    }
}
