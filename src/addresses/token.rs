//! How an address and a network are named to whoever may not see them.
//!
//! ```text
//! a1-CIPHERTEXT KEY   32 hex digits as stored, 8 of the key's id
//! n1-HASH             16 hex digits: a keyed hash of site and network
//! ```
//!
//! Both are lower case. An address has another token each month, of which any names it as long
//! as that month's key is there.

use data_encoding::{HEXLOWER, HEXUPPER};

const ADDRESS: &str = "a1-";
const NETWORK: &str = "n1-";
/// Between ciphertext and key of a form.
const DASH: char = '-';

/// An address as storage holds it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Stored {
    pub ip: [u8; 16],
    /// The key's id; never 0.
    pub key: u32,
}

// === impl Stored ===

impl Stored {
    pub fn token(self) -> String {
        format!("{ADDRESS}{}{:08x}", HEXLOWER.encode(&self.ip), self.key)
    }

    pub fn of_token(token: &str) -> Option<Stored> {
        let bytes: [u8; 20] =
            HEXLOWER.decode(token.strip_prefix(ADDRESS)?.as_bytes()).ok()?.try_into().ok()?;
        let (ip, key) = bytes.split_at(16);
        let key = u32::from_be_bytes(key.try_into().ok()?);
        (key != 0).then_some(Stored { ip: ip.try_into().ok()?, key })
    }

    /// As a statement compares it: `HEX-KEY`.
    pub fn form(self) -> String {
        format!("{}{DASH}{}", HEXUPPER.encode(&self.ip), self.key)
    }

    pub fn of_form(form: &str) -> Option<Stored> {
        let (ip, key) = form.split_once(DASH)?;
        Some(Stored { ip: HEXUPPER.decode(ip.as_bytes()).ok()?.try_into().ok()?, key: key.parse().ok()? })
    }
}

/// The token of a network with this keyed hash.
pub fn of_network(mark: u64) -> String {
    format!("{NETWORK}{mark:016x}")
}

/// The keyed hash in the token of a network.
pub fn network(token: &str) -> Option<u64> {
    let digits = token.strip_prefix(NETWORK)?;
    let is_plain =
        digits.len() == 16 && digits.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
    is_plain.then(|| u64::from_str_radix(digits, 16).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_read_back_and_what_is_none_is_refused() {
        let stored = Stored { ip: *b"0123456789abcdef", key: 20_261_101 };
        assert_eq!(stored.token(), "a1-30313233343536373839616263646566013528ed");
        assert!(Stored::of_token(&stored.token()) == Some(stored));
        assert!(Stored::of_form(&stored.form()) == Some(stored));
        assert_eq!(network(&of_network(0xab)), Some(0xab));
        for wrong in [
            "",
            "a1-",
            "a1-00",
            "192.0.2.1",
            "n1-00000000000000ab",
            &stored.token().to_uppercase(),
            "2001:db8::1",
        ] {
            assert!(Stored::of_token(wrong).is_none(), "{wrong}");
        }
        let without_key = format!("a1-{}", "0".repeat(40));
        assert!(Stored::of_token(&without_key).is_none());
        for wrong in ["", "n1-", "n1-ab", "n1-00000000000000AB", "n1-+0000000000000ab", &stored.token()] {
            assert_eq!(network(wrong), None, "{wrong}");
        }
    }
}
