//! Canaries: values that must be nowhere, the forms in which each is looked
//! for, and the scanner.
//!
//! Forms of a text: itself, backwards, hex, base64 at each of its three offsets
//! (also in the alphabet for URLs), percent-encoded. Forms of 16 bytes (an
//! address, a cookie's id): the bytes, backwards, hex, base64, and decimal as a
//! number of either byte order. An address also in the ways it is written. The
//! four bytes of an IPv4 address alone are not looked for: so few are found by
//! chance in what is compressed.

use std::net::{IpAddr, Ipv4Addr};

use aho_corasick::AhoCorasick;

/// A base64 or hex form shorter than this is found by chance.
const MIN_FORM_BYTES: usize = 8;

/// Everything that is looked for.
#[derive(Default)]
pub struct Canaries {
    forms: Vec<(String, Vec<u8>)>,
    values: usize,
}

/// The canaries as one automaton, and what was looked through.
pub struct Scanner {
    automaton: AhoCorasick,
    names: Vec<String>,
    pub bytes: usize,
    pub places: usize,
}

// === impl Canaries ===

impl Canaries {
    /// A text that somebody sent.
    pub fn text(&mut self, what: &str, value: &str) {
        self.values += 1;
        self.bytes_of(what, value.as_bytes());
        let each: String = value.bytes().map(|byte| format!("%{byte:02X}")).collect();
        self.form(what, "percent-encoded", each.clone());
        self.form(what, "percent-encoded", each.to_lowercase());
        let needed: String = url::form_urlencoded::byte_serialize(value.as_bytes()).collect();
        if needed != value {
            self.form(what, "percent-encoded where needed", needed);
        }
    }

    /// Sixteen bytes, such as a cookie's id.
    pub fn sixteen(&mut self, what: &str, value: [u8; 16]) {
        self.values += 1;
        self.bytes_of(what, &value);
        self.form(what, "decimal", u128::from_be_bytes(value).to_string());
        self.form(what, "decimal", u128::from_le_bytes(value).to_string());
    }

    /// A client's address.
    pub fn address(&mut self, what: &str, address: &str) {
        match address.parse().expect("an address") {
            IpAddr::V4(four) => {
                self.sixteen(what, four.to_ipv6_mapped().octets());
                self.form(what, "decimal", four.to_bits().to_string());
                for hex in [format!("{:08x}", four.to_bits()), format!("{:08X}", four.to_bits())] {
                    self.form(what, "hex", hex);
                }
                let [a, b, c, d] = four.octets();
                self.form(what, "written", address.to_owned());
                self.form(what, "backwards", Ipv4Addr::new(d, c, b, a).to_string());
                let [.., high, low] = four.to_ipv6_mapped().segments();
                self.form(what, "written as IPv6", format!("ffff:{high:x}:{low:x}"));
            }
            IpAddr::V6(six) => {
                self.sixteen(what, six.octets());
                self.form(what, "written", address.to_owned());
                let full: Vec<String> = six.segments().iter().map(|part| format!("{part:04x}")).collect();
                self.form(what, "written in full", full.join(":"));
            }
        }
    }

    /// How many values there are, and in how many forms.
    pub fn counts(&self) -> (usize, usize) {
        (self.values, self.forms.len())
    }

    pub fn scanner(&self) -> Scanner {
        let automaton = AhoCorasick::new(self.forms.iter().map(|(_, form)| form)).expect("an automaton");
        let names = self.forms.iter().map(|(name, _)| name.clone()).collect();
        Scanner { automaton, names, bytes: 0, places: 0 }
    }

    fn bytes_of(&mut self, what: &str, value: &[u8]) {
        self.form(what, "as it is", value);
        self.form(what, "backwards", value.iter().rev().copied().collect::<Vec<u8>>());
        let hex: String = value.iter().map(|byte| format!("{byte:02x}")).collect();
        self.form(what, "hex", hex.to_uppercase());
        self.form(what, "hex", hex);
        for offset in 0..3 {
            let text = base64(value, offset);
            let for_urls = text.replace('+', "-").replace('/', "_");
            if for_urls != text {
                self.form(what, "base64 for URLs", for_urls);
            }
            self.form(what, "base64", text);
        }
    }

    fn form(&mut self, what: &str, how: &str, form: impl Into<Vec<u8>>) {
        let form = form.into();
        assert!(form.len() >= MIN_FORM_BYTES, "{what}, {how}: {} bytes would be found by chance", form.len());
        self.forms.push((format!("{what}, {how}"), form));
    }
}

// === impl Scanner ===

impl Scanner {
    /// Fails if a canary is in `bytes`.
    pub fn look(&mut self, place: &str, bytes: &[u8]) {
        self.places += 1;
        self.bytes += bytes.len();
        if let Some(found) = self.automaton.find(bytes) {
            let around = &bytes[found.start().saturating_sub(80)..bytes.len().min(found.end() + 80)];
            panic!("{} is in {place}: {}", self.names[found.pattern().as_usize()], around.escape_ascii());
        }
    }
}

/// Whether a text that is stored in the clear on purpose is there.
pub fn holds(haystack: &[u8], needle: &str) -> bool {
    AhoCorasick::new([needle]).expect("an automaton").is_match(haystack)
}

/// The digits of base64 that `value` alone decides, when it begins `offset`
/// bytes after a whole group.
fn base64(value: &[u8], offset: usize) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bit = |at: usize| value.get(at / 8).map_or(0, |byte| (byte >> (7 - at % 8)) & 1);
    // The first digit that begins within the value, and how many end within it.
    let skipped = (6 - offset * 8 % 6) % 6;
    let digits = (value.len() * 8 - skipped) / 6;
    (0..digits)
        .map(|digit| {
            let number = (0..6).fold(0, |number, at| (number << 1) | bit(skipped + digit * 6 + at));
            char::from(DIGITS[usize::from(number)])
        })
        .collect()
}

#[test]
fn every_form_of_a_canary_is_found() {
    let mut canaries = Canaries::default();
    canaries.text("a text", "ivan.canary@example.com");
    canaries.address("an address", "203.0.113.77");
    let found = |bytes: &[u8]| canaries.scanner().automaton.is_match(bytes);
    for text in [
        "ivan.canary@example.com",
        "moc.elpmaxe@yranac.navi",
        "6976616E2E63616E617279406578616D706C652E636F6D",
        // `base64` of the text, and of the text after one and two letters.
        "aXZhbi5jYW5hcnlAZXhhbXBsZS5jb20=",
        "eGl2YW4uY2FuYXJ5QGV4YW1wbGUuY29t",
        "eHhpdmFuLmNhbmFyeUBleGFtcGxlLmNvbQ==",
        "ivan.canary%40example.com",
        "203.0.113.77",
        "3405803853",
        "::ffff:cb00:714d",
        "00000000000000000000FFFFCB00714D",
        "281474087547213",
    ] {
        assert!(found(format!("before {text} after").as_bytes()), "{text}");
    }
    let address: Ipv4Addr = "203.0.113.77".parse().expect("an address");
    let bytes = address.to_ipv6_mapped().octets();
    assert!(found(&bytes) && found(&bytes.iter().rev().copied().collect::<Vec<u8>>()));
    assert!(!found(b"ivan.canary@example.org 203.0.113.7 3405803852"));
}
