//! Who asks: bearer token, session cookie, or a shared link ([`super::share`]), and whether the request comes from
//! our own pages.
//!
//! A request that carries an `Authorization` header is judged by it alone. A
//! session cookie counts for a changing request only if the browser says that
//! it comes from our own origin (`Sec-Fetch-Site`, else `Origin`); programs
//! send neither header and are let through, since no browser can be made to
//! leave out both. The cookie is `HttpOnly` and `SameSite=Strict` besides.

use std::net::IpAddr;

use http::header::{self, HeaderMap};
use http::{HeaderValue, Method};

use super::State;
use super::people::{PeopleError, Person};
use super::role::Role;
use super::sessions;
use crate::audit::Actor;

/// The name of the session's cookie; over https with the prefix that binds it
/// to the host.
const COOKIE: &str = "metka_session";
const HOST_COOKIE: &str = "__Host-metka_session";
/// The longest credential looked at, in bytes: ours are 68.
const MAX_CREDENTIAL_BYTES: usize = 256;

/// Who asks.
#[derive(Clone, Debug, PartialEq)]
pub struct Principal {
    /// The login, the token's name, or the link's id.
    pub name: String,
    pub role: Role,
    /// The only site it may ask about; none is all.
    pub site: Option<String>,
    pub by: Credential,
}

/// How they proved it.
#[derive(Clone, Debug, PartialEq)]
pub enum Credential {
    Session {
        /// The cookie's value.
        id: String,
        /// The account has a password; the first owner's has none yet.
        complete: bool,
    },
    /// Its id, which is not secret.
    Token { id: String },
    /// A shared link, with the filters that hold under it.
    Link { id: String, filters: serde_json::Value },
}

// === impl Principal ===

impl Principal {
    fn of_person(person: &Person, id: String) -> Principal {
        Principal {
            name: person.login.clone(),
            role: person.role,
            site: None,
            by: Credential::Session { id, complete: person.password.is_some() },
        }
    }

    /// As the audit trail names them.
    pub fn actor(&self) -> Actor {
        match &self.by {
            Credential::Session { .. } => Actor::Person(self.name.clone()),
            Credential::Token { id } => Actor::Token { id: id.clone(), name: self.name.clone() },
            Credential::Link { .. } => Actor::Visitor,
        }
    }

    pub fn may_see(&self, site: &str) -> bool {
        self.site.as_deref().is_none_or(|only| only == site)
    }
}

/// Who sent a request with these headers; `None` if nobody known.
pub fn authenticate(state: &State, headers: &HeaderMap) -> Result<Option<Principal>, PeopleError> {
    let now = state.now();
    if let Some(value) = headers.get(header::AUTHORIZATION) {
        let Some(secret) = bearer(value) else { return Ok(None) };
        let people = state.people.read()?;
        return Ok(people.token(secret, now).map(|token| Principal {
            name: token.name.clone(),
            role: token.role,
            site: token.site.clone(),
            by: Credential::Token { id: token.id.clone() },
        }));
    }
    let Some(id) = session_id(state, headers) else { return Ok(None) };
    let Some(session) = state.sessions.find(&id, now) else { return Ok(None) };
    let people = state.people.read()?;
    Ok(people
        .person(&session.login)
        .filter(|person| person.stamp == session.stamp)
        .map(|person| Principal::of_person(person, id)))
}

/// Whether a browser could have been made to send this by another site.
pub fn is_cross_site(state: &State, method: &Method, headers: &HeaderMap) -> bool {
    if method.is_safe() {
        return false;
    }
    if let Some(relation) = headers.get("sec-fetch-site") {
        return relation != "same-origin";
    }
    let Some(origin) = headers.get(header::ORIGIN).map(HeaderValue::as_bytes) else { return false };
    let config = state.config.load();
    let host = headers.get(header::HOST).map(HeaderValue::as_bytes).unwrap_or_default();
    let same_host = [&b"http://"[..], b"https://"]
        .iter()
        .any(|scheme| origin.strip_prefix(*scheme).is_some_and(|rest| rest.eq_ignore_ascii_case(host)));
    !same_host && !origin.eq_ignore_ascii_case(config.web.public_url.as_bytes())
}

/// The session id in the request's cookie.
pub fn session_id(state: &State, headers: &HeaderMap) -> Option<String> {
    let name = cookie_name(state);
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(cookie::Cookie::split_parse)
        .flatten()
        .find(|cookie| cookie.name() == name)
        .map(|cookie| cookie.value().to_owned())
        .filter(|value| !value.is_empty() && value.len() <= MAX_CREDENTIAL_BYTES)
}

/// The `Set-Cookie` that begins a session.
pub fn session_cookie(state: &State, id: &str) -> HeaderValue {
    cookie_value(state, id, sessions::ABSOLUTE / 1000)
}

/// The `Set-Cookie` that ends a session.
pub fn ended_cookie(state: &State) -> HeaderValue {
    cookie_value(state, "", 0)
}

fn cookie_value(state: &State, id: &str, max_age_seconds: i64) -> HeaderValue {
    let secure = if is_https(state) { "; Secure" } else { "" };
    let name = cookie_name(state);
    HeaderValue::try_from(format!(
        "{name}={id}; Path=/; Max-Age={max_age_seconds}; HttpOnly; SameSite=Strict{secure}"
    ))
    .expect("names and hex digits fit in a header")
}

/// The name of the cookie that holds the session.
pub fn cookie_name(state: &State) -> &'static str {
    if is_https(state) { HOST_COOKIE } else { COOKIE }
}

/// Whether people reach the address by https.
pub fn is_https(state: &State) -> bool {
    crate::parse::client::is_https(&state.config.load().web.public_url)
}

fn bearer(value: &HeaderValue) -> Option<&str> {
    let (scheme, secret) = value.to_str().ok()?.split_once(' ')?;
    let secret = secret.trim();
    (scheme.eq_ignore_ascii_case("bearer") && secret.len() <= MAX_CREDENTIAL_BYTES).then_some(secret)
}

/// Whether a request was made on this machine and not passed on by a proxy: the
/// peer is loopback, the name asked for is a loopback one (a page elsewhere can
/// point its own name here), and no forwarding header is there.
pub fn is_local(peer: IpAddr, headers: &HeaderMap) -> bool {
    let forwarded =
        ["x-forwarded-for", "forwarded", "x-real-ip", "via"].iter().any(|name| headers.contains_key(*name));
    let host = headers.get(header::HOST).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let name = host.rsplit_once(':').map_or(host, |(name, port)| {
        if port.bytes().all(|byte| byte.is_ascii_digit()) { name } else { host }
    });
    let name = name.trim_start_matches('[').trim_end_matches(']');
    let local_name = name == "localhost" || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    peer.to_canonical().is_loopback() && local_name && !forwarded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_direct_request_from_this_machine_is_local() {
        let check = |peer: &str, pairs: &[(&'static str, &'static str)], expected: bool| {
            let headers: HeaderMap = pairs
                .iter()
                .map(|(name, value)| (header::HeaderName::from_static(name), HeaderValue::from_static(value)))
                .collect();
            let peer = peer.parse().expect("an address");
            assert_eq!(is_local(peer, &headers), expected, "{peer} {pairs:?}");
        };
        check("127.0.0.1", &[("host", "127.0.0.1:8090")], true);
        check("127.0.0.1", &[("host", "localhost")], true);
        check("::1", &[("host", "[::1]:8090")], true);
        check("::ffff:127.0.0.1", &[("host", "localhost:1")], true);
        check("127.0.0.1", &[("host", "rebound.example")], false);
        check("127.0.0.1", &[], false);
        check("127.0.0.1", &[("host", "localhost"), ("x-forwarded-for", "192.0.2.1")], false);
        check("192.0.2.1", &[("host", "localhost")], false);
    }
}
