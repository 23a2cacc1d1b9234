//! Tokens: UUIDs, JSON web tokens, long hex and base64url, and other long runs
//! in which letters and digits take turns as no word's do.
//!
//! A run is of letters, digits, `-` and `_`; a word is what `-` and `_` leave.
//! `iphone-15-pro-256gb` is a run of words; `k3j9x2m4q8w7z1t5` is not.

use super::view::View;
use super::{Class, Kind, MIN_SWITCHES, MIN_TOKEN, is_switch};

/// The shortest run with joints in it that can be a token: 20 characters of
/// base64url are 120 bits.
const MIN_JOINED: usize = 20;
/// Some word of a token is at least so long: else it is a list of short codes.
const MIN_LONGEST_WORD: usize = 6;
/// The lengths of a UUID's words.
const UUID: [usize; 5] = [8, 4, 4, 4, 12];
/// The most parts of a JSON web token (RFC 7516 has five).
const MAX_PARTS: usize = 5;

/// What a stretch of a run consists of.
#[derive(Default)]
struct Looks {
    length: usize,
    digits: usize,
    hex: usize,
    lower: usize,
    upper: usize,
    switches: usize,
}

pub fn mark(view: &mut View) {
    let mut at = 0;
    while at < view.len() {
        let end = run_end(view, at);
        if end == at {
            at += 1;
            continue;
        }
        at = if end - at >= MIN_TOKEN { mark_run(view, at, end) } else { end };
    }
}

/// Marks what is in a run; returns where to go on.
fn mark_run(view: &mut View, start: usize, end: usize) -> usize {
    let looks = Looks::of(view, start, end);
    let words = words(view, start, end);
    let whole = parts_end(view, end);
    if looks.switches >= MIN_SWITCHES
        && whole > end
        && let Some(&(first, _)) = words.iter().find(|(from, _)| is_web_token(view, *from))
    {
        view.mark(first, whole, Kind::Token);
        return whole;
    }
    let longest = words.iter().map(|(start, end)| end - start).max().unwrap_or(0);
    let share = if looks.lower > 0 && looks.upper > 0 { 4 } else { 3 };
    if end - start >= MIN_JOINED
        && longest >= MIN_LONGEST_WORD
        && looks.digits > 0
        && looks.switches >= MIN_SWITCHES.max(looks.length / share)
    {
        view.mark(start, end, Kind::Token);
        return end;
    }
    let mut index = 0;
    while let Some(&(from, to)) = words.get(index) {
        let uuid = words.get(index..index + UUID.len()).filter(|words| is_uuid(view, words));
        if let Some(uuid) = uuid {
            view.mark(from, uuid[UUID.len() - 1].1, Kind::Token);
            index += UUID.len();
            continue;
        }
        if to - from >= MIN_TOKEN && Looks::of(view, from, to).is_opaque() {
            view.mark(from, to, Kind::Token);
        }
        index += 1;
    }
    end
}

impl Looks {
    fn of(view: &View, start: usize, end: usize) -> Looks {
        let mut looks = Looks::default();
        let mut before = Class::Other;
        for at in start..end {
            let character = view.at(at);
            let class = class(character);
            looks.length += usize::from(class != Class::Joint);
            looks.digits += usize::from(class == Class::Digit);
            looks.lower += usize::from(class == Class::Lower);
            looks.upper += usize::from(class == Class::Upper);
            looks.hex += usize::from(character.is_ascii_hexdigit());
            looks.switches += usize::from(is_switch(before, class));
            before = class;
        }
        looks
    }

    /// Whether a word is hex, or no word at all.
    fn is_opaque(&self) -> bool {
        let is_mixed = self.digits > 0 && self.digits < self.length;
        is_mixed && (self.hex == self.length || self.switches >= MIN_SWITCHES.max(self.length / 4))
    }
}

fn class(character: char) -> Class {
    match character {
        '0'..='9' => Class::Digit,
        'a'..='z' => Class::Lower,
        'A'..='Z' => Class::Upper,
        '-' | '_' => Class::Joint,
        _ => Class::Other,
    }
}

fn run_end(view: &View, start: usize) -> usize {
    (start..view.len()).find(|at| class(view.at(*at)) == Class::Other).unwrap_or(view.len())
}

/// `{"` in base64url.
fn is_web_token(view: &View, at: usize) -> bool {
    [view.at(at), view.at(at + 1), view.at(at + 2)] == ['e', 'y', 'J']
}

/// The end of what follows the first part of a JSON web token.
fn parts_end(view: &View, mut end: usize) -> usize {
    for _ in 1..MAX_PARTS {
        if view.at(end) != '.' {
            break;
        }
        // The last part of an unsigned one is empty.
        end = run_end(view, end + 1);
    }
    end
}

fn words(view: &View, start: usize, end: usize) -> Vec<(usize, usize)> {
    let mut words = Vec::new();
    let mut from = start;
    for at in start..=end {
        if at == end || class(view.at(at)) == Class::Joint {
            if at > from {
                words.push((from, at));
            }
            from = at + 1;
        }
    }
    words
}

fn is_uuid(view: &View, words: &[(usize, usize)]) -> bool {
    words.iter().zip(UUID).all(|(&(start, end), length)| {
        end - start == length && (start..end).all(|at| view.at(at).is_ascii_hexdigit())
    })
}
