//! Counted by hand: midnights, weeks, edges, cookies that come back, people who are blocked.

use jiff::tz::TimeZone;
use metka::query::{Report, report};
use serde_json::{Value, json};

use crate::storage;
use crate::world::{self, Hit, MINUTE, World, ms, numbered};

/// Midnight in Kathmandu, which is 18:15 in Greenwich; a Sunday ends.
const MIDNIGHT: &str = "2026-05-10T18:15:00Z";
const WEEK: i64 = 7 * world::DAY;

fn world(id: &str, zone: &str, hits: Vec<Hit>, blocked: &[u64]) -> World {
    World {
        site: world::site(id, zone),
        zone: TimeZone::get(zone).expect("a known zone"),
        hits: numbered(hits),
        blocked: blocked.to_vec(),
    }
}

async fn answer(
    storage: &metka::store::Storage,
    world: &World,
    report: Report,
    mut question: Value,
    now: &str,
) -> Value {
    question["site_id"] = json!(world.site.id);
    let now = now.parse().expect("an instant");
    report::run(report, storage, &world.site, &world::settings(), &question, now)
        .await
        .unwrap_or_else(|error| panic!("{}: {question}: {error}", world.site.id))
}

#[tokio::test]
async fn steps_of_a_funnel_follow_each_other_within_a_visit_and_a_range() {
    let storage = storage::fresh().await;
    let m = ms(MIDNIGHT);
    let (view, event) = (Hit::view, Hit::event);
    let minted = |hit: Hit, minted: u64| Hit { minted, ..hit };
    let both = json!(["2026-05-10", "2026-05-11"]);
    let (first, second) = (json!(["2026-05-10", "2026-05-10"]), json!(["2026-05-11", "2026-05-11"]));
    // A visit over midnight of somebody without a cookie.
    let over = vec![view(m - 60_000, 1, "/a"), Hit { before: 1, ..event(m + 60_000, 2, "call") }];
    let adopted = vec![minted(view(m, 5, "/a"), 900), event(m + 9 * MINUTE, 900, "call").known()];
    let consented = vec![Hit { marketing: true, ..view(m, 1, "/a") }, event(m, 1, "call")];
    let marketing = json!({ "marketing": true });
    let plain = json!({});
    let cases = [
        ("midnight", over.clone(), &[][..], ["a", "call"], &both, &plain, [1, 1]),
        ("midnight-1", over.clone(), &[], ["a", "call"], &first, &plain, [1, 0]),
        ("midnight-2", over, &[], ["a", "call"], &second, &plain, [0, 0]),
        ("shared", vec![view(m, 1, "/a")], &[], ["a", "any page"], &both, &plain, [1, 0]),
        ("twice", vec![view(m, 1, "/a"), view(m, 1, "/a")], &[], ["a", "a"], &both, &plain, [1, 1]),
        (
            "backwards",
            vec![event(m, 1, "call"), view(m + 1, 1, "/a")],
            &[],
            ["a", "call"],
            &both,
            &plain,
            [1, 0],
        ),
        // Of one time: batch 7 with rows 0 and 2, then batch 8.
        (
            "batches",
            vec![view(m, 1, "/a"), view(m, 1, "/"), event(m, 1, "call")],
            &[],
            ["root", "call"],
            &both,
            &plain,
            [1, 0],
        ),
        (
            "rows",
            vec![view(m, 1, "/a"), view(m, 1, "/"), event(m, 1, "call")],
            &[],
            ["a", "call"],
            &both,
            &plain,
            [1, 1],
        ),
        (
            "in-time",
            vec![view(m, 1, "/a"), event(m + 30 * MINUTE, 1, "call")],
            &[],
            ["a", "call"],
            &both,
            &plain,
            [1, 1],
        ),
        (
            "late",
            vec![view(m, 1, "/a"), event(m + 30 * MINUTE + 1, 1, "call")],
            &[],
            ["a", "call"],
            &both,
            &plain,
            [1, 0],
        ),
        ("adopted", adopted.clone(), &[], ["a", "call"], &both, &plain, [1, 1]),
        ("blocked", adopted, &[900], ["a", "call"], &both, &plain, [0, 0]),
        (
            "marked",
            vec![view(m, 1, "/a"), Hit { marked: true, ..event(m, 1, "call") }],
            &[],
            ["a", "call"],
            &both,
            &plain,
            [1, 0],
        ),
        ("consented", consented.clone(), &[], ["a", "call"], &both, &marketing, [1, 1]),
        ("too-late", consented.into_iter().rev().collect(), &[], ["call", "a"], &both, &marketing, [0, 0]),
    ];
    let worlds: Vec<World> = cases
        .iter()
        .map(|(id, hits, blocked, ..)| world(id, "Asia/Kathmandu", hits.clone(), blocked))
        .collect();
    world::store(&storage, &worlds).await;
    for (world, (id, _, _, steps, range, include, expected)) in worlds.iter().zip(&cases) {
        let question = json!({ "date_range": range, "steps": steps, "include": include });
        let found = answer(&storage, world, Report::Funnel, question, MIDNIGHT).await;
        let visitors: Vec<&Value> =
            found["results"].as_array().expect("a list").iter().map(|row| &row["visitors"]).collect();
        assert_eq!(json!(visitors), json!(expected), "{id}");
    }
    println!("{} funnels counted by hand", cases.len());
}

#[tokio::test]
async fn an_answer_about_a_kept_funnel_has_the_documented_shape() {
    let storage = storage::fresh().await;
    let m = ms(MIDNIGHT);
    let mut hits = vec![Hit::event(m + MINUTE, 1, "call"), Hit::event(m + MINUTE, 2, "call")];
    hits.extend((1..=3).map(|person| Hit::view(m, person, "/a")));
    let world = world("shape", "Asia/Kathmandu", hits, &[]);
    world::store(&storage, std::slice::from_ref(&world)).await;
    let question = json!({ "date_range": ["2026-05-11", "2026-05-11"], "funnel": "f1" });
    assert_eq!(
        answer(&storage, &world, Report::Funnel, question, MIDNIGHT).await,
        json!({
            "results": [
                { "goal": "a", "visitors": 3, "dropped": 0, "from_first": 100.0, "from_previous": 100.0 },
                { "goal": "call", "visitors": 2, "dropped": 1, "from_first": 66.7, "from_previous": 66.7 },
            ],
            "meta": {},
            "query": {
                "site_id": "shape",
                "date_range": ["2026-05-11T00:00:00+05:45", "2026-05-11T23:59:59+05:45"],
                "filters": [], "include": { "marketing": false }, "funnel": "f1",
            },
        })
    );
    let nobody = json!({ "date_range": ["2026-05-01", "2026-05-01"], "funnel": "f1" });
    let nobody = answer(&storage, &world, Report::Funnel, nobody, MIDNIGHT).await;
    assert_eq!(
        nobody["results"][1],
        json!({ "goal": "call", "visitors": 0, "dropped": 0, "from_first": null, "from_previous": null })
    );
    // All that is on record begins with its first day.
    let all = answer(
        &storage,
        &world,
        Report::Funnel,
        json!({ "date_range": "all", "funnel": "f1" }),
        "2026-06-01T00:00:00Z",
    )
    .await;
    assert_eq!(
        (&all["results"][0]["visitors"], &all["query"]["date_range"][0]),
        (&json!(3), &json!("2026-05-11T00:00:00+05:45"))
    );
}

#[tokio::test]
async fn journeys_are_of_page_views_that_follow_each_other() {
    let storage = storage::fresh().await;
    let m = ms(MIDNIGHT);
    let mut hits = Vec::new();
    for (person, paths) in [
        (1, &["/a", "/a", "/b"][..]),
        // There and back, twice: once for each pair.
        (2, &["/a", "/b", "/a", "/b"]),
        (3, &["/c"]),
    ] {
        hits.extend(paths.iter().zip(0..).map(|(path, nth)| Hit::view(m + MINUTE * nth, person, path)));
    }
    // What is no page view is not between them.
    hits.push(Hit::event(m + 1, 1, "call"));
    // Over midnight: it began on the day before, and went on on this one.
    hits.push(Hit::view(m - MINUTE, 14, "/x"));
    hits.push(Hit { before: 14, ..Hit::view(m + 1, 4, "/y") });
    let world = world("journeys", "Asia/Kathmandu", hits, &[]);
    world::store(&storage, std::slice::from_ref(&world)).await;
    let day = json!(["2026-05-11", "2026-05-11"]);
    for (question, results, meta) in [
        (
            json!({ "date_range": day }),
            json!([["/a", "/b", 2], ["/b", "/a", 1], ["/x", "/y", 1]]),
            json!({
                "entries": [{ "page": "/a", "visits": 2 }, { "page": "/c", "visits": 1 }],
                "exits": [{ "page": "/b", "visits": 2 }, { "page": "/c", "visits": 1 }, { "page": "/y", "visits": 1 }],
            }),
        ),
        (
            json!({ "date_range": day, "from": null, "limit": 1 }),
            json!([["/a", "/b", 2]]),
            json!({ "entries": [{ "page": "/a", "visits": 2 }], "exits": [{ "page": "/b", "visits": 2 }] }),
        ),
        (
            json!({ "date_range": day, "from": "/b" }),
            json!([["/b", "/a", 1]]),
            json!({
                "entries": [], "exits": [{ "page": "/b", "visits": 2 }],
                "before": [{ "from": "/a", "to": "/b", "visits": 2, "visitors": 2 }],
            }),
        ),
        (
            json!({ "date_range": ["2026-05-10", "2026-05-10"] }),
            json!([]),
            json!({ "entries": [{ "page": "/x", "visits": 1 }], "exits": [] }),
        ),
        // The visits that have the page, with all their pages.
        (
            json!({ "date_range": day, "filters": [["is", "event:page", ["/y"]]] }),
            json!([["/x", "/y", 1]]),
            json!({ "entries": [], "exits": [{ "page": "/y", "visits": 1 }] }),
        ),
    ] {
        let found = answer(&storage, &world, Report::Journeys, question.clone(), MIDNIGHT).await;
        let rows: Vec<Value> = found["results"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|row| json!([row["from"], row["to"], row["visits"]]))
            .collect();
        assert_eq!((json!(rows), &found["meta"]), (results, &meta), "{question}");
    }
}

#[tokio::test]
async fn weeks_begin_on_the_sites_monday_also_when_the_clock_is_changed() {
    let storage = storage::fresh().await;
    let mut worlds = Vec::new();
    let mut expected = Vec::new();
    // In Berlin the night in which an hour is left out is in the first of these weeks, which has
    // 167 hours, or the one that has an hour twice, with 169.
    for (id, zone, monday, weeks) in [
        ("spring", "Europe/Berlin", "2026-03-29T22:00:00Z", ["2026-03-23", "2026-03-30"]),
        ("autumn", "Europe/Berlin", "2026-10-25T23:00:00Z", ["2026-10-19", "2026-10-26"]),
        ("kathmandu", "Asia/Kathmandu", MIDNIGHT, ["2026-05-04", "2026-05-11"]),
    ] {
        let m = ms(monday);
        let view = |time: i64, person: u64| Hit::view(time, person, "/").known();
        let hits = vec![
            // There on Sunday, and again on Monday, more than half an hour later.
            view(m - 1, 1),
            view(m + 40 * MINUTE, 1),
            // One visit over midnight is no return.
            view(m - 10 * MINUTE, 2),
            view(m + 10 * MINUTE, 2),
            // New on Monday.
            view(m, 3),
            // Back on the Monday after that.
            view(m - WEEK + 120 * MINUTE, 4),
            view(m + WEEK, 4),
            // Without a cookie, or with one that never came back, nobody is known again.
            Hit::view(m - MINUTE, 51, "/"),
            Hit { minted: 600, ..Hit::view(m - MINUTE, 52, "/") },
            // The first visit is from before the cookie was set.
            Hit { minted: 7, source: "Google", ..Hit::view(m - MINUTE, 53, "/") },
            view(m + 3 * world::DAY, 7),
            // A page's leaving is no visit.
            Hit { kind: metka::event::Kind::Engagement, ..view(m + 2 * world::DAY, 3) },
        ];
        worlds.push(world(id, zone, hits, &[]));
        expected.push((weeks, m));
    }
    world::store(&storage, &worlds).await;
    for (world, (weeks, m)) in worlds.iter().zip(&expected) {
        let now = jiff::Timestamp::from_millisecond(m + WEEK + world::DAY).expect("in range").to_string();
        let row = |week: &str, returned: &[u64]| json!({ "week": week, "visitors": returned[0], "returned": returned });
        for (question, expected) in [
            (json!({ "date_range": "91d" }), vec![row(weeks[0], &[4, 2, 1]), row(weeks[1], &[1, 0])]),
            (json!({ "date_range": [weeks[1], weeks[1]] }), vec![row(weeks[1], &[1, 0])]),
            (
                json!({ "date_range": "91d", "filters": [["is", "visit:source", ["Google"]]] }),
                vec![row(weeks[0], &[1, 1, 0])],
            ),
            (json!({ "date_range": "91d", "include": { "marketing": true } }), vec![]),
        ] {
            let found = answer(&storage, world, Report::Retention, question.clone(), &now).await;
            assert_eq!(found["results"], json!(expected), "{} {question}", world.site.id);
        }
    }
    // Half a year of weeks, and no more.
    let later = "2026-12-31T12:00:00Z";
    let week = json!({ "date_range": ["2026-03-23", "2026-03-29"] });
    let found = answer(&storage, &worlds[0], Report::Retention, week, later).await;
    let returned = found["results"][0]["returned"].as_array().expect("a list").clone();
    assert_eq!((returned.len(), &returned[..4]), (26, &[json!(4), json!(2), json!(1), json!(0)][..]));
    for range in [json!(["2025-01-01", "2026-12-31"]), json!("all")] {
        let found =
            answer(&storage, &worlds[0], Report::Retention, json!({ "date_range": range }), later).await;
        assert_eq!(
            (&found["query"]["date_range"][0], &found["results"]),
            (&json!("2026-07-06T00:00:00+02:00"), &json!([])),
            "{range}"
        );
    }
}

#[tokio::test]
async fn whoever_is_there_now_is_on_their_last_page_and_from_the_source_of_their_visit() {
    let storage = storage::fresh().await;
    let now = ms(MIDNIGHT);
    let from = |source: &'static str, hit: Hit| Hit { source, ..hit };
    let worlds = [
        world(
            "now",
            "Asia/Kathmandu",
            vec![
                // Came from a search before midnight, and is on another page now.
                from("Google", Hit::view(now - 20 * MINUTE, 1, "/a")),
                Hit { before: 1, ..Hit::view(now - 1, 2, "/b") },
                Hit::view(now, 3, "/b"),
                // Five minutes ago to the millisecond is gone, a millisecond less is not.
                Hit::view(now - 5 * MINUTE, 4, "/c"),
                from("Яндекс", Hit::view(now - 5 * MINUTE + 1, 5, "/d")),
                Hit::view(now + 1, 6, "/e"),
                Hit { marked: true, ..Hit::view(now, 7, "/f") },
                Hit::view(now, 8, "/g"),
            ],
            &[8],
        ),
        world("many", "Asia/Kathmandu", (1..=12).map(|person| Hit::view(now, person, "/")).collect(), &[]),
        world("nobody", "Asia/Kathmandu", Vec::new(), &[]),
    ];
    world::store(&storage, &worlds).await;
    let row = |name: &str, visitors: u64| json!({ "name": name, "visitors": visitors });
    for (world, question, expected) in [
        (
            &worlds[0],
            json!({}),
            json!({
                "visitors": 3,
                "pages": [row("/b", 2), row("/d", 1)],
                "sources": [row("Direct / None", 1), row("Google", 1), row("Яндекс", 1)],
            }),
        ),
        (
            &worlds[0],
            json!({ "filters": [["is", "visit:source", ["Google"]]] }),
            json!({ "visitors": 1, "pages": [row("/b", 1)], "sources": [row("Google", 1)] }),
        ),
        (
            &worlds[1],
            json!({}),
            json!({ "visitors": 12, "pages": [row("/", 12)], "sources": [row("Direct / None", 12)] }),
        ),
        (&worlds[2], json!({}), json!({ "visitors": 0, "pages": [], "sources": [] })),
    ] {
        let found = answer(&storage, world, Report::Live, question.clone(), MIDNIGHT).await;
        assert_eq!(found, expected, "{} {question}", world.site.id);
    }
}
