//! What a person types never becomes SQL, and nothing they type breaks the server.

#[path = "support/storage.rs"]
mod storage;

use jiff::Timestamp;
use metka::config::Site;
use metka::query::{Dimension, Metric, QueryError, Visible, compile, parse};
use metka::store::Param;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};

/// Stands in every text that a "person" types here; no SQL of ours has it.
const MARK: &str = "Qzx";

const NOW: &str = "2026-11-20T10:00:00Z";

fn site() -> Site {
    Site::with_defaults("clinic", &["clinic.example"])
}

fn now() -> Timestamp {
    NOW.parse().expect("an instant")
}

/// Texts that have hurt others, and random ones.
fn typed() -> impl Strategy<Value = String> {
    let classic = prop_oneof![
        Just("' OR 1=1 --"),
        Just("'); DROP TABLE metka.hits; --"),
        Just("\\"),
        Just("\\'"),
        Just("{p0:String}"),
        Just("%00"),
        Just("?"),
        Just("`"),
        Just("\" UNION SELECT * FROM system.tables"),
        Just("\u{202e}"),
        Just("\u{feff}'"),
        Just("(?i)[a-z"),
        Just("(a+)+$"),
        Just("\t\r\n"),
        Just("]"),
        Just("['a']"),
        Just("\u{1}"),
        Just("{site:Identifier}"),
        Just("/*"),
        Just("url('http://127.0.0.1/')"),
        Just("\\N"),
        Just("\\0"),
        Just("NULL"),
    ];
    prop_oneof![classic.prop_map(str::to_owned), any::<String>(), "[\\PC]{0,40}", "[a-z/]{0,8}"]
        .prop_map(|text| format!("{MARK}{}{MARK}", text.replace('\0', "")))
}

fn dimension() -> impl Strategy<Value = String> {
    let names: Vec<String> =
        Dimension::all().map(|dimension| dimension.name()).chain(["time".to_owned()]).collect();
    prop_oneof![
        8 => proptest::sample::select(names),
        1 => typed().prop_map(|key| format!("event:props:{key}")),
    ]
}

fn filter() -> impl Strategy<Value = Value> {
    let operators = ["is", "is_not", "contains", "contains_not", "matches", "matches_not"];
    let names: Vec<String> =
        Dimension::all().map(|dimension| dimension.name()).filter(|name| !name.starts_with("time")).collect();
    let dimension = prop_oneof![
        6 => proptest::sample::select(names),
        1 => typed().prop_map(|key| format!("event:props:{key}")),
    ];
    let leaf = (
        proptest::sample::select(operators.to_vec()),
        dimension,
        proptest::collection::vec(typed(), 1..4),
        proptest::option::of(any::<bool>()),
    )
        .prop_map(|(operator, dimension, values, case)| match case {
            None => json!([operator, dimension, values]),
            Some(sensitive) => json!([operator, dimension, values, {"case_sensitive": sensitive}]),
        });
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 1..3).prop_map(|children| json!(["and", children])),
            proptest::collection::vec(inner.clone(), 1..3).prop_map(|children| json!(["or", children])),
            inner.prop_map(|child| json!(["not", child])),
        ]
    })
}

/// Mostly right questions, so that they are compiled.
fn question() -> impl Strategy<Value = Value> {
    let metrics: Vec<&str> = Metric::ALL.iter().map(|(name, _)| *name).collect();
    (
        proptest::sample::subsequence(metrics, 1..4),
        proptest::collection::vec(dimension(), 0..3),
        proptest::collection::vec(filter(), 0..4),
        prop_oneof![Just("7d"), Just("day"), Just("month"), Just("12mo"), Just("24h")],
        any::<[bool; 2]>(),
    )
        .prop_map(|(metrics, dimensions, filters, range, [total, limit])| {
            let mut question = json!({
                "site_id": "clinic", "metrics": metrics, "dimensions": dimensions, "filters": filters,
                "date_range": range, "include": {"total_rows": total},
            });
            if limit {
                question["pagination"] = json!({"limit": 3, "offset": 1});
            }
            question
        })
}

#[test]
fn ten_thousand_questions_leave_no_typed_text_in_the_sql() {
    let mut runner =
        TestRunner::new(Config { cases: 10_000, failure_persistence: None, ..Config::default() });
    let compiled = std::cell::Cell::new(0);
    runner
        .run(&question(), |question| {
            let Ok(query) = parse(&question, &site(), now()) else { return Ok(()) };
            compiled.set(compiled.get() + 1);
            let statements = compile(&query, Visible::unblocked("metka"));
            let all = [Some(statements.rows), statements.total_rows, statements.total_visitors];
            for statement in all.into_iter().flatten() {
                prop_assert!(!statement.sql.contains(MARK), "{}", statement.sql);
                prop_assert!(statement.sql.is_ascii(), "{}", statement.sql);
                for (name, value) in &statement.params {
                    let kind = match value {
                        Param::Text(_) => "String",
                        Param::Texts(_) => "Array(String)",
                        Param::Number(_) => "Int64",
                        Param::Numbers(_) => "Array(UInt64)",
                    };
                    let placeholder = format!("{{{name}:{kind}}}");
                    prop_assert!(
                        name == "zone" || statement.sql.contains(&placeholder),
                        "{placeholder} is not in {}",
                        statement.sql
                    );
                }
            }
            Ok(())
        })
        .expect("no question leaks");
    assert!(compiled.get() > 5_000, "only {} of the questions were compiled", compiled.get());
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
        let key = prop_oneof![
            proptest::sample::select(vec![
                "site_id",
                "metrics",
                "dimensions",
                "filters",
                "date_range",
                "order_by",
                "include",
                "pagination",
                "limit"
            ])
            .prop_map(str::to_owned),
            typed(),
        ];
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map(key, inner, 0..5).prop_map(|map| json!(map)),
        ]
    });
    let mut runner = TestRunner::new(Config { cases: 4_000, failure_persistence: None, ..Config::default() });
    runner
        .run(&value, |value| {
            let mistakes = parse(&value, &site(), now()).expect_err("it is no question");
            prop_assert!(
                !mistakes.is_empty() && mistakes.iter().all(|line| line.starts_with('#')),
                "{mistakes:?}"
            );
            Ok(())
        })
        .expect("every mistake is named");
}

#[test]
fn mistakes_are_listed_in_the_words_of_the_api() {
    for (question, expected) in [
        (json!(7), vec!["#: Expected an object, got 7"]),
        (json!({}), vec!["#/site_id: Missing", "#/date_range: Missing", "#/metrics: Missing"]),
        (
            json!({"site_id": "clinic", "metrics": ["foo", "visitors", "visitors"], "date_range": "7x", "extra": 1}),
            vec![
                "#/extra: Unknown key",
                "#/date_range: Invalid date range \"7x\"",
                "#/metrics/0: Invalid metric \"foo\"",
                "#/metrics/2: Metric \"visitors\" is repeated",
            ],
        ),
        (
            json!({"site_id": "other", "metrics": ["visitors"], "date_range": "7d", "dimensions": ["visit:foo"],
                "filters": [["is", "time:day", ["x"]], ["has", "event:page", ["x"]], ["is", "event:page", []], "and"],
                "order_by": [["visits", "desc"]], "pagination": {"limit": 0}, "include": {"time_labels": true}}),
            vec![
                "#/site_id: Invalid site_id \"other\"",
                "#/dimensions/0: Invalid dimension \"visit:foo\"",
                "#/filters/0/1: Invalid dimension \"time:day\"",
                "#/filters/1/0: Unknown operator \"has\"",
                "#/filters/2/2: 0 values, 1 to 1000 are allowed",
                "#/filters/3: Invalid filter \"and\"",
                "#/order_by/0: Invalid order_by entry [\"visits\",\"desc\"]",
                "#/include/time_labels: Requires a time dimension",
                "#/pagination/limit: Invalid value 0, 1 to 10000 is allowed",
            ],
        ),
        (
            json!({"site_id": "clinic", "metrics": ["bounce_rate"], "date_range": "7d", "dimensions": ["event:name"]}),
            vec![
                "#/metrics: Session metric `bounce_rate` cannot be queried with the event dimension `event:name`",
            ],
        ),
    ] {
        assert_eq!(parse(&question, &site(), now()).expect_err("it is wrong"), expected, "{question}");
    }
}

/// A few hundred of them against the real engine: each is answered or refused
/// as the person's mistake, and the table is still there.
#[tokio::test]
async fn hostile_questions_are_answered_or_refused_by_the_engine() {
    let storage = storage::fresh().await;
    let mut runner = TestRunner::deterministic();
    let (mut answered, mut refused) = (0, 0);
    for _ in 0..300 {
        let question = question().new_tree(&mut runner).expect("a question").current();
        match metka::query::run(&storage, &site(), &metka::settings::Settings::default(), &question, now()).await {
            Ok(_) => answered += 1,
            Err(QueryError::Invalid(_)) => refused += 1,
            Err(error) => panic!("{question}: {error}"),
        }
    }
    assert!(answered > 150 && refused > 10, "{answered} answered, {refused} refused");
    let count = format!("SELECT count() FROM {}.hits", storage.database());
    assert_eq!(storage.number(&count, &[]).await.expect("the table is there"), 0);
}

/// The shape of an answer, to the byte.
#[tokio::test]
async fn an_answer_has_the_shape_of_the_api() {
    let storage = storage::fresh().await;
    let question = json!({
        "site_id": "clinic", "metrics": ["visitors", "bounce_rate"], "date_range": ["2026-11-01", "2026-11-02"],
    });
    let answer = metka::query::run(&storage, &site(), &metka::settings::Settings::default(), &question, now()).await.expect("an answer");
    assert_eq!(
        answer,
        json!({
            "results": [{"dimensions": [], "metrics": [0, null]}],
            "meta": {},
            "query": {
                "site_id": "clinic", "metrics": ["visitors", "bounce_rate"], "dimensions": [],
                "date_range": ["2026-11-01T00:00:00+03:00", "2026-11-02T23:59:59+03:00"],
                "filters": [], "order_by": [["visitors", "desc"]],
                "include": {"imports": false, "time_labels": false, "total_rows": false, "bots": false},
                "pagination": {"limit": 10_000, "offset": 0},
            },
        })
    );
    let question = json!({
        "site_id": "clinic", "metrics": ["visitors"], "date_range": "all", "dimensions": ["time"],
        "include": {"time_labels": true, "total_rows": true},
    });
    let answer = metka::query::run(&storage, &site(), &metka::settings::Settings::default(), &question, now()).await.expect("an answer");
    assert_eq!(answer["results"], json!([]));
    assert_eq!(answer["meta"]["total_rows"], 0);
    assert_eq!(answer["meta"]["time_labels"].as_array().map(Vec::len), Some(24));
    assert_eq!(answer["query"]["dimensions"], json!(["time:hour"]));
}
