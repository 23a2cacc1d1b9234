//! What a request's headers say about its sender.

use std::borrow::Cow;
use std::net::IpAddr;

use http::header::{ACCEPT_LANGUAGE, COOKIE, DNT, HeaderMap, HeaderName, HeaderValue, USER_AGENT};

use super::address::client_address;
use super::report;
use super::text::{clean, cut, lossy};
use crate::config::{Collect, MAX_SITE_ID_BYTES};
use crate::enrich::{self, client::Language, hints::ClientHints};
use crate::event::{Client, ConsentState, MAX_USER_AGENT_BYTES};

/// The cookie by which a visitor opts out; its value is `1`.
pub const OPT_OUT_COOKIE: &str = "metka_optout";
/// Followed by a site's id: the cookie in which the server keeps what the
/// visitor said about consent on that site.
pub const CONSENT_COOKIE_PREFIX: &str = "metka_consent_";
/// The most consent cookies looked at: one browser meets few sites of one collector.
const MAX_CONSENT_COOKIES: usize = 16;

const SEC_GPC: HeaderName = HeaderName::from_static("sec-gpc");
const SEC_CH_UA: HeaderName = HeaderName::from_static("sec-ch-ua");

/// The name of the visitor's cookie: browsers take `__Host-` only over https,
/// and then only from this very host.
pub fn cookie_name(public_url: &str) -> &'static str {
    if is_https(public_url) { "__Host-metka" } else { "metka" }
}

/// Whether browsers reach the collector by https.
pub fn is_https(public_url: &str) -> bool {
    public_url.get(..8).is_some_and(|scheme| scheme.eq_ignore_ascii_case("https://"))
}

/// Reads the sender of a request that came from `peer`.
pub fn client<'a>(peer: IpAddr, headers: &'a HeaderMap, collect: &Collect) -> Client<'a> {
    let mut client = Client {
        ip: client_address(peer, headers, collect.client_address, &collect.trusted_proxies),
        user_agent: Cow::Borrowed(""),
        cookie: None,
        opted_out: false,
        gpc: false,
        dnt: false,
        hints: ClientHints::default(),
        language: Language::default(),
        consents: Vec::new(),
    };
    // One look at each header is quicker than to ask for each name. Of a header that
    // is there more than once the first line counts.
    let (mut agents, mut languages, mut hints) = (None, None, None);
    let (mut gpc, mut dnt) = (Signal::default(), Signal::default());
    for (name, value) in headers {
        if *name == USER_AGENT {
            agents.get_or_insert(value);
        } else if *name == COOKIE {
            read_cookies(value.as_bytes(), cookie_name(&collect.public_url), &mut client);
        } else if *name == ACCEPT_LANGUAGE {
            languages.get_or_insert(value);
        } else if *name == SEC_CH_UA {
            hints.get_or_insert(value);
        } else if *name == SEC_GPC {
            gpc.add(value);
        } else if *name == DNT {
            dnt.add(value);
        }
    }
    client.user_agent = agents.map(|value| user_agent(value.as_bytes())).unwrap_or_default();
    client.language =
        languages.and_then(|value| value.to_str().ok()).map(enrich::language).unwrap_or_default();
    client.hints = hints.and_then(|value| value.to_str().ok()).map(ClientHints::of).unwrap_or_default();
    (client.gpc, client.dnt) = (gpc.is_given(), dnt.is_given());
    client
}

/// Adds what the cookies of one line say.
fn read_cookies<'a>(line: &'a [u8], ours: &str, client: &mut Client<'a>) {
    for (name, value) in cookies(line) {
        if name == ours {
            // Browsers send the more specific cookie first.
            client.cookie.get_or_insert(value);
        } else if name == OPT_OUT_COOKIE {
            client.opted_out |= value == "1";
        } else if let Some(site) = name.strip_prefix(CONSENT_COOKIE_PREFIX)
            && let Some(state) = report::consent(value)
            && site.len() <= MAX_SITE_ID_BYTES
            && client.consents.len() < MAX_CONSENT_COOKIES
        {
            client.consents.push((site, state));
        }
    }
}

/// The cookies of a line. Other cookies of the site's domain may be in any encoding:
/// names that are no text are nobody's here, and a value that is none is one that
/// nobody ever gave out.
fn cookies(line: &[u8]) -> impl Iterator<Item = (&str, &str)> {
    line.split(|byte| *byte == b';').filter_map(|pair| {
        let (name, value) = pair.split_at(pair.iter().position(|byte| *byte == b'=')?);
        let value = std::str::from_utf8(&value[1..]).unwrap_or("\u{FFFD}");
        Some((std::str::from_utf8(name).ok()?.trim(), value.trim()))
    })
}

/// What the visitor said earlier about consent on `site`.
pub fn stored_consent(client: &Client, site: &str) -> ConsentState {
    let found = client.consents.iter().find(|(name, _)| *name == site);
    found.map_or(ConsentState::Unstated, |(_, state)| *state)
}

fn user_agent(bytes: &[u8]) -> Cow<'_, str> {
    // Cut first: the cost of all that follows grows with the length.
    let bytes = &bytes[..bytes.len().min(MAX_USER_AGENT_BYTES)];
    let cleaned = |text: &str| cut(&clean(text), MAX_USER_AGENT_BYTES).to_owned();
    match lossy(bytes) {
        Cow::Borrowed(text) => match clean(text) {
            // No longer than what it was cut to.
            Cow::Borrowed(text) => Cow::Borrowed(text),
            Cow::Owned(_) => Cow::Owned(cleaned(text)),
        },
        Cow::Owned(text) => Cow::Owned(cleaned(&text)),
    }
}

/// A header of which `1` is the only meaningful value, by the GPC and DNT
/// specifications.
#[derive(Default)]
struct Signal {
    lines: usize,
    ones: usize,
}

// === impl Signal ===

impl Signal {
    fn add(&mut self, value: &HeaderValue) {
        self.lines += 1;
        self.ones += usize::from(value.as_bytes() == b"1");
    }

    fn is_given(&self) -> bool {
        self.lines == 1 && self.ones == 1
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::Config;

    /// What is read of these headers. They stay: a client borrows from them.
    fn read(public_url: &str, lines: &[(&'static str, &str)]) -> Client<'static> {
        let text = format!("[collect]\npublic_url = {public_url:?}\nclient_address = \"peer\"");
        let config = Config::parse(&text, [], Path::new("/srv")).expect("valid");
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_bytes(value.as_bytes()).expect("header"));
        }
        client(IpAddr::from([192, 0, 2, 1]), Box::leak(Box::new(headers)), &config.collect)
    }

    #[test]
    fn cookies_are_found_by_the_name_that_the_public_url_gives() {
        let lines =
            [("cookie", "a=b; metka=plain; metka=second"), ("cookie", "__Host-metka=host; metka_optout=1")];
        let http = read("http://stats.example", &lines);
        assert_eq!((http.cookie, http.opted_out), (Some("plain"), true));
        assert_eq!(read("https://stats.example", &lines).cookie, Some("host"));
        assert!(!read("http://stats.example", &[("cookie", "metka_optout=0; xmetka=1")]).opted_out);
    }

    #[test]
    fn cookies_are_read_beside_others_that_are_no_ascii() {
        let client = read("http://x.example", &[("cookie", "город=Москва; metka=plain; metka_optout=1")]);
        assert_eq!((client.cookie, client.opted_out), (Some("plain"), true));
    }

    #[test]
    fn consent_is_remembered_for_its_own_site() {
        let client =
            read("http://x.example", &[("cookie", "metka_consent_clinic=denied; metka_consent_other=what")]);
        assert_eq!(stored_consent(&client, "clinic"), ConsentState::Denied);
        assert_eq!(stored_consent(&client, "other"), ConsentState::Unstated);
    }

    #[test]
    fn signals_count_only_as_exactly_one() {
        for (value, expected) in [("1", true), ("0", false), ("true", false), ("1, 1", false), ("", false)] {
            let client = read("http://x.example", &[("sec-gpc", value), ("dnt", value)]);
            assert_eq!((client.gpc, client.dnt), (expected, expected), "{value:?}");
        }
        assert!(!read("http://x.example", &[("sec-gpc", "1"), ("sec-gpc", "0")]).gpc);
    }

    #[test]
    fn a_user_agent_is_cut_and_readable() {
        let long = "я".repeat(400);
        let client = read("http://x.example", &[("user-agent", &long)]);
        assert!(client.user_agent.len() <= MAX_USER_AGENT_BYTES && client.user_agent.starts_with('я'));
    }
}
