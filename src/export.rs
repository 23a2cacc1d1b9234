//! An answer of the stats API as CSV, for spreadsheets.
//!
//! In: the JSON of any answer of `/api/v2/`. Out: text as in RFC 4180, UTF-8 with the mark
//! at the beginning by which spreadsheets know it, lines ended by CR LF:
//!
//! ```text
//! visit:source,visitors,total_revenue,total_revenue_currency
//! Yandex,120,1234.5,RUB
//! ```
//!
//! - An answer of `/query` has its dimensions and metrics as columns; revenue has its
//!   currency beside it; with a comparison there are `comparison_X` and `change_X`.
//! - Any other answer has the fields of its rows as columns, texts first; a list becomes
//!   as many columns as its longest has (`returned_0`, `returned_1` …).
//! - A number that does not exist is an empty cell; a number stays one, below zero too.
//!
//! A text that a spreadsheet would take for a formula gets an apostrophe before it: one that
//! begins with a sign of [`FORMULA`], or has such a sign right after something at which
//! another program may split the line.

use serde_json::{Map, Value};

/// How formulas begin, also as full-width letters.
const FORMULA: &[char] = &['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠'];
/// Where a line may be split, depending on who reads it.
const SEPARATORS: &[char] = &[',', ';', '\t', '\r', '\n'];
/// Between a separator and a formula these do not matter.
const SKIPPED: &[char] = &[' ', '"'];
/// By this spreadsheets know UTF-8.
pub(crate) const MARK: char = '\u{feff}';

/// The answer as CSV.
pub fn csv(answer: &Value) -> String {
    let empty = Vec::new();
    let rows = answer["results"].as_array().unwrap_or(&empty);
    let lines = match (&answer["query"]["dimensions"], &answer["query"]["metrics"]) {
        (Value::Array(dimensions), Value::Array(metrics)) => of_query(rows, dimensions, metrics),
        _ => of_fields(rows),
    };
    let mut text = String::from(MARK);
    for line in lines {
        text.push_str(&line.join(","));
        text.push_str("\r\n");
    }
    text
}

fn of_query(rows: &[Value], dimensions: &[Value], metrics: &[Value]) -> Vec<Vec<String>> {
    let name = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let is_compared = rows.iter().any(|row| row["comparison"].is_object());
    let is_revenue = |metric: &Value| name(metric).ends_with("_revenue");
    let mut header: Vec<String> = dimensions.iter().map(cell).collect();
    let mut head = |before: &str, metric: &Value| {
        header.push(cell(&Value::from(format!("{before}{}", name(metric)))));
        if is_revenue(metric) {
            header.push(cell(&Value::from(format!("{before}{}_currency", name(metric)))));
        }
    };
    metrics.iter().for_each(|metric| head("", metric));
    if is_compared {
        metrics.iter().for_each(|metric| head("comparison_", metric));
        header.extend(metrics.iter().map(|metric| cell(&Value::from(format!("change_{}", name(metric))))));
    }
    let numbers = |line: &mut Vec<String>, values: &Value| {
        for (index, metric) in metrics.iter().enumerate() {
            match is_revenue(metric) {
                true => line.extend([cell(&values[index]["value"]), cell(&values[index]["currency"])]),
                false => line.push(cell(&values[index])),
            }
        }
    };
    let mut lines = vec![header];
    for row in rows {
        let mut line: Vec<String> =
            (0..dimensions.len()).map(|index| cell(&row["dimensions"][index])).collect();
        numbers(&mut line, &row["metrics"]);
        if is_compared {
            numbers(&mut line, &row["comparison"]["metrics"]);
            line.extend((0..metrics.len()).map(|index| cell(&row["comparison"]["change"][index])));
        }
        lines.push(line);
    }
    lines
}

fn of_fields(rows: &[Value]) -> Vec<Vec<String>> {
    let fields = || rows.iter().filter_map(Value::as_object).flat_map(Map::iter);
    let mut columns: Vec<&String> = Vec::new();
    for texts in [true, false] {
        for (name, value) in fields() {
            if value.is_string() == texts && !columns.contains(&name) {
                columns.push(name);
            }
        }
    }
    let longest = |name: &String| {
        let lists = rows.iter().filter_map(|row| row[name].as_array());
        lists.map(Vec::len).max()
    };
    let mut lines = vec![Vec::new()];
    lines.extend(rows.iter().map(|_| Vec::new()));
    for name in columns {
        match longest(name) {
            None => {
                lines[0].push(cell(&Value::from(name.as_str())));
                rows.iter().enumerate().for_each(|(row, value)| lines[row + 1].push(cell(&value[name])));
            }
            Some(length) => {
                for index in 0..length {
                    lines[0].push(cell(&Value::from(format!("{name}_{index}"))));
                    let values = rows.iter().enumerate();
                    values.for_each(|(row, value)| lines[row + 1].push(cell(&value[name][index])));
                }
            }
        }
    }
    lines
}

/// One cell, without what a spreadsheet would run.
pub(crate) fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::String(text) => quoted(&guarded(text)),
        Value::Array(_) | Value::Object(_) => quoted(&guarded(&value.to_string())),
    }
}

/// No formula, whoever reads it.
fn guarded(text: &str) -> String {
    let mut guarded = String::with_capacity(text.len() + 1);
    let mut may_begin = true;
    for character in text.chars() {
        if may_begin && FORMULA.contains(&character) {
            guarded.push('\'');
            may_begin = false;
        }
        if SEPARATORS.contains(&character) {
            may_begin = true;
        } else if !SKIPPED.contains(&character) {
            may_begin = false;
        }
        guarded.push(character);
    }
    guarded
}

fn quoted(text: &str) -> String {
    let special = |character: char| character == '"' || SEPARATORS.contains(&character);
    match text.contains(special) || text.starts_with(' ') || text.ends_with(' ') {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(answer: Value, expected: &str) {
        let text = csv(&answer);
        assert!(text.starts_with(MARK), "{text:?}");
        assert_eq!(text.trim_start_matches(MARK).replace("\r\n", "\n"), expected, "{answer}");
    }

    #[test]
    fn an_answer_is_a_table() {
        let query = json!({"dimensions": ["visit:source", "event:props:цена"], "metrics": ["visitors", "total_revenue"]});
        check(
            json!({
                "results": [
                    {"dimensions": ["Yandex", "1, 2"], "metrics": [3, {"value": -2.5, "currency": "RUB"}]},
                    {"dimensions": ["a \"b\"", "x"], "metrics": [null, null]},
                ],
                "query": query,
            }),
            "visit:source,event:props:цена,visitors,total_revenue,total_revenue_currency\n\
             Yandex,\"1, 2\",3,-2.5,RUB\n\
             \"a \"\"b\"\"\",x,,,\n",
        );
        check(
            json!({
                "results": [{
                    "dimensions": [], "metrics": [5],
                    "comparison": {"dimensions": [], "metrics": [4], "change": [25]},
                }],
                "query": {"dimensions": [], "metrics": ["visits"]},
            }),
            "visits,comparison_visits,change_visits\n5,4,25\n",
        );
        check(
            json!({"results": [], "query": {"dimensions": ["event:page"], "metrics": ["visits"]}}),
            "event:page,visits\n",
        );
    }

    #[test]
    fn any_other_answer_has_its_fields_as_columns() {
        check(
            json!({"results": [
                {"week": "2026-01-05", "visitors": 3, "returned": [3, 1]},
                {"week": "2026-01-12", "visitors": 2, "returned": [2]},
            ], "query": {"site_id": "x"}}),
            "week,returned_0,returned_1,visitors\n2026-01-05,3,1,3\n2026-01-12,2,,2\n",
        );
        check(json!({"results": [], "meta": {}}), "\n");
    }

    #[test]
    fn no_text_is_a_formula() {
        for (text, expected) in [
            ("=1+1", "'=1+1"),
            ("+7 495", "'+7 495"),
            ("-5", "'-5"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("\t=1", "\"'\t'=1\""),
            ("\r=1", "\"'\r'=1\""),
            ("  =1", "\"  '=1\""),
            ("＝1", "'＝1"),
            ("a;=cmd|' /C calc'!A0", "\"a;'=cmd|' /C calc'!A0\""),
            ("a\",\"=1", "\"a\"\",\"\"'=1\""),
            ("a=1", "a=1"),
            ("1-2", "1-2"),
        ] {
            assert_eq!(cell(&json!(text)), expected, "{text:?}");
        }
        assert_eq!(cell(&json!(-5)), "-5", "a number stays one");
    }
}
