//! Small facts about the browser: its language and its screen's width class.

/// The longest `Accept-Language` that is looked at, in bytes: browsers send up
/// to a dozen languages of at most 12 bytes.
const MAX_HEADER_BYTES: usize = 256;

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

/// The language that `Accept-Language` prefers, as `ru` or `pt-br`: the highest
/// quality, the first of equals. Scripts are left out. Empty if there is none.
pub fn language(header: &str) -> String {
    let mut end = header.len().min(MAX_HEADER_BYTES);
    while !header.is_char_boundary(end) {
        end -= 1;
    }
    let mut best = (0, String::new());
    for item in header[..end].split(',') {
        let mut parts = item.split(';').map(str::trim);
        let tag = parts.next().unwrap_or_default();
        let quality = parts.find_map(|part| part.strip_prefix("q=")).map_or(1000, thousandths);
        if quality > best.0
            && let Some(tag) = language_tag(tag)
        {
            best = (quality, tag);
        }
    }
    best.1
}

/// The class of a screen width in CSS pixels; empty for 0, which is unknown.
pub fn screen_class(width: u32) -> &'static str {
    SCREEN_CLASSES.iter().find(|(least, _)| width >= *least).map_or("", |(_, name)| name)
}

fn language_tag(tag: &str) -> Option<String> {
    let mut parts = tag.split(['-', '_']);
    let language = parts.next().filter(|part| is_letters(part, 2..=3))?.to_ascii_lowercase();
    match parts.find(|part| is_letters(part, 2..=2)) {
        Some(region) => Some(format!("{language}-{}", region.to_ascii_lowercase())),
        None => Some(language),
    }
}

fn is_letters(text: &str, length: std::ops::RangeInclusive<usize>) -> bool {
    length.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphabetic())
}

/// `0.8` as 800; 0 for what is no quality.
fn thousandths(text: &str) -> u32 {
    text.parse::<f32>()
        .ok()
        .filter(|quality| (0.0..=1.0).contains(quality))
        .map_or(0, |quality| (quality * 1000.0) as u32)
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
            ("x\u{0}y, \u{44f}\u{437}", ""),
        ] {
            assert_eq!(language(header), expected, "{header:?}");
        }
        assert_eq!(language(&"\u{44f}".repeat(100_000)), "");
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
