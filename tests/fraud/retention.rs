//! What is past its term is in no check once retention ran: rows of days that are remembered go, or lose a value.

use super::*;

/// Keyed hashes of made-up visitors, and of a user key.
const GONE: u64 = 0xa1;
const SHORTER: u64 = 0xa2;
const PLACELESS: u64 = 0xa3;
const USER: u64 = 0xb1;

fn of(server: &Server, token: &str, visitor: u64) -> Value {
    checked(server, token, json!({ "subject": format!("{visitor:016x}") }))
}

#[test]
fn what_retention_takes_out_is_in_no_check() {
    let place = place();
    let server = place.serve();
    let security = token(&server, "security", None);
    let mut blocked = Browser::new(IN_RUSSIA);
    blocked.view(&server, "clinic", "/");
    remembered(&server, "clinic");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let storage = server.storage();
    let execute = |sql: &str| runtime.block_on(storage.execute(sql, &[])).expect("done");
    // The engine's own terms act at its merges, whenever it likes.
    execute("SYSTEM STOP TTL MERGES metka.hits");
    // Each hit says another country's language and clock, six days ago; some of its terms are of five.
    let insert = |row: u32, visitor: u64, days: u32, terms: [u16; 3]| {
        let [keep, city, user_key] = terms;
        execute(&format!(
            "INSERT INTO metka.hits (site, time, kind, visitor, identity, user_key, country, city, language, timezone, \
             keep_days, ip_days, city_days, user_key_days, props_days, batch, row) \
             SELECT 'clinic', now64(3) - INTERVAL {days} DAY, 'pageview', {visitor}, 'cookie', {USER}, 'RU', 'Yaroslavl', \
             'pt-br', 'America/New_York', {keep}, 90, {city}, {user_key}, 365, 77, {row}"
        ));
    };
    insert(1, GONE, 6, [5, 5, 5]);
    insert(2, SHORTER, 6, [5, 400, 400]);
    insert(3, SHORTER, 0, [400, 400, 400]);
    insert(4, PLACELESS, 6, [400, 5, 400]);
    // Hits of long ago come in with the next making.
    let arguments = ["subject", "block", "--site", "clinic", "--cookie", "-", "--purpose", "asked"];
    place.done(&arguments, blocked.value());

    let gone = of(&server, &security, GONE);
    assert_eq!(fired(&gone), ["time_zone", "language"], "{gone}");
    assert_eq!((&gone["seen"]["hits"], &gone["location"]["city"]), (&json!(1), &json!("Yaroslavl")));
    let shorter = of(&server, &security, SHORTER);
    assert_eq!(shorter["seen"]["hits"], 2);
    assert_eq!(of(&server, &security, PLACELESS)["location"]["city"], "Yaroslavl");

    let report = place.done(&["retention", "run"], "");
    let removed = |kind: &str| -> u64 {
        let kinds = report["kinds"].as_array().expect("a list").iter();
        kinds.filter(|one| one["kind"] == kind).filter_map(|one| one["removed"].as_u64()).sum()
    };
    assert_eq!((removed("raw"), removed("city")), (2, 1), "{report}");
    // That rows are as they are now is known once the memory is made again.
    wait_for("the memory to be made again", || {
        (of(&server, &security, PLACELESS)["location"]["city"] == "").then_some(())
    });
    let gone = of(&server, &security, GONE);
    assert_eq!((&gone["known"], &gone["signals"]), (&json!(false), &json!([])), "{gone}");
    let after = of(&server, &security, SHORTER);
    assert_eq!((&after["seen"]["hits"], &after["seen"]["first"]), (&json!(1), &shorter["seen"]["last"]));
    assert_eq!(fired(&after), ["time_zone", "language"], "of the hit that stays");
    server.terminate();
    let server = place.serve();
    assert_eq!(of(&server, &security, GONE)["known"], false);
    assert_eq!(of(&server, &security, SHORTER)["signals"], after["signals"]);
    server.terminate();
}
