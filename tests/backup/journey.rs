//! From one machine to the next: nothing lost, nothing doubled, nobody brought back.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};

use metka::spool::{Subject, Tombstone, Tombstones};

use crate::server::{Server, wait_for};
use crate::{BATCH, Place, contains, file_of, files_below, send, visit};

/// How often each page was stored.
fn pages(server: &Server) -> BTreeMap<String, u64> {
    server
        .rows("SELECT path, count() FROM metka.hits GROUP BY path")
        .into_iter()
        .map(|row| (row[0].as_str().expect("a path").to_owned(), row[1].as_u64().expect("a count")))
        .collect()
}

/// Rows, and different (batch, row) among them.
fn identities(server: &Server) -> (u64, u64) {
    let rows = server.rows("SELECT count(), uniqExact(batch, row) FROM metka.hits");
    (rows[0][0].as_u64().expect("a count"), rows[0][1].as_u64().expect("a count"))
}

fn stored(server: &Server, rows: u64) {
    wait_for("storage to have the full batches", || {
        (server.command(&["status"])["sites"]["clinic"]["stored"] == rows).then_some(())
    });
}

/// Each of the numbers once, and nothing twice.
fn assert_each_once(server: &Server, numbers: u64, what: &str) -> (u64, u64) {
    let pages = pages(server);
    let lost = (0..numbers).filter(|number| !pages.contains_key(&format!("/hit/{number}"))).count() as u64;
    let doubled =
        pages.iter().filter(|(path, count)| path.starts_with("/hit/") && **count > 1).count() as u64;
    let (rows, distinct) = identities(server);
    println!("{what}: {numbers} hits were answered before, {rows} rows, {lost} lost, {doubled} doubled");
    assert_eq!((lost, doubled), (0, 0));
    assert_eq!(rows, distinct, "no (batch, row) is given twice");
    (rows, distinct)
}

#[test]
fn a_backup_without_a_server_holds_what_is_stored_and_what_waits_each_once() {
    let here = Place::new();
    let server = here.serve();
    send(&server, 0..3 * BATCH);
    stored(&server, 3 * BATCH);
    send(&server, 3 * BATCH..3 * BATCH + 30);
    server.kill();
    let waiting = here.done(&["spool", "stat"], "")["waiting"]["clinic"].as_u64().expect("a count");
    assert_eq!(waiting, 30, "the backup is of a spool that has something");
    let made = here.done(&["backup"], "");
    assert_eq!(made["rows"], 3 * BATCH, "{made}");
    let again = here.done(&["backup", "--verify", file_of(&made).to_str().expect("plain")], "");
    assert_eq!(again["rows"], made["rows"]);

    let there = here.bare_with_keys();
    let restored = there.done(&["restore", file_of(&made).to_str().expect("plain")], "");
    assert_eq!(restored["sent_rows"], 30, "{restored}");
    let server = there.serve();
    let (rows, _) = assert_each_once(&server, 3 * BATCH + 30, "restored offline");
    assert_eq!(rows, 3 * BATCH + 30);
    let counts = server.settled("clinic");
    assert_eq!(counts["stored"], rows, "{counts}");
    assert_eq!(counts["received"], rows, "{counts}");
    // And it goes on, with batches that are told apart from the old ones.
    send(&server, 3 * BATCH + 30..4 * BATCH + 30);
    stored(&server, 4 * BATCH + 30);
    let (rows, _) = assert_each_once(&server, 4 * BATCH + 30, "after the restore");
    assert_eq!(rows, 4 * BATCH + 30);
    assert_eq!(server.terminate().0, Some(0));
}

#[test]
fn a_batch_that_storage_has_and_the_spool_still_sends_is_found_and_not_doubled() {
    let here = Place::new();
    let server = here.serve();
    send(&server, 0..BATCH);
    stored(&server, BATCH);
    let checkpoint = here.data().join("spool/checkpoint");
    let earlier = std::fs::read(&checkpoint).expect("readable");
    send(&server, BATCH..3 * BATCH + 10);
    stored(&server, 3 * BATCH);
    server.kill();
    // As if the machine had failed between storage's answer and the acknowledgement.
    std::fs::write(&checkpoint, earlier).expect("written");
    let made = here.done(&["backup"], "");
    assert_eq!(made["rows"], 3 * BATCH, "{made}");
    let there = here.bare_with_keys();
    let restored = there.done(&["restore", file_of(&made).to_str().expect("plain")], "");
    assert_eq!(restored["found_batches"], 2, "{restored}");
    assert_eq!(restored["sent_rows"], 10, "{restored}");
    let server = there.serve();
    let (rows, _) = assert_each_once(&server, 3 * BATCH + 10, "2 batches were in both");
    assert_eq!(rows, 3 * BATCH + 10);
    let counts = server.settled("clinic");
    assert_eq!(counts["stored"], rows, "{counts}");
    server.kill();
}

#[test]
fn a_backup_beside_a_server_under_load_holds_every_hit_that_was_answered_before_it() {
    let here = Place::new();
    let server = here.serve();
    send(&server, 0..4 * BATCH + 20);
    stored(&server, 4 * BATCH);
    let stop = AtomicBool::new(false);
    let sent = AtomicU64::new(4 * BATCH + 20);
    let mut backups = 0;
    let (made, before) = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(SeqCst) {
                let number = sent.load(SeqCst);
                send(&server, number..number + 1);
                sent.store(number + 1, SeqCst);
            }
        });
        let mut last = None;
        for round in 0..3u64 {
            wait_for("some load", || (sent.load(SeqCst) >= 4 * BATCH + 20 + round * 70).then_some(()));
            let before = sent.load(SeqCst);
            last = Some((here.done(&["backup"], ""), before));
            backups += 1;
            assert!(sent.load(SeqCst) > before, "hits were answered while the backup was made");
        }
        stop.store(true, SeqCst);
        last.expect("three were made")
    });
    let leftovers = std::fs::read_dir(here.data().join("engine/backups")).expect("readable").count();
    assert_eq!(leftovers, 0, "the plain copy is gone");
    server.kill();

    let there = here.bare_with_keys();
    let restored = there.done(&["restore", file_of(&made).to_str().expect("plain")], "");
    println!("{backups} backups under load; the last restored: {restored}");
    let server = there.serve();
    let (rows, _) = assert_each_once(&server, before, "restored from under load");
    let counts = server.settled("clinic");
    assert_eq!(counts["stored"], rows, "{counts}");
    // As after a backup: hits of then and now are told apart.
    send(&server, 1_000_000..1_000_000 + BATCH);
    stored(&server, rows + BATCH);
    assert_each_once(&server, before, "and after it");
    server.kill();
}

#[test]
fn who_was_erased_after_the_backup_is_in_no_file_of_the_restored_directory() {
    const CANARY: &str = "/private/canary-3f9c77";
    let here = Place::new();
    let server = here.serve();
    // Stored and waiting, with the cookie and at its first offer.
    let cookie = visit(&server, CANARY, "").expect("a new visitor gets a cookie");
    for _ in 0..4 {
        visit(&server, CANARY, &cookie);
    }
    send(&server, 0..BATCH - 5);
    stored(&server, BATCH);
    let sql =
        format!("SELECT visitor FROM metka.hits WHERE path = '{CANARY}' AND identity = 'cookie' LIMIT 1");
    let visitor = server.rows(&sql)[0][0].as_u64().expect("a hash");
    for _ in 0..3 {
        visit(&server, CANARY, &cookie);
    }
    send(&server, BATCH..BATCH + 7);
    server.kill();
    let made = here.done(&["backup"], "");
    let archive = std::fs::read(file_of(&made)).expect("readable");
    assert!(!contains(&archive, CANARY.as_bytes()), "the archive is encrypted");
    let mut mine = Vec::new();
    files_below(&here.data(), &mut mine);
    assert!(
        mine.iter().any(|(_, bytes)| contains(bytes, CANARY.as_bytes())),
        "the search finds what is there"
    );

    // The erasure comes after the backup, and is known from the file beside it.
    let now = jiff_now();
    let mut tombstones = Tombstones::default();
    let subject = Subject::Visitor(visitor);
    tombstones.add(Tombstone { site: "clinic".to_owned(), subject, before_ms: now, made_ms: now });
    let beside = file_of(&made).parent().expect("a directory").join("tombstones");
    tombstones.write(&beside).expect("written");

    let there = here.bare_with_keys();
    let restored = there.done(&["restore", file_of(&made).to_str().expect("plain")], "");
    assert_eq!(restored["erased_rows"], 5, "what waited was left out, not sent and deleted: {restored}");
    let look = |when: &str| {
        let mut files = Vec::new();
        files_below(&there.data(), &mut files);
        let canary: Vec<_> = files
            .iter()
            .filter(|(_, bytes)| contains(bytes, CANARY.as_bytes()))
            .map(|(path, _)| path)
            .collect();
        let named: Vec<_> = files
            .iter()
            .filter(|(path, _)| path.to_string_lossy().contains("mutation_"))
            .filter(|(_, bytes)| contains(bytes, visitor.to_string().as_bytes()))
            .collect();
        println!("{when}: {} files searched, {} hold the erased page", files.len(), canary.len());
        assert!(canary.is_empty(), "{canary:?}");
        assert!(named.is_empty(), "a mutation names the subject");
        files.len()
    };
    assert!(look("after the restore") > 20);
    let server = there.serve();
    let counts = server.settled("clinic");
    assert_eq!(counts["waiting"], 0);
    assert!(!pages(&server).contains_key(CANARY));
    let (rows, distinct) = identities(&server);
    assert_eq!(rows, distinct);
    assert_eq!(rows, BATCH - 5 + 7, "the others are all there");
    assert_eq!(server.terminate().0, Some(0));
    look("after a start");
}

fn jiff_now() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    now.as_millis() as i64
}
