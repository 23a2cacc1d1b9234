//! Page hygiene: personal data and secrets are taken out of every text that a
//! page sends, before it is stored.
//!
//! In: a text as it was read from the request. Out: the text, in which each
//! e-mail address, phone number, payment card, document number, token and long
//! id is a marker that names its kind: `/thanks/[email]/`. [`kept`] is the only
//! way from a page's words to a stored string: paths of pages, referrers and
//! link targets, kept query values, `utm_*`, titles, names of events, ad blocks
//! and properties, and values of properties all come from it. Host names do not
//! (the page's is one of the site's own; the referrer's is a public name).
//!
//! The shapes, those that go and those that stay, are the table in
//! `docs/hygiene.md`, which the tests read; this is how they are found:
//!
//! 1. [`is_plain`] looks at each byte once. Without an `@`, an escape, nine
//!    digits or a long run of mixed letters and digits there is nothing to find,
//!    and the text is returned as it is: so for nearly all hits.
//! 2. [`view`] shows the text as a person would read it: percent-encoding undone,
//!    also when it was encoded several times, kinds of spaces, dashes and digits
//!    made one, invisible characters left out; each character remembers the
//!    bytes that it came from.
//! 3. [`email`], [`token`] and [`number`] mark what they know, in this order.
//!    What is marked no longer belongs to any other shape.
//! 4. The marked bytes are replaced, the others stay as they came. This is done
//!    again until nothing is found any more.
//!
//! Invariants: scrubbing a scrubbed text changes nothing; the result is cut at
//! characters; the cost grows with the length, of which no more than
//! [`MAX_TEXT_BYTES`] are looked at; no text panics. It is a matter of shapes:
//! names of people, street addresses and numbers of seven digits are not known
//! by their looks. For pages that name people there are the site's path rules.

mod email;
mod number;
#[cfg(test)]
mod tests;
mod token;
mod view;

use std::borrow::Cow;

use super::text::{clean, cut};
use view::View;

/// No more of a text is looked at, in bytes: the longest that is kept is an
/// eighth of it.
pub const MAX_TEXT_BYTES: usize = 8 * 1024;
/// So many bytes go from the end of a text that was longer: the beginning of
/// something whose end was not seen. Longer than any shape but a token, whose
/// parts are tokens.
const UNSEEN_TAIL_BYTES: usize = 64;
/// How often a text is looked at again after something was taken out. Two
/// suffice for what people write; a text that still changes was made to.
const MAX_ROUNDS: usize = 8;
/// The fewest digits of a number that is taken out.
const MIN_DIGITS: usize = 9;
/// The shortest run of letters and digits that can be a token.
const MIN_TOKEN: usize = 16;
/// The fewest changes between letters and digits, or to capitals, in a token.
const MIN_SWITCHES: usize = 4;

/// What is taken out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Email,
    Phone,
    /// A payment card.
    Card,
    /// Passport, SNILS, INN, health insurance.
    Document,
    /// What opens something: a session, a link from a letter.
    Token,
    /// A number so long that it can only stand for one person, order or device.
    Id,
}

// === impl Kind ===

impl Kind {
    /// What stands in its place. Holds no digit, no `@` and no letter beside a
    /// neighbour's, so that it is never part of another find.
    pub const fn marker(self) -> &'static str {
        match self {
            Kind::Email => "[email]",
            Kind::Phone => "[phone]",
            Kind::Card => "[card]",
            Kind::Document => "[document]",
            Kind::Token => "[token]",
            Kind::Id => "[id]",
        }
    }
}

/// Cleaned, scrubbed, cut: what is stored of a text that has a `name` (of its
/// property or parameter; else empty).
pub fn kept<'a>(name: &str, text: &'a str, bytes: usize) -> Cow<'a, str> {
    if is_short_and_clean(text) && text.len() <= bytes {
        return Cow::Borrowed(text);
    }
    let kept = |scrubbed: &str| finish(scrubbed, text.len(), bytes).trim_end().len();
    match clean(seen(text)) {
        Cow::Borrowed(cleaned) => shorten(scrub_named(name, cleaned), kept),
        Cow::Owned(cleaned) => Cow::Owned(shorten(scrub_named(name, &cleaned), kept).into_owned()),
    }
}

/// The same of a text that is not there any longer.
pub fn kept_of<'a>(name: &str, text: Cow<'a, str>, bytes: usize) -> Cow<'a, str> {
    match text {
        Cow::Borrowed(text) => kept(name, text, bytes),
        Cow::Owned(text) => Cow::Owned(kept(name, &text, bytes).into_owned()),
    }
}

/// The same for a path, in which spaces stay as they are.
pub fn kept_path(path: Cow<'_, str>, bytes: usize) -> Cow<'_, str> {
    let length = path.len();
    let kept = |scrubbed: &str| finish(scrubbed, length, bytes).len();
    match path {
        Cow::Borrowed(text) => shorten(scrub(seen(text)), kept),
        Cow::Owned(text) => Cow::Owned(shorten(scrub(seen(&text)), kept).into_owned()),
    }
}

/// A text's beginning, as long as `length` says.
fn shorten<'a>(text: Cow<'a, str>, length: impl Fn(&str) -> usize) -> Cow<'a, str> {
    let end = length(&text);
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(&text[..end]),
        Cow::Owned(mut text) => {
            text.truncate(end);
            Cow::Owned(text)
        }
    }
}

/// The text without what is personal or secret.
pub fn scrub(text: &str) -> Cow<'_, str> {
    scrub_named("", text)
}

/// The same for the value of something called `name`: `passport` makes any ten
/// digits a document's.
pub fn scrub_named<'a>(name: &str, text: &'a str) -> Cow<'a, str> {
    let mut changed: Option<String> = None;
    for _ in 0..MAX_ROUNDS {
        match round(name, changed.as_deref().unwrap_or(text)) {
            Some(next) => changed = Some(next),
            None => return changed.map_or(Cow::Borrowed(text), Cow::Owned),
        }
    }
    Cow::Borrowed(Kind::Id.marker())
}

/// `None` if there is nothing to take out.
fn round(name: &str, text: &str) -> Option<String> {
    if is_plain(text) {
        return None;
    }
    let mut view = View::of(text);
    email::mark(&mut view);
    token::mark(&mut view);
    number::mark(&mut view, name);
    view.written(text)
}

/// Whether a look at each byte shows that there is nothing to find. May say no
/// about a text in which nothing is found; never yes about another.
fn is_plain(text: &str) -> bool {
    let bytes = text.as_bytes();
    // Most texts are too short for anything but an address.
    if bytes.len() < MIN_DIGITS {
        return bytes
            .iter()
            .all(|byte| !matches!(CLASSES[usize::from(*byte)], Class::Alarm | Class::Percent));
    }
    let (mut digits, mut run, mut switches, mut hex) = (0, 0, 0, 0);
    let mut before = Class::Other;
    for (at, &byte) in bytes.iter().enumerate() {
        let class = CLASSES[usize::from(byte)];
        match class {
            Class::Other => (run, switches, hex) = (0, 0, 0),
            Class::Alarm => return false,
            // May be an invisible character within a token.
            Class::Wide => continue,
            Class::Percent => {
                if view::escape(bytes, at).is_some() {
                    return false;
                }
                (run, switches, hex) = (0, 0, 0);
            }
            Class::Digit | Class::Lower | Class::Upper | Class::Joint => {
                digits += usize::from(class == Class::Digit);
                run += 1;
                switches += usize::from(is_switch(before, class));
                hex = if byte.is_ascii_hexdigit() || class == Class::Joint { hex + 1 } else { 0 };
                let is_token = run >= MIN_TOKEN && (switches >= MIN_SWITCHES || hex >= MIN_TOKEN);
                if digits >= MIN_DIGITS || is_token {
                    return false;
                }
            }
        }
        before = class;
    }
    true
}

/// Whether a text is clean as it is and too short for anything but an e-mail address,
/// which it does not hold: what most texts are. It says no about many others like it.
fn is_short_and_clean(text: &str) -> bool {
    let bytes = text.as_bytes();
    if bytes.len() >= MIN_TOKEN || bytes.first() == Some(&b' ') || bytes.last() == Some(&b' ') {
        return false;
    }
    let (mut digits, mut others, mut before) = (0, 0, 0);
    for &byte in bytes {
        digits += usize::from(byte.is_ascii_digit());
        others |= usize::from(!matches!(byte, b' '..=b'~') | matches!(byte, b'@' | b'%'));
        others |= usize::from((byte == b' ') & (before == b' '));
        before = byte;
    }
    others == 0 && digits < MIN_DIGITS
}

/// What a byte may be part of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Other,
    Digit,
    Lower,
    Upper,
    /// `-` and `_`, which join the words of a token.
    Joint,
    Percent,
    /// A part of a character that is not ASCII.
    Wide,
    /// `@`, and the first bytes of `＠`, `０` and the digits of other scripts.
    Alarm,
}

const CLASSES: [Class; 256] = {
    let mut classes = [Class::Other; 256];
    let mut byte = 0;
    while byte < 256 {
        classes[byte] = match byte as u8 {
            b'0'..=b'9' => Class::Digit,
            b'a'..=b'z' => Class::Lower,
            b'A'..=b'Z' => Class::Upper,
            b'-' | b'_' => Class::Joint,
            b'%' => Class::Percent,
            // U+0640–067F, U+06C0–06FF, U+F000–FFFF.
            b'@' | 0xD9 | 0xDB | 0xEF => Class::Alarm,
            0x80.. => Class::Wide,
            _ => Class::Other,
        };
        byte += 1;
    }
    classes
};

/// Whether two neighbours are of different sorts: letter and digit, or a small
/// letter before a capital. `Ab` is how words begin.
fn is_switch(before: Class, after: Class) -> bool {
    matches!(
        (before, after),
        (Class::Digit, Class::Lower | Class::Upper)
            | (Class::Lower | Class::Upper, Class::Digit)
            | (Class::Lower, Class::Upper)
    )
}

/// The part of a text that is looked at.
fn seen(text: &str) -> &str {
    cut(text, MAX_TEXT_BYTES)
}

/// What is kept of a scrubbed text that was so long.
fn finish(scrubbed: &str, length: usize, bytes: usize) -> &str {
    let unseen = if length > MAX_TEXT_BYTES { UNSEEN_TAIL_BYTES } else { 0 };
    cut(scrubbed, bytes.min(scrubbed.len().saturating_sub(unseen)))
}
