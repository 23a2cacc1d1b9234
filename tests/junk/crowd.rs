//! One address adds at most its share of new visitors to the numbers.

use serde_json::json;

use crate::server::Server;
use crate::{CHROME, ask, configured, view};

/// The default of `collect.max_new_visitors_per_address_per_day`.
const CAP: u64 = 50;

#[test]
fn visitors_beyond_the_share_of_their_address_are_kept_and_marked_and_others_unaffected() {
    let dir = configured("", "");
    let server = Server::start(dir.path(), &[]);
    let agent = |number: u64| CHROME.replace("131.0.0.0", &format!("131.0.0.{number}"));
    let (mut views, mut offered) = (0, 0);
    // Each comes twice, the second time with the cookie they were offered, if any.
    let mut visit = |address: &str, number: u64| {
        let agent = agent(number);
        let first = view(&server, address, "", &[("User-Agent", &agent)]);
        let cookie = first.cookie("metka");
        let mut headers = vec![("User-Agent", agent.as_str())];
        headers.extend(cookie.as_deref().map(|cookie| ("Cookie", cookie)));
        let second = view(&server, address, "", &headers);
        for reply in [first, second] {
            assert_eq!((reply.status, reply.header("x-metka")), (200, Some("ok")));
        }
        views += 2;
        offered += u64::from(cookie.is_some());
    };
    for number in 0..CAP + 20 {
        visit("192.0.2.1", number);
    }
    // The whole /64 is one address.
    for number in 0..CAP + 5 {
        visit(&format!("2001:db8::{number:x}"), number);
    }
    for number in 0..CAP + 20 {
        visit(&format!("198.51.100.{number}"), number);
    }
    // Who was counted comes again, and is counted again; who was not, is not.
    visit("192.0.2.1", CAP + 1);
    let (total, counted) = (views, CAP + CAP + CAP + 20);
    assert_eq!(server.settled("clinic")["stored"], total);
    let marked = 2 * (20 + 5 + 1);
    let rows = server
        .rows("SELECT toString(bot), count(), countIf(minted != 0) FROM metka.hits GROUP BY 1 ORDER BY 1");
    assert_eq!(
        rows,
        [[json!(""), json!(total - marked), json!(counted)], [json!("crowd"), json!(marked), json!(0)],]
    );
    assert_eq!(offered, counted, "cookies");
    let numbers = |bots| ask(&server, json!(["visitors", "pageviews"]), json!([]), bots)[0].1.clone();
    assert_eq!(numbers(false), json!([counted, total - marked]));
    assert_eq!(numbers(true), json!([counted + 20 + 5, total]));
    println!("{} visitors, {counted} counted; {total} hits, {marked} marked", counted + 25);
}

#[test]
fn a_repeated_hit_takes_nobodys_place_and_a_cap_of_0_is_off() {
    let dir = configured("max_new_visitors_per_address_per_day = 2", "");
    let server = Server::start(dir.path(), &[]);
    let agent = |number: u64| CHROME.replace("131.0.0.0", &format!("131.0.0.{number}"));
    let mut outcomes = Vec::new();
    for (number, id) in
        [(1, "0000000000000001"), (1, "0000000000000001"), (2, "0000000000000002"), (3, "0000000000000003")]
    {
        let reply = view(&server, "192.0.2.1", &format!("&i={id}"), &[("User-Agent", &agent(number))]);
        outcomes
            .push((reply.header("x-metka").expect("an outcome").to_owned(), reply.cookie("metka").is_some()));
    }
    let expected = [("ok", true), ("duplicate", false), ("ok", true), ("ok", false)];
    assert!(
        outcomes.iter().map(|(outcome, cookie)| (outcome.as_str(), *cookie)).eq(expected),
        "{outcomes:?}"
    );
    drop(server);

    let dir = configured("max_new_visitors_per_address_per_day = 0", "");
    let server = Server::start(dir.path(), &[]);
    for number in 0..CAP + 10 {
        assert!(view(&server, "192.0.2.1", "", &[("User-Agent", &agent(number))]).cookie("metka").is_some());
    }
    server.settled("clinic");
    assert_eq!(
        server.rows("SELECT countIf(bot != ''), count() FROM metka.hits"),
        [[json!(0), json!(CAP + 10)]]
    );
}
