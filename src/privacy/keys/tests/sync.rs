//! Two rings become one, and nothing that was destroyed comes back.

use jiff::Timestamp;
use jiff::civil::date;

use super::super::change::MAX_DESTROYED_BACKUPS_KEPT;
use super::super::*;
use super::{Dir, MONTH, ip, noon, plain, secrets};

/// Takes over another directory's ring.
fn sync(ring: &KeyRing, from: &Dir, take_theirs: bool) -> Result<Synced, KeyError> {
    let other = OtherRing::in_dir(&from.config())?;
    ring.sync(other, take_theirs, noon(date(2026, 11, 23)), |_| None)
}

/// A second directory with a copy of the ring under a master key of its own.
fn copy(of: &Dir) -> Dir {
    let dir = Dir::new();
    let keys = KeyRing::found(&dir.config(), OtherRing::in_dir(&of.config()).expect("readable"));
    assert!(keys.expect("made") >= 4);
    dir
}

#[test]
fn a_sync_is_the_union_and_a_destroyed_key_does_not_come_back() {
    let here = Dir::new();
    let ring = here.open();
    let day = date(2026, 11, 23);
    let (stored, month_key) = ring.protect(&ip("192.0.2.1"), IpStorage::Encrypted, MONTH);
    let backup = ring.make_backup_key().expect("made");
    let there = copy(&here);
    let other = there.open();
    assert_ne!(here.text(), there.text());
    assert_eq!(plain(&ring), plain(&other));
    assert_eq!(sync(&ring, &there, false).expect("the same"), Synced::default());

    // There: a rotation, a key of the next month, a salt. Here: two destructions.
    assert_eq!(other.rotate_cookie_key().expect("written"), 2);
    let next = other.protect(&ip("192.0.2.1"), IpStorage::Encrypted, MONTH + 1);
    let visitor = other.cookieless_visitor("clinic", day, &[1], "agent");
    let cookie = other.sign_cookie([5; 16], day);
    ring.destroy_address_key(month_key).expect("destroyed");
    ring.destroy(Purpose::Backup, backup).expect("destroyed");
    assert_eq!(ring.verify_cookie(&cookie, day), Err(CookieError::UnknownKey));
    let done = sync(&ring, &there, false).expect("no conflict");
    assert_eq!(done, Synced { added: 2, retired: 1, salts: 1, ..Synced::default() });
    assert_eq!(ring.verify_cookie(&cookie, day), Ok([5; 16]));
    assert!(ring.reveal(next.0, next.1) == Some(ip("192.0.2.1")));
    assert_eq!(ring.cookieless_visitor("clinic", day, &[1], "agent"), visitor);
    assert!(ring.sign_cookie([1; 16], day).starts_with("v1.2."));
    assert!(ring.reveal(stored, month_key).is_none() && ring.backup_cipher(backup).is_err());

    // The other way: the destructions win over the keys that are still there.
    assert!(other.reveal(stored, month_key).is_some());
    let done = sync(&other, &here, false).expect("no conflict");
    assert_eq!(done, Synced { destroyed: 2, noted: 2, ..Synced::default() });
    assert!(other.reveal(stored, month_key).is_none() && other.backup_cipher(backup).is_err());
    // Neither brings anything back, again and again, nor does an old copy.
    for (ring, from) in [(&ring, &there), (&other, &here), (&ring, &there)] {
        assert_eq!(sync(ring, from, false).expect("the same"), Synced::default());
        assert_eq!(sync(ring, from, true).expect("the same"), Synced::default());
    }
    assert_eq!(ring.make_backup_key().expect("made"), backup + 1, "its id is not used again");
}

#[test]
fn an_older_copy_brings_no_destroyed_key_back_even_when_its_name_is_forgotten() {
    let here = Dir::new();
    let ring = here.open();
    let backup = ring.make_backup_key().expect("made");
    let cookie = ring.sign_cookie([1; 16], date(2026, 11, 23));
    let old = copy(&here);
    ring.destroy(Purpose::Cookie, 1).expect("destroyed");
    ring.change(&mut ring.changing(), |contents, _| {
        contents.keys.retain(|key| key.purpose != Purpose::Backup);
        for id in backup..=MAX_DESTROYED_BACKUPS_KEPT as u32 + 1 {
            let at = String::new();
            contents.destroyed.push(file::Destroyed { purpose: Purpose::Backup, id, at });
        }
        change::forget_oldest_backups(contents);
        assert!(contents.find_destroyed(Purpose::Backup, backup).is_none(), "it is forgotten");
        Ok(true)
    })
    .expect("written");
    for take_theirs in [false, true] {
        assert_eq!(sync(&ring, &old, take_theirs).expect("nothing new").added, 0);
    }
    assert!(ring.backup_cipher(backup).is_err());
    assert_eq!(ring.verify_cookie(&cookie, date(2026, 11, 23)), Err(CookieError::UnknownKey));
    let done = sync(&old.open(), &here, false).expect("no conflict");
    assert_eq!((done.added, done.destroyed), (1, 2), "the new cookie key comes, the destroyed ones go");
    assert!(old.open().sign_cookie([1; 16], date(2026, 11, 23)).starts_with("v1.2."));
}

#[test]
fn rings_made_apart_are_a_conflict_until_one_gives_way() {
    let (here, there) = (Dir::new(), Dir::new());
    let (ring, other) = (here.open(), there.open());
    let day = date(2026, 11, 23);
    let (mine, theirs) = (ring.sign_cookie([1; 16], day), other.sign_cookie([2; 16], day));
    ring.cookieless_visitor("clinic", day, &[1], "agent");
    other.cookieless_visitor("clinic", day, &[1], "agent");
    let address = other.protect(&ip("192.0.2.1"), IpStorage::Encrypted, MONTH);
    let text = here.text();
    let error = sync(&ring, &there, false).expect_err("a conflict").to_string();
    assert!(
        error.contains("cookie 1, visitor 1, user-key 1, limiter 1") && error.contains("--take-theirs"),
        "{error}"
    );
    assert_eq!(here.text(), text, "nothing was changed");
    assert_eq!(ring.verify_cookie(&theirs, day), Err(CookieError::Forged));
    let hashes = |ring: &KeyRing| {
        (
            ring.cookie_visitor("clinic", &[7; 16]),
            ring.cookieless_visitor("clinic", day, &[1], "agent"),
            ring.user_key_hash("clinic", "patient-1"),
            ring.limiter_key(&[b"x"]),
        )
    };
    assert_ne!(hashes(&ring), hashes(&other));
    let trail = ring.audit_mac(&[0; 32], b"x");

    let done = sync(&ring, &there, true).expect("theirs are taken");
    assert_eq!(done, Synced { added: 1, replaced: 4, salts: 1, ..Synced::default() });
    assert_eq!(hashes(&ring), hashes(&other));
    assert_eq!(ring.verify_cookie(&theirs, day), Ok([2; 16]));
    assert_eq!(ring.verify_cookie(&mine, day), Err(CookieError::Forged));
    assert!(ring.reveal(address.0, address.1) == Some(ip("192.0.2.1")));
    assert_eq!(sync(&other, &here, false).expect("they are one"), Synced::default());
    let lines = |dir: &Dir| plain(&dir.open()).lines().count();
    assert_eq!(lines(&here), lines(&there));
    assert_eq!(ring.audit_mac(&[0; 32], b"x"), trail, "the trail's key stays");
    assert_ne!(other.audit_mac(&[0; 32], b"x"), trail);
}

#[test]
fn an_exported_ring_opens_without_its_master_key_and_can_be_synced() {
    let here = Dir::new();
    let ring = here.open();
    let (stored, id) = ring.protect(&ip("192.0.2.1"), IpStorage::Encrypted, MONTH);
    let file = KeyRing::export(&here.config(), "correct horse battery").expect("exported");
    let there = Dir::new();
    KeyRing::import(&there.config(), &file, "correct horse battery").expect("imported");
    assert!(matches!(
        KeyRing::import(&there.config(), &file, "correct horse battery"),
        Err(KeyError::Exists(_))
    ));
    assert!(there.open().reveal(stored, id) == Some(ip("192.0.2.1")));
    assert!(secrets(&plain(&ring)).iter().all(|secret| !there.text().contains(secret.as_str())));
    ring.rotate_cookie_key().expect("written");
    let file = KeyRing::export(&here.config(), "correct horse battery").expect("exported");
    let other = OtherRing::exported(&file, "correct horse battery").expect("opened");
    let done = there.open().sync(other, false, Timestamp::now(), |_| None).expect("no conflict");
    assert_eq!((done.added, done.retired), (1, 1));
}

#[test]
fn rings_that_lived_apart_keep_their_months_and_hold_up_no_destruction() {
    let here = Dir::new();
    let ring = here.open();
    let cookie = ring.sign_cookie([1; 16], date(2026, 11, 23));
    let there = copy(&here);
    let other = there.open();
    // Both meet the month, and make a backup, before they meet each other.
    let protect = |ring: &KeyRing| ring.protect(&ip("192.0.2.1"), IpStorage::Encrypted, MONTH);
    let (mine, theirs) = (protect(&ring), protect(&other));
    assert_eq!((mine.1, mine.0 == theirs.0), (theirs.1, false));
    assert_eq!(ring.make_backup_key().expect("made"), other.make_backup_key().expect("made"));
    other.destroy(Purpose::Cookie, 1).expect("destroyed");
    let done = sync(&ring, &there, false).expect("the rest is taken over");
    assert_eq!(done.conflicts, [(Purpose::Ip, mine.1), (Purpose::Backup, 1)]);
    assert_eq!((done.added, done.destroyed, done.replaced), (1, 1, 0));
    assert_eq!(ring.verify_cookie(&cookie, date(2026, 11, 23)), Err(CookieError::UnknownKey));
    assert!(ring.reveal(mine.0, mine.1) == Some(ip("192.0.2.1")), "ours stays");
    assert!(!sync(&ring, &there, false).expect("again").is_change());
    let done = sync(&ring, &there, true).expect("theirs are taken");
    assert_eq!((done.replaced, done.conflicts.len()), (2, 0));
    assert!(ring.reveal(theirs.0, theirs.1) == Some(ip("192.0.2.1")));
}
