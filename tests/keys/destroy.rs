//! `metka keys destroy`: what a destroyed key made is refused or unreadable, everywhere.

use std::path::Path;

use crate::server::{Server, wait_for};
use crate::{CONFIG, PASSPHRASE, Place, Stored, address, kid, metric, stored, visit};

/// Batches are sealed by their rows only: what is sent beyond a multiple of
/// [`BATCH`] waits in the spool for sure.
const BATCH: u64 = 50;
const WAITING: u64 = 7;

fn slow() -> String {
    CONFIG
        .replace("threads = 2", "threads = 1")
        .replace("interval = \"200ms\"", "interval = \"600s\"\nbatch_rows = 50")
}

fn address_of(number: u64) -> String {
    format!("198.51.100.{}", number + 1)
}

fn number_of(row: &Stored) -> u64 {
    row.path.rsplit('/').next().and_then(|text| text.parse().ok()).expect("a number")
}

/// How many of the rows' addresses this ring can read.
fn readable(place: &Place, rows: &[Stored]) -> usize {
    let ring = place.ring();
    let is_read = |row: &&Stored| ring.reveal(row.ip, row.key) == Some(address(&address_of(number_of(row))));
    rows.iter().filter(is_read).count()
}

/// How many of the addresses, as this key stored them, are in files of the directory.
fn found_in_files(dir: &Path, needles: &[[u8; 16]]) -> usize {
    let (mut files, mut dirs) = (Vec::new(), vec![dir.to_owned()]);
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(dir).expect("readable").flatten() {
            let path = entry.path();
            if path.is_dir() { dirs.push(path) } else { files.push(std::fs::read(path).unwrap_or_default()) }
        }
    }
    let holds = |needle: &[u8; 16]| files.iter().any(|file| file.windows(16).any(|window| window == needle));
    needles.iter().filter(|needle| holds(needle)).count()
}

fn wait_stored(server: &Server, rows: u64) {
    wait_for("storage to have the full batches", || {
        (server.command(&["status"])["sites"]["clinic"]["stored"] == rows).then_some(())
    });
}

#[test]
fn a_months_addresses_are_unreadable_in_table_spool_and_backup_once_its_key_is_destroyed() {
    let place = Place::with(&slow());
    let server = place.serve();
    // Another collector that shares the ring, and is not told of anything.
    let keys_dir = place.keys();
    let neighbour = Place::with(&slow()).and("METKA_KEYS__DIR", keys_dir.to_str().expect("plain"));
    let neighbour_server = neighbour.serve();
    for number in 0..BATCH + WAITING {
        visit(&server, &address_of(number), &format!("/hit/{number}"), "");
    }
    wait_stored(&server, BATCH);
    for number in 0..BATCH {
        visit(&neighbour_server, &address_of(number), &format!("/hit/{number}"), "");
    }
    wait_stored(&neighbour_server, BATCH);
    let backup = place.done(&["backup"], "");
    let backup = backup["file"].as_str().expect("a file").to_owned();
    let exported = place.path().join("before.keys");
    let exported = exported.to_str().expect("plain");
    place.done(&["keys", "export", exported, "--passphrase-stdin"], PASSPHRASE);

    // Before: all can be read, those in the spool too.
    let (mine, theirs) = (stored(&server), stored(&neighbour_server));
    assert_eq!((mine.len() as u64, theirs.len() as u64), (BATCH, BATCH));
    let id = mine[0].key;
    assert!(mine.iter().chain(&theirs).all(|row| row.key == id), "one month, one key, both collectors");
    assert_eq!((readable(&place, &mine), readable(&place, &theirs)), (mine.len(), theirs.len()));
    let month = id / 10_000 * 12 + id / 100 % 100;
    let how = metka::config::IpStorage::Encrypted;
    let in_spool: Vec<Stored> = (BATCH..BATCH + WAITING)
        .map(|number| {
            let (ip, key) = place.ring().protect(&address(&address_of(number)), how, month);
            Stored { path: format!("/hit/{number}"), visitor: 0, identity: String::new(), ip, key }
        })
        .collect();
    let needles: Vec<[u8; 16]> = in_spool.iter().map(|row| row.ip).collect();
    let spool = server.data().join("spool");
    assert_eq!(found_in_files(&spool, &needles), WAITING as usize, "the spool holds what is looked for");
    assert_eq!(readable(&place, &in_spool), WAITING as usize);

    let destroyed = place.done(&["keys", "destroy", "ip", &id.to_string()], "");
    assert!(destroyed["destroyed"].as_str().is_some_and(|at| at.contains('T')), "{destroyed}");
    let error = place.refused(&["keys", "destroy", "ip", &id.to_string()], "", 1);
    assert!(error.contains("was destroyed on"), "{error}");

    // The table, and what waits in the spool.
    assert_eq!(readable(&place, &mine) + readable(&place, &theirs) + readable(&place, &in_spool), 0);
    assert!(
        !std::fs::read_to_string(keys_dir.join("ring.toml"))
            .expect("readable")
            .contains(&format!("id = {id}\ncreated"))
    );
    // The server has followed: what comes now, from the same addresses, is under another key.
    let again = BATCH - WAITING;
    for number in 0..again {
        visit(&server, &address_of(number), &format!("/again/{number}"), "");
    }
    wait_stored(&server, 2 * BATCH);
    let rows = stored(&server);
    let (new, old): (Vec<Stored>, Vec<Stored>) =
        rows.into_iter().partition(|row| row.path.starts_with("/again/"));
    assert_eq!((new.len() as u64, old.len() as u64), (again, BATCH + WAITING));
    assert!(new.iter().all(|row| row.key == id + 1) && old.iter().all(|row| row.key == id));
    assert_eq!((readable(&place, &new), readable(&place, &old)), (new.len(), 0));
    // The neighbour follows by itself.
    let mut number = 0;
    wait_for("the neighbour to follow", || {
        visit(&neighbour_server, &address_of(number % 200), &format!("/later/{number}"), "");
        number += 1;
        let full = BATCH + number / BATCH * BATCH;
        let rows = stored(&neighbour_server);
        (rows.len() as u64 == full && rows.iter().any(|row| row.key > id)).then_some(())
    });
    let old: Vec<Stored> = stored(&neighbour_server).into_iter().filter(|row| row.key == id).collect();
    assert_eq!(readable(&place, &old), 0);
    println!(
        "before: {} addresses in two tables and {WAITING} in the spool were readable; after: 0 of {}; \
         {} new ones under key {}",
        mine.len() + theirs.len(),
        mine.len() + theirs.len() + in_spool.len() + old.len(),
        new.len(),
        id + 1
    );
    assert_eq!(neighbour_server.terminate().0, Some(0));
    assert_eq!(server.terminate().0, Some(0));

    // A backup from before, restored with the ring of now.
    let after = place.path().join("after.keys");
    let after = after.to_str().expect("plain");
    place.done(&["keys", "export", after, "--passphrase-stdin"], PASSPHRASE);
    let there = Place::with(&slow());
    there.done(&["keys", "import", after, "--passphrase-stdin"], PASSPHRASE);
    let restored = there.done(&["restore", &backup], "");
    assert_eq!(restored["sent_rows"], WAITING, "{restored}");
    let server = there.serve();
    let rows = stored(&server);
    assert_eq!(rows.len() as u64, BATCH + WAITING);
    assert_eq!(readable(&there, &rows), 0);
    assert_eq!(server.terminate().0, Some(0));

    // An export from before has the key still: a sync with the ring of now destroys it there.
    let old = Place::with(&slow());
    old.done(&["keys", "import", exported, "--passphrase-stdin"], PASSPHRASE);
    assert_eq!(readable(&old, &rows), rows.len(), "that is what an old export is");
    old.done(&["keys", "sync", "--from", keys_dir.to_str().expect("plain")], "");
    assert_eq!(readable(&old, &rows), 0);
    // And nothing brings it back here.
    let done = place.done(&["keys", "sync", "--from", exported, "--passphrase-stdin"], PASSPHRASE);
    assert_eq!(done["added"], 0, "{done}");
    assert_eq!(readable(&place, &rows), 0);
    println!(
        "restored from before: 0 of {} addresses readable; an old export does not bring the key back",
        rows.len()
    );
}

#[test]
fn a_compromised_cookie_key_is_refused_at_once_counted_and_its_cookies_replaced() {
    let place = Place::new();
    let server = place.serve();
    let old = visit(&server, "192.0.2.1", "/a", "").cookie("metka").expect("a cookie");
    assert_eq!(visit(&server, "192.0.2.1", "/b", &old).cookie("metka"), None);
    // Whoever has the key makes cookies as good as the server's.
    let today = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date();
    let forged = format!("metka={}", place.ring().sign_cookie([9; 16], today));
    assert_eq!(
        visit(&server, "192.0.2.9", "/forged", &forged).cookie("metka"),
        None,
        "it is accepted so far"
    );
    // Retired it still verifies, destroyed it does not.
    place.done(&["keys", "rotate", "cookie"], "");
    assert_eq!(visit(&server, "192.0.2.1", "/c", &old).cookie("metka"), None);
    let current = visit(&server, "192.0.2.2", "/d", "").cookie("metka").expect("a cookie");
    assert_eq!(metric(&server, "metka_cookies_refused_total"), 0);

    place.done(&["keys", "destroy", "cookie", "1"], "");
    let mut replaced = 0;
    for (address, cookie) in [("192.0.2.1", &old), ("192.0.2.9", &forged)] {
        let new = visit(&server, address, "/e", cookie).cookie("metka").expect("it is replaced");
        assert_eq!(kid(&new), 2);
        assert_eq!(visit(&server, address, "/f", &new).cookie("metka"), None, "the new one is accepted");
        replaced += 1;
        assert_eq!(metric(&server, "metka_cookies_refused_total"), replaced);
    }
    assert_eq!(
        visit(&server, "192.0.2.2", "/g", &current).cookie("metka"),
        None,
        "another key's cookie stays"
    );
    // The one that signs: another takes its place.
    place.done(&["keys", "destroy", "cookie", "2"], "");
    let new = visit(&server, "192.0.2.2", "/h", &current).cookie("metka").expect("it is replaced");
    assert_eq!(kid(&new), 3);
    let refused = metric(&server, "metka_cookies_refused_total");
    assert_eq!(refused, replaced + 1);
    assert_eq!(place.ids("cookie"), (vec![3], vec![1, 2]));
    // The user of a wrong purpose or id learns it.
    assert!(place.refused(&["keys", "destroy", "visitor", "1"], "", 2).contains("visitor"));
    assert!(place.refused(&["keys", "destroy", "cookie", "7"], "", 1).contains("key 7"));
    let counts = server.settled("clinic");
    println!(
        "2 cookie keys destroyed: {refused} cookies refused and replaced, {} hits stored",
        counts["stored"]
    );
    assert_eq!(counts["stored"], counts["received"]);
    assert_eq!(server.terminate().0, Some(0));
}
