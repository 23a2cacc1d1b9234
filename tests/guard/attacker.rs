//! A viewer who asks pairs and triples of questions, and adds and subtracts what is answered.
//!
//! What is computed is judged by the true sets, as if numbers were not rounded: rounding is
//! there for what goes beyond (three answers that are no parts of each other), and is
//! attacked by itself. So an attack *hits* where
//! - a number is shown whose set is there and under k, or a count of views is;
//! - of two sets that are shown, one in the other, the larger has some more, but under k;
//! - a set less two that are shown and apart, or less a family of them that are (all rows of
//!   an answer, all days of a week), leaves some, but under k;
//! - the visits of a shown rate are some, but under k;
//! - the order of rows tells what their numbers do not;
//! - three answers give an overlap that is certainly there and under k.

use std::collections::BTreeMap;

use jiff::ToSpan;
use jiff::civil::Date;
use metka::config::Site;
use metka::guard::Guard;
use metka::guard::answer::OTHER;
use metka::guard::calendar::{Days, monday};
use metka::guard::exact::Exact;
use metka::guard::rule::Rules;
use metka::settings::{Segment, Settings};
use serde_json::{Value, json};

use crate::population::{self as people, Bits, Group, World, contains, count, meet};
use crate::random::Random;

pub const K: u64 = 10;
const METRICS: [&str; 4] = ["visitors", "visits", "pageviews", "bounce_rate"];
/// Triples are looked for among so many numbers.
const MAX_TRIPLES: usize = 60;

/// The kinds of attack, each as often as the others but for the first two, which are
/// neighbouring ranges and single filters.
pub const KINDS: [&str; 14] = [
    "neighbouring ranges",
    "one filter",
    "complements",
    "total less rows",
    "rows over pages",
    "rates and counts",
    "comparisons",
    "week less days",
    "month less weeks",
    "two properties",
    "filters that say the same",
    "several values",
    "segments",
    "patterns",
];

/// A number that was shown, and whose it is.
struct Fact {
    of: String,
    bits: Bits,
    shown: u64,
    /// Whether it may be known to be apart from others: somebody sees many pages.
    is_apart: bool,
    /// Numbers of one family are the rows of one answer, or answers to questions of one kind.
    family: usize,
}

pub struct Attacker<'a> {
    pub world: &'a World,
    pub exact: &'a dyn Exact,
    pub rules: Rules,
    pub random: Random,
    pub found: Found,
}

/// What became of attacks.
#[derive(Default)]
pub struct Found {
    pub attacks: usize,
    pub questions: usize,
    pub refused: BTreeMap<String, usize>,
    /// By kind: attacks, and of these those with a number to compute with.
    pub kinds: BTreeMap<&'static str, (usize, usize)>,
    pub numbers: usize,
    pub combinations: usize,
    /// Different questions that the guard put to storage.
    pub asked: usize,
    pub hits: Vec<String>,
}

pub fn site() -> Site {
    Site { timezone: people::ZONE.to_owned(), ..Site::with_defaults("clinic", &["clinic.example"]) }
}

pub fn settings() -> Settings {
    let segment =
        |id: &str, filters: Value| Segment { id: id.into(), name: id.into(), filters, by: "olga".into() };
    Settings {
        segments: vec![
            segment("s1", json!([["is", "visit:city", ["Moscow"]]])),
            segment("s2", json!([["is", "visit:city", ["Moscow", "Rzhev"]]])),
            segment("s3", json!([["is", "visit:device", ["mobile"]], ["is", "visit:browser", ["Chrome"]]])),
            segment("s4", json!([["is_not", "event:page", ["/hiv"]]])),
        ],
        ..Settings::default()
    }
}

// === impl Attacker ===

impl Attacker<'_> {
    /// One attack.
    pub async fn attack(&mut self) {
        let kind = match self.random.below(10) {
            0..=2 => KINDS[0],
            3 => KINDS[1],
            _ => KINDS[1 + self.random.below(KINDS.len() - 1)],
        };
        let (questions, families) = self.questions(kind);
        let mut facts = Vec::new();
        let mut views = Vec::new();
        for (index, question) in questions.iter().enumerate() {
            let family = if families { 1000 } else { index };
            self.ask(question, family, &mut facts, &mut views).await;
        }
        self.found.attacks += 1;
        let counts = self.found.kinds.entry(kind).or_default();
        counts.0 += 1;
        counts.1 += usize::from(!facts.is_empty());
        self.found.numbers += facts.len() + views.len();
        self.compute(kind, &facts);
        if kind == "complements" {
            self.overlap(&questions, &facts);
        }
    }

    fn hit(&mut self, text: String) {
        if self.found.hits.len() < 50 {
            self.found.hits.push(text);
        }
    }

    /// Asks, and notes what is shown and of whom it is.
    async fn ask(&mut self, question: &Value, family: usize, facts: &mut Vec<Fact>, views: &mut Vec<u64>) {
        let (site, settings) = (site(), settings());
        let guard = Guard { site: &site, settings: &settings, now: people::now(), rules: self.rules };
        let answer =
            guard.query(self.exact, question).await.unwrap_or_else(|error| panic!("{question}: {error}"));
        self.found.questions += 1;
        if let Some(refused) = answer["meta"]["guard"]["refused"].as_str() {
            *self.found.refused.entry(refused.to_owned()).or_default() += 1;
            assert_eq!(answer["results"], json!([]), "{question}");
            return;
        }
        let plain = plain(question);
        let rows = answer["results"].as_array().expect("rows");
        self.order(question, rows);
        self.note(&plain, rows, "metrics", family, facts, views);
        if let Some(days) = compared(question) {
            let mut then = plain.clone();
            then["date_range"] = days.date_range();
            let rows: Vec<Value> = rows.iter().map(|row| row["comparison"].clone()).collect();
            self.note(&then, &rows, "metrics", family + 500, facts, views);
        }
    }

    fn note(
        &mut self,
        question: &Value,
        rows: &[Value],
        metrics: &str,
        family: usize,
        facts: &mut Vec<Fact>,
        views: &mut Vec<u64>,
    ) {
        let groups = self.world.groups(question);
        let keys: Vec<Vec<String>> = rows.iter().map(|row| texts(&row["dimensions"])).collect();
        let is_page = question.get("pagination").is_some();
        let names = texts(&question["metrics"]);
        for (row, key) in rows.iter().zip(&keys) {
            let group = match key.iter().any(|value| value == OTHER) {
                false => groups.get(key).cloned().unwrap_or_default(),
                // Of a page it is not known here what is on the others.
                true if key.len() == 1 && !is_page => {
                    let kept: Vec<&String> = keys.iter().flatten().filter(|name| *name != OTHER).collect();
                    let mut other = question.clone();
                    let named = &question["dimensions"][0];
                    other["dimensions"] = json!([]);
                    let filters = other["filters"].as_array_mut().expect("filters");
                    filters.push(json!(["is_not", named, kept]));
                    self.world.groups(&other).remove(&Vec::new()).expect("one row")
                }
                true => continue,
            };
            for (name, shown) in names.iter().zip(row[metrics].as_array().expect("metrics")) {
                let of = format!(
                    "{name} of {key:?} in {} {} {}",
                    question["date_range"], question["filters"], question["dimensions"]
                );
                if !shown.is_null() {
                    self.number(name, &of, &group, shown, family, facts, views);
                }
            }
        }
    }

    #[expect(clippy::too_many_arguments, reason = "one number with all that is known of it")]
    fn number(
        &mut self,
        name: &str,
        of: &str,
        group: &Group,
        shown: &Value,
        family: usize,
        facts: &mut Vec<Fact>,
        views: &mut Vec<u64>,
    ) {
        let few = |count: u64| 0 < count && count < K;
        match name {
            "visitors" => {
                let shown = shown.as_u64().expect("a count");
                let is_apart = !of.contains("event:page");
                facts.push(Fact { of: of.to_owned(), bits: group.people.clone(), shown, is_apart, family });
            }
            "visits" | "pageviews" => {
                let bits = if name == "visits" { &group.visits } else { &group.views };
                views.push(shown.as_u64().expect("a count"));
                if few(count(bits)) {
                    self.hit(format!("{of}: {}", count(bits)));
                }
            }
            _ => {
                let (entered, bounced) = (count(&group.entered), count(&group.bounced));
                if few(bounced) && bounced_of(shown, entered).is_some_and(few)
                    || few(entered)
                    || few(entered - bounced)
                {
                    self.hit(format!("{of}: {bounced} of {entered}"));
                }
            }
        }
    }

    /// Sums and differences of what is known.
    fn compute(&mut self, kind: &str, facts: &[Fact]) {
        let few = |count: u64| 0 < count && count < K;
        let sizes: Vec<u64> = facts.iter().map(|fact| count(&fact.bits)).collect();
        for (fact, size) in facts.iter().zip(&sizes) {
            if few(*size) {
                self.hit(format!("{kind}: {} is {size}", fact.of));
            }
        }
        for (a, whole) in facts.iter().enumerate() {
            let inside: Vec<usize> = (0..facts.len())
                .filter(|b| *b != a && sizes[*b] <= sizes[a] && contains(&whole.bits, &facts[*b].bits))
                .collect();
            for b in &inside {
                self.found.combinations += 1;
                if few(sizes[a] - sizes[*b]) {
                    self.hit(format!(
                        "{kind}: {} less {} is {}",
                        whole.of,
                        facts[*b].of,
                        sizes[a] - sizes[*b]
                    ));
                }
            }
            let inside: Vec<usize> = inside.into_iter().filter(|b| facts[*b].is_apart).collect();
            if facts.len() <= MAX_TRIPLES {
                for (at, b) in inside.iter().enumerate() {
                    for c in inside[at + 1..].iter().filter(|c| !meet(&facts[*b].bits, &facts[**c].bits)) {
                        self.found.combinations += 1;
                        let rest = sizes[a] - sizes[*b] - sizes[*c];
                        if few(rest) {
                            let (b, c) = (&facts[*b].of, &facts[*c].of);
                            self.hit(format!("{kind}: {} less {b} and {c} is {rest}", whole.of));
                        }
                    }
                }
            }
            let mut families: Vec<usize> = inside.iter().map(|b| facts[*b].family).collect();
            families.sort_unstable();
            families.dedup();
            for family in families {
                let mut rest = sizes[a];
                let mut taken: Vec<usize> = Vec::new();
                let mut members: Vec<usize> =
                    inside.iter().copied().filter(|b| facts[*b].family == family).collect();
                // The large ones first: a week before its days.
                members.sort_by_key(|b| std::cmp::Reverse(sizes[*b]));
                for b in members {
                    if sizes[b] < sizes[a]
                        && taken.iter().all(|known| !meet(&facts[*known].bits, &facts[b].bits))
                    {
                        taken.push(b);
                        rest -= sizes[b];
                    }
                }
                self.found.combinations += 1;
                if few(rest) {
                    self.hit(format!("{kind}: {} less {} others is {rest}", whole.of, taken.len()));
                }
            }
        }
    }

    /// With and without a value, less all: those who are in both.
    fn overlap(&mut self, questions: &[Value], facts: &[Fact]) {
        let [all, with, without] = facts else { return };
        let exact = facts.iter().any(|fact| fact.shown % 5 != 0);
        let off = if exact { 0 } else { 6 };
        let both = with.shown as i64 + without.shown as i64 - all.shown as i64;
        if both - off >= 1 && both + off < K as i64 {
            self.hit(format!("both with and without: {both}: {}", questions[1]));
        }
    }

    fn order(&mut self, question: &Value, rows: &[Value]) {
        if question["dimensions"].as_array().is_none_or(Vec::is_empty)
            || question["dimensions"].to_string().contains("time")
        {
            return;
        }
        for pair in rows.windows(2) {
            let name = |row: &Value| texts(&row["dimensions"]);
            let alike = pair[0]["metrics"][0] == pair[1]["metrics"][0];
            if alike
                && name(&pair[0]) > name(&pair[1])
                && name(&pair[1])[0] != OTHER
                && name(&pair[0])[0] != OTHER
            {
                self.hit(format!("the order tells {:?} from {:?}", name(&pair[0]), name(&pair[1])));
            }
        }
    }

    fn condition(&mut self) -> Value {
        let random = &mut self.random;
        let (dimension, values): (&str, Vec<&str>) = match random.below(7) {
            0 => ("visit:device", people::DEVICES.iter().map(|value| value.0).collect()),
            1 => ("visit:browser", people::BROWSERS.iter().map(|value| value.0).collect()),
            2 => ("visit:source", people::SOURCES.iter().map(|value| value.0).collect()),
            3 => ("visit:region", people::CITIES.iter().map(|value| value.1).collect()),
            4 => ("visit:country", vec!["RU", "KZ"]),
            5 => ("event:page", people::PAGES.iter().map(|value| value.0).collect()),
            _ => ("visit:city", people::CITIES.iter().map(|value| value.0).collect()),
        };
        // The common values more often: of the others nothing is answered.
        let value = values[random.below(values.len()).min(random.below(values.len()))];
        json!([if random.chance(80) { "is" } else { "is_not" }, dimension, [value]])
    }

    fn dimension(&mut self) -> &'static str {
        self.random.pick(&[
            "visit:device",
            "visit:browser",
            "visit:source",
            "visit:city",
            "visit:region",
            "event:page",
        ])
    }

    fn day(&mut self) -> Date {
        let days = self.world.days();
        days[self.random.below(days.len())]
    }

    /// Days, weeks and months, the longer ones more often: they answer more.
    fn days(&mut self) -> Days {
        let day = self.day();
        match self.random.below(5) {
            0 => Days { unit: metka::guard::calendar::Unit::Day, first: day, last: day },
            1 => Days::week(day).expect("a week"),
            _ => Days::month(day),
        }
    }

    fn conditions(&mut self) -> Vec<Value> {
        let number = [0, 0, 0, 1, 1, 2][self.random.below(6)];
        (0..number).map(|_| self.condition()).collect()
    }

    /// The questions of an attack, and whether they are one family.
    fn questions(&mut self, kind: &str) -> (Vec<Value>, bool) {
        let base = self.conditions();
        let days = self.days();
        let range = days.date_range();
        let ask = |range: &Value, filters: &[Value], dimensions: Value| {
            json!({
                "site_id": "clinic", "metrics": METRICS, "date_range": range,
                "filters": filters, "dimensions": dimensions,
            })
        };
        let with = |condition: Value| {
            let mut filters = base.clone();
            filters.push(condition);
            filters
        };
        let none = json!([]);
        match kind {
            "neighbouring ranges" => {
                let day = self.day();
                let span = |from: Date, to: Date| json!([from.to_string(), to.to_string()]);
                let next = |day: Date, by: i64| day.checked_add(by.days()).expect("a day");
                let week = Days::week(day).expect("a week");
                let ranges = match self.random.below(4) {
                    0 => vec![span(day, next(day, 20)), span(day, next(day, 21))],
                    1 => vec![span(day, day), week.date_range()],
                    2 => vec![week.date_range(), Days::month(day).date_range()],
                    _ => vec![span(day, day), week.date_range(), Days::month(day).date_range()],
                };
                (ranges.iter().map(|range| ask(range, &base, none.clone())).collect(), false)
            }
            "one filter" => {
                let more = with(self.condition());
                (vec![ask(&range, &base, none.clone()), ask(&range, &more, none)], false)
            }
            "complements" => {
                let condition = self.condition();
                let (is, is_not) = (
                    json!(["is", condition[1], condition[2]]),
                    json!(["is_not", condition[1], condition[2]]),
                );
                let questions = [base.clone(), with(is), with(is_not)];
                (questions.iter().map(|filters| ask(&range, filters, none.clone())).collect(), false)
            }
            "total less rows" => {
                let dimension = self.dimension();
                let values: &[&str] = match dimension {
                    "visit:device" => &["mobile", "desktop", "tablet"],
                    "visit:browser" => &["Chrome", "Yandex Browser", "Safari", "Firefox"],
                    "visit:source" => &["Google", "Yandex", "VK", "2GIS"],
                    "visit:region" => &["Moscow", "Moscow Oblast", "Tver Oblast"],
                    "event:page" => &["/", "/ceny", "/akne"],
                    _ => &["Moscow", "Yaroslavl", "Podolsk", "Omsk"],
                };
                let mut questions =
                    vec![ask(&range, &base, none.clone()), ask(&range, &base, json!([dimension]))];
                for value in values {
                    questions.push(ask(&range, &with(json!(["is", dimension, [value]])), none.clone()));
                }
                (questions, self.random.chance(50))
            }
            "rows over pages" => {
                let dimension = self.dimension();
                let pages = (0..3).map(|page| {
                    let mut question = ask(&range, &base, json!([dimension]));
                    question["pagination"] = json!({ "limit": 2, "offset": page * 2 });
                    question
                });
                let total = ask(&range, &base, none.clone());
                (pages.chain([total]).collect(), true)
            }
            "rates and counts" => {
                let dimension = self.dimension();
                (vec![ask(&range, &base, json!([dimension])), ask(&range, &base, none)], false)
            }
            "comparisons" => {
                let mut question = ask(
                    &range,
                    &base,
                    if self.random.chance(50) { none.clone() } else { json!([self.dimension()]) },
                );
                question["include"] = json!({ "comparisons": { "mode": "previous_period" } });
                let mut later = question.clone();
                later["filters"] = json!(with(self.condition()));
                (vec![question, later], false)
            }
            "week less days" => {
                let week = Days::week(self.day()).expect("a week");
                let mut questions = vec![ask(&week.date_range(), &base, none.clone())];
                if self.random.chance(50) {
                    questions.push(ask(&week.date_range(), &base, json!(["time:day"])));
                } else {
                    for number in 0..7 {
                        let day = week.first.checked_add(number.days()).expect("a day").to_string();
                        questions.push(ask(&json!([day, day]), &base, none.clone()));
                    }
                }
                (questions, true)
            }
            "month less weeks" => {
                let month = Days::month(self.day());
                let mut questions = vec![ask(&month.date_range(), &base, none.clone())];
                let mut at = monday(month.first).expect("a day");
                while at <= month.last {
                    let week = Days::week(at).expect("a week");
                    questions.push(ask(&week.date_range(), &base, none.clone()));
                    at = week.last.tomorrow().expect("a day");
                }
                match self.random.below(3) {
                    0 => questions.push(ask(&month.date_range(), &base, json!(["time:week"]))),
                    1 => questions.push(ask(&month.date_range(), &base, json!(["time:day"]))),
                    _ => {
                        let mut day = month.first;
                        while day <= month.last {
                            questions.push(ask(
                                &json!([day.to_string(), day.to_string()]),
                                &base,
                                none.clone(),
                            ));
                            day = day.tomorrow().expect("a day");
                        }
                    }
                }
                (questions, true)
            }
            "two properties" => {
                let (one, two) = (self.dimension(), self.dimension());
                if one == two {
                    return (vec![ask(&range, &base, json!([one])), ask(&range, &base, none)], false);
                }
                let questions =
                    [json!([one, two]), json!([one]), none].map(|dimensions| ask(&range, &base, dimensions));
                (questions.to_vec(), false)
            }
            "filters that say the same" => {
                let city = people::CITIES[self.random.below(people::CITIES.len())];
                let mut both = with(json!(["is", "visit:city", [city.0]]));
                both.push(json!(["is", "visit:region", [city.1]]));
                if self.random.chance(40) {
                    both = vec![
                        json!(["is", "visit:country", ["RU"]]),
                        json!(["is_not", "visit:country", ["KZ"]]),
                    ];
                    return (vec![ask(&range, &[], none.clone()), ask(&range, &both, none)], false);
                }
                (vec![ask(&range, &base, none.clone()), ask(&range, &both, none)], false)
            }
            "several values" => {
                let (dimension, values) = match self.random.below(3) {
                    0 => ("event:page", people::PAGES.iter().map(|value| value.0).collect::<Vec<_>>()),
                    1 => ("visit:source", people::SOURCES.iter().map(|value| value.0).collect()),
                    _ => ("visit:city", people::CITIES.iter().map(|value| value.0).collect()),
                };
                let (one, two) =
                    (values[self.random.below(values.len() / 2)], values[self.random.below(values.len())]);
                let operator = if self.random.chance(80) { "is" } else { "is_not" };
                let sets = [json!([one]), json!([one, two]), json!([two])];
                let questions =
                    sets.map(|values| ask(&range, &with(json!([operator, dimension, values])), none.clone()));
                (questions.to_vec(), false)
            }
            "segments" => {
                let segment = self.random.pick(&["s1", "s2", "s3", "s4"]);
                let questions = [
                    ask(&range, &with(json!(["is", "segment", [segment]])), none.clone()),
                    ask(&range, &with(json!(["is", "visit:city", ["Moscow"]])), none.clone()),
                    ask(&range, &base, none),
                ];
                (questions.to_vec(), false)
            }
            _ => {
                let (dimension, one, two) = match self.random.below(3) {
                    0 => ("visit:browser", "Chrom", "Chrome"),
                    1 => ("event:page", "/", "/c"),
                    _ => ("visit:city", "M", "Mo"),
                };
                let questions = [one, two]
                    .map(|text| ask(&range, &with(json!(["contains", dimension, [text]])), none.clone()));
                (questions.to_vec(), false)
            }
        }
    }
}

/// How many visits a rate says bounced.
fn bounced_of(rate: &Value, entered: u64) -> Option<u64> {
    Some((rate.as_f64()? * entered as f64 / 100.0).round() as u64)
}

/// The question with its segments as what they contain.
fn plain(question: &Value) -> Value {
    let mut plain = question.clone();
    let mut filters = Vec::new();
    for filter in question["filters"].as_array().expect("filters") {
        match filter[1] == "segment" {
            true => {
                let settings = settings();
                let segment = settings.segment(filter[2][0].as_str().expect("an id")).expect("it is there");
                filters.extend(segment.filters.as_array().expect("filters").clone());
            }
            false => filters.push(filter.clone()),
        }
    }
    plain["filters"] = json!(filters);
    plain
}

fn compared(question: &Value) -> Option<Days> {
    question["include"].get("comparisons")?;
    let day = |index: usize| question["date_range"][index].as_str()?.parse::<Date>().ok();
    let (first, last) = (day(0)?, day(1)?);
    let unit =
        match (first == last, Days::week(first).is_some_and(|week| week.first == first && week.last == last))
        {
            (true, _) => metka::guard::calendar::Unit::Day,
            (_, true) => metka::guard::calendar::Unit::Week,
            _ => metka::guard::calendar::Unit::Month,
        };
    Days { unit, first, last }.before()
}

fn texts(list: &Value) -> Vec<String> {
    list.as_array().into_iter().flatten().filter_map(|value| value.as_str().map(str::to_owned)).collect()
}
