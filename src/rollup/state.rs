//! `rollup_days`: which days stand in the tables, written down so that a start finds them.
//!
//! Rows are added; the one with the highest version of a day says. A day of another time
//! zone than the site's is not made: its midnights were others.

use std::collections::BTreeMap;

use jiff::civil::Date;

use super::days::{Made, Seen};
use crate::store::{Limits, Param, Storage, StorageError};

/// The days that are made.
pub async fn load(storage: &Storage, site: &str, zone: &str) -> Result<BTreeMap<Date, Made>, StorageError> {
    let sql = format!(
        "SELECT toString(day), l.1, l.2, l.3 FROM
(SELECT day, argMax((numbers, hits, cities, built, zone), version) AS l FROM {}.rollup_days
 WHERE site = {{site:String}} GROUP BY day) WHERE l.4 AND l.5 = {{zone:String}}",
        storage.database()
    );
    let rows = storage.json(&sql, &params(site, zone), &Limits::default()).await?;
    let day = |row: &Vec<serde_json::Value>| -> Option<(Date, Made)> {
        let seen = Seen { hits: row[2].as_u64()?, cities: row[3].as_u64()? };
        Some((row[0].as_str()?.parse().ok()?, Made { numbers: row[1].as_bool()?, seen }))
    };
    Ok(rows.iter().filter_map(day).collect())
}

/// Writes down that days are made, as `made` says, or not (none). Returns when it is on the disk.
pub async fn save(
    storage: &Storage,
    site: &str,
    zone: &str,
    days: &[(Date, Option<Made>)],
) -> Result<(), StorageError> {
    if days.is_empty() {
        return Ok(());
    }
    let mut params = params(site, zone);
    let numbers =
        |of: fn(Made) -> u64| -> Vec<u64> { days.iter().map(|(_, made)| made.map_or(0, of)).collect() };
    params.push(("days".to_owned(), Param::Texts(days.iter().map(|(day, _)| day.to_string()).collect())));
    let built = days.iter().map(|(_, made)| u64::from(made.is_some())).collect();
    for (name, values) in [
        ("built", built),
        ("numbers", numbers(|made| u64::from(made.numbers))),
        ("hits", numbers(|made| made.seen.hits)),
        ("cities", numbers(|made| made.seen.cities)),
    ] {
        params.push((name.to_owned(), Param::Numbers(values)));
    }
    let sql = format!(
        "INSERT INTO {database}.rollup_days (site, day, version, zone, built, numbers, hits, cities)
SELECT {{site:String}}, toDate(r.1), (SELECT max(version) + 1 FROM {database}.rollup_days), {{zone:String}}, r.2, r.3, r.4, r.5
FROM (SELECT arrayJoin(arrayZip({{days:Array(String)}}, {{built:Array(UInt64)}}, {{numbers:Array(UInt64)}},
    {{hits:Array(UInt64)}}, {{cities:Array(UInt64)}})) AS r)",
        database = storage.database()
    );
    storage.execute(&sql, &params).await
}

fn params(site: &str, zone: &str) -> Vec<(String, Param)> {
    [("site", site), ("zone", zone)]
        .map(|(name, value)| (name.to_owned(), Param::Text(value.to_owned())))
        .to_vec()
}
