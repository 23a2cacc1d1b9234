//! Who came over the threshold is told once, also where the memory is made anew; after a restart again,
//! and the reader is told of the restart.

use super::*;

#[test]
fn an_alert_comes_once_and_after_a_restart_the_reader_is_told_so_and_misses_nobody() {
    let place = place();
    let server = place.serve();
    let security = token(&server, "security", None);
    let mut thief = Browser::new(IN_RUSSIA);
    let mut other = Browser::new(IN_RUSSIA);
    other.view(&server, "clinic", "/");
    for (address, path) in [(IN_RUSSIA, "/"), (IN_AMERICA, "/payment/done"), (IN_JAPAN, "/payment/done")] {
        thief.address = address;
        thief.view(&server, "clinic", path);
    }
    remembered(&server, "clinic");
    let first = alerts(&server, &security, 0, 25);
    assert_eq!((first["alerts"].as_array().map(Vec::len), &first["restarted"]), (Some(1), &json!(false)));
    let alert = first["alerts"][0].clone();
    let cursor = first["next"].as_u64().expect("a number");
    assert_eq!(alert["number"], cursor);

    // A block of somebody else has the memory made anew, which remembers who was told of.
    let arguments = ["subject", "block", "--site", "clinic", "--cookie", "-", "--purpose", "asked"];
    place.done(&arguments, other.value());
    remembered(&server, "clinic");
    thief.view(&server, "clinic", "/");
    remembered(&server, "clinic");
    let same = alerts(&server, &security, cursor, 0);
    assert_eq!(
        (&same["alerts"], &same["next"], &same["restarted"]),
        (&json!([]), &json!(cursor), &json!(false))
    );

    server.terminate();
    let server = place.serve();
    let told = alerts(&server, &security, cursor, 25);
    assert_eq!(told["restarted"], true, "{told}");
    remembered(&server, "clinic");
    let since = alerts(&server, &security, cursor, 25);
    assert_eq!(
        (since["restarted"].clone(), since["alerts"].as_array().map(Vec::len)),
        (json!(true), Some(1))
    );
    let again = &since["alerts"][0];
    assert_eq!(again["subject"], alert["subject"]);
    assert!(again["number"].as_u64() > Some(cursor), "{again} after {cursor}");
    // From there on it is as before.
    let next = since["next"].as_u64().expect("a number");
    let after = alerts(&server, &security, next, 0);
    assert_eq!((&after["alerts"], &after["restarted"]), (&json!([]), &json!(false)));
    server.terminate();
}
