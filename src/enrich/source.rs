//! Where a visit came from: a name and a channel, from the referrer and the
//! page's campaign parameters.
//!
//! In: [`Referrer`], [`Page`], [`Site`]. Out: a [`Source`]. The host names are a
//! closed table (`source/table.rs`); what is not in it is a referral under its
//! own host. The first rule that fits decides:
//!
//! 1. `utm_source` or `utm_medium`: the campaign names the source. The medium
//!    decides the channel; one that says nothing leaves the source's own.
//! 2. A click id of a paid campaign: paid, under the referrer's name.
//! 3. A referrer on one of the site's own hosts: internal.
//! 4. A referrer in the table: its name and channel.
//! 5. Another referrer: referral, under its host without `www.`.
//! 6. Nothing: direct.
//!
//! A visit takes the source of its first row, so `internal` there means a visit
//! that began again after a pause.
//!
//! Android's referrers (`android-app://PACKAGE/`) come as a host that is the
//! package's name, such as `org.telegram.messenger`.

mod table;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use serde::Serialize;

use crate::config::Site;
use crate::event::{Page, Referrer, Utm};

/// The name of a paid click that says neither where nor how it was paid.
const PAID_NAME: &str = "Paid";

/// How visits arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    Direct,
    Search,
    Social,
    Mail,
    Messenger,
    Paid,
    Referral,
    Internal,
}

/// Where a visit came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source<'a> {
    /// `Yandex`, `Telegram`, a host, a campaign's `utm_source`; empty for
    /// direct and internal.
    pub name: Cow<'a, str>,
    /// A name of [`Channel::ALL`].
    pub channel: &'static str,
}

// === impl Channel ===

impl Channel {
    pub const ALL: [Channel; 8] = [
        Channel::Direct,
        Channel::Search,
        Channel::Social,
        Channel::Mail,
        Channel::Messenger,
        Channel::Paid,
        Channel::Referral,
        Channel::Internal,
    ];

    /// The name in storage and in queries.
    pub const fn name(self) -> &'static str {
        match self {
            Channel::Direct => "direct",
            Channel::Search => "search",
            Channel::Social => "social",
            Channel::Mail => "mail",
            Channel::Messenger => "messenger",
            Channel::Paid => "paid",
            Channel::Referral => "referral",
            Channel::Internal => "internal",
        }
    }
}

/// Names the source of a hit.
pub fn classify<'a>(referrer: &'a Referrer, page: &'a Page, site: &Site) -> Source<'a> {
    let own = site.has_host(&referrer.host) || referrer.host == page.host;
    let known = || if own { None } else { table::of_referrer(&referrer.host, &referrer.path) };
    let from_referrer = |known: Option<table::Known>, name| match (known, own || referrer.host.is_empty()) {
        (Some((known, _)), _) => known,
        (None, false) => without_www(&referrer.host),
        (None, true) => name,
    };
    if let Some(source) = of_campaign(&page.utm, page.paid_click, || from_referrer(known(), "")) {
        return source;
    }
    if page.paid_click {
        return Source::new(from_referrer(known(), PAID_NAME), Channel::Paid);
    }
    if referrer.host.is_empty() {
        return Source::new("", Channel::Direct);
    }
    if own {
        return Source::new("", Channel::Internal);
    }
    let known = known();
    let channel = known.map_or(Channel::Referral, |(_, channel)| channel);
    Source::new(from_referrer(known, ""), channel)
}

impl<'a> Source<'a> {
    fn new(name: impl Into<Cow<'a, str>>, channel: Channel) -> Source<'a> {
        Source { name: name.into(), channel: channel.name() }
    }
}

fn of_campaign<'a>(
    utm: &'a Utm,
    paid_click: bool,
    referrer_name: impl FnOnce() -> &'a str,
) -> Option<Source<'a>> {
    let (source, medium) = (utm.source.trim(), utm.medium.trim());
    if source.is_empty() && medium.is_empty() {
        return None;
    }
    let known = table::of_campaign_source(source);
    let channel = match table::of_medium(medium) {
        _ if paid_click => Channel::Paid,
        Some(channel) => channel,
        None => known.map_or(Channel::Referral, |(_, channel)| channel),
    };
    let name = match known {
        Some((name, _)) => Cow::Borrowed(name),
        None if !source.is_empty() => lower_case(source),
        None => match referrer_name() {
            // Only a medium: it is all that is known.
            "" => lower_case(medium),
            name => Cow::Borrowed(name),
        },
    };
    Some(Source::new(name, channel))
}

fn lower_case(text: &str) -> Cow<'_, str> {
    let is_lower = |byte: u8| byte.is_ascii() && !byte.is_ascii_uppercase();
    if text.bytes().all(is_lower) { Cow::Borrowed(text) } else { Cow::Owned(text.to_lowercase()) }
}

/// Whether a source's name is of the closed table: it says no more than its
/// channel does, whereas a host or a campaign's own word may be one visitor's.
pub fn is_listed(name: &str) -> bool {
    name == PAID_NAME || table::is_name(name)
}

fn without_www(host: &str) -> &str {
    host.strip_prefix("www.").filter(|rest| rest.contains('.')).unwrap_or(host)
}
