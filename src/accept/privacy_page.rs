//! `GET /privacy`: the visitor's own page, in Russian or English by
//! `Accept-Language`: what is recorded, under which policy, whom to ask, and a
//! button that opts out. `POST /privacy/opt-out` and `/privacy/opt-in` set and
//! remove the cookie, only at the wish of this very page.
//!
//! It says only what the product does, field by field as the site collects it.

use http::header::{
    ACCEPT_LANGUAGE, CONTENT_SECURITY_POLICY, HOST, HeaderMap, HeaderName, HeaderValue, LOCATION, ORIGIN, REFERER,
    REFERRER_POLICY, SET_COOKIE, VARY,
};
use http::StatusCode;

use super::Settings;
use super::answer::{self, Answer};
use super::route::Context;
use crate::config::{Consent, IpStorage, Site};
use crate::identify::consent::{OptOut, forget_visitor, opt_out_cookie};
use crate::parse;

pub const PRIVACY_PATH: &str = "/privacy";
pub const OPT_OUT_PATH: &str = "/privacy/opt-out";
pub const OPT_IN_PATH: &str = "/privacy/opt-in";

/// No script, no style, nothing from elsewhere, in no frame.
const POLICY: &str = "default-src 'none'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// The page. The site is the one named by `s`, the one of the page that links
/// here, or the only one.
pub fn page(context: &Context, settings: &Settings, headers: &HeaderMap, query: &str) -> Answer {
    let client = parse::client::client(context.peer, headers, &settings.config.collect);
    let site = site(settings, headers, query);
    let words = if prefers_russian(headers) { &RUSSIAN } else { &ENGLISH };
    let mut answer = answer::html(StatusCode::OK, render(words, site.as_deref(), client.opted_out));
    let lines = answer.headers_mut();
    lines.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    lines.insert(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    lines.insert(VARY, HeaderValue::from_static("Accept-Language, Cookie"));
    answer
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

fn site(settings: &Settings, headers: &HeaderMap, query: &str) -> Option<std::sync::Arc<crate::identify::sites::SiteState>> {
    let named = query.split('&').find_map(|pair| pair.strip_prefix("s="));
    if let Some(site) = named.and_then(|id| settings.sites.get(id)) {
        return Some(site.clone());
    }
    let referer = headers.get(REFERER).and_then(|value| value.to_str().ok()).and_then(|text| url::Url::parse(text).ok());
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

/// The page's text in one language.
struct Words {
    language: &'static str,
    title: &'static str,
    intro: &'static str,
    always: &'static [&'static str],
    ip: [&'static str; 3],
    consent: [&'static str; 3],
    /// In the order of `Fields::NAMES`.
    fields: [&'static str; 8],
    kept: &'static str,
    days: &'static str,
    policy: &'static str,
    version: &'static str,
    contact: &'static str,
    counted: &'static str,
    opted_out: &'static str,
    opt_out: &'static str,
    opt_in: &'static str,
}

static RUSSIAN: Words = Words {
    language: "ru",
    title: "Статистика посещений и ваши данные",
    intro: "Этот адрес собирает статистику посещений сайта. При просмотре страницы или рекламного блока записываются:",
    always: &[
        "время обращения по часам сервера;",
        "адрес страницы и адрес страницы, с которой вы пришли, без лишних параметров;",
        "браузер, операционная система, вид устройства и язык — без самой строки браузера;",
        "страна, регион, город и сеть, определённые по IP-адресу;",
        "рекламный блок и название события, если они были.",
    ],
    ip: [
        "IP-адрес — только в зашифрованном виде.",
        "IP-адрес — без последней части и только в зашифрованном виде.",
        "IP-адрес не записывается.",
    ],
    consent: [
        "Чтобы узнать браузер при следующем посещении, ставится cookie; записывается только её необратимый отпечаток.",
        "Cookie ставится только после вашего согласия; записывается только её необратимый отпечаток.",
        "Cookie для узнавания не ставится.",
    ],
    fields: [
        "Кроме того: заголовок страницы.",
        "Кроме того: класс ширины экрана.",
        "Кроме того: глубина прокрутки.",
        "Кроме того: время активного чтения.",
        "Кроме того: переходы на другие сайты.",
        "Кроме того: скачивания файлов.",
        "Кроме того: свойства событий.",
        "Кроме того: часовой пояс браузера.",
    ],
    kept: "Записи хранятся, дней:",
    days: "из них IP-адрес:",
    policy: "Политика конфиденциальности",
    version: "Редакция политики:",
    contact: "Вопросы и обращения:",
    counted: "Этот браузер учитывается в статистике.",
    opted_out: "Вы отказались: обращения этого браузера не записываются.",
    opt_out: "Не учитывать меня",
    opt_in: "Снова учитывать",
};

static ENGLISH: Words = Words {
    language: "en",
    title: "Visit statistics and your data",
    intro: "This address collects the site's visit statistics. When a page or an ad block is viewed, it records:",
    always: &[
        "the time, by the server's clock;",
        "the address of the page and of the page you came from, without needless parameters;",
        "browser, operating system, kind of device and language, but not the browser's own text;",
        "country, region, city and network, as looked up from the IP address;",
        "the ad block and the event's name, where there is one.",
    ],
    ip: [
        "The IP address, only in encrypted form.",
        "The IP address without its last part, and only in encrypted form.",
        "The IP address is not recorded.",
    ],
    consent: [
        "A cookie is set to know the browser again; only an irreversible hash of it is recorded.",
        "A cookie is set only after your consent; only an irreversible hash of it is recorded.",
        "No cookie is set to know you again.",
    ],
    fields: [
        "Also: the page's title.",
        "Also: the class of your screen's width.",
        "Also: how far a page was scrolled.",
        "Also: how long a page was actively read.",
        "Also: links followed to other sites.",
        "Also: files downloaded.",
        "Also: properties of events.",
        "Also: the browser's time zone.",
    ],
    kept: "Records are kept for this many days:",
    days: "the IP address among them:",
    policy: "Privacy policy",
    version: "Version of the policy:",
    contact: "Questions and requests:",
    counted: "This browser is counted.",
    opted_out: "You have opted out: nothing is recorded about this browser's visits.",
    opt_out: "Do not count me",
    opt_in: "Count me again",
};

fn render(words: &Words, site: Option<&crate::identify::sites::SiteState>, opted_out: bool) -> String {
    let mut html = format!(
        "<!doctype html>\n<html lang=\"{}\">\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<meta name=\"robots\" content=\"noindex\">\n<title>{title}</title>\n<main>\n<h1>{title}</h1>\n",
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
    let mut item = |text: &str| html.push_str(&format!("<li>{text}</li>\n"));
    let mut fields = site.fields;
    let on: Vec<bool> = crate::config::Fields::NAMES
        .iter()
        .map(|name| fields.flag(name).is_some_and(|flag| *flag))
        .collect();
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
    let lines = words.always.iter().copied().chain([ip, consent]);
    let extra = words.fields.iter().zip(&on).filter(|(_, on)| **on).map(|(text, _)| *text);
    let all: Vec<&str> = lines.chain(extra).collect();
    for line in all {
        item(line);
    }
    let list = std::mem::take(html);
    let (head, items) = list.split_at(list.find("<li>").unwrap_or(list.len()));
    html.push_str(&format!("{head}<p>{}</p>\n<ul>\n{items}</ul>\n", words.intro));
    let mut days = format!("<p>{} {}", words.kept, site.retention.raw_days);
    if site.ip != IpStorage::None {
        days.push_str(&format!("; {} {}", words.days, site.retention.ip_days));
    }
    html.push_str(&format!("{days}.</p>\n"));
    let web = url::Url::parse(&site.policy_url).is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
    if web {
        html.push_str(&format!("<p><a href=\"{}\">{}</a></p>\n", escape(&site.policy_url), words.policy));
    }
    for (label, value) in [(words.version, &site.policy_version), (words.contact, &site.contact)] {
        if !value.is_empty() {
            html.push_str(&format!("<p>{label} {}</p>\n", escape(value)));
        }
    }
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
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
