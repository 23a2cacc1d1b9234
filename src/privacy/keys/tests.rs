use std::collections::HashMap;
use std::os::unix::fs::PermissionsExt;

use jiff::civil::date;
use proptest::prelude::*;

use jiff::{Span, Timestamp, ToSpan};

use super::salt::is_near;
use super::*;

mod master;
mod sync;

/// November 2026 as rows count months.
const MONTH: u32 = 2026 * 12 + 11;

struct Dir(tempfile::TempDir);

impl Dir {
    fn new() -> Dir {
        Dir(tempfile::tempdir().expect("temporary directory"))
    }

    fn keys(&self) -> PathBuf {
        self.0.path().join("keys")
    }

    fn config(&self) -> Keys {
        Keys::in_dir(&self.keys())
    }

    fn open(&self) -> KeyRing {
        KeyRing::open(&self.config()).expect("the ring opens")
    }

    /// Why it does not open.
    fn refusal(&self) -> String {
        KeyRing::open(&self.config()).err().expect("refused").to_string()
    }

    /// The ring as version 1 wrote it, and no master key.
    fn write_plain(&self, more: &str) {
        let mut plain = plain(&self.open());
        plain.push_str(more);
        std::fs::write(self.keys().join("ring.toml"), plain).expect("writable");
        std::fs::remove_file(self.keys().join("master.key")).expect("removed");
    }

    fn text(&self) -> String {
        std::fs::read_to_string(self.keys().join("ring.toml")).expect("readable")
    }
}

/// The ring's text with its secrets plain.
fn plain(ring: &KeyRing) -> String {
    let path = ring.store.path();
    let mut contents = ring.store.read().expect("readable");
    let master = ring.changing().master.unlock(&contents, &path).expect("its own");
    wrap::unwrap_all(&mut contents, &master).expect("opens");
    String::from_utf8(contents.text(&path).expect("encoded")).expect("text")
}

/// Every secret of a ring in plain hex.
fn secrets(plain: &str) -> Vec<String> {
    plain
        .lines()
        .filter_map(|line| line.strip_prefix("secret = "))
        .map(|text| text.trim_matches('"').to_owned())
        .collect()
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).expect("exists").permissions().mode() & 0o7777
}

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("own file");
}

fn ip(text: &str) -> ClientIp {
    ClientIp::parse(text).expect("an address")
}

fn noon(day: Date) -> Timestamp {
    day.at(12, 0, 0, 0).to_zoned(jiff::tz::TimeZone::UTC).expect("in range").timestamp()
}

#[test]
fn a_ring_is_the_same_after_opening_it_again() {
    let dir = Dir::new();
    let (first, day) = (dir.open(), date(2026, 11, 23));
    let cookie = first.sign_cookie([7; 16], day);
    let before = (
        first.cookie_visitor("clinic", &[7; 16]),
        first.cookieless_visitor("clinic", day, &ip("192.0.2.1").prefix(), "agent"),
        first.user_key_hash("clinic", "patient-1"),
        first.limiter_key(&[b"x"]),
        first.protect(&ip("192.0.2.1"), IpStorage::Encrypted, MONTH),
    );
    let second = dir.open();
    let after = (
        second.cookie_visitor("clinic", &[7; 16]),
        second.cookieless_visitor("clinic", day, &ip("192.0.2.1").prefix(), "agent"),
        second.user_key_hash("clinic", "patient-1"),
        second.limiter_key(&[b"x"]),
        second.protect(&ip("192.0.2.1"), IpStorage::Encrypted, MONTH),
    );
    assert_eq!(before, after);
    assert_eq!(second.verify_cookie(&cookie, day), Ok([7; 16]));
    assert_ne!(first.cookie_visitor("clinic", &[7; 16]), first.cookie_visitor("shop", &[7; 16]));
}

#[test]
fn the_directory_is_0700_and_the_files_0600() {
    let dir = Dir::new();
    dir.open();
    assert_eq!(mode(&dir.keys()), 0o700);
    assert_eq!(mode(&dir.keys().join("ring.toml")), 0o600);
    assert_eq!(mode(&dir.keys().join("ring.lock")), 0o600);
    assert_eq!(mode(&dir.keys().join("master.key")), 0o600);
    assert!(!dir.keys().join("ring.toml.new").exists());
}

#[test]
fn wider_modes_are_refused_by_name() {
    for (name, wide, wanted) in [
        ("", 0o750, "0700"),
        ("ring.toml", 0o640, "0600"),
        ("ring.lock", 0o604, "0600"),
        ("master.key", 0o640, "0600"),
    ] {
        let dir = Dir::new();
        dir.open();
        let path = if name.is_empty() { dir.keys() } else { dir.keys().join(name) };
        set_mode(&path, wide);
        let error = dir.refusal();
        assert_eq!(look(&dir.config()).expect_err("refused").to_string(), error);
        assert!(error.contains(&format!("{}: mode {wide:04o}", path.display())), "{error}");
        assert!(error.contains(wanted), "{error}");
    }
}

#[test]
fn a_broken_ring_is_refused_without_quoting_it_and_left_alone() {
    for text in [
        "version = 9",
        "garbage secret=\"abcd\"",
        "version = 1\n[[key]]\npurpose = \"cookie\"\nid = 1\ncreated = \"\"\nsecret = \"abcd\"",
    ] {
        let dir = Dir::new();
        dir.open();
        std::fs::write(dir.keys().join("ring.toml"), text).expect("writable");
        let error = dir.refusal();
        assert!(error.contains("ring.toml") && !error.contains("abcd"), "{error}");
        if !text.contains("[[key]]") {
            assert_eq!(dir.text(), text);
        }
    }
}

#[test]
fn rings_that_share_a_directory_agree_on_new_keys() {
    let dir = Dir::new();
    let rings: Vec<KeyRing> = (0..4).map(|_| dir.open()).collect();
    let day = date(2026, 11, 23);
    let mut found = Vec::new();
    std::thread::scope(|scope| {
        let handles: Vec<_> = rings
            .iter()
            .flat_map(|ring| [ring, ring])
            .map(|ring| {
                scope.spawn(move || {
                    (
                        ring.cookieless_visitor("clinic", day, &[1], "agent"),
                        ring.protect(&ip("192.0.2.1"), IpStorage::Encrypted, MONTH),
                    )
                })
            })
            .collect();
        found.extend(handles.into_iter().map(|handle| handle.join().expect("no panic")));
    });
    assert!(found.windows(2).all(|pair| pair[0] == pair[1]), "{found:?}");
    assert_eq!(dir.text().matches("[[salt]]").count(), 1);
}

#[test]
fn salts_differ_by_day_and_site_and_are_destroyed_when_they_are_two_days_old() {
    let dir = Dir::new();
    let ring = dir.open();
    let (day, hash) = (date(2026, 11, 23), |day| ring.cookieless_visitor("clinic", day, &[1], "agent"));
    let today = hash(day);
    assert_eq!(hash(day), today);
    assert_ne!(ring.cookieless_visitor("shop", day, &[1], "agent"), today);
    let first_salt =
        dir.text().split("[[salt]]").nth(1).expect("a salt").lines().last().expect("secret").to_owned();
    let tomorrow = hash(day.tomorrow().expect("in range"));
    assert_ne!(tomorrow, today);
    assert_eq!(hash(day), today, "yesterday's salt is kept");
    hash(date(2026, 11, 25));
    assert!(!dir.text().contains("2026-11-23\"\nsecret") || dir.text().contains("shop"), "two days old");
    assert!(!dir.text().contains(&first_salt) || first_salt.is_empty());
    assert_ne!(hash(day), today, "a destroyed salt cannot come back");
}

#[test]
fn maintenance_destroys_salts_of_sites_without_hits() {
    let dir = Dir::new();
    let ring = dir.open();
    let day = date(2026, 11, 23);
    ring.cookieless_visitor("clinic", day, &[1], "agent");
    ring.cookieless_visitor("removed", day, &[1], "agent");
    let today_of = |day: Date| move |site: &str| (site == "clinic").then_some(day);
    ring.maintain(noon(date(2026, 11, 24)), today_of(date(2026, 11, 24))).expect("written");
    assert_eq!(dir.text().matches("[[salt]]").count(), 2);
    ring.maintain(noon(date(2026, 11, 25)), today_of(date(2026, 11, 25))).expect("written");
    assert_eq!(dir.text().matches("[[salt]]").count(), 0);
}

/// The days of the salts on the disk.
fn salts(dir: &Dir) -> Vec<Date> {
    let text = dir.text();
    let days = text.split("[[salt]]").skip(1).filter_map(|salt| salt.split("day = \"").nth(1)?.get(..10));
    days.map(|day| day.parse().expect("a date")).collect()
}

/// Midnights of all sorts: each zone's clock is changed on the third day, or it is
/// as far from UTC as zones go.
#[test]
fn a_salt_outlives_its_day_by_the_next_and_no_more_whatever_the_zone() {
    let step = Span::new().minutes(10);
    let mut looked = 0;
    for (zone, first) in [
        ("UTC", date(2026, 5, 10)),
        ("Pacific/Kiritimati", date(2026, 5, 10)),
        ("Etc/GMT+12", date(2026, 5, 10)),
        ("Asia/Kathmandu", date(2026, 12, 29)),
        ("Europe/Berlin", date(2026, 3, 27)),
        ("Europe/Berlin", date(2026, 10, 23)),
        ("Africa/Cairo", date(2026, 4, 22)),
        ("Africa/Cairo", date(2026, 10, 28)),
        ("America/Havana", date(2025, 10, 31)),
        ("America/St_Johns", date(2026, 3, 6)),
        ("Australia/Lord_Howe", date(2026, 4, 3)),
    ] {
        let dir = Dir::new();
        let ring = dir.open();
        let zone = jiff::tz::TimeZone::get(zone).expect("a zone");
        let day_at = |at: Timestamp| zone.to_datetime(at).date();
        let ended = |day: Date| {
            day.tomorrow().and_then(|next| next.to_zoned(zone.clone())).expect("in range").timestamp()
        };
        let mut now = first.to_zoned(zone.clone()).expect("in range").timestamp();
        let end = ended(first.saturating_add(5.days()));
        let mut hashes: HashMap<Date, u64> = HashMap::new();
        let mut held: Vec<Date> = Vec::new();
        while now < end {
            let today = day_at(now);
            let hash = ring.cookieless_visitor("clinic", today, &[1], "agent").expect("a salt");
            assert_eq!(*hashes.entry(today).or_insert(hash), hash, "a day has one salt");
            let before = day_at(now - jiff::SignedDuration::from_mins(30));
            if before != today && before >= first {
                assert_eq!(ring.cookieless_before("clinic", before, &[1], "agent"), hashes[&before], "{now}");
            }
            ring.maintain(now, |_| Some(today)).expect("written");
            let now_held = salts(&dir);
            for gone in held.iter().filter(|day| !now_held.contains(day)) {
                let after = now.duration_since(ended(*gone)).as_mins();
                assert!((23 * 60..=25 * 60 + 10).contains(&after), "{gone} in {zone:?}: {after} minutes");
                assert_eq!(
                    ring.cookieless_before("clinic", *gone, &[1], "agent"),
                    0,
                    "it is gone from memory"
                );
                looked += 1;
            }
            held = now_held;
            now = now.checked_add(step).expect("in range");
        }
    }
    assert_eq!(looked, 11 * 4, "the first four salts of each were seen to go");
}

#[test]
fn the_salt_of_a_site_that_is_not_configured_any_more_goes_within_38_hours() {
    for zone in ["Pacific/Kiritimati", "Etc/GMT+12", "UTC"] {
        let dir = Dir::new();
        let ring = dir.open();
        let zone = jiff::tz::TimeZone::get(zone).expect("a zone");
        let day = date(2026, 5, 10);
        ring.cookieless_visitor("removed", day, &[1], "agent");
        let ended = date(2026, 5, 11).to_zoned(zone).expect("in range").timestamp();
        let mut now = ended;
        while !salts(&dir).is_empty() {
            ring.maintain(now, |_| None).expect("written");
            now = now.checked_add(Span::new().minutes(30)).expect("in range");
            assert!(now.duration_since(ended).as_mins() <= 38 * 60 + 30);
        }
    }
}

#[test]
fn a_clock_that_jumps_costs_salts_and_never_prolongs_one() {
    let dir = Dir::new();
    let ring = dir.open();
    let today = date(2026, 5, 10);
    let at = |days: i64| today.saturating_add(days.days());
    let hash = |day: Date| ring.cookieless_visitor("clinic", day, &[1], "agent").expect("a salt");
    let before = hash(today);
    for (jump, kept) in [(1, true), (-1, true), (30, false), (-30, false), (2, false), (-2, false)] {
        let was = hash(today);
        hash(at(jump));
        ring.maintain(noon(at(jump)), |_| Some(at(jump))).expect("written");
        let held = salts(&dir);
        assert!(held.iter().all(|day| is_near(*day, at(jump))), "{jump} days: {held:?}");
        assert_eq!(held.contains(&today), kept, "{jump} days: {held:?}");
        assert_eq!(hash(today) == was, kept, "{jump} days");
        ring.maintain(noon(today), |_| Some(today)).expect("written");
        assert!(salts(&dir).iter().all(|day| is_near(*day, today)), "{jump} days and back");
    }
    assert_ne!(hash(today), before, "no jump brings a destroyed salt back");
}

#[test]
fn yesterdays_salt_is_found_if_a_neighbour_made_it_and_never_made_for_it() {
    let dir = Dir::new();
    let (ring, neighbour) = (dir.open(), dir.open());
    let (yesterday, today) = (date(2026, 5, 10), date(2026, 5, 11));
    ring.cookieless_visitor("clinic", today, &[1], "agent");
    assert_eq!(ring.cookieless_before("clinic", yesterday, &[1], "agent"), 0);
    assert_eq!(salts(&dir), [today]);
    // Its clock is behind.
    let hash = neighbour.cookieless_visitor("clinic", yesterday, &[1], "agent");
    assert_eq!(Some(ring.cookieless_before("clinic", yesterday, &[1], "agent")), hash);
    assert_eq!(ring.cookieless_before("shop", yesterday, &[1], "agent"), 0);
}

#[test]
fn an_exported_ring_has_no_salts() {
    let (from, to) = (Dir::new(), Dir::new());
    from.open().cookieless_visitor("clinic", date(2026, 5, 10), &[1], "agent");
    assert_eq!(salts(&from).len(), 1);
    let sealed = KeyRing::export(&from.config(), "a long passphrase").expect("sealed");
    KeyRing::import(&to.config(), &sealed, "a long passphrase").expect("opened");
    assert!(salts(&to).is_empty());
}

#[test]
fn a_destroyed_address_key_makes_its_addresses_unreadable_and_its_id_is_not_used_again() {
    let dir = Dir::new();
    let (ring, other) = (dir.open(), dir.open());
    let (stored, id) = ring.protect(&ip("192.0.2.1"), IpStorage::Encrypted, MONTH);
    assert_eq!(id, 20261101);
    assert!(ring.reveal(stored, id) == Some(ip("192.0.2.1")));
    ring.destroy_address_key(id).expect("destroyed");
    assert!(matches!(ring.destroy_address_key(id), Err(KeyError::Destroyed { .. })));
    assert!(matches!(ring.destroy_address_key(7), Err(KeyError::Unknown { id: 7 })));
    assert!(ring.reveal(stored, id).is_none());
    other.maintain(Timestamp::now(), |_| None).expect("read");
    assert!(other.reveal(stored, id).is_none(), "other processes follow");
    let (again, next) = ring.protect(&ip("192.0.2.1"), IpStorage::Encrypted, MONTH);
    assert_eq!(next, 20261102);
    assert_ne!(again, stored);
    assert!(dir.open().list().iter().any(|key| key.id == id && !key.destroyed.is_empty()));
    assert_eq!(ring.protect(&ip("192.0.2.1"), IpStorage::Encrypted, MONTH + 1).1, 20261201);
    assert_eq!(ring.protect(&ip("192.0.2.1"), IpStorage::Encrypted, MONTH + 2).1, 20270101);
}

#[test]
fn replacing_the_ring_overwrites_the_old_file() {
    let dir = Dir::new();
    let ring = dir.open();
    let old = std::fs::File::open(dir.keys().join("ring.toml")).expect("readable");
    ring.rotate_cookie_key().expect("written");
    let text = std::io::read_to_string(old).expect("still open");
    assert!(!text.is_empty() && text.bytes().all(|byte| byte == 0), "the replaced file still has its bytes");
}

#[test]
fn without_a_writable_directory_hits_go_on_and_nothing_unreadable_is_stored() {
    let dir = Dir::new();
    let ring = dir.open();
    // A directory in the place of the new file makes every change fail, for root too.
    let obstacle = dir.keys().join("ring.toml.new");
    std::fs::create_dir(&obstacle).expect("made");
    let day = date(2026, 11, 23);
    let visitor = ring.cookieless_visitor("clinic", day, &[1], "agent");
    assert_eq!(ring.cookieless_visitor("clinic", day, &[1], "agent"), visitor);
    assert_eq!(ring.protect(&ip("192.0.2.1"), IpStorage::Encrypted, MONTH), ([0; 16], 0));
    assert!(!dir.text().contains("[[salt]]"), "the fault did not fire");
    ring.maintain(noon(day), |_| Some(day)).expect_err("still in the way");
    std::fs::remove_dir(&obstacle).expect("removed");
    ring.maintain(noon(day), |_| Some(day)).expect("written");
    assert_eq!(dir.open().cookieless_visitor("clinic", day, &[1], "agent"), visitor);
}

/// The first three are all that draft-denis-ipcrypt gives for its deterministic mode;
/// the one for IPv6 is from the tests of its Go implementation.
#[test]
fn addresses_are_encrypted_by_the_published_vectors() {
    for (key, address, expected) in [
        ("0123456789abcdeffedcba9876543210", "0.0.0.0", "bde9:6789:d353:824c:d7c6:f58a:6bd2:26eb"),
        ("1032547698badcfeefcdab8967452301", "255.255.255.255", "aed2:92f6:ea23:58c3:48fd:8b8:74e8:45d8"),
        ("2b7e151628aed2a6abf7158809cf4f3c", "192.0.2.1", "1dbd:c1b9:fff1:7586:7d0b:67b4:e76e:4777"),
        ("2b7e151628aed2a6abf7158809cf4f3c", "2001:db8::1", "10ea:8047:d631:d47d:150d:53dc:6ff3:9302"),
    ] {
        let dir = Dir::new();
        // The first half of a ring's secret is the cipher's key.
        dir.write_plain(&format!(
            "\n[[key]]\npurpose = \"ip\"\nid = 20261101\ncreated = \"\"\nsecret = \"{key}{key}\"\n"
        ));
        let ring = dir.open();
        let (stored, id) = ring.protect(&ip(address), IpStorage::Encrypted, MONTH);
        assert_eq!((std::net::Ipv6Addr::from(stored).to_string().as_str(), id), (expected, 20261101));
        assert!(ring.reveal(stored, id) == Some(ip(address)));
    }
}

#[test]
fn addresses_are_stored_as_the_site_says() {
    let dir = Dir::new();
    let ring = dir.open();
    let truncated = |text| ring.protect(&ip(text), IpStorage::Truncated, MONTH);
    assert_eq!(truncated("192.0.2.1"), truncated("192.0.2.200"));
    assert!(ring.reveal(truncated("192.0.2.1").0, 20261101) == Some(ip("192.0.2.0")));
    assert_eq!(truncated("2001:db8:1::1"), truncated("2001:db8:1:ffff::2"));
    assert_ne!(truncated("2001:db8:1::1"), truncated("2001:db8:2::1"));
    assert_eq!(ring.protect(&ip("192.0.2.1"), IpStorage::None, MONTH), ([0; 16], 0));
}

#[test]
fn a_retired_cookie_key_verifies_for_13_months() {
    let dir = Dir::new();
    let ring = dir.open();
    let day = Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date();
    let old = ring.sign_cookie([1; 16], day);
    assert_eq!(ring.rotate_cookie_key().expect("written"), 2);
    assert!(ring.sign_cookie([1; 16], day).starts_with("v1.2."));
    assert_eq!(ring.verify_cookie(&old, day), Ok([1; 16]));
    let later = |months: i64| day.saturating_add(Span::new().months(months)).saturating_add(2.days());
    ring.maintain(noon(later(12)), |_| None).expect("written");
    assert_eq!(ring.verify_cookie(&old, later(12)), Ok([1; 16]));
    ring.maintain(noon(later(13)), |_| None).expect("written");
    assert_eq!(ring.verify_cookie(&old, day), Err(CookieError::UnknownKey));
    assert!(ring.verify_cookie(&ring.sign_cookie([1; 16], day), day).is_ok());
}

#[test]
fn cookies_are_refused_for_what_is_wrong_with_them() {
    let dir = Dir::new();
    let (ring, day) = (dir.open(), date(2026, 11, 23));
    let value = ring.sign_cookie([0xab; 16], day);
    assert!(value.starts_with("v1.1.20261123.abababababababababababababababab."), "{value}");
    assert!(value.len() <= MAX_VALUE_BYTES);
    let check =
        |value: &str, today, expected| assert_eq!(ring.verify_cookie(value, today), expected, "{value}");
    check(&value, date(2027, 12, 23), Ok([0xab; 16]));
    check(&value, date(2027, 12, 24), Err(CookieError::TooOld));
    check(&value, date(2026, 11, 22), Ok([0xab; 16]));
    check(&value, date(2026, 11, 21), Err(CookieError::FromTheFuture));
    check(&value.replace("v1.1.", "v1.2."), day, Err(CookieError::UnknownKey));
    check(&value.replace("v1.1.", "v1.01."), day, Err(CookieError::Forged));
    check(&value.replace("v1.1.", "v2.1."), day, Err(CookieError::Form));
    check(&value.replace("20261123", "20261124"), day, Err(CookieError::Forged));
    check(&value.replace("20261123", "20261399"), day, Err(CookieError::Form));
    check(&value.to_uppercase().replace("V1", "v1"), day, Err(CookieError::Form));
    for text in [
        "",
        ".",
        "v1",
        "v1....",
        "v1.1.20261123..",
        "v1.1.20261123.00.00",
        &"v1.".repeat(1000),
        "v1.-1.20261123.a.b",
    ] {
        assert!(ring.verify_cookie(text, day).is_err(), "{text}");
    }
    let stranger = Dir::new().open();
    assert_eq!(stranger.verify_cookie(&value, day), Err(CookieError::Forged));
}

#[test]
fn user_keys_need_the_sites_signature() {
    // echo -n clinic:patient-1 | openssl dgst -sha256 -hmac secret
    let mac = "655051db4983fc299a5a98385af8de4826a41246a36aad61402b0c48728459a6";
    let check = |text: &str, expected| {
        assert_eq!(KeyRing::verify_user_key(b"secret", "clinic", text), expected, "{text}")
    };
    check(&format!("patient-1.{mac}"), Ok("patient-1"));
    check(&format!("patient-2.{mac}"), Err(UserKeyError::Forged));
    check(&format!("patient-1.{}", mac.to_uppercase()), Err(UserKeyError::Form));
    for text in
        ["", ".", "patient-1", "patient-1.", &format!(".{mac}"), &format!("{}.{mac}", "x".repeat(129))]
    {
        check(text, Err(UserKeyError::Form));
    }
    assert_eq!(
        KeyRing::verify_user_key(b"secret", "shop", &format!("patient-1.{mac}")),
        Err(UserKeyError::Forged)
    );
}

proptest! {
    #[test]
    fn altered_bytes_never_verify(id: [u8; 16], position in 0usize..200, replacement: u8) {
        thread_local! {
            static RING: KeyRing = Dir::new().open();
        }
        let day = date(2026, 11, 23);
        RING.with(|ring| {
            let value = ring.sign_cookie(id, day);
            prop_assert_eq!(ring.verify_cookie(&value, day), Ok(id));
            let mut bytes = value.clone().into_bytes();
            let position = position % bytes.len();
            bytes[position] = replacement;
            if let Ok(altered) = String::from_utf8(bytes) {
                prop_assert_eq!(ring.verify_cookie(&altered, day).is_ok(), altered == value);
            }
            // Cut and lengthened values do not pass either.
            prop_assert!(ring.verify_cookie(&value[..position], day).is_err());
            let longer = format!("{value}0");
            prop_assert!(ring.verify_cookie(&longer, day).is_err());
            Ok(())
        })?;
    }
}

#[test]
fn a_ring_of_before_takes_backup_keys_whose_ids_are_never_used_twice() {
    let dir = tempfile::tempdir().expect("a directory");
    let dir = Keys::in_dir(&dir.path().join("keys"));
    let keys = KeyRing::open(&dir).expect("a ring");
    assert!(keys.list().iter().all(|key| key.purpose != Purpose::Backup), "a fresh ring has none");
    let first = keys.make_backup_key().expect("made");
    let second = keys.make_backup_key().expect("made");
    assert_eq!((first, second), (1, 2));
    assert!(keys.backup_cipher(1).is_ok());
    assert!(matches!(keys.backup_cipher(3), Err(KeyError::Unknown { id: 3 })));
    assert!(keys.destroy_backup_keys(Timestamp::UNIX_EPOCH, None).expect("none is due").is_empty());
    assert_eq!(keys.destroy_backup_keys(Timestamp::MAX, None).expect("both are"), [1, 2]);
    assert!(matches!(keys.backup_cipher(1), Err(KeyError::Destroyed { id: 1, .. })));
    assert_eq!(KeyRing::open(&dir).expect("it reads back").make_backup_key().expect("made"), 3);
    assert!(
        keys.list().iter().filter(|key| key.purpose == Purpose::Cookie).count() == 1,
        "no other key went"
    );
}

#[test]
fn a_rotated_address_key_encrypts_no_more_and_still_reveals() {
    let dir = Dir::new();
    let (ring, other) = (dir.open(), dir.open());
    let protect = |ring: &KeyRing, month| ring.protect(&ip("192.0.2.1"), IpStorage::Encrypted, month);
    let (old, id) = protect(&ring, MONTH);
    let next_month = protect(&ring, MONTH + 1);
    assert_eq!(ring.rotate_address_key(MONTH).expect("written"), id + 1);
    let (new, new_id) = protect(&ring, MONTH);
    assert_eq!(new_id, id + 1);
    assert_ne!(new, old);
    assert_eq!(protect(&ring, MONTH + 1), next_month, "another month's key stays");
    assert!(
        ring.reveal(old, id) == Some(ip("192.0.2.1")) && ring.reveal(new, new_id) == Some(ip("192.0.2.1"))
    );
    other.maintain(Timestamp::now(), |_| None).expect("read");
    assert_eq!(protect(&other, MONTH), (new, new_id));
    // Without the month's newest key a new one is made, not an old one used again.
    ring.destroy_address_key(new_id).expect("destroyed");
    assert_eq!(protect(&ring, MONTH).1, id + 2);
    // A month that has no key yet gets its first; 99 are all it can have.
    assert_eq!(ring.rotate_address_key(MONTH + 2).expect("written"), 20270101);
    for _ in 2..100 {
        ring.rotate_address_key(MONTH + 2).expect("written");
    }
    assert!(matches!(ring.rotate_address_key(MONTH + 2), Err(KeyError::NoIdLeft { purpose: Purpose::Ip })));
    assert_eq!(protect(&ring, MONTH + 2).1, 20270199);
}

#[test]
fn a_destroyed_cookie_key_is_refused_at_once_and_never_comes_back() {
    let dir = Dir::new();
    let (ring, day) = (dir.open(), date(2026, 11, 23));
    let old = ring.sign_cookie([1; 16], day);
    ring.rotate_cookie_key().expect("written");
    let current = ring.sign_cookie([2; 16], day);
    ring.destroy(Purpose::Cookie, 1).expect("destroyed");
    assert_eq!(ring.verify_cookie(&old, day), Err(CookieError::UnknownKey));
    assert_eq!(ring.verify_cookie(&current, day), Ok([2; 16]), "the others stay");
    // The one that signs is replaced in the same change.
    ring.destroy(Purpose::Cookie, 2).expect("destroyed");
    assert_eq!(ring.verify_cookie(&current, day), Err(CookieError::UnknownKey));
    assert!(ring.sign_cookie([3; 16], day).starts_with("v1.3."));
    assert_eq!(dir.open().verify_cookie(&current, day), Err(CookieError::UnknownKey));
    for purpose in [Purpose::Visitor, Purpose::UserKey, Purpose::Limiter, Purpose::Audit] {
        assert!(matches!(ring.destroy(purpose, 1), Err(KeyError::Permanent { .. })));
    }
    assert!(matches!(ring.destroy(Purpose::Backup, 1), Err(KeyError::Unknown { id: 1 })));
}
