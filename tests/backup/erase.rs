//! Physical deletion of subjects' rows, as an erasure and a restore do it.

use metka::spool::{Subject, Tombstone};
use metka::store::{Limits, Param};

use crate::storage::fresh;

/// Rows of three people on two sites, hour by hour; what deletes and what stays.
#[tokio::test]
async fn exactly_the_covered_rows_go_and_no_statement_names_a_subject() {
    let storage = fresh().await;
    let database = storage.database().to_owned();
    // Rows 0..60 each of clinic and other: visitor 1000 + n % 3, user key 2000 + n % 5 (0: none), minted for n < 3.
    for site in ["clinic", "other"] {
        let sql = format!(
            "INSERT INTO {database}.hits (site, time, kind, visitor, minted, user_key, keep_days, user_key_days, batch, row)
             SELECT {{site:String}}, now64(3) - INTERVAL 60 - number HOUR, 'pageview', 987650001 + number % 3,
                    if(number < 3, 987650077, 0), if(number % 5 = 0, 0, 987660000 + number % 5), 3650, 3650, 1, number
             FROM numbers(60)"
        );
        storage.execute(&sql, &[("site".to_owned(), Param::Text(site.to_owned()))]).await.expect("inserted");
    }
    let count = async |condition: &str| {
        let sql = format!("SELECT count() FROM {database}.hits WHERE {condition}");
        storage.number(&sql, &[]).await.expect("a count")
    };
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    let now = now.as_millis() as i64;
    let about =
        |subject, before_ms| Tombstone { site: "clinic".to_owned(), subject, before_ms, made_ms: now };
    assert_eq!(storage.erase(&[]).await.expect("nothing to do"), 0);
    // One whole person by the cookie first offered; one only before a time; one user key; one who is not there.
    let list = [
        about(Subject::Visitor(987_650_001), now),
        about(Subject::Visitor(987_650_077), now),
        about(Subject::Visitor(987_650_002), now - 1830 * 60_000),
        about(Subject::UserKey(987_660_004), now - 2430 * 60_000),
        about(Subject::Visitor(111), now - 1),
    ];
    let covered = "site = 'clinic' AND (visitor = 987650001 OR minted = 987650077 \
                   OR (visitor = 987650002 AND time < now64(3) - INTERVAL 1830 MINUTE) \
                   OR (user_key = 987660004 AND time < now64(3) - INTERVAL 2430 MINUTE))";
    let expected = count(covered).await;
    assert!(expected > 30 && expected < 60, "{expected}");
    let erased = storage.erase(&list).await.expect("erased");
    println!("{} subjects: {erased} of 120 rows deleted, {expected} were covered", list.len());
    assert_eq!(erased, expected);
    assert_eq!(count(covered).await, 0);
    assert_eq!(count("1").await, 120 - expected);
    assert_eq!(count("site = 'other'").await, 60);
    assert_eq!(storage.erase(&list).await.expect("again"), 0);

    let rows = |sql: String| {
        let storage = &storage;
        async move { storage.json(&sql, &[], &Limits::default()).await.expect("rows") }
    };
    assert_eq!(count("1").await, 120 - expected);
    let queued = rows(format!("SELECT count() FROM {database}.erase_queue")).await;
    assert_eq!(queued[0][0], 0, "the queue is empty");
    let commands = rows(format!("SELECT command FROM system.mutations WHERE database = '{database}'")).await;
    assert!(!commands.is_empty(), "the deletion was a mutation");
    for command in &commands {
        let text = command[0].as_str().expect("text");
        assert!(!text.contains("98765") && !text.contains("98766"), "{text}");
    }
    let old = rows(format!(
        "SELECT name FROM system.parts WHERE database = '{database}' AND NOT active AND rows > 0 \
             AND table != 'migrations'"
    ))
    .await;
    assert!(old.is_empty(), "{old:?}");
}

/// More different times than one mutation takes.
#[tokio::test]
async fn many_erasures_of_different_times_are_all_carried_out() {
    let storage = fresh().await;
    let database = storage.database().to_owned();
    let sql = format!(
        "INSERT INTO {database}.hits (site, time, kind, visitor, keep_days, batch, row)
         SELECT 'clinic', now64(3) - INTERVAL 1 DAY, 'pageview', 1 + number % 100, 3650, 1, number FROM numbers(1000)"
    );
    storage.execute(&sql, &[]).await.expect("inserted");
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    let now = now.as_millis() as i64;
    let list: Vec<Tombstone> = (1..=70)
        .map(|visitor| Tombstone {
            site: "clinic".to_owned(),
            subject: Subject::Visitor(visitor),
            before_ms: now - visitor.cast_signed(),
            made_ms: now,
        })
        .collect();
    assert_eq!(storage.erase(&list).await.expect("erased"), 700);
    let left = storage.number(&format!("SELECT count() FROM {database}.hits"), &[]).await.expect("a count");
    println!("70 erasures of 70 times: 700 of 1000 rows deleted, {left} left");
    assert_eq!(left, 300);
}
