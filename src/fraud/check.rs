//! One question, from who is asked about to the answer.
//!
//! In: [`Asked`]: a site, exactly one of a cookie value, a user key, an address and the keyed hash
//! of an alert, and why.
//! Out: JSON:
//!
//! ```text
//! {"site_id":"clinic","by":"cookie","known":true,"score":90,"threshold":80,"verdict":"review",
//!  "location":{…},"seen":{"first":…,"last":…,"hits":n,…},
//!  "signals":[{"rule":"speed","points":30,"about":"…","evidence":{…}}],
//!  "rules":[{"rule":"network","state":"off","weight":20,"why":"…"}],
//!  "memory":{"ready":true,…},"notes":["…"]}
//! ```
//!
//! `verdict` is `review` from the threshold on, else `plausible`, or `unknown` where nothing
//! was seen of whoever is asked about and no rule fired. Nothing of the question is in the answer.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::follow::Memories;
use super::memory::Memory;
use super::memory::browsers::MAX_BROWSERS;
use super::memory::track::{Place, Track};
use super::rules::browsers::{first_day, of_user};
use super::rules::place::instant;
use super::rules::{self, Cookie, Facts, Said, Verdict};
use crate::audit::entry::MAX_WORDS_BYTES;
use crate::audit::{self, Action, Actor, Entry, Trail};
use crate::config::{Config, Site, SiteError};
use crate::privacy::address::ClientIp;
use crate::rights::numbered::kept;
use crate::spool;
use crate::subject::identity;
use crate::subject::{SubjectError, Who};

/// A question. Holds personal data: it cannot be printed.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    /// Empty where a command names none: then the only site is meant.
    pub site_id: String,
    /// The value of the visitor's cookie.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cookie: Option<String>,
    /// The opaque key of a signed-in user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The keyed hash of a visitor, as an alert has it: 16 hex digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// An IPv4 or IPv6 address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip: Option<String>,
    pub purpose: audit::Purpose,
    /// Why, in words: one line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub words: Option<String>,
}

/// Why a question was not answered.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    #[error("site: {0}")]
    Site(#[from] SiteError),
    #[error("give exactly one of cookie, user, ip and subject")]
    NotOne,
    #[error("{0} is no purpose of a check: expected one of {list}", list = audit::Purpose::OF_SECURITY.map(audit::Purpose::name).join(", "))]
    Purpose(audit::Purpose),
    #[error("words: expected one line of 1 to {MAX_WORDS_BYTES} bytes")]
    Words,
    #[error("ip: expected an IPv4 or IPv6 address")]
    Address,
    #[error("subject: expected 16 hex digits, as an alert has them")]
    Subject,
    #[error(transparent)]
    User(SubjectError),
    /// It is not answered without.
    #[error("the audit trail cannot be written: {0}")]
    Audit(String),
    /// Of a server that stands alone.
    #[error("this server remembers no visitors")]
    Nothing,
}

/// Who is asked about, by keyed hashes.
struct Whom {
    by: &'static str,
    visitor: Option<u64>,
    user: Option<u64>,
    ip: Option<ClientIp>,
    cookie: Cookie,
    notes: Vec<String>,
}

/// Answers a question, which the trail tells of first.
pub async fn check(
    asked: Asked,
    memories: &Memories,
    config: &Config,
    trail: Arc<Trail>,
    by: Actor,
    now: Timestamp,
) -> Result<Value, CheckError> {
    let site = asked.site(config)?;
    let (whom, entry) = asked.open(memories, site, by, now)?;
    let noted = tokio::task::spawn_blocking(move || trail.append(&entry)).await;
    match noted {
        Ok(Ok(_)) => Ok(whom.answer(memories, config, site, now)),
        Ok(Err(error)) => Err(CheckError::Audit(error.to_string())),
        Err(error) => Err(CheckError::Audit(error.to_string())),
    }
}

// === impl CheckError ===

impl CheckError {
    /// Whether what was asked is at fault.
    pub fn is_of_the_question(&self) -> bool {
        !matches!(self, CheckError::Audit(_) | CheckError::Nothing)
    }
}

// === impl Asked ===

impl Asked {
    /// The site that is meant.
    pub fn site<'a>(&self, config: &'a Config) -> Result<&'a Site, CheckError> {
        Ok(config.chosen(Some(self.site_id.as_str()).filter(|id| !id.is_empty()))?)
    }

    /// The question without what it holds too much of, the hashes of whoever it is about,
    /// and the entry that stands in the trail before it is answered.
    fn open(
        mut self,
        memories: &Memories,
        site: &Site,
        by: Actor,
        now: Timestamp,
    ) -> Result<(Whom, Entry), CheckError> {
        if !audit::Purpose::OF_SECURITY.contains(&self.purpose) {
            return Err(CheckError::Purpose(self.purpose));
        }
        let (whom, words) = match (self.cookie.take(), self.user.take(), self.ip.take(), self.subject.take())
        {
            (Some(value), None, None, None) => self.of(&Who::Cookie(value), memories, site)?,
            (None, Some(key), None, None) => self.of(&Who::User(key), memories, site)?,
            (None, None, Some(ip), None) => {
                self.of(&Who::Address { ip, from: String::new(), to: String::new() }, memories, site)?
            }
            (None, None, None, Some(hash)) => (Whom::of_hash(&hash)?, self.words.clone()),
            _ => return Err(CheckError::NotOne),
        };
        let words = words.as_deref().map(line).transpose()?;
        let mut entry = Entry::new(now, by, Action::FraudChecked)
            .site(&site.id)
            .purpose(self.purpose, words.as_deref())
            .detail(format!("by {}", whom.by));
        let address = whom.ip.map(|ip| memories.eyes().key(&site.id, &ip));
        entry.subject = whom.visitor.or(whom.user).or(address).map(audit::Subject::hash);
        Ok((whom, entry))
    }

    /// Whose hashes, and the words in which the value does not stand.
    fn of(&self, who: &Who, memories: &Memories, site: &Site) -> Result<(Whom, Option<String>), CheckError> {
        let words = self.words.as_deref().map(|words| who.without_value(words));
        Ok((Whom::of(who, memories, site)?, words))
    }
}

/// Words as the trail keeps them: one line, without what points at a person by its shape.
fn line(given: &str) -> Result<String, CheckError> {
    if given.chars().any(char::is_control) {
        return Err(CheckError::Words);
    }
    kept("words", given, MAX_WORDS_BYTES).map_err(|_| CheckError::Words)
}

// === impl Whom ===

impl Whom {
    fn by(by: &'static str) -> Whom {
        Whom { by, visitor: None, user: None, ip: None, cookie: Cookie::Absent, notes: Vec::new() }
    }

    fn of_hash(hash: &str) -> Result<Whom, CheckError> {
        let is_hash = hash.len() == 16 && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
        let visitor = u64::from_str_radix(hash, 16).ok().filter(|_| is_hash);
        Ok(Whom { visitor: Some(visitor.ok_or(CheckError::Subject)?), ..Whom::by("subject") })
    }

    fn of(who: &Who, memories: &Memories, site: &Site) -> Result<Whom, CheckError> {
        let mut whom = Whom::by("ip");
        match who {
            Who::Address { ip, .. } => whom.ip = Some(ClientIp::parse(ip).ok_or(CheckError::Address)?),
            who => {
                (whom.by, whom.cookie) = match who {
                    Who::Cookie(_) => ("cookie", Cookie::Plausible),
                    _ => ("user", Cookie::Absent),
                };
                match identity::hash_of(&memories.eyes().keys, &site.id, who) {
                    Ok(Some(spool::Subject::Visitor(hash))) => whom.visitor = Some(hash),
                    Ok(Some(spool::Subject::UserKey(hash))) => whom.user = Some(hash),
                    Ok(None) => {}
                    Err(SubjectError::Cookie(error)) => whom.cookie = Cookie::Wrong(error),
                    Err(error @ SubjectError::CookieKey { .. }) => whom.notes.push(error.to_string()),
                    Err(error) => return Err(CheckError::User(error)),
                }
            }
        }
        Ok(whom)
    }

    /// What is known of them, and what the rules say.
    fn answer(self, memories: &Memories, config: &Config, site: &Site, now: Timestamp) -> Value {
        let eyes = memories.eyes();
        let places = eyes.enricher.places();
        let location = self.ip.map(|ip| places.location(&ip));
        let asked = self.ip.map(|ip| eyes.key(&site.id, &ip));
        let state = memories.state(&site.id);
        memories.look(&site.id, |memory| {
            let visitor = self.visitor.and_then(|hash| memory.visitor(hash));
            let user = self.user.and_then(|hash| memory.user(hash));
            let last = visitor.map(|visitor| visitor.visit.address);
            let now = now.as_millisecond();
            let browsers = user.map(|user| of_user(memory, user, now)).unwrap_or_default();
            let facts = Facts {
                config: &config.fraud,
                memory,
                now,
                visitor,
                user,
                browsers: &browsers,
                address: asked.or(last).and_then(|address| memory.address(address)),
                network: location.as_ref().map(|location| location.kind),
                knows_networks: places.knows_networks(),
                has_time_zones: site.fields.timezone,
                cookie: self.cookie,
            };
            let said = rules::ask(&facts);
            let mut notes = self.notes.clone();
            if !state.ready {
                notes.push("what was seen of visitors is not read from storage yet".to_owned());
            }
            if user.is_some_and(|user| user.browsers.had_more(first_day(now))) {
                notes.push(format!("of the user's browsers only the latest {MAX_BROWSERS} are looked at"));
            }
            let seen = seen(&facts);
            let score: u32 = said.iter().map(Said::points).sum();
            let place = facts.place().map(|place| place_of(memory, place));
            json!({
                "site_id": site.id,
                "by": self.by,
                "known": !seen.is_null(),
                "score": score,
                "threshold": config.fraud.threshold,
                "verdict": verdict(score, config.fraud.threshold, seen.is_null()),
                "location": location.as_ref().map_or(json!(place), |location| json!(location)),
                "seen": seen,
                "signals": said.iter().filter_map(signal).collect::<Vec<Value>>(),
                "rules": said.iter().filter_map(silence).collect::<Vec<Value>>(),
                "memory": state,
                "notes": notes,
            })
        })
    }
}

/// In a word: who is to be looked at, and of whom nothing can be said.
fn verdict(score: u32, threshold: u32, is_unknown: bool) -> &'static str {
    match score {
        score if score >= threshold => "review",
        0 if is_unknown => "unknown",
        _ => "plausible",
    }
}

/// What was seen of them; null if nothing was.
fn seen(facts: &Facts) -> Value {
    let of_track = |track: &Track| {
        json!({
            "first": instant(track.first), "last": instant(track.last), "hits": track.hits,
            "addresses": track.addresses.since(1), "countries": track.countries.since(1),
        })
    };
    match (facts.visitor, facts.user, facts.address) {
        (Some(visitor), ..) => of_track(&visitor.track),
        (None, Some(user), _) => {
            let mut seen = of_track(&user.track);
            seen["browsers"] = json!(facts.browsers.len());
            seen
        }
        (None, None, Some(address)) => json!({
            "last": instant(address.last), "hits_of_last_day": address.hits,
            "visitors_of_last_day": address.people(), "marked_of_last_day": address.marked,
        }),
        (None, None, None) => Value::Null,
    }
}

/// Where a visitor was seen last, as far as it is remembered.
fn place_of(memory: &Memory, place: Place) -> Value {
    json!({
        "country": memory.words.name(place.country),
        "city": memory.words.name(place.city),
        "coordinates": place.point.map(|point| point.at),
        "accuracy_km": place.point.map(|point| point.accuracy_km),
        "kind": place.network,
        "at": instant(place.time),
    })
}

fn signal(said: &Said) -> Option<Value> {
    match &said.verdict {
        Verdict::Fired(evidence) => Some(json!({
            "rule": said.rule.name, "points": said.weight, "about": said.rule.about,
            "evidence": evidence.shown,
        })),
        _ => None,
    }
}

/// A rule that did not fire, and why it could not.
fn silence(said: &Said) -> Option<Value> {
    let why = match said.verdict {
        Verdict::Fired(_) => return None,
        Verdict::Quiet => None,
        Verdict::Off(why) | Verdict::Unknown(why) => Some(why),
    };
    Some(json!({ "rule": said.rule.name, "state": said.verdict.name(), "weight": said.weight, "why": why }))
}
