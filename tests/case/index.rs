//! How much of the table is read for one person: granules that hold somebody else are passed over.

use serde_json::json;

use crate::{ADDRESS, ANNAS_KEY, Asker, Browser, Server, about, cells, execute, place, stored, wait_for};

/// Rows of others: some tens of granules of 8,192.
const OTHERS: u64 = 300_000;

/// Rows that storage has read so far, for whatever it was.
fn read(server: &Server) -> u64 {
    let rows = server.rows("SELECT toUInt64(sum(value)) FROM system.events WHERE event = 'SelectedRows'");
    rows[0][0].as_u64().expect("a count")
}

/// Rows that are read while something is done. Jobs of the server may read at the same time, so the least counts; what
/// storage remembers of the same question goes before each.
fn least_read(server: &Server, done: impl Fn()) -> u64 {
    let once = || {
        execute(server, "SYSTEM DROP QUERY CONDITION CACHE");
        let before = read(server);
        done();
        read(server) - before
    };
    (0..5).map(|_| once()).min().expect("some")
}

#[test]
fn a_few_granules_are_read_for_one_person_also_of_rows_from_before_the_index() {
    let place = place();
    let server = place.serve();
    let mut anna = Browser::of(ANNAS_KEY, ADDRESS);
    anna.view(&server, "clinic", "/anna/0");
    anna.view(&server, "clinic", "/anna/1");
    stored(&server, "clinic", 2);
    // As the table was before.
    let columns = ["visitor", "minted", "before", "user_key"];
    let dropped = columns.map(|column| format!("DROP INDEX by_{column}")).join(", ");
    execute(&server, &format!("ALTER TABLE metka.hits {dropped}"));
    execute(&server, "ALTER TABLE metka.migrations DELETE WHERE name = 'whose_hit'");
    execute(
        &server,
        &format!(
            "INSERT INTO metka.hits SELECT hit.* REPLACE (rand64(1) AS visitor, rand64(2) AS minted, \
             rand64(3) AS user_key, '/others' AS path, 1000 + intDiv(n.number, 5000) AS batch, n.number % 5000 AS row) \
             FROM (SELECT * FROM metka.hits WHERE path = '/anna/1') AS hit CROSS JOIN numbers({OTHERS}) AS n"
        ),
    );
    let security = Asker::new(&server, "security", None);
    let asks = [json!({ "cookie": anna.value() }), json!({ "user": ANNAS_KEY })].map(about);
    let look = |security: &Asker| {
        asks.clone().map(|asked| {
            least_read(security.server, || {
                assert_eq!(cells(&security.opened(&asked), "path"), ["/anna/0", "/anna/1"]);
            })
        })
    };
    let [by_cookie, by_key] = look(&security);
    let token = security.token;
    assert!(by_cookie >= OTHERS && by_key >= 3 * OTHERS, "without it all are read: {by_cookie}, {by_key}");
    assert_eq!(server.terminate().0, Some(0));

    let server = place.serve();
    wait_for("the migration", || {
        let sql = "SELECT count() FROM metka.migrations WHERE name = 'whose_hit'";
        (server.rows(sql)[0][0] == 1).then_some(())
    });
    let security = Asker { server: &server, token };
    let [cookie_with, key_with] = look(&security);
    // What is left: her granules, and for each statement one in some tens by chance.
    assert!(
        cookie_with < by_cookie / 3 && key_with < by_key / 3,
        "{cookie_with}, {key_with} of {OTHERS} rows"
    );

    // What a request of hers and a block look for.
    let found = least_read(&server, || {
        let arguments = ["subject", "find", "--site", "clinic", "--purpose", "a check", "--user", ANNAS_KEY];
        assert_eq!(place.done(&arguments, "")["rows"], 2);
    });
    assert!(found < OTHERS, "{found} of {OTHERS} rows, in three statements");
    println!(
        "by cookie {by_cookie} without and {cookie_with} with, by key {by_key} and {key_with}; found {found}"
    );
    assert_eq!(server.terminate().0, Some(0));
}
