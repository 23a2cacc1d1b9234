//! The guard of small counts: over a population with a thousand unique patients, nothing
//! that a viewer can compute is about fewer than ten of them; and each rule of it is needed.
//!
//! `METKA_SOAK=1` attacks a hundred thousand times, else two thousand. Most of it asks the
//! population of the test, which answers as storage does (that is tested too) and faster; a
//! fiftieth is put to the engine.

mod agree;
mod attacker;
#[path = "../support/goal.rs"]
mod goal;
#[path = "../support/http.rs"]
#[expect(dead_code, reason = "shared with other tests")]
mod http;
#[path = "../support/place.rs"]
#[expect(dead_code, reason = "shared with other tests")]
mod place;
mod population;
#[path = "../support/random.rs"]
mod random;
#[path = "../support/reference.rs"]
#[expect(dead_code, reason = "the hits are needed here, not the reference of numbers")]
mod reference;
#[path = "../support/server.rs"]
#[expect(dead_code, reason = "shared with other tests")]
mod server;
#[path = "../support/storage.rs"]
mod storage;

use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex;

use attacker::{Attacker, Found, KINDS};
use bytes::Bytes;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use metka::guard::exact::{Exact, Stored};
use metka::guard::rule::{Rule, Rules};
use metka::query::QueryError;
use metka::store::Storage;
use metka::store::row::COLUMNS;
use metka::web::running::Answering;
use population::World;
use random::Random;
use serde_json::{Value, json};

/// Which population; any will do.
const SEED: u64 = 7;

fn attacks() -> usize {
    if std::env::var_os("METKA_SOAK").is_some_and(|value| value == "1") { 100_000 } else { 2_000 }
}

/// Asked each question once: nothing changes here.
struct Remembered<'a> {
    exact: &'a dyn Exact,
    known: Mutex<HashMap<String, Value>>,
}

impl Exact for Remembered<'_> {
    fn understood(&self, question: &Value) -> Result<Value, QueryError> {
        Ok(question.clone())
    }

    fn answer<'a>(&'a self, question: &'a Value) -> Answering<'a, Result<Value, QueryError>> {
        Box::pin(async move {
            let name = question.to_string();
            if let Some(known) = self.known.lock().expect("free").get(&name) {
                return Ok(known.clone());
            }
            let answer = self.exact.answer(question).await?;
            self.known.lock().expect("free").insert(name, answer.clone());
            Ok(answer)
        })
    }
}

/// Storage of a busy machine: what took too long is asked again.
struct Patient<'a>(Stored<'a>);

/// A question that took too long so often has another reason.
const MAX_TRIES: usize = 10;

impl Exact for Patient<'_> {
    fn understood(&self, question: &Value) -> Result<Value, QueryError> {
        Ok(question.clone())
    }

    fn answer<'a>(&'a self, question: &'a Value) -> Answering<'a, Result<Value, QueryError>> {
        Box::pin(async move {
            let mut tries = 1;
            loop {
                match self.0.answer(question).await {
                    Err(QueryError::TooExpensive | QueryError::Storage(_)) if tries < MAX_TRIES => tries += 1,
                    answered => return answered,
                }
            }
        })
    }
}

async fn store(storage: &Storage, world: &World) {
    let mut months: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    for hit in world.rows() {
        let day = Timestamp::from_millisecond(hit.time).expect("in range").to_zoned(TimeZone::UTC).date();
        hit.row("clinic").encode(hit.id, months.entry(day.first_of_month().to_string()).or_default());
    }
    for (month, payload) in months {
        storage.insert(COLUMNS, &month, Bytes::from(payload)).await.expect("the population is stored");
    }
}

fn printed(what: &str, found: &Found) {
    println!(
        "{what}: {} attacks, {} questions (storage: {}), {} numbers shown, {} sums and differences, {} hits",
        found.attacks,
        found.questions,
        found.asked,
        found.numbers,
        found.combinations,
        found.hits.len()
    );
    println!("  refused {:?}", found.refused);
    for (kind, (attacks, answered)) in &found.kinds {
        println!("  {kind}: {attacks}, with numbers {answered}");
    }
    for hit in found.hits.iter().take(10) {
        println!("  HIT {hit}");
    }
}

#[tokio::test]
async fn the_population_of_the_test_is_counted_as_storage_counts_it() {
    let storage = storage::fresh().await;
    let world = World::new(SEED);
    store(&storage, &world).await;
    let (site, settings) = (attacker::site(), attacker::settings());
    let stored = Patient(Stored {
        storage: &storage,
        site: &site,
        settings: &settings,
        now: population::now(),
        together: None,
    });
    let metrics = json!(["visitors", "visits", "pageviews", "bounce_rate"]);
    let mut compared = 0;
    for range in [["2026-03-01", "2026-03-31"], ["2026-03-30", "2026-04-05"], ["2026-03-11", "2026-03-11"]] {
        for dimensions in [
            json!([]),
            json!(["event:page"]),
            json!(["visit:city"]),
            json!(["visit:source", "visit:device"]),
            json!(["time:day"]),
            json!(["time:week", "visit:browser"]),
            json!(["time:hour"]),
        ] {
            for filters in [
                json!([]),
                json!([["is", "visit:city", ["Moscow", "Perm"]]]),
                json!([["is_not", "event:page", ["/", "/ceny"]], ["is", "visit:source", ["Direct / None"]]]),
                json!([["contains", "visit:browser", ["Chrom"]]]),
            ] {
                let question = json!({
                    "site_id": "clinic", "metrics": metrics, "date_range": range,
                    "dimensions": dimensions, "filters": filters, "order_by": [],
                });
                let rows = async |exact: &dyn Exact| -> BTreeMap<String, Value> {
                    let answer = exact.answer(&question).await.expect("an answer");
                    let rows = answer["results"].as_array().expect("rows").clone();
                    rows.into_iter()
                        .map(|row| (row["dimensions"].to_string(), row["metrics"].clone()))
                        .collect()
                };
                assert_eq!(rows(&stored).await, rows(&world).await, "{question}");
                compared += 1;
            }
        }
    }
    println!("{compared} questions are answered alike");
}

/// Attacks until there is a hit, or enough of them.
async fn attacked(world: &World, exact: &dyn Exact, rules: Rules, seed: u64, most: usize) -> Found {
    let remembered = Remembered { exact, known: Mutex::default() };
    let mut attacker =
        Attacker { world, exact: &remembered, rules, random: Random(seed), found: Found::default() };
    while attacker.found.attacks < most && attacker.found.hits.is_empty() {
        attacker.attack().await;
    }
    let asked = remembered.known.lock().expect("free").len();
    Found { asked, ..attacker.found }
}

#[tokio::test]
async fn nothing_that_a_viewer_can_compute_is_about_fewer_than_ten() {
    let world = World::new(SEED);
    let found = attacked(&world, &world, Rules::default(), SEED, attacks()).await;
    printed("a thousand patients", &found);
    assert!(found.hits.is_empty(), "{:#?}", found.hits);
    // It would be easy to be safe by saying nothing.
    for kind in KINDS {
        let (attacks, answered) = found.kinds.get(kind).copied().unwrap_or_default();
        let least = if kind == "patterns" { 0 } else { attacks / 4 };
        assert!(attacks > 0 && answered >= least, "{kind}: {answered} of {attacks} were answered");
    }
    let (neighbours, one) = (found.kinds[KINDS[0]].0, found.kinds[KINDS[1]].0);
    assert!((neighbours + one) * 5 >= found.attacks, "{neighbours} and {one} of {}", found.attacks);
}

#[tokio::test]
async fn nor_is_it_where_the_engine_answers() {
    let storage = storage::fresh().await;
    let world = World::new(SEED);
    store(&storage, &world).await;
    let (site, settings) = (attacker::site(), attacker::settings());
    let stored = Patient(Stored {
        storage: &storage,
        site: &site,
        settings: &settings,
        now: population::now(),
        together: None,
    });
    let found = attacked(&world, &stored, Rules::default(), 1, attacks() / 50).await;
    printed("the same on the engine", &found);
    assert!(found.hits.is_empty(), "{:#?}", found.hits);
    assert!(found.numbers > 0);
}

#[tokio::test]
async fn each_rule_stands_against_an_attack_that_succeeds_without_it() {
    let mut missing = Vec::new();
    let worlds: Vec<World> = (SEED..SEED + 3).map(World::new).collect();
    for rule in Rule::ALL {
        let (mut tried, mut hit) = (0, None);
        // Some populations have no example of a rare one.
        for (seed, world) in (SEED..).zip(&worlds) {
            let found = attacked(world, world, Rules::without(rule), seed, 1_000).await;
            tried += found.attacks;
            if let Some(first) = found.hits.into_iter().next() {
                // It is the rule that stands against it: with all of them there is nothing so far.
                let guarded = attacked(world, world, Rules::default(), seed, found.attacks).await;
                assert!(guarded.hits.is_empty(), "{:#?}", guarded.hits);
                hit = Some(first);
                break;
            }
        }
        println!("without {rule:?}: {hit:?} after {tried} attacks");
        if hit.is_none() {
            missing.push(rule);
        }
    }
    assert!(missing.is_empty(), "nothing succeeds without {missing:?}");
}
