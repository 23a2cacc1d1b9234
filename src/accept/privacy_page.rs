//! `GET /privacy`: the visitor's own page, in Russian or English by
//! `Accept-Language`: what is recorded, under which policy, whom to ask, and a
//! button that opts out. `POST /privacy/opt-out` and `/privacy/opt-in` set and
//! remove the cookie, only at the wish of this very page.
//!
//! It says only what the product does, field by field as the site collects it.

use http::StatusCode;
use std::sync::Arc;

use http::header::{
    ACCEPT_LANGUAGE, HOST, HeaderMap, HeaderName, HeaderValue, LOCATION, ORIGIN, REFERER, SET_COOKIE, VARY,
};

use super::Settings;
use super::answer::{self, Answer};
use super::privacy_words::{ENGLISH, RUSSIAN, Words};
use super::route::Context;
use crate::config::{Consent, Fields, IpStorage, Site};
use crate::html::escape;
use crate::identify::consent::{OptOut, forget_visitor, opt_out_cookie};
use crate::identify::sites::SiteState;
use crate::parse;

pub const PRIVACY_PATH: &str = "/privacy";
pub const STYLE_PATH: &str = "/privacy/style.css";
pub const OPT_OUT_PATH: &str = "/privacy/opt-out";
pub const OPT_IN_PATH: &str = "/privacy/opt-in";

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// The page. The site is the one named by `s`, the one of the page that links
/// here, or the only one.
pub fn page(context: &Context, settings: &Settings, headers: &HeaderMap, query: &str) -> Answer {
    let client = parse::client::client(context.peer, headers, &settings.config.collect);
    let site = site(settings, headers, query);
    let words = if prefers_russian(headers) { &RUSSIAN } else { &ENGLISH };
    let mut answer = answer::html(StatusCode::OK, render(words, site.as_deref(), client.opted_out));
    let lines = answer.headers_mut();
    lines.insert(VARY, HeaderValue::from_static("Accept-Language, Cookie"));
    answer
}

/// The page's style sheet.
pub fn style() -> Answer {
    answer::css(include_str!("privacy.css"))
}

/// Sets or removes the opt-out cookie and goes back to the page.
pub fn choose(settings: &Settings, headers: &HeaderMap, path: &str) -> Answer {
    if !is_same_origin(headers, &settings.config.collect.public_url) {
        return answer::text(StatusCode::FORBIDDEN, "only the page at /privacy may ask for this\n");
    }
    let mut answer = answer::text(StatusCode::SEE_OTHER, "");
    let lines = answer.headers_mut();
    lines.insert(LOCATION, HeaderValue::from_static(PRIVACY_PATH));
    let cookies = if path == OPT_OUT_PATH {
        vec![
            opt_out_cookie(OptOut::Set, settings.secure),
            forget_visitor(settings.cookie_name, settings.secure),
        ]
    } else {
        vec![opt_out_cookie(OptOut::Remove, settings.secure)]
    };
    for cookie in cookies {
        if let Ok(value) = HeaderValue::from_str(&cookie) {
            lines.append(SET_COOKIE, value);
        }
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

fn site(settings: &Settings, headers: &HeaderMap, query: &str) -> Option<Arc<SiteState>> {
    let named = query.split('&').find_map(|pair| pair.strip_prefix("s="));
    if let Some(site) = named.and_then(|id| settings.sites.get(id)) {
        return Some(site.clone());
    }
    let referer = headers
        .get(REFERER)
        .and_then(|value| value.to_str().ok())
        .and_then(|text| url::Url::parse(text).ok());
    if let Some(host) = referer.as_ref().and_then(url::Url::host_str)
        && let Some(site) = settings.sites.iter().find(|site| site.site.has_host(host))
    {
        return Some(site.clone());
    }
    let mut all = settings.sites.iter();
    all.next().filter(|_| all.next().is_none()).cloned()
}

/// Whether Russian stands before English, or before everything, in the header.
fn prefers_russian(headers: &HeaderMap) -> bool {
    let list = headers.get(ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    list.split(',')
        .map(|range| range.split([';', '-']).next().unwrap_or_default().trim())
        .find(|language| language.eq_ignore_ascii_case("ru") || language.eq_ignore_ascii_case("en"))
        .is_some_and(|language| language.eq_ignore_ascii_case("ru"))
}

fn render(words: &Words, site: Option<&SiteState>, opted_out: bool) -> String {
    let mut html = format!(
        "<!doctype html>\n<html lang=\"{}\">\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<meta name=\"robots\" content=\"noindex\">\n<title>{title}</title>\n<link rel=\"stylesheet\" href=\"{STYLE_PATH}\">\n<main>\n<h1>{title}</h1>\n",
        words.language,
        title = words.title
    );
    if let Some(state) = site {
        describe(&mut html, words, &state.site);
    }
    let (status, action, button) = if opted_out {
        (words.opted_out, OPT_IN_PATH, words.opt_in)
    } else {
        (words.counted, OPT_OUT_PATH, words.opt_out)
    };
    html.push_str(&format!(
        "<p>{status}</p>\n<form method=\"post\" action=\"{action}\"><button>{button}</button></form>\n</main>\n</html>\n"
    ));
    html
}

fn describe(html: &mut String, words: &Words, site: &Site) {
    html.push_str(&format!("<p>{}</p>\n<ul>\n", words.intro));
    for line in recorded(words, site) {
        html.push_str(&format!("<li>{line}</li>\n"));
    }
    html.push_str(&format!("</ul>\n<p>{} {}", words.kept, site.retention.raw_days));
    if site.ip != IpStorage::None {
        html.push_str(&format!("; {} {}", words.days, site.retention.ip_days));
    }
    html.push_str(".</p>\n");
    let is_web = url::Url::parse(&site.policy_url).is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
    if is_web {
        html.push_str(&format!("<p><a href=\"{}\">{}</a></p>\n", escape(&site.policy_url), words.policy));
    }
    for (label, value) in [(words.version, &site.policy_version), (words.contact, &site.contact)] {
        if !value.is_empty() {
            html.push_str(&format!("<p>{label} {}</p>\n", escape(value)));
        }
    }
}

/// What is recorded on the site, a line each.
fn recorded(words: &Words, site: &Site) -> Vec<&'static str> {
    let ip = match site.ip {
        IpStorage::Encrypted => words.ip[0],
        IpStorage::Truncated => words.ip[1],
        IpStorage::None => words.ip[2],
    };
    let consent = match site.consent {
        Consent::Implied => words.consent[0],
        Consent::OptIn => words.consent[1],
        Consent::Cookieless => words.consent[2],
    };
    let mut lines = words.always.to_vec();
    lines.extend([ip, consent, words.without_cookie]);
    if site.user_key_secret_file.is_some() {
        lines.push(words.user_key);
    }
    let mut fields = site.fields;
    for (name, text) in Fields::NAMES.iter().zip(words.fields) {
        if fields.flag(name).is_some_and(|collected| *collected) {
            lines.push(text);
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_in_the_language_that_comes_first() {
        for (header, russian) in [
            ("ru-RU,ru;q=0.9,en;q=0.8", true),
            ("en-US,en;q=0.9,ru;q=0.8", false),
            ("de,ru;q=0.5", true),
            ("de", false),
            ("", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT_LANGUAGE, HeaderValue::from_static(header));
            assert_eq!(prefers_russian(&headers), russian, "{header}");
        }
    }

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
    fn configured_text_is_escaped() {
        assert_eq!(escape("<a href='x'>&\""), "&lt;a href=&#39;x&#39;&gt;&amp;&quot;");
    }
}
