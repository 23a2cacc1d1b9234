//! Random histories: each answer equals the reference.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use metka::query::{Report, report};
use metka::settings::{Goal, Settings};
use metka::store::Storage;
use serde_json::{Value, json};

use crate::random::Random;
use crate::reference::{self, Ask, Journeys, Where, midnight, monday};
use crate::storage;
use crate::world::{self, DAY, MINUTE, PAGES, World, history};

/// Random histories, each a site of its own, with a question of each kind; the first is the
/// size of every run, the second of a long one.
const HISTORIES: [u64; 2] = [200, 3000];
/// So many are asked about at once.
const AT_ONCE: usize = 2;
/// How often a question is put that took too long, since other tests are on the machine as well.
const TRIES: usize = 5;

const ZONES: &[&str] =
    &["Asia/Kolkata", "Asia/Kathmandu", "Europe/Moscow", "Europe/Berlin", "America/St_Johns", "UTC"];
/// Near the ends of months and both changes of the clock.
const FIRST_DAYS: &[&str] = &["2026-03-28", "2026-03-31", "2026-10-24", "2026-06-30", "2026-12-31"];

struct Case {
    random: Random,
    world: World,
    from: i64,
    to: i64,
    range: Value,
}

// === impl Case ===

impl Case {
    fn new(seed: u64) -> Case {
        let mut random = Random(seed);
        let name = random.pick(ZONES);
        let zone = TimeZone::get(name).expect("a known zone");
        let first: Date = random.pick(FIRST_DAYS).parse().expect("a date");
        let by_weeks = random.chance(50);
        let days = if by_weeks { 1 + random.below(40) } else { random.below(3) } as i64;
        let last = first.checked_add(jiff::Span::new().days(days)).expect("in range");
        let (mut from, mut to) =
            (midnight(first, &zone), midnight(last.tomorrow().expect("in range"), &zone));
        let mut range = json!([first.to_string(), last.to_string()]);
        if random.chance(30) {
            // Any seconds, the last of them in the range.
            from += random.below(120) as i64 * MINUTE;
            to -= random.below(120) as i64 * MINUTE;
            let iso = |time: i64| Timestamp::from_millisecond(time).expect("in range").to_string();
            range = json!([iso(from), iso(to - 1000)]);
        }
        let week = midnight(monday(first), &zone);
        let edges = [from, to, from - DAY, to + DAY, from + (to - from) / 2, week, week + 7 * DAY];
        let hits = history(&mut random, &zone, &edges, by_weeks);
        let blocked = match random.chance(25) {
            true => hits
                .iter()
                .take(1)
                .map(|hit| if hit.minted == 0 { hit.visitor } else { hit.minted })
                .collect(),
            false => Vec::new(),
        };
        let world = World { site: world::site(&format!("beyond-{seed}"), name), zone, hits, blocked };
        Case { random, world, from, to, range }
    }

    fn ask(&mut self) -> Ask {
        let random = &mut self.random;
        let filters = if random.chance(50) {
            (0..=random.below(2)).map(|_| filter(random, 2)).collect()
        } else {
            vec![]
        };
        Ask { from: self.from, to: self.to, filters, marketing: random.chance(25) }
    }

    /// Around a hit, an edge, or long after all.
    fn now(&mut self) -> i64 {
        let random = &mut self.random;
        let hits = &self.world.hits;
        match random.below(4) {
            0 => self.to + random.below(60) as i64 * DAY,
            _ if hits.is_empty() => self.to,
            1 => hits[random.below(hits.len())].time,
            2 => hits[random.below(hits.len())].time + 5 * MINUTE - random.below(2) as i64,
            _ => hits[random.below(hits.len())].time + random.below(400_000) as i64,
        }
    }

    async fn answer(&self, storage: &Storage, report: Report, question: &Value, now: i64) -> Value {
        let now = Timestamp::from_millisecond(now).expect("in range");
        let mut tries = 1;
        loop {
            let found =
                report::run(report, storage, &self.world.site, &world::settings(), question, now).await;
            match found {
                Ok(answer) => return answer,
                Err(_) if tries < TRIES => tries += 1,
                Err(error) => panic!("{}: {question}: {error}", report.name()),
            }
        }
    }

    fn told(&self, question: &Value) -> String {
        let hits: Vec<String> = self
            .world
            .hits
            .iter()
            .map(|hit| format!("{} {hit:?}", Timestamp::from_millisecond(hit.time).expect("in range")))
            .collect();
        let World { site, blocked, .. } = &self.world;
        format!("{} {} {question}\nblocked {blocked:?}\n{}", site.id, site.timezone, hits.join("\n"))
    }

    fn question(&self, ask: &Ask) -> Value {
        json!({
            "site_id": self.world.site.id,
            "date_range": self.range,
            "filters": ask.filters.iter().map(filter_json).collect::<Vec<_>>(),
            "include": { "marketing": ask.marketing },
        })
    }
}

#[tokio::test]
async fn every_answer_equals_the_recount_by_definition() {
    let storage = storage::fresh().await;
    let soak = std::env::var_os("METKA_SOAK").is_some_and(|value| value == "1");
    let cases: Vec<Case> = (0..HISTORIES[usize::from(soak)]).map(Case::new).collect();
    let worlds: Vec<World> = cases.iter().map(|case| case.world.clone()).collect();
    world::store(&storage, &worlds).await;
    let mut shares: Vec<Vec<Case>> = (0..AT_ONCE).map(|_| Vec::new()).collect();
    for (index, case) in cases.into_iter().enumerate() {
        shares[index % AT_ONCE].push(case);
    }
    let mut asking = tokio::task::JoinSet::new();
    for share in shares {
        let storage: Storage = (*storage).clone();
        asking.spawn(async move {
            let mut told = BTreeMap::new();
            for mut case in share {
                funnel(&mut case, &storage, &mut told).await;
                journeys(&mut case, &storage, &mut told).await;
                retention(&mut case, &storage, &mut told).await;
                live(&mut case, &storage, &mut told).await;
            }
            told
        });
    }
    // How often an answer had something in it: to see that the histories are not beside the point.
    let mut told: BTreeMap<&str, usize> = BTreeMap::new();
    while let Some(share) = asking.join_next().await {
        for (what, count) in share.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic())) {
            *told.entry(what).or_default() += count;
        }
    }
    println!("{} histories, answers with something in them: {told:?}", worlds.len());
    assert!(told["third step"] > 0, "{told:?}");
    for what in ["step", "before", "cohort", "return", "live", "marketing", "blocked"] {
        assert!(told.get(what).is_some_and(|count| *count >= 5), "{what}: {told:?}");
    }
}

async fn funnel(case: &mut Case, storage: &Storage, told: &mut BTreeMap<&'static str, usize>) {
    let Settings { goals, .. } = world::settings();
    let ask = case.ask();
    // Mostly one that many hits reach, so that some visits get to the end.
    let common = goals.iter().position(|goal| goal.name == "any page").expect("it is there");
    let steps: Vec<Goal> = (0..2 + case.random.below(3))
        .map(|_| if case.random.chance(70) { common } else { case.random.below(goals.len()) })
        .map(|index| goals[index].clone())
        .collect();
    let mut question = case.question(&ask);
    question["steps"] = steps.iter().map(|goal| json!(goal.name)).collect();
    let answer = case.answer(storage, Report::Funnel, &question, case.to).await;
    let found: Vec<u64> = rows(&answer, "results").iter().map(|row| number(&row["visitors"])).collect();
    let aims: Vec<_> = steps.into_iter().map(|goal| goal.aim).collect();
    let expected = reference::funnel(&case.world, &ask, &aims);
    assert_eq!(found, expected, "{}", case.told(&question));
    note(told, "third step", found.get(2) > Some(&0));
    note(told, "marketing", ask.marketing && found[0] > 0);
    note(told, "blocked", !case.world.blocked.is_empty() && found[0] > 0);
}

async fn journeys(case: &mut Case, storage: &Storage, told: &mut BTreeMap<&'static str, usize>) {
    let from = case.random.chance(50).then(|| case.random.pick(PAGES));
    let ask = case.ask();
    let mut question = case.question(&ask);
    question["from"] = json!(from);
    question["limit"] = json!(1000);
    let answer = case.answer(storage, Report::Journeys, &question, case.to).await;
    let pairs = |list: Vec<Value>| -> BTreeMap<(String, String), u64> {
        list.iter().map(|row| ((text(&row["from"]), text(&row["to"])), number(&row["visits"]))).collect()
    };
    let pages = |list: Vec<Value>| -> BTreeMap<String, u64> {
        list.iter().map(|row| (text(&row["page"]), number(&row["visits"]))).collect()
    };
    let found = Journeys {
        steps: pairs(rows(&answer, "results")),
        entries: pages(rows(&answer["meta"], "entries")),
        exits: pages(rows(&answer["meta"], "exits")),
    };
    let mut expected = reference::journeys(&case.world, &ask);
    if let Some(page) = from {
        let before = pairs(rows(&answer["meta"], "before"));
        let mut wanted = expected.steps.clone();
        wanted.retain(|(_, to), _| to == page);
        assert_eq!(before, wanted, "before: {}", case.told(&question));
        note(told, "before", !before.is_empty());
        expected.steps.retain(|(from, _), _| from == page);
        expected.entries.retain(|entry, _| entry == page);
        expected.exits.retain(|exit, _| exit == page);
    }
    assert_eq!(found, expected, "{}", case.told(&question));
    note(told, "step", !found.steps.is_empty());
}

async fn retention(case: &mut Case, storage: &Storage, told: &mut BTreeMap<&'static str, usize>) {
    let (ask, now) = (case.ask(), case.now());
    let question = case.question(&ask);
    let answer = case.answer(storage, Report::Retention, &question, now).await;
    let found: BTreeMap<Date, Vec<u64>> = rows(&answer, "results")
        .iter()
        .map(|row| {
            let returned: Vec<u64> = rows(row, "returned").iter().map(number).collect();
            assert_eq!(returned[0], number(&row["visitors"]), "{row}");
            (text(&row["week"]).parse().expect("a day"), returned)
        })
        .collect();
    let expected = reference::retention(&case.world, &ask, now);
    assert_eq!(found, expected, "now {now}: {}", case.told(&question));
    note(told, "cohort", !found.is_empty());
    note(told, "return", found.values().any(|weeks| weeks.iter().skip(1).any(|count| *count > 0)));
}

async fn live(case: &mut Case, storage: &Storage, told: &mut BTreeMap<&'static str, usize>) {
    let (ask, now) = (case.ask(), case.now());
    let filters: Vec<Value> = ask.filters.iter().map(filter_json).collect();
    let question = json!({ "site_id": case.world.site.id, "filters": filters });
    let answer = case.answer(storage, Report::Live, &question, now).await;
    let names = |list: Vec<Value>| -> BTreeMap<String, u64> {
        list.iter().map(|row| (text(&row["name"]), number(&row["visitors"]))).collect()
    };
    let found = (number(&answer["visitors"]), names(rows(&answer, "pages")), names(rows(&answer, "sources")));
    assert_eq!(found, reference::live(&case.world, &ask.filters, now), "now {now}: {}", case.told(&question));
    note(told, "live", found.0 > 0);
}

fn note(told: &mut BTreeMap<&'static str, usize>, what: &'static str, is_so: bool) {
    *told.entry(what).or_default() += usize::from(is_so);
}

fn rows(value: &Value, key: &str) -> Vec<Value> {
    value[key].as_array().unwrap_or_else(|| panic!("{key} is a list in {value}")).clone()
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("{value} is a number"))
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is a text")).to_owned()
}

fn filter(random: &mut Random, depth: usize) -> Where {
    match random.below(if depth == 0 { 5 } else { 7 }) {
        0 => Where::Page(random.pick(PAGES)),
        1 => Where::NotPage(random.pick(PAGES)),
        2 => Where::Source(random.pick(&["Google", "Яндекс"])),
        3 => Where::Entry(random.pick(&["/", "/a"])),
        4 => Where::Ad(random.pick(&["banner-1", ""])),
        5 => Where::Any((0..2).map(|_| filter(random, depth - 1)).collect()),
        _ => Where::Not(Box::new(filter(random, depth - 1))),
    }
}

fn filter_json(filter: &Where) -> Value {
    match filter {
        Where::Page(path) => json!(["is", "event:page", [path]]),
        Where::NotPage(path) => json!(["is_not", "event:page", [path]]),
        Where::Source(source) => json!(["is", "visit:source", [source]]),
        Where::Entry(path) => json!(["is", "visit:entry_page", [path]]),
        Where::Ad(ad) => json!(["is", "event:ad", [ad]]),
        Where::Any(children) => json!(["or", children.iter().map(filter_json).collect::<Vec<_>>()]),
        Where::Not(child) => json!(["not", filter_json(child)]),
    }
}
