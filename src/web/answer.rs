//! Answers of the web address. Each begins as [`Kind::Data`]; pages say that they are more.

use std::time::Duration;

use bytes::Bytes;
use data_encoding::BASE64;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Response, StatusCode};
use http_body_util::Full;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::export;
use crate::headers::{Kind, protect, protect_paper};

/// What a handler returns.
pub type Answer = Response<Full<Bytes>>;

/// The text of every 401: whether a key is missing, wrong, expired, or good for
/// another site only is not told.
pub const UNAUTHORIZED: &str =
    "the API key or session is missing or not valid, or it has no access to this site";

/// JSON that nobody caches.
pub fn json(status: StatusCode, value: &Value) -> Answer {
    body(status, "application/json", value.to_string().into())
}

/// `{"error": text}`
pub fn error(status: StatusCode, text: impl std::fmt::Display) -> Answer {
    json(status, &json!({ "error": text.to_string() }))
}

/// The one 401.
pub fn unauthorized() -> Answer {
    let mut answer = error(StatusCode::UNAUTHORIZED, UNAUTHORIZED);
    answer.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    answer
}

/// An error that passes by itself.
pub fn later(status: StatusCode, wait: Duration, text: impl std::fmt::Display) -> Answer {
    let mut answer = error(status, text);
    let seconds = wait.as_secs_f64().ceil().max(1.0) as u64;
    answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    answer
}

/// Nothing to say.
pub fn empty(status: StatusCode) -> Answer {
    let mut answer = Response::new(Full::default());
    *answer.status_mut() = status;
    set(&mut answer, header::CACHE_CONTROL, "no-store");
    protect(answer.headers_mut(), Kind::Data);
    answer
}

/// Text that nobody caches.
pub fn text(status: StatusCode, text: impl Into<Bytes>) -> Answer {
    body(status, "text/plain; charset=utf-8", text.into())
}

/// An answer of the stats API in the form that is asked for: JSON, or with
/// `Accept: text/csv` a table. Errors are JSON either way.
pub fn table_or_json(headers: &HeaderMap, value: &Value) -> Answer {
    match wants_csv(headers) {
        true => csv(export::csv(value)),
        false => json(StatusCode::OK, value),
    }
}

/// Whether CSV is accepted by name, and JSON is not.
fn wants_csv(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let kinds: Vec<String> = accepted
        .flat_map(|line| line.split(','))
        .map(|range| range.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
        .collect();
    let names = |kind: &str| kinds.iter().any(|known| known == kind);
    names("text/csv") && !names("application/json")
}

/// A table to be kept as a file.
pub fn csv(text: String) -> Answer {
    let mut answer = body(StatusCode::OK, "text/csv; charset=utf-8", text.into());
    set(&mut answer, header::CONTENT_DISPOSITION, "attachment; filename=\"metka.csv\"");
    answer
}

/// Bytes that nobody caches.
pub fn body(status: StatusCode, content_type: &'static str, bytes: Bytes) -> Answer {
    let mut answer = empty(status);
    *answer.body_mut() = Full::new(bytes);
    set(&mut answer, header::CONTENT_TYPE, content_type);
    answer
}

/// A page to be printed, whose one style is in it; nothing else of it can do anything.
pub fn paper(html: String) -> Answer {
    let style = style_of(&html).map(|style| BASE64.encode(&Sha256::digest(style.as_bytes())));
    let mut answer = body(StatusCode::OK, "text/html; charset=utf-8", html.into());
    protect_paper(answer.headers_mut(), style.as_deref());
    answer
}

fn style_of(html: &str) -> Option<&str> {
    let (_, after) = html.split_once("<style>")?;
    after.split_once("</style>").map(|(style, _)| style)
}

/// Sets a header to a constant.
pub fn set(answer: &mut Answer, name: HeaderName, value: &'static str) {
    answer.headers_mut().insert(name, HeaderValue::from_static(value));
}
