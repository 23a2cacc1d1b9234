//! Numbers from rollups equal the same numbers from hits, whatever happens to the hits.
//!
//! Random histories of a week, with a few people in the months before, are stored in the real engine, their days made, and then: hits
//! come late, hits come today, somebody is blocked and no longer blocked, rows are deleted,
//! values corrected, the process started again. After each step random questions are compiled
//! both ways, and each pair of answers is compared to the letter; most are also read together
//! with another of their range, as a dashboard's are.

#[path = "support/random.rs"]
mod random;
#[path = "support/storage.rs"]
mod storage;

use std::collections::BTreeMap;

use bytes::Bytes;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use metka::config::Site;
use metka::event::{ConsentState, IdentityKind, Kind};
use metka::query::scan::{Plan, SLICE_HITS, Scanned};
use metka::query::{Numbers, Query, Statements, Visible, compile, parse, quick};
use metka::rollup::{Cover, Rollups};
use metka::settings::Settings;
use metka::spool::{Subject, Tombstone};
use metka::store::row::{COLUMNS, HitId, Row};
use metka::store::{Block, Limits, List, Storage};
use random::Random;
use serde_json::{Value, json};

/// Histories: of every run, and of a long one.
const HISTORIES: [u64; 2] = [3, 240];
/// Questions after each step.
const QUESTIONS: usize = 12;
/// How far back the oldest hits are.
const LONG_DAYS: i64 = 80;
const ZONES: &[&str] = &["Europe/Moscow", "Asia/Kathmandu", "America/St_Johns", "UTC"];
/// Noon of the last day, in UTC.
const NOW: &str = "2026-05-12T12:00:00Z";
const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

fn clock() -> Timestamp {
    NOW.parse().expect("an instant")
}

#[derive(Clone)]
struct Hit {
    time: i64,
    kind: Kind,
    visitor: u64,
    cookie: bool,
    minted: u64,
    before: u64,
    path: &'static str,
    source: &'static str,
    channel: &'static str,
    city: &'static str,
    browser: &'static str,
    name: &'static str,
    ad: &'static str,
    bot: &'static str,
}

/// People who share addresses, take cookies or not, come back or not, and like midnights.
fn history(random: &mut Random, zone: &TimeZone, now: i64) -> Vec<Hit> {
    let mut hits = Vec::new();
    for person in 0..4 + random.below(10) as u64 {
        // Some share an address and browser, and so the hash of a day.
        let only_ads = random.chance(10);
        let shared = if random.chance(40) { person % 3 } else { 100 + person };
        let mut cookie = 0;
        let keeps = random.chance(60);
        let days = if random.chance(30) { LONG_DAYS } else { 7 };
        let mut time = now - days * DAY + random.below(days as usize * 24 * 60) as i64 * MINUTE;
        if random.chance(40) {
            time = midnight_near(zone, time) - random.below(40) as i64 * MINUTE;
        }
        for nth in 0..1 + random.below(10) as u64 {
            if time > now {
                break;
            }
            let offered = 10_000 + person * 100 + nth;
            let carries = keeps && cookie != 0 && random.chance(85);
            let minted = if carries || random.chance(15) { 0 } else { offered };
            let (hash, before) = hashes(zone, shared, time);
            let kind = match random.below(12) {
                0 => Kind::AdClick,
                1 => Kind::AdViewable,
                2 => Kind::AdView,
                _ if only_ads => Kind::AdView,
                3..5 => Kind::Engagement,
                5..7 => Kind::Event,
                _ => Kind::Pageview,
            };
            hits.push(Hit {
                time,
                kind,
                visitor: if carries { cookie } else { hash },
                cookie: carries,
                minted,
                before: if carries { 0 } else { before },
                path: random.pick(&["/", "/ceny/", "/Ceny/", ""]),
                source: random.pick(&["", "Yandex", "Google"]),
                channel: random.pick(&["", "direct", "organic"]),
                city: random.pick(&["", "Moscow", "Yaroslavl"]),
                browser: random.pick(&["", "Firefox"]),
                name: if kind == Kind::Event { random.pick(&["zapis", "call", "pageview"]) } else { "" },
                ad: if matches!(kind, Kind::AdView | Kind::AdViewable | Kind::AdClick) {
                    random.pick(&["banner", ""])
                } else {
                    ""
                },
                bot: if random.chance(5) { "crawler" } else { "" },
            });
            if minted != 0 && keeps {
                cookie = minted;
            }
            time += match random.below(8) {
                0 => 30 * MINUTE,
                1 => 30 * MINUTE + 1,
                2 => DAY,
                3 => random.below(3 * 24 * 60) as i64 * MINUTE,
                _ => random.below(20 * 60) as i64 * 1000,
            };
        }
    }
    hits
}

fn midnight_near(zone: &TimeZone, time: i64) -> i64 {
    let at = Timestamp::from_millisecond(time).expect("in range").to_zoned(zone.clone());
    at.date().to_zoned(zone.clone()).expect("a midnight").timestamp().as_millisecond()
}

fn hashes(zone: &TimeZone, shared: u64, time: i64) -> (u64, u64) {
    let day = |time: i64| {
        let date = Timestamp::from_millisecond(time).expect("in range").to_zoned(zone.clone()).date();
        1_000_000
            + jiff::civil::date(2026, 1, 1).until(date).expect("in range").get_days() as u64 * 1000
            + shared
    };
    let (today, then) = (day(time), day(time - 30 * MINUTE));
    (today, if then == today { 0 } else { then })
}

async fn store(storage: &Storage, site: &str, hits: &[Hit], batch: u64) {
    let mut months: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    for (index, hit) in hits.iter().enumerate() {
        let day = Timestamp::from_millisecond(hit.time).expect("in range").to_zoned(TimeZone::UTC).date();
        let payload = months.entry(day.first_of_month().to_string()).or_default();
        row(site, hit).encode(HitId { batch, row: index as u32 }, payload);
    }
    for (month, payload) in months {
        let token = format!("{site}-{batch}-{month}");
        storage.insert(COLUMNS, &token, Bytes::from(payload)).await.expect("stored");
    }
}

fn row<'a>(site: &'a str, hit: &'a Hit) -> Row<'a> {
    Row {
        site,
        time: hit.time,
        kind: hit.kind,
        visitor: hit.visitor,
        identity: if hit.cookie { IdentityKind::Cookie } else { IdentityKind::Cookieless },
        minted: hit.minted,
        user_key: 0,
        before: hit.before,
        host: "clinic.example",
        path: hit.path,
        query: "",
        title: "",
        referrer_host: "",
        referrer_path: "",
        source: hit.source,
        channel: hit.channel,
        utm_source: "",
        utm_medium: "",
        utm_campaign: "",
        utm_content: "",
        utm_term: "",
        ip: [0; 16],
        ip_key: 0,
        country: "RU",
        region: "",
        city: hit.city,
        asn: 0,
        network: "",
        browser: hit.browser,
        browser_version: "",
        os: "",
        os_version: "",
        device: "",
        bot: hit.bot,
        language: "",
        screen: "",
        ad: hit.ad,
        name: hit.name,
        props: &[],
        engaged_ms: 0,
        scroll: 255,
        timezone: "",
        consent: ConsentState::Unstated,
        policy: "",
        keep_days: 3650,
        ip_days: 3650,
        city_days: 3650,
        user_key_days: 3650,
        props_days: 3650,
        hold: false,
        demo: false,
    }
}

fn question(random: &mut Random, site: &str) -> Value {
    // The last week, or up to all of the history.
    let back = if random.chance(40) { LONG_DAYS as usize } else { 9 };
    let last = clock().to_zoned(TimeZone::UTC).date();
    let date = |random: &mut Random| last.saturating_sub(jiff::Span::new().days(random.below(back) as i64));
    let (a, b) = (date(random), date(random));
    let dimensions = random.pick(&[
        "",
        "",
        "time:day",
        "time:week",
        "time:month",
        "event:page",
        "event:name",
        "event:ad",
        "visit:source",
        "visit:channel",
        "visit:city",
        "visit:entry_page",
        "visit:exit_page",
        "visit:browser",
        "two",
        "three",
    ]);
    let dimensions: Vec<&str> = match dimensions {
        "" => vec![],
        "two" => vec!["time:day", "visit:source"],
        "three" => vec!["event:page", "visit:city"],
        one => vec![one],
    };
    let mut metrics: Vec<&str> = match dimensions.first() {
        Some(&"event:ad") => vec!["ad_views", "ad_clicks", "ad_ctr"],
        Some(&"event:name") => vec!["visitors", "events", "visits", "pageviews"],
        _ => vec![
            "visitors",
            "visits",
            "pageviews",
            "events",
            "views_per_visit",
            "bounce_rate",
            "visit_duration",
        ],
    };
    if !dimensions.is_empty() && dimensions[0] != "event:ad" && random.chance(30) {
        metrics.push("percentage");
    }
    let mut filters = Vec::new();
    if !matches!(dimensions.first(), Some(&"event:ad" | &"event:name")) && random.chance(50) {
        for _ in 0..1 + random.below(2) {
            filters.push(match random.below(7) {
                0 => json!(["is", "visit:source", ["Direct / None", "Yandex"]]),
                1 => json!(["is_not", "visit:city", ["Moscow"]]),
                2 => json!(["is", "event:page", ["/ceny/"]]),
                3 => json!(["contains", "event:page", ["CENY"], {"case_sensitive": false}]),
                4 => json!(["or", [["is", "event:page", ["/"]], ["is", "visit:channel", ["Direct"]]]]),
                5 => json!(["not", ["matches", "visit:entry_page", ["^/c"]]]),
                _ => json!(["is_not", "event:page", ["/"]]),
            });
        }
    }
    if dimensions.is_empty() && filters.is_empty() && random.chance(20) {
        metrics.extend(["ad_views", "ad_viewable", "ad_ctr"]);
    }
    if dimensions == ["event:page"] && random.chance(60) {
        metrics = vec!["visitors", "pageviews", "events"];
    }
    let mut order = Vec::new();
    for column in metrics.iter().chain(&dimensions) {
        if order.len() < 2 && random.chance(20) {
            order.push(json!([column, random.pick(&["asc", "desc"])]));
        }
    }
    let pagination = match random.chance(30) {
        true => json!({ "limit": 3, "offset": random.below(3) }),
        false => json!({ "limit": 1000 }),
    };
    json!({
        "site_id": site,
        "order_by": order,
        "pagination": pagination,
        "metrics": metrics,
        "dimensions": dimensions,
        "date_range": [a.min(b).to_string(), a.max(b).to_string()],
        "filters": filters,
        "include": {"total_rows": random.chance(20)},
    })
}

/// What the tests did, so that one which proves nothing fails.
#[derive(Default, Debug)]
struct Did {
    from_rollups: usize,
    from_hits: usize,
    /// Those that were read together with others, without a filter and with one.
    summed: usize,
    counted: usize,
    rows: usize,
}

struct World<'a> {
    storage: &'a Storage,
    rollups: Rollups,
    site: Site,
    now: Timestamp,
    did: Did,
}

impl<'a> World<'a> {
    /// Random questions, both ways; `settled`: rollups have to answer each of them.
    async fn compare(&mut self, random: &mut Random, step: &str, settled: bool) {
        for _ in 0..QUESTIONS {
            let question = question(random, &self.site.id);
            let query = parse(&question, &self.site, &Settings::default(), self.now).expect("a question");
            let mut cover = self.rollups.cover(&self.site.id, &query.range).await.expect("looked up");
            if settled && cover.is_none() {
                // Looking at today found that a cookie splits an earlier day, which is to be made again.
                self.tend().await;
                cover = self.rollups.cover(&self.site.id, &query.range).await.expect("looked up");
            }
            let visible = self.visible().await;
            let statements = cover.as_ref().and_then(|cover| quick::compile(&query, cover, visible));
            let Some(quick) = statements else {
                let empty = cover.is_none() && self.is_empty(&query.range).await;
                assert!(!settled || empty, "{step}: {question} is not answered from rollups");
                self.did.from_hits += 1;
                continue;
            };
            self.did.from_rollups += 1;
            let slow = compile(&query, visible);
            let cover = cover.expect("what was compiled from");
            self.compare_together(random, step, &query, &slow, cover, visible).await;
            for (quick, slow) in [
                (Some(&quick.rows), Some(&slow.rows)),
                (quick.total_rows.as_ref(), slow.total_rows.as_ref()),
                (quick.total_visitors.as_ref(), slow.total_visitors.as_ref()),
            ] {
                let (Some(quick), Some(slow)) = (quick, slow) else {
                    assert_eq!(quick.is_some(), slow.is_some());
                    continue;
                };
                let [quick_rows, slow_rows] = [self.ask(quick).await, self.ask(slow).await];
                self.did.rows += slow_rows.len();
                assert_eq!(
                    quick_rows, slow_rows,
                    "{step}, {} ({}): rollups left, hits right\n{question}\n{}",
                    self.site.id, self.site.timezone, quick.sql
                );
            }
        }
    }

    /// The same numbers, read together with those of all groups.
    async fn compare_together(
        &mut self,
        random: &mut Random,
        step: &str,
        query: &Query,
        slow: &Statements,
        mut cover: Cover,
        visible: Visible<'_>,
    ) {
        let all = query.whole();
        let plans = Plan::all(&[query.clone(), all.clone()]);
        let Some(plan) = plans.first() else { return };
        // In one slice of the people or in several.
        cover.hits = if random.chance(50) { SLICE_HITS * 3 } else { cover.hits };
        let groups = plan.run(self.storage, &cover, visible).await.expect("read");
        let Some(groups) = groups else {
            assert!(query.filters.is_empty() && !cover.numbers, "{query:?} is in the tables");
            return;
        };
        let mut scanned = Scanned::default();
        scanned.add(plan, groups);
        let Some(numbers) = scanned.numbers(query) else { return };
        match query.filters.is_empty() {
            true => self.did.summed += 1,
            false => self.did.counted += 1,
        }
        let one = |rows: Vec<Vec<Value>>| rows[0][0].as_u64();
        let mut expected = Numbers { rows: self.ask(&slow.rows).await, ..Numbers::default() };
        if let Some(statement) = &slow.total_rows {
            expected.total_rows = one(self.ask(statement).await);
        }
        if let Some(statement) = &slow.total_visitors {
            expected.total_visitors = one(self.ask(statement).await);
        }
        assert_eq!(numbers, expected, "{step}, {}: together left, hits right\n{query:?}", self.site.id);
        if random.chance(25) {
            let expected = self.ask(&compile(&all, visible).rows).await;
            assert_eq!(scanned.numbers(&all).expect("read too").rows, expected, "{step}: {all:?}");
        }
    }

    async fn ask(&self, statement: &metka::query::Statement) -> Vec<Vec<Value>> {
        let asked = self.storage.json(&statement.sql, &statement.params, &Limits::default()).await;
        asked.unwrap_or_else(|error| panic!("{error}\n{}", statement.sql))
    }

    async fn visible(&self) -> Visible<'a> {
        let database = self.storage.database();
        match self.storage.has_blocks(&self.site.id).await.expect("looked up") {
            true => Visible::unblocked(database),
            false => Visible::all(database),
        }
    }

    /// Whether no hit of a range counts.
    async fn is_empty(&self, range: &metka::query::range::Range) -> bool {
        let visible = self.visible().await;
        let sql = format!(
            "SELECT count() FROM {}.hits WHERE site = {{site:String}} AND bot = ''
AND toUnixTimestamp64Milli(time) BETWEEN {} AND {}{}",
            visible.database,
            range.from,
            range.to - 1,
            visible.condition()
        );
        let site = [("site".to_owned(), metka::store::Param::Text(self.site.id.clone()))];
        self.storage.number(&sql, &site).await.expect("counted") == 0
    }

    async fn tend(&self) {
        while self.rollups.tend(&self.site).await.expect("tended") {}
    }
}

#[tokio::test]
async fn every_answer_from_rollups_is_the_answer_from_hits() {
    let soak = std::env::var_os("METKA_SOAK").is_some();
    let storage = storage::fresh().await;
    let now = clock();
    let mut all = Did::default();
    for seed in 0..HISTORIES[usize::from(soak)] {
        let mut random = Random(seed);
        let timezone = *ZONES.get(random.below(ZONES.len())).expect("a zone");
        let zone = TimeZone::get(timezone).expect("known");
        let id = format!("site{seed}");
        let site = Site { timezone: timezone.to_owned(), ..Site::with_defaults(&id, &["clinic.example"]) };
        let hits = history(&mut random, &zone, now.as_millisecond());
        let mut world = World {
            storage: &storage,
            rollups: Rollups::new(storage.clone(), clock),
            site,
            now,
            did: Did::default(),
        };
        // Half comes at once, a part late, a part of today's after the first answers.
        let is_today = |hit: &Hit| hit.time > now.as_millisecond() - 6 * HOUR;
        let (mut first, mut late, mut today) = (Vec::new(), Vec::new(), Vec::new());
        for hit in hits {
            match random.below(4) {
                0 if is_today(&hit) => today.push(hit),
                0 => late.push(hit),
                _ => first.push(hit),
            }
        }
        store(&storage, &id, &first, 1).await;
        world.tend().await;
        world.compare(&mut random, "made", true).await;

        store(&storage, &id, &today, 2).await;
        world.compare(&mut random, "hits of today", true).await;

        if let Some(oldest) = late.iter().map(|hit| hit.time).min() {
            store(&storage, &id, &late, 3).await;
            world.rollups.shipped(&world.site.id, oldest);
        }
        world.compare(&mut random, "late hits, before the days are made again", false).await;
        world.tend().await;
        world.compare(&mut random, "late hits", true).await;

        let everybody: Vec<u64> = first.iter().map(|hit| hit.visitor).collect();
        let subject = Subject::Visitor(everybody[random.below(everybody.len())]);
        let block = [Block { site: id.clone(), subject }];
        storage.enlist(List::Blocked, &block, 0).await.expect("blocked");
        world.rollups.settle_all(false).await.expect("settled");
        world.compare(&mut random, "blocked, before the days are made again", false).await;
        world.tend().await;
        world.compare(&mut random, "blocked", true).await;
        storage.delist(List::Blocked, &block).await.expect("no longer blocked");
        world.rollups.settle_all(false).await.expect("settled");

        let erased = everybody[random.below(everybody.len())];
        delete(&storage, &id, &format!("visitor = {erased} OR minted = {erased}")).await;
        world.rollups.settle_all(false).await.expect("settled");
        let left = format!(
            "SELECT count() FROM {}.visits WHERE site = '{id}' AND person = {erased}",
            storage.database()
        );
        assert_eq!(storage.number(&left, &[]).await.expect("counted"), 0, "an erased person is in no table");
        world.tend().await;
        world.compare(&mut random, "erased", true).await;

        let sql = format!(
            "ALTER TABLE {}.hits UPDATE city = 'Ufa' WHERE site = '{id}' AND city = 'Moscow'",
            storage.database()
        );
        storage.execute(&sql, &[]).await.expect("corrected");
        world.rollups.settle_all(true).await.expect("settled");
        world.compare(&mut random, "corrected, before the days are made again", false).await;
        world.tend().await;
        world.compare(&mut random, "corrected", true).await;

        // Another process: what stands in the tables is found, not made again.
        let made = format!("SELECT max(version) FROM {}.rollup_days WHERE site = '{id}'", storage.database());
        let before = storage.number(&made, &[]).await.expect("counted");
        world.rollups = Rollups::new(storage.clone(), clock);
        world.tend().await;
        assert_eq!(storage.number(&made, &[]).await.expect("counted"), before, "nothing is made again");
        world.compare(&mut random, "started again", true).await;
        let Did { from_rollups, from_hits, summed, counted, rows } = world.did;
        all.summed += summed;
        all.counted += counted;
        all.from_rollups += from_rollups;
        all.from_hits += from_hits;
        all.rows += rows;
    }
    println!("{all:?}");
    assert!(all.from_rollups > 60 * HISTORIES[usize::from(soak)] as usize, "{all:?}");
    let least = 15 * HISTORIES[usize::from(soak)] as usize;
    assert!(all.summed > least && all.counted > least, "{all:?}");
    assert!(all.from_hits > 0 && all.rows > all.from_rollups, "{all:?}");
}

#[tokio::test]
async fn a_batch_is_answered_as_its_questions_are_alone() {
    let storage = storage::fresh().await;
    let rollups = std::sync::Arc::new(Rollups::new(storage.clone(), clock));
    let together_storage = storage.clone().with_rollups(rollups.clone());
    let (now, settings) = (clock(), Settings::default());
    let zone = TimeZone::get("Europe/Moscow").expect("known");
    let site =
        Site { timezone: "Europe/Moscow".to_owned(), ..Site::with_defaults("clinic", &["clinic.example"]) };
    let mut hits = Vec::new();
    for seed in 0..40 {
        for mut hit in history(&mut Random(seed), &zone, now.as_millisecond()) {
            // No cookie is offered to two people.
            let own = seed * 10_000_000;
            hit.visitor += if hit.cookie { own } else { 0 };
            hit.minted += if hit.minted == 0 { 0 } else { own };
            hits.push(hit);
        }
    }
    store(&storage, "clinic", &hits, 1).await;
    while rollups.tend(&site).await.expect("tended") {}
    let comparison = json!({ "mode": "previous_period" });
    let mut read_together = 0;
    for filters in [
        json!([]),
        json!([["is", "visit:city", ["Moscow"]]]),
        json!([["contains", "event:page", ["ceny"], { "case_sensitive": false }]]),
    ] {
        let question = |metrics: &[&str], dimension: &str, include: Value| {
            let dimensions: Vec<&str> = [dimension].into_iter().filter(|name| !name.is_empty()).collect();
            json!({
                "site_id": "clinic", "metrics": metrics, "dimensions": dimensions, "filters": filters,
                "date_range": "28d", "include": include, "pagination": { "limit": 5 },
            })
        };
        let headline =
            ["visitors", "visits", "pageviews", "views_per_visit", "bounce_rate", "visit_duration"];
        let questions = [
            question(&headline, "", json!({ "comparisons": comparison })),
            question(&["visitors"], "time:day", json!({ "time_labels": true, "comparisons": comparison })),
            question(&["visitors", "pageviews"], "event:page", json!({ "total_rows": true })),
            question(&["visitors", "visits"], "visit:entry_page", json!({ "totals": true })),
            question(&["visitors", "percentage"], "visit:source", json!({ "comparisons": comparison })),
            question(&["visitors"], "visit:city", json!({})),
            question(&["events", "visitors"], "event:name", json!({})),
            // These are put by themselves, or refused.
            question(&["visitors"], "event:hostname", json!({})),
            question(&["nobody"], "", json!({})),
        ];
        let together = metka::query::together(&together_storage, &site, &settings, &questions, now);
        let together = together.await.expect("read");
        read_together += together.readings();
        for question in &questions {
            let answer = async |storage: &Storage, together| {
                // No answer is one that was remembered.
                storage.execute("SELECT 1", &[]).await.expect("done");
                let answer = metka::query::run_with(storage, &site, &settings, question, now, together).await;
                answer.map_err(|error| error.to_string())
            };
            let alone = answer(&storage, None).await;
            assert_eq!(answer(&together_storage, Some(&together)).await, alone, "{question}");
            assert_eq!(alone.is_err(), question["metrics"][0] == "nobody", "{alone:?}");
        }
    }
    // Each of the three, and the range before it.
    assert_eq!(read_together, 6);
}

#[tokio::test]
async fn a_month_keeps_its_numbers_when_its_last_day_goes_and_over_a_start() {
    let storage = storage::fresh().await;
    let site = Site { timezone: "UTC".to_owned(), ..Site::with_defaults("clinic", &["clinic.example"]) };
    let hit = |day: &str, visitor| Hit {
        time: format!("{day}T10:00:00Z").parse::<Timestamp>().expect("an instant").as_millisecond(),
        kind: Kind::Pageview,
        visitor,
        cookie: true,
        minted: 0,
        before: 0,
        path: "/",
        source: "Yandex",
        channel: "organic",
        city: "",
        browser: "",
        name: "",
        ad: "",
        bot: "",
    };
    // No month has a hit on its first day.
    let days = [("2026-02-10", 1), ("2026-03-03", 2), ("2026-03-20", 3), ("2026-04-05", 4)];
    let hits: Vec<Hit> = days.map(|(day, visitor)| hit(day, visitor)).to_vec();
    store(&storage, "clinic", &hits, 1).await;
    let question = json!({
        "site_id": "clinic", "metrics": ["visitors", "visits"], "dimensions": ["visit:source"],
        "date_range": ["2026-02-05", "2026-04-30"],
    });
    let query = parse(&question, &site, &Settings::default(), clock()).expect("a question");
    let ask = async |rollups: &Rollups| {
        let cover = rollups.cover("clinic", &query.range).await.expect("looked up").expect("made");
        assert!(cover.numbers);
        let statements = quick::compile(&query, &cover, Visible::all(storage.database())).expect("answered");
        storage.json(&statements.rows.sql, &statements.rows.params, &Limits::default()).await.expect("asked")
    };
    let rollups = Rollups::new(storage.clone(), clock);
    while rollups.tend(&site).await.expect("tended") {}
    assert_eq!(ask(&rollups).await, [[json!("Yandex"), json!(4), json!(4)]]);

    delete(&storage, "clinic", "visitor = 3").await;
    rollups.settle_all(false).await.expect("settled");
    while rollups.tend(&site).await.expect("tended") {}
    assert_eq!(ask(&rollups).await, [[json!("Yandex"), json!(3), json!(3)]]);

    // A question that comes with the first look after a start waits for what it finds.
    let rollups = Rollups::new(storage.clone(), clock);
    let (tended, numbers) = tokio::join!(rollups.tend(&site), ask(&rollups));
    assert!(!tended.expect("tended"), "nothing is made again");
    assert_eq!(numbers, [[json!("Yandex"), json!(3), json!(3)]]);
}

#[tokio::test]
async fn a_job_while_no_server_runs_leaves_nothing_of_what_was_made() {
    let storage = storage::fresh().await;
    let zone = TimeZone::UTC;
    let site = Site { timezone: "UTC".to_owned(), ..Site::with_defaults("clinic", &["clinic.example"]) };
    let hits: Vec<Hit> = history(&mut Random(7), &zone, clock().as_millisecond() - 2 * DAY);
    store(&storage, "clinic", &hits, 1).await;
    let rollups = Rollups::new(storage.clone(), clock);
    while rollups.tend(&site).await.expect("tended") {}
    let count = async |table: &str, condition: &str| {
        let sql = format!(
            "SELECT count() FROM {}.{table} WHERE site = 'clinic' AND {condition}",
            storage.database()
        );
        storage.number(&sql, &[]).await.expect("counted")
    };
    let person =
        hits.iter().find(|hit| hit.bot.is_empty() && hit.kind == Kind::Pageview).expect("one").visitor;
    let theirs = format!("(person = {person} OR hash = {person})");
    assert!(count("visits", &theirs).await > 0 && count("visitors_by_day", "1").await > 0);

    let before_ms = clock().as_millisecond();
    let subject = Subject::Visitor(person);
    let tombstone = Tombstone { site: "clinic".to_owned(), subject, before_ms, made_ms: before_ms };
    assert!(storage.clone().alone().erase(&[tombstone]).await.expect("erased") > 0);
    for table in ["visits", "visitors_by_day", "visits_by_day", "rollup_days"] {
        assert_eq!(count(table, "1").await, 0, "{table}");
    }
    let rollups = Rollups::new(storage.clone(), clock);
    while rollups.tend(&site).await.expect("tended") {}
    assert!(count("visits", "1").await > 0, "the others are made again");
    assert_eq!(count("visits", &theirs).await, 0);
}

async fn delete(storage: &Storage, site: &str, condition: &str) {
    let sql =
        format!("ALTER TABLE {}.hits DELETE WHERE site = '{site}' AND ({condition})", storage.database());
    storage.execute(&sql, &[]).await.expect("deleted");
}
