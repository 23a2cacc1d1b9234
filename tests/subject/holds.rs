//! Held for a claim: kept past every term, and counted as before.

use serde_json::Value;

use crate::place::Place;
use crate::server::Server;
use crate::{ADDRESS, Browser, PURPOSE, count, numbers, place, stored};

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
