//! The routes of the web address, as one table: path, method, who may, handler.
//!
//! A request meets, in this order: its path (404), its method (405), the
//! cross-site check (403), who asks (401), their role (403), the body's type
//! and size (415, 413), the filters of a shared link ([`super::share`]), and then the
//! handler. Tests walk the same table.

use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderValue};
use http::{Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Body, Incoming};
use serde_json::Value;

use super::access::{self, Credential, Principal};
use super::answer::{self, Answer};
use super::role::Role;
use super::{
    State, account, addresses, batch, case, debug, fraud, metrics, officer, pages, refusals, second_factor,
    settings, share, staff, stats,
};
use crate::accept::event::is_packed;
use crate::accept::route::is_framed_oddly;
use crate::headers;

/// The longest body, in bytes: a question with a thousand filter values.
pub const MAX_BODY_BYTES: usize = 64 << 10;
/// How long a body may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// Who may use a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Everybody.
    Nothing,
    /// A token or a session of this role.
    Role(Role),
    /// A token or a session of any of these roles.
    OneOf(&'static [Role]),
    /// A session: a person, not a program.
    Session,
    /// A request made on this machine, or any role.
    LocalOrRole(Role),
}

/// One route.
pub struct Route {
    pub method: Method,
    /// Ends with `*` where everything below it is meant.
    pub path: &'static str,
    pub needs: Needs,
    handler: fn(Asked) -> Handling,
}

type Handling = Pin<Box<dyn Future<Output = Answer> + Send>>;

/// A request that may be answered.
pub struct Asked {
    pub state: Arc<State>,
    pub peer: IpAddr,
    pub uri: Uri,
    pub headers: HeaderMap,
    /// Who asks; none only where the route needs nothing.
    pub principal: Option<Principal>,
    /// The body as JSON; null where the request has none.
    pub body: Value,
}

macro_rules! route {
    ($method:ident $path:literal $needs:expr, $handler:path) => {
        Route {
            method: Method::$method,
            path: $path,
            needs: $needs,
            handler: |asked| Box::pin($handler(asked)),
        }
    };
}

/// Every route. Exact paths come before those with `*`.
pub static ROUTES: &[Route] = &[
    route!(GET "/" Needs::Nothing, pages::dashboard),
    route!(GET "/login" Needs::Nothing, pages::dashboard),
    route!(GET "/officer" Needs::Nothing, pages::dashboard),
    route!(GET "/security" Needs::Nothing, pages::dashboard),
    route!(GET "/share/*" Needs::Nothing, share::page),
    route!(GET "/settings" Needs::Nothing, pages::dashboard),
    route!(GET "/people" Needs::Nothing, pages::dashboard),
    route!(GET "/assets/*" Needs::Nothing, pages::asset),
    route!(GET "/favicon.ico" Needs::Nothing, pages::asset),
    route!(GET "/favicon.svg" Needs::Nothing, pages::asset),
    route!(GET "/demo" Needs::Nothing, pages::demo),
    route!(GET "/demo/*" Needs::Nothing, pages::demo),
    route!(GET "/health" Needs::Nothing, pages::health),
    route!(GET "/.well-known/gpc.json" Needs::Nothing, pages::gpc),
    route!(GET "/openapi.json" Needs::Nothing, pages::openapi),
    route!(GET "/metrics" Needs::LocalOrRole(Role::Viewer), metrics::scrape),
    route!(GET "/debug/hit" Needs::Role(Role::Viewer), debug::hit),
    route!(POST "/api/v2/query" Needs::Role(Role::Viewer), stats::query),
    route!(POST "/api/v2/queries" Needs::Role(Role::Viewer), batch::queries),
    route!(GET "/api/v1/sites" Needs::Role(Role::Viewer), stats::sites),
    route!(GET "/api/v1/live" Needs::Role(Role::Viewer), stats::live),
    route!(GET "/api/v1/settings" Needs::Role(Role::Viewer), settings::read),
    route!(POST "/api/v1/settings" Needs::Role(Role::Viewer), settings::change),
    route!(POST "/api/v2/funnel" Needs::Role(Role::Viewer), stats::funnel),
    route!(POST "/api/v2/journeys" Needs::Role(Role::Viewer), stats::journeys),
    route!(POST "/api/v2/retention" Needs::Role(Role::Viewer), stats::retention),
    route!(GET "/api/v1/refusals" Needs::OneOf(&[Role::Security, Role::Officer]), refusals::refusals),
    route!(GET "/api/v1/fraud/alerts" Needs::Role(Role::Security), fraud::alerts),
    route!(POST "/api/v1/fraud/check" Needs::Role(Role::Security), fraud::check),
    route!(POST "/api/v1/addresses" Needs::Role(Role::Security), addresses::ask),
    route!(POST "/api/v1/addresses/open" Needs::Role(Role::Security), addresses::open),
    route!(POST "/api/v1/case" Needs::Role(Role::Security), case::open),
    route!(GET "/api/v1/requests" Needs::Role(Role::Officer), officer::requests::list),
    route!(POST "/api/v1/requests" Needs::Role(Role::Officer), officer::requests::receive),
    route!(GET "/api/v1/requests/*" Needs::Role(Role::Officer), officer::requests::show),
    route!(POST "/api/v1/requests/*" Needs::Role(Role::Officer), officer::requests::change),
    route!(POST "/api/v1/subjects" Needs::Role(Role::Officer), officer::subjects::job),
    route!(GET "/api/v1/acts/*" Needs::Role(Role::Officer), officer::subjects::act),
    route!(GET "/api/v1/audit" Needs::Role(Role::Officer), officer::trail::list),
    route!(GET "/api/v1/audit/verify" Needs::Role(Role::Officer), officer::trail::verify),
    route!(GET "/api/v1/retention" Needs::Role(Role::Officer), officer::retention::last),
    route!(POST "/api/v1/retention" Needs::Role(Role::Officer), officer::retention::run),
    route!(GET "/api/v1/disclosures" Needs::Role(Role::Officer), officer::disclosures::list),
    route!(POST "/api/v1/disclosures" Needs::Role(Role::Officer), officer::disclosures::make),
    route!(GET "/api/v1/incidents" Needs::Role(Role::Officer), officer::incidents::list),
    route!(POST "/api/v1/incidents" Needs::Role(Role::Officer), officer::incidents::report),
    route!(GET "/api/v1/incidents/*" Needs::Role(Role::Officer), officer::incidents::show),
    route!(POST "/api/v1/incidents/*" Needs::Role(Role::Officer), officer::incidents::change),
    route!(GET "/api/v1/policy" Needs::Role(Role::Officer), officer::policy::table),
    route!(GET "/api/v1/people" Needs::Role(Role::Owner), staff::list),
    route!(POST "/api/v1/people" Needs::Role(Role::Owner), staff::change),
    route!(GET "/api/v1/session" Needs::Session, account::who),
    route!(POST "/api/v1/session" Needs::Nothing, account::sign_in),
    route!(DELETE "/api/v1/session" Needs::Nothing, account::sign_out),
    route!(POST "/api/v1/account" Needs::Session, account::change),
    route!(POST "/api/v1/account/totp" Needs::Session, second_factor::offer),
    route!(POST "/api/v1/account/totp/confirm" Needs::Session, second_factor::confirm),
    route!(POST "/api/v1/account/totp/remove" Needs::Session, second_factor::remove),
];

/// Answers one request.
pub async fn answer(state: Arc<State>, peer: IpAddr, request: Request<Incoming>) -> Answer {
    let secure = access::is_https(&state);
    let mut answer = route(state, peer, request).await;
    if secure {
        headers::secure(answer.headers_mut());
    }
    answer
}

async fn route(state: Arc<State>, peer: IpAddr, request: Request<Incoming>) -> Answer {
    let (parts, body) = request.into_parts();
    if !body.is_end_stream() && is_framed_oddly(&parts.headers) {
        let mut refused = answer::error(StatusCode::BAD_REQUEST, "a body is chunked once, or not");
        answer::set(&mut refused, header::CONNECTION, "close");
        return refused;
    }
    let path = parts.uri.path();
    let at_path = || ROUTES.iter().filter(|route| route.matches(path));
    let Some(route) = at_path().find(|route| route.takes(&parts.method)) else {
        return match at_path().next() {
            None => answer::error(StatusCode::NOT_FOUND, "there is nothing at this path"),
            Some(_) => wrong_method(at_path()),
        };
    };
    if access::is_cross_site(&state, &parts.method, &parts.headers) {
        return answer::error(StatusCode::FORBIDDEN, "the request comes from another site");
    }
    let principal = match admit(&state, peer, &parts.headers, route) {
        Ok(principal) => principal,
        Err(refused) => return *refused,
    };
    let body = if parts.method == Method::POST {
        match read_json(&parts.headers, body).await {
            Ok(value) => value,
            Err(refused) => return *refused,
        }
    } else {
        Value::Null
    };
    let body = match &principal {
        Some(principal) => match share::confine(principal, route.path, body) {
            Ok(body) => body,
            Err(answer) => return *answer,
        },
        None => body,
    };
    let asked = Asked { state, peer, uri: parts.uri, headers: parts.headers, principal, body };
    (route.handler)(asked).await
}

fn admit(
    state: &State,
    peer: IpAddr,
    headers: &HeaderMap,
    route: &Route,
) -> Result<Option<Principal>, Box<Answer>> {
    if route.needs == Needs::Nothing {
        return Ok(None);
    }
    // Whatever else stands beside it.
    if let Some(principal) = share::principal(state, peer, headers)? {
        return match share::is_open(&route.method, route.path) {
            true => Ok(Some(principal)),
            false => refuse(StatusCode::FORBIDDEN, "a shared link does not open this"),
        };
    }
    let roles: &[Role] = match &route.needs {
        Needs::Nothing => &[],
        Needs::LocalOrRole(_) if access::is_local(peer, headers) => return Ok(None),
        Needs::Session => &[],
        Needs::LocalOrRole(role) | Needs::Role(role) => std::slice::from_ref(role),
        Needs::OneOf(roles) => roles,
    };
    let principal = match access::authenticate(state, headers) {
        Ok(Some(principal)) => principal,
        Ok(None) => return Err(Box::new(answer::unauthorized())),
        Err(error) => {
            tracing::error!(%error, "people could not be read");
            return refuse(StatusCode::INTERNAL_SERVER_ERROR, "the list of people cannot be read");
        }
    };
    match (roles, &principal.by) {
        ([], Credential::Session { .. }) => Ok(Some(principal)),
        ([], _) => refuse(StatusCode::FORBIDDEN, "this needs a signed-in person"),
        (roles, _) if roles.iter().any(|role| principal.role.includes(*role)) => Ok(Some(principal)),
        (roles, _) => {
            let names: Vec<&str> = roles.iter().map(|role| role.name()).collect();
            refuse(StatusCode::FORBIDDEN, format_args!("this needs the role {}", names.join(" or ")))
        }
    }
}

/// JSON only: a form of another site cannot send that type without asking first.
async fn read_json(headers: &HeaderMap, body: Incoming) -> Result<Value, Box<Answer>> {
    if is_packed(headers) {
        return refuse(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "a body with Content-Encoding is not unpacked: send it as it is",
        );
    }
    let content_type =
        headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    if !essence.eq_ignore_ascii_case("application/json") {
        return refuse(StatusCode::UNSUPPORTED_MEDIA_TYPE, "the content type must be application/json");
    }
    let bytes = match tokio::time::timeout(BODY_TIMEOUT, Limited::new(body, MAX_BODY_BYTES).collect()).await {
        Ok(Ok(collected)) => collected.to_bytes(),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            return refuse(
                StatusCode::PAYLOAD_TOO_LARGE,
                format_args!("the body is longer than {MAX_BODY_BYTES} bytes"),
            );
        }
        Ok(Err(_)) => return refuse(StatusCode::BAD_REQUEST, "the body could not be read"),
        Err(_) => return refuse(StatusCode::REQUEST_TIMEOUT, "the body took too long"),
    };
    parse_json(&bytes)
}

fn parse_json(bytes: &Bytes) -> Result<Value, Box<Answer>> {
    serde_json::from_slice(bytes)
        .or_else(|error| refuse(StatusCode::BAD_REQUEST, format_args!("the body is not JSON: {error}")))
}

/// Ends a request. Boxed: an answer is large beside what is returned otherwise.
fn refuse<T>(status: StatusCode, text: impl std::fmt::Display) -> Result<T, Box<Answer>> {
    Err(Box::new(answer::error(status, text)))
}

fn wrong_method<'a>(routes: impl Iterator<Item = &'a Route>) -> Answer {
    let mut allowed: Vec<&str> = routes.map(|route| route.method.as_str()).collect();
    if allowed.contains(&"GET") {
        allowed.push("HEAD");
    }
    let allowed = allowed.join(", ");
    let mut answer =
        answer::error(StatusCode::METHOD_NOT_ALLOWED, format_args!("this path takes {allowed} only"));
    if let Ok(value) = HeaderValue::try_from(allowed) {
        answer.headers_mut().insert(header::ALLOW, value);
    }
    answer
}

// === impl Route ===

impl Route {
    fn matches(&self, path: &str) -> bool {
        match self.path.strip_suffix('*') {
            Some(prefix) => path.starts_with(prefix),
            None => path == self.path,
        }
    }

    /// A route for GET answers HEAD too; hyper leaves out the body.
    fn takes(&self, method: &Method) -> bool {
        self.method == *method || (self.method == Method::GET && *method == Method::HEAD)
    }
}

// === impl Asked ===

impl Asked {
    /// Who asks, on a route that needs somebody.
    pub fn principal(&self) -> &Principal {
        self.principal.as_ref().expect("the route's table entry needs somebody")
    }

    /// What stands in the place of the `*` of the route's path `beginning*`.
    pub fn rest(&self, beginning: &str) -> &str {
        self.uri.path().strip_prefix(beginning).unwrap_or_default()
    }

    /// A parameter of the address.
    pub fn parameter(&self, name: &str) -> Option<String> {
        let query = self.uri.query()?;
        url::form_urlencoded::parse(query.as_bytes())
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.into_owned())
    }
}
