//! What a hit is at each stage of its life; one type per stage.
//!
//! ```text
//! http request ─parse─► Client + Hit ─identify─► Identity ─enrich─► store::row::Row ─► spool
//! ```
//!
//! Everything in a [`Hit`] is what the page said, checked for form and cut to
//! its bound, and nothing more is trusted about it.
//!
//! Texts are borrowed from the request, or from the settings, wherever they are
//! stored as they came, which is nearly always: a hit on its way is not copied.

use std::borrow::Cow;

use serde::Serialize;

use crate::enrich::client::Language;
use crate::enrich::hints::ClientHints;
use crate::privacy::address::ClientIp;

/// The longest user agent that is looked at, in bytes: real ones end below 400,
/// and matching cost grows with length.
pub const MAX_USER_AGENT_BYTES: usize = 512;
/// The longest host name, by RFC 1035.
pub const MAX_HOST_BYTES: usize = 253;
/// The longest path kept, in bytes; a longer one is cut at a character.
pub const MAX_PATH_BYTES: usize = 1024;
/// The longest kept query string, in bytes.
pub const MAX_QUERY_BYTES: usize = 512;
/// The longest `utm_*` value, event name, ad block name, in bytes.
pub const MAX_NAME_BYTES: usize = 128;
/// The longest title, in bytes.
pub const MAX_TITLE_BYTES: usize = 512;
/// The most properties of one event.
pub const MAX_PROPS: usize = 30;
/// The longest property value, in bytes.
pub const MAX_PROP_VALUE_BYTES: usize = 256;
/// The longest opaque user key, in bytes.
pub const MAX_USER_KEY_BYTES: usize = 128;

/// What happened on the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[repr(i8)]
pub enum Kind {
    Pageview = 1,
    Event = 2,
    /// An ad block was rendered.
    AdView = 3,
    /// Half of an ad block was on screen for one second.
    AdViewable = 4,
    AdClick = 5,
    /// Engaged time and scroll depth, sent on leaving.
    Engagement = 6,
    /// The visitor changed what they consent to.
    Consent = 7,
    /// A script of the page failed.
    Error = 8,
}

/// The page that a hit is about.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Page<'a> {
    /// Lower case, ASCII (punycode), without port.
    pub host: Cow<'a, str>,
    /// Percent-decoded where that gives printable UTF-8; begins with `/`.
    pub path: Cow<'a, str>,
    /// Only the parameters that the site keeps, in their order: `a=1&b=2`.
    pub query: Cow<'a, str>,
    pub utm: Utm<'a>,
    /// A click id of a paid campaign (`gclid`, `yclid`, …) was in the address.
    pub paid_click: bool,
}

/// Campaign parameters.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Utm<'a> {
    pub source: Cow<'a, str>,
    pub medium: Cow<'a, str>,
    pub campaign: Cow<'a, str>,
    pub content: Cow<'a, str>,
    pub term: Cow<'a, str>,
}

/// Where the visitor came from; both empty when not known.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Referrer<'a> {
    pub host: Cow<'a, str>,
    pub path: Cow<'a, str>,
}

/// What a page says about consent (`c`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[repr(i8)]
pub enum ConsentState {
    /// The page said nothing; the site's mode decides.
    Unstated = 0,
    Granted = 1,
    Denied = 2,
    /// Granted, and for marketing too.
    Marketing = 3,
}

/// Names and values, in their order.
pub type Props<'a> = Vec<(Cow<'a, str>, Cow<'a, str>)>;

/// A hit as the page reported it.
#[derive(Clone, Debug, PartialEq)]
pub struct Hit<'a> {
    pub kind: Kind,
    pub page: Page<'a>,
    pub referrer: Referrer<'a>,
    pub title: Cow<'a, str>,
    /// The name of an event; the class and the place of an error.
    pub name: Cow<'a, str>,
    pub props: Props<'a>,
    pub ad: Cow<'a, str>,
    /// Screen width in CSS pixels; 0 when not given.
    pub width: u32,
    pub engaged_ms: u32,
    /// Scroll depth in percent; `None` when not given.
    pub scroll: Option<u8>,
    /// The browser's IANA time zone, if it is one.
    pub timezone: &'a str,
    /// `KEY.MAC` as sent.
    pub user_key: &'a str,
    pub consent: ConsentState,
    /// The page's own id of the hit, for retries.
    pub id: Option<u64>,
    /// It says what no page can have measured.
    pub impossible: bool,
}

/// What a request says about its sender.
pub struct Client<'a> {
    pub ip: ClientIp,
    /// Cut at [`MAX_USER_AGENT_BYTES`], valid UTF-8.
    pub user_agent: Cow<'a, str>,
    /// The value of our cookie as sent.
    pub cookie: Option<&'a str>,
    pub opted_out: bool,
    pub gpc: bool,
    pub dnt: bool,
    pub hints: ClientHints,
    /// The first language of `Accept-Language`, as `ru` or `pt-br`; empty when not sent.
    pub language: Language,
    /// What the visitor said earlier about consent, by site, as the server's
    /// own cookies remember it.
    pub consents: Vec<(&'a str, ConsentState)>,
}

/// How a visitor is told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(i8)]
pub enum IdentityKind {
    /// By the day's salt, the address prefix and the user agent.
    Cookieless = 0,
    /// By a cookie that the server signed.
    Cookie = 1,
}

/// Who sent a hit, as it is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    pub kind: IdentityKind,
    /// A keyed hash, of the cookie or of the cookieless parts; never 0.
    pub visitor: u64,
    /// The hash of the cookie that the answer sets; 0 when it sets none.
    pub minted: u64,
    /// What `visitor` was before midnight, on a cookieless hit of the day's first
    /// half hour; else 0. See [`crate::identify::visit`].
    pub before: u64,
    /// The hash of the user key; 0 when there is none.
    pub user_key: u64,
}

// === impl ConsentState ===

impl ConsentState {
    pub const ALL: [ConsentState; 4] =
        [ConsentState::Unstated, ConsentState::Granted, ConsentState::Denied, ConsentState::Marketing];

    /// The name in storage and in `/debug/hit`.
    pub const fn name(self) -> &'static str {
        match self {
            ConsentState::Unstated => "unstated",
            ConsentState::Granted => "granted",
            ConsentState::Denied => "denied",
            ConsentState::Marketing => "marketing",
        }
    }
}

// === impl IdentityKind ===

impl IdentityKind {
    pub const ALL: [IdentityKind; 2] = [IdentityKind::Cookieless, IdentityKind::Cookie];

    /// The name in storage and in `/debug/hit`.
    pub const fn name(self) -> &'static str {
        match self {
            IdentityKind::Cookieless => "cookieless",
            IdentityKind::Cookie => "cookie",
        }
    }
}

// === impl Kind ===

impl Kind {
    pub const ALL: [Kind; 8] = [
        Kind::Pageview,
        Kind::Event,
        Kind::AdView,
        Kind::AdViewable,
        Kind::AdClick,
        Kind::Engagement,
        Kind::Consent,
        Kind::Error,
    ];

    /// The name in requests and in storage.
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Pageview => "pageview",
            Kind::Event => "event",
            Kind::AdView => "ad_view",
            Kind::AdViewable => "ad_viewable",
            Kind::AdClick => "ad_click",
            Kind::Engagement => "engagement",
            Kind::Consent => "consent",
            Kind::Error => "error",
        }
    }

    pub fn parse(name: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.name() == name)
    }
}
