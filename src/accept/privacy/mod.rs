//! The visitor's own page, in Russian and English, without scripts.
//!
//! | route | what | module |
//! |---|---|---|
//! | `GET /privacy` | what is recorded, the choice, the form of a request, this browser's requests | [`page`] |
//! | `POST /privacy/opt-out`, `/privacy/opt-in` | sets and removes the cookie | [`choose`] |
//! | `GET /privacy/data` | what is kept about this browser | [`data`] |
//! | `GET /privacy/download?format=json\|csv\|html` | a copy of all of it | [`data`] |
//! | `POST /privacy/request` | `kind`, `text`: registers a request, goes on to it | [`request`] |
//! | `GET /privacy/request/2026-0017-CODE` | how far a request has come | [`request`] |
//! | `GET /privacy/style.css` | | |
//!
//! Each takes `s` (the site) and `lang` (`ru`, `en`), which links and forms pass on. Without
//! them the site is the one of the page that links here, or the only one, and the language
//! that of `Accept-Language`.
//!
//! Invariants:
//! - It says only what the product does, field by field as the site collects it.
//! - Whose data it is, is proven by possession of the cookie that this server signed: a
//!   forged, altered or foreign one sees nothing and registers nothing.
//! - Forms are taken from this very page only ([`is_same_origin`]).
//! - A wrong code of a request is answered like a number that there is not.
//! - Whatever asks storage or a disk is done on another runtime ([`crate::visitor`]); this
//!   thread goes on with hits meanwhile.
//!
//! Limits: [`MAX_FORM_BYTES`], those of [`crate::visitor`].

mod data;
mod form;
mod markup;
mod page;
mod request;
mod words;

use std::sync::Arc;

use bytes::Bytes;
use http::header::{HOST, HeaderMap, HeaderName, HeaderValue, LOCATION, ORIGIN, SET_COOKIE, VARY};
use http::request::Parts;
use http::{Method, StatusCode};
use hyper::body::Body;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::answer::{self, Answer};
use super::limits::{RETRY_LIMITED_SECONDS, RETRY_UNAVAILABLE_SECONDS};
use super::route::{Context, Routed};
use super::{Settings, Shared};
use crate::event::Client;
use crate::identify::consent::{OptOut, forget_visitor, opt_out_cookie};
use crate::parse;
use crate::visitor::{Browser, Refusal, VisitorDesk};
pub use form::MAX_FORM_BYTES;
use form::Params;
use markup::View;
pub(crate) use words::hit_kind;

pub const PRIVACY_PATH: &str = "/privacy";
pub const STYLE_PATH: &str = "/privacy/style.css";
pub const OPT_OUT_PATH: &str = "/privacy/opt-out";
pub const OPT_IN_PATH: &str = "/privacy/opt-in";
pub const DATA_PATH: &str = "/privacy/data";
pub const DOWNLOAD_PATH: &str = "/privacy/download";
pub const REQUEST_PATH: &str = "/privacy/request";

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Whose browser it is.
enum Known {
    /// It has no cookie of ours.
    Nobody,
    /// Its cookie is none that this server signed, or not any more.
    Refused,
    Browser(Browser),
}

/// Whether a path is this page's.
pub fn is_here(path: &str) -> bool {
    path.strip_prefix(PRIVACY_PATH).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Answers what [`is_here`].
pub fn route<'a, B>(context: Context<'a>, settings: Arc<Settings>, head: Parts, body: B) -> Routed<'a>
where
    B: Body<Data = Bytes> + Unpin + 'a,
{
    let path = head.uri.path();
    let is_read = matches!(head.method, Method::GET | Method::HEAD);
    // A look is written down: it takes one who reads the answer.
    let is_got = head.method == Method::GET;
    let is_posted = head.method == Method::POST;
    let refuse = |allowed| Routed::Answered(answer::close(answer::method_not_allowed(allowed)));
    match path {
        PRIVACY_PATH if is_read => page::page(context, settings, &head),
        PRIVACY_PATH => refuse("GET, HEAD"),
        STYLE_PATH if is_read => Routed::Answered(answer::css(include_str!("privacy.css"))),
        STYLE_PATH => refuse("GET, HEAD"),
        OPT_OUT_PATH | OPT_IN_PATH if is_posted => {
            if !is_same_origin(&head.headers, &settings.config.collect.public_url) {
                let text = "only the page at /privacy may ask for this\n";
                return Routed::Answered(answer::close(answer::text(StatusCode::FORBIDDEN, text)));
            }
            let out = if path == OPT_OUT_PATH { OptOut::Set } else { OptOut::Remove };
            Routed::Event(Box::pin(async move {
                match form::read(body, context.shared.limits.body_read).await {
                    Ok(params) => choose(&settings, &head.headers, &params, out),
                    Err(unread) => unread_form(&settings, &head.headers, unread),
                }
            }))
        }
        OPT_OUT_PATH | OPT_IN_PATH => refuse("POST"),
        DATA_PATH if is_got => data::kept(context, settings, &head),
        DOWNLOAD_PATH if is_got => data::download(context, settings, &head),
        DATA_PATH | DOWNLOAD_PATH => refuse("GET"),
        REQUEST_PATH if is_posted => request::ask(context, settings, head, body),
        REQUEST_PATH => refuse("POST"),
        _ => match path.strip_prefix(REQUEST_PATH).and_then(|rest| rest.strip_prefix('/')) {
            Some(_) if !is_read => refuse("GET, HEAD"),
            Some(ticket) => request::follow(context, settings, &head, ticket),
            // The body of a request that nobody asked for is not read.
            None => Routed::Answered(answer::close(answer::text(StatusCode::NOT_FOUND, "nothing is here\n"))),
        },
    }
}

/// Sets or removes the opt-out cookie and goes back to the page.
fn choose(settings: &Settings, headers: &HeaderMap, params: &Params, out: OptOut) -> Answer {
    let (cookies, said) = match out {
        OptOut::Set => {
            let cookies = vec![
                opt_out_cookie(out, settings.secure),
                forget_visitor(settings.cookie_name, settings.secure),
            ];
            (cookies, "opted-out")
        }
        OptOut::Remove => (vec![opt_out_cookie(out, settings.secure)], "opted-in"),
    };
    // A form without a field is of a program, or of an older page: it is told nothing more.
    let back = match params.is_empty() {
        true => PRIVACY_PATH.to_owned(),
        false => View::of(settings, headers, params).link(PRIVACY_PATH, &[("said", said)]),
    };
    let mut answer = see_other(&back);
    for cookie in cookies {
        set_cookie(&mut answer, &cookie);
    }
    answer
}

/// Whether the request comes from this address's own pages. Browsers say so in
/// `Origin` with every POST; what says nothing is no browser's form.
fn is_same_origin(headers: &HeaderMap, public_url: &str) -> bool {
    if let Some(fetch_site) = headers.get(SEC_FETCH_SITE)
        && fetch_site != "same-origin"
    {
        return false;
    }
    let Some(origin) = headers.get(ORIGIN).and_then(|value| value.to_str().ok()) else { return false };
    let public = url::Url::parse(public_url).map(|url| url.origin().ascii_serialization());
    let host = headers.get(HOST).and_then(|value| value.to_str().ok());
    public.is_ok_and(|public| public == origin)
        || host.is_some_and(|host| {
            origin.split_once("://").is_some_and(|(scheme, name)| {
                matches!(scheme, "http" | "https") && name.eq_ignore_ascii_case(host)
            })
        })
}

/// What a request's headers say of its sender.
fn client<'a>(context: &Context<'_>, settings: &Settings, headers: &'a HeaderMap) -> Client<'a> {
    parse::client::client(context.peer, headers, &settings.config.collect)
}

/// Whose browser it is on the site of the page. A cookie that is too old is refused here: that
/// an officer may still look for whoever had it ([`crate::subject`]) is another matter.
fn known(shared: &Shared, client: &Client, view: &View) -> Known {
    let (Some(site), Some(cookie)) = (&view.site, client.cookie) else { return Known::Nobody };
    let id = &site.site.id;
    let today = Timestamp::now().to_zoned(TimeZone::UTC).date();
    match shared.keys.read_cookie(cookie, today) {
        Ok(read) => Known::Browser(Browser {
            site: id.clone(),
            hash: shared.keys.cookie_visitor(id, &read.id),
            cookie: cookie.to_owned(),
            address: shared.keys.limiter_key(&[b"visitor's page", &client.ip.prefix()]),
        }),
        Err(_) => {
            shared.cookie_refused();
            Known::Refused
        }
    }
}

fn desk(shared: &Shared) -> Result<&dyn VisitorDesk, Refusal> {
    shared.visitors().ok_or(Refusal::Away)
}

/// A page of the visitor, which nobody on the way keeps for another.
fn shown(status: StatusCode, html: String) -> Answer {
    let mut answer = answer::html(status, html);
    answer.headers_mut().insert(VARY, HeaderValue::from_static("Accept-Language, Cookie"));
    answer
}

/// The page that says why there is no answer.
fn refused(view: &View, refusal: Refusal) -> Answer {
    let (status, retry) = match refusal {
        Refusal::Busy => (StatusCode::SERVICE_UNAVAILABLE, Some(RETRY_UNAVAILABLE_SECONDS)),
        Refusal::Away => (StatusCode::SERVICE_UNAVAILABLE, Some(RETRY_LIMITED_SECONDS)),
        Refusal::Limited => (StatusCode::TOO_MANY_REQUESTS, Some(RETRY_LIMITED_SECONDS)),
        Refusal::Full => (StatusCode::SERVICE_UNAVAILABLE, Some(RETRY_LIMITED_SECONDS)),
        Refusal::TooLong => (StatusCode::UNPROCESSABLE_ENTITY, None),
        Refusal::Nobody => (StatusCode::FORBIDDEN, None),
        Refusal::Failed => (StatusCode::INTERNAL_SERVER_ERROR, None),
    };
    let mut answer = shown(status, view.message(view.words.refusal(refusal)));
    if let Some(seconds) = retry {
        answer::retry_after(&mut answer, seconds);
    }
    answer
}

fn unread_form(settings: &Settings, headers: &HeaderMap, unread: form::Unread) -> Answer {
    let status = match unread {
        form::Unread::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        form::Unread::TooSlow => StatusCode::REQUEST_TIMEOUT,
        form::Unread::Broken => StatusCode::BAD_REQUEST,
    };
    let view = View::of(settings, headers, &Params::default());
    // The body may be unread, so nothing after it can be told apart.
    answer::close(shown(status, view.message(view.words.refused.bad_form)))
}

fn see_other(to: &str) -> Answer {
    let mut answer = answer::text(StatusCode::SEE_OTHER, "");
    if let Ok(value) = HeaderValue::from_str(to) {
        answer.headers_mut().insert(LOCATION, value);
    }
    answer
}

fn set_cookie(answer: &mut Answer, cookie: &str) {
    if let Ok(value) = HeaderValue::from_str(cookie) {
        answer.headers_mut().append(SET_COOKIE, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_address_may_opt_somebody_out() {
        for (origin, host, fetch_site, allowed) in [
            ("https://stats.clinic.example", "x", None, true),
            ("http://127.0.0.1:8080", "127.0.0.1:8080", Some("same-origin"), true),
            ("https://clinic.example", "stats.clinic.example", Some("same-site"), false),
            ("https://stats.clinic.example", "x", Some("cross-site"), false),
            ("https://evil.example", "stats.clinic.example", None, false),
            ("null", "stats.clinic.example", None, false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(ORIGIN, HeaderValue::from_static(origin));
            headers.insert(HOST, HeaderValue::from_static(host));
            if let Some(value) = fetch_site {
                headers.insert(SEC_FETCH_SITE, HeaderValue::from_static(value));
            }
            assert_eq!(is_same_origin(&headers, "https://stats.clinic.example"), allowed, "{origin}");
        }
        assert!(!is_same_origin(&HeaderMap::new(), "https://stats.clinic.example"));
    }

    #[test]
    fn only_what_is_below_the_page_is_here() {
        for (path, expected) in [
            ("/privacy", true),
            ("/privacy/", true),
            ("/privacy/request/2026-0001-A", true),
            ("/privacyx", false),
            ("/", false),
        ] {
            assert_eq!(is_here(path), expected, "{path}");
        }
    }
}
