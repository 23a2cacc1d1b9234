//! The schema and the row's encoding against the real engine.

#[path = "support/storage.rs"]
mod storage;

use std::borrow::Cow;

use bytes::Bytes;
use metka::event::{ConsentState, IdentityKind, Kind};
use metka::refusals::{Place, Refused};
use metka::reject::Reason;
use metka::store::refusals::encode;
use metka::store::row::{COLUMNS, HitId, Row, SCROLL_UNKNOWN};
use metka::store::{Limits, StorageError};
use serde_json::json;

/// A row with a different value in every column.
fn full_row<'a>(props: &'a [(Cow<'a, str>, Cow<'a, str>)]) -> Row<'a> {
    Row {
        site: "clinic",
        time: 1_790_000_000_123,
        kind: Kind::Event,
        visitor: u64::MAX - 1,
        identity: IdentityKind::Cookie,
        minted: 7,
        user_key: 1 << 63,
        before: 1 << 61,
        host: "clinic.example",
        path: "/цены",
        query: "a=1",
        title: "Цены \"все\"",
        referrer_host: "yandex.example",
        referrer_path: "/search",
        source: "Yandex",
        channel: "search",
        utm_source: "s",
        utm_medium: "m",
        utm_campaign: "c",
        utm_content: "co",
        utm_term: "t",
        ip: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 255],
        ip_key: 65_000,
        country: "RU",
        region: "Yaroslavl Oblast",
        city: "Yaroslavl",
        asn: 64_500,
        network: "Example Net",
        browser: "Firefox",
        browser_version: "143",
        os: "Linux",
        os_version: "6",
        device: "desktop",
        bot: "crawler",
        language: "ru",
        screen: "1920",
        ad: "banner-1",
        name: "zapis",
        props,
        engaged_ms: 123_456,
        scroll: SCROLL_UNKNOWN,
        timezone: "Europe/Moscow",
        consent: ConsentState::Marketing,
        policy: "2",
        keep_days: 730,
        ip_days: 90,
        city_days: 365,
        user_key_days: 366,
        props_days: 367,
        hold: true,
        demo: true,
    }
}

#[tokio::test]
async fn an_encoded_row_is_read_back_column_by_column() {
    let storage = storage::fresh().await;
    let props = [("price".into(), "100".into()), ("кто".into(), "д".repeat(200).into())];
    let mut payload = Vec::new();
    full_row(&props).encode(HitId { batch: 1 << 60, row: 42 }, &mut payload);
    storage.insert(COLUMNS, "token-1", Bytes::from(payload)).await.expect("the row is inserted");

    let rows = storage
        .json(
            &format!(
                "SELECT {} FROM {}.hits",
                COLUMNS
                    .iter()
                    .map(|column| if *column == "ip" { "hex(ip)".to_owned() } else { (*column).to_owned() })
                    .collect::<Vec<_>>()
                    .join(", "),
                storage.database()
            ),
            &[],
            &Limits::default(),
        )
        .await
        .expect("the row is read");
    let expected = json!([
        "clinic", "2026-09-21 14:13:20.123", "event", u64::MAX - 1, "cookie", 7, 1u64 << 63, 1u64 << 61,
        "clinic.example",
        "/цены", "a=1", "Цены \"все\"", "yandex.example", "/search", "Yandex", "search", "s", "m", "c", "co",
        "t", "0102030405060708090A0B0C0D0E0FFF", 65_000, "RU", "Yaroslavl Oblast", "Yaroslavl", 64_500,
        "Example Net", "Firefox", "143", "Linux", "6", "desktop", "crawler", "ru", "1920", "banner-1", "zapis",
        {"price": "100", "кто": "д".repeat(200)}, 123_456, 255, "Europe/Moscow", "marketing", "2", 730, 90,
        365, 366, 367, true, true, 1u64 << 60, 42,
    ]);
    assert_eq!(rows.len(), 1);
    for ((column, found), expected) in
        COLUMNS.iter().zip(&rows[0]).zip(expected.as_array().expect("it is a list"))
    {
        assert_eq!(found, expected, "{column}");
    }
}

#[tokio::test]
async fn a_row_that_an_older_version_left_in_the_spool_is_inserted_under_its_own_columns() {
    let storage = storage::fresh().await;
    let mut payload = Vec::new();
    full_row(&[]).encode(HitId { batch: 1, row: 1 }, &mut payload);
    // Version 1 had no `before`, which stands behind site, time, kind, three hashes and the identity.
    let at = 1 + "clinic".len() + 8 + 1 + 8 + 1 + 8 + 8;
    payload.drain(at..at + 8);
    let columns = metka::store::row::columns(1).expect("a known version");
    storage.insert(&columns, "old", Bytes::from(payload)).await.expect("the row is inserted");
    let sql = format!("SELECT user_key, before, host, row FROM {}.hits", storage.database());
    let rows = storage.json(&sql, &[], &Limits::default()).await.expect("the row is read");
    assert_eq!(rows, [[json!(1u64 << 63), json!(0), json!("clinic.example"), json!(1)]]);
}

#[tokio::test]
async fn the_table_has_the_columns_of_the_row_in_its_order() {
    let storage = storage::fresh().await;
    let rows = storage
        .json(
            &format!(
                "SELECT name FROM system.columns WHERE database = '{}' AND table = 'hits' ORDER BY position",
                storage.database()
            ),
            &[],
            &Limits::default(),
        )
        .await
        .expect("the columns are read");
    let names: Vec<&str> = rows.iter().filter_map(|row| row[0].as_str()).collect();
    assert_eq!(names, COLUMNS);
}

#[tokio::test]
async fn a_repeated_token_inserts_nothing_and_migrating_again_does_nothing() {
    let storage = storage::fresh().await;
    let mut payload = Vec::new();
    for row in 0..3 {
        full_row(&[]).encode(HitId { batch: 9, row }, &mut payload);
    }
    for token in ["a", "a", "b"] {
        storage.insert(COLUMNS, token, Bytes::from(payload.clone())).await.expect("the batch is taken");
    }
    let sql = format!("SELECT count() FROM {}.hits", storage.database());
    assert_eq!(storage.number(&sql, &[]).await.expect("a count"), 6);
    assert_eq!(storage.migrate().await.expect("migrations run twice"), Vec::<u32>::new());
    assert_eq!(storage.number(&sql, &[]).await.expect("a count"), 6);
}

#[tokio::test]
async fn a_batch_of_two_months_and_a_torn_one_are_refused_whole() {
    let storage = storage::fresh().await;
    let mut payload = Vec::new();
    full_row(&[]).encode(HitId { batch: 9, row: 0 }, &mut payload);
    let whole = payload.len();
    Row { time: 1_780_000_000_000, ..full_row(&[]) }.encode(HitId { batch: 9, row: 1 }, &mut payload);
    let error = storage.insert(COLUMNS, "a", Bytes::from(payload.clone())).await.expect_err("two partitions");
    assert_eq!(error.code(), Some(252), "{error}");

    payload.truncate(whole - 3);
    let error = storage.insert(COLUMNS, "b", Bytes::from(payload)).await.expect_err("a torn row");
    assert!(!error.is_retryable(), "{error}");
    let sql = format!("SELECT count() FROM {}.hits", storage.database());
    assert_eq!(storage.number(&sql, &[]).await.expect("a count"), 0);
}

#[tokio::test]
async fn wrong_settings_of_the_table_are_named() {
    let storage = storage::fresh().await;
    let alter = format!("ALTER TABLE {}.hits MODIFY SETTING fsync_after_insert = 0", storage.database());
    storage.execute(&alter, &[]).await.expect("the setting is changed");
    let error = storage.migrate().await.expect_err("the check fails");
    assert!(matches!(&error, StorageError::Settings(lines) if lines.len() == 1), "{error}");
    assert!(error.to_string().contains("hits: fsync_after_insert is 0, it must be 1"), "{error}");
}

#[tokio::test]
async fn a_question_cannot_write_nor_read_files() {
    let storage = storage::fresh().await;
    for sql in [
        format!("INSERT INTO {}.hits (site) VALUES ('x')", storage.database()),
        format!("DROP TABLE {}.hits", storage.database()),
        "SELECT * FROM file('/etc/hostname', 'LineAsString')".to_owned(),
        "SELECT * FROM url('http://127.0.0.1:1/', 'LineAsString')".to_owned(),
    ] {
        let error = storage.json(&sql, &[], &Limits::default()).await.expect_err("it is refused");
        assert!(error.code().is_some(), "{sql}: {error}");
    }
}

/// Columns whose term has passed lose their value, held rows do not, and rows
/// past their own term go.
#[tokio::test]
async fn terms_are_carried_out_by_column_and_by_row() {
    let storage = storage::fresh().await;
    let now = i64::try_from(
        std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .expect("it is after 1970")
            .as_millis(),
    )
    .expect("it fits");
    let props = [("a".into(), "b".into())];
    // The row's age is two hundred days; what is kept for fewer must go.
    let old = |hold: bool, keep_days: u16, days: u16| Row {
        time: now - 200 * 86_400_000,
        hold,
        keep_days,
        ip_days: days,
        city_days: days,
        user_key_days: days,
        props_days: days,
        ..full_row(&props)
    };
    for (row, hit) in [old(false, 730, 90), old(true, 730, 90), old(false, 730, 365), old(false, 100, 90)]
        .into_iter()
        .enumerate()
    {
        let mut payload = Vec::new();
        hit.encode(HitId { batch: 5, row: row as u32 }, &mut payload);
        storage.insert(COLUMNS, &format!("t{row}"), Bytes::from(payload)).await.expect("inserted");
    }
    let optimize = format!("OPTIMIZE TABLE {}.hits FINAL", storage.database());
    storage.execute(&optimize, &[]).await.expect("merged");
    let rows = storage
        .json(
            &format!(
                "SELECT row, hex(ip) != repeat('0', 32), city, user_key > 0, length(props) FROM {}.hits ORDER BY row",
                storage.database()
            ),
            &[],
            &Limits::default(),
        )
        .await
        .expect("the rows are read");
    assert_eq!(json!(rows), json!([[0, 0, "", 0, 0], [1, 1, "Yaroslavl", 1, 1], [2, 1, "Yaroslavl", 1, 1]]));
}

#[tokio::test]
async fn the_demo_is_loaded_once_extended_and_removed_without_touching_others() {
    let storage = storage::fresh().await;
    let site = metka::config::Site::with_defaults("demo", &["demo.example"]);
    let mut payload = Vec::new();
    full_row(&[]).encode(HitId { batch: 1, row: 0 }, &mut payload);
    storage.insert(COLUMNS, "real", Bytes::from(payload)).await.expect("a real row");
    let count = format!("SELECT count() FROM {}.hits", storage.database());

    let now: jiff::Timestamp = "2026-11-20T10:00:00Z".parse().expect("an instant");
    let loaded = metka::demo::load(&storage, &site, now).await.expect("loaded");
    assert!(loaded > 60_000, "{loaded}");
    assert_eq!(metka::demo::load(&storage, &site, now).await.expect("loaded again"), 0);
    let later = now + jiff::SignedDuration::from_hours(48);
    let added = metka::demo::load(&storage, &site, later).await.expect("extended");
    assert!((200..3_000).contains(&added), "{added}");
    assert_eq!(storage.number(&count, &[]).await.expect("a count"), loaded + added + 1);

    assert_eq!(metka::demo::remove(&storage).await.expect("removed"), loaded + added);
    assert_eq!(storage.number(&count, &[]).await.expect("a count"), 1);
    assert_eq!(metka::demo::load(&storage, &site, later).await.expect("and back"), {
        let back = storage.number(&count, &[]).await.expect("a count") - 1;
        assert!(back > 60_000, "{back}");
        back
    });
}

/// Refusals of an hour, so many days old.
fn refused(days_old: i64, reason: Reason, count: u64) -> Refused {
    let now = jiff::Timestamp::now().as_second();
    let hour = u32::try_from(now - now % 3600 - days_old * 86_400).expect("in range");
    let (ip, ip_key) = ([7; 16], 20_261_101);
    Refused {
        site: "clinic".to_owned(),
        hour,
        reason,
        ip,
        ip_key,
        place: Place::default(),
        count,
        ip_days: 7,
    }
}

#[tokio::test]
async fn refusals_are_written_once_and_go_with_their_term() {
    let storage = storage::fresh().await;
    let first = encode(&[refused(0, Reason::Duplicate, 3), refused(8, Reason::Duplicate, 5)]);
    let second = encode(&[refused(0, Reason::Duplicate, 4), refused(6, Reason::ForeignHost, 1)]);
    for (token, payload) in [("a", &first), ("a", &first), ("b", &second)] {
        storage.insert_refusals(token, payload.clone()).await.expect("written");
    }
    let database = storage.database().to_owned();
    storage.execute(&format!("OPTIMIZE TABLE {database}.refusals FINAL"), &[]).await.expect("merged");
    let now = jiff::Timestamp::now().as_second();
    let hours = storage.refusals("clinic", now - 31 * 86_400, now + 1).await.expect("an answer");
    let found: Vec<(&str, u64)> = hours.iter().map(|row| (row.reason.as_str(), row.count)).collect();
    assert_eq!(found, [("foreign-host", 1), ("duplicate", 7)]);
    let recent = storage.refusals("clinic", now - 86_400, now + 1).await.expect("an answer");
    assert_eq!((recent.len(), recent[0].count), (1, 7));
    assert!(storage.refusals("", now - 31 * 86_400, now + 1).await.expect("an answer").is_empty());
}
