//! Blocked: in no number, and still stored.

use serde_json::Value;

use crate::place::Place;
use crate::server::Server;
use crate::{ADDRESS, Browser, PURPOSE, count, numbers, place, stored};

/// Every page view of everybody but the blocked, sent to a server where nobody is.
struct Twin {
    place: Place,
    server: Option<Server>,
}

fn subject(place: &Place, job: &str, browser: &Browser) -> Value {
    place.done(&["subject", job, "--site", "clinic", "--purpose", PURPOSE, "--cookie", "-"], browser.value())
}

#[test]
fn a_blocked_person_is_in_no_number_and_unblocked_they_are_back_as_they_were() {
    let people = if std::env::var_os("METKA_SOAK").is_some() { 400 } else { 12 };
    let place = place();
    let twin = Twin { place: crate::place(), server: None };
    let server = place.serve();
    let twin = Twin { server: Some(twin.place.serve()), ..twin };
    let other = twin.server.as_ref().expect("it runs");
    let mut browsers: Vec<Browser> = (0..people).map(|_| Browser::new(ADDRESS)).collect();
    let mut twins: Vec<Browser> = (0..people).map(|_| Browser::new(ADDRESS)).collect();
    let blocked = |number: usize| number.is_multiple_of(2);
    let mut rows = 0;
    for (number, browser) in browsers.iter_mut().enumerate() {
        for page in 0..3 {
            browser.view(&server, "clinic", &format!("/page/{}", (number + page) % 5));
            rows += 1;
        }
        browser.view(&server, "other", "/elsewhere");
    }
    let mut visible = 0;
    for (number, browser) in twins.iter_mut().enumerate().filter(|(number, _)| !blocked(*number)) {
        for page in 0..3 {
            browser.view(other, "clinic", &format!("/page/{}", (number + page) % 5));
            visible += 1;
        }
    }
    stored(&server, "clinic", rows);
    stored(other, "clinic", visible);
    let (before, elsewhere) = (numbers(&server, "clinic"), numbers(&server, "other"));
    let expected = numbers(other, "clinic");
    assert_ne!(before, expected);

    for browser in browsers.iter().step_by(2) {
        let done = subject(&place, "block", browser);
        assert_eq!((done["rows"].as_u64(), done["blocked"].as_bool()), (Some(3), Some(true)), "{done}");
    }
    assert_eq!(numbers(&server, "clinic"), expected, "as if they had never been there");
    assert_eq!(numbers(&server, "other"), elsewhere, "a block is of one site");
    assert_eq!(count(&server, "site = 'clinic'"), rows, "they are still stored");
    assert_eq!(count(&server, "hold"), rows - visible, "and no term destroys them");
    // Twice is once, and hits to come are covered too; a restart changes nothing.
    subject(&place, "block", &browsers[0]);
    browsers[0].view(&server, "clinic", "/page/0");
    stored(&server, "clinic", rows + 1);
    assert_eq!(numbers(&server, "clinic"), expected);
    server.kill();
    let server = place.serve();
    stored(&server, "clinic", rows + 1);
    assert_eq!(numbers(&server, "clinic"), expected);
    assert_eq!(count(&server, "hold"), rows - visible + 1, "the start has held what came since");
    let copy = place.done(
        &["subject", "export", "--site", "clinic", "--purpose", PURPOSE, "--cookie", "-"],
        browsers[0].value(),
    );
    assert_eq!(copy["rows"].as_array().map(Vec::len), Some(4), "an officer can still read it");

    for browser in browsers.iter().step_by(2) {
        assert_eq!(subject(&place, "unblock", browser)["blocked"], false);
    }
    assert_eq!(count(&server, "hold"), 0);
    // One more page view than before, of a page of its own.
    let after = numbers(&server, "clinic");
    let views = |of: &Value| of[0][0]["metrics"][2].as_u64().expect("page views");
    assert_eq!(
        (after[0][0]["metrics"][0].clone(), views(&after)),
        (before[0][0]["metrics"][0].clone(), views(&before) + 1)
    );
    println!("{} of {people} people blocked: 0 in any number; unblocked: as before", people / 2);
    assert_eq!(server.terminate().0, Some(0));
}

#[test]
fn a_restored_backup_has_the_blocks_of_today_and_not_of_its_time() {
    let here = place();
    let server = here.serve();
    let (mut anna, mut boris, mut clara) =
        (Browser::new(ADDRESS), Browser::new(ADDRESS), Browser::new(ADDRESS));
    for browser in [&mut anna, &mut boris, &mut clara] {
        browser.view(&server, "clinic", "/page");
    }
    stored(&server, "clinic", 3);
    subject(&here, "block", &boris);
    let backups = here.data().join("backups");
    let made = here.done(&["backup", "--to", backups.to_str().expect("a plain path")], "");
    // Since then one was blocked and another is no more.
    subject(&here, "unblock", &boris);
    subject(&here, "block", &anna);
    let file = here.path().join("keys.sealed");
    let file = file.to_str().expect("a plain path");
    here.done(&["keys", "export", file, "--passphrase-stdin"], "five words on a card");
    assert_eq!(server.terminate().0, Some(0));

    let there = place();
    there.done(&["keys", "import", file, "--passphrase-stdin"], "five words on a card");
    there.done(&["restore", made["file"].as_str().expect("a file")], "");
    let server = there.serve();
    stored(&server, "clinic", 3);
    let find = |browser: &Browser| subject(&there, "find", browser)["blocked"].as_bool();
    assert_eq!([&anna, &boris, &clara].map(find), [Some(true), Some(false), Some(false)]);
    assert_eq!(numbers(&server, "clinic")[0][0]["metrics"][2], 2, "two page views are visible");
    assert_eq!(count(&server, "hold"), 1);
    assert_eq!(server.terminate().0, Some(0));
}
