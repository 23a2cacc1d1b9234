//! Backup and restore, with the real binary and the real engine.

mod damage;
mod end;
mod erase;
#[path = "../support/http.rs"]
#[expect(dead_code, reason = "each test binary uses its part of the shared client")]
mod http;
mod journey;
#[path = "../support/server.rs"]
#[expect(dead_code, reason = "each test binary uses its part of the shared server")]
mod server;
#[path = "../support/storage.rs"]
mod storage;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{ChaCha20Poly1305, KeyInit, Nonce};

use server::Server;

/// One spool, and batches that are sealed by their rows only: what is sent beyond a
/// multiple of [`BATCH`] waits in the spool for sure.
const CONFIG: &str = r#"
[collect]
threads = 1
rate_limit_per_minute = 0
rate_limit_network_per_minute = 0
[ship]
interval = "600s"
batch_rows = 50
[[site]]
id = "clinic"
hosts = ["clinic.example"]
"#;
const BATCH: u64 = 50;
const PASSPHRASE: &str = "five words on a card";

/// A directory with a configuration, for a server and its commands.
struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    fn new() -> Place {
        Place::with(CONFIG)
    }

    fn with(config: &str) -> Place {
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::write(dir.path().join("metka.toml"), config).expect("written");
        Place { dir }
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn data(&self) -> PathBuf {
        self.path().join("data")
    }

    fn serve(&self) -> Server {
        Server::start(self.path(), &[])
    }

    /// Runs a command of the binary with this text on its standard input.
    fn run(&self, arguments: &[&str], input: &str) -> Output {
        let mut child = Command::new(env!("CARGO_BIN_EXE_metka"))
            .args(arguments)
            .args(["--json", "--config", "metka.toml"])
            .current_dir(self.path())
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
    fn done(&self, arguments: &[&str], input: &str) -> serde_json::Value {
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

    /// Another place, bare but for this one's keys, which came as an exported file.
    fn bare_with_keys(&self) -> Place {
        let other = Place::new();
        let file = other.path().join("keys.sealed");
        let file = file.to_str().expect("a plain path");
        self.done(&["keys", "export", file, "--passphrase-stdin"], PASSPHRASE);
        other.done(&["keys", "import", file, "--passphrase-stdin"], PASSPHRASE);
        other
    }

    /// The ring's text with its keys plain: what an export seals, opened as
    /// docs/backup.md says.
    fn plain_ring(&self) -> String {
        let file = self.path().join("plain.sealed");
        self.done(&["keys", "export", file.to_str().expect("plain"), "--passphrase-stdin"], PASSPHRASE);
        let sealed = std::fs::read(&file).expect("readable");
        std::fs::remove_file(&file).expect("removed");
        let (header, sealed) = sealed.split_at(38);
        let number = |at: usize| u32::from_le_bytes(header[at..at + 4].try_into().expect("four bytes"));
        let cost = argon2::Params::new(number(10), number(14), number(18), Some(32)).expect("costs");
        let mut key = [0; 32];
        argon2::Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, cost)
            .hash_password_into(PASSPHRASE.as_bytes(), &header[22..], &mut key)
            .expect("a key");
        let payload = Payload { msg: sealed, aad: header };
        let text = ChaCha20Poly1305::new(&key.into()).decrypt(&Nonce::default(), payload).expect("it opens");
        String::from_utf8(text).expect("text")
    }

    /// The names in the data directory.
    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(self.data())
            .map(|all| all.map(|entry| entry.expect("readable").file_name().to_string_lossy().into_owned()))
            .into_iter()
            .flatten()
            .collect();
        names.sort();
        names
    }
}

/// Sends page views of these numbers, each answered.
fn send(server: &Server, numbers: std::ops::Range<u64>) {
    for number in numbers {
        visit(server, &format!("/hit/{number}"), "");
    }
}

/// One page view; the cookie that the answer sets.
fn visit(server: &Server, path: &str, cookie: &str) -> Option<String> {
    let target = format!("/pixel.gif?s=clinic&u=https://clinic.example{path}");
    let reply = http::exchange(server.collect, &http::get(&target, &[("Cookie", cookie)]));
    assert_eq!(reply.header("x-metka"), Some("ok"), "{path}");
    reply.cookie("metka")
}

/// The path in a command's answer.
fn file_of(made: &serde_json::Value) -> PathBuf {
    PathBuf::from(made["file"].as_str().expect("a file"))
}

/// Every file below a directory with its contents.
fn files_below(dir: &Path, found: &mut Vec<(PathBuf, Vec<u8>)>) {
    for entry in std::fs::read_dir(dir).expect("readable") {
        let path = entry.expect("readable").path();
        if path.is_dir() {
            files_below(&path, found);
        } else if path.is_file() {
            let contents = std::fs::read(&path).expect("readable");
            found.push((path, contents));
        }
    }
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    let first = needle[0];
    haystack.iter().enumerate().any(|(at, byte)| *byte == first && haystack[at..].starts_with(needle))
}
