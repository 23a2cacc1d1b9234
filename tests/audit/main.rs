//! The audit trail: tampering of every sort is found, a crash at every point is
//! mended, processes that append at once leave one chain, and the commands say so.

mod commands;
mod crash;
mod expiry;
#[path = "../support/http.rs"]
#[expect(dead_code, reason = "each test binary uses its part of the shared client")]
mod http;
#[path = "../support/random.rs"]
#[expect(dead_code, reason = "each test binary uses its part of the generator")]
mod random;
#[path = "../support/server.rs"]
#[expect(dead_code, reason = "each test binary uses its part of the shared server")]
mod server;
mod tamper;

use std::collections::BTreeMap;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use metka::audit::{Action, Actor, Anchor, Entry, Purpose, Subject, Trail};
use metka::config::Keys;
use metka::privacy::keys::KeyRing;

/// A data directory with a key ring.
struct Place(tempfile::TempDir);

/// The trail's files that count, by name.
type Files = BTreeMap<String, Vec<u8>>;

// === impl Place ===

impl Place {
    fn new() -> Place {
        Place(tempfile::tempdir().expect("a directory"))
    }

    /// A trail as another process would open it.
    fn trail(&self) -> Trail {
        let keys = KeyRing::open(&Keys::in_dir(&self.0.path().join("keys"))).expect("the ring opens");
        Trail::open(self.0.path(), Arc::new(keys))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join("audit").join(name)
    }

    fn files(&self) -> Files {
        let Ok(listed) = std::fs::read_dir(self.path("")) else { return Files::new() };
        listed
            .map(|entry| entry.expect("readable"))
            .map(|entry| (entry.file_name().into_string().expect("text"), entry.path()))
            .filter(|(name, _)| name != "lock")
            .map(|(name, path)| (name, std::fs::read(path).expect("readable")))
            .collect()
    }

    /// Makes the files what `files` says, where `before` is what they are.
    fn put(&self, before: &Files, files: &Files) {
        for name in before.keys().filter(|name| !files.contains_key(*name)) {
            std::fs::remove_file(self.path(name)).expect("removed");
        }
        for (name, bytes) in files.iter().filter(|(name, bytes)| before.get(*name) != Some(bytes)) {
            let mut options = std::fs::OpenOptions::new();
            let file = options.write(true).create(true).truncate(true).mode(0o600).open(self.path(name));
            std::io::Write::write_all(&mut file.expect("made"), bytes).expect("written");
        }
    }
}

fn instant(text: &str) -> Timestamp {
    text.parse().expect("an instant")
}

/// The entry of a number: of all shapes, one each twelve hours.
fn entry(number: i64) -> Entry {
    let at = instant("2026-01-05T00:00:00Z") + jiff::SignedDuration::from_hours(12 * number);
    match number % 4 {
        0 => Entry::new(at, Actor::Person("olga".to_owned()), Action::SignIn),
        1 => Entry::new(at, Actor::Command("root".to_owned()), Action::AddressOpened)
            .site("clinic")
            .subject(Subject::hash(number as u64))
            .purpose(Purpose::Fraud, Some("a payment is contested")),
        2 => Entry::new(at, Actor::Visitor, Action::SignInFailed).detail(format!("failures: {number}")),
        _ => Entry::new(
            at,
            Actor::Token { id: "1f0c2a9b".to_owned(), name: "grafana".to_owned() },
            Action::StatisticsExported,
        ),
    }
}

/// Appends the entries of these numbers.
fn fill(trail: &Trail, numbers: std::ops::RangeInclusive<i64>) -> Anchor {
    let mut anchor = trail.anchor().expect("readable");
    for number in numbers {
        anchor = trail.append(&entry(number)).expect("written");
        assert_eq!(anchor.number, number as u64);
    }
    anchor
}
