//! Keys of backups: exported, imported, destroyed.

use crate::server::wait_for;
use crate::{CONFIG, PASSPHRASE, Place, file_of, send};

#[test]
fn past_its_age_a_backup_loses_its_key_and_its_file_and_no_copy_can_be_read() {
    let here = Place::new();
    let server = here.serve();
    send(&server, 0..5);
    let made = here.done(&["backup"], "");
    let kept = here.done(&["backup"], "");
    server.kill();
    let copy = here.path().join("copy.backup");
    std::fs::copy(file_of(&made), &copy).expect("copied");
    // Forty days go by for the first: in the ring, and in the archive's own date.
    let listed = here.done(&["keys", "list"], "");
    let backups = |listed: &serde_json::Value| -> Vec<serde_json::Value> {
        let keys = listed["keys"].as_array().expect("a list");
        keys.iter().filter(|key| key["purpose"] == "backup").cloned().collect()
    };
    assert_eq!(backups(&listed).len(), 2, "{listed}");
    let created = backups(&listed)[0]["created"].as_str().expect("a date").to_owned();
    assert_eq!(backups(&listed)[0]["id"], made["key"]);
    let ring = here.data().join("keys/ring.toml");
    let text = std::fs::read_to_string(&ring).expect("readable");
    let old = (std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)).expect("after 1970");
    let old_ms = old.as_millis() as i64 - 40 * 86_400_000;
    let aged = text.replace(&created, &rfc3339(old_ms));
    assert_ne!(aged, text);
    std::fs::write(&ring, aged).expect("written");
    age_header(&file_of(&made), old_ms);

    let server = here.serve();
    wait_for("the key to be destroyed", || {
        let listed = here.done(&["keys", "list"], "");
        backups(&listed).iter().any(|key| key["destroyed"] != "").then_some(())
    });
    wait_for("its file to go", || (!file_of(&made).exists()).then_some(()));
    server.kill();
    let (made, kept) = (file_of(&made), file_of(&kept));
    println!("1 of 2 backups past its age: key destroyed, file gone; the other is read back");
    here.done(&["backup", "--verify", kept.to_str().expect("plain")], "");
    let error = here.refused(&["backup", "--verify", copy.to_str().expect("plain")], "", 1);
    assert!(error.contains("was destroyed on"), "{error}");
    let there = here.bare_with_keys();
    let error = there.refused(&["restore", copy.to_str().expect("plain")], "", 1);
    assert!(error.contains("was destroyed on") && error.contains("copy.backup"), "{error}");
    assert_eq!(there.names(), ["audit", "keys"]);
    assert!(!made.exists());
}

#[test]
fn what_a_killed_backup_left_is_gone_after_the_next_start() {
    let here = Place::new();
    let server = here.serve();
    send(&server, 0..5);
    let made = here.done(&["backup"], "");
    server.kill();
    let plain = here.data().join("engine/backups/7/data/metka/hits");
    std::fs::create_dir_all(&plain).expect("made");
    std::fs::write(plain.join("data.bin"), b"rows in the clear").expect("written");
    let unfinished = here.data().join("backups/metka-20260101T000000Z-7.backup.new");
    std::fs::write(&unfinished, b"x").expect("written");
    let server = here.serve();
    let left = std::fs::read_dir(here.data().join("engine/backups")).expect("readable").count();
    assert_eq!((left, unfinished.exists(), file_of(&made).exists()), (0, false, true));
    server.kill();
}

#[test]
fn an_exported_ring_opens_with_its_passphrase_only_and_replaces_none() {
    let here = Place::new();
    let server = here.serve();
    send(&server, 0..1);
    assert_eq!(server.terminate().0, Some(0));
    let file = here.path().join("keys.sealed");
    let file = file.to_str().expect("plain");
    for passphrase in ["", "short", "elevenchars\n"] {
        let error = here.refused(&["keys", "export", file, "--passphrase-stdin"], passphrase, 2);
        assert!(error.contains("at least 12 characters"), "{error}");
    }
    here.done(&["keys", "export", file, "--passphrase-stdin"], PASSPHRASE);
    let there = Place::new();
    let error = there.refused(&["keys", "import", file, "--passphrase-stdin"], "five words on a cart", 1);
    assert!(error.contains("passphrase is wrong"), "{error}");
    assert!(!there.data().join("keys/ring.toml").exists(), "nothing was written");
    there.done(&["keys", "import", file, "--passphrase-stdin"], PASSPHRASE);
    assert_eq!(here.plain_ring(), there.plain_ring(), "it is the same ring");
    let ring = |place: &Place| std::fs::read(place.data().join("keys/ring.toml")).expect("readable");
    assert_ne!(ring(&here), ring(&there), "under a master key of its own");
    let error = there.refused(&["keys", "import", file, "--passphrase-stdin"], PASSPHRASE, 1);
    assert!(error.contains("not overwritten"), "{error}");
}

#[test]
fn without_its_ring_or_with_an_outside_storage_nothing_is_made_or_restored() {
    let here = Place::new();
    let server = here.serve();
    send(&server, 0..1);
    let made = here.done(&["backup"], "");
    let file = file_of(&made);
    let file = file.to_str().expect("plain");
    let error = here.refused(&["restore", file], "", 1);
    assert!(error.contains("a server runs"), "{error}");
    server.kill();
    let bare = Place::new();
    let error = bare.refused(&["restore", file], "", 1);
    assert!(error.contains("metka keys import"), "{error}");
    // A ring that is not the backup's.
    let other = Place::new();
    let server = other.serve();
    server.kill();
    for name in other.names().iter().filter(|name| *name != "keys") {
        let path = other.data().join(name);
        let removed = if path.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) };
        removed.expect("removed");
    }
    let error = other.refused(&["restore", file], "", 1);
    assert!(error.contains("no such key"), "{error}");
    let outside = Place::with(&format!("{CONFIG}\n[storage]\nurl = \"http://127.0.0.1:1\"\n"));
    for command in [&["backup"][..], &["restore", file][..]] {
        let error = outside.refused(command, "", 2);
        assert!(error.contains("by its own BACKUP"), "{error}");
    }
}

/// Writes another date into an archive's header, with its checksum. (The archive
/// cannot be read any more: dates are bound to its contents.)
fn age_header(path: &std::path::Path, made_ms: i64) {
    let mut bytes = std::fs::read(path).expect("readable");
    bytes[16..24].copy_from_slice(&made_ms.to_le_bytes());
    let checksum = blake3::hash(&bytes[..48]);
    bytes[48..64].copy_from_slice(&checksum.as_bytes()[..16]);
    std::fs::write(path, bytes).expect("written");
}

fn rfc3339(milliseconds: i64) -> String {
    jiff::Timestamp::from_millisecond(milliseconds).expect("a time").to_string()
}
