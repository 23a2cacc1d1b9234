//! Shared links: an address under which anybody sees guarded numbers of one site.
//!
//! ```text
//! GET /share/SECRET          the dashboard's page, whatever SECRET is
//! X-Metka-Link: SECRET       on each call of that page
//! ```
//!
//! - A call that carries the header is judged by it alone: a session or a token beside
//!   it counts for nothing. It is a viewer's, of the link's site, and may call what
//!   [`OPEN`] lists.
//! - The link's own filters are put before those of every question, whatever the
//!   question says; numbers that no filter can narrow are withheld under such a link.
//! - A link is looked for in the settings at each call: one that was removed, or has
//!   expired, is refused from then on.
//! - After [`super::attempts::LINK_BURST`] wrong secrets a source waits.
//!
//! The secret is in the address, so the page sends no referrer and is in no index.

use std::net::IpAddr;

use http::header::HeaderMap;
use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::access::{Credential, Principal};
use super::answer::{self, Answer};
use super::pages;
use super::role::Role;
use super::routes::Asked;
use super::{State, account};
use crate::headers::{Kind, protect};

/// The header that carries a link's secret.
pub const HEADER: &str = "x-metka-link";
/// What may be called under a link.
pub const OPEN: [(Method, &str); 8] = [
    (Method::GET, "/api/v1/sites"),
    (Method::GET, "/api/v1/settings"),
    (Method::GET, LIVE),
    (Method::POST, "/api/v2/query"),
    (Method::POST, MANY),
    (Method::POST, "/api/v2/funnel"),
    (Method::POST, "/api/v2/journeys"),
    (Method::POST, "/api/v2/retention"),
];

/// Has its filters in each of its questions.
const MANY: &str = "/api/v2/queries";
/// Takes no filters.
const LIVE: &str = "/api/v1/live";

/// `/share/SECRET`: the dashboard's page, which asks with the secret.
pub async fn page(asked: Asked) -> Answer {
    let mut answer = pages::dashboard(asked).await;
    if answer.status() == StatusCode::OK || answer.status() == StatusCode::NOT_MODIFIED {
        protect(answer.headers_mut(), Kind::Shared);
    }
    answer
}

/// Who asks under a link; none where the request carries none.
pub fn principal(state: &State, peer: IpAddr, headers: &HeaderMap) -> Result<Option<Principal>, Box<Answer>> {
    let Some(value) = headers.get(HEADER) else { return Ok(None) };
    let source = account::source(state, peer, headers);
    if let Some(wait) = state.attempts.wait_for_link(&source) {
        let text = "too many wrong links, try again later";
        return Err(Box::new(answer::later(StatusCode::TOO_MANY_REQUESTS, wait, text)));
    }
    let found = value.to_str().ok().and_then(|secret| find(state, secret));
    if found.is_none() {
        state.attempts.link_failed(&source);
        return Err(Box::new(answer::unauthorized()));
    }
    Ok(found)
}

/// The link of this secret, among those of all sites.
fn find(state: &State, secret: &str) -> Option<Principal> {
    let config = state.config.load();
    config.sites.iter().find_map(|site| {
        let settings = match state.settings.read(&site.id) {
            Ok(settings) => settings,
            Err(error) => {
                // The links of the other sites go on.
                tracing::error!(%error, site = site.id, "shared links of a site cannot be looked for");
                return None;
            }
        };
        let link = settings.link(secret, state.now())?;
        Some(Principal {
            name: link.id.clone(),
            role: Role::Viewer,
            site: Some(site.id.clone()),
            by: Credential::Link { id: link.id.clone(), filters: link.filters.clone() },
        })
    })
}

/// Whether a route may be called under a link.
pub fn is_open(method: &Method, path: &str) -> bool {
    OPEN.iter().any(|(open, at)| open == method && *at == path)
}

/// What is asked, with the link's own filters in every question of it; or the answer,
/// where there is nothing that may be asked.
pub fn confine(principal: &Principal, path: &str, mut body: Value) -> Result<Value, Box<Answer>> {
    let Credential::Link { filters, .. } = &principal.by else { return Ok(body) };
    let Some(forced) = filters.as_array().filter(|filters| !filters.is_empty()) else { return Ok(body) };
    if path == LIVE {
        let withheld = json!({ "visitors": null, "pages": [], "sources": [] });
        return Err(Box::new(answer::json(StatusCode::OK, &withheld)));
    }
    if body.is_null() {
        return Ok(body);
    }
    if path != MANY {
        force(&mut body, forced)?;
        return Ok(body);
    }
    for question in body.get_mut("queries").and_then(Value::as_array_mut).into_iter().flatten() {
        force(question, forced)?;
    }
    Ok(body)
}

fn force(question: &mut Value, forced: &[Value]) -> Result<(), Box<Answer>> {
    let wrong = |what| Err(Box::new(answer::error(StatusCode::BAD_REQUEST, what)));
    let Some(question) = question.as_object_mut() else { return wrong("expected a question") };
    match question.entry("filters").or_insert_with(|| json!([])) {
        Value::Array(filters) => filters.splice(0..0, forced.iter().cloned()).for_each(drop),
        _ => return wrong("#/filters: expected a list"),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_links_filters_stand_before_those_of_every_question() {
        let forced = json!([["is", "visit:utm_source", ["partner"]]]);
        let principal = |filters: Value| Principal {
            name: "l1".to_owned(),
            role: Role::Viewer,
            site: Some("clinic".to_owned()),
            by: Credential::Link { id: "l1".to_owned(), filters },
        };
        let mine = ["is", "event:page", "/a"];
        let check = |path: &str, body: Value, expected: Option<Value>| {
            let confined = confine(&principal(forced.clone()), path, body.clone());
            assert_eq!(confined.ok(), expected, "{path} {body}");
        };
        let both = json!([forced[0], mine]);
        check("/api/v2/query", json!({"a": 1}), Some(json!({"a": 1, "filters": forced})));
        check("/api/v2/query", json!({"filters": [mine]}), Some(json!({"filters": both})));
        check("/api/v2/funnel", json!({"filters": []}), Some(json!({"filters": forced})));
        check(
            "/api/v2/queries",
            json!({"queries": [{"filters": [mine]}, {}]}),
            Some(json!({"queries": [{"filters": both}, {"filters": forced}]})),
        );
        check("/api/v2/query", json!({"filters": "none"}), None);
        check("/api/v2/query", json!({"filters": null}), None);
        check("/api/v2/query", json!([]), None);
        check("/api/v2/queries", json!({"queries": [[]]}), None);
        check("/api/v1/live", Value::Null, None);
        check("/api/v1/sites", Value::Null, Some(Value::Null));
        // Nothing is forced: nothing changes.
        let body = json!({"filters": "none"});
        assert_eq!(confine(&principal(json!([])), "/api/v2/query", body.clone()).ok(), Some(body));
    }
}
