//! Random histories: every number of visitors and visits equals the reference.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{Timestamp, ToSpan};
use metka::config::{Config, Site};
use metka::enrich::Enricher;
use metka::search::Search;
use metka::store::Storage;
use serde_json::{Value, json};

use crate::collectors::{Installation, Tally};
use crate::random::Random;
use crate::reference::{Numbers, People, Seen};
use crate::storage;
use crate::world::{DAYS, Script};

/// Histories that share two collectors, their sites and their nights: the fewer
/// groups, the fewer questions; but each kind of night shall come up in CI.
const TOGETHER: usize = 64;
const METRICS: [&str; 6] = ["visitors", "visits", "pageviews", "events", "bounce_rate", "visit_duration"];

#[derive(Debug, Default)]
struct Counts {
    histories: u64,
    visits: u64,
    over_midnight: u64,
    over_midnight_cookieless: u64,
    days_continued: u64,
    chained: u64,
    adopted: u64,
    numbers_compared: u64,
    mismatches: Vec<String>,
}

fn histories() -> usize {
    let soak = std::env::var_os("METKA_SOAK").is_some_and(|value| value == "1");
    if soak { 10_000 } else { 1_000 }
}

#[tokio::test]
async fn visitors_and_visits_of_random_histories_equal_the_reference() {
    let storage = storage::fresh().await;
    let nowhere = tempfile::tempdir().expect("a directory");
    let config = Config::parse("", [], nowhere.path()).expect("the defaults");
    let enricher =
        Arc::new(Enricher::open(&config, &Search::new(None, nowhere.path())).expect("the enricher opens"));
    let (mut tally, mut counts) = (Tally::default(), Counts::default());
    for seed in 0..histories().div_ceil(TOGETHER) as u64 {
        let script = Script::new(seed, TOGETHER);
        let mut random = Random(seed);
        let mut installation = Installation::new(&script, enricher.clone());
        let seen = installation.run(&mut random, &mut tally).await;
        installation.ship(&storage, &mut random, &mut tally).await;
        counts.histories += TOGETHER as u64;
        for (place, seen) in script.places.iter().zip(&seen) {
            let people = People::of(place, seen);
            let site = installation.config.site(&place.id).expect("it is configured");
            compare(&storage, &script, site, &people, &mut random, &mut counts).await;
            let (all, over, cookieless) = people.over_midnight();
            counts.visits += all;
            counts.over_midnight += over;
            counts.over_midnight_cookieless += cookieless;
            counts.days_continued += people.continued;
            counts.chained += people.chained;
            counts.adopted += people.adopted;
        }
        if counts.histories % 1024 == 0 {
            println!("{} histories, {} mismatches", counts.histories, counts.mismatches.len());
        }
    }
    println!("{tally:?}\n{} mismatches, {counts:?}", counts.mismatches.len());
    assert!(counts.mismatches.is_empty(), "{}", counts.mismatches[0]);
    // What the test is about did happen.
    let per_thousand = |number: u64| number * 1000 / counts.histories;
    assert!(per_thousand(counts.over_midnight_cookieless) > 100, "{counts:?}");
    assert!(per_thousand(counts.chained) > 3 && per_thousand(counts.adopted) > 300, "{counts:?}");
    assert!(tally.restarts > 20 && tally.resent > 20, "{tally:?}");
    assert!(tally.retries_refused > 50 && tally.retries_over_midnight > 5, "{tally:?}");
}

/// All questions about one site.
async fn compare(
    storage: &Storage,
    script: &Script,
    site: &Site,
    people: &People<'_>,
    random: &mut Random,
    counts: &mut Counts,
) {
    let place = script.places.iter().find(|place| place.id == site.id).expect("it is one of them");
    let day = |number: i32| script.first.saturating_add(number.days());
    let host = |hit: &Seen| format!("h{}.{}.example", hit.history, site.id);
    let (first, end) = (day(-1), day(DAYS + 1));
    let one = day(random.below(DAYS as usize) as i32);
    let next = one.saturating_add(1.days());
    for (from, to, by) in [
        (first, end, vec!["event:hostname"]),
        (first, end, vec!["time:day", "event:hostname"]),
        (first, end, vec![]),
        // The edges of the range go through visits.
        (one, next, vec!["event:hostname"]),
    ] {
        let expected = people.numbers(place.begin(from), place.begin(to), |hit| {
            by.iter()
                .map(|name| match *name {
                    "time:day" => place.day(hit.at).to_string(),
                    _ => host(hit),
                })
                .collect::<Vec<String>>()
        });
        let question = json!({
            "site_id": site.id, "metrics": METRICS, "dimensions": by,
            "date_range": [from.to_string(), to.yesterday().expect("in range").to_string()],
        });
        let answer = metka::query::run(
            storage,
            site,
            &metka::settings::Settings::default(),
            &question,
            Timestamp::UNIX_EPOCH,
        )
        .await
        .unwrap_or_else(|error| panic!("{question}: {error}"));
        let mut found: BTreeMap<Vec<String>, Vec<Value>> = BTreeMap::new();
        for row in answer["results"].as_array().expect("a list") {
            let metrics = row["metrics"].as_array().expect("a list").clone();
            // Without dimensions there is a row even of nothing.
            if metrics[3] != 0 {
                let key = row["dimensions"].as_array().expect("a list");
                let key = key.iter().map(|name| name.as_str().expect("a text").to_owned()).collect();
                found.insert(key, metrics);
            }
        }
        counts.numbers_compared += (expected.len() * METRICS.len()) as u64;
        for key in expected.keys().chain(found.keys()) {
            let same = match (expected.get(key), found.get(key)) {
                (Some(expected), Some(found)) => agree(expected, found),
                _ => false,
            };
            if !same {
                let (expected, found) = (expected.get(key), found.get(key));
                counts.mismatches.push(format!(
                    "{} in {}: {question} {key:?}: expected {expected:?}, found {found:?}",
                    site.id, place.zone_name
                ));
            }
        }
    }
    for _ in 0..2 {
        let midnight = place.begin(day(1 + random.below(DAYS as usize - 1) as i32));
        let now = midnight + random.below(6 * 60_000) as i64;
        let found = metka::query::live(storage, site, Timestamp::from_millisecond(now).expect("in range"))
            .await
            .expect("a live count");
        counts.numbers_compared += 1;
        if found != people.live(now) {
            counts.mismatches.push(format!("{} live at {now}: {found}, not {}", site.id, people.live(now)));
        }
    }
}

/// Averages by rounding as documented, whichever way a tie goes.
fn agree(expected: &Numbers, found: &[Value]) -> bool {
    let visits = expected.visits as f64;
    let whole = [expected.visitors, expected.visits, expected.pageviews, expected.events];
    let averages = [100.0 * expected.bounces as f64 / visits, expected.milliseconds as f64 / visits / 1000.0];
    whole.iter().zip(found).all(|(expected, found)| found.as_u64() == Some(*expected))
        && averages.iter().zip(&found[4..]).all(|(expected, found)| {
            found.as_f64().is_some_and(|found| (found - expected).abs() <= 0.5 + 1e-6)
        })
}
