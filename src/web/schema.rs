//! What the stats routes and case files take and give, as JSON Schema for `/openapi.json`.
//!
//! In: a route. Out: the schemas of its body and of its answer, and the components that they
//! name. Names of metrics and dimensions come from the lists that questions are read by, so
//! that the description cannot fall behind. What a schema cannot say (a goal that does not
//! exist, metrics that do not go with a dimension) is a 400.

use serde_json::{Value, json};

use super::batch::MAX_QUESTIONS;
use crate::addresses::MAX_LIMIT;
use crate::addresses::question::{By, Order};
use crate::audit::Purpose;
use crate::audit::entry::MAX_WORDS_BYTES;
use crate::query::compare::Mode;
use crate::query::names::{Dimension, Metric};

/// What a route takes and gives.
pub struct Described {
    /// The schema of the body; null where there is none.
    pub request: Value,
    pub answer: Value,
    /// Whether the answer is to be had as CSV, too.
    pub is_table: bool,
    /// And as a page to be printed.
    pub is_page: bool,
}

/// The schemas of a route, where it has any.
pub fn of(path: &str) -> Option<Described> {
    let table = |request: Value, answer: Value| Described { request, answer, is_table: true, is_page: false };
    let plain =
        |request: Value, answer: Value| Described { request, answer, is_table: false, is_page: false };
    Some(match path {
        "/api/v2/query" => table(reference("Question"), reference("Answer")),
        "/api/v2/queries" => plain(reference("Batch"), reference("BatchAnswer")),
        "/api/v2/funnel" => table(
            visits_question(json!({
                "funnel": { "type": "string" },
                "steps": { "type": "array", "items": { "type": "string" }, "minItems": 1 },
            })),
            rows_of(json!({
                "goal": text(), "visitors": count(), "dropped": count(), "from_first": number(),
                "from_previous": number(),
            })),
        ),
        "/api/v2/journeys" => table(
            visits_question(json!({
                "from": { "type": ["string", "null"] },
                "limit": { "type": "integer", "minimum": 1 },
            })),
            rows_of(json!({ "from": text(), "to": text(), "visits": count() })),
        ),
        "/api/v2/retention" => table(
            visits_question(json!({})),
            rows_of(json!({
                "week": text(), "visitors": count(), "returned": { "type": "array", "items": count() },
            })),
        ),
        "/api/v1/fraud/check" => plain(
            json!({
                "type": "object",
                "required": ["site_id", "purpose"],
                "additionalProperties": false,
                "properties": {
                    "site_id": text(), "cookie": text(), "user": text(), "ip": text(), "subject": text(),
                    "purpose": { "enum": Purpose::OF_SECURITY.map(Purpose::name) },
                    "words": { "type": "string", "minLength": 1, "maxLength": MAX_WORDS_BYTES },
                },
            }),
            json!({
                "type": "object",
                "required": ["site_id", "by", "known", "score", "threshold", "verdict", "signals", "rules"],
                "properties": {
                    "site_id": text(), "by": { "enum": ["cookie", "user", "ip", "subject"] }, "known": flag(),
                    "score": count(), "threshold": count(),
                    "verdict": { "enum": ["plausible", "review", "unknown"] },
                    "location": { "type": ["object", "null"] }, "seen": { "type": ["object", "null"] },
                    "signals": { "type": "array", "items": { "type": "object" } },
                    "rules": { "type": "array", "items": { "type": "object" } },
                    "memory": { "type": "object" }, "notes": { "type": "array", "items": text() },
                },
            }),
        ),
        "/api/v1/live" => plain(
            Value::Null,
            json!({
                "type": "object",
                "required": ["visitors"],
                "properties": { "visitors": { "type": ["integer", "string"], "minimum": 0 } },
            }),
        ),
        "/api/v1/addresses" => plain(
            json!({
                "type": "object",
                "additionalProperties": false,
                "required": ["site_id", "purpose", "date_range", "by"],
                "properties": {
                    "site_id": text(),
                    "purpose": { "type": "string", "enum": Purpose::OF_SECURITY.map(Purpose::name) },
                    "date_range": reference("DateRange"),
                    "by": { "type": "string", "enum": By::ALL.map(By::name) },
                    "address": { "type": ["string", "null"], "pattern": "^a1-[0-9a-f]{40}$" },
                    "network": { "type": ["string", "null"], "pattern": "^n1-[0-9a-f]{16}$" },
                    "asn": count(),
                    "country": { "type": ["string", "null"], "pattern": "^([A-Z]{2})?$" },
                    "order_by": { "enum": Order::ALL.map(Order::name) },
                    "limit": { "type": "integer", "minimum": 1, "maximum": MAX_LIMIT },
                    "offset": { "type": "integer", "minimum": 0 },
                },
            }),
            json!({
                "type": "object",
                "required": ["site_id", "date_range", "by", "results", "total_rows", "totals", "notes"],
                "properties": {
                    "site_id": text(),
                    "date_range": { "type": "array", "items": text() },
                    "by": text(),
                    "results": { "type": "array", "items": reference("AddressNumbers") },
                    "total_rows": count(),
                    "totals": reference("AddressNumbers"),
                    "notes": { "type": "array", "items": text() },
                },
            }),
        ),
        "/api/v1/addresses/open" => plain(
            json!({
                "type": "object",
                "additionalProperties": false,
                "required": ["site_id", "address", "purpose", "words"],
                "properties": {
                    "site_id": text(),
                    "address": { "type": "string", "pattern": "^a1-[0-9a-f]{40}$" },
                    "purpose": { "type": "string", "enum": Purpose::OF_SECURITY.map(Purpose::name) },
                    "words": { "type": "string", "minLength": 1, "maxLength": MAX_WORDS_BYTES },
                },
            }),
            json!({
                "type": "object",
                "required": ["ip", "country", "region", "city", "asn", "network", "notes"],
                "properties": {
                    "ip": text(), "country": text(), "region": text(), "city": text(), "asn": count(),
                    "network": text(), "notes": { "type": "array", "items": text() },
                },
            }),
        ),
        "/api/v1/sites" => plain(
            Value::Null,
            json!({ "type": "array", "items": {
                "type": "object",
                "required": ["id", "timezone", "hosts"],
                "properties": {
                    "id": text(),
                    "timezone": text(),
                    "hosts": { "type": "array", "items": text() },
                },
            } }),
        ),
        "/api/v1/case" => super::case::described(),
        _ => return None,
    })
}

/// The components that the schemas name.
pub fn components() -> Value {
    let metrics: Vec<&str> = Metric::ALL.iter().map(|(name, _)| *name).collect();
    let modes: Vec<&str> = Mode::ALL.iter().map(|(name, _)| *name).collect();
    let all: Vec<String> = Dimension::all().map(|dimension| dimension.name()).collect();
    let filtered: Vec<&String> = all.iter().filter(|name| !name.starts_with("time")).collect();
    let properties = json!({ "type": "string", "pattern": "^event:props:.+$" });
    let sorted = json!({
        "type": "array",
        "prefixItems": [text(), { "enum": ["asc", "desc"] }],
        "minItems": 2,
        "maxItems": 2,
    });
    json!({
        "Metric": { "type": "string", "enum": metrics },
        "Dimension": { "anyOf": [
            { "type": "string", "enum": all.iter().map(String::as_str).chain(["time"]).collect::<Vec<_>>() },
            properties,
        ] },
        "FilterDimension": { "anyOf": [{ "type": "string", "enum": filtered }, properties] },
        "DateRange": { "anyOf": [
            { "type": "string", "enum": ["day", "24h", "7d", "28d", "30d", "91d", "month", "6mo", "12mo", "year", "all"] },
            { "type": "string", "pattern": "^[1-9][0-9]{0,2}d$" },
            { "type": "string", "pattern": "^[1-9][0-9]?mo$" },
            reference("DatePair"),
        ] },
        "DatePair": {
            "description": "Two days, both inclusive, of the site; or two instants with offset.",
            "type": "array", "minItems": 2, "maxItems": 2,
            "items": { "anyOf": [
                { "type": "string", "format": "date" },
                { "type": "string", "format": "date-time" },
            ] },
        },
        "Filter": { "oneOf": [
            filter(
                &["is", "is_not", "contains", "contains_not", "matches", "matches_not",
                    "matches_wildcard", "matches_wildcard_not"],
                reference("FilterDimension"),
            ),
            filter(&["is"], json!({ "const": "segment" })),
            branch(&["and", "or"], json!({ "type": "array", "items": reference("Filter"), "minItems": 1 })),
            branch(&["not", "has_done", "has_not_done"], reference("Filter")),
        ] },
        "Filters": { "type": "array", "items": reference("Filter") },
        "Comparisons": {
            "type": "object",
            "additionalProperties": false,
            "required": ["mode"],
            "properties": {
                "mode": { "type": "string", "enum": modes },
                "date_range": reference("DatePair"),
                "match_day_of_week": flag(),
            },
        },
        "Include": {
            "type": "object",
            "additionalProperties": false,
            "properties": {
                "imports": flag(), "time_labels": flag(), "total_rows": flag(), "totals": flag(),
                "marketing": flag(),
                "bots": { "type": "boolean", "description": "Needs the role security." },
                "comparisons": { "anyOf": [reference("Comparisons"), { "type": "null" }] },
            },
        },
        "Question": question(&["site_id", "metrics", "date_range"], &sorted),
        "QuestionOfBatch": question(&["metrics", "date_range"], &sorted),
        "Batch": {
            "type": "object",
            "additionalProperties": false,
            "required": ["site_id", "queries"],
            "properties": {
                "site_id": text(),
                "queries": {
                    "type": "array", "minItems": 1, "maxItems": MAX_QUESTIONS,
                    "items": reference("QuestionOfBatch"),
                },
            },
        },
        "Revenue": {
            "type": "object",
            "required": ["value", "currency", "short", "long"],
            "properties": { "value": number(), "currency": text(), "short": text(), "long": text() },
        },
        "Value": {
            "description": "null where there is no such number, or where it is withheld.",
            "anyOf": [{ "type": ["number", "null"] }, reference("Revenue")],
        },
        "Row": {
            "type": "object",
            "required": ["dimensions", "metrics"],
            "properties": {
                "dimensions": { "type": "array", "items": text() },
                "metrics": { "type": "array", "items": reference("Value") },
                "comparison": {
                    "type": "object",
                    "required": ["dimensions", "metrics", "change"],
                    "properties": {
                        "dimensions": { "type": "array", "items": { "type": ["string", "null"] } },
                        "metrics": { "type": "array", "items": reference("Value") },
                        "change": { "type": "array", "items": { "type": ["number", "null"] } },
                    },
                },
            },
        },
        "AddressNumbers": address_numbers(),
        "Meta": {
            "type": "object",
            "properties": {
                "imports_included": { "const": false },
                "imports_skip_reason": { "const": "no_imported_data" },
                "time_labels": { "type": "array", "items": text() },
                "total_rows": count(),
                "totals": { "type": "array", "items": reference("Value") },
                "metric_warnings": { "type": "object", "additionalProperties": {
                    "type": "object",
                    "required": ["code", "warning"],
                    "properties": { "code": text(), "warning": text() },
                } },
                "comparison_date_range": { "type": "array", "items": text() },
                "comparison_time_labels": { "type": "array", "items": text() },
                "comparison_results": { "type": "array", "items": reference("Row") },
                "comparison_totals": { "type": "array", "items": reference("Value") },
                "guard": { "type": "object" },
            },
        },
        "Answer": {
            "type": "object",
            "required": ["results", "meta", "query"],
            "properties": {
                "results": { "type": "array", "items": reference("Row") },
                "meta": reference("Meta"),
                "query": { "type": "object" },
            },
        },
        "BatchAnswer": {
            "type": "object",
            "required": ["answers"],
            "properties": { "answers": { "type": "array", "items": { "oneOf": [
                {
                    "type": "object",
                    "required": ["status", "answer"],
                    "properties": { "status": { "const": 200 }, "answer": reference("Answer") },
                },
                {
                    "type": "object",
                    "required": ["status", "error"],
                    "properties": { "status": { "enum": [400, 403, 422, 500, 503] }, "error": text() },
                },
            ] } } },
        },
    })
}

fn question(required: &[&str], sorted: &Value) -> Value {
    json!({
        "type": "object",
        "additionalProperties": false,
        "required": required,
        "properties": {
            "site_id": text(),
            "metrics": { "type": "array", "items": reference("Metric"), "minItems": 1, "uniqueItems": true },
            "date_range": reference("DateRange"),
            "dimensions": {
                "type": "array", "items": reference("Dimension"), "maxItems": 4, "uniqueItems": true,
            },
            "filters": reference("Filters"),
            "order_by": { "type": "array", "items": sorted, "maxItems": 16 },
            "include": reference("Include"),
            "pagination": {
                "type": "object",
                "additionalProperties": false,
                "properties": {
                    "limit": { "type": "integer", "minimum": 1, "maximum": 10_000 },
                    "offset": { "type": "integer", "minimum": 0, "maximum": 100_000_000 },
                },
            },
        },
    })
}

/// A question about whole visits, with more to say.
fn visits_question(more: Value) -> Value {
    let mut schema = json!({
        "type": "object",
        "required": ["site_id", "date_range"],
        "properties": {
            "site_id": text(),
            "date_range": reference("DateRange"),
            "filters": reference("Filters"),
        },
    });
    if let Value::Object(more) = more {
        for (name, property) in more {
            schema["properties"][name] = property;
        }
    }
    schema
}

fn rows_of(properties: Value) -> Value {
    json!({
        "type": "object",
        "required": ["results", "meta", "query"],
        "properties": {
            "results": { "type": "array", "items": { "type": "object", "properties": properties } },
            "meta": { "type": "object" },
            "query": { "type": "object" },
        },
    })
}

/// `[operator, dimension, [values], {"case_sensitive":false}]`
fn filter(operators: &[&str], dimension: Value) -> Value {
    json!({
        "type": "array",
        "minItems": 3,
        "maxItems": 4,
        "prefixItems": [
            { "enum": operators },
            dimension,
            { "type": "array", "items": { "type": "string", "maxLength": 512 }, "minItems": 1, "maxItems": 20 },
            {
                "type": "object",
                "additionalProperties": false,
                "properties": { "case_sensitive": flag() },
            },
        ],
    })
}

/// `[operator, below]`
fn branch(operators: &[&str], below: Value) -> Value {
    json!({ "type": "array", "minItems": 2, "maxItems": 2, "prefixItems": [{ "enum": operators }, below] })
}

fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

fn text() -> Value {
    json!({ "type": "string" })
}

fn flag() -> Value {
    json!({ "type": "boolean" })
}

fn number() -> Value {
    json!({ "type": ["number", "null"] })
}

fn address_numbers() -> Value {
    json!({
        "description": "Beside these the key of the row: address, network, asn, country or time.",
        "type": "object",
        "required": [
            "hits", "visitors", "refused", "limited", "marked", "errors", "marks", "reasons", "error_names", "first", "last",
        ],
        "properties": {
            "address": { "type": ["string", "null"] },
            "network": { "type": ["string", "null"] },
            "addresses": count(),
            "key_destroyed": flag(),
            "asn": count(), "asn_name": text(), "country": text(), "time": text(),
            "hits": count(), "visitors": count(), "refused": count(), "limited": count(), "marked": count(),
            "errors": count(),
            "marks": counts(),
            "reasons": counts(),
            "error_names": counts(),
            "first": { "type": ["string", "null"], "format": "date-time" },
            "last": { "type": ["string", "null"], "format": "date-time" },
        },
    })
}

fn count() -> Value {
    json!({ "type": ["integer", "null"], "minimum": 0 })
}

fn counts() -> Value {
    json!({ "type": "object", "additionalProperties": count() })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each name that a schema refers to.
    fn references(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(object) => {
                if let Some(Value::String(name)) = object.get("$ref") {
                    found.push(name.clone());
                }
                object.values().for_each(|value| references(value, found));
            }
            Value::Array(items) => items.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }

    #[test]
    fn every_name_that_a_schema_refers_to_is_there() {
        let components = components();
        let mut found = Vec::new();
        references(&components, &mut found);
        for path in [
            "/api/v2/query",
            "/api/v2/queries",
            "/api/v2/funnel",
            "/api/v2/journeys",
            "/api/v2/retention",
            "/api/v1/live",
            "/api/v1/addresses",
            "/api/v1/addresses/open",
            "/api/v1/sites",
            "/api/v1/fraud/check",
            "/api/v1/case",
        ] {
            let described = of(path).expect("it is described");
            references(&described.request, &mut found);
            references(&described.answer, &mut found);
        }
        assert!(found.len() > 20);
        for name in found {
            let name = name.strip_prefix("#/components/schemas/").expect("a component");
            assert!(components[name].is_object(), "{name}");
        }
    }
}
