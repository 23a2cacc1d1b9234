//! What a visit is, and how a visit without cookies outlives midnight.
//!
//! A *visit* is the hits of one person, from a page view or event on, until none
//! comes for more than [`TIMEOUT_MS`]. Hits of other kinds keep it alive and make
//! it last, but none begins one (an error of a script does neither: it is nothing that
//! the visitor did); what they report after such a gap is still said of
//! that visit's page and source, and does not lengthen it. No collector keeps
//! visits, and nothing about them is stored: a row says who and when, and each
//! question splits the rows that it sees at that moment (`crate::query`). So
//!
//! - a restart ends no visit, since none is in memory;
//! - tabs and collectors share a visit without speaking to each other: the same
//!   cookie, or the same salt (collectors share `keys.dir` and nothing else),
//!   gives the same hash;
//! - a hit that arrives in storage late, twice or out of order lands where it
//!   belongs: its time is the clock of the collector that received it, written
//!   into the row before anything else happens to it, and it keeps that time
//!   however long it waits in the spool; sending it again stores it once. A page
//!   that retries is a matter of hit ids ([`crate::pipeline`]).
//!
//! # Midnight
//!
//! Without a cookie the person is a hash under the day's salt, and the salt
//! changes at the site's midnight: one visit would become two, of two people.
//! A visit that goes on has a hit in the first [`TIMEOUT_MS`] of the new day, so
//! a cookieless hit then also carries, as `before`, the hash that its sender had
//! under the day before's salt. A question joins the two: the person of today's
//! hash T *is* yesterday's P if T's first hit that carries (T, before P) comes at
//! most [`TIMEOUT_MS`] after P's last hit. Only hits whose person is their hash
//! take part: those that belong to a cookie (minted, and come back), and machines,
//! neither carry a link nor hold one. In other words, midnight changes nothing
//! for who is on the site, and everything for who is not.
//!
//! "The first half hour" is meant as an instant: the hit carries the hash of the
//! day that it was half an hour ago, if that was another day. So it needs no
//! notion of when a day begins, which changes of the clock make hard (in Cairo a
//! day may begin at 1:00), and it is exactly the time in which a link can matter.
//!
//! **It holds for T's whole day**, not for the visit alone: somebody who comes
//! back in the afternoon is the same visitor of that day, so the visitors of a day
//! are never more than its hashes. Links chain: T may be the P of the next midnight.
//!
//! **What that means for privacy.** Without a cookie nobody is recognised on
//! another day, except who was on the site at midnight; and for longer than two
//! days, only who was there at each midnight between. To somebody who reads the
//! table itself, `before` joins the two days of any hash with a hit in the first
//! half hour, whether or not its visit went on, since the collector that writes it
//! cannot know; after that half hour nothing joins a hash to another day, and the
//! salts themselves go (`privacy/keys/salt.rs`). A chain is not cut after one
//! midnight: it would split the visit of whoever is there at the second, and would
//! hide from a question only what the table says all the same.
//!
//! Tried and left: keeping recent visitors in memory (lost at a restart, and
//! another collector does not have them); yesterday's salt for a whole visit (the
//! collector would have to know where the visit began); a day that ends at the
//! visitor's night (no hour is nobody's).
//!
//! Not mended: two tabs of a new browser that both ask before either is answered
//! get a cookie each, of which the browser keeps one; the hit with the other stays
//! its hash's.

use jiff::SignedDuration;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::sites::SiteState;
use crate::event::Client;
use crate::privacy::keys::KeyRing;

/// A visit ends after so long without a hit: half an hour, as everywhere in the
/// field. The first hits of a day carry `before` for as long.
pub const TIMEOUT_MS: i64 = 30 * 60 * 1000;

/// Who sent a hit without a cookie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cookieless {
    /// Today's hash; never 0.
    pub visitor: u64,
    /// The hash of the day before, in the first half hour of a day; else 0.
    pub before: u64,
}

/// Tells a sender without a cookie apart. `None` when the system gives no random
/// numbers for the day's salt.
pub fn cookieless(keys: &KeyRing, site: &SiteState, client: &Client, now: Timestamp) -> Option<Cookieless> {
    let (id, prefix) = (&site.site.id, client.ip.prefix());
    let today = day(now, &site.timezone);
    let visitor = keys.cookieless_visitor(id, today, &prefix, &client.user_agent)?;
    let before = day_before(now, today, &site.timezone)
        .map_or(0, |day| keys.cookieless_before(id, day, &prefix, &client.user_agent));
    Some(Cookieless { visitor, before })
}

/// The site's calendar day.
pub fn day(now: Timestamp, zone: &TimeZone) -> Date {
    zone.to_datetime(now).date()
}

/// The day that it was half an hour ago, if that was another one.
fn day_before(now: Timestamp, today: Date, zone: &TimeZone) -> Option<Date> {
    let then = now.checked_sub(SignedDuration::from_millis(TIMEOUT_MS)).ok()?;
    Some(day(then, zone)).filter(|day| *day != today)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_half_hour_of_a_day_remembers_the_day_before_wherever_the_day_begins() {
        // Hours of UTC; the zones' own midnights are beside them.
        for (zone, at, before) in [
            ("UTC", "2026-05-11T00:00:00Z", Some("2026-05-10")),
            ("UTC", "2026-05-11T00:29:59.999Z", Some("2026-05-10")),
            ("UTC", "2026-05-11T00:30:00Z", None),
            ("UTC", "2026-05-10T23:59:59.999Z", None),
            ("Asia/Kathmandu", "2026-05-10T18:15:00Z", Some("2026-05-10")),
            ("Asia/Kathmandu", "2026-05-10T18:45:00Z", None),
            ("Pacific/Kiritimati", "2026-05-10T10:29:59.999Z", Some("2026-05-10")),
            ("Etc/GMT+12", "2026-05-11T12:00:00Z", Some("2026-05-10")),
            // 24 April 2026 begins at 1:00 in Cairo, which is 22:00 UTC.
            ("Africa/Cairo", "2026-04-23T21:59:59.999Z", None),
            ("Africa/Cairo", "2026-04-23T22:00:00Z", Some("2026-04-23")),
            ("Africa/Cairo", "2026-04-23T22:30:00Z", None),
            // The last hour of 29 October comes twice there: 30 October begins at 22:00 UTC.
            ("Africa/Cairo", "2026-10-29T21:10:00Z", None),
            ("Africa/Cairo", "2026-10-29T22:10:00Z", Some("2026-10-29")),
            // The first hour of 2 November 2025 came twice in Havana: it had one beginning.
            ("America/Havana", "2025-11-02T04:10:00Z", Some("2025-11-01")),
            ("America/Havana", "2025-11-02T05:10:00Z", None),
            // A date that was left out.
            ("Pacific/Apia", "2011-12-30T10:10:00Z", Some("2011-12-29")),
        ] {
            let now: Timestamp = at.parse().expect("an instant");
            let zone = TimeZone::get(zone).expect("a zone");
            let found = day_before(now, day(now, &zone), &zone).map(|day| day.to_string());
            assert_eq!(found.as_deref(), before, "{at} in {zone:?}");
        }
    }
}
