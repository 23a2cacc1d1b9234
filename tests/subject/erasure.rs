//! Erased: in no file, not now and not later.

use std::process::Stdio;

use serde_json::Value;

use crate::place::{Place, contains, files_below};
use crate::server::{Server, wait_for};
use crate::{ADDRESS, Browser, PURPOSE, count, numbers, others, place, stored, traces};

/// A text that only the erased person's hits hold: it is looked for in every file and column.
const CANARY: &str = "canary-5e17ab";

fn erase(place: &Place, browser: &Browser) -> Value {
    let arguments = ["subject", "erase", "--site", "clinic", "--purpose", PURPOSE, "--cookie", "-"];
    place.done(&arguments, browser.value())
}

/// Two people, of whom the first is to go; each with hits that are stored and hits that wait.
fn two_people(server: &Server) -> (Browser, Browser, u64) {
    let (mut anna, mut boris) = (Browser::new(ADDRESS), Browser::new("198.51.100.20"));
    let mut rows = 0;
    for page in 0..20 {
        anna.view(server, "clinic", &format!("/{CANARY}/{page}"));
        boris.view(server, "clinic", &format!("/other/{page}"));
        rows += 1;
    }
    anna.view(server, "other", "/elsewhere");
    (anna, boris, rows)
}

#[test]
fn an_erased_person_is_in_no_file_and_comes_back_as_somebody_new() {
    let place = place();
    let server = place.serve();
    let (mut anna, boris, rows) = two_people(&server);
    stored(&server, "clinic", 2 * rows);
    let (files, found) = traces(&place, &server, CANARY);
    assert!(!files.is_empty() && found == rows, "the canary is there before: {files:?}, {found} rows");
    let kept = others(&server, CANARY);
    let elsewhere = numbers(&server, "other");
    // The last of them still wait in the spool.
    for page in 20..25 {
        anna.view(&server, "clinic", &format!("/{CANARY}/{page}"));
    }
    let cookie = anna.value().to_owned();
    let request = ["subject", "request", "--site", "clinic", "--kind", "erase", "--cookie", "-"];
    let number = place.done(&request, anna.value())["number"].as_str().expect("a number").to_owned();
    let arguments =
        ["subject", "erase", "--site", "clinic", "--purpose", PURPOSE, "--request", &number, "--cookie", "-"];
    let done = place.done(&arguments, anna.value());
    assert_eq!(done["rows"], rows + 5, "{done}");
    assert_eq!(traces(&place, &server, CANARY), (Vec::new(), 0));
    assert_eq!(others(&server, CANARY), kept, "nobody else has changed");
    assert_eq!(numbers(&server, "clinic")[0][0]["metrics"][0], 1);
    assert_eq!(numbers(&server, "other"), elsewhere, "an erasure is of one site");
    let parts = server.rows(
        "SELECT count() FROM system.parts WHERE database = 'metka' AND NOT active AND rows > 0 \
         AND table != 'migrations'",
    );
    let detached = server.rows("SELECT count() FROM system.detached_parts WHERE database = 'metka'");
    assert_eq!((parts[0][0].as_u64(), detached[0][0].as_u64()), (Some(0), Some(0)));

    // The act says what order 179 asks for, and nothing of what was destroyed.
    let act = &done["act"];
    let page = std::fs::read_to_string(done["files"][1].as_str().expect("a file")).expect("the act");
    for part in ["operator", "by", "system", "reason", "at", "backups_until"] {
        assert!(act[part].as_str().is_some_and(|text| !text.is_empty()), "{part}: {act}");
    }
    let hash = act["subjects"][0]["hash"].as_str().expect("a hash");
    for text in [
        "Акт об уничтожении персональных данных",
        "Выгрузка из журнала",
        "Клиника «Пример»",
        "И. Иванова",
        "обращения без этой cookie по ней не найти",
        "hits without this cookie cannot be found by it",
        hash,
    ] {
        assert!(page.contains(text), "{text}");
    }
    assert!(!page.contains(CANARY) && !page.contains(&cookie) && !page.contains(ADDRESS));

    assert_eq!(act["request"], number);
    // The register knows the act, and the audit trail who did it, for whom and why.
    let kept_of_it = place.done(&["subject", "show", &number], "");
    assert_eq!(kept_of_it["acts"][0], act["number"], "{kept_of_it}");
    assert!(kept_of_it["history"].to_string().contains("erased: 25 rows"), "{kept_of_it}");
    let trail = place.done(&["audit", "list", "--action", "subject_erased"], "");
    let entries = trail["entries"].as_array().expect("entries");
    assert_eq!(entries.len(), 1, "{trail}");
    assert!(entries[0].to_string().contains(&number) && entries[0].to_string().contains(PURPOSE), "{trail}");
    assert!(!trail.to_string().contains(&cookie));
    place.done(&["audit", "verify"], "");

    // The old cookie is nobody's; the next one is another.
    anna.view(&server, "clinic", "/again/1");
    assert_ne!(anna.value(), cookie, "a new cookie is offered");
    anna.view(&server, "clinic", "/again/2");
    stored(&server, "clinic", rows + 2);
    assert_eq!(numbers(&server, "clinic")[0][0]["metrics"][0], 2);
    // What was erased stays so over a kill, and what came since stays too.
    server.kill();
    let server = place.serve();
    stored(&server, "clinic", rows + 2);
    let again = Browser { cookie: format!("metka={cookie}"), ..Browser::new(ADDRESS) };
    assert_eq!(erase(&place, &again)["rows"], 0);
    assert_eq!(count(&server, "site = 'clinic'"), rows + 2);
    println!("{} rows destroyed, found in no file; {} others unchanged", rows + 5, kept.len());
    drop(boris);
    assert_eq!(server.terminate().0, Some(0));
}

#[test]
fn without_a_server_the_command_does_it_and_what_waits_in_the_spool_goes_too() {
    let place = place();
    let server = place.serve();
    let (mut anna, _, rows) = two_people(&server);
    stored(&server, "clinic", 2 * rows);
    let kept = others(&server, CANARY);
    for page in 20..25 {
        anna.view(&server, "clinic", &format!("/{CANARY}/{page}"));
    }
    server.kill();
    let done = erase(&place, &anna);
    assert_eq!(done["rows"], rows + 5, "{done}");
    let mut files = Vec::new();
    files_below(&place.data(), &mut files);
    assert!(!files.iter().any(|(_, bytes)| contains(bytes, CANARY.as_bytes())));
    let server = place.serve();
    stored(&server, "clinic", rows);
    assert_eq!(traces(&place, &server, CANARY), (Vec::new(), 0));
    assert_eq!(others(&server, CANARY), kept);
    assert_eq!(server.terminate().0, Some(0));
}

/// The server is killed at some moment of an erasure; the next start carries it out.
#[test]
fn an_erasure_that_was_begun_is_carried_out_wherever_the_server_is_killed() {
    let kills = if std::env::var_os("METKA_SOAK").is_some() { 20 } else { 4 };
    let place = place();
    let mut unfinished = 0;
    for kill in 0..kills {
        let server = place.serve();
        let before = count(&server, "site = 'clinic'");
        let (anna, _, rows) = two_people(&server);
        stored(&server, "clinic", before + 2 * rows);
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_metka"))
            .args(["subject", "erase", "--site", "clinic", "--purpose", PURPOSE, "--cookie", anna.value()])
            .args(["--json", "--config", "metka.toml"])
            .current_dir(place.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the binary runs");
        let order = place.data().join("rights/erasing.json");
        wait_for("the order to be written down", || order.exists().then_some(()));
        // Later with each kill: what passes meanwhile are the steps of the erasure.
        let segments = || std::fs::read_dir(place.data().join("spool/00")).map_or(0, Iterator::count);
        let at_first = segments();
        match kill % 4 {
            0 => {}
            1 => wait_for("the tombstones", || place.data().join("spool/tombstones").exists().then_some(())),
            2 => wait_for("the segment to be closed", || {
                (segments() != at_first || !order.exists()).then_some(())
            }),
            _ => wait_for("the rows to be deleted", || {
                let left = format!("path LIKE '/{CANARY}%'");
                (!order.exists() || count(&server, &left) == 0).then_some(())
            }),
        }
        unfinished += usize::from(order.exists());
        server.kill();
        let _ = command.kill();
        command.wait().expect("it ends");
        let server = place.serve();
        wait_for("the erasure to be carried out", || (!order.exists()).then_some(()));
        assert_eq!(traces(&place, &server, CANARY), (Vec::new(), 0), "kill {kill}");
        assert_eq!(count(&server, "site = 'clinic'"), before + rows, "kill {kill}");
        assert_eq!(server.terminate().0, Some(0));
    }
    println!("{kills} kills during erasures, {unfinished} of them before the end; all carried out");
    assert!(unfinished >= kills / 2, "the kills came too late to tell anything");
}

#[test]
fn dead_letters_and_restored_backups_bring_nobody_back() {
    let here = place();
    let server = here.serve();
    let (anna, _, rows) = two_people(&server);
    // A part that was mutated before the backup keeps its mutation's number in it.
    let mut early = Browser::new(ADDRESS);
    early.view(&server, "clinic", "/early");
    stored(&server, "clinic", 2 * rows + 1);
    assert_eq!(erase(&here, &early)["rows"], 1);
    let backups = here.data().join("backups");
    let made = here.done(&["backup", "--to", backups.to_str().expect("a plain path")], "");
    let kept = others(&server, CANARY);
    assert_eq!(erase(&here, &anna)["rows"], rows);
    let file = here.path().join("keys.sealed");
    let file = file.to_str().expect("a plain path");
    here.done(&["keys", "export", file, "--passphrase-stdin"], "five words on a card");
    assert_eq!(server.terminate().0, Some(0));

    let there = place();
    there.done(&["keys", "import", file, "--passphrase-stdin"], "five words on a card");
    let restored = there.done(&["restore", made["file"].as_str().expect("a file")], "");
    assert_eq!(restored["erased_rows"], rows, "{restored}");
    let server = there.serve();
    stored(&server, "clinic", rows);
    assert_eq!(traces(&there, &server, CANARY), (Vec::new(), 0));
    assert_eq!(others(&server, CANARY), kept);
    assert_eq!(server.terminate().0, Some(0));
}
