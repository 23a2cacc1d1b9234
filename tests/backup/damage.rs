//! An archive of which anything was changed is refused, and leaves nothing behind.

use crate::{BATCH, Place, contains, file_of, files_below, send};

/// Places at which a byte is changed: every byte of the header, and so many more.
fn samples() -> usize {
    if std::env::var_os("METKA_SOAK").is_some() { 2_000 } else { 200 }
}

#[test]
fn a_changed_or_cut_archive_is_refused_by_name_and_leaves_a_bare_directory() {
    let here = Place::new();
    let server = here.serve();
    send(&server, 0..20 * BATCH + 10);
    assert_eq!(server.terminate().0, Some(0));
    let made = here.done(&["backup"], "");
    let good = std::fs::read(file_of(&made)).expect("readable");
    let keys = metka::privacy::keys::KeyRing::open(&metka::config::Keys::in_dir(&here.data().join("keys")))
        .expect("a ring");
    let there = here.bare_with_keys();
    let bad = there.path().join("metka-bad.backup");
    let name = bad.to_str().expect("plain").to_owned();

    let spread = samples();
    let places = (0..64).chain((0..spread).map(|sample| 64 + sample * (good.len() - 64) / spread));
    let (mut refused, mut restores) = (0, 0);
    for (index, at) in places.enumerate() {
        let mut changed = good.clone();
        changed[at] ^= 1 << (index % 8);
        std::fs::write(&bad, &changed).expect("written");
        let error = metka::backup::check(&bad, &keys).expect_err("refused").to_string();
        assert!(error.contains(&name), "{error}");
        refused += 1;
        if index % 12 == 0 {
            let error = there.refused(&["restore", &name], "", 1);
            assert!(error.contains("metka-bad.backup"), "byte {at}: {error}");
            assert_eq!(there.names(), ["audit", "keys"], "byte {at} leaves nothing");
            restores += 1;
        }
    }
    let mut cuts = 0;
    let whole = (64 << 10) + 16;
    for length in [0, 10, 64, 64 + whole, good.len() - 70_000, good.len() - 17, good.len() - 1] {
        std::fs::write(&bad, &good[..length]).expect("written");
        let error = there.refused(&["restore", &name], "", 1);
        assert!(error.contains("metka-bad.backup"), "cut at {length}: {error}");
        assert_eq!(there.names(), ["audit", "keys"], "cut at {length} leaves nothing");
        cuts += 1;
    }
    println!(
        "archive of {} bytes: {refused} changed bytes refused ({restores} by restore), {cuts} cuts refused",
        good.len()
    );
    // The same directory takes the good one afterwards, and no second one.
    std::fs::write(&bad, &good).expect("written");
    there.done(&["restore", &name], "");
    let error = there.refused(&["restore", &name], "", 1);
    assert!(error.contains("not empty"), "{error}");
}

#[test]
fn a_restore_that_was_killed_keeps_a_server_from_starting_until_it_is_run_again() {
    let here = Place::new();
    let server = here.serve();
    send(&server, 0..10);
    assert_eq!(server.terminate().0, Some(0));
    let made = here.done(&["backup"], "");
    let there = here.bare_with_keys();
    // What a kill leaves: the marker, and some of the files.
    std::fs::create_dir_all(there.data().join("spool/00")).expect("made");
    std::fs::write(there.data().join("restoring"), "x").expect("written");
    let held = std::fs::File::open(there.data().join("restoring")).expect("it is there");
    held.lock().expect("locked");
    let file = file_of(&made);
    let error = there.refused(&["restore", file.to_str().expect("plain")], "", 1);
    assert!(error.contains("another backup or restore"), "{error}");
    assert_eq!(
        there.names(),
        ["audit", "keys", "restoring", "spool"],
        "what another restore does is not touched"
    );
    drop(held);
    for command in [&["serve"][..], &["backup"][..]] {
        let error = there.refused(command, "", 1);
        assert!(error.contains("a restore has not ended"), "{error}");
    }
    there.done(&["restore", file_of(&made).to_str().expect("plain")], "");
    let server = there.serve();
    assert_eq!(server.settled("clinic")["stored"], 10);
    server.kill();
}

#[test]
fn no_key_is_in_an_archive_nor_in_what_is_restored_from_it() {
    let here = Place::new();
    let server = here.serve();
    send(&server, 0..BATCH + 5);
    assert_eq!(server.terminate().0, Some(0));
    let made = here.done(&["backup"], "");
    // As they are used, as they lie on the disk, and what they lie under.
    let ring = here.plain_ring();
    let wrapped = std::fs::read_to_string(here.data().join("keys/ring.toml")).expect("readable");
    let master = std::fs::read_to_string(here.data().join("keys/master.key")).expect("readable");
    let node = std::fs::read_to_string(here.data().join("spool/node")).expect("readable");
    let engine = std::fs::read_to_string(here.data().join("engine/secret")).expect("readable");
    let is_secret = |word: &&str| word.len() == 64 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    let all = format!("{ring}\n{master}\n{node}\n{engine}");
    let mut secrets: Vec<Vec<u8>> = Vec::new();
    for word in all.split(|c: char| !c.is_ascii_alphanumeric()).filter(is_secret) {
        let raw = (0..32).map(|at| u8::from_str_radix(&word[2 * at..2 * at + 2], 16).expect("hex")).collect();
        secrets.push(raw);
        secrets.push(word.as_bytes().to_vec());
    }
    assert!(
        secrets.len() >= 2 * 8,
        "cookie, visitor, user key, limiter, address, backup, master, node, engine"
    );
    let on_disk: Vec<Vec<u8>> = wrapped
        .lines()
        .filter_map(|line| line.strip_prefix("secret = "))
        .map(|text| text.trim_matches('"').as_bytes().to_vec())
        .collect();
    assert!(on_disk.len() >= 6 && on_disk.iter().all(|text| text.len() == 144));
    let keys = secrets.len() / 2;
    secrets.extend(on_disk);

    let there = here.bare_with_keys();
    there.done(&["restore", file_of(&made).to_str().expect("plain")], "");
    let mut files = vec![(file_of(&made), std::fs::read(file_of(&made)).expect("readable"))];
    files_below(&there.data(), &mut files);
    files.retain(|(path, _)| !path.starts_with(there.data().join("keys")));
    let mut found = 0;
    for (path, bytes) in &files {
        for secret in &secrets {
            assert!(!contains(bytes, secret), "{} holds a key", path.display());
            found += 1;
        }
    }
    println!("{keys} keys in {} files: {found} searches, 0 found", files.len());
}
