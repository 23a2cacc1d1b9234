//! 800 days of three sites whose terms change midway, with rows on hold, against an
//! independent reading of the rules.

use std::collections::BTreeSet;
use std::time::Instant;

use metka::privacy::keys::Purpose;
use metka::retention::Mode;

use crate::rows::{Hit, Terms, expected, insert, stored};
use crate::storage::fresh;
use crate::{DAY_MS, ask, job, moment, nothing_is_left_behind, run, soak};

/// A leap day lies within.
const FIRST: &str = "2082-12-01T00:00:00Z";
const DAYS: i64 = 800;
/// The terms change on this day.
const CHANGE: i64 = 350;
const SITES: &str =
    "[[site]]\nid='clinic'\nhosts=['clinic.example']\n[[site]]\nid='shop'\nhosts=['shop.example']\n";

/// Terms of a day's rows; `gone` is configured nowhere.
fn terms(site: &str, day: i64) -> Terms {
    let is_old = day < CHANGE;
    match site {
        "clinic" if is_old => Terms { keep: 365, ip: 90, city: 180, user_key: 120, props: 60 },
        "clinic" => Terms { keep: 200, ip: 30, city: 60, user_key: 200, props: 1 },
        "shop" if is_old => Terms { keep: 40, ip: 7, city: 14, user_key: 14, props: 14 },
        "shop" => Terms { keep: 120, ip: 60, city: 365, user_key: 30, props: 90 },
        _ => Terms { keep: 31, ip: 31, city: 10, user_key: 5, props: 31 },
    }
}

#[tokio::test]
async fn over_800_days_nothing_outlives_its_term_and_nothing_else_is_touched() {
    // Daily, as the server does, in a soak; else steps that meet month ends in every way.
    let (rows_a_day, steps): (u32, &[i64]) = if soak() { (600, &[1]) } else { (12, &[31, 90, 1, 151, 127]) };
    let started = Instant::now();
    let storage = fresh().await;
    let dir = tempfile::tempdir().expect("a directory");
    let job = job(&storage, dir.path(), SITES);
    let first = moment(FIRST);
    let mut hits: Vec<Hit> = Vec::new();
    let (mut day, mut runs, mut removed, mut dropped, mut inserted) = (0, 0, 0, 0, 0);
    let (mut seconds, mut most_overdue, mut keys_destroyed, mut held) = (0.0, 0, 0, 0);
    let mut months = BTreeSet::new();
    while day < DAYS {
        let step = steps[runs % steps.len()].min(DAYS - day);
        let mut fresh_hits = Vec::new();
        for day in day..day + step {
            for row in 0..rows_a_day {
                let site = ["clinic", "shop", "gone"][row as usize % 3];
                // Some at the very millisecond of a run, in every step.
                let time = first + day * DAY_MS + i64::from(row / 3) * (DAY_MS / i64::from(rows_a_day / 3));
                // A held row keeps its month's key, so some months are without one.
                let hold = (day / 61) % 2 == 0 && (day * i64::from(rows_a_day) + i64::from(row)) % 101 == 0;
                let hit = Hit {
                    site,
                    time,
                    terms: terms(site, day),
                    hold,
                    id: (day.cast_unsigned() + 1, row),
                    key: 0,
                };
                let key = if row % 7 == 6 { 0 } else { hit.month() * 100 + 1 };
                held += u64::from(hold);
                fresh_hits.push(Hit { key, ..hit });
            }
        }
        for month in fresh_hits.iter().map(Hit::month) {
            if months.insert(month) {
                job.keys.rotate_address_key(month / 100 * 12 + month % 100).expect("a key");
            }
        }
        insert(&storage, &fresh_hits).await;
        inserted += fresh_hits.len();
        hits.extend(fresh_hits);
        day += step;
        runs += 1;

        let now = first + day * DAY_MS;
        let sql = format!(
            "SELECT max(({now} - toUnixTimestamp64Milli(time)) - toInt64(keep_days) * {DAY_MS}) FROM {}.hits WHERE NOT hold",
            storage.database()
        );
        let overdue = ask(&storage, &sql).await[0][0].as_i64().expect("a number");
        assert!(overdue <= step * DAY_MS, "{overdue} ms past a term before a run of day {day}");
        most_overdue = most_overdue.max(overdue);
        let dry = run(&job, now, Mode::DryRun).await;
        let report = run(&job, now, Mode::Remove).await;
        assert_eq!((&dry.kinds, &dry.keys_destroyed), (&report.kinds, &report.keys_destroyed), "day {day}");
        assert_eq!(stored(&storage).await, expected(&hits, now), "day {day}");
        // Every address that is left can be read, and no key is left without need.
        let keys: BTreeSet<u32> = job
            .keys
            .list()
            .into_iter()
            .filter(|key| key.purpose == Purpose::Ip && key.destroyed.is_empty())
            .map(|key| key.id)
            .collect();
        let needed: BTreeSet<u32> =
            hits.iter().filter(|hit| hit.has_address(now)).map(|hit| hit.key).collect();
        assert!(needed.is_subset(&keys), "day {day}: {needed:?} of {keys:?}");
        hits.retain(|hit| !hit.is_gone(now));
        removed += report.removed();
        dropped += report.parts_dropped;
        keys_destroyed += report.keys_destroyed.len();
        seconds += report.seconds;
    }
    nothing_is_left_behind(&storage).await;
    assert!(keys_destroyed > 3 && dropped > 0 && held > 0, "{keys_destroyed} {dropped} {held}");
    let left =
        ask(&storage, &format!("SELECT count(), countIf(hold) FROM {}.hits", storage.database())).await;
    assert_eq!(left[0][1].as_u64(), Some(held), "held rows are whole");
    println!(
        "{DAYS} days, {inserted} rows of 3 sites, {runs} runs: {removed} values and rows removed, {dropped} parts dropped whole, \
         {} rows left with {held} on hold, at most {:.1} days past a term before a run and 0 after, {keys_destroyed} of {} keys destroyed; \
         {:.2} s a run, {:.0} s in all",
        left[0][0],
        most_overdue as f64 / DAY_MS as f64,
        months.len(),
        seconds / runs as f64,
        started.elapsed().as_secs_f64()
    );
}
