//! Every number of the stats API against the slow reference, in the real engine.

#[path = "support/goal.rs"]
mod goal;
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
use metka::event::{ConsentState, Kind};
use metka::query::{Dimension, QueryError};
use metka::settings::{Aim, Goal, Segment, Settings};
use metka::store::Storage;
use metka::store::row::{COLUMNS, HitId};
use random::Random;
use reference::{Ask, Groups, Hit, Where, answer, totals};
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
    "ad_viewable_rate",
    "conversion_rate",
    "group_conversion_rate",
    "exit_rate",
    "total_revenue",
    "average_revenue",
];
/// Those that are 0, and not missing, where nothing was.
const COUNTS: &[&str] =
    &["visitors", "visits", "pageviews", "events", "ad_views", "ad_viewable", "ad_clicks"];
/// Shares in percent, which change by points.
const SHARES: &[&str] = &[
    "bounce_rate",
    "percentage",
    "ad_ctr",
    "ad_viewable_rate",
    "conversion_rate",
    "group_conversion_rate",
    "exit_rate",
];
/// How often a question is put that took too long.
const MAX_TRIES: usize = 20;
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
                7 if hits.len() % 2 == 0 => Kind::Consent,
                7 => Kind::Error,
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
    let mut props = Vec::new();
    if random.chance(40) {
        props.push(("цена".into(), random.pick(&["1", "2", ""]).to_owned().into()));
    }
    if random.chance(50) {
        let amounts = [
            "100",
            "0.1",
            "0.2",
            "-50.25",
            "1200,50",
            "1e3",
            " 7",
            "12345.67891",
            "0.0001",
            "999999999999",
            "",
        ];
        props.push(("revenue".into(), random.pick(&amounts).to_owned().into()));
    }
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
        consent: [
            ConsentState::Unstated,
            ConsentState::Granted,
            ConsentState::Denied,
            ConsentState::Marketing,
        ][random.below(4)],
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
        "include": {"bots": ask.bots, "totals": true},
    })
}

fn filter_json(filter: &Where) -> Value {
    let with_case = |mut filter: Value, case_sensitive: bool| {
        if !case_sensitive && let Value::Array(parts) = &mut filter {
            parts.push(json!({"case_sensitive": false}));
        }
        filter
    };
    match filter {
        Where::All(children) => json!(["and", children.iter().map(filter_json).collect::<Vec<_>>()]),
        Where::Any(children) => json!(["or", children.iter().map(filter_json).collect::<Vec<_>>()]),
        Where::Not(child) => json!(["not", filter_json(child)]),
        Where::Done { done, what } => {
            json!([if *done { "has_done" } else { "has_not_done" }, filter_json(what)])
        }
        Where::Goals { operator, values, case_sensitive } => {
            with_case(json!([operator, "event:goal", values]), *case_sensitive)
        }
        Where::Segments(segments) => {
            json!(["is", "segment", segments.iter().map(|(id, _)| id).collect::<Vec<_>>()])
        }
        Where::Test { operator, dimension, values, case_sensitive } => {
            with_case(json!([operator, dimension, values]), *case_sensitive)
        }
    }
}

/// Goals of every kind, of which a site has some.
fn goals(random: &mut Random) -> Vec<Goal> {
    let money = |currency: &str| Some(currency.to_owned());
    let event = |value: &str, currency| Aim::Event { value: value.to_owned(), currency };
    let page = |value: &str| Aim::Page { value: value.to_owned() };
    let all = [
        ("Запись", event("zapis", money("RUB"))),
        ("Звонок", event("call", None)),
        ("Оплата звонка", event("call", money("RUB"))),
        ("Paid", event("pageview", money("EUR"))),
        ("Цены", page("/ceny/")),
        ("Врачи's", page("/vrachi/*")),
        ("Всё", page("**")),
        ("Дочитано", Aim::Scroll { value: "/**".to_owned(), percent: 50 }),
        ("Баннер", Aim::AdClick { value: String::new() }),
        ("Первый баннер", Aim::AdClick { value: "banner-1".to_owned() }),
    ];
    let mut goals = Vec::new();
    for (name, aim) in all {
        if random.chance(70) {
            goals.push(Goal { id: format!("g{}", goals.len() + 1), name: name.to_owned(), aim });
        }
    }
    goals
}

/// Two segments that a site may have, as filters.
fn segments(random: &mut Random, goals: &[Goal]) -> Vec<(String, Vec<Where>)> {
    let plain = vec![random_filter(random, 1), random_filter(random, 0)];
    let mut alone = vec![random_filter(random, 1)];
    alone.extend(goal_filter(random, goals));
    vec![("s1".to_owned(), plain), ("s2".to_owned(), alone)]
}

/// A filter by goal that names some; none on a site without goals.
fn goal_filter(random: &mut Random, goals: &[Goal]) -> Option<Where> {
    if goals.is_empty() {
        return None;
    }
    let named = |random: &mut Random| goals[random.below(goals.len())].name.clone();
    let case_sensitive = random.chance(70);
    Some(match random.below(3) {
        0 => Where::Goals {
            operator: "contains",
            values: vec![random.pick(&["а", "баннер", "Paid", "нет такой"]).to_owned()],
            case_sensitive,
        },
        _ => Where::Goals {
            operator: "is",
            values: (0..1 + random.below(2)).map(|_| named(random)).collect(),
            case_sensitive,
        },
    })
}

/// `has_done` or `has_not_done` of something that hits have.
fn done(random: &mut Random, goals: &[Goal]) -> Where {
    let what = match goal_filter(random, goals) {
        Some(goal) if random.chance(60) => match random.chance(30) {
            true => Where::Any(vec![goal, of_hits(random)]),
            false => goal,
        },
        _ => match random.chance(30) {
            true => Where::All(vec![of_hits(random), Where::Not(Box::new(of_hits(random)))]),
            false => of_hits(random),
        },
    };
    Where::Done { done: random.chance(60), what: Box::new(what) }
}

/// A condition on a property of hits.
fn of_hits(random: &mut Random) -> Where {
    let dimension =
        random.pick(&["event:page", "event:name", "event:hostname", "event:props:цена", "event:ad"]);
    condition(random, dimension.to_owned())
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
    let names: Vec<&str> = names
        .iter()
        .map(String::as_str)
        .filter(|name| !name.starts_with("time") && *name != "event:goal")
        .collect();
    let dimension = random.pick(&names).to_owned();
    condition(random, dimension)
}

fn condition(random: &mut Random, dimension: String) -> Where {
    let operator = random.pick(&[
        "is",
        "is_not",
        "contains",
        "contains_not",
        "matches",
        "matches_not",
        "matches_wildcard",
        "matches_wildcard_not",
    ]);
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
        "Russia",
        "marketing",
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
    if operator.starts_with("matches_wildcard") {
        values = vec![random.pick(&["/*", "/**", "**a*", "*.example", "Y*", "x", "*", "/c*/"]).to_owned()];
    } else if operator.starts_with("matches") {
        // Letters only: the reference knows no expressions but `^`.
        values = vec![format!("^{}", random.pick(&["Y", "/c", "ban", "x", "Ё"]))];
    }
    Where::Test { operator, dimension, values, case_sensitive: random.chance(70) }
}

fn dimensions() -> Vec<String> {
    Dimension::all().map(|dimension| dimension.name()).chain(["event:props:цена".to_owned()]).collect()
}

/// Whether a property of events is named below the top.
fn has_deep_props(filters: &[Where], is_top: bool) -> bool {
    filters.iter().any(|filter| match filter {
        Where::All(children) | Where::Any(children) => has_deep_props(children, false),
        Where::Not(child) => has_deep_props(std::slice::from_ref(child), false),
        Where::Segments(segments) => {
            segments.iter().any(|(_, filters)| has_deep_props(filters, is_top && segments.len() == 1))
        }
        Where::Test { dimension, .. } => !is_top && dimension.starts_with("event:props:"),
        Where::Done { .. } | Where::Goals { .. } => false,
    })
}

/// Whether a property of hits is named, outside of `has_done`.
fn is_of_hits(filters: &[Where]) -> bool {
    filters.iter().any(|filter| match filter {
        Where::All(children) | Where::Any(children) => is_of_hits(children),
        Where::Not(child) => is_of_hits(std::slice::from_ref(child)),
        Where::Segments(segments) => segments.iter().any(|(_, filters)| is_of_hits(filters)),
        Where::Test { dimension, .. } => dimension.starts_with("event:"),
        Where::Goals { .. } => true,
        Where::Done { .. } => false,
    })
}

fn has_goals(filters: &[Where]) -> bool {
    filters.iter().any(|filter| match filter {
        Where::Goals { .. } => true,
        Where::Segments(segments) => segments.len() == 1 && has_goals(&segments[0].1),
        _ => false,
    })
}

/// The metrics that may be asked with these dimensions and filters.
fn metrics_for(dimensions: &[String], filters: &[Where]) -> Vec<&'static str> {
    let splits = dimensions.iter().any(|name| {
        ["event:name", "event:mark", "event:goal"].contains(&name.as_str())
            || name.starts_with("event:props:")
    });
    let of_goals = dimensions.iter().any(|name| name == "event:goal") || has_goals(filters);
    let converts = of_goals && !has_deep_props(filters, true);
    let exits = dimensions == ["visit:exit_page"] && !is_of_hits(filters);
    METRICS
        .iter()
        .copied()
        .filter(|metric| match *metric {
            "views_per_visit" | "bounce_rate" | "visit_duration" => !splits,
            "percentage" => !dimensions.is_empty(),
            "conversion_rate" | "group_conversion_rate" => converts,
            "exit_rate" => exits,
            _ => true,
        })
        .collect()
}

/// Rounding as documented, whichever way a tie goes.
fn agree(metric: &str, found: &Value, expected: Option<f64>) -> bool {
    let unit = match metric {
        "views_per_visit" | "ad_ctr" | "ad_viewable_rate" | "average_revenue" => 0.01,
        "percentage" | "conversion_rate" | "group_conversion_rate" | "exit_rate" => 0.1,
        "bounce_rate" | "visit_duration" | "scroll_depth" | "time_on_page" => 1.0,
        // Sums are exact.
        "total_revenue" => 0.0,
        _ => return found.as_u64().map(|n| n as f64) == expected,
    };
    let number = if metric.ends_with("_revenue") { &found["value"] } else { found };
    match (number.as_f64(), expected) {
        (None, None) => found.is_null(),
        (Some(found), Some(expected)) => {
            (found - expected).abs() <= unit / 2.0 + 1e-6 * (1.0 + expected.abs() / 1e6)
        }
        _ => false,
    }
}

/// Whether revenue is in the money of its row.
fn in_its_money(ask: &Ask, group: &[String], values: &[Value]) -> bool {
    ask.metrics.iter().zip(values).filter(|(metric, _)| metric.ends_with("_revenue")).all(|(_, value)| {
        value.is_null()
            || reference::money(ask, group).is_some_and(|(currency, _)| value["currency"] == currency)
    })
}

fn texts(value: &Value) -> Vec<String> {
    let values = value.as_array().expect("a list");
    values.iter().map(|value| value.as_str().unwrap_or("null").to_owned()).collect()
}

fn groups_of(rows: &Value) -> BTreeMap<Vec<String>, Vec<Value>> {
    let mut groups: BTreeMap<Vec<String>, Vec<Value>> = BTreeMap::new();
    for row in rows.as_array().expect("rows are a list") {
        let metrics = row["metrics"].as_array().expect("a list").clone();
        let before = groups.insert(texts(&row["dimensions"]), metrics);
        assert!(before.is_none(), "a group is there twice: {row}");
    }
    groups
}

fn same(ask: &Ask, found: &BTreeMap<Vec<String>, Vec<Value>>, expected: &Groups) -> bool {
    found.keys().eq(expected.keys())
        && found.iter().all(|(group, values)| {
            in_its_money(ask, group, values)
                && ask
                    .metrics
                    .iter()
                    .zip(values)
                    .zip(&expected[group])
                    .all(|((metric, found), expected)| agree(metric, found, *expected))
        })
}

/// Ends a comparison with what differs, so that one run shows all.
macro_rules! ensure {
    ($condition:expr, $($text:tt)*) => {
        if !$condition {
            return Err(format!($($text)*));
        }
    };
}

/// With what a question is compared: the earlier range, and how it is asked for.
struct Earlier {
    from: i64,
    to: i64,
    asked: Value,
}

async fn compare(
    storage: &Storage,
    site: &Site,
    settings: &Settings,
    hits: &[Hit],
    ask: &Ask<'_>,
    earlier: Option<&Earlier>,
) -> Result<(), String> {
    let mut question = question_json(&site.id, ask);
    if let Some(earlier) = earlier {
        question["include"]["comparisons"] = earlier.asked.clone();
        let has_time = ask.dimensions.iter().any(|name| name.starts_with("time"));
        question["include"]["time_labels"] = json!(has_time);
    }
    let expected = answer(hits, ask);
    // A machine that is busy with something else takes longer than a question may.
    let mut tries = 0;
    let found = loop {
        match metka::query::run(storage, site, settings, &question, Timestamp::UNIX_EPOCH).await {
            Err(QueryError::TooExpensive) if tries < MAX_TRIES => tries += 1,
            other => break other.map_err(|error| format!("{question}: {error}"))?,
        }
    };
    let groups = groups_of(&found["results"]);
    ensure!(same(ask, &groups, &expected), "{}", difference(site, &question, &groups, &expected, hits));

    let whole = totals(hits, ask);
    let shown = found["meta"]["totals"].as_array().ok_or_else(|| format!("{question}: no totals"))?;
    let pairs = ask.metrics.iter().zip(shown).zip(&whole);
    for ((metric, found), expected) in pairs {
        // A whole of several moneys has none, which the rows above have proved for each.
        let is_money = metric.ends_with("_revenue") && ask.dimensions.iter().any(|name| name == "event:goal");
        ensure!(
            is_money || agree(metric, found, *expected),
            "totals of {question}: {metric} is {found}, not {expected:?}"
        );
    }
    let Some(earlier) = earlier else { return Ok(()) };
    let before = Ask { from: earlier.from, to: earlier.to, ..*ask };
    let expected = answer(hits, &before);
    let (ours, theirs) = (&found["meta"]["time_labels"], &found["meta"]["comparison_time_labels"]);
    for row in found["results"].as_array().expect("rows") {
        let mut beyond = false;
        let group: Vec<String> = ask
            .dimensions
            .iter()
            .zip(texts(&row["dimensions"]))
            .map(|(name, value)| match name.starts_with("time") {
                true => {
                    let place = texts(ours).iter().position(|label| *label == value).expect("a label");
                    texts(theirs).get(place).cloned().unwrap_or_else(|| {
                        beyond = true;
                        "null".to_owned()
                    })
                }
                false => value,
            })
            .collect();
        let comparison = &row["comparison"];
        ensure!(texts(&comparison["dimensions"]) == group, "{question}: {row}");
        let nothing: Vec<Option<f64>> =
            ask.metrics.iter().map(|metric| (COUNTS.contains(metric) && !beyond).then_some(0.0)).collect();
        let expected = expected.get(&group).unwrap_or(&nothing);
        for (index, metric) in ask.metrics.iter().enumerate() {
            let (now, then) = (&row["metrics"][index], &comparison["metrics"][index]);
            ensure!(
                agree(metric, then, expected[index]),
                "{question}: {row}: {metric} was {then}, not {:?}\n{}",
                expected[index],
                difference(site, &question, &groups_of(&found["results"]), &answer(hits, &before), hits)
            );
            let changed = &comparison["change"][index];
            ensure!(is_change(metric, now, then, changed), "{metric}: {then} to {now} is not {changed}");
        }
    }
    if ask.dimensions.len() == 1 && ask.dimensions[0].starts_with("time") {
        let alone = groups_of(&found["meta"]["comparison_results"]);
        ensure!(same(&before, &alone, &expected), "the series before: {question}");
    }
    Ok(())
}

/// Whether a change is that of two numbers as they are shown.
fn is_change(metric: &str, now: &Value, then: &Value, changed: &Value) -> bool {
    let number =
        |value: &Value| if metric.ends_with("_revenue") { value["value"].as_f64() } else { value.as_f64() };
    match (number(now), number(then)) {
        (Some(now), Some(then)) if SHARES.contains(&metric) => {
            changed.as_f64().is_some_and(|changed| (changed - (now - then)).abs() < 0.006)
        }
        (Some(now), Some(then)) if then != 0.0 => changed
            .as_f64()
            .is_some_and(|changed| (changed - 100.0 * (now - then) / then.abs()).abs() <= 0.5 + 1e-6),
        (Some(0.0), Some(_)) => *changed == 0,
        _ => changed.is_null(),
    }
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
    first: jiff::civil::Date,
    days: i64,
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
        let days = 1 + random.below(3) as i64;
        let last = first.checked_add(jiff::Span::new().days(days)).expect("in range");
        let (from, to) = (midnight(first), midnight(last));
        let hits = history(&mut random, &zone, from, to);
        Case { random, site, zone, from, to, first, days, hits }
    }

    /// The days right before, or any range that has hits.
    fn earlier(&mut self) -> Earlier {
        if self.random.chance(50) {
            let midnight = |date: jiff::civil::Date| {
                date.to_zoned(self.zone.clone()).expect("in range").timestamp().as_millisecond()
            };
            let before = self.first.checked_sub(jiff::Span::new().days(self.days)).expect("in range");
            return Earlier {
                from: midnight(before),
                to: self.from,
                asked: json!({"mode": "previous_period"}),
            };
        }
        let from = self.from - 3_600_000 * self.random.below(60) as i64;
        let to = from + 3_600_000 * (1 + self.random.below(48) as i64);
        let iso = |ms: i64| Timestamp::from_millisecond(ms).expect("in range").to_string();
        let asked = json!({"mode": "custom", "date_range": [iso(from), iso(to - 1000)]});
        Earlier { from, to, asked }
    }

    /// Filters of all shapes.
    fn filters(&mut self, goals: &[Goal], segments: &[(String, Vec<Where>)]) -> Vec<Where> {
        let random = &mut self.random;
        let mut filters: Vec<Where> = (0..random.below(3)).map(|_| random_filter(random, 2)).collect();
        if random.chance(25) {
            filters.extend(goal_filter(random, goals));
        }
        if random.chance(25) {
            let done = done(random, goals);
            filters.push(if random.chance(70) { done } else { Where::Not(Box::new(done)) });
        }
        match random.below(10) {
            0 => filters.push(Where::Segments(vec![segments[random.below(2)].clone()])),
            // Two of them are an alternative, in which no goal may stand.
            1 => filters.push(Where::Segments(vec![segments[0].clone(), segments[0].clone()])),
            _ => {}
        }
        filters
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
    let mut mismatches = Vec::new();
    let (mut turn, mut with_bots, mut with_goals, mut with_done, mut compared) = (0, 0, 0, 0, 0);
    for mut case in cases {
        let goals = goals(&mut case.random);
        let segments = segments(&mut case.random, &goals);
        let settings = Settings {
            goals: goals.clone(),
            segments: segments
                .iter()
                .map(|(id, filters)| Segment {
                    id: id.clone(),
                    name: id.clone(),
                    filters: filters.iter().map(filter_json).collect(),
                    by: "somebody".to_owned(),
                })
                .collect(),
            ..Settings::default()
        };
        for _ in 0..QUESTIONS {
            let mut dimensions = Vec::new();
            // The first ones go round, so that each is asked as often.
            turn += 1;
            dimensions.extend(names.get(turn % (names.len() + 1)).cloned());
            if case.random.chance(25) {
                let second = match case.random.chance(30) {
                    true => "event:goal".to_owned(),
                    false => names[case.random.below(names.len())].clone(),
                };
                if !dimensions.contains(&second) {
                    dimensions.push(second);
                }
            }
            let filters = case.filters(&goals, &segments);
            let mut metrics = metrics_for(&dimensions, &filters);
            // Sometimes one alone: its hits then decide which groups there are.
            if case.random.chance(30) {
                metrics = vec![metrics[case.random.below(metrics.len())]];
            }
            for dimension in &dimensions {
                *asked.entry(dimension.clone()).or_default() += 1;
            }
            for metric in &metrics {
                *asked.entry((*metric).to_owned()).or_default() += 1;
            }
            let bots = case.random.chance(40);
            with_bots += usize::from(bots);
            with_goals += usize::from(has_goals(&filters));
            with_done += filters.iter().filter(|filter| format!("{filter:?}").contains("Done")).count();
            let is_minutes = dimensions.iter().any(|name| name == "time:minute");
            let earlier = (case.random.chance(40) && !is_minutes).then(|| case.earlier());
            compared += usize::from(earlier.is_some());
            let ask = Ask {
                from: case.from,
                to: case.to,
                zone: &case.zone,
                dimensions: &dimensions,
                metrics: &metrics,
                filters: &filters,
                bots,
                goals: &goals,
                of_ads: false,
            };
            let compared = compare(&storage, &case.site, &settings, &case.hits, &ask, earlier.as_ref()).await;
            mismatches.extend(compared.err());
        }
    }
    println!(
        "{turn} questions, {with_bots} of them with marked hits, {with_goals} with filters by goal, \
         {with_done} with has_done, {compared} compared with an earlier range"
    );
    println!("{asked:?}");
    let some: Vec<&str> = mismatches.iter().take(5).map(String::as_str).collect();
    assert!(mismatches.is_empty(), "{} of {turn} differ:\n{}", mismatches.len(), some.join("\n\n"));
    assert!(with_bots > turn / 4 && with_goals > turn / 10 && with_done > turn / 10 && compared > turn / 4);
    assert!(names.iter().all(|name| asked.get(name).is_some_and(|count| *count >= 10)), "{asked:?}");
    assert!(METRICS.iter().all(|name| asked.get(*name).is_some_and(|count| *count >= 5)), "{asked:?}");
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
            let answer = metka::query::run(&storage, &site, &Settings::default(), &question, now)
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

/// The same question again is answered from memory, and never from before a change.
#[tokio::test]
async fn an_answer_is_remembered_until_something_changes() {
    let storage = storage::fresh().await;
    let site = site("again", "UTC");
    let mut random = Random(7);
    let time = "2026-05-10T12:00:00Z".parse::<Timestamp>().expect("an instant").as_millisecond();
    let question = json!({
        "site_id": "again", "metrics": ["pageviews"], "date_range": ["2026-05-10", "2026-05-10"],
    });
    let settings = Settings::default();
    for row in 0..3 {
        let mut one = hit(&mut random, Kind::Pageview, time, row, u64::from(row) + 1, None, 0);
        one.mark = "";
        let mut months = Months::new();
        encode(&site.id, &[one], &mut months);
        for (_, payload) in months {
            storage.insert(COLUMNS, &format!("row {row}"), Bytes::from(payload)).await.expect("it is stored");
        }
        let changes = storage.changes();
        for _ in 0..2 {
            let answer = metka::query::run(&storage, &site, &settings, &question, Timestamp::UNIX_EPOCH)
                .await
                .expect("an answer");
            assert_eq!(answer["results"][0]["metrics"], json!([row + 1]));
        }
        assert_eq!(storage.changes(), changes, "a question changes nothing");
    }
    let delete = format!("ALTER TABLE {}.hits DELETE WHERE site = 'again'", storage.database());
    storage.execute(&delete, &[]).await.expect("rows are deleted");
    let answer = metka::query::run(&storage, &site, &settings, &question, Timestamp::UNIX_EPOCH)
        .await
        .expect("an answer");
    assert_eq!(answer["results"][0]["metrics"], json!([0]));
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
            metka::query::run(&storage, &site, &Settings::default(), &question, Timestamp::UNIX_EPOCH)
                .await
                .expect("an answer");
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
