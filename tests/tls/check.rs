//! `metka check` and the start of the server name the file and the fault.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::pem::{Pair, openssl};
use crate::{NAME, configured};

/// Runs `metka check` and gives the finding about the collect address.
fn finding(dir: &Path, pair: &Pair) -> (String, String) {
    std::fs::write(dir.join("metka.toml"), configured(pair)).expect("written");
    let output = Command::new(env!("CARGO_BIN_EXE_metka"))
        .args(["check", "--json", "--config", "metka.toml"])
        .current_dir(dir)
        .output()
        .expect("the binary runs");
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let found = report["findings"].as_array().expect("findings").iter();
    let found = found.filter(|finding| finding["what"] == "collect TLS").collect::<Vec<_>>();
    assert_eq!(found.len(), 1, "{report}");
    assert_eq!(found[0]["state"] == "WRONG", output.status.code() == Some(2), "{report}");
    let text = |name: &str| found[0][name].as_str().expect("text").to_owned();
    (text("state"), text("text"))
}

/// The certificate with other dates: nobody checks the signature of their own.
fn dated(dir: &Path, pair: &Pair, until: &str) -> Pair {
    let der = pair.der();
    let mut changed = der.clone();
    // The second of the two times: tag, length 13, digits, Z.
    let times: Vec<usize> = (0..der.len() - 15)
        .filter(|at| der[*at..].starts_with(&[0x17, 13]) && der[at + 14] == b'Z')
        .collect();
    assert_eq!(times.len(), 2, "the two ends of the validity");
    changed[times[1] + 2..times[1] + 15].copy_from_slice(until.as_bytes());
    if until < "30" {
        changed[times[0] + 2..times[0] + 4].copy_from_slice(b"20");
    }
    std::fs::write(dir.join("dated.der"), changed).expect("written");
    openssl(dir, &["x509", "-inform", "DER", "-in", "dated.der", "-out", "dated.pem"]);
    Pair { certificate: dir.join("dated.pem"), key: pair.key.clone() }
}

#[test]
fn each_fault_of_certificate_and_key_is_named_with_its_file() {
    let dir = tempfile::tempdir().expect("a directory");
    let dir = dir.path();
    let good = Pair::elliptic(dir, "good", NAME);
    let other = Pair::elliptic(dir, "other", NAME);
    let write = |name: &str, text: &str, mode: u32| {
        let path = dir.join(name);
        std::fs::write(&path, text).expect("written");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("changed");
        path
    };
    let text = |path: &Path| std::fs::read_to_string(path).expect("readable");
    let (certificate, key) = (text(&good.certificate), text(&good.key));
    openssl(dir, &["pkcs8", "-topk8", "-in", "good.key", "-out", "locked.key", "-passout", "pass:secret"]);
    std::fs::set_permissions(dir.join("locked.key"), std::fs::Permissions::from_mode(0o600))
        .expect("changed");
    openssl(dir, &["ecparam", "-name", "secp256k1", "-genkey", "-noout", "-out", "odd.key"]);
    let with =
        |certificate: &Path, key: &Path| Pair { certificate: certificate.to_owned(), key: key.to_owned() };
    let (state, said) = finding(dir, &good);
    assert!(state == "ok" && said.contains("good.pem and its key fit together"), "{state} {said}");
    let chain = write("chain.pem", &format!("{certificate}{}", text(&other.certificate)), 0o644);
    assert_eq!(finding(dir, &with(&chain, &good.key)).0, "ok");
    let group = write("group.key", &key, 0o640);
    assert_eq!(finding(dir, &with(&good.certificate, &group)).0, "ok");

    let cut = certificate.replace("-----END CERTIFICATE-----", "");
    let garbled = certificate.replacen("MII", "M!!", 1);
    // Well-formed base64 of what is no certificate.
    let empty = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";
    let many = certificate.repeat(17);
    let long = "x".repeat((1 << 20) + 1);
    let faults = [
        (with(&dir.join("missing.pem"), &good.key), "missing.pem: No such file"),
        (with(&good.certificate, &dir.join("missing.key")), "missing.key: No such file"),
        (with(dir, &good.key), "it is not a file"),
        (with(&write("empty.pem", "", 0o644), &good.key), "empty.pem: it holds no BEGIN CERTIFICATE section"),
        (with(&good.key, &good.key), "good.key: it holds no BEGIN CERTIFICATE section"),
        (
            with(&write("cut.pem", &cut, 0o644), &good.key),
            "cut.pem: it is not well-formed PEM: a section has no END",
        ),
        (
            with(&write("garbled.pem", &garbled, 0o644), &good.key),
            "garbled.pem: it is not well-formed PEM: a section is not base64",
        ),
        (
            with(&write("hollow.pem", empty, 0o644), &good.key),
            "hollow.pem: certificate 1 in it cannot be read",
        ),
        (
            with(&write("second.pem", &format!("{certificate}{empty}"), 0o644), &good.key),
            "second.pem: certificate 2 in it",
        ),
        (with(&write("many.pem", &many, 0o644), &good.key), "many.pem: it holds 17 certificates, at most 16"),
        (with(&write("long.pem", &long, 0o644), &good.key), "long.pem: it has 1048577 bytes"),
        (with(&good.certificate, &write("world.key", &key, 0o644)), "world.key: its mode is 0644"),
        (with(&good.certificate, &write("shared.key", &key, 0o660)), "shared.key: its mode is 0660"),
        (with(&good.certificate, &write("none.key", "nothing", 0o600)), "none.key: it holds no private key"),
        (
            with(&good.certificate, &dir.join("locked.key")),
            "locked.key: its key is protected by a passphrase",
        ),
        (with(&good.certificate, &dir.join("odd.key")), "odd.key: its key is of no kind that can sign"),
        (with(&good.certificate, &other.key), "other.key: its key is not the one of the certificate in"),
        (
            dated(dir, &good, "240101000000Z"),
            "dated.pem: the certificate has expired at 2024-01-01T00:00:00Z",
        ),
    ];
    let count = faults.len();
    for (pair, expected) in faults {
        let (state, said) = finding(dir, &pair);
        assert!(state == "WRONG" && said.contains(expected), "expected {expected:?}, found {state} {said:?}");
        // Nothing of the key is repeated.
        for line in key.lines().filter(|line| !line.starts_with("---")) {
            assert!(!said.contains(line), "{said}");
        }
    }
    let elsewhere = Pair::elliptic(dir, "elsewhere", "elsewhere.example");
    let (state, said) = finding(dir, &elsewhere);
    assert!(state == "lacking" && said.contains(&format!("not for {NAME}")), "{state} {said}");
    let soon = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(24);
    let soon = soon.strftime("%y%m%d%H%M%SZ").to_string();
    let (state, said) = finding(dir, &dated(dir, &good, &soon));
    assert!(state == "lacking" && said.contains("expires at"), "{state} {said}");
    println!("{count} faults of certificate and key are named, each with its file");
}

#[test]
fn a_server_with_a_broken_certificate_does_not_start() {
    let dir = tempfile::tempdir().expect("a directory");
    let pair = Pair::elliptic(dir.path(), "good", NAME);
    std::fs::write(&pair.key, "").expect("written");
    std::fs::write(dir.path().join("metka.toml"), configured(&pair)).expect("written");
    let output = Command::new(env!("CARGO_BIN_EXE_metka"))
        .args(["serve", "--config", "metka.toml"])
        .current_dir(dir.path())
        .env("METKA_COLLECT__LISTEN", "127.0.0.1:0")
        .env("METKA_WEB__LISTEN", "127.0.0.1:0")
        .output()
        .expect("the binary runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("good.key: it holds no private key"), "{said}");
}
