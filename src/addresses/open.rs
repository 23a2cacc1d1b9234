//! An address opened: bound by hour, then whether the site has it, then the audit trail, then the
//! address.

use std::num::NonZeroU32;

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::statement::{Statement, stored_in};
use super::token::Stored;
use super::{AddressError, Desk};
use crate::audit::entry::MAX_WORDS_BYTES;
use crate::audit::{Action, Actor, Entry, Purpose, Subject};
use crate::config::{IpStorage, Site};
use crate::query::Visible;
use crate::rights::numbered::kept;
use crate::store::Param;

/// How many addresses one person or program opens at once, and then in an hour, one every other
/// minute: an incident has some, and whoever wants all visitors' should not get them here.
pub const OPENINGS_PER_HOUR: u32 = 30;
/// So many names are remembered before those are forgotten that may open again anyway.
const MAX_NAMES: usize = 1024;

/// Which address is to be opened, and why.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Opening {
    pub site_id: String,
    /// Its token.
    pub address: String,
    pub purpose: String,
    /// Why, in one line.
    pub words: String,
}

/// Who opened how many.
pub struct Openings {
    limit: DefaultKeyedRateLimiter<String>,
    clock: DefaultClock,
}

// === impl Openings ===

impl Default for Openings {
    fn default() -> Self {
        let most = NonZeroU32::new(OPENINGS_PER_HOUR).expect("the constant above is not zero");
        Openings { limit: RateLimiter::keyed(Quota::per_hour(most)), clock: DefaultClock::default() }
    }
}

impl Openings {
    /// Counts one, or says how long to wait.
    fn count(&self, by: &Actor) -> Result<(), AddressError> {
        if self.limit.len() > MAX_NAMES {
            self.limit.retain_recent();
        }
        let counted = self.limit.check_key(&by.to_string());
        counted.map_err(|early| AddressError::TooOften(early.wait_time_from(self.clock.now())))
    }
}

// === impl Opening ===

impl Opening {
    /// What stands in the trail, or what is wrong.
    fn read(&self) -> Result<(Stored, Purpose, String), AddressError> {
        let mut mistakes = Vec::new();
        let stored = Stored::of_token(&self.address);
        if stored.is_none() {
            mistakes.push("address: expected the token of an address".to_owned());
        }
        let purpose = Purpose::OF_SECURITY.into_iter().find(|purpose| purpose.name() == self.purpose);
        if purpose.is_none() {
            let names = Purpose::OF_SECURITY.map(Purpose::name).join(", ");
            mistakes.push(format!("purpose: expected one of {names}"));
        }
        // Without addresses, and what else points at a person by its shape.
        let is_line = !self.words.trim().chars().any(char::is_control);
        let words = kept("words", self.words.trim(), MAX_WORDS_BYTES).ok().filter(|_| is_line);
        if words.is_none() {
            mistakes.push(format!("words: expected one line of 1 to {MAX_WORDS_BYTES} bytes"));
        }
        match (stored, purpose, words) {
            (Some(stored), Some(purpose), Some(words)) => Ok((stored, purpose, words)),
            _ => Err(AddressError::Question(mistakes)),
        }
    }
}

// === impl Desk ===

impl Desk {
    /// Opens one address of a site for `by`.
    pub async fn open(
        &self,
        site: &Site,
        opening: &Opening,
        by: Actor,
        now: Timestamp,
    ) -> Result<Value, AddressError> {
        if opening.site_id != site.id {
            return Err(AddressError::wrong("site_id: expected the id of the site"));
        }
        let (stored, purpose, words) = opening.read()?;
        self.openings.count(&by)?;
        let place = self.seen(site, stored).await?.ok_or(AddressError::Unseen)?;
        let ip = self.keys.reveal(stored.ip, stored.key).ok_or(AddressError::Destroyed(stored.key))?;
        let entry = Entry::new(now, by, Action::AddressOpened)
            .site(&site.id)
            .subject(Subject::hash(self.keys.address_mark(&site.id, &ip)))
            .purpose(purpose, Some(&words));
        self.note(entry).await?;
        let notes: Vec<&str> = match site.ip {
            IpStorage::Truncated => vec!["this site stores the first address of a /24 or /48"],
            _ => Vec::new(),
        };
        Ok(json!({
            "ip": ip.lookup(|address| address.to_string()),
            "country": place[0], "region": place[1], "city": place[2],
            "asn": place[3].as_u64(), "network": place[4],
            "notes": notes,
        }))
    }

    /// Where the address was last seen on the site: country, region, city, number and name of the
    /// network. None where the site has neither hits nor refusals from it.
    async fn seen(&self, site: &Site, stored: Stored) -> Result<Option<[Value; 5]>, AddressError> {
        let database = self.storage.database();
        let visible = match self.storage.has_blocks(&site.id).await? {
            true => Visible::unblocked(database),
            false => Visible::all(database),
        };
        let is_it = format!("site = {{site:String}} AND {}", stored_in("forms"));
        let of_hits = format!(
            "SELECT count(), argMax(toString(country), time), argMax(toString(region), time), \
             argMax(toString(city), time), argMax(asn, time), argMax(toString(network), time) \
             FROM {database}.hits WHERE {is_it}{}",
            visible.condition()
        );
        let of_refusals = format!(
            "SELECT count(), argMax(toString(country), hour), '', '', argMax(asn, hour), '' \
             FROM {database}.refusals WHERE {is_it}"
        );
        let forms = self.forms_of(stored).into_iter().map(Stored::form).collect();
        let params = vec![
            ("site".to_owned(), Param::Text(site.id.clone())),
            ("forms".to_owned(), Param::Texts(forms)),
        ];
        for sql in [of_hits, of_refusals] {
            let rows = self.put(&Statement { sql, params: params.clone() }).await?;
            if let Some([count, place @ ..]) = rows.first().map(Vec::as_slice)
                && count.as_u64() > Some(0)
            {
                return Ok(<[Value; 5]>::try_from(place.to_vec()).ok());
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn one_person_opens_so_many_an_hour_and_others_are_not_held_up() {
        let openings = Openings::default();
        let olga = Actor::Person("olga".to_owned());
        for _ in 0..OPENINGS_PER_HOUR {
            assert!(openings.count(&olga).is_ok());
        }
        match openings.count(&olga) {
            Err(AddressError::TooOften(wait)) => {
                assert!(
                    wait > Duration::ZERO && wait <= Duration::from_secs(3600 / u64::from(OPENINGS_PER_HOUR))
                );
            }
            _ => panic!("one too many"),
        }
        assert!(openings.count(&Actor::Person("vera".to_owned())).is_ok());
    }
}
