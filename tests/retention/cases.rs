//! Each kind a millisecond before its term, at it and after it, held and not; and
//! what a part, a partition and a dry run are to it.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;

use metka::refusals::{Place, Refused};
use metka::reject::Reason;
use metka::retention::Mode;
use metka::store::Storage;
use metka::store::refusals::encode;

use crate::rows::{Hit, Terms, expected, insert, stored};
use crate::storage::fresh;
use crate::{DAY_MS, ask, job, moment, nothing_is_left_behind, removed, run, soak};

const LONG: Terms = Terms { keep: 3000, ip: 3000, city: 3000, user_key: 3000, props: 3000 };
const NOW: &str = "2081-03-15T12:00:00.500Z";

fn hit(site: &'static str, time: i64, terms: Terms, hold: bool, row: u32) -> Hit {
    Hit { site, time, terms, hold, id: (1, row), key: 20_810_301 }
}

#[tokio::test]
async fn each_kind_goes_at_its_term_to_the_millisecond_and_never_when_held() {
    let storage = fresh().await;
    let now = moment(NOW);
    let mut hits = Vec::new();
    let kinds = [
        ("ip", Terms { ip: 10, ..LONG }),
        ("city", Terms { city: 10, ..LONG }),
        ("user_key", Terms { user_key: 10, ..LONG }),
        ("props", Terms { props: 10, ..LONG }),
        ("raw", Terms { keep: 10, ..LONG }),
    ];
    for (site, terms) in kinds {
        for after in [-1, 0, 1] {
            for hold in [false, true] {
                hits.push(hit(site, now - 10 * DAY_MS - after, terms, hold, hits.len() as u32));
            }
        }
    }
    insert(&storage, &hits).await;
    let hour = |after: i64| u32::try_from((now - 500 - 10 * DAY_MS) / 1000 - after * 3600).expect("in range");
    let refused = |after| Refused {
        site: "refused".to_owned(),
        hour: hour(after),
        reason: Reason::RateLimited,
        ip: [7; 16],
        ip_key: 20_810_301,
        place: Place { asn: 7, country: "RU".to_owned() },
        count: 5,
        ip_days: 10,
    };
    storage
        .insert_refusals("refusals", encode(&[refused(-1), refused(0), refused(1)]))
        .await
        .expect("inserted");

    let dir = tempfile::tempdir().expect("a directory");
    let job = job(&storage, dir.path(), "");
    let dry = run(&job, now, Mode::DryRun).await;
    assert_eq!(stored(&storage).await, expected(&hits, now - 20 * DAY_MS), "a dry run removes nothing");
    let report = run(&job, now, Mode::Remove).await;
    // Two of three are at their term or after it; as many are held.
    let line = |kind: &str| (kind.to_owned(), kind.to_owned(), 2, 2);
    let mut lines: Vec<_> = kinds.iter().map(|(kind, _)| line(kind)).collect();
    lines.push(("refused".to_owned(), "refusals".to_owned(), 2, 0));
    lines.sort();
    assert_eq!((removed(&dry), removed(&report)), (lines.clone(), lines));
    assert_eq!(stored(&storage).await, expected(&hits, now));
    let left =
        ask(&storage, &format!("SELECT toUnixTimestamp(hour) FROM {}.refusals", storage.database())).await;
    assert_eq!(left, [[serde_json::json!(hour(-1))]]);
    let again = run(&job, now, Mode::Remove).await;
    assert_eq!(again.removed(), 0);
    let oldest = again.kinds.iter().find(|one| (one.site.as_str(), one.kind.as_str()) == ("raw", "raw"));
    let oldest = oldest.and_then(|one| one.oldest_left.clone());
    assert_eq!(oldest.as_deref(), Some("2081-03-05T12:00:00.501Z"));
    nothing_is_left_behind(&storage).await;
    println!(
        "{} rows of 5 kinds and 3 sums of refusals: {} removed, {} held back, {:.2} s",
        hits.len(),
        report.removed(),
        report.kinds.iter().map(|one| one.held_back).sum::<u64>(),
        report.seconds
    );
}

#[tokio::test]
async fn a_part_goes_whole_only_if_all_of_it_has_expired_and_its_neighbours_of_the_month_stay() {
    let storage = fresh().await;
    let database = storage.database().to_owned();
    let stop = format!("SYSTEM STOP MERGES {database}.hits");
    storage.execute(&stop, &[]).await.expect("parts stay apart");
    let (now, time) = (moment(NOW), moment("2081-01-10T00:00:00Z"));
    let short = Terms { keep: 10, ..LONG };
    let parts = [
        vec![hit("a", time, short, false, 0), hit("b", time + 1, short, false, 1)],
        vec![hit("a", time + 2, short, false, 2), hit("b", time + 3, LONG, false, 3)],
        vec![hit("a", time + 4, short, true, 4)],
        vec![hit("a", time + 5, LONG, false, 5)],
    ];
    for part in &parts {
        insert(&storage, part).await;
    }
    let allow = format!("SYSTEM START MERGES {database}.hits");
    let dir = tempfile::tempdir().expect("a directory");
    let job = job(&storage, dir.path(), "");
    let dry = run(&job, now, Mode::DryRun).await;
    // A mutation is done by the merges' threads.
    storage.execute(&allow, &[]).await.expect("parts may merge");
    let report = run(&job, now, Mode::Remove).await;
    assert_eq!(removed(&dry), removed(&report));
    assert_eq!(stored(&storage).await, expected(&parts.concat(), now));
    assert_eq!(report.removed(), 3);
    assert!(report.parts_dropped <= 1, "{}", report.parts_dropped);
    // The whole month, when nothing in it is left to keep.
    let report = run(&job, now + 3000 * DAY_MS, Mode::Remove).await;
    assert_eq!(stored(&storage).await, expected(&parts.concat(), now + 3000 * DAY_MS));
    let rows = ask(&storage, &format!("SELECT site, hold FROM {database}.hits")).await;
    assert_eq!(rows, [[serde_json::json!("a"), serde_json::json!(true)]]);
    nothing_is_left_behind(&storage).await;
    println!(
        "4 parts of a month: {} rows of 6 are left, the held one; dropped whole in the end: {}",
        rows.len(),
        report.parts_dropped
    );
}

/// The files with values of each month's parts, as the disk knows them, and their bytes.
async fn files(storage: &Storage) -> BTreeMap<String, BTreeMap<u64, u64>> {
    let sql = format!(
        "SELECT partition_id, path FROM system.parts WHERE database = '{}' AND table = 'hits' AND active",
        storage.database()
    );
    let mut months: BTreeMap<String, BTreeMap<u64, u64>> = BTreeMap::new();
    for part in ask(storage, &sql).await {
        let text = |at: usize| part[at].as_str().expect("a text").to_owned();
        let files = months.entry(text(0)).or_default();
        for file in std::fs::read_dir(text(1)).expect("the part is there") {
            let file = file.expect("readable");
            if file.path().extension().is_some_and(|name| name == "bin") {
                let about = file.metadata().expect("readable");
                files.insert(about.ino(), about.len());
            }
        }
    }
    months
}

#[tokio::test]
async fn months_without_anything_expired_are_linked_and_not_copied() {
    if std::env::var_os("METKA_TEST_CLICKHOUSE_URL").is_some() {
        println!("skipped: the files are another machine's");
        return;
    }
    let storage = fresh().await;
    let database = storage.database().to_owned();
    let rows = if soak() { 1_000_000 } else { 5_000 };
    for month in 1..=12 {
        // In March the cities have expired, in May each tenth row.
        let keep = if month == 5 { "if(number % 10 = 0, 10, 3000)" } else { "3000" };
        let city_days = if month == 3 { 10 } else { 3000 };
        let sql = format!(
            "INSERT INTO {database}.hits (site, time, kind, visitor, path, city, keep_days, ip_days, city_days, user_key_days, props_days, batch, row) \
             SELECT 'a', toDateTime64('2081-{month:02}-02 00:00:00', 3, 'UTC') + number, 'pageview', cityHash64(number), \
             concat('/', toString(number % 1000)), toString(number % 50), {keep}, 3000, {city_days}, 3000, 3000, {month}, number \
             FROM numbers({rows})"
        );
        storage.execute(&sql, &[]).await.expect("inserted");
    }
    let dir = tempfile::tempdir().expect("a directory");
    let job = job(&storage, dir.path(), "");
    let before = files(&storage).await;
    let report = run(&job, moment("2082-01-01T00:00:00Z"), Mode::Remove).await;
    let after = files(&storage).await;
    let expected = [("a", "city", rows, 0), ("a", "raw", rows / 10, 0)];
    let expected = expected.map(|(site, kind, rows, held)| (site.to_owned(), kind.to_owned(), rows, held));
    assert_eq!(removed(&report), expected);
    assert_eq!(before.len(), 12);
    let mut written = [0, 0];
    for (month, files) in &after {
        let fresh: u64 =
            files.iter().filter(|(file, _)| !before[month].contains_key(*file)).map(|(_, bytes)| bytes).sum();
        match month.as_str() {
            "208103" => written[0] = fresh,
            "208105" => written[1] = fresh,
            _ => assert_eq!(fresh, 0, "bytes of {month} were written again"),
        }
    }
    assert!(written.iter().all(|bytes| *bytes > 0), "{written:?}");
    let none = run(&job, moment("2082-01-01T00:00:00Z"), Mode::Remove).await;
    println!(
        "12 months of {rows} rows, {} bytes: to wipe a month's cities {} bytes were written, to delete a tenth of another {}, \
         of the other ten 0; {:.2} s, and {:.2} s with nothing to do",
        before.values().flat_map(BTreeMap::values).sum::<u64>(),
        written[0],
        written[1],
        report.seconds,
        none.seconds
    );
}
