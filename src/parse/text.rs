//! Text that others wrote: cleaned of what could deceive a reader of tables and
//! logs, and cut to its bound.

use std::borrow::Cow;

/// Whether a character may not be stored: control characters, line and
/// paragraph separators, bidirectional overrides and isolates, the byte order
/// mark and non-characters.
pub fn is_unprintable(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{2028}' | '\u{2029}' | '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}'
            | '\u{2066}'..='\u{2069}' | '\u{FEFF}' | '\u{FFF0}'..='\u{FFFB}' | '\u{FFFE}' | '\u{FFFF}')
}

/// The text with each run of white space and unprintable characters as one
/// space, and none at its ends.
pub fn clean(text: &str) -> Cow<'_, str> {
    if is_tidy_ascii(text) {
        return Cow::Borrowed(text);
    }
    let is_gap = |character: char| match character {
        // What nearly all text consists of: ASCII and Cyrillic.
        '!'..='~' | '\u{400}'..='\u{52F}' => false,
        _ => character.is_whitespace() || is_unprintable(character),
    };
    let mut after_gap = true;
    let tidy = text.chars().all(|character| {
        let gap = is_gap(character);
        let fits = !gap || (character == ' ' && !after_gap);
        after_gap = gap;
        fits
    });
    if tidy && (text.is_empty() || !after_gap) {
        return Cow::Borrowed(text);
    }
    let mut cleaned = String::with_capacity(text.len());
    for word in text.split(is_gap).filter(|word| !word.is_empty()) {
        if !cleaned.is_empty() {
            cleaned.push(' ');
        }
        cleaned.push_str(word);
    }
    Cow::Owned(cleaned)
}

/// Whether a text is printable ASCII with single spaces inside: clean as it is.
fn is_tidy_ascii(text: &str) -> bool {
    let bytes = text.as_bytes();
    if bytes.first() == Some(&b' ') || bytes.last() == Some(&b' ') {
        return false;
    }
    // Without an early end, so that many bytes are looked at at once.
    let printable = bytes.iter().fold(true, |all, byte| all & matches!(byte, b' '..=b'~'));
    let neighbours = bytes.iter().zip(bytes.get(1..).unwrap_or_default());
    let single = neighbours.fold(true, |all, (one, next)| all & ((*one != b' ') | (*next != b' ')));
    printable & single
}

/// Bytes as text; what is no UTF-8 becomes U+FFFD.
pub fn lossy(bytes: &[u8]) -> Cow<'_, str> {
    // Checked first: that is quicker than looking for the broken parts of what is whole.
    std::str::from_utf8(bytes).map_or_else(|_| String::from_utf8_lossy(bytes), Cow::Borrowed)
}

/// The longest beginning of the text that ends at a character and is no longer
/// than `bytes`.
pub fn cut(text: &str, bytes: usize) -> &str {
    if text.len() <= bytes {
        return text;
    }
    let end = (0..=bytes).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    &text[..end]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn text_loses_what_could_deceive_and_keeps_the_rest() {
        for (input, expected) in [
            ("", ""),
            ("Запись на приём", "Запись на приём"),
            ("  a  b ", "a b"),
            ("a\u{0}b", "a b"),
            ("a\r\n\tb", "a b"),
            ("a\u{1b}[31mb", "a [31mb"),
            ("a\u{202e}gpj.exe", "a gpj.exe"),
            ("a\u{2028}b", "a b"),
            ("\u{7f}\u{85}", ""),
            ("👩\u{200d}⚕\u{fe0f}", "👩\u{200d}⚕\u{fe0f}"),
        ] {
            assert_eq!(clean(input), expected, "{input:?}");
        }
    }

    #[test]
    fn text_is_cut_at_a_character() {
        for (input, bytes, expected) in
            [("приём", 4, "пр"), ("приём", 5, "пр"), ("ab", 9, "ab"), ("ab", 0, "")]
        {
            assert_eq!(cut(input, bytes), expected);
        }
    }

    proptest! {
        #[test]
        fn clean_text_stays_as_it_is(text in any::<String>()) {
            let once = clean(&text).into_owned();
            prop_assert!(!once.chars().any(is_unprintable));
            prop_assert_eq!(clean(&once), once.as_str());
        }

        #[test]
        fn cut_text_is_within_its_bound(text in any::<String>(), bytes in 0..64_usize) {
            let short = cut(&text, bytes);
            prop_assert!(short.len() <= bytes && text.starts_with(short));
        }
    }
}
