//! A text as a person would read it, each character with the bytes it came from.
//!
//! Percent-encoding is undone up to [`MAX_DECODINGS`] times. Wide and other
//! scripts' digits, spaces, dashes and `＠` become their plain forms; characters
//! without a width are left out, and go with the character before them. Bytes
//! that are no UTF-8 when decoded are shown as U+FFFD.

use super::Kind;

/// A link that went through three systems is encoded three times.
const MAX_DECODINGS: usize = 4;
/// Stands for what is beyond the ends and for what is marked: part of no shape.
pub const NOTHING: char = '\0';

/// One character.
#[derive(Clone, Copy)]
struct Cell {
    character: char,
    start: usize,
    end: usize,
    mark: Mark,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mark {
    Free,
    /// The first character of a find.
    First(Kind),
    Following,
}

/// The characters of a text, and what was found among them.
pub struct View {
    cells: Vec<Cell>,
}

// === impl View ===

impl View {
    pub fn of(text: &str) -> View {
        let mut bytes: Vec<(u8, usize, usize)> =
            text.bytes().enumerate().map(|(at, byte)| (byte, at, at + 1)).collect();
        for _ in 0..MAX_DECODINGS {
            if !decode(&mut bytes) {
                break;
            }
        }
        let plain: Vec<u8> = bytes.iter().map(|(byte, ..)| *byte).collect();
        let mut view = View { cells: Vec::with_capacity(plain.len()) };
        let mut at = 0;
        for chunk in plain.utf8_chunks() {
            for character in chunk.valid().chars() {
                let end = at + character.len_utf8();
                view.push(character, bytes[at].1, bytes[end - 1].2);
                at = end;
            }
            for _ in chunk.invalid() {
                view.push(char::REPLACEMENT_CHARACTER, bytes[at].1, bytes[at].2);
                at += 1;
            }
        }
        view
    }

    pub fn len(&self) -> usize {
        self.cells.len()
    }

    /// The character at a place; [`NOTHING`] beyond the end and where something was found.
    pub fn at(&self, at: usize) -> char {
        self.cells.get(at).map_or(NOTHING, |cell| cell.character)
    }

    /// The character before a place.
    pub fn before(&self, at: usize) -> char {
        at.checked_sub(1).map_or(NOTHING, |before| self.at(before))
    }

    /// The characters before a place, the nearest first.
    pub fn backwards(&self, at: usize) -> impl Iterator<Item = char> {
        self.cells[..at.min(self.cells.len())].iter().rev().map(|cell| cell.character)
    }

    /// Marks a find.
    pub fn mark(&mut self, start: usize, end: usize, kind: Kind) {
        for (index, cell) in self.cells[start..end].iter_mut().enumerate() {
            cell.character = NOTHING;
            cell.mark = if index == 0 { Mark::First(kind) } else { Mark::Following };
        }
    }

    /// The text with markers in place of the finds; `None` if there are none.
    pub fn written(&self, text: &str) -> Option<String> {
        let mut written = String::new();
        let mut from = 0;
        for cell in &self.cells {
            match cell.mark {
                Mark::Free => continue,
                Mark::First(kind) => {
                    written.push_str(&text[from..cell.start]);
                    written.push_str(kind.marker());
                }
                Mark::Following => {}
            }
            from = cell.end;
        }
        (from > 0).then(|| {
            written.push_str(&text[from..]);
            written
        })
    }

    fn push(&mut self, character: char, start: usize, end: usize) {
        match plain(character) {
            Some(character) => self.cells.push(Cell { character, start, end, mark: Mark::Free }),
            None => {
                if let Some(last) = self.cells.last_mut() {
                    last.end = end;
                }
            }
        }
    }
}

/// The byte that a percent sign and two hex digits stand for.
pub fn escape(bytes: &[u8], at: usize) -> Option<u8> {
    let digit = |at: usize| (*bytes.get(at)? as char).to_digit(16);
    (bytes.get(at) == Some(&b'%')).then_some(())?;
    Some((digit(at + 1)? * 16 + digit(at + 2)?) as u8)
}

/// Undoes one percent-encoding; false if there was none.
fn decode(bytes: &mut Vec<(u8, usize, usize)>) -> bool {
    let plain: Vec<u8> = bytes.iter().map(|(byte, ..)| *byte).collect();
    let (mut from, mut to) = (0, 0);
    while from < bytes.len() {
        let (decoded, step) = match escape(&plain, from) {
            Some(byte) => ((byte, bytes[from].1, bytes[from + 2].2), 3),
            None => (bytes[from], 1),
        };
        bytes[to] = decoded;
        (from, to) = (from + step, to + 1);
    }
    bytes.truncate(to);
    to < plain.len()
}

/// The plain form of a character; `None` if it has no width.
fn plain(character: char) -> Option<char> {
    Some(match character {
        '\u{AD}' | '\u{200B}'..='\u{200F}' | '\u{2060}' | '\u{FEFF}' => return None,
        // Read as nothing, so that they cannot look like what was found.
        NOTHING => char::REPLACEMENT_CHARACTER,
        '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{FE58}' | '\u{FE63}' => '-',
        '\u{3002}' => '.',
        '\u{660}'..='\u{669}' => digit(character, 0x660),
        '\u{6F0}'..='\u{6F9}' => digit(character, 0x6F0),
        // The wide forms of ASCII.
        '\u{FF01}'..='\u{FF5E}' => char::from(((character as u32) - 0xFF01 + 0x21) as u8),
        _ if character.is_whitespace() => ' ',
        _ => character,
    })
}

fn digit(character: char, zero: u32) -> char {
    char::from(b'0' + (character as u32 - zero) as u8)
}
