//! A request becomes a hit, or a refusal.
//!
//! In: a query string or a JSON body, the headers, the peer's address.
//! Out: [`report::Report`] (what the page said, read but not yet believed),
//! [`crate::event::Client`] (what the request says about its sender), and, once
//! the site is known, a [`crate::event::Hit`].
//!
//! All of it is pure: values in, values out, no clock and no I/O.
//!
//! Rules, the same for the pixel's query and the event's JSON:
//!
//! - Text is strict UTF-8: a bad percent-encoding in a known parameter, an
//!   overlong form or a lone surrogate is `bad-request`. Nothing is replaced by `U+FFFD`.
//! - A known key that occurs twice is `bad-request`; an unknown key is ignored.
//! - Identifiers (`s k uk i c w d sd`) are exact: anything else is `bad-request`.
//! - A page address (`u`) with a control character, or that is not an absolute
//!   http(s) address, is `bad-request`. A referrer that cannot be read is taken as not
//!   known: it is not the page's fault.
//! - Names (`n`, `ad`, keys of `p`) beyond their bound are `too-large`, because a
//!   cut name would be another name; free text (title, values of `p`, `utm_*`,
//!   paths) is cut at a character.
//! - Control, bidirectional-override and line-separator characters in stored
//!   text become one space. No stored text holds one.
//! - Personal data and secrets that are known by their shape are taken out of
//!   every text that is stored ([`hygiene`]), and the site's path rules group
//!   pages that name people.
//! - What the site's `fields` leave out is dropped here, before anything is
//!   stored; a hit that would hold nothing but such a field (`outbound`,
//!   `download`, `error`, engagement with neither time nor depth) is `bad-request`.

pub mod address;
pub mod client;
pub mod hit;
pub mod hygiene;
pub mod json;
pub mod link;
pub mod page;
pub mod query;
pub mod report;
pub mod script_error;
pub mod text;
