//! `POST /api/v1/case`: the trail of one visitor, for a stated purpose ([`crate::case`]).
//!
//! The body is a [`crate::case::Asked`]; the answer is JSON, a table, or a page to be
//! printed in the language that the browser prefers.

use http::StatusCode;
use http::header::ACCEPT_LANGUAGE;
use serde_json::{Value, json};

use super::answer::{self, Answer};
use super::officer::{of_subject, wrong};
use super::routes::Asked;
use super::schema::Described;
use super::stats;
use crate::case::trail::CELLS;
use crate::case::{self, CaseError, Format, MAX_BASIS_BYTES, MAX_CASE_ROWS, MAX_MINUTES, PURPOSES};
use crate::enrich::client::language;
use crate::policy::Language;

pub async fn open(asked: Asked) -> Answer {
    let read = asked.read::<case::Asked>().and_then(|wanted| {
        asked.site(&wanted.site)?;
        Ok(wanted)
    });
    let mut wanted = match read {
        Ok(wanted) => wanted,
        Err(refused) => return *refused,
    };
    if asked.state.archive().is_none() {
        return stats::not_ready();
    }
    let (format, preferred) = (wanted.format, preferred(&asked));
    wanted.language.get_or_insert(preferred);
    match asked.state.running.case(wanted, asked.principal().actor()).await {
        Ok(file) => match format {
            Format::Json => answer::json(StatusCode::OK, &file.json()),
            Format::Csv => answer::csv(file.text()),
            Format::Html => answer::paper(file.text()),
        },
        Err(CaseError::Subject(error)) => *of_subject(error),
        Err(error) => *wrong(error),
    }
}

/// Russian for whoever prefers it, and where nothing is said.
fn preferred(asked: &Asked) -> Language {
    let header = asked.headers.get(ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
    match header.map(language) {
        Some(language) if !language.as_str().starts_with("ru") => Language::En,
        _ => Language::Ru,
    }
}

/// What the route takes and gives, for `/openapi.json`.
pub(super) fn described() -> Described {
    let text = || json!({ "type": "string" });
    let moment = || json!({ "type": "string", "format": "date-time" });
    let count = || json!({ "type": "integer", "minimum": 0 });
    let object = |required: &[&str], properties: Value| json!({ "type": "object", "required": required, "properties": properties });
    let closed = |required: &[&str], properties: Value| {
        let mut schema = object(required, properties);
        schema["additionalProperties"] = json!(false);
        schema
    };
    let list = |items: Value| json!({ "type": "array", "items": items });
    let address = closed(&["ip", "from", "to"], json!({ "ip": text(), "from": moment(), "to": moment() }));
    let who = json!({ "oneOf": [
        closed(&["cookie"], json!({ "cookie": text() })),
        closed(&["user"], json!({ "user": text() })),
        closed(&["address"], json!({ "address": address })),
        closed(&["request"], json!({ "request": text() })),
    ] });
    let line = |most: usize| json!({ "type": "string", "minLength": 1, "maxLength": most });
    let request = closed(
        &["site", "who", "purpose", "words"],
        json!({
            "site": text(),
            "who": who,
            "from": moment(),
            "to": moment(),
            "purpose": { "enum": PURPOSES },
            "words": line(crate::audit::entry::MAX_WORDS_BYTES),
            "basis": line(MAX_BASIS_BYTES),
            "around": moment(),
            "minutes": { "type": "integer", "minimum": 0, "maximum": MAX_MINUTES },
            "offset": count(),
            "limit": { "type": "integer", "minimum": 1, "maximum": MAX_CASE_ROWS },
            "format": { "enum": ["json", "csv", "html"] },
            "language": { "enum": ["ru", "en"] },
        }),
    );
    let cell = |name: &str| if name == "signed_in" { json!({ "type": "boolean" }) } else { text() };
    let cells: serde_json::Map<_, _> =
        CELLS.iter().map(|(name, _)| ((*name).to_owned(), cell(name))).collect();
    let visit = json!({
        "number": count(), "visitor": count(), "first": moment(), "last": moment(), "hits": count(),
        "events": count(), "is_at": { "type": "boolean" }, "trail": list(json!({ "type": "object", "properties": cells })),
    });
    let or_null = |kind: &str| json!({ "type": [kind, "null"] });
    let summary = json!({
        "hits": count(), "visits": count(), "visitors": count(), "first": or_null("string"),
        "last": or_null("string"), "days": count(), "addresses": count(), "countries": list(text()),
        "devices": list(text()),
    });
    let answer = object(
        &[
            "site", "made", "by", "who", "purpose", "words", "from", "to", "more", "summary", "notes",
            "visits",
        ],
        json!({
            "site": text(), "made": moment(), "by": text(), "who": text(), "purpose": text(), "words": text(),
            "basis": or_null("string"), "from": moment(), "to": moment(), "offset": count(), "limit": count(),
            "more": { "type": "boolean" }, "summary": object(&["hits", "visits"], summary),
            "around": or_null("object"), "visit_at": or_null("object"), "notes": list(text()),
            "visits": list(object(&["number", "trail"], visit)),
        }),
    );
    Described { request, answer, is_table: true, is_page: true }
}
