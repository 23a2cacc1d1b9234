//! Backup and restore, with the real binary and the real engine.

mod damage;
mod end;
mod erase;
#[path = "../support/http.rs"]
#[expect(dead_code, reason = "each test binary uses its part of the shared client")]
mod http;
mod journey;
#[path = "../support/place.rs"]
mod place;
#[path = "../support/server.rs"]
#[expect(dead_code, reason = "each test binary uses its part of the shared server")]
mod server;
#[path = "../support/storage.rs"]
mod storage;

use std::path::PathBuf;

use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{ChaCha20Poly1305, KeyInit, Nonce};

use place::{Place, contains, files_below};
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

impl Place {
    fn new() -> Place {
        Place::with(CONFIG)
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
