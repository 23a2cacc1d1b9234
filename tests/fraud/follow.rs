//! How the memory follows storage where much is stored, and where somebody is blocked for a moment only.

use super::*;

/// More than an ordinary question may have rows in its answer.
const BATCHES: u64 = 110_000;

#[test]
fn a_site_with_more_batches_in_two_days_than_an_answer_has_rows_is_followed() {
    let place = place();
    let server = place.serve();
    let security = token(&server, "security", None);
    let mut visitor = Browser::new(IN_RUSSIA);
    visitor.view(&server, "clinic", "/");
    remembered(&server, "clinic");
    // Many threads and light, steady traffic: a batch has a hit or two.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let sql = format!(
        "INSERT INTO metka.hits (site, time, kind, visitor, identity, country, \
         keep_days, ip_days, city_days, user_key_days, props_days, batch, row) \
         SELECT 'clinic', now64(3) - INTERVAL number % 40 HOUR, 'pageview', 1000 + number % 50, 'cookie', 'RU', \
         400, 90, 400, 400, 365, 1000 + number, 1 FROM numbers({BATCHES})"
    );
    runtime.block_on(server.storage().execute(&sql, &[])).expect("inserted");
    let known = |visitor: &Browser, server: &Server| {
        checked(server, &security, json!({ "cookie": visitor.value() }))["seen"]["hits"].clone()
    };
    // That something was stored is noticed with what is shipped from here; then it is followed as before.
    for hits in 2..=3 {
        visitor.view(&server, "clinic", "/");
        assert_eq!(known(&visitor, &server), hits);
    }
    let inserted = checked(&server, &security, json!({ "subject": format!("{:016x}", 1000) }));
    assert_eq!(inserted["seen"]["hits"], BATCHES / 50, "{inserted}");
    server.terminate();
    let alone = place.done(&["fraud", "check", "--site", "clinic", "--cookie", "-"], visitor.value());
    assert_eq!(alone["seen"]["hits"], 3, "{alone}");
}

#[test]
fn whoever_is_unblocked_before_the_memory_is_made_again_is_in_it() {
    let place = place();
    let server = place.serve();
    let security = token(&server, "security", None);
    let mut people = [Browser::new(IN_RUSSIA), Browser::new(IN_RUSSIA)];
    for person in &mut people {
        person.view(&server, "clinic", "/");
        person.view(&server, "clinic", "/");
    }
    remembered(&server, "clinic");
    let job = |verb: &str, person: &Browser| {
        let arguments = ["subject", verb, "--site", "clinic", "--cookie", "-", "--purpose", "asked"];
        place.done(&arguments, person.value())
    };
    // The memory is made again, and the next time not at once.
    job("block", &people[1]);
    remembered(&server, "clinic");
    job("block", &people[0]);
    let known = || checked(&server, &security, json!({ "cookie": people[0].value() }))["known"].clone();
    job("unblock", &people[0]);
    wait_for("whoever was unblocked to be known again", || (known() == true).then_some(()));
    server.terminate();
}
