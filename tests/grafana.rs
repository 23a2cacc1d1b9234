//! Every panel of `dashboards/grafana/metka.json` against the stats API, on the real engine.
//!
//! Variables and macros are expanded as Grafana and its ClickHouse plugin do (the plugin's
//! `pkg/macros`: `$__timeFilter(c)` is `c >= toDateTime(FROM) AND c <= toDateTime(TO)`, both in seconds).
//! A panel that the table below does not know fails the test, and so does a row that the
//! API answers otherwise.

#[path = "support/goal.rs"]
mod goal;
#[path = "support/random.rs"]
mod random;
#[allow(dead_code, reason = "the answers here are compared with the API's, which has the slow reference")]
#[path = "support/reference.rs"]
mod reference;
#[path = "support/storage.rs"]
mod storage;

use std::collections::BTreeMap;
use std::process::Command;

use bytes::Bytes;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use metka::config::Site;
use metka::event::Kind;
use metka::refusals::{Place, Refused};
use metka::reject::Reason;
use metka::settings::Settings;
use metka::spool::Subject;
use metka::store::row::{COLUMNS, HitId};
use metka::store::{Block, Limits, List, Storage, refusals};
use random::Random;
use reference::Hit;
use serde_json::{Value, json};

/// Random sites; every other has blocked people. The first is the number of every run, the second of a long one.
const HISTORIES: [u64; 2] = [5, 60];
const ZONES: &[&str] = &["Europe/Moscow", "Asia/Kathmandu", "America/St_Johns", "Europe/Berlin", "UTC"];
const MINUTE: i64 = 60_000;
const DAY: i64 = 1440 * MINUTE;

/// What a panel's rows are in the API: dimensions, then metrics.
enum Same {
    /// The first column is an instant, by a bucket of the API in a time zone.
    Series(Bucket, &'static [&'static str]),
    Rows(&'static [&'static str], &'static [&'static str]),
    /// Counts by the panel's interval, brought to a minute.
    PerMinute(&'static [&'static str]),
    /// Sums of refusals: by reason, or by hour.
    Refusals,
    RefusalsByHour,
}

enum Bucket {
    Interval,
    DayOfSite,
}

const OF_VISITS: &[&str] = &["visitors", "visits", "pageviews", "bounce_rate", "visit_duration"];
const PANELS: &[(&str, Same)] = &[
    (
        "Summary",
        Same::Rows(
            &[],
            &[
                "visitors",
                "visits",
                "pageviews",
                "views_per_visit",
                "bounce_rate",
                "visit_duration",
                "events",
            ],
        ),
    ),
    ("Visitors and visits", Same::Series(Bucket::Interval, &["visitors", "visits", "pageviews"])),
    ("Days", Same::Series(Bucket::DayOfSite, OF_VISITS)),
    ("Top pages", Same::Rows(&["event:page"], OF_VISITS)),
    ("Entry pages", Same::Rows(&["visit:entry_page"], OF_VISITS)),
    ("Exit pages", Same::Rows(&["visit:exit_page"], OF_VISITS)),
    ("Sources", Same::Rows(&["visit:source"], OF_VISITS)),
    ("Channels", Same::Rows(&["visit:channel"], OF_VISITS)),
    ("Campaigns", Same::Rows(&["visit:utm_campaign"], OF_VISITS)),
    ("Countries", Same::Rows(&["visit:country"], OF_VISITS)),
    ("Regions", Same::Rows(&["visit:region"], OF_VISITS)),
    ("Cities", Same::Rows(&["visit:city"], OF_VISITS)),
    ("Devices", Same::Rows(&["visit:device"], OF_VISITS)),
    ("Browsers", Same::Rows(&["visit:browser"], OF_VISITS)),
    ("Operating systems", Same::Rows(&["visit:os"], OF_VISITS)),
    ("Events", Same::Rows(&["event:name"], &["visitors", "visits", "events"])),
    ("Ad blocks", Same::Rows(&["event:ad"], &["ad_views", "ad_viewable", "ad_clicks", "ad_ctr", "visitors"])),
    ("Hits per minute", Same::PerMinute(&["events", "ad_views", "ad_viewable", "ad_clicks"])),
    ("Refused hits by reason", Same::Refusals),
    ("Refused hits by hour", Same::RefusalsByHour),
];

/// A random site, and the time that the dashboard shows.
struct Case {
    site: Site,
    zone: TimeZone,
    from: i64,
    to: i64,
    /// With the hash of the user key, 0 for none.
    hits: Vec<(Hit, u64)>,
    blocked: Vec<Subject>,
    refused: Vec<Refused>,
}

/// The dashboard as it stands in the repository.
fn dashboard() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/dashboards/grafana/metka.json");
    serde_json::from_str(&std::fs::read_to_string(path).expect("the dashboard is there")).expect("JSON")
}

/// A statement as the plugin sends it, for whole seconds of time.
fn expanded(
    sql: &str,
    database: &str,
    site: &str,
    zone: &str,
    (from, to): (i64, i64),
    interval: i64,
) -> String {
    let quoted = |text: &str| format!("'{}'", text.replace('\'', "\\'"));
    let mut sql = sql
        .replace("${database}", database)
        .replace("${site:singlequote}", &quoted(site))
        .replace("${zone:singlequote}", &quoted(zone))
        .replace("$__fromTime", &format!("toDateTime({from})"))
        .replace("$__toTime", &format!("toDateTime({to})"))
        .replace("$__interval_s", &interval.to_string());
    for (name, expand) in [
        (
            "$__timeFilter(",
            &(|column: &str| format!("{column} >= toDateTime({from}) AND {column} <= toDateTime({to})"))
                as &dyn Fn(&str) -> String,
        ),
        ("$__timeInterval(", &|column: &str| {
            format!("toStartOfInterval(toDateTime({column}), INTERVAL {interval} second)")
        }),
    ] {
        while let Some(start) = sql.find(name) {
            let end = start + sql[start..].find(')').expect("a macro ends");
            let column = sql[start + name.len()..end].to_owned();
            sql.replace_range(start..=end, &expand(&column));
        }
    }
    assert!(!sql.contains('$'), "a variable or macro that is not known: {sql}");
    sql
}

/// People of all kinds: with cookies that come back or do not, without any over several
/// midnights, marked, blocked, with user keys.
fn case(seed: u64) -> Case {
    let mut random = Random(seed ^ 0x6772_6166);
    let name = ZONES[seed as usize % ZONES.len()];
    let zone = TimeZone::get(name).expect("a known zone");
    let site = Site {
        timezone: name.to_owned(),
        ..Site::with_defaults(&format!("grafana-{seed}"), &["clinic.example"])
    };
    // Near the end of a month, and a change of the clock.
    let first: jiff::civil::Date =
        random.pick(&["2026-03-28", "2026-10-24", "2026-06-30"]).parse().expect("a date");
    let midnight = |days: i64| {
        let day = first.checked_add(jiff::Span::new().days(days)).expect("in range");
        day.to_zoned(zone.clone()).expect("in range").timestamp().as_millisecond()
    };
    let (from, to) = (midnight(0), midnight(1 + random.below(3) as i64));
    let mut hits = Vec::new();
    for person in 0..15 + random.below(10) as u64 {
        let (cookie, returns) = (1000 + person, random.chance(50));
        let user_key = if random.chance(20) { 77_000 + person } else { 0 };
        let mut time = from - DAY / 2 + random.below((to - from + DAY) as usize) as i64;
        if random.chance(50) {
            // Before a midnight of the site.
            time = midnight(random.below(3) as i64) - random.below(40) as i64 * MINUTE;
        }
        let mut offered = false;
        for _ in 0..2 + random.below(12) {
            time += [0, 30 * MINUTE, 30 * MINUTE + 1, 12 * MINUTE, random.below(3) as i64 * 90 * MINUTE]
                [random.below(5)];
            time += random.below(1500) as i64;
            let with_cookie = returns && offered && random.chance(70);
            let minted = if with_cookie || random.chance(40) { 0 } else { cookie };
            offered |= minted != 0;
            let hash = |time: i64| {
                let date = Timestamp::from_millisecond(time).expect("in range").to_zoned(zone.clone()).date();
                1_000_000 + u64::from(date.day_of_year().unsigned_abs()) * 1000 + person
            };
            let before = hash(time - 30 * MINUTE);
            let mut text: BTreeMap<&'static str, String> = BTreeMap::new();
            for (column, values) in [
                ("path", &["/", "/ceny/", "/vrachi/Иванова'\\", ""] as &[&str]),
                ("source", &["", "Yandex", "Google"]),
                ("channel", &["direct", "search", ""]),
                ("utm_campaign", &["", "весна"]),
                ("country", &["RU", "", "KZ"]),
                ("region", &["Moscow", ""]),
                ("city", &["Moscow", "Yaroslavl", ""]),
                ("device", &["desktop", "mobile", ""]),
                ("browser", &["Firefox", ""]),
                ("os", &["Linux", ""]),
            ] {
                text.insert(column, random.pick(values).to_owned());
            }
            let kind = [
                Kind::Pageview,
                Kind::Pageview,
                Kind::Pageview,
                Kind::Event,
                Kind::AdView,
                Kind::AdViewable,
                Kind::AdClick,
                Kind::Engagement,
                Kind::Consent,
                Kind::Error,
            ][random.below(10)];
            match kind {
                Kind::Event => {
                    _ = text.insert("name", random.pick(&["zapis", "call", "pageview"]).to_owned())
                }
                Kind::AdView | Kind::AdViewable | Kind::AdClick => {
                    text.insert("ad", random.pick(&["banner-1", "banner-2"]).to_owned());
                }
                _ => {}
            }
            let hit = Hit {
                id: HitId { batch: 7 + hits.len() as u64 % 2, row: hits.len() as u32 },
                time,
                kind,
                visitor: if with_cookie { cookie } else { hash(time) },
                cookie: with_cookie,
                minted,
                before: if with_cookie || before == hash(time) { 0 } else { before },
                mark: if random.chance(8) { random.pick(&["crawler", "crowd"]) } else { "" },
                text,
                props: Vec::new(),
                engaged_ms: 0,
                scroll: 255,
                consent: metka::event::ConsentState::Unstated,
            };
            hits.push((hit, user_key));
        }
    }
    let mut blocked = Vec::new();
    if seed.is_multiple_of(2) {
        for _ in 0..6 {
            let (hit, user_key) = &hits[random.below(hits.len())];
            let subjects =
                [Subject::Visitor(hit.visitor), Subject::Visitor(hit.minted), Subject::UserKey(*user_key)];
            let subject = subjects[random.below(3)];
            // 0 is "none", and nobody can be blocked by it.
            if !matches!(subject, Subject::Visitor(0) | Subject::UserKey(0)) && !blocked.contains(&subject) {
                blocked.push(subject);
            }
        }
    }
    let refused = (0..12)
        .map(|_| Refused {
            site: if random.chance(70) { site.id.clone() } else { String::new() },
            hour: ((from + random.below((to - from + DAY) as usize) as i64) / 3_600_000 * 3600) as u32,
            reason: Reason::ALL[random.below(Reason::COUNT)],
            ip: [0; 16],
            ip_key: 0,
            place: Place::default(),
            count: 1 + random.below(50) as u64,
            ip_days: 3650,
        })
        .collect();
    Case { site, zone, from, to, hits, blocked, refused }
}

async fn store(storage: &Storage, cases: &[Case]) {
    // A month is a partition, and an insert holds one.
    let mut months: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    for case in cases {
        for (hit, user_key) in &case.hits {
            let day = Timestamp::from_millisecond(hit.time).expect("in range").to_zoned(TimeZone::UTC).date();
            let mut row = hit.row(&case.site.id);
            row.user_key = *user_key;
            row.encode(hit.id, months.entry(day.first_of_month().to_string()).or_default());
        }
        if !case.refused.is_empty() {
            let rows = refusals::encode(&case.refused);
            storage.insert_refusals(&case.site.id, rows).await.expect("refusals are stored");
        }
        let blocks: Vec<Block> = case
            .blocked
            .iter()
            .map(|subject| Block { site: case.site.id.clone(), subject: *subject })
            .collect();
        storage.enlist(List::Blocked, &blocks, 0).await.expect("blocks are stored");
    }
    for (month, payload) in months {
        storage.insert(COLUMNS, &month, Bytes::from(payload)).await.expect("hits are stored");
    }
}

/// The API's rows: dimensions, then metrics.
async fn api(
    storage: &Storage,
    site: &Site,
    shown: (i64, i64),
    dimensions: &[&str],
    metrics: &[&str],
) -> Vec<Vec<Value>> {
    let iso = |second: i64| Timestamp::from_second(second).expect("in range").to_string();
    let question = json!({
        "site_id": site.id, "metrics": metrics, "dimensions": dimensions,
        "date_range": [iso(shown.0), iso(shown.1)],
    });
    let answer = metka::query::run(storage, site, &Settings::default(), &question, Timestamp::UNIX_EPOCH)
        .await
        .unwrap_or_else(|error| panic!("{question}: {error}"));
    answer["results"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|row| {
            let part = |name: &str| row[name].as_array().expect("a list").clone();
            [part("dimensions"), part("metrics")].concat()
        })
        .collect()
}

/// Labels of buckets become the seconds at which they begin.
fn with_instants(rows: Vec<Vec<Value>>, zone: &TimeZone) -> Vec<Vec<Value>> {
    rows.into_iter()
        .map(|mut row| {
            let label = row[0].as_str().expect("a label").to_owned();
            let at = match label.parse::<jiff::civil::DateTime>() {
                Ok(at) => at,
                Err(_) => label.parse::<jiff::civil::Date>().expect("a date").to_datetime(Default::default()),
            };
            row[0] = json!(at.to_zoned(zone.clone()).expect("in range").timestamp().as_second());
            row
        })
        .collect()
}

/// Numbers as such, whether the engine writes them with a point or not.
fn plain(rows: &[Vec<Value>]) -> Vec<Vec<Value>> {
    let plain =
        |value: &Value| value.as_f64().map_or(value.clone(), |number| json!((number * 1e6).round() / 1e6));
    rows.iter().map(|row| row.iter().map(plain).collect()).collect()
}

async fn expected(storage: &Storage, case: &Case, same: &Same, interval: i64) -> Vec<Vec<Value>> {
    let shown = (case.from / 1000, case.to / 1000 - 1);
    // Intervals are of UTC; a range of two instants is the same under any zone.
    let utc = Site { timezone: "UTC".to_owned(), ..case.site.clone() };
    let bucket = if interval == 60 { "time:minute" } else { "time:hour" };
    match same {
        Same::Rows(dimensions, metrics) => {
            let mut rows = api(storage, &case.site, shown, dimensions, metrics).await;
            rows.truncate(100);
            rows
        }
        Same::Series(Bucket::Interval, metrics) => {
            with_instants(api(storage, &utc, shown, &[bucket], metrics).await, &TimeZone::UTC)
        }
        Same::Series(Bucket::DayOfSite, metrics) => {
            with_instants(api(storage, &case.site, shown, &["time:day"], metrics).await, &case.zone)
        }
        Same::PerMinute(metrics) => {
            let mut rows = with_instants(api(storage, &utc, shown, &[bucket], metrics).await, &TimeZone::UTC);
            for value in rows.iter_mut().flat_map(|row| row.iter_mut().skip(1)) {
                *value = json!(value.as_f64().expect("a number") * 60.0 / interval as f64);
            }
            rows
        }
        Same::RefusalsByHour => {
            let mut hours: BTreeMap<i64, u64> = BTreeMap::new();
            for row in storage.refusals(&case.site.id, shown.0, shown.1 + 1).await.expect("refusals") {
                *hours.entry(row.hour).or_default() += row.count;
            }
            hours.into_iter().map(|(hour, count)| vec![json!(hour), json!(count)]).collect()
        }
        Same::Refusals => {
            let mut reasons: BTreeMap<String, [u64; 2]> = BTreeMap::new();
            for (at, site) in [case.site.id.as_str(), ""].into_iter().enumerate() {
                for row in storage.refusals(site, shown.0, shown.1 + 1).await.expect("refusals") {
                    reasons.entry(row.reason).or_default()[at] += row.count;
                }
            }
            let mut rows: Vec<_> = reasons.into_iter().collect();
            rows.sort_by(|(a, x), (b, y)| y.cmp(x).then(a.cmp(b)));
            rows.into_iter()
                .map(|(reason, [own, none])| vec![json!(reason), json!(own), json!(none)])
                .collect()
        }
    }
}

#[tokio::test]
async fn every_panel_has_the_numbers_of_the_stats_api() {
    let storage = storage::fresh().await;
    let soak = std::env::var_os("METKA_SOAK").is_some_and(|value| value == "1");
    let cases: Vec<Case> = (0..HISTORIES[usize::from(soak)]).map(case).collect();
    store(&storage, &cases).await;
    let dashboard = dashboard();
    let panels = dashboard["panels"].as_array().expect("panels");
    let titles: Vec<&str> = panels.iter().map(|panel| panel["title"].as_str().expect("a title")).collect();
    assert_eq!(titles, PANELS.iter().map(|(title, _)| *title).collect::<Vec<_>>());

    let mut compared: BTreeMap<&str, usize> = BTreeMap::new();
    let blocked = cases.iter().filter(|case| !case.blocked.is_empty()).count();
    assert!(blocked >= 3, "{blocked} histories with blocked people");
    for case in &cases {
        let shown = (case.from / 1000, case.to / 1000 - 1);
        for (panel, (title, same)) in panels.iter().zip(PANELS) {
            let target = &panel["targets"][0];
            let sql = target["rawSql"].as_str().expect("a statement");
            let series = target["queryType"] == "timeseries";
            assert_eq!(target["format"], if series { 0 } else { 1 }, "{title}");
            let intervals: &[i64] = if sql.contains("$__timeInterval(") { &[60, 3600] } else { &[60] };
            for &interval in intervals {
                let sql =
                    expanded(sql, storage.database(), &case.site.id, &case.site.timezone, shown, interval);
                let sql = match series {
                    true => format!("SELECT toUnixTimestamp(time), * EXCEPT (time) FROM (\n{sql}\n)"),
                    false => sql,
                };
                let found = storage
                    .json(&sql, &[], &Limits::default())
                    .await
                    .unwrap_or_else(|error| panic!("{title}: {error}\n{sql}"));
                let expected = expected(&storage, case, same, interval).await;
                assert_eq!(
                    plain(&found),
                    plain(&expected),
                    "{title} of {} ({}), panel first, then the API",
                    case.site.id,
                    case.site.timezone
                );
                *compared.entry(title).or_default() += found.len();
            }
        }
    }
    println!("rows compared: {compared:?}");
    assert!(compared.values().all(|rows| *rows >= 5), "{compared:?}");
}

#[tokio::test]
async fn the_list_of_sites_is_asked_of_the_engine() {
    let storage = storage::fresh().await;
    store(&storage, &[case(1), case(2)]).await;
    let dashboard = dashboard();
    let variables = dashboard["templating"]["list"].as_array().expect("variables");
    let site = variables.iter().find(|variable| variable["name"] == "site").expect("a variable");
    let sql = expanded(
        site["query"]["rawSql"].as_str().expect("a statement"),
        storage.database(),
        "",
        "",
        (0, 0),
        60,
    );
    let found = storage.json(&sql, &[], &Limits::default()).await.expect("an answer");
    assert_eq!(json!(found), json!([["grafana-1"], ["grafana-2"]]));
}

#[test]
fn the_dashboard_is_what_its_generator_writes() {
    let checked = Command::new("node")
        .args([concat!(env!("CARGO_MANIFEST_DIR"), "/dashboards/grafana/build.mjs"), "--check"])
        .status()
        .expect("node runs");
    assert!(checked.success());
}

/// The user that the readme makes may read these columns of `hits` and no others.
#[test]
fn the_columns_that_the_readme_grants_are_those_that_panels_read() {
    let readme = include_str!("../dashboards/grafana/README.md");
    let start = readme.find("GRANT SELECT(site, time").expect("the grant") + "GRANT SELECT(".len();
    let granted: Vec<&str> = readme[start..start + readme[start..].find(')').expect("its end")]
        .split(',')
        .map(str::trim)
        .collect();
    let dashboard = dashboard();
    let statements: Vec<&str> = dashboard["panels"]
        .as_array()
        .expect("panels")
        .iter()
        .filter_map(|panel| panel["targets"][0]["rawSql"].as_str())
        .filter(|sql| sql.contains(".hits"))
        .flat_map(str::lines)
        .filter(|line| !line.trim_start().starts_with("--"))
        .collect();
    let names = |column: &str| {
        let word = |c: char| c.is_alphanumeric() || c == '_';
        statements.iter().any(|sql| sql.split(|c: char| !word(c)).any(|each| each == column))
    };
    for column in COLUMNS {
        assert_eq!(granted.contains(column), names(column), "{column}");
    }
}
