//! Small facts about the browser: its language and its screen's width class.

/// The longest `Accept-Language` that is looked at, in bytes: browsers send up
/// to a dozen languages of at most 12 bytes.
const MAX_HEADER_BYTES: usize = 256;

/// A language of three letters, a dash, a region of two.
const MAX_TAG_BYTES: usize = 6;
/// The quality of a language without one, in thousandths.
const MAX_QUALITY: u32 = 1000;

/// The lower bound of each class of screen widths in CSS pixels, and its name.
/// Bounds are those at which layouts change: phone, large phone, tablet,
/// laptop, desktop, large desktop.
const SCREEN_CLASSES: [(u32, &str); 6] = [
    (1920, "1920+"),
    (1440, "1440-1919"),
    (1024, "1024-1439"),
    (768, "768-1023"),
    (480, "480-767"),
    (1, "1-479"),
];

/// A language and perhaps a region, lower case: `ru`, `pt-br`. Held in place.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Language {
    bytes: [u8; MAX_TAG_BYTES],
    length: u8,
}

/// The language that `Accept-Language` prefers, as `ru` or `pt-br`: the highest
/// quality, the first of equals. Scripts are left out. Empty if there is none.
pub fn language(header: &str) -> Language {
    let mut end = header.len().min(MAX_HEADER_BYTES);
    while !header.is_char_boundary(end) {
        end -= 1;
    }
    let mut best = (0, Language::default());
    for item in header[..end].split(',') {
        let (tag, parameters) = item.split_once(';').unwrap_or((item, ""));
        let quality = match parameters {
            "" => MAX_QUALITY,
            _ => parameters
                .split(';')
                .find_map(|part| part.trim().strip_prefix("q="))
                .map_or(MAX_QUALITY, thousandths),
        };
        if quality > best.0
            && let Some(tag) = Language::read(tag.trim())
        {
            best = (quality, tag);
            if quality == MAX_QUALITY {
                break;
            }
        }
    }
    best.1
}

/// The class of a screen width in CSS pixels; empty for 0, which is unknown.
pub fn screen_class(width: u32) -> &'static str {
    SCREEN_CLASSES.iter().find(|(least, _)| width >= *least).map_or("", |(_, name)| name)
}

// === impl Language ===

impl Language {
    pub fn as_str(&self) -> &str {
        // Letters and a dash.
        std::str::from_utf8(&self.bytes[..usize::from(self.length)]).unwrap_or_default()
    }

    fn read(tag: &str) -> Option<Language> {
        let mut parts = tag.split(['-', '_']);
        let mut language = Language::default();
        language.push(parts.next().filter(|part| is_letters(part, 2..=3))?);
        if let Some(region) = parts.find(|part| is_letters(part, 2..=2)) {
            language.push("-");
            language.push(region);
        }
        Some(language)
    }

    fn push(&mut self, part: &str) {
        for byte in part.bytes() {
            self.bytes[usize::from(self.length)] = byte.to_ascii_lowercase();
            self.length += 1;
        }
    }
}

fn is_letters(text: &str, length: std::ops::RangeInclusive<usize>) -> bool {
    length.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphabetic())
}

/// `0.8` as 800, by the grammar of RFC 9110 (12.4.2); 0 for what is no quality.
fn thousandths(text: &str) -> u32 {
    let (whole, decimals) = text.trim_end().split_once('.').unwrap_or((text.trim_end(), ""));
    let is_number = decimals.len() <= 3 && decimals.bytes().all(|byte| byte.is_ascii_digit());
    let digits = decimals.bytes().chain(std::iter::repeat(b'0')).take(3);
    let decimals = digits.fold(0, |number, digit| number * 10 + u32::from(digit - b'0'));
    match whole {
        "0" if is_number => decimals,
        "1" if is_number && decimals == 0 => MAX_QUALITY,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_preferred_language_is_found() {
        for (header, expected) in [
            ("ru-RU,ru;q=0.9,en-US;q=0.8,en;q=0.7", "ru-ru"),
            ("ru", "ru"),
            ("en;q=0.5, pt-BR", "pt-br"),
            ("zh-Hans-CN;q=0.9", "zh-cn"),
            ("en_GB", "en-gb"),
            ("fil", "fil"),
            ("es-419,es;q=0.9", "es"),
            ("*", ""),
            ("*;q=0.5, de;q=0.4", "de"),
            ("", ""),
            ("q=1", ""),
            ("ru;q=0", ""),
            ("ru;q=nan, en", "en"),
            ("ru;q=1.5, en;q=0.1", "en"),
            ("de;q=0.25;x=1, ru;q=0.3", "ru"),
            ("x\u{0}y, \u{44f}\u{437}", ""),
        ] {
            assert_eq!(language(header).as_str(), expected, "{header:?}");
        }
        assert_eq!(language(&"\u{44f}".repeat(100_000)).as_str(), "");
    }

    #[test]
    fn every_width_has_one_class() {
        for (width, expected) in [
            (0, ""),
            (1, "1-479"),
            (390, "1-479"),
            (480, "480-767"),
            (768, "768-1023"),
            (1366, "1024-1439"),
            (1440, "1440-1919"),
            (1920, "1920+"),
            (u32::MAX, "1920+"),
        ] {
            assert_eq!(screen_class(width), expected, "{width}");
        }
    }
}
