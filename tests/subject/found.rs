//! Who is meant, and a copy of what is held.

use crate::place::{contains, files_below};
use crate::{ADDRESS, Browser, PURPOSE, place, stored};

#[test]
fn a_person_is_found_by_cookie_by_user_key_and_by_address_and_gets_a_copy() {
    let place = place();
    let server = place.serve();
    let (mut anna, mut shared, mut boris) = (
        Browser::of("anna-key-1", ADDRESS),
        Browser::of("anna-key-1", "198.51.100.9"),
        Browser::new("198.51.100.20"),
    );
    for page in 0..5 {
        anna.view(&server, "clinic", &format!("/anna/{page}"));
        boris.view(&server, "clinic", &format!("/boris/{page}"));
    }
    anna.view(&server, "other", "/anna-elsewhere");
    shared.view(&server, "clinic", "/family/1");
    shared.user_key = Some("mother-key-1");
    shared.view(&server, "clinic", "/family/2");
    stored(&server, "clinic", 12);

    let find = |arguments: &[&str], input: &str| {
        let mut all = vec!["subject", "find", "--site", "clinic", "--purpose", PURPOSE];
        all.extend_from_slice(arguments);
        place.done(&all, input)
    };
    let by_cookie = find(&["--cookie", "-"], anna.value());
    assert_eq!(
        (by_cookie["rows"].as_u64(), by_cookie["blocked"].as_bool()),
        (Some(5), Some(false)),
        "{by_cookie}"
    );
    assert_eq!(by_cookie["subjects"].as_array().map(Vec::len), Some(1));
    // Her own browser as a whole, and of the shared one her hits alone.
    let by_key = find(&["--user", "anna-key-1"], "");
    assert_eq!(by_key["rows"], 6, "{by_key}");
    assert!(
        by_key["notes"].to_string().contains("1 browsers were used with another user key too"),
        "{by_key}"
    );
    let (from, to) = ("2020-01-01T00:00:00Z", "2100-01-01T00:00:00Z");
    let by_address = find(&["--ip", ADDRESS, "--from", from, "--to", to], "");
    assert_eq!(by_address["rows"], 5, "{by_address}");
    let nobody = find(&["--ip", "192.0.2.200", "--from", from, "--to", to], "");
    assert_eq!((nobody["rows"].as_u64(), nobody["first"].is_null()), (Some(0), true), "{nobody}");

    let export = |format: &str| {
        let arguments = [
            "subject",
            "export",
            "--site",
            "clinic",
            "--purpose",
            PURPOSE,
            "--format",
            format,
            "--cookie",
            "-",
        ];
        let output = place.run(&arguments, anna.value());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        // `--json` is among the arguments: what is not JSON itself stands in it.
        let answer: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
        answer["text"].as_str().map_or_else(|| answer.to_string(), str::to_owned)
    };
    let copy: serde_json::Value = serde_json::from_str(&export("json")).expect("JSON");
    let rows = copy["rows"].as_array().expect("rows");
    assert_eq!(rows.len(), 5);
    for (number, row) in rows.iter().enumerate() {
        assert_eq!(row["path"], format!("/anna/{number}"));
        assert_eq!(row["ip"], ADDRESS, "her own address is told");
        let fields = row.as_object().expect("an object").keys();
        let told = copy["fields"]
            .as_array()
            .expect("fields")
            .iter()
            .map(|field| field["name"].as_str().expect("text"));
        assert!(
            fields.eq(told.collect::<std::collections::BTreeSet<_>>()),
            "each field is told, and no other"
        );
    }
    for field in copy["fields"].as_array().expect("fields") {
        for part in ["meaning", "meaning_ru", "source", "kept"] {
            assert!(field[part].as_str().is_some_and(|text| !text.is_empty()), "{field}");
        }
    }
    let page = export("html");
    assert!(page.contains("/anna/4") && page.contains(ADDRESS) && !page.contains("/boris"), "{page}");
    assert!(
        page.contains("обращения без этой cookie") && page.contains("hits without this cookie"),
        "{page}"
    );
    assert_eq!(export("csv").lines().filter(|line| line.contains("/anna/")).count(), 5);

    // Nothing that identifies her is written anywhere by that.
    let mut files = Vec::new();
    files_below(&place.data(), &mut files);
    for (path, bytes) in &files {
        for secret in [anna.value(), "anna-key-1", ADDRESS] {
            assert!(!contains(bytes, secret.as_bytes()), "{secret} is in {}", path.display());
        }
    }
    println!("4 ways to find, 3 forms of a copy, {} files without what identifies her", files.len());
    let (_, log) = server.terminate();
    assert!(!log.contains(anna.value()) && !log.contains("anna-key-1") && !log.contains(ADDRESS), "{log}");
}

#[test]
fn who_cannot_be_meant_is_refused_with_the_reason_and_without_the_value() {
    let place = place();
    let server = place.serve();
    let mut anna = Browser::new(ADDRESS);
    anna.view(&server, "clinic", "/anna");
    let last = if anna.value().ends_with('0') { '1' } else { '0' };
    let forged = format!("{}{last}", &anna.value()[..anna.value().len() - 1]);
    let long = "x".repeat(501);
    for (arguments, code, expected) in [
        (vec!["--site", "clinic", "--purpose", PURPOSE], 2, "who is meant is not said"),
        (
            vec!["--site", "nowhere", "--purpose", PURPOSE, "--user", "k"],
            2,
            "no site \"nowhere\" is configured",
        ),
        (
            vec!["--site", "clinic", "--purpose", PURPOSE, "--cookie", "v1.nonsense"],
            1,
            "the cookie identifies nobody",
        ),
        (
            vec!["--site", "clinic", "--purpose", PURPOSE, "--cookie", &forged],
            1,
            "the cookie identifies nobody",
        ),
        (vec!["--site", "clinic", "--purpose", " ", "--user", "k"], 2, "purpose: expected one line"),
        (vec!["--site", "clinic", "--purpose", &long, "--user", "k"], 2, "purpose: expected one line"),
        (vec!["--site", "clinic", "--user", "k"], 2, "--purpose"),
        (
            vec![
                "--site",
                "clinic",
                "--purpose",
                PURPOSE,
                "--ip",
                "300.1.1.1",
                "--from",
                "2026-01-01",
                "--to",
                "2026-02-01",
            ],
            2,
            "--ip: expected",
        ),
        (
            vec![
                "--site",
                "clinic",
                "--purpose",
                PURPOSE,
                "--ip",
                ADDRESS,
                "--from",
                "yesterday",
                "--to",
                "2026-02-01",
            ],
            2,
            "--from: expected a moment",
        ),
        (
            vec![
                "--site",
                "clinic",
                "--purpose",
                PURPOSE,
                "--ip",
                ADDRESS,
                "--from",
                "2026-03-01",
                "--to",
                "2026-02-01",
            ],
            2,
            "is not before --to",
        ),
    ] {
        let mut all = vec!["subject", "find"];
        all.extend(&arguments);
        let error = place.refused(&all, "", code);
        assert!(error.contains(expected), "{arguments:?}: {error}");
        assert!(!error.contains(&forged) && !error.contains("v1.nonsense"), "{error}");
    }
    assert_eq!(server.terminate().0, Some(0));
}
