//! What the collector would see of a request, for the person who sends it: the
//! web address shows it at `/debug/hit`, because a wrong proxy set-up is the
//! commonest fault in the field.
//!
//! Pure: headers, peer, settings and date in, an [`Explanation`] out. It counts
//! nothing, limits nothing and stores nothing. It holds the person's own address
//! in the clear and is meant for their eyes only: it is never logged.

use std::net::IpAddr;

use http::HeaderMap;
use http::header::FORWARDED;
use jiff::Timestamp;
use serde::Serialize;

use super::{Settings, Shared};
use crate::config::{ClientAddress, Consent, Signals};
use crate::event::{ConsentState, IdentityKind};
use crate::identify::consent;
use crate::mark::{Evidence, Mark};
use crate::parse::address::{X_FORWARDED_FOR, is_trusted};
use crate::parse::client::client;
use crate::pipeline::utc_day;
use crate::privacy::address::ClientIp;
use crate::reject::Reason;
use crate::subject::choices::Choice;

/// What the collector sees.
#[derive(Debug, Serialize)]
pub struct Explanation {
    /// The address that a hit would be counted under.
    pub address: String,
    /// The address that connected.
    pub peer: String,
    /// Whether the peer is one of `collect.trusted_proxies`.
    pub peer_trusted: bool,
    /// `collect.client_address`.
    pub read_from: &'static str,
    /// The proxy after which the address was taken; `None`: it is the peer's own.
    pub after_proxy: Option<String>,
    /// What looks wrong about that, in words.
    pub warnings: Vec<String>,
    /// The name under which the visitor's cookie is looked for.
    pub cookie_name: &'static str,
    /// `absent`, `valid` or `refused` (forged, altered, too old or of another key ring).
    pub cookie: &'static str,
    pub opted_out: bool,
    pub gpc: bool,
    pub dnt: bool,
    pub language: String,
    pub browser: String,
    pub os: String,
    pub device: String,
    /// The mark that keeps hits out of the numbers; empty for people.
    pub bot: String,
    pub country: String,
    pub city: String,
    pub sites: Vec<SiteExplanation>,
}

/// What holds on one site.
#[derive(Debug, Serialize)]
pub struct SiteExplanation {
    pub site: String,
    /// The site's mode: `implied`, `opt-in`, `cookieless`.
    pub mode: &'static str,
    /// What the visitor said about consent, as remembered.
    pub consent: ConsentState,
    /// `cookie` or `cookieless`.
    pub identity: &'static str,
    /// Whether a hit's answer would set a cookie.
    pub mints: bool,
    /// Why a hit on one of the site's own pages would be refused.
    pub refused: Option<Reason>,
}

/// Explains a request with these headers from `peer`.
pub fn explain(shared: &Shared, headers: &HeaderMap, peer: IpAddr, now: Timestamp) -> Explanation {
    let settings = shared.settings();
    let collect = &settings.config.collect;
    let client = client(peer, headers, collect);
    let peer_ip = ClientIp::new(peer);
    let peer_trusted = is_trusted(&peer_ip, &collect.trusted_proxies);
    let agent = shared.enricher.classify_user_agent(&client.user_agent);
    let places = shared.enricher.places();
    let place = places.locate(&client.ip);
    let evidence = Evidence {
        agent: &agent,
        user_agent: &client.user_agent,
        hints: client.hints,
        impossible: false,
        referrer_host: "",
        asn: place.asn,
    };
    let mark = Mark::of(&evidence, &settings.junk);
    let verified = client.cookie.map(|value| shared.keys.verify_cookie(value, utc_day(now)));
    let valid = matches!(verified, Some(Ok(_)));
    let choices = shared.choices.list();
    let mut sites: Vec<SiteExplanation> = settings
        .sites
        .iter()
        .map(|state| {
            let site = &state.site;
            let chosen = |choice| match &verified {
                Some(Ok(id)) => choices.has(choice, &site.id, shared.keys.cookie_visitor(&site.id, id)),
                _ => false,
            };
            let mut terms = consent::terms(site, &client, ConsentState::Unstated);
            if terms.state == ConsentState::Marketing && chosen(Choice::NoMarketing) {
                terms = terms.without_marketing(site, &client);
            }
            let kind = if valid && terms.cookie { IdentityKind::Cookie } else { IdentityKind::Cookieless };
            let refused = if client.opted_out || chosen(Choice::OptOut) {
                Some(Reason::OptedOut)
            } else if site.signals == Signals::Drop && (client.gpc || client.dnt) {
                Some(Reason::SignalDropped)
            } else {
                None
            };
            SiteExplanation {
                site: site.id.clone(),
                mode: match site.consent {
                    Consent::Implied => "implied",
                    Consent::OptIn => "opt-in",
                    Consent::Cookieless => "cookieless",
                },
                consent: terms.state,
                identity: kind.name(),
                mints: refused.is_none()
                    && terms.cookie
                    && kind == IdentityKind::Cookieless
                    && mark.is_none(),
                refused,
            }
        })
        .collect();
    sites.sort_by(|left, right| left.site.cmp(&right.site));
    let is_peer = client.ip.lookup(|address| address == peer.to_canonical());
    Explanation {
        address: client.ip.lookup(|address| address.to_string()),
        peer: peer.to_canonical().to_string(),
        peer_trusted,
        read_from: name(collect.client_address),
        after_proxy: (!is_peer).then(|| peer.to_canonical().to_string()),
        warnings: warnings(&settings, headers, peer_trusted, is_peer),
        cookie_name: settings.cookie_name,
        cookie: match verified {
            None => "absent",
            Some(Ok(_)) => "valid",
            Some(Err(_)) => "refused",
        },
        opted_out: client.opted_out,
        gpc: client.gpc,
        dnt: client.dnt,
        language: client.language.as_str().to_owned(),
        browser: agent.browser.to_string(),
        os: agent.os.to_string(),
        device: agent.device.to_string(),
        bot: mark.map_or("", Mark::name).to_owned(),
        country: place.country.to_string(),
        city: place.city.to_string(),
        sites,
    }
}

fn name(how: ClientAddress) -> &'static str {
    match how {
        ClientAddress::XForwardedFor => "x-forwarded-for",
        ClientAddress::Forwarded => "forwarded",
        ClientAddress::ProxyProtocol => "proxy-protocol",
        ClientAddress::Peer => "peer",
    }
}

fn warnings(settings: &Settings, headers: &HeaderMap, peer_trusted: bool, is_peer: bool) -> Vec<String> {
    let how = settings.config.collect.client_address;
    let mut warnings = Vec::new();
    let present = [
        (ClientAddress::XForwardedFor, headers.contains_key(X_FORWARDED_FOR)),
        (ClientAddress::Forwarded, headers.contains_key(FORWARDED)),
    ];
    for (header, present) in present {
        let name = name(header);
        if present && header != how {
            warnings.push(format!(
                "{name} was sent and is ignored, because collect.client_address is {:?}",
                self::name(how)
            ));
        } else if present && !peer_trusted {
            warnings.push(format!(
                "{name} was sent and is ignored, because the peer is not in collect.trusted_proxies"
            ));
        } else if present && is_peer {
            warnings
                .push(format!("{name} was sent by a trusted proxy, and holds no address at its right end"));
        } else if !present && header == how && peer_trusted {
            warnings.push(format!(
                "the peer is a trusted proxy and sent no {name}: all visitors would share its address"
            ));
        }
    }
    warnings
}
