//! Consent, and what follows from it for the cookie.
//!
//! | site's mode | a cookie is read | a cookie is minted |
//! |---|---|---|
//! | `implied` | unless the visitor said no | unless the visitor said no |
//! | `opt-in` | once the visitor said yes on this site | the same |
//! | `cookieless` | never | never |
//!
//! How much of the hit is kept ([`Kept`]) follows from the same:
//!
//! | kept | when | what |
//! |---|---|---|
//! | whole | no other line holds | what the site collects |
//! | without id | Sec-GPC or DNT, on a site that answers them with `no-id` | that, without cookie and user key |
//! | count | the visitor said no; or `opt-in`, and they did not say yes | the columns of [`count_only`] |
//!
//! What the visitor says (`c`) is remembered in a cookie of the server,
//! `metka_consent_SITE`, so that it holds on the next page without any storage
//! by the script. It is set when the word is new, so that no later hit prolongs
//! it. A site that never sets cookies does not remember it, and against a signal
//! only a no is remembered. A no removes the visitor's cookie. What an officer noted for
//! a browser ([`crate::subject::choices`]) is stronger than what it remembers, and weaker than
//! what the visitor says anew.

use cookie::time::Duration;
use cookie::{Cookie, SameSite};

use crate::config::{Config, Consent, Signals, Site};
use crate::enrich::source;
use crate::event::{Client, ConsentState, IdentityKind};
use crate::parse::client::{CONSENT_COOKIE_PREFIX, OPT_OUT_COOKIE, stored_consent};
use crate::store::row::Row;

/// How long cookies live: CNIL's guideline allows 13 months, which are at their
/// shortest a year of 365 days and a February of 28.
pub const COOKIE_DAYS: i64 = 393;
/// Where both addresses say whether the signal is respected (W3C, Global Privacy Control).
pub const GPC_PATH: &str = "/.well-known/gpc.json";

/// What holds for one hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// What the visitor said, now or earlier.
    pub state: ConsentState,
    /// Whether the visitor's cookie may be read, and one be minted.
    pub cookie: bool,
    /// Whether what was said is to be remembered in a cookie.
    pub remember: bool,
    pub kept: Kept,
}

/// How much of a hit is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// What the site collects.
    Whole,
    /// That, without cookie and user key.
    WithoutId,
    /// What a count needs: the columns of [`count_only`].
    Count,
}

/// What the answer to a request sets in the browser, for all its hits.
#[derive(Debug, Default)]
pub struct Answer {
    /// The id of the cookie being minted.
    pub minted: Option<[u8; 16]>,
    /// Whether a kept row carries its hash: without one it is not sent.
    pub minted_is_stored: bool,
    /// What was said about consent, by site; the last word counts.
    pub said: Vec<(String, ConsentState)>,
    /// The visitor said no: their cookie goes.
    pub forget: bool,
    /// The officer opted this browser out: it is told so, and nothing else.
    pub opt_out: bool,
    /// Visitors, by site, who agree to marketing after the officer noted that they do not.
    pub renewed: Vec<(String, u64)>,
    /// The addresses, as [`super::crowd`] knows them, to which the cookie is offered.
    pub offered: Vec<u64>,
    /// The keys of hit ids that this request has claimed.
    pub claimed: Vec<u64>,
}

/// The terms of a hit that says `said`.
pub fn terms(site: &Site, client: &Client, said: ConsentState) -> Terms {
    let stored = stored_consent(client, &site.id);
    let state = if said == ConsentState::Unstated { stored } else { said };
    let signalled = site.signals == Signals::NoId && (client.gpc || client.dnt);
    let agreed = match site.consent {
        Consent::Implied => state != ConsentState::Denied,
        Consent::OptIn => matches!(state, ConsentState::Granted | ConsentState::Marketing),
        Consent::Cookieless => false,
    };
    let remember = state != stored
        && site.consent != Consent::Cookieless
        && (!signalled || state == ConsentState::Denied);
    let kept = if state == ConsentState::Denied || (site.consent == Consent::OptIn && !agreed) {
        Kept::Count
    } else if signalled {
        Kept::WithoutId
    } else {
        Kept::Whole
    };
    Terms { state, cookie: agreed && !signalled, remember, kept }
}

/// The row with nothing but a cookieless count: when, on which page, what kind
/// of hit of which ad block or event, from which coarse source, by a person or
/// a machine, under which consent and policy, and for how long. The visitor is
/// the day's hash; in the first half hour also the day before's, so that a visit
/// over midnight is counted as one ([`super::visit`]). A column that is not named
/// here is empty, also one to come.
pub fn count_only<'a>(row: &Row<'a>) -> Row<'a> {
    Row {
        kind: row.kind,
        visitor: row.visitor,
        before: row.before,
        identity: IdentityKind::Cookieless,
        host: row.host,
        path: row.path,
        source: if source::is_listed(row.source) { row.source } else { "" },
        channel: row.channel,
        bot: row.bot,
        ad: row.ad,
        name: row.name,
        consent: row.consent,
        policy: row.policy,
        keep_days: row.keep_days,
        ip_days: row.ip_days,
        city_days: row.city_days,
        user_key_days: row.user_key_days,
        props_days: row.props_days,
        hold: row.hold,
        demo: row.demo,
        ..Row::blank(row.site, row.time)
    }
}

/// The statement at [`GPC_PATH`]: yes only if no site ignores the signal. The
/// date is the day on which the configuration was last written, since that is
/// when the answer can have changed.
pub fn gpc_statement(config: &Config) -> serde_json::Value {
    let respected = config.sites.iter().all(|site| site.signals != Signals::Ignore);
    let mut statement = serde_json::json!({ "gpc": respected });
    if let Some(date) = config.written {
        statement["lastUpdate"] = date.to_string().into();
    }
    statement
}

/// Whether the hit is to be refused for the browser's signal.
pub fn is_dropped_by_signal(site: &Site, client: &Client) -> bool {
    site.signals == Signals::Drop && (client.gpc || client.dnt)
}

/// The visitor's cookie.
pub fn visitor_cookie(name: &'static str, value: String, secure: bool) -> String {
    cookie(name.to_owned(), value, COOKIE_DAYS, secure)
}

/// Removes the visitor's cookie.
pub fn forget_visitor(name: &'static str, secure: bool) -> String {
    cookie(name.to_owned(), String::new(), 0, secure)
}

/// The cookie that remembers what was said about a site.
pub fn consent_cookie(site: &str, state: ConsentState, secure: bool) -> String {
    let value = match state {
        ConsentState::Granted => "granted",
        ConsentState::Denied => "denied",
        ConsentState::Marketing => "marketing",
        ConsentState::Unstated => {
            return cookie(format!("{CONSENT_COOKIE_PREFIX}{site}"), String::new(), 0, secure);
        }
    };
    cookie(format!("{CONSENT_COOKIE_PREFIX}{site}"), value.to_owned(), COOKIE_DAYS, secure)
}

/// Sets or removes the opt-out cookie.
pub fn opt_out_cookie(out: OptOut, secure: bool) -> String {
    match out {
        OptOut::Set => cookie(OPT_OUT_COOKIE.to_owned(), "1".to_owned(), COOKIE_DAYS, secure),
        OptOut::Remove => cookie(OPT_OUT_COOKIE.to_owned(), String::new(), 0, secure),
    }
}

/// What the visitor's page does with the opt-out cookie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OptOut {
    Set,
    Remove,
}

/// All cookies of this server are for it alone: not for scripts, not for other
/// sites' requests. `Path=/` and no domain, as `__Host-` demands.
fn cookie(name: String, value: String, days: i64, secure: bool) -> String {
    Cookie::build((name, value))
        .path("/")
        .http_only(true)
        .same_site(SameSite::Lax)
        .max_age(Duration::days(days))
        .secure(secure)
        .build()
        .to_string()
}

// === impl Terms ===

impl Terms {
    /// The same for a browser that remembers a consent to marketing which was withdrawn: it
    /// is to remember what is left of it.
    pub fn without_marketing(self, site: &Site, client: &Client) -> Terms {
        let signalled = site.signals == Signals::NoId && (client.gpc || client.dnt);
        let remember = site.consent != Consent::Cookieless && !signalled;
        Terms { state: ConsentState::Granted, remember, ..self }
    }
}

// === impl Answer ===

impl Answer {
    /// Notes what was said, in place of what was said before about the site.
    pub fn say(&mut self, site: &str, state: ConsentState) {
        self.said.retain(|(known, _)| known != site);
        self.said.push((site.to_owned(), state));
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;
    use crate::privacy::address::ClientIp;

    fn client(gpc: bool, stored: ConsentState) -> Client<'static> {
        Client {
            ip: ClientIp::new(IpAddr::from([192, 0, 2, 1])),
            user_agent: "".into(),
            cookie: None,
            opted_out: false,
            gpc,
            dnt: false,
            hints: Default::default(),
            language: Default::default(),
            consents: vec![("clinic", stored), ("other", ConsentState::Granted)],
        }
    }

    #[test]
    fn cookies_follow_mode_word_and_signal() {
        use ConsentState::{Denied, Granted, Marketing, Unstated};
        let modes = [Consent::Implied, Consent::OptIn, Consent::Cookieless];
        for (said, stored, gpc, expected) in [
            (Unstated, Unstated, false, [true, false, false]),
            (Granted, Unstated, false, [true, true, false]),
            (Marketing, Unstated, false, [true, true, false]),
            (Denied, Unstated, false, [false, false, false]),
            (Unstated, Granted, false, [true, true, false]),
            (Unstated, Denied, false, [false, false, false]),
            (Granted, Denied, false, [true, true, false]),
            (Denied, Granted, false, [false, false, false]),
            (Granted, Granted, true, [false, false, false]),
        ] {
            let found = modes.map(|consent| {
                let site = Site { consent, ..Site::with_defaults("clinic", &["clinic.example"]) };
                terms(&site, &client(gpc, stored), said).cookie
            });
            assert_eq!(found, expected, "said {said:?}, stored {stored:?}, signal {gpc}");
        }
    }

    #[test]
    fn a_signal_is_ignored_answered_or_refused_as_the_site_says() {
        for (signals, cookie, dropped) in
            [(Signals::Ignore, true, false), (Signals::NoId, false, false), (Signals::Drop, true, true)]
        {
            let site = Site { signals, ..Site::with_defaults("clinic", &["clinic.example"]) };
            let client = client(true, ConsentState::Unstated);
            assert_eq!(terms(&site, &client, ConsentState::Unstated).cookie, cookie);
            assert_eq!(is_dropped_by_signal(&site, &client), dropped);
        }
    }

    #[test]
    fn cookies_are_out_of_reach_of_scripts_and_other_sites() {
        let plain = visitor_cookie("metka", "v".to_owned(), false);
        assert_eq!(plain, "metka=v; HttpOnly; SameSite=Lax; Path=/; Max-Age=33955200");
        let host = visitor_cookie("__Host-metka", "v".to_owned(), true);
        assert_eq!(host, "__Host-metka=v; HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=33955200");
        assert!(
            consent_cookie("clinic", ConsentState::Denied, false)
                .starts_with("metka_consent_clinic=denied; ")
        );
        assert!(forget_visitor("metka", false).ends_with("Max-Age=0"));
    }
}
