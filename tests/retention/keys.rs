//! Address keys end with the last address of their month.

use metka::privacy::keys::Purpose;
use metka::retention::{Job, Mode};

use crate::rows::{Hit, Terms, insert};
use crate::storage::fresh;
use crate::{DAY_MS, ask, job, moment, run};

const TERMS: Terms = Terms { keep: 700, ip: 30, city: 700, user_key: 700, props: 700 };
const SITES: &str = "[[site]]\nid='a'\nhosts=['a.example']\n[site.retention]\nip_days=30\n";

fn ids(job: &Job) -> Vec<u32> {
    let mut ids: Vec<u32> = job
        .keys
        .list()
        .into_iter()
        .filter(|key| key.purpose == Purpose::Ip && key.destroyed.is_empty())
        .map(|key| key.id)
        .collect();
    ids.sort_unstable();
    ids
}

#[tokio::test]
async fn a_months_key_is_destroyed_when_the_last_address_of_the_month_is_past_its_term() {
    let storage = fresh().await;
    let dir = tempfile::tempdir().expect("a directory");
    let mut job = job(&storage, dir.path(), SITES);
    for month in 1..=4 {
        job.keys.rotate_address_key(2081 * 12 + month).expect("a key");
    }
    // A second key of February, as after a rotation.
    job.keys.rotate_address_key(2081 * 12 + 2).expect("a key");
    let hit = |time: &str, hold, row, key| Hit {
        site: "a",
        time: moment(time),
        terms: TERMS,
        hold,
        id: (1, row),
        key,
    };
    let held = "2081-02-03T00:00:00Z";
    insert(
        &storage,
        &[
            hit("2081-01-01T00:00:00Z", false, 0, 20_810_101),
            hit("2081-01-31T23:59:59.999Z", false, 1, 20_810_101),
            hit("2081-02-01T00:00:00Z", false, 2, 20_810_201),
            hit(held, true, 3, 20_810_202),
            hit("2081-03-31T23:59:59.999Z", false, 4, 20_810_301),
        ],
    )
    .await;
    let all = [20_810_101, 20_810_201, 20_810_202, 20_810_301, 20_810_401];
    assert_eq!(ids(&job), all);
    let end = |month: &str| moment(month) + 30 * DAY_MS;
    for (now, destroyed, left) in [
        (end("2081-02-01T00:00:00Z") - 1, vec![], &all[..]),
        (end("2081-02-01T00:00:00Z"), vec![20_810_101], &all[1..]),
        (end("2081-03-01T00:00:00Z") - 1, vec![], &all[1..]),
        // The held row keeps one of February's keys.
        (end("2081-03-01T00:00:00Z"), vec![20_810_201], &all[2..]),
        (end("2081-04-01T00:00:00Z"), vec![20_810_301], &[20_810_202, 20_810_401]),
        (end("2081-05-01T00:00:00Z") - 1, vec![], &[20_810_202, 20_810_401]),
    ] {
        let dry = run(&job, now, Mode::DryRun).await;
        let report = run(&job, now, Mode::Remove).await;
        assert_eq!((&dry.keys_destroyed, &report.keys_destroyed), (&destroyed, &destroyed));
        assert_eq!(ids(&job), left);
    }
    // April has no rows: its key waits for what waits in the spool, and for the configured term.
    let now = end("2081-05-01T00:00:00Z");
    job.waiting_since_ms = Some(moment("2081-04-30T23:59:59.999Z").cast_unsigned());
    assert!(run(&job, now, Mode::Remove).await.keys_destroyed.is_empty());
    job.waiting_since_ms = Some(moment("2081-05-01T00:00:00Z").cast_unsigned());
    assert_eq!(run(&job, now, Mode::Remove).await.keys_destroyed, [20_810_401]);
    // Released from its hold, the last address goes, and its key.
    let release = format!("ALTER TABLE {}.hits UPDATE hold = false WHERE hold", storage.database());
    storage.execute(&release, &[]).await.expect("released");
    let report = run(&job, now, Mode::Remove).await;
    assert_eq!((report.removed(), &report.keys_destroyed), (1, &vec![20_810_202]));
    assert_eq!(ids(&job), Vec::<u32>::new());
    let sql = format!(
        "SELECT countIf(ip_key != 0 OR ip != toFixedString('', 16)), count() FROM {}.hits",
        storage.database()
    );
    assert_eq!(ask(&storage, &sql).await, [[serde_json::json!(0), serde_json::json!(5)]]);
    println!("5 keys of 4 months destroyed one after the other, each with its last address; 5 rows stay");
}
