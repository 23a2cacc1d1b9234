//! A second factor: one-time codes by time, RFC 6238 over RFC 4226, with what every
//! authenticator app takes for granted: HMAC-SHA-1, six digits, steps of 30 seconds.
//!
//! In: a secret and a moment. Out: which step a code is of, if it is of one near it. A
//! step that was used, and all before it, are over: a code works once.
//!
//! The secret stands in `people.json`, which only the server's user can read: unlike a
//! password it has to be known to be checked.

use data_encoding::BASE32_NOPAD;
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha1::Sha1;
use subtle::ConstantTimeEq;

/// Bytes of a secret, as RFC 4226 recommends.
const SECRET_BYTES: usize = 20;
/// Seconds of a step.
const STEP_SECONDS: i64 = 30;
/// Steps before and after the present one whose codes are taken: clocks differ.
const DRIFT: i64 = 1;
const DIGITS: usize = 6;
/// The name under which an app lists the account.
const ISSUER: &str = "Metka";

/// The second factor of one account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecondFactor {
    /// Base 32.
    pub secret: String,
    /// A code of it was given once: it is asked for from then on.
    pub confirmed: bool,
    /// The last step that was used.
    pub used: i64,
}

// === impl SecondFactor ===

impl SecondFactor {
    /// A new one, which is asked for once it is confirmed.
    pub fn generate() -> SecondFactor {
        let mut bytes = [0u8; SECRET_BYTES];
        getrandom::fill(&mut bytes).expect("the kernel gives random bytes once it has booted");
        SecondFactor { secret: BASE32_NOPAD.encode(&bytes), confirmed: false, used: 0 }
    }

    /// Takes a code, once. Milliseconds since 1970.
    pub fn take(&mut self, code: &str, now: i64) -> bool {
        let Ok(secret) = BASE32_NOPAD.decode(self.secret.as_bytes()) else { return false };
        let present = now.div_euclid(1000 * STEP_SECONDS);
        let mut found = None;
        // All are compared, so that the time it takes does not tell which it was.
        for step in present - DRIFT..=present + DRIFT {
            if bool::from(code.as_bytes().ct_eq(code_of(&secret, step).as_bytes())) {
                found = Some(step);
            }
        }
        match found.filter(|step| *step > self.used) {
            Some(step) => {
                self.used = step;
                true
            }
            None => false,
        }
    }

    /// What an app reads, from a link or a QR code.
    pub fn uri(&self, login: &str) -> String {
        let login: String = url::form_urlencoded::byte_serialize(login.as_bytes()).collect();
        format!("otpauth://totp/{ISSUER}:{login}?secret={}&issuer={ISSUER}", self.secret)
    }
}

/// The code of a step (RFC 4226, section 5.3).
fn code_of(secret: &[u8], step: i64) -> String {
    let mut mac = Hmac::<Sha1>::new_from_slice(secret).expect("any length is a key");
    mac.update(&step.to_be_bytes());
    let digest = mac.finalize().into_bytes();
    let at = usize::from(digest[digest.len() - 1] & 15);
    let number = u32::from_be_bytes([digest[at] & 127, digest[at + 1], digest[at + 2], digest[at + 3]]);
    format!("{:0DIGITS$}", number % 10u32.pow(DIGITS as u32))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn factor() -> SecondFactor {
        // The secret of RFC 6238, appendix B.
        let secret = BASE32_NOPAD.encode(b"12345678901234567890");
        SecondFactor { secret, confirmed: true, used: 0 }
    }

    #[test]
    fn codes_are_those_of_the_standard() {
        // RFC 6238, appendix B, SHA-1, the last six of its eight digits.
        for (seconds, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            assert_eq!(code_of(b"12345678901234567890", seconds / STEP_SECONDS), code, "{seconds}");
            assert!(factor().take(code, seconds * 1000), "{seconds}");
        }
    }

    #[test]
    fn a_code_works_once_and_near_its_time_only() {
        let (code, at) = ("081804", 1_111_111_109_000);
        for (away, taken) in [(0, true), (30_000, true), (-30_000, true), (61_000, false), (-61_000, false)] {
            assert_eq!(factor().take(code, at + away), taken, "{away}");
        }
        let mut factor = factor();
        assert!(factor.take(code, at));
        assert!(!factor.take(code, at), "twice");
        for wrong in ["", "08180", "0818044", "081805", "o81804"] {
            assert!(!factor.take(wrong, at), "{wrong:?}");
        }
    }

    #[test]
    fn each_secret_is_another_and_a_link_names_the_account() {
        let (one, two) = (SecondFactor::generate(), SecondFactor::generate());
        assert_ne!(one.secret, two.secret);
        assert_eq!(one.secret.len(), 32);
        let link = one.uri("olga+a@clinic.example");
        assert!(link.starts_with("otpauth://totp/Metka:olga%2Ba%40clinic.example?secret="), "{link}");
    }
}
