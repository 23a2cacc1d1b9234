//! Pages and files: the dashboard, the demo clinic, health, the API's description.
//!
//! Files are embedded with their packed forms. What vite puts into `assets/`
//! carries a hash in its name and never changes; the rest is revalidated by
//! its entity tag.

use http::StatusCode;
use http::header::{self, HeaderMap, HeaderValue};
use serde_json::{Value, json};

use super::access;
use super::answer::{self, Answer};
use super::routes::{Asked, Needs, ROUTES};
use super::schema;
use crate::assets::{self, Asset};
use crate::headers::{Kind, protect, protect_demo};
use crate::identify::consent::{GPC_PATH, gpc_statement};

const IMMUTABLE: &str = "public, max-age=31536000, immutable";
const REVALIDATE: &str = "no-cache";

/// `/` and `/login`: one page, which asks `/api/v1/session` who is there.
pub async fn dashboard(asked: Asked) -> Answer {
    match assets::find("dashboard/index.html") {
        Some(page) => file(page, &asked.headers, REVALIDATE),
        None => not_built(),
    }
}

pub async fn asset(asked: Asked) -> Answer {
    let path = asked.uri.path();
    let caching = if path.starts_with("/assets/") { IMMUTABLE } else { REVALIDATE };
    match assets::find(&format!("dashboard{path}")) {
        Some(asset) => file(asset, &asked.headers, caching),
        None if assets::find("dashboard/index.html").is_none() => not_built(),
        None => nothing(),
    }
}

/// The demo clinic, with the collector as the one other origin its pages may
/// talk to.
pub async fn demo(asked: Asked) -> Answer {
    if !asked.state.demo {
        return nothing();
    }
    let path = asked.uri.path();
    if path == "/demo" {
        let mut answer = answer::empty(StatusCode::PERMANENT_REDIRECT);
        answer::set(&mut answer, header::LOCATION, "/demo/");
        return answer;
    }
    let (status, asset) = match (demo_file(path), assets::find("demo/404.html")) {
        (Some(asset), _) => (StatusCode::OK, asset),
        (None, Some(page)) => (StatusCode::NOT_FOUND, page),
        (None, None) => return not_built(),
    };
    let collector = asked.state.collector_url();
    let mut answer = if asset.content_type.starts_with("text/html") {
        // The pages name the collector by a placeholder, since its address is a setting.
        let text = String::from_utf8_lossy(asset.plain).replace(COLLECTOR_PLACEHOLDER, &collector);
        answer::body(status, asset.content_type, text.into())
    } else {
        file(asset, &asked.headers, REVALIDATE)
    };
    protect_demo(answer.headers_mut(), &origin(&collector));
    answer
}

/// An address without its path.
fn origin(address: &str) -> String {
    url::Url::parse(address).map_or_else(|_| address.to_owned(), |url| url.origin().ascii_serialization())
}

/// What the demo's pages write where the collector's address belongs.
pub const COLLECTOR_PLACEHOLDER: &str = "{{collector}}";

/// `/demo/x`, `/demo/x.html` and `/demo/x/index.html` alike; the single-page part
/// answers for every path below it, as its script makes them up.
fn demo_file(path: &str) -> Option<&'static Asset> {
    let path = path.trim_start_matches('/');
    assets::find(path)
        .or_else(|| assets::find(&format!("{}/index.html", path.trim_end_matches('/'))))
        .or_else(|| assets::find(&format!("{}.html", path.trim_end_matches('/'))))
        // A single-page section: every address below it is the same page.
        .or_else(|| path.strip_prefix("demo/spa/").and_then(|_| assets::find("demo/spa/index.html")))
}

pub async fn health(asked: Asked) -> Answer {
    let engine = asked.state.running.engine();
    let storage = if asked.state.archive().is_some() { "ready" } else { "not ready" };
    answer::json(StatusCode::OK, &json!({ "status": "ok", "storage": storage, "engine": engine.state }))
}

/// Whether Sec-GPC is respected.
pub async fn gpc(asked: Asked) -> Answer {
    answer::json(StatusCode::OK, &gpc_statement(&asked.state.config.load()))
}

/// What exists, from the route table itself.
pub async fn openapi(asked: Asked) -> Answer {
    answer::json(StatusCode::OK, &description(access::cookie_name(&asked.state)))
}

fn file(asset: &'static Asset, headers: &HeaderMap, caching: &'static str) -> Answer {
    let header =
        |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok()).unwrap_or_default();
    let fresh = header(header::IF_NONE_MATCH)
        .split(',')
        .map(|tag| tag.trim().trim_start_matches("W/"))
        .any(|tag| tag == asset.etag || tag == "*");
    let (bytes, encoding) = asset.negotiate(header(header::ACCEPT_ENCODING));
    let mut answer = if fresh {
        answer::empty(StatusCode::NOT_MODIFIED)
    } else {
        answer::body(StatusCode::OK, asset.content_type, bytes::Bytes::from_static(bytes))
    };
    if let Some(encoding) = encoding.filter(|_| !fresh) {
        answer::set(&mut answer, header::CONTENT_ENCODING, encoding);
    }
    answer::set(&mut answer, header::ETAG, asset.etag);
    answer::set(&mut answer, header::VARY, "accept-encoding");
    answer::set(&mut answer, header::CACHE_CONTROL, caching);
    if asset.content_type.starts_with("text/html") {
        protect(answer.headers_mut(), Kind::Own);
    }
    answer
}

fn not_built() -> Answer {
    answer::text(StatusCode::SERVICE_UNAVAILABLE, assets::NOT_BUILT)
}

fn nothing() -> Answer {
    answer::error(StatusCode::NOT_FOUND, "there is nothing at this path")
}

/// The description of a server whose sessions are in the cookie of this name.
fn description(cookie: &str) -> Value {
    let mut paths = serde_json::Map::new();
    for route in ROUTES {
        let (summary, content, parameter) = described(route.path, route.method.as_str());
        let mut operation = json!({
            "summary": summary,
            "responses": {
                "200": { "description": "done", "content": { content: {} } },
                "default": error("an error, as {\"error\": text}"),
            },
        });
        if route.needs != Needs::Nothing {
            for (status, what) in REFUSALS {
                operation["responses"][status] = error(what);
            }
        }
        match route.needs {
            Needs::Nothing => operation["security"] = json!([]),
            Needs::Session => operation["security"] = json!([{ "session": [] }]),
            Needs::LocalOrRole(role) => {
                operation["security"] = json!([{}, { "token": [] }, { "session": [] }]);
                operation["x-role"] = json!(role.name());
            }
            Needs::Role(role) => {
                operation["security"] = json!([{ "token": [] }, { "session": [] }]);
                operation["x-role"] = json!(role.name());
            }
            Needs::OneOf(roles) => {
                operation["security"] = json!([{ "token": [] }, { "session": [] }]);
                operation["x-roles"] = json!(roles);
            }
        }
        if let Some(name) = parameter {
            operation["parameters"] =
                json!([{ "name": name, "in": "query", "schema": { "type": "string" } }]);
        }
        let (path, rest) = templated(route.path);
        if let Some(name) = rest {
            operation["parameters"] =
                json!([{ "name": name, "in": "path", "required": true, "schema": { "type": "string" } }]);
        }
        if route.method == http::Method::POST {
            operation["requestBody"] = json!({ "required": true, "content": { "application/json": {
                "schema": { "type": "object" } } } });
        }
        if let Some(schemas) = schema::of(route.path) {
            describe(&mut operation, schemas);
        }
        let path = paths.entry(path).or_insert_with(|| json!({}));
        path[route.method.as_str().to_lowercase()] = operation;
    }
    let mut schemas = schema::components();
    schemas["Error"] =
        json!({ "type": "object", "required": ["error"], "properties": { "error": { "type": "string" } } });
    json!({
        "openapi": "3.1.0",
        "info": { "title": "Metka", "version": env!("CARGO_PKG_VERSION"), "license": { "name": "Apache-2.0 OR MIT" } },
        "paths": paths,
        "components": {
            "securitySchemes": {
                "token": { "type": "http", "scheme": "bearer" },
                "session": { "type": "apiKey", "in": "cookie", "name": cookie },
            },
            "schemas": schemas,
        },
    })
}

/// A route's path as OpenAPI writes it, and what it calls what stands in the place of the `*`.
fn templated(path: &str) -> (String, Option<&'static str>) {
    let Some(beginning) = path.strip_suffix('*') else { return (path.to_owned(), None) };
    let name = match path {
        "/api/v1/requests/*" | "/api/v1/incidents/*" => "number",
        _ => "name",
    };
    (format!("{beginning}{{{name}}}"), Some(name))
}

/// What any route that needs somebody may answer.
const REFUSALS: [(&str, &str); 7] = [
    ("400", "the question is wrong: a line for each mistake, beginning with its place"),
    ("401", "nobody who is known, or no access to this site"),
    ("403", "not with this role"),
    ("413", "the body is too long"),
    ("415", "the body is not JSON"),
    ("422", "the question needs more time, memory or rows than it may"),
    ("503", "storage is away, or there are too many questions at once"),
];

fn error(what: &str) -> Value {
    json!({ "description": what, "content": { "application/json": {
        "schema": { "$ref": "#/components/schemas/Error" } } } })
}

/// Adds what a route of the stats API takes and gives.
fn describe(operation: &mut Value, schemas: schema::Described) {
    let schema::Described { request, answer, is_table, is_page } = schemas;
    let mut content = json!({ "application/json": { "schema": answer } });
    if is_table {
        content["text/csv"] = json!({ "schema": { "type": "string" } });
    }
    if is_page {
        content["text/html"] = json!({ "schema": { "type": "string" } });
    }
    operation["responses"]["200"]["content"] = content;
    if !request.is_null() {
        operation["requestBody"]["content"]["application/json"]["schema"] = request;
    }
    if let Some(parameter) = operation.get_mut("parameters").and_then(|all| all.get_mut(0)) {
        parameter["required"] = json!(true);
    }
}

fn described(path: &str, method: &str) -> (&'static str, &'static str, Option<&'static str>) {
    let json = "application/json";
    match (method, path) {
        (_, "/" | "/login") => ("The dashboard", "text/html", None),
        (_, "/health") => ("Whether the server runs", json, None),
        (_, GPC_PATH) => ("Whether Global Privacy Control is respected", json, None),
        (_, "/openapi.json") => ("This description", json, None),
        (_, "/metrics") => ("Numbers for Prometheus", "application/openmetrics-text", None),
        (_, "/debug/hit") => ("What the collector sees of the own browser", json, Some("site_id")),
        (_, "/api/v2/query") => ("A stats question", json, None),
        (_, "/api/v2/queries") => ("Several stats questions about one site", json, None),
        (_, "/api/v1/sites") => ("The sites that the asker may see", json, None),
        ("GET", "/api/v1/settings") => {
            ("Goals, funnels, segments, notes, shared links and reports of a site", json, Some("site_id"))
        }
        (_, "/api/v1/settings") => ("Puts one of them there, or removes it", json, None),
        ("GET", "/api/v1/people") => ("Who may sign in, and the tokens of programs", json, None),
        (_, "/api/v1/people") => ("Adds, changes or removes a person or a token", json, None),
        (_, "/api/v1/live") => ("Who is there now, by page and by source", json, Some("site_id")),
        (_, "/api/v2/funnel") => ("How many reach each step of a funnel", json, None),
        (_, "/api/v2/journeys") => ("From which page people go on to which", json, None),
        (_, "/api/v2/retention") => ("How many new visitors return how many weeks later", json, None),
        (_, "/api/v1/refusals") => {
            ("Refused hits by hour and reason, without addresses", json, Some("site_id"))
        }
        (_, "/api/v1/addresses") => {
            ("Statistics of visitors' addresses, by tokens, for a purpose", json, None)
        }
        (_, "/api/v1/addresses/open") => ("Opens one address, for a purpose", json, None),
        ("GET", "/api/v1/requests") => {
            ("Requests of people, with their terms, and what needs attention", json, Some("site_id"))
        }
        (_, "/api/v1/requests") => ("Registers a request", json, None),
        ("GET", "/api/v1/requests/*") => ("A request with its history", json, None),
        (_, "/api/v1/requests/*") => {
            ("Extends or closes a request, or notes that the processing has stopped", json, None)
        }
        (_, "/api/v1/acts/*") => ("An act of destruction, to be printed", "text/html", None),
        (_, "/api/v1/fraud/alerts") => {
            ("Visitors over the threshold, as they come: ask after the last number", json, Some("site_id"))
        }
        (_, "/api/v1/fraud/check") => ("Whether a visitor is plausible, and why", json, None),
        (_, "/api/v1/subjects") => ("Does something about one person's data", json, None),
        (_, "/api/v1/case") => ("The trail of one visitor, for a stated purpose", json, None),
        (_, "/api/v1/audit") => ("Entries of the audit trail", json, Some("site_id")),
        (_, "/api/v1/audit/verify") => ("Proves the audit trail, and gives its anchor", json, None),
        ("GET", "/api/v1/retention") => ("The last report of retention", json, None),
        (_, "/api/v1/retention") => ("Runs retention, or counts what it would remove", json, None),
        ("GET", "/api/v1/disclosures") => ("What was disclosed to whom", json, Some("site_id")),
        (_, "/api/v1/disclosures") => ("Makes a disclosure and records it", json, None),
        ("GET", "/api/v1/incidents") => ("Incidents with their clocks", json, Some("site_id")),
        (_, "/api/v1/incidents") => ("Registers an incident", json, None),
        ("GET", "/api/v1/incidents/*") => ("An incident with its clocks", json, None),
        (_, "/api/v1/incidents/*") => ("Changes an incident, or compares user keys with it", json, None),
        (_, "/api/v1/policy") => ("The policy's clauses with live evidence", json, Some("site_id")),
        ("GET", "/api/v1/session") => ("Who is signed in", json, None),
        ("POST", "/api/v1/session") => {
            ("Signs in with login and password, or with the first code", json, None)
        }
        ("DELETE", "/api/v1/session") => ("Signs out", json, None),
        (_, "/api/v1/account/totp") => ("Offers the own account a second factor", json, None),
        (_, "/api/v1/account/totp/confirm") => ("Puts the second factor into force", json, None),
        (_, "/api/v1/account/totp/remove") => ("Ends the second factor", json, None),
        (_, "/share/*") => ("The dashboard under a shared link", "text/html", None),
        (_, "/officer") => ("The officer's page", "text/html", None),
        (_, "/security") => ("The security page", "text/html", None),
        (_, "/settings") => ("The settings of a site", "text/html", None),
        (_, "/people") => ("People and tokens", "text/html", None),
        (_, "/api/v1/account") => ("Gives the own account a login and a password", json, None),
        _ => ("A file", "application/octet-stream", None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_description_names_every_route_and_its_role() {
        let description = description("a_session");
        assert_eq!(description["components"]["securitySchemes"]["session"]["name"], "a_session");
        for route in ROUTES {
            let (path, rest) = templated(route.path);
            assert!(!path.contains('*'), "{path}");
            let operation = &description["paths"][&path][route.method.as_str().to_lowercase()];
            assert!(operation.is_object(), "{} {path}", route.method);
            // What the path leaves open is a parameter of it, and nothing else is.
            let parameters = operation["parameters"].as_array().into_iter().flatten();
            let in_path: Vec<&Value> = parameters.filter(|one| one["in"] == "path").collect();
            match rest {
                None => assert!(in_path.is_empty() && !path.contains('{'), "{path}"),
                Some(name) => {
                    assert!(path.ends_with(&format!("/{{{name}}}")), "{path}");
                    assert_eq!(in_path.len(), 1, "{path}");
                    assert_eq!((&in_path[0]["name"], &in_path[0]["required"]), (&json!(name), &json!(true)));
                }
            }
            if let Needs::Role(role) = route.needs {
                assert_eq!(operation["x-role"], role.name(), "{}", route.path);
            }
        }
    }
}
