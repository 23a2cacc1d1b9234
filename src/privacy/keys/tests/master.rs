//! The master key: wrapped secrets, wrong keys, replacement.

use jiff::Timestamp;
use jiff::civil::date;

use super::super::*;
use super::{Dir, MONTH, ip, mode, plain, secrets, set_mode};
use crate::config::{Hidden, MasterKeySource};
use crate::privacy::keys::wrap::MasterKey;

#[test]
fn no_secret_is_on_the_disk_as_it_is() {
    let dir = Dir::new();
    let ring = dir.open();
    ring.cookieless_visitor("clinic", date(2026, 11, 23), &[1], "agent");
    ring.protect(&ip("192.0.2.1"), IpStorage::Encrypted, MONTH);
    ring.make_backup_key().expect("made");
    let (plain, stored) = (secrets(&plain(&ring)), dir.text());
    assert_eq!(plain.len(), 5 + 1 + 1 + 1);
    assert!(plain.iter().all(|secret| secret.len() == 64 && !stored.contains(secret.as_str())));
    assert_eq!(secrets(&stored).len(), plain.len());
    assert!(stored.starts_with("version = 2\nmaster = "), "{}", &stored[..20]);
}

#[test]
fn a_ring_of_version_1_opens_and_is_wrapped_over_zeros() {
    let dir = Dir::new();
    let ring = dir.open();
    let day = date(2026, 11, 23);
    let cookie = ring.sign_cookie([7; 16], day);
    let (stored, id) = ring.protect(&ip("192.0.2.1"), IpStorage::Encrypted, MONTH);
    let visitor = ring.cookieless_visitor("clinic", day, &[1], "agent");
    dir.write_plain("");
    let (old_text, old) = (dir.text(), std::fs::File::open(dir.keys().join("ring.toml")).expect("readable"));
    assert!(old_text.starts_with("version = 1\n") && !old_text.contains("master"));
    // A look changes nothing, and says so.
    assert!(!look(&dir.config()).expect("readable").is_wrapped);
    assert_eq!(dir.text(), old_text);
    assert!(!dir.keys().join("master.key").exists());

    let ring = dir.open();
    assert_eq!(ring.verify_cookie(&cookie, day), Ok([7; 16]));
    assert!(ring.reveal(stored, id) == Some(ip("192.0.2.1")));
    assert_eq!(ring.cookieless_visitor("clinic", day, &[1], "agent"), visitor);
    assert!(secrets(&old_text).iter().all(|secret| !dir.text().contains(secret.as_str())));
    assert!(look(&dir.config()).expect("readable").is_wrapped);
    let left = std::io::read_to_string(old).expect("still open");
    assert!(!left.is_empty() && left.bytes().all(|byte| byte == 0), "the plain ring still has its bytes");
}

#[test]
fn entries_that_are_swapped_or_changed_are_refused_by_name() {
    let dir = Dir::new();
    let ring = dir.open();
    ring.rotate_cookie_key().expect("written");
    let text = dir.text();
    let cookies: Vec<&str> = text.lines().filter(|line| line.starts_with("secret")).collect();
    let swapped = text.replace(cookies[0], "#").replace(cookies[4], cookies[0]).replace('#', cookies[4]);
    assert_ne!(swapped, text);
    std::fs::write(dir.keys().join("ring.toml"), &swapped).expect("writable");
    let error = dir.refusal();
    assert!(error.contains("ring.toml") && error.contains("key 1 of cookie does not open"), "{error}");
    assert_eq!(dir.text(), swapped, "nothing is overwritten");
    // The ring that is open goes on, and does not write over what it cannot read.
    assert!(ring.maintain(Timestamp::now(), |_| None).is_err());
    assert_eq!(dir.text(), swapped);
    assert!(ring.verify_cookie(&ring.sign_cookie([1; 16], date(2026, 11, 23)), date(2026, 11, 23)).is_ok());
}

#[test]
fn a_wrong_or_missing_master_key_is_said_and_nothing_is_overwritten() {
    let dir = Dir::new();
    let ring = dir.open();
    ring.make_backup_key().expect("made");
    let (text, master) =
        (dir.text(), std::fs::read_to_string(dir.keys().join("master.key")).expect("readable"));
    let wrong = MasterKey::random().expect("random").text();
    let elsewhere = dir.0.path().join("elsewhere");
    let check = |config: &Keys, expected: &str| {
        for error in [
            KeyRing::open(config).err().expect("refused"),
            look(config).expect_err("refused"),
            KeyRing::export(config, "correct horse battery").expect_err("refused"),
            OtherRing::in_dir(config).err().expect("refused"),
        ] {
            let error = error.to_string();
            assert!(error.contains("ring.toml") && error.contains(expected), "{error}");
            assert!(!error.contains(wrong.trim()) && !error.contains(master.trim()), "{error}");
        }
        assert_eq!(dir.text(), text);
        assert!(list(config).expect("needs no master key").len() == 6);
    };
    let with = |source| Keys { master: source, ..dir.config() };
    let environment = Hidden(wrong.trim().to_owned());
    check(
        &with(MasterKeySource::Environment(environment)),
        "another master key than that in METKA_KEYS__MASTER_KEY",
    );
    check(&with(MasterKeySource::File(elsewhere.clone())), "there is none in");
    assert!(!elsewhere.exists());
    std::fs::write(&elsewhere, &wrong).expect("written");
    set_mode(&elsewhere, 0o600);
    check(&with(MasterKeySource::File(elsewhere.clone())), "another master key than that in");
    std::fs::remove_file(dir.keys().join("master.key")).expect("removed");
    check(&dir.config(), "there is none in");
    assert!(!dir.keys().join("master.key").exists(), "none is made for a ring that has one");
    std::fs::write(&elsewhere, &master).expect("written");
    KeyRing::open(&with(MasterKeySource::File(elsewhere.clone()))).expect("the right key, wherever it is");
    KeyRing::open(&with(MasterKeySource::Environment(Hidden(master.trim().to_owned())))).expect("the same");

    set_mode(&elsewhere, 0o640);
    let config = with(MasterKeySource::File(elsewhere.clone()));
    let error = KeyRing::open(&config).err().expect("refused").to_string();
    assert!(error.contains("elsewhere: mode 0640") && error.contains("0600"), "{error}");
    // systemd's access lists show as group bits.
    KeyRing::open(&with(MasterKeySource::Credential(elsewhere.clone())))
        .expect("a credential's mode is systemd's");
    set_mode(&elsewhere, 0o400);
    KeyRing::open(&config).expect("narrower is well");
    set_mode(&elsewhere, 0o600);
    std::fs::write(&elsewhere, "abc-secret").expect("written");
    let error = KeyRing::open(&config).err().expect("refused").to_string();
    assert!(
        error.contains("elsewhere") && error.contains("64 hex digits") && !error.contains("secret"),
        "{error}"
    );
    assert_eq!(dir.text(), text);
}

#[test]
fn a_new_master_key_changes_nothing_but_itself_and_open_rings_follow() {
    let dir = Dir::new();
    let (ring, other) = (dir.open(), dir.open());
    let (stored, id) = ring.protect(&ip("192.0.2.1"), IpStorage::Encrypted, MONTH);
    let before = plain(&ring);
    let path = dir.keys().join("master.key");
    let old_key = std::fs::read_to_string(&path).expect("readable");
    let (old_text, old_file) = (dir.text(), std::fs::File::open(&path).expect("readable"));
    let announced = std::cell::RefCell::new(PathBuf::new());
    let kept = ring
        .rewrap::<KeyError>(None, |file| {
            announced.replace(file.to_owned());
            other.expect_master(file)
        })
        .expect("rewrapped");
    assert_eq!((kept, announced.into_inner()), (path.clone(), dir.keys().join("master.key.new")));
    assert_eq!(plain(&ring), before);
    assert_ne!(std::fs::read_to_string(&path).expect("readable"), old_key);
    assert_eq!(mode(&path), 0o600);
    assert!(!dir.keys().join("master.key.new").exists());
    let left = std::io::read_to_string(old_file).expect("still open");
    assert!(!left.is_empty() && left.bytes().all(|byte| byte == 0), "the old key still has its bytes");
    // The old ring opens under the old key only, the new one under the new.
    assert!(secrets(&old_text).iter().all(|secret| !dir.text().contains(secret.as_str())));
    let third = dir.open();
    assert!(third.reveal(stored, id) == Some(ip("192.0.2.1")));
    // Those that were open follow, told or not.
    for ring in [&other, &third] {
        ring.maintain(Timestamp::now(), |_| None).expect("followed");
        ring.make_backup_key().expect("written");
    }
    // To another file, made or found.
    let elsewhere = dir.0.path().join("elsewhere");
    assert_eq!(ring.rewrap::<KeyError>(Some(&elsewhere), |_| Ok(())).expect("rewrapped"), elsewhere);
    assert_eq!(mode(&elsewhere), 0o600);
    let moved = Keys { master: MasterKeySource::File(elsewhere), ..dir.config() };
    assert!(KeyRing::open(&moved).expect("opens").reveal(stored, id) == Some(ip("192.0.2.1")));
    assert!(dir.refusal().contains("another master key"));
    assert!(third.maintain(Timestamp::now(), |_| None).is_err(), "it was not told");
    assert!(third.reveal(stored, id) == Some(ip("192.0.2.1")), "and goes on with what it has");
}

#[test]
fn a_refused_or_interrupted_replacement_of_the_master_key_loses_nothing() {
    let dir = Dir::new();
    let ring = dir.open();
    let (text, path) = (dir.text(), dir.keys().join("master.key"));
    let (new_path, before) = (dir.keys().join("master.key.new"), plain(&ring));
    let refuse = |_: &Path| Err(KeyError::Export("refused"));
    assert!(matches!(ring.rewrap(None, refuse), Err(KeyError::Export("refused"))));
    assert_eq!((dir.text(), new_path.exists()), (text.clone(), false));
    let elsewhere = dir.0.path().join("elsewhere");
    assert!(ring.rewrap(Some(&elsewhere), refuse).is_err());
    assert!(!elsewhere.exists() && dir.text() == text);
    let fixed =
        MasterKeySource::Environment(Hidden(std::fs::read_to_string(&path).expect("readable").trim().into()));
    let fixed = KeyRing::open(&Keys { master: fixed, ..dir.config() }).expect("opens");
    assert!(matches!(fixed.rewrap::<KeyError>(None, |_| Ok(())), Err(KeyError::FixedMaster { .. })));
    // Two at once.
    let result = ring.rewrap::<KeyError>(None, |_| {
        assert!(matches!(dir.open().rewrap::<KeyError>(None, |_| Ok(())), Err(KeyError::Rewrapping(_))));
        Ok(())
    });
    result.expect("the first goes on");

    // Killed before the ring was wrapped: the new key is not used.
    std::fs::write(&new_path, MasterKey::random().expect("random").text()).expect("written");
    set_mode(&new_path, 0o600);
    assert_eq!(plain(&dir.open()), before);
    // Killed after it: the new key is found, and the next replacement starts from it.
    let old = std::fs::read(&path).expect("readable");
    ring.rewrap::<KeyError>(None, |_| Ok(())).expect("rewrapped");
    std::fs::rename(&path, &new_path).expect("renamed");
    std::fs::write(&path, old).expect("written");
    set_mode(&path, 0o600);
    assert_eq!(plain(&dir.open()), before);
    dir.open().rewrap::<KeyError>(None, |_| Ok(())).expect("rewrapped");
    assert!(!new_path.exists());
    assert_eq!(plain(&dir.open()), before);
}

#[test]
fn a_ring_that_is_gone_is_not_made_anew_by_who_has_it_open() {
    let dir = Dir::new();
    let ring = dir.open();
    std::fs::remove_file(dir.keys().join("ring.toml")).expect("removed");
    assert!(matches!(ring.rotate_cookie_key(), Err(KeyError::NoRing(_))));
    let day = date(2026, 11, 23);
    let visitor = ring.cookieless_visitor("clinic", day, &[1], "agent");
    assert_eq!(ring.cookieless_visitor("clinic", day, &[1], "agent"), visitor, "hits go on");
    assert!(!dir.keys().join("ring.toml").exists());
    assert!(list(&dir.config()).expect("a directory without a ring").is_empty());
}
