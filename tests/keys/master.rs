//! The master key's places, a wrong one, and another one beside a running server.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::{Place, kid, stored, visit};

const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
const OTHER: &str = "ff0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1eff";
const VARIABLE: &str = "METKA_KEYS__MASTER_KEY";
const FILE_VARIABLE: &str = "METKA_KEYS__MASTER_KEY_FILE";

fn write(path: &Path, text: &str, mode: u32) -> PathBuf {
    std::fs::write(path, text).expect("written");
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("own file");
    path.to_owned()
}

/// Starts and stops a server, whose visitor's cookie stays good.
fn goes_on(place: &Place, cookie: &mut Option<String>) {
    let server = place.serve();
    let reply = visit(&server, "192.0.2.1", "/", cookie.as_deref().unwrap_or_default());
    match cookie {
        Some(_) => assert_eq!(reply.cookie("metka"), None, "the ring is the same"),
        None => *cookie = reply.cookie("metka"),
    }
    assert_eq!(server.terminate().0, Some(0));
}

#[test]
fn the_same_key_opens_the_ring_from_each_place_and_another_changes_nothing() {
    let place = Place::new().and(VARIABLE, KEY);
    let mut cookie = None;
    goes_on(&place, &mut cookie);
    assert!(!place.keys().join("master.key").exists(), "none is made where one is given");
    let ring = std::fs::read(place.keys().join("ring.toml")).expect("readable");
    let unchanged = |place: &Place| {
        assert_eq!(std::fs::read(place.keys().join("ring.toml")).expect("readable"), ring);
    };
    let findings = place.checked_keys();
    assert!(findings.contains(VARIABLE) && !findings.contains(KEY), "{findings}");

    // The wrong key, from any place: said by name, and nothing is written.
    let place = place.and(VARIABLE, OTHER);
    for (arguments, code) in [(&["serve"][..], 1), (&["keys", "rotate"], 1), (&["check"], 2)] {
        let output = place.run(arguments, "");
        let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert_eq!(output.status.code(), Some(code), "{text}");
        assert!(
            text.contains("ring.toml: wrapped under another master key than that in METKA_KEYS__MASTER_KEY"),
            "{text}"
        );
        assert!(!text.contains(OTHER) && !text.contains(KEY), "{text}");
    }
    unchanged(&place);
    assert_eq!(place.ids("cookie").0, [1], "a list needs no master key");
    // None at all.
    let place = place.and(VARIABLE, KEY);
    let plain = Place { environment: Vec::new(), ..place };
    let error = plain.refused(&["keys", "rotate"], "", 1);
    assert!(error.contains("there is none in") && error.contains("master.key"), "{error}");
    unchanged(&plain);
    assert!(!plain.keys().join("master.key").exists());

    // In a file, and as a credential.
    let file = write(&plain.path().join("master"), &format!("{KEY}\n"), 0o600);
    let place = plain.and(FILE_VARIABLE, file.to_str().expect("plain"));
    goes_on(&place, &mut cookie);
    write(&file, KEY, 0o640);
    let error = place.refused(&["serve"], "", 1);
    assert!(error.contains("master: mode 0640") && error.contains("0600"), "{error}");
    std::fs::remove_file(&file).expect("removed");
    let error = place.refused(&["serve"], "", 1);
    assert!(error.contains("there is none in") && !file.exists(), "{error}");
    let credentials = place.path().join("credentials");
    std::fs::create_dir(&credentials).expect("made");
    // systemd's access list shows as group bits.
    write(&credentials.join("metka-master-key"), KEY, 0o440);
    let place = Place { environment: Vec::new(), ..place };
    let place = place.and("CREDENTIALS_DIRECTORY", credentials.to_str().expect("plain"));
    goes_on(&place, &mut cookie);

    // Two places are a mistake of the configuration, whatever is in them.
    let place = place.and(VARIABLE, KEY);
    for arguments in [&["serve"][..], &["check"], &["keys", "list"]] {
        let error = place.refused(arguments, "", 2);
        assert!(error.contains("exactly one is used") && error.contains("credential"), "{error}");
    }
    println!(
        "1 ring, its key from 3 places: the same cookie each time; 2 places at once and 4 wrong or missing keys refused"
    );
}

#[test]
fn another_master_key_beside_a_running_server_loses_nothing() {
    let place = Place::new();
    let server = place.serve();
    let cookie = visit(&server, "192.0.2.1", "/a", "").cookie("metka").expect("a cookie");
    let (master, ring) = (place.keys().join("master.key"), place.keys().join("ring.toml"));
    let read = |path: &Path| std::fs::read_to_string(path).expect("readable");
    let (old_master, old_ring) = (read(&master), read(&ring));

    let done = place.done(&["keys", "rewrap"], "");
    assert_eq!((done["master_key_file"].as_str(), &done["is_configured"]), (master.to_str(), &true.into()));
    assert_ne!(read(&master), old_master);
    // The server writes to the ring under the new key: a backup's key, and the rest goes on.
    place.done(&["backup"], "");
    assert_eq!(visit(&server, "192.0.2.1", "/b", &cookie).cookie("metka"), None);

    // To a file, which the server is told of although its configuration is older.
    let elsewhere = place.path().join("elsewhere");
    let done = place.done(&["keys", "rewrap", "--to", "elsewhere"], "");
    assert_eq!(
        (done["master_key_file"].as_str(), &done["is_configured"]),
        (elsewhere.to_str(), &false.into())
    );
    assert_eq!(std::fs::metadata(&elsewhere).expect("made").permissions().mode() & 0o7777, 0o600);
    let place = place.and(FILE_VARIABLE, elsewhere.to_str().expect("plain"));
    place.done(&["backup"], "");
    assert_eq!(visit(&server, "192.0.2.1", "/c", &cookie).cookie("metka"), None);
    // One that the server cannot have: refused before anything is changed.
    let wide = write(&place.path().join("wide"), KEY, 0o644);
    let before = read(&ring);
    let error = place.refused(&["keys", "rewrap", "--to", "wide"], "", 1);
    assert!(error.contains("wide: mode 0644"), "{error}");
    assert_eq!((read(&ring), wide.exists()), (before, true));
    server.settled("clinic");
    assert_eq!(stored(&server).len(), 3);
    assert_eq!(server.terminate().0, Some(0));

    // The next start finds all of it under the new key.
    let mut cookie = Some(cookie);
    goes_on(&place, &mut cookie);
    assert_eq!(place.ids("backup").0.len(), 2);
    let findings = place.checked_keys();
    assert!(
        findings.contains("elsewhere") && findings.contains("is not used and better removed"),
        "{findings}"
    );
    // The old ring opens under the old key, and under no other.
    std::fs::write(&ring, &old_ring).expect("written");
    assert!(place.refused(&["keys", "rotate"], "", 1).contains("another master key"));
    write(&elsewhere, &old_master, 0o600);
    assert_eq!(place.done(&["keys", "rotate", "cookie"], "")["made"][0]["id"], 2);
    // Where the key is not in a file of ours, the new one's place has to be named.
    let fixed = Place { environment: Vec::new(), ..place }.and(VARIABLE, old_master.trim());
    assert!(fixed.refused(&["keys", "rewrap"], "", 2).contains("--to"));
    println!("2 replacements of the master key beside a running server: 0 keys lost, 0 cookies replaced");
}

#[test]
fn a_plain_ring_of_before_is_wrapped_by_the_first_start() {
    let place = Place::new();
    std::fs::create_dir_all(place.keys()).expect("made");
    for dir in [place.path().join("data"), place.keys()] {
        std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o700)).expect("own directory");
    }
    let mut text = "version = 1\n".to_owned();
    for (at, purpose) in ["cookie", "visitor", "user-key", "limiter"].iter().enumerate() {
        let secret = format!("{at}{}", "ab".repeat(32)).chars().take(64).collect::<String>();
        text.push_str(&format!(
            "\n[[key]]\npurpose = \"{purpose}\"\nid = 1\ncreated = \"2026-01-01T00:00:00Z\"\nsecret = \"{secret}\"\n"
        ));
    }
    text.push_str("\n[[destroyed]]\npurpose = \"ip\"\nid = 20260101\nat = \"2026-06-01T00:00:00Z\"\n");
    let ring = write(&place.keys().join("ring.toml"), &text, 0o600);
    let findings = place.checked_keys();
    assert!(findings.contains("plain until the next start"), "{findings}");
    assert_eq!(std::fs::read_to_string(&ring).expect("readable"), text, "a check changes nothing");
    let server = place.serve();
    let cookie = visit(&server, "192.0.2.1", "/", "").cookie("metka").expect("a cookie");
    assert_eq!(kid(&cookie), 1);
    assert_eq!(server.terminate().0, Some(0));
    let now = std::fs::read_to_string(&ring).expect("readable");
    assert!(now.starts_with("version = 2") && !now.contains("abababab"), "no secret is left as it was");
    assert_eq!((place.ids("cookie").0, place.ids("ip").1), (vec![1], vec![20260101]));
}
