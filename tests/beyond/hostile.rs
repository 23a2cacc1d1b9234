//! Wrong questions are told each mistake in its place; what a person types never becomes SQL.

use jiff::Timestamp;
use metka::config::Site;
use metka::query::{QueryError, Report, Statement, Visible, cohorts, funnel, journeys, live, report};
use metka::settings::{Aim, Goal, Settings};
use metka::store::Param;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};

use crate::{storage, world};

/// Stands in every text that a "person" types here; no SQL of ours has it.
const MARK: &str = "Qzx";

fn site() -> Site {
    Site::with_defaults("clinic", &["clinic.example"])
}

fn now() -> Timestamp {
    "2026-11-20T10:00:00Z".parse().expect("an instant")
}

/// The mistakes of a question, or its statement.
fn judged(report: Report, question: &Value, settings: &Settings) -> Result<Statement, Vec<String>> {
    let (site, now, visible) = (site(), now(), Visible::unblocked("metka"));
    Ok(match report {
        Report::Funnel => funnel::compile(&funnel::parse(question, &site, settings, now)?, visible),
        Report::Journeys => journeys::compile(&journeys::parse(question, &site, settings, now)?, visible),
        Report::Retention => cohorts::compile(&cohorts::parse(question, &site, settings, now)?, visible),
        Report::Live => live::compile(&live::parse(question, &site, settings, now)?, visible),
    })
}

#[test]
fn mistakes_are_listed_in_the_words_of_the_api() {
    let about = |mut more: Value| {
        more["site_id"] = json!("clinic");
        more["date_range"] = json!("7d");
        more
    };
    let many = vec!["a"; 21];
    for (report, question, expected) in [
        (Report::Funnel, json!(7), vec!["#: Expected an object, got 7"]),
        (Report::Funnel, json!({}), vec!["#/site_id: Missing", "#/date_range: Missing", "#/funnel: Missing"]),
        (Report::Funnel, about(json!({ "funnel": "f9" })), vec!["#/funnel: Unknown funnel \"f9\""]),
        (Report::Funnel, about(json!({ "funnel": null })), vec!["#/funnel: Unknown funnel null"]),
        (Report::Funnel, about(json!({ "funnel": "f2" })), vec!["#/funnel: 1 steps, 2 to 20 are allowed"]),
        (Report::Funnel, about(json!({ "funnel": "f3" })), vec!["#/funnel: Its goal \"g99\" does not exist"]),
        (
            Report::Funnel,
            about(json!({ "funnel": "f1", "steps": ["a", "call"] })),
            vec!["#/steps: Cannot stand beside funnel"],
        ),
        (Report::Funnel, about(json!({ "steps": "a" })), vec!["#/steps: Invalid steps \"a\""]),
        (Report::Funnel, about(json!({ "steps": many })), vec!["#/steps: 21 steps, 2 to 20 are allowed"]),
        (
            Report::Funnel,
            about(json!({ "steps": ["A", 7], "goal": 1, "metrics": ["visitors"] })),
            vec![
                "#/goal: Unknown key",
                "#/metrics: Unknown key",
                "#/steps/0: Unknown goal \"A\"",
                "#/steps/1: Unknown goal 7",
            ],
        ),
        (
            Report::Journeys,
            json!({ "site_id": "other", "date_range": "7x", "from": 7, "limit": 0,
                "filters": [["is", "event:foo", ["x"]]], "include": { "marketing": 1, "bots": true } }),
            vec![
                "#/site_id: Invalid site_id \"other\"",
                "#/date_range: Invalid date range \"7x\"",
                "#/filters/0/1: Invalid dimension \"event:foo\"",
                "#/include/bots: Unknown key",
                "#/include/marketing: Invalid value 1",
                "#/from: Invalid value 7",
                "#/limit: Invalid value 0, 1 to 1000 is allowed",
            ],
        ),
        (
            Report::Journeys,
            about(json!({ "from": "/\u{0}", "limit": 1001, "include": [] })),
            vec![
                "#/include: Invalid include []",
                "#/from: Invalid value \"/\\u0000\"",
                "#/limit: Invalid value 1001, 1 to 1000 is allowed",
            ],
        ),
        (
            Report::Journeys,
            about(json!({ "limit": 2.5 })),
            vec!["#/limit: Invalid value 2.5, 1 to 1000 is allowed"],
        ),
        (
            Report::Retention,
            json!({ "site_id": "clinic", "date_range": ["2026-02-01", "2026-01-01"], "from": "/" }),
            vec!["#/from: Unknown key", "#/date_range: Invalid date range [\"2026-02-01\", \"2026-01-01\"]"],
        ),
        (Report::Retention, json!(null), vec!["#: Expected an object, got null"]),
        (Report::Live, about(json!({})), vec!["#/date_range: Unknown key"]),
        (
            Report::Live,
            json!({ "filters": "x", "include": {} }),
            vec!["#/include: Unknown key", "#/site_id: Missing", "#/filters: Invalid filters \"x\""],
        ),
    ] {
        let found = judged(report, &question, &world::settings()).map(|_| ());
        let expected: Vec<String> = expected.into_iter().map(str::to_owned).collect();
        assert_eq!(found, Err(expected), "{} {question}", report.name());
    }
}

/// Texts that have hurt others, and random ones.
fn typed() -> impl Strategy<Value = String> {
    let classic = prop_oneof![
        Just("' OR 1=1 --"),
        Just("'); DROP TABLE metka.hits; --"),
        Just("\\'"),
        Just("{p0:String}"),
        Just("**"),
        Just("*/*"),
        Just("(a+)+$"),
        Just("[a-z"),
        Just("\\Q\\E\\C"),
        Just("\u{202e}"),
        Just("\t\r\n"),
        Just("\u{1}"),
        Just("url('http://127.0.0.1/')"),
        Just("\\N"),
    ];
    prop_oneof![classic.prop_map(str::to_owned), any::<String>(), "[\\PC]{0,40}", "[a-z/*]{0,8}"]
        .prop_map(|text| format!("{MARK}{}{MARK}", text.replace('\0', "")))
}

fn goals() -> impl Strategy<Value = Settings> {
    let aim = prop_oneof![
        typed().prop_map(|value| Aim::Event { value, currency: None }),
        typed().prop_map(|value| Aim::Page { value }),
        (typed(), 0..=100_u8).prop_map(|(value, percent)| Aim::Scroll { value, percent }),
        typed().prop_map(|value| Aim::AdClick { value }),
    ];
    proptest::collection::vec(aim, 2..5).prop_map(|aims| {
        let goal = |(index, aim)| Goal { id: format!("g{index}"), name: format!("goal {index}"), aim };
        Settings { goals: aims.into_iter().enumerate().map(goal).collect(), ..Settings::default() }
    })
}

/// A right question, but for what was typed.
fn question() -> impl Strategy<Value = (Report, Value, Settings)> {
    let filter = (
        proptest::sample::select(vec!["is", "is_not", "contains", "matches"]),
        prop_oneof![
            Just("event:page".to_owned()),
            Just("visit:source".to_owned()),
            Just("visit:exit_page".to_owned()),
            typed().prop_map(|key| format!("event:props:{key}")),
        ],
        proptest::collection::vec(typed(), 1..3),
    )
        .prop_map(|(operator, dimension, values)| json!([operator, dimension, values]));
    (
        proptest::sample::select(Report::ALL.to_vec()),
        proptest::collection::vec(filter, 0..3),
        goals(),
        proptest::option::of(typed()),
        any::<bool>(),
    )
        .prop_map(|(report, filters, settings, from, marketing)| {
            let mut question = json!({ "site_id": "clinic", "filters": filters });
            if report != Report::Live {
                question["date_range"] = json!("30d");
                question["include"] = json!({ "marketing": marketing });
            }
            match report {
                Report::Funnel => {
                    question["steps"] = settings.goals.iter().map(|goal| json!(goal.name)).collect();
                }
                Report::Journeys => question["from"] = json!(from),
                Report::Retention | Report::Live => {}
            }
            (report, question, settings)
        })
}

#[test]
fn five_thousand_questions_leave_no_typed_text_in_the_sql() {
    let mut runner = TestRunner::new(Config { cases: 5_000, failure_persistence: None, ..Config::default() });
    let compiled = std::cell::Cell::new(0);
    runner
        .run(&question(), |(report, question, settings)| {
            let Ok(Statement { sql, params }) = judged(report, &question, &settings) else { return Ok(()) };
            compiled.set(compiled.get() + 1);
            prop_assert!(!sql.contains(MARK) && sql.is_ascii(), "{}", sql);
            for (name, value) in &params {
                let kind = match value {
                    Param::Text(_) => "String",
                    Param::Texts(_) => "Array(String)",
                    Param::Number(_) => "Int64",
                    Param::Numbers(_) => "Array(UInt64)",
                };
                let placeholder = format!("{{{name}:{kind}}}");
                let is_of_all = ["zone", "from", "to"].contains(&name.as_str());
                prop_assert!(is_of_all || sql.contains(&placeholder), "{} is not in {}", placeholder, sql);
            }
            Ok(())
        })
        .expect("no question leaks");
    assert!(compiled.get() > 4_000, "only {} of the questions were compiled", compiled.get());
}

#[test]
fn any_json_is_answered_with_mistakes_that_name_their_place() {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        typed().prop_map(Value::from),
    ];
    let value = leaf.prop_recursive(3, 24, 4, |inner| {
        let keys =
            ["site_id", "date_range", "filters", "include", "funnel", "steps", "from", "limit", "marketing"];
        let key = prop_oneof![proptest::sample::select(keys.to_vec()).prop_map(str::to_owned), typed()];
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map(key, inner, 0..5).prop_map(|map| json!(map)),
        ]
    });
    let mut runner = TestRunner::new(Config { cases: 4_000, failure_persistence: None, ..Config::default() });
    runner
        .run(&value, |value| {
            for report in Report::ALL {
                let mistakes = judged(report, &value, &world::settings()).expect_err("it is no question");
                prop_assert!(
                    !mistakes.is_empty() && mistakes.iter().all(|line| line.starts_with('#')),
                    "{mistakes:?}"
                );
            }
            Ok(())
        })
        .expect("every mistake is named");
}

/// Some of them against the real engine: each is answered or refused as the person's mistake.
#[tokio::test]
async fn hostile_questions_are_answered_or_refused_by_the_engine() {
    let storage = storage::fresh().await;
    let mut runner = TestRunner::deterministic();
    let (mut answered, mut refused) = (0, 0);
    for _ in 0..100 {
        let (report, question, settings) = question().new_tree(&mut runner).expect("a question").current();
        match report::run(report, &storage, &site(), &settings, &question, now()).await {
            Ok(_) => answered += 1,
            Err(QueryError::Invalid(_)) => refused += 1,
            Err(error) => panic!("{} {question}: {error}", report.name()),
        }
    }
    println!("{answered} answered, {refused} refused");
    assert!(answered > 50, "{answered} answered, {refused} refused");
    let count = format!("SELECT count() FROM {}.hits", storage.database());
    assert_eq!(storage.number(&count, &[]).await.expect("the table is there"), 0);
}
