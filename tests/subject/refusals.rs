//! An erasure by an address reaches what was refused to it, and no backup brings that back.

use serde_json::Value;

use crate::browser::{Browser, stored};
use crate::http;
use crate::place::{Place, contains, files_below};
use crate::server::{Server, wait_for};
use crate::{ADDRESS, PURPOSE, place};

const ANOTHER: &str = "198.51.100.20";
const PASSPHRASE: &str = "five words on a card";

/// Who is named by [`ADDRESS`], all of the time.
pub const BY_ADDRESS: [&str; 8] =
    ["--site", "clinic", "--ip", ADDRESS, "--from", "2020-01-01", "--to", "2100-01-01"];

/// Sends so many hits of pages that are not the site's, each refused.
pub fn refuse(server: &Server, site: &str, address: &str, times: usize) {
    for _ in 0..times {
        let target = format!("/pixel.gif?s={site}&u=https://elsewhere.example/");
        let reply = http::exchange(server.collect, &http::get(&target, &[("X-Forwarded-For", address)]));
        assert_eq!(reply.header("x-metka"), Some("foreign-host"));
    }
}

/// What storage has of refused hits: site, ciphertext, and how many.
pub fn refused(server: &Server) -> Vec<(String, String, u64)> {
    let sql = "SELECT toString(site), hex(ip), sum(count) FROM metka.refusals GROUP BY 1, 2 ORDER BY 1, 3";
    let row = |row: &Vec<Value>| {
        let text = |at: usize| row[at].as_str().expect("text").to_owned();
        (text(0), text(1), row[2].as_u64().expect("a number"))
    };
    server.rows(sql).iter().map(row).collect()
}

/// How many of each site there are, the fewest first.
pub fn counts(rows: &[(String, String, u64)]) -> Vec<(&str, u64)> {
    rows.iter().map(|(site, _, count)| (site.as_str(), *count)).collect()
}

fn execute(server: &Server, sql: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(server.storage().execute(sql, &[])).expect("it is done");
}

#[test]
fn a_restored_backup_and_a_lost_deletion_bring_no_refusals_of_an_erased_address_back() {
    let here = place();
    let server = here.serve();
    Browser::new(ADDRESS).view(&server, "clinic", "/");
    Browser::new(ANOTHER).view(&server, "clinic", "/");
    stored(&server, "clinic", 2);
    refuse(&server, "clinic", ADDRESS, 4);
    refuse(&server, "clinic", ANOTHER, 3);
    refuse(&server, "other", ADDRESS, 2);
    let before = wait_for("the refusals to be written", || {
        let rows = refused(&server);
        (counts(&rows) == [("clinic", 3), ("clinic", 4), ("other", 2)]).then_some(rows)
    });
    let kept = [before[0].clone(), before[2].clone()];
    let backups = here.data().join("backups");
    let made = here.done(&["backup", "--to", backups.to_str().expect("a plain path")], "");
    let archive = std::path::PathBuf::from(made["file"].as_str().expect("a file"));

    // What came since the backup goes too.
    refuse(&server, "clinic", ADDRESS, 1);
    let erase = [&["subject", "erase", "--purpose", PURPOSE], &BY_ADDRESS[..]].concat();
    let done = here.done(&erase, "");
    assert!(done.to_string().contains("5 refused hits of the address are destroyed as well"), "{done}");
    assert_eq!(refused(&server), kept);

    // A row that a power loss would have brought back, and one of an hour after the erasure.
    let cipher = &before[1].1;
    for (count, hours) in [(70, -1), (80, 1)] {
        execute(
            &server,
            &format!(
                "INSERT INTO metka.refusals (site, hour, reason, ip, ip_key, count, ip_days) \
                 SELECT 'clinic', toStartOfHour(now('UTC')) + INTERVAL {hours} HOUR, 'foreign-host', \
                 toFixedString(unhex('{cipher}'), 16), max(ip_key), {count}, 90 FROM metka.refusals"
            ),
        );
    }
    let keys = here.path().join("keys.sealed");
    let keys = keys.to_str().expect("a plain path");
    here.done(&["keys", "export", keys, "--passphrase-stdin"], PASSPHRASE);
    server.kill();
    let server = here.serve();
    wait_for("the row to be deleted again", || {
        (counts(&refused(&server)) == [("clinic", 3), ("clinic", 80), ("other", 2)]).then_some(())
    });
    assert_eq!(server.terminate().0, Some(0));
    // The address is in no tombstone in the clear, nor as it is stored.
    for path in [here.data().join("spool/tombstones"), backups.join("tombstones")] {
        let bytes = std::fs::read(&path).expect("tombstones");
        let stored = data_encoding::HEXUPPER.decode(cipher.as_bytes()).expect("hex");
        assert!(!contains(&bytes, ADDRESS.as_bytes()) && !contains(&bytes, &stored), "{}", path.display());
    }

    let restored = |archive: &std::path::Path| -> (Place, Value) {
        let there = place();
        there.done(&["keys", "import", keys, "--passphrase-stdin"], PASSPHRASE);
        let restored = there.done(&["restore", archive.to_str().expect("a plain path")], "");
        (there, restored)
    };
    let (there, told) = restored(&archive);
    assert_eq!((&told["erased_rows"], &told["erased_refusals"]), (&1.into(), &4.into()), "{told}");
    let server = there.serve();
    stored(&server, "clinic", 1);
    assert_eq!(refused(&server), kept);
    let mut files = Vec::new();
    files_below(&there.data(), &mut files);
    assert!(!files.iter().any(|(_, bytes)| contains(bytes, ADDRESS.as_bytes())));
    assert_eq!(server.terminate().0, Some(0));

    // Without the tombstones they are all there: it is these that keep them away.
    let apart = here.path().join("apart");
    std::fs::create_dir(&apart).expect("a directory");
    let copy = apart.join(archive.file_name().expect("a name"));
    std::fs::copy(&archive, &copy).expect("copied");
    let (elsewhere, told) = restored(&copy);
    assert_eq!(told["erased_refusals"], 0, "{told}");
    let server = elsewhere.serve();
    stored(&server, "clinic", 2);
    assert_eq!(refused(&server), before);
    assert_eq!(server.terminate().0, Some(0));
}
