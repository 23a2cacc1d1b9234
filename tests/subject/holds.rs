//! Held for a claim: kept past every term, and counted as before.

use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use metka::config::Durability;
use metka::count::Counters;
use metka::spool;
use metka::store::row::Row;
use serde_json::{Value, json};

use crate::place::Place;
use crate::server::Server;
use crate::{ADDRESS, Browser, PURPOSE, count, numbers, place, stored};

const DAY_MS: i64 = 86_400_000;

fn subject(place: &Place, job: &str, browser: &Browser) -> Value {
    place.done(&["subject", job, "--site", "clinic", "--purpose", PURPOSE, "--cookie", "-"], browser.value())
}

fn execute(server: &Server, sql: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(server.storage().execute(sql, &[])).expect("the statement runs");
}

/// Each row once more, as of a time past its term, held or not as it is.
fn grow_old(server: &Server) {
    // The engine's own terms act at its merges, whenever it likes.
    execute(server, "SYSTEM STOP TTL MERGES metka.hits");
    execute(
        server,
        "INSERT INTO metka.hits SELECT * REPLACE (time - toIntervalDay(40) AS time, 30 AS keep_days) \
         FROM metka.hits WHERE site = 'clinic'",
    );
}

#[test]
fn whoever_is_held_counts_as_before_outlives_the_term_and_is_not_erased() {
    let place = place();
    let server = place.serve();
    let (mut anna, mut boris) = (Browser::new(ADDRESS), Browser::new(ADDRESS));
    for path in ["/a", "/b"] {
        anna.view(&server, "clinic", path);
        boris.view(&server, "clinic", path);
    }
    stored(&server, "clinic", 4);
    let before = numbers(&server, "clinic");
    let held = subject(&place, "hold", &anna);
    assert_eq!(
        (held["rows"].as_u64(), held["hold"].as_bool(), held["blocked"].as_bool()),
        (Some(2), Some(true), Some(false))
    );
    assert_eq!(subject(&place, "find", &boris)["hold"], false);
    assert_eq!(numbers(&server, "clinic"), before, "held people count as before");
    assert_eq!(count(&server, "hold"), 2);

    let erase = ["subject", "erase", "--site", "clinic", "--purpose", PURPOSE, "--cookie", "-"];
    let refused = place.refused(&erase, anna.value(), 2);
    assert!(refused.contains("held for a claim"), "{refused}");
    assert_eq!(count(&server, "site = 'clinic'"), 4);
    let mut numbers_of = Vec::new();
    for browser in [&boris, &anna] {
        let request = ["subject", "request", "--site", "clinic", "--kind", "erase", "--cookie", "-"];
        let made = place.done(&request, browser.value());
        numbers_of.push(made["number"].as_str().expect("a number").to_owned());
    }
    let batch = [
        "subject",
        "erase",
        "--site",
        "clinic",
        "--purpose",
        PURPOSE,
        "--request",
        &numbers_of[0],
        "--request",
        &numbers_of[1],
    ];
    let refused = place.refused(&batch, "", 2);
    assert!(refused.contains(&numbers_of[1]), "it names whose hold it is: {refused}");
    assert_eq!(count(&server, "site = 'clinic'"), 4, "nothing is done for anybody");

    grow_old(&server);
    assert_eq!(count(&server, "keep_days = 30"), 4, "each row is there once more");
    place.done(&["retention", "run"], "");
    let old = "keep_days = 30";
    assert_eq!(count(&server, old), 2, "hers are there, his are gone");
    assert_eq!(subject(&place, "find", &anna)["rows"], 4);

    // A block that ends does not end a hold, and the other way round; a kill ends neither.
    subject(&place, "block", &anna);
    subject(&place, "unblock", &anna);
    assert_eq!(count(&server, "hold"), 4);
    subject(&place, "block", &anna);
    subject(&place, "release", &anna);
    assert_eq!(count(&server, "hold"), 4, "she is blocked");
    subject(&place, "hold", &anna);
    subject(&place, "unblock", &anna);
    server.kill();
    let server = place.serve();
    anna.view(&server, "clinic", "/c");
    stored(&server, "clinic", 7);
    assert_eq!(subject(&place, "find", &anna)["hold"], true);
    execute(&server, "SYSTEM STOP TTL MERGES metka.hits");
    place.done(&["retention", "run"], "");
    assert_eq!(count(&server, "hold"), 5, "what came since is held too");

    assert_eq!(subject(&place, "release", &anna)["hold"], false);
    assert_eq!(count(&server, "hold"), 0);
    place.done(&["retention", "run"], "");
    assert_eq!(count(&server, old), 0, "the terms run again");
    assert_eq!(place.done(&erase, anna.value())["rows"], 3);
    println!("held: as before in the numbers, 2 rows past their term kept, no erasure; released: gone");
    assert_eq!(server.terminate().0, Some(0));
}

#[test]
fn a_restored_backup_has_the_holds_of_today() {
    let here = place();
    let server = here.serve();
    let (mut anna, mut boris) = (Browser::new(ADDRESS), Browser::new(ADDRESS));
    for browser in [&mut anna, &mut boris] {
        browser.view(&server, "clinic", "/page");
    }
    stored(&server, "clinic", 2);
    subject(&here, "hold", &boris);
    // In a month of its own, in which all is past its term: the engine drops such a part whole whenever
    // it makes it anew.
    execute(&server, "SYSTEM STOP TTL MERGES metka.hits");
    execute(
        &server,
        "INSERT INTO metka.hits SELECT * REPLACE (time - toIntervalDay(80) AS time, 30 AS keep_days) \
         FROM metka.hits WHERE site = 'clinic' AND NOT hold",
    );
    assert_eq!(count(&server, "keep_days = 30"), 1);
    let backups = here.data().join("backups");
    let made = here.done(&["backup", "--to", backups.to_str().expect("a plain path")], "");
    subject(&here, "release", &boris);
    subject(&here, "hold", &anna);
    let file = here.path().join("keys.sealed");
    let file = file.to_str().expect("a plain path");
    here.done(&["keys", "export", file, "--passphrase-stdin"], "five words on a card");
    assert_eq!(server.terminate().0, Some(0));

    let there = place();
    there.done(&["keys", "import", file, "--passphrase-stdin"], "five words on a card");
    there.done(&["restore", made["file"].as_str().expect("a file")], "");
    let server = there.serve();
    stored(&server, "clinic", 3);
    let held = |browser: &Browser| subject(&there, "find", browser)["hold"].as_bool();
    assert_eq!([&anna, &boris].map(held), [Some(true), Some(false)]);
    assert_eq!(count(&server, "hold"), 2, "one of them was past its term when it was restored");
    assert_eq!(server.terminate().0, Some(0));
}

/// Mother and daughter read with one browser.
#[test]
fn rows_held_for_one_person_outlive_the_erasure_of_another() {
    let place = place();
    let server = place.serve();
    let mut shared = Browser::of("anna-key-1", ADDRESS);
    for key in ["anna-key-1", "mother-key-1"] {
        shared.user_key = Some(key);
        shared.view(&server, "clinic", "/page");
        shared.view(&server, "clinic", "/prices");
    }
    let mut stranger = Browser::of("boris-key-1", ADDRESS);
    stranger.view(&server, "clinic", "/page");
    stored(&server, "clinic", 5);
    let by_key = |job: &str, key: &str| {
        let asked = ["subject", job, "--site", "clinic", "--purpose", PURPOSE, "--user", key];
        place.done(&asked, "")
    };
    assert_eq!(by_key("hold", "mother-key-1")["rows"], 2);
    assert_eq!(count(&server, "hold"), 2);
    let cookie = ["subject", "erase", "--site", "clinic", "--purpose", PURPOSE, "--cookie", "-"];
    let refused = place.refused(&cookie, shared.value(), 2);
    assert!(refused.contains("2 rows") && refused.contains("held for the claim"), "{refused}");
    assert_eq!(count(&server, "site = 'clinic'"), 5, "nothing is done");
    // Her own key names other rows, which may go.
    let own = ["subject", "erase", "--site", "clinic", "--purpose", PURPOSE, "--user", "anna-key-1"];
    assert_eq!(place.done(&own, "")["rows"], 2);
    // The other way round: the browser is held, and somebody's key is among its rows.
    subject(&place, "hold", &stranger);
    let theirs = ["subject", "erase", "--site", "clinic", "--purpose", PURPOSE, "--user", "boris-key-1"];
    let refused = place.refused(&theirs, "", 2);
    assert!(refused.contains("held for"), "{refused}");
    by_key("release", "mother-key-1");
    assert_eq!(place.done(&cookie, shared.value())["rows"], 2);
    assert_eq!(count(&server, "site = 'clinic'"), 1);
    assert_eq!(server.terminate().0, Some(0));
}

/// A batch of rows that came forty days ago and wait for storage since.
fn wait_for_long(dir: &Path, rows: &[Row<'_>]) {
    let counters = Counters::new(["clinic"]);
    let options = spool::Options {
        dir: dir.to_owned(),
        spools: 1,
        durability: Durability::Fsync,
        seal_interval: Duration::from_secs(3600),
        batch_rows: 1000,
        max_bytes: 64 << 20,
    };
    let opened = spool::open(options, counters.clone()).expect("the spool opens");
    let writer = opened.writers.into_iter().next().expect("one writer");
    let (site, came) = (counters.site("clinic"), Timestamp::from_millisecond(rows[0].time));
    let came = came.expect("a time").to_zoned(TimeZone::UTC);
    let month = came.year() as u32 * 12 + came.month() as u32;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    for row in rows {
        site.arrived();
        let ticket = writer.append(&site, month, |id, out| row.encode(id, out)).expect("there is room");
        runtime.block_on(ticket).expect("it is durable");
    }
    writer.close();
    drop(opened.outlet);
    open_earlier(&dir.join("00"), rows[0].time);
}

/// Writes another time into the last open record of a spool (`docs/spool.md`).
fn open_earlier(spool: &Path, time: i64) {
    let segments = std::fs::read_dir(spool).expect("it lists").flatten().map(|entry| entry.path());
    let path = segments.filter(|path| path.extension().is_some_and(|extension| extension == "seg")).max();
    let path = path.expect("there is a segment");
    let mut bytes = std::fs::read(&path).expect("it reads");
    let seed = crc32c::crc32c(&bytes[24..40]);
    let (mut at, mut last) = (64, None);
    while bytes[at + 16] != 0 {
        let length = u32::from_le_bytes(bytes[at + 4..at + 8].try_into().expect("four bytes")) as usize;
        let end = at + (20 + length).next_multiple_of(8);
        if bytes[at + 16] == 2 {
            last = Some(at..end);
        }
        at = end;
    }
    let open = &mut bytes[last.expect("there is a batch")];
    open[36..44].copy_from_slice(&time.to_le_bytes());
    let sum = crc32c::crc32c_append(seed, &open[4..]);
    open[..4].copy_from_slice(&sum.to_le_bytes());
    std::fs::write(&path, bytes).expect("it is written");
}

#[test]
fn rows_of_people_who_are_held_or_blocked_wait_for_storage_beyond_their_term() {
    let place = place();
    let server = place.serve();
    let mut browsers = ["/anna", "/boris", "/vera"].map(|path| (path, Browser::new(ADDRESS)));
    for (path, browser) in &mut browsers {
        browser.view(&server, "clinic", "/first");
        browser.view(&server, "clinic", path);
    }
    stored(&server, "clinic", 6);
    let visitors = browsers.each_ref().map(|(path, _)| {
        let sql = format!("SELECT visitor FROM metka.hits WHERE path = '{path}'");
        server.rows(&sql)[0][0].as_u64().expect("a hash")
    });
    let [anna, _, vera] = &browsers;
    subject(&place, "hold", &anna.1);
    subject(&place, "block", &vera.1);
    assert_eq!(server.terminate().0, Some(0));
    let time = Timestamp::now().as_millisecond() - 40 * DAY_MS;
    let rows =
        visitors.map(|visitor| Row { visitor, path: "/late", keep_days: 30, ..Row::blank("clinic", time) });
    wait_for_long(&place.data().join("spool"), &rows);

    let server = place.serve();
    let counts = server.settled("clinic");
    assert_eq!(counts["stored"], 9, "what is left out counts as stored: {counts}");
    let late = server.rows("SELECT visitor, hold FROM metka.hits WHERE path = '/late' ORDER BY visitor");
    let mut expected = [visitors[0], visitors[2]];
    expected.sort();
    assert_eq!(late, expected.map(|visitor| [json!(visitor), json!(true)]));
    println!(
        "three rows of forty days ago with a term of thirty: those of whoever is held or blocked are stored"
    );
    assert_eq!(server.terminate().0, Some(0));
}
