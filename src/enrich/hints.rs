//! What the header `Sec-CH-UA` says that the user agent does not.
//!
//! Browsers built on Chromium send it by themselves with every request over
//! https (and to loopback): `"Chromium";v="131", "Google Chrome";v="131"`. A
//! program that only exchanges its user agent string leaves it as it is. Nothing
//! of it is stored.

/// The longest header that is looked at, in bytes: browsers name three or four
/// brands in at most 150.
const MAX_HEADER_BYTES: usize = 512;
/// Companies could keep Chrome's user agent at this version while the browser
/// went on, for pages that could not read three digits (the enterprise policy
/// `ForceMajorVersionToMinorPositionInUserAgent`).
const FROZEN_VERSION: u32 = 99;

/// What the hints say. All empty where they are not sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClientHints {
    /// A brand is `HeadlessChrome`.
    pub headless: bool,
    /// The version of the brand `Chromium`; 0 when there is none.
    pub chromium: u32,
}

// === impl ClientHints ===

impl ClientHints {
    /// What the header says.
    pub fn of(text: &str) -> ClientHints {
        let mut hints = ClientHints::default();
        if text.len() > MAX_HEADER_BYTES {
            return hints;
        }
        // A made-up brand may hold commas; no real one is named by a piece of it.
        for item in text.split(',') {
            let mut parts = item.trim().split(';');
            let brand = parts.next().unwrap_or_default().trim().trim_matches('"');
            let version = parts.find_map(|part| part.trim().strip_prefix("v="));
            match brand {
                "HeadlessChrome" => hints.headless = true,
                "Chromium" => {
                    hints.chromium = version.map_or(0, |version| leading(version.trim_matches('"')))
                }
                _ => {}
            }
        }
        hints
    }

    /// Whether the user agent names another version of Chrome than the hints.
    pub fn contradict(self, user_agent: &str) -> bool {
        let named = match user_agent.split_once("Chrome/") {
            Some((_, rest)) => leading(rest),
            None => 0,
        };
        self.chromium != 0 && named != 0 && named != self.chromium && named != FROZEN_VERSION
    }
}

/// The number that a text begins with; 0 when there is none.
fn leading(text: &str) -> u32 {
    let end = text.bytes().take_while(u8::is_ascii_digit).count();
    text[..end].parse().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brands_are_read_and_everything_else_is_nothing() {
        for (text, headless, chromium) in [
            (r#""Google Chrome";v="131", "Chromium";v="131", "Not_A Brand";v="24""#, false, 131),
            (r#""Not(A:Brand";v="99", "HeadlessChrome";v="133", "Chromium";v="133""#, true, 133),
            (
                r#""Chromium";v="130", "YaBrowser";v="24.12", "Not?A_Brand";v="99", "Yowser";v="2.5""#,
                false,
                130,
            ),
            (r#""Chromium""#, false, 0),
            (r#""Chromium";v="x""#, false, 0),
            (r#""Chromium";v="99999999999999""#, false, 0),
            ("", false, 0),
            (",;,;=\"", false, 0),
        ] {
            assert_eq!(ClientHints::of(text), ClientHints { headless, chromium }, "{text}");
        }
        assert_eq!(
            ClientHints::of(&format!("{}\"HeadlessChrome\"", ",".repeat(600))),
            ClientHints::default()
        );
    }

    #[test]
    fn only_another_version_of_chrome_is_a_contradiction() {
        let contradicts =
            |chromium, user_agent: &str| ClientHints { headless: false, chromium }.contradict(user_agent);
        for (chromium, user_agent, expected) in [
            (131, "Mozilla/5.0 (X11; Linux x86_64) Chrome/131.0.0.0 Safari/537.36", false),
            (131, "Mozilla/5.0 (X11; Linux x86_64) Chrome/120.0.0.0 Safari/537.36", true),
            (131, "Mozilla/5.0 (X11; Linux x86_64) Chrome/130.0.0.0 YaBrowser/24.12 Safari/537.36", true),
            // Kept there by a company's policy.
            (131, "Mozilla/5.0 (X11; Linux x86_64) Chrome/99.131.0.0 Safari/537.36", false),
            // A person who has the browser pose as another one.
            (131, "Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0", false),
            (0, "Mozilla/5.0 (X11; Linux x86_64) Chrome/120.0.0.0 Safari/537.36", false),
            (131, "Chrome/", false),
            (131, "", false),
        ] {
            assert_eq!(contradicts(chromium, user_agent), expected, "{chromium} {user_agent}");
        }
    }
}
