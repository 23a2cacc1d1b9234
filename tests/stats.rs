//! Every number of the stats API against the slow reference, in the real engine.

#[path = "support/random.rs"]
mod random;
#[path = "support/reference.rs"]
mod reference;
#[path = "support/storage.rs"]
mod storage;

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use metka::config::Site;
use metka::event::Kind;
use metka::query::Dimension;
use metka::store::Storage;
use metka::store::row::{COLUMNS, HitId};
use random::Random;
use reference::{Ask, Groups, Hit, Where, answer};
use serde_json::{Value, json};

/// Random histories that are compared; each is a site of its own. The first is the
/// size of every run, the second of a long one.
const HISTORIES: [u64; 2] = [120, 1200];
/// Questions for each: together every dimension is asked some fifteen times with
/// every metric that goes with it.
const QUESTIONS: usize = 4;

const ZONES: &[&str] =
    &["Asia/Kolkata", "Asia/Kathmandu", "Europe/Moscow", "Europe/Berlin", "America/St_Johns", "UTC"];
const METRICS: &[&str] = &[
    "visitors",
    "visits",
    "pageviews",
    "views_per_visit",
    "bounce_rate",
    "visit_duration",
    "events",
    "percentage",
    "scroll_depth",
    "time_on_page",
    "ad_views",
    "ad_viewable",
    "ad_clicks",
    "ad_ctr",
];
const MINUTE: i64 = 60_000;

/// Few people, few values, times that like the edges: of half an hour, of
/// midnight, of the range.
fn history(random: &mut Random, zone: &TimeZone, from: i64, to: i64) -> Vec<Hit> {
    let people = 1 + random.below(6);
    let mut hits = Vec::new();
    for person in 0..people as u64 {
        let cookie = 1000 + person;
        // A cookie that is set and never comes back adopts nothing.
        let returns = random.chance(60);
        let edges = [from, to, from - 86_400_000, to + 86_400_000, from + (to - from) / 2];
        let mut time = edges[random.below(edges.len())] - 40 * MINUTE + random.below(60) as i64 * MINUTE;
        let mut minted_before = false;
        for _ in 0..random.below(14) {
            time += match random.below(7) {
                0 => 0,
                1 => 30 * MINUTE,
                2 => 30 * MINUTE + 1,
                3 => 29 * MINUTE,
                4 => random.below(3) as i64 * 60 * MINUTE,
                _ => random.below(600_000) as i64,
            };
            let with_cookie = returns && minted_before && random.chance(80);
            let kind = match random.below(10) {
                0..=4 => Kind::Pageview,
                5 => Kind::Event,
                6 => Kind::Engagement,
                7 => Kind::Consent,
                8 => Kind::AdView,
                _ => random_ad(random),
            };
            let minted = if with_cookie || random.chance(30) { 0 } else { cookie };
            minted_before |= minted != 0;
            let (visitor, mut before) = hashes(zone, person, time);
            if random.chance(10) {
                before = 0; // As of a collector from before there was such a thing.
            }
            let mut one =
                hit(random, kind, time, hits.len() as u32, visitor, with_cookie.then_some(cookie), minted);
            one.before = if with_cookie { 0 } else { before };
            hits.push(one);
        }
    }
    hits
}

/// The hash of somebody without a cookie on the day of `time`, and the day before's
/// if half an hour ago was another day.
fn hashes(zone: &TimeZone, person: u64, time: i64) -> (u64, u64) {
    let day = |time: i64| {
        let date = Timestamp::from_millisecond(time).expect("in range").to_zoned(zone.clone()).date();
        let number = jiff::civil::date(2026, 1, 1).until(date).expect("in range").get_days();
        1_000_000 + number as u64 * 10_000 + person
    };
    let (today, then) = (day(time), day(time - 30 * MINUTE));
    (today, if then == today { 0 } else { then })
}

fn random_ad(random: &mut Random) -> Kind {
    if random.chance(50) { Kind::AdViewable } else { Kind::AdClick }
}

fn hit(
    random: &mut Random,
    kind: Kind,
    time: i64,
    row: u32,
    hash: u64,
    cookie: Option<u64>,
    minted: u64,
) -> Hit {
    let mut text: BTreeMap<&'static str, String> = BTreeMap::new();
    let mut put = |random: &mut Random, column: &'static str, values: &[&str]| {
        text.insert(column, random.pick(values).to_owned());
    };
    put(random, "host", &["clinic.example", "www.clinic.example"]);
    put(random, "path", &["/", "/ceny/", "/Ceny/", "/vrachi/Иванова'\\", ""]);
    put(random, "source", &["", "Yandex", "Google"]);
    put(random, "channel", &["direct", "search", ""]);
    put(random, "referrer_host", &["", "yandex.example"]);
    put(random, "referrer_path", &["", "/a"]);
    for column in ["utm_source", "utm_medium", "utm_campaign", "utm_content", "utm_term"] {
        put(random, column, &["", "a", "Ё"]);
    }
    put(random, "country", &["RU", "", "KZ"]);
    put(random, "region", &["Moscow", "Yaroslavl Oblast", ""]);
    put(random, "city", &["Moscow", "Yaroslavl", ""]);
    for column in
        ["device", "browser", "browser_version", "os", "os_version", "language", "screen", "network"]
    {
        put(random, column, &["", "x", "y"]);
    }
    match kind {
        Kind::Event => put(random, "name", &["zapis", "call", "pageview"]),
        Kind::AdView | Kind::AdViewable | Kind::AdClick => put(random, "ad", &["banner-1", "banner-2"]),
        _ => {}
    }
    let props = if random.chance(40) {
        vec![("цена".into(), random.pick(&["1", "2", ""]).to_owned().into())]
    } else {
        vec![]
    };
    Hit {
        // Two spools whose batches interleave.
        id: HitId { batch: 7 + u64::from(row % 2), row },
        time,
        kind,
        visitor: cookie.unwrap_or(hash),
        cookie: cookie.is_some(),
        minted,
        before: 0,
        mark: if random.chance(8) { random.pick(&["crawler", "crowd"]) } else { "" },
        text,
        props,
        engaged_ms: if kind == Kind::Engagement { random.below(90_000) as u32 } else { 0 },
        scroll: if kind == Kind::Engagement && random.chance(70) { random.below(101) as u8 } else { 255 },
    }
}

/// Rows by month: a month is a partition, and an insert holds one.
type Months = BTreeMap<String, Vec<u8>>;

fn encode(site: &str, hits: &[Hit], months: &mut Months) {
    for hit in hits {
        let day = Timestamp::from_millisecond(hit.time).expect("in range").to_zoned(TimeZone::UTC).date();
        hit.row(site).encode(hit.id, months.entry(day.first_of_month().to_string()).or_default());
    }
}

async fn store(storage: &Storage, months: Months) {
    for (month, payload) in months {
        storage.insert(COLUMNS, &month, Bytes::from(payload)).await.expect("the histories are stored");
    }
}

fn site(id: &str, zone: &str) -> Site {
    Site { timezone: zone.to_owned(), ..Site::with_defaults(id, &["clinic.example"]) }
}

fn question_json(site: &str, ask: &Ask) -> Value {
    let iso = |ms: i64| Timestamp::from_millisecond(ms).expect("in range").to_string();
    json!({
        "site_id": site,
        "metrics": ask.metrics,
        "dimensions": ask.dimensions,
        "date_range": [iso(ask.from), iso(ask.to - 1000)],
        "filters": ask.filters.iter().map(filter_json).collect::<Vec<_>>(),
        "include": {"bots": ask.bots},
    })
}

fn filter_json(filter: &Where) -> Value {
    match filter {
        Where::All(children) => json!(["and", children.iter().map(filter_json).collect::<Vec<_>>()]),
        Where::Any(children) => json!(["or", children.iter().map(filter_json).collect::<Vec<_>>()]),
        Where::Not(child) => json!(["not", filter_json(child)]),
        Where::Test { operator, dimension, values, case_sensitive: true } => {
            json!([operator, dimension, values])
        }
        Where::Test { operator, dimension, values, .. } => {
            json!([operator, dimension, values, {"case_sensitive": false}])
        }
    }
}

fn random_filter(random: &mut Random, depth: usize) -> Where {
    if depth > 0 && random.chance(40) {
        let mut children = || (0..2).map(|_| random_filter(random, depth - 1)).collect::<Vec<_>>();
        let children = children();
        return match random.below(3) {
            0 => Where::All(children),
            1 => Where::Any(children),
            _ => Where::Not(Box::new(children.into_iter().next().expect("there are two"))),
        };
    }
    let names = dimensions();
    let names: Vec<&str> =
        names.iter().map(String::as_str).filter(|name| !name.starts_with("time")).collect();
    let dimension = random.pick(&names).to_owned();
    let operator = random.pick(&["is", "is_not", "contains", "contains_not", "matches", "matches_not"]);
    let known = [
        "/",
        "/ceny/",
        "/Ceny/",
        "/vrachi/Иванова'\\",
        "Yandex",
        "Direct / None",
        "(not set)",
        "(none)",
        "Direct",
        "",
        "RU",
        "Moscow",
        "x",
        "a",
        "ё",
        "Ё",
        "1",
        "zapis",
        "pageview",
        "banner-1",
        "clinic.example",
        "crowd",
    ];
    let mut values: Vec<String> = (0..1 + random.below(2)).map(|_| random.pick(&known).to_owned()).collect();
    if operator.starts_with("matches") {
        // Letters only: the reference knows no expressions but `^`.
        values = vec![format!("^{}", random.pick(&["Y", "/c", "ban", "x", "Ё"]))];
    }
    Where::Test { operator, dimension, values, case_sensitive: random.chance(70) }
}

fn dimensions() -> Vec<String> {
    Dimension::all().map(|dimension| dimension.name()).chain(["event:props:цена".to_owned()]).collect()
}

/// The metrics that may be asked with these dimensions.
fn metrics_for(dimensions: &[String]) -> Vec<&'static str> {
    let splits = dimensions
        .iter()
        .any(|name| name == "event:name" || name == "event:mark" || name.starts_with("event:props:"));
    let of_visits = ["views_per_visit", "bounce_rate", "visit_duration"];
    METRICS
        .iter()
        .copied()
        .filter(|metric| !(splits && of_visits.contains(metric)))
        .filter(|metric| !(dimensions.is_empty() && *metric == "percentage"))
        .collect()
}

/// Rounding as documented, whichever way a tie goes.
fn agree(metric: &str, found: &Value, expected: Option<f64>) -> bool {
    let unit = match metric {
        "views_per_visit" | "ad_ctr" => 0.01,
        "percentage" => 0.1,
        "bounce_rate" | "visit_duration" | "scroll_depth" | "time_on_page" => 1.0,
        _ => return found.as_u64().map(|n| n as f64) == expected,
    };
    match (found.as_f64(), expected) {
        (None, None) => found.is_null(),
        (Some(found), Some(expected)) => (found - expected).abs() <= unit / 2.0 + 1e-6,
        _ => false,
    }
}

async fn compare(storage: &Storage, site: &Site, hits: &[Hit], ask: &Ask<'_>) {
    let question = question_json(&site.id, ask);
    let expected = answer(hits, ask);
    let found = metka::query::run(storage, site, &metka::settings::Settings::default(), &question, Timestamp::UNIX_EPOCH)
        .await
        .unwrap_or_else(|error| panic!("{question}: {error}"));
    let rows = found["results"].as_array().expect("results are a list");
    let mut groups: BTreeMap<Vec<String>, Vec<Value>> = BTreeMap::new();
    for row in rows {
        let key = row["dimensions"].as_array().expect("a list");
        let key = key.iter().map(|value| value.as_str().expect("a text").to_owned()).collect();
        let before = groups.insert(key, row["metrics"].as_array().expect("a list").clone());
        assert!(before.is_none(), "a group is there twice: {row}");
    }
    let same = groups.keys().eq(expected.keys())
        && groups.iter().all(|(key, values)| {
            ask.metrics
                .iter()
                .zip(values)
                .zip(&expected[key])
                .all(|((metric, found), expected)| agree(metric, found, *expected))
        });
    assert!(same, "{}", difference(site, &question, &groups, &expected, hits));
}

fn difference(
    site: &Site,
    question: &Value,
    found: &BTreeMap<Vec<String>, Vec<Value>>,
    expected: &Groups,
    hits: &[Hit],
) -> String {
    let hits: Vec<String> = hits
        .iter()
        .map(|hit| {
            format!(
                "{} {:?} visitor={} cookie={} minted={} before={} mark={:?} {:?}",
                Timestamp::from_millisecond(hit.time).expect("in range"),
                hit.kind,
                hit.visitor,
                hit.cookie,
                hit.minted,
                hit.before,
                hit.mark,
                hit.text
            )
        })
        .collect();
    format!("{}\n{question}\nfound    {found:?}\nexpected {expected:?}\n{}", site.timezone, hits.join("\n"))
}

/// One random site.
struct Case {
    random: Random,
    site: Site,
    zone: TimeZone,
    from: i64,
    to: i64,
    hits: Vec<Hit>,
}

impl Case {
    fn new(seed: u64) -> Case {
        let mut random = Random(seed);
        let zone = random.pick(ZONES);
        let site = site(&format!("history-{seed}"), zone);
        let zone = TimeZone::get(zone).expect("a known zone");
        // Near the ends of months and both changes of the clock.
        let first = random.pick(&["2026-03-28", "2026-03-31", "2026-10-24", "2026-06-30", "2026-12-31"]);
        let first: jiff::civil::Date = first.parse().expect("a date");
        let midnight = |date: jiff::civil::Date| {
            date.to_zoned(zone.clone()).expect("in range").timestamp().as_millisecond()
        };
        let last = first.checked_add(jiff::Span::new().days(1 + random.below(3) as i64)).expect("in range");
        let (from, to) = (midnight(first), midnight(last));
        let hits = history(&mut random, &zone, from, to);
        Case { random, site, zone, from, to, hits }
    }
}

#[tokio::test]
async fn every_number_equals_the_recount_by_definition() {
    let storage = storage::fresh().await;
    let names = dimensions();
    let mut asked: BTreeMap<String, usize> = BTreeMap::new();
    let soak = std::env::var_os("METKA_SOAK").is_some_and(|value| value == "1");
    let cases: Vec<Case> = (0..HISTORIES[usize::from(soak)]).map(Case::new).collect();
    let mut months = Months::new();
    for case in &cases {
        encode(&case.site.id, &case.hits, &mut months);
    }
    store(&storage, months).await;
    let (mut turn, mut with_bots) = (0, 0);
    for Case { mut random, site, zone, from, to, hits } in cases {
        for _ in 0..QUESTIONS {
            let mut dimensions = Vec::new();
            // The first ones go round, so that each is asked as often.
            turn += 1;
            dimensions.extend(names.get(turn % (names.len() + 1)).cloned());
            if random.chance(25) {
                let second = names[random.below(names.len())].clone();
                if !dimensions.contains(&second) {
                    dimensions.push(second);
                }
            }
            let filters: Vec<Where> = (0..random.below(3)).map(|_| random_filter(&mut random, 2)).collect();
            let mut metrics = metrics_for(&dimensions);
            // Sometimes one alone: its hits then decide which groups there are.
            if random.chance(30) {
                metrics = vec![metrics[random.below(metrics.len())]];
            }
            for dimension in &dimensions {
                *asked.entry(dimension.clone()).or_default() += 1;
            }
            let bots = random.chance(40);
            with_bots += usize::from(bots);
            let ask = Ask {
                from,
                to,
                zone: &zone,
                dimensions: &dimensions,
                metrics: &metrics,
                filters: &filters,
                bots,
            };
            compare(&storage, &site, &hits, &ask).await;
        }
    }
    println!("{turn} questions, {with_bots} of them with marked hits");
    assert!(with_bots > turn / 4);
    assert!(names.iter().all(|name| asked.get(name).is_some_and(|count| *count >= 10)), "{asked:?}");
}

/// The questions that a dashboard asks, on half a year of the demo. Their times
/// are printed (`--nocapture`), not asserted.
#[tokio::test]
async fn the_dashboard_of_the_demo_is_consistent() {
    let storage = storage::fresh().await;
    let site = site("demo", "Europe/Moscow");
    let now: Timestamp = "2026-11-20T10:00:00Z".parse().expect("an instant");
    let started = std::time::Instant::now();
    let loaded = metka::demo::load(&storage, &site, now).await.expect("loaded");
    println!("{loaded} hits loaded in {:?}", started.elapsed());

    let headline = json!([
        "visitors",
        "visits",
        "pageviews",
        "views_per_visit",
        "bounce_rate",
        "visit_duration",
        "events"
    ]);
    for range in ["30d", "6mo"] {
        let mut slowest = Duration::ZERO;
        let mut ask = async |metrics: Value, dimensions: Value, filters: Value| {
            let question = json!({
                "site_id": "demo", "metrics": metrics, "date_range": range, "dimensions": dimensions,
                "filters": filters,
            });
            let started = std::time::Instant::now();
            let answer = metka::query::run(&storage, &site, &metka::settings::Settings::default(), &question, now)
                .await
                .unwrap_or_else(|error| panic!("{question}: {error}"));
            println!("{range} {dimensions} {:?}", started.elapsed());
            slowest = slowest.max(started.elapsed());
            answer["results"].as_array().expect("a list").clone()
        };
        let whole = ask(headline.clone(), json!([]), json!([])).await;
        let whole = whole[0]["metrics"].as_array().expect("a list").clone();
        let number = |value: &Value| value.as_u64().expect("a number");
        assert!(number(&whole[0]) > 500 && number(&whole[1]) >= number(&whole[0]), "{whole:?}");
        assert!(number(&whole[4]) > 10 && number(&whole[4]) < 90, "a bounce rate in percent: {whole:?}");

        let days = ask(headline.clone(), json!(["time:day"]), json!([])).await;
        let total = |rows: &[Value], metric: usize| {
            rows.iter().map(|row| number(&row["metrics"][metric])).sum::<u64>()
        };
        assert_eq!(total(&days, 2), number(&whole[2]), "page views of all days");
        for dimension in [
            "visit:source",
            "visit:channel",
            "visit:entry_page",
            "visit:exit_page",
            "visit:city",
            "visit:device",
            "visit:browser",
            "visit:utm_campaign",
        ] {
            let rows = ask(headline.clone(), json!([dimension]), json!([])).await;
            assert!(rows.len() > 2, "{dimension}: {} rows", rows.len());
            assert_eq!(total(&rows, 1), number(&whole[1]), "visits by {dimension}");
            assert_eq!(total(&rows, 2), number(&whole[2]), "page views by {dimension}");
        }
        let pages = ask(
            json!(["visitors", "pageviews", "bounce_rate", "time_on_page", "scroll_depth"]),
            json!(["event:page"]),
            json!([]),
        )
        .await;
        assert_eq!(total(&pages, 1), number(&whole[2]), "page views by page");
        let ads =
            ask(json!(["ad_views", "ad_viewable", "ad_clicks", "ad_ctr"]), json!(["event:ad"]), json!([]))
                .await;
        assert_eq!(ads.len(), 3);
        assert!(ads.iter().all(|row| number(&row["metrics"][0]) >= number(&row["metrics"][1])), "{ads:?}");
        let filtered = ask(
            headline.clone(),
            json!(["visit:city"]),
            json!([["is", "visit:source", ["Yandex"]], ["contains", "event:page", ["/uslugi/"]]]),
        )
        .await;
        assert!(!filtered.is_empty());
        println!("{range}: slowest {slowest:?}");
    }
    let live = metka::query::live(&storage, &site, now).await.expect("a live count");
    assert!(live < 20, "{live}");
}

/// Counted by hand: a visit over midnight in Kathmandu, a new browser whose
/// cookie comes back, one whose cookie does not, and half an hour to the millisecond.
#[tokio::test]
async fn small_histories_have_the_numbers_counted_by_hand() {
    let storage = storage::fresh().await;
    let site = site("hand", "Asia/Kathmandu");
    let mut random = Random(1);
    let at = |text: &str| text.parse::<Timestamp>().expect("an instant").as_millisecond();
    // Midnight in Kathmandu is 18:15 UTC.
    let midnight = at("2026-05-10T18:15:00Z");
    let mut hits = Vec::new();
    let mut put = |time: i64, hash: u64, cookie: Option<u64>, minted: u64| {
        let mut one = hit(&mut random, Kind::Pageview, time, hits.len() as u32, hash, cookie, minted);
        one.mark = "";
        hits.push(one);
    };
    // One person, one visit over midnight: the first hit is answered with a cookie.
    put(midnight - 60_000, 1, None, 900);
    put(midnight + 60_000, 1, Some(900), 0);
    // One who refuses cookies: two hits, two offers, one visit, on the second day.
    put(midnight + 3_600_000, 2, None, 901);
    put(midnight + 3_600_000 + 30 * MINUTE, 2, None, 902);
    // One who is a millisecond too late for the same visit.
    put(midnight + 7_200_000, 3, None, 0);
    put(midnight + 7_200_000 + 30 * MINUTE + 1, 3, None, 0);
    let mut months = Months::new();
    encode(&site.id, &hits, &mut months);
    store(&storage, months).await;

    let metrics =
        json!(["visitors", "visits", "pageviews", "bounce_rate", "visit_duration", "views_per_visit"]);
    for (range, dimensions, expected) in [
        (json!(["2026-05-10", "2026-05-11"]), json!([]), json!([[[], [3, 4, 6, 50, 480, 1.5]]])),
        // The visit over midnight is whole on either day.
        (json!(["2026-05-10", "2026-05-10"]), json!([]), json!([[[], [1, 1, 1, 0, 120, 1]]])),
        (json!(["2026-05-11", "2026-05-11"]), json!([]), json!([[[], [3, 4, 5, 50, 480, 1.25]]])),
        (
            json!(["2026-05-10", "2026-05-11"]),
            json!(["time:day"]),
            json!([[["2026-05-10"], [1, 1, 1, 0, 120, 1]], [["2026-05-11"], [3, 4, 5, 50, 480, 1.25]]]),
        ),
    ] {
        let question = json!({
            "site_id": "hand", "metrics": metrics, "date_range": range, "dimensions": dimensions,
        });
        let answer =
            metka::query::run(&storage, &site, &metka::settings::Settings::default(), &question, Timestamp::UNIX_EPOCH).await.expect("an answer");
        let rows: Vec<Value> = answer["results"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|row| json!([row["dimensions"], row["metrics"]]))
            .collect();
        assert_eq!(json!(rows), expected, "{question}");
    }
    let live = |text: &str| text.parse::<Timestamp>().expect("an instant");
    let count =
        metka::query::live(&storage, &site, live("2026-05-10T18:17:00Z")).await.expect("a live count");
    assert_eq!(count, 1);
    let count =
        metka::query::live(&storage, &site, live("2026-05-10T18:30:00Z")).await.expect("a live count");
    assert_eq!(count, 0);
}
