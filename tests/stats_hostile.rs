//! What a person types never becomes SQL, and nothing they type breaks the server.

#[path = "support/storage.rs"]
mod storage;

use jiff::Timestamp;
use metka::config::Site;
use metka::event::{ConsentState, IdentityKind, Kind};
use metka::query::{Dimension, Metric, Query, QueryError, Visible, compile, parse};
use metka::settings::{Aim, Goal, Segment, Settings};
use metka::store::row::{COLUMNS, HitId, Row};
use metka::store::{Limits, Param, Storage};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};

/// Stands in every text that a "person" types here; no SQL of ours has it.
const MARK: &str = "Qzx";

const NOW: &str = "2026-11-20T10:00:00Z";

/// How many filters go to the engine: in every run, and in a long one.
const FILTERS: [usize; 2] = [1500, 10_000];
/// Stands in each value of the other site's hits.
const FOREIGN: &str = "foreign";

/// Goals of every kind and segments, whose texts are as hostile as what is typed.
fn settings() -> Settings {
    let hostile = |text: &str| format!("{MARK}{text}{MARK}");
    let goal = |id: &str, name: &str, aim: Aim| Goal { id: id.to_owned(), name: hostile(name), aim };
    let segment = |id: &str, filters: Value| Segment {
        id: id.to_owned(),
        name: hostile(id),
        filters,
        by: "somebody".to_owned(),
    };
    let money = Some("RUB".to_owned());
    Settings {
        goals: vec![
            goal("g1", "'; DROP", Aim::Event { value: hostile("' OR 1=1 --"), currency: money }),
            goal("g2", "{p0:String}", Aim::Page { value: hostile("/*\\Q[(**") }),
            goal("g3", "\\", Aim::Scroll { value: hostile("\\E'/**"), percent: 50 }),
            goal("g4", "*/", Aim::AdClick { value: hostile("`") }),
        ],
        segments: vec![
            segment(
                "s1",
                json!([
                    ["is", "event:page", [hostile("'")]],
                    ["has_done", ["contains", "event:goal", ["Q"]]]
                ]),
            ),
            segment(
                "s2",
                json!([[
                    "or",
                    [
                        ["matches_wildcard", "visit:source", [hostile("(**")]],
                        ["is_not", "visit:country", [hostile("\\'")]]
                    ]
                ]]),
            ),
        ],
        ..Settings::default()
    }
}

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
    let operators = [
        "is",
        "is_not",
        "contains",
        "contains_not",
        "matches",
        "matches_not",
        "matches_wildcard",
        "matches_wildcard_not",
    ];
    let names: Vec<String> = Dimension::all()
        .map(|dimension| dimension.name())
        .filter(|name| !name.starts_with("time") && name != "event:goal")
        .collect();
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
    let names: Vec<String> = settings().goals.iter().map(|goal| goal.name.clone()).collect();
    let goal = proptest::sample::select(names).prop_map(|name| json!(["is", "event:goal", [name]]));
    let of_hits = (
        proptest::sample::select(vec!["event:page", "event:name", "event:ad"]),
        proptest::sample::select(vec!["is", "contains_not", "matches_wildcard"]),
        typed(),
    )
        .prop_map(|(name, operator, text)| json!([operator, name, [text]]));
    let done = (any::<bool>(), prop_oneof![goal, of_hits])
        .prop_map(|(done, what)| json!([if done { "has_done" } else { "has_not_done" }, what]));
    let segment = proptest::sample::select(vec!["s1", "s2"]).prop_map(|id| json!(["is", "segment", [id]]));
    let leaf = prop_oneof![8 => leaf, 1 => done, 1 => segment];
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
        any::<[bool; 4]>(),
    )
        .prop_map(|(metrics, dimensions, filters, range, [total, limit, totals, compare])| {
            let mut question = json!({
                "site_id": "clinic", "metrics": metrics, "dimensions": dimensions, "filters": filters,
                "date_range": range, "include": {"total_rows": total, "totals": totals},
            });
            if compare {
                question["include"]["comparisons"] = json!({"mode": "previous_period"});
            }
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
            let Ok(query) = parse(&question, &site(), &settings(), now()) else { return Ok(()) };
            compiled.set(compiled.get() + 1);
            let groups = vec![query.dimensions.iter().map(|_| format!("{MARK}'{MARK}")).collect()];
            let narrow = Query { only: Some(groups), ..query.clone() };
            let statements = [&query, &query.whole(), &narrow].map(|query| {
                let compiled = compile(query, Visible::unblocked("metka"));
                [
                    Some(compiled.rows),
                    compiled.total_rows,
                    compiled.total_visitors,
                    compiled.visitors_before_goals,
                ]
            });
            for statement in statements.into_iter().flatten().flatten() {
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
    assert!(compiled.get() > 3_000, "only {} of the questions were compiled", compiled.get());
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
            let mistakes =
                parse(&value, &site(), &Settings::default(), now()).expect_err("it is no question");
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
                "#/metrics/0: Session metric `bounce_rate` cannot be queried with the event dimension `event:name`",
            ],
        ),
        (
            json!({"site_id": "clinic", "metrics": ["percentage", "conversion_rate", "exit_rate"], "date_range": "7d"}),
            vec![
                "#/metrics/0: Metric `percentage` requires a dimension",
                "#/metrics/1: Metric `conversion_rate` can only be queried with event:goal filters or dimensions",
                "#/metrics/2: Metric `exit_rate` requires the dimension `visit:exit_page`, no other dimensions are allowed",
            ],
        ),
        (
            json!({"site_id": "clinic", "metrics": ["exit_rate"], "date_range": "7d", "dimensions": ["visit:exit_page"],
                "filters": [["not", ["is", "event:page", ["/"]]]]}),
            vec!["#/metrics/0: Metric `exit_rate` cannot be queried when filtering on event dimensions"],
        ),
        (
            json!({"site_id": "clinic", "metrics": ["group_conversion_rate"], "date_range": "7d", "dimensions": ["event:goal"],
                "filters": [["not", ["is", "event:props:a", ["1"]]]]}),
            vec![
                "#/filters/0: With `conversion_rate` or `group_conversion_rate`, event:props can only be filtered at the top level",
            ],
        ),
        (
            json!({"site_id": "clinic", "metrics": ["visitors"], "date_range": "7d", "filters": [
                ["is", "event:goal", ["Signup"]],
                ["is_not", "event:goal", ["Signup"]],
                ["or", [["contains", "event:goal", ["x"]]]],
                ["has_done", ["has_done", ["is", "event:page", ["/"]]]],
                ["has_not_done", ["and", [["is", "visit:source", ["x"]]]]],
                ["has_done", []],
                ["is", "segment", ["s9"]],
                ["is_not", "segment", ["s1"]],
                ["is", "segment", ["nested"]],
                ["is", "segment", ["wrong"]],
                ["is", "visit:source", ["x"], {"case_sensitive": "no"}],
            ], "include": {"comparisons": {"mode": "custom"}}}),
            vec![
                "#/filters/0/2/0: The goal \"Signup\" is not configured for this site",
                "#/filters/1/0: Dimension `event:goal` allows only the operators is and contains",
                "#/filters/1/2/0: The goal \"Signup\" is not configured for this site",
                "#/filters/2/1/0/1: Dimension `event:goal` can only be filtered at the top level",
                "#/filters/3/1: Behavioral filters (has_done, has_not_done) cannot be nested",
                "#/filters/4/1/1/0/1: Behavioral filters (has_done, has_not_done) can only be used with event dimension filters",
                "#/filters/5/1: Invalid filter []",
                "#/filters/6/2/0: The segment \"s9\" does not exist on this site",
                "#/filters/7/0: A segment allows only the operator is",
                "#/filters/8/2/0/filters/0/1: A segment cannot name a segment",
                "#/filters/9/2/0/filters/0/0: Unknown operator \"has\"",
                "#/filters/10/3: Invalid options {\"case_sensitive\":\"no\"}",
                "#/include/comparisons/date_range: Missing",
            ],
        ),
        (
            json!({"site_id": "clinic", "metrics": ["visitors"], "date_range": "all", "filters": [
                ["is", "event:page", (0..1000).map(|n| format!("/{n}/'\\ё{}", "x".repeat(30))).collect::<Vec<_>>()],
            ], "include": {"totals": 1, "comparisons": {"mode": "previous_period"}}}),
            vec![
                "#/filters: 80890 bytes of values, at most 49152 are allowed",
                "#/include/totals: Invalid value 1",
                "#/include/comparisons: Cannot be used with the date_range \"all\"",
            ],
        ),
    ] {
        let segment = |id: &str, filters: Value| Segment {
            id: id.to_owned(),
            name: id.to_owned(),
            filters,
            by: "somebody".to_owned(),
        };
        let settings = Settings {
            segments: vec![
                segment("s1", json!([["is", "event:page", ["/"]]])),
                segment("nested", json!([["is", "segment", ["s1"]]])),
                segment("wrong", json!([["has", "event:page", ["/"]]])),
            ],
            ..Settings::default()
        };
        assert_eq!(
            parse(&question, &site(), &settings, now()).expect_err("it is wrong"),
            expected,
            "{question}"
        );
    }
}

/// Hits of two sites, some on each of the last days.
async fn hits_of_two_sites(storage: &Storage) {
    let mut payload = Vec::new();
    for (batch, site, text) in [(1, "clinic", "own"), (2, "foreign", FOREIGN)] {
        for nth in 0..40_u32 {
            let kind = Kind::ALL[nth as usize % Kind::ALL.len()];
            let row = Row {
                time: now().as_millisecond() - i64::from(nth) * 5 * 3_600_000,
                kind,
                path: text,
                name: text,
                ad: text,
                source: text,
                city: text,
                ..row(site, u64::from(nth / 2) + 1000 * batch)
            };
            row.encode(HitId { batch, row: nth }, &mut payload);
        }
    }
    storage.insert(COLUMNS, "two sites", payload.into()).await.expect("the hits are stored");
}

fn row(site: &str, visitor: u64) -> Row<'_> {
    Row {
        site,
        time: 0,
        kind: Kind::Pageview,
        visitor,
        identity: IdentityKind::Cookieless,
        minted: 0,
        user_key: 0,
        before: 0,
        host: "clinic.example",
        path: "/",
        query: "",
        title: "",
        referrer_host: "",
        referrer_path: "",
        source: "",
        channel: "",
        utm_source: "",
        utm_medium: "",
        utm_campaign: "",
        utm_content: "",
        utm_term: "",
        ip: [0; 16],
        ip_key: 0,
        country: "RU",
        region: "",
        city: "",
        asn: 0,
        network: "",
        browser: "",
        browser_version: "",
        os: "",
        os_version: "",
        device: "",
        bot: "",
        language: "",
        screen: "",
        ad: "",
        name: "",
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

/// Against the real engine each is answered or refused as the person's mistake, no answer
/// knows anything of another site, and the table is as it was.
#[tokio::test]
async fn hostile_questions_are_answered_or_refused_by_the_engine() {
    let storage = storage::fresh().await;
    hits_of_two_sites(&storage).await;
    let settings = settings();
    let mut runner = TestRunner::deterministic();
    let soak = std::env::var_os("METKA_SOAK").is_some_and(|value| value == "1");
    let (mut answered, mut refused, mut slow, mut filters, mut rows) = (0, 0, 0, 0, 0);
    while filters < FILTERS[usize::from(soak)] {
        let mut question = question().new_tree(&mut runner).expect("a question").current();
        filters += question["filters"].as_array().map_or(0, Vec::len);
        if filters % 5 == 0 {
            // Without filters there is something to be seen.
            question["filters"] = json!([]);
        }
        match metka::query::run(&storage, &site(), &settings, &question, now()).await {
            Ok(answer) => {
                answered += 1;
                rows += answer["results"].as_array().map_or(0, Vec::len);
                let shown = answer["results"].to_string() + &answer["meta"].to_string();
                assert!(!shown.contains(FOREIGN), "{question}: {shown}");
            }
            Err(QueryError::Invalid(_)) => refused += 1,
            // On a busy machine; it is told to the person, and is no fault.
            Err(QueryError::TooExpensive) => slow += 1,
            Err(error) => panic!("{question}: {error}"),
        }
    }
    println!(
        "{filters} filters: {answered} questions answered with {rows} rows, {refused} refused, {slow} too slow"
    );
    assert!(answered > filters / 10 && refused > 10 && rows > 100, "{answered} answered, {refused} refused");
    let count = format!("SELECT count() FROM {}.hits", storage.database());
    assert_eq!(storage.number(&count, &[]).await.expect("the table is there"), 80);
}

/// Even SQL of somebody else's would reach nothing outside: questions are read-only, and
/// read-only statements make no tables of functions.
#[tokio::test]
async fn table_functions_are_out_of_reach_of_a_question() {
    let storage = storage::fresh().await;
    for function in [
        "url('http://127.0.0.1:1/', 'CSV', 'a String')",
        "file('/etc/hostname', 'CSV', 'a String')",
        "remote('127.0.0.1', system.one)",
        "s3('http://127.0.0.1:1/bucket/key', 'CSV', 'a String')",
        "executable('a', 'CSV', 'a String')",
        "mysql('127.0.0.1:1', 'a', 'b', 'c', 'd')",
        "sqlite('/etc/hostname', 'a')",
    ] {
        let error = storage
            .json(&format!("SELECT * FROM {function}"), &[], &Limits::default())
            .await
            .expect_err(function)
            .to_string();
        let is_refused = ["readonly", "read-only", "READONLY", "Unknown table function", "ACCESS_DENIED"]
            .iter()
            .any(|reason| error.contains(reason));
        assert!(is_refused, "{function}: {error}");
    }
    for statement in ["INSERT INTO system.one VALUES (1)", "DROP DATABASE default", "SET max_threads = 1"] {
        assert!(storage.json(statement, &[], &Limits::default()).await.is_err(), "{statement}");
    }
}

/// The shape of an answer, to the byte.
#[tokio::test]
async fn an_answer_has_the_shape_of_the_api() {
    let storage = storage::fresh().await;
    let question = json!({
        "site_id": "clinic", "metrics": ["visitors", "bounce_rate"], "date_range": ["2026-11-01", "2026-11-02"],
    });
    let answer = metka::query::run(&storage, &site(), &Settings::default(), &question, now())
        .await
        .expect("an answer");
    assert_eq!(
        answer,
        json!({
            "results": [{"dimensions": [], "metrics": [0, null]}],
            "meta": {},
            "query": {
                "site_id": "clinic", "metrics": ["visitors", "bounce_rate"], "dimensions": [],
                "date_range": ["2026-11-01T00:00:00+03:00", "2026-11-02T23:59:59+03:00"],
                "filters": [], "order_by": [["visitors", "desc"]],
                "include": {
                    "imports": false, "time_labels": false, "total_rows": false, "bots": false,
                    "totals": false, "marketing": false, "comparisons": null,
                },
                "pagination": {"limit": 10_000, "offset": 0},
            },
        })
    );
    let question = json!({
        "site_id": "clinic", "metrics": ["visitors"], "date_range": "all", "dimensions": ["time"],
        "include": {"time_labels": true, "total_rows": true},
    });
    let answer = metka::query::run(&storage, &site(), &Settings::default(), &question, now())
        .await
        .expect("an answer");
    assert_eq!(answer["results"], json!([]));
    assert_eq!(answer["meta"]["total_rows"], 0);
    assert_eq!(answer["meta"]["time_labels"].as_array().map(Vec::len), Some(24));
    assert_eq!(answer["query"]["dimensions"], json!(["time:hour"]));
}
