//! Which site, which visitor, with what consent.
//!
//! In: the sender ([`crate::event::Client`]), the hit, the site's settings, the
//! key ring, the date. Out: an [`crate::event::Identity`] and what the answer
//! sets in the browser ([`consent::Answer`]).
//!
//! Invariants:
//!
//! - No visitor id is taken from a query or body; only from a cookie that the
//!   server signed, or from the day's salt, the address prefix and the user agent.
//! - Nothing decides a visit here: a hit says who and when, a question computes
//!   the visits ([`visit`] says what they are, and how they outlive midnight).
//! - A request mints at most one cookie, and only where the site's consent mode,
//!   the visitor's word and the browser's signals allow it. Marked hits get none.
//! - A cookie is sent only together with a row that carries its hash as `minted`.
//!
//! It keeps no list of visitors beyond the day; what is remembered between requests is bounded:
//! rate limits ([`limit`]), the day's new visitors by address ([`crowd`]) and hit ids
//! of the last day ([`crate::spool::Seen`]).

pub mod consent;
pub mod crowd;
pub mod limit;
pub mod sites;
pub mod visit;
