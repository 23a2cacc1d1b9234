//! The key ring as one file under a passphrase, and back: `metka keys export`.
//!
//! ```text
//! magic "METKAKEY" | version u16 | memory KiB u32 | passes u32 | lanes u32 | salt 16 | ciphertext and tag
//! ```
//!
//! Little-endian. The key is Argon2id of the passphrase under the salt with the
//! stated cost; the cipher is ChaCha20-Poly1305 over the text of `ring.toml` with its
//! secrets plain (version 1), so that the file opens without the master key, and
//! without the sites' daily salts: a copy would outlive their destruction, and the
//! next hit makes new ones. The nonce is zero (each file has a salt of its own),
//! everything before the ciphertext is associated data. A wrong passphrase and a changed file look alike, and are
//! refused.

use argon2::{Algorithm, Argon2, Params, Version};
use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{ChaCha20Poly1305, KeyInit, Nonce};

use super::sync::OtherRing;
use super::wrap::unwrap_all;
use super::{KeyError, KeyRing};
use crate::config::Keys;

const MAGIC: &[u8; 8] = b"METKAKEY";
const VERSION: u16 = 1;
const SALT_BYTES: usize = 16;
const HEADER_BYTES: usize = 8 + 2 + 3 * 4 + SALT_BYTES;
/// 64 MiB and three passes: about half a second of one core, for a file that is
/// opened once in years and attacked at leisure (RFC 9106's second choice).
const MEMORY_KIB: u32 = 64 << 10;
const PASSES: u32 = 3;
const LANES: u32 = 1;
/// A header that asks for more is damaged, or is meant to take our memory.
const MOST_MEMORY_KIB: u32 = 1 << 20;
const MOST_PASSES: u32 = 32;
const MOST_LANES: u32 = 16;
/// The shortest passphrase, in characters: nothing slows an attacker down but this.
pub const MIN_PASSPHRASE_CHARACTERS: usize = 12;

// === impl KeyRing ===

impl KeyRing {
    /// The whole ring but the salts, sealed with a passphrase.
    pub fn export(keys: &Keys, passphrase: &str) -> Result<Vec<u8>, KeyError> {
        let ring = KeyRing::open(keys)?;
        let path = ring.store.path();
        let mut changing = ring.changing();
        let mut text = Vec::new();
        ring.store.update(|contents| {
            let master = changing.master.unlock(contents, &path)?;
            let mut plain = contents.clone();
            plain.salts.clear();
            unwrap_all(&mut plain, &master)?;
            text = plain.text(&path)?;
            Ok(false)
        })?;
        seal(&text, passphrase)
    }

    /// Puts a sealed ring into a directory that has none, and says how many keys
    /// it holds.
    pub fn import(keys: &Keys, file: &[u8], passphrase: &str) -> Result<usize, KeyError> {
        KeyRing::found(keys, OtherRing::exported(file, passphrase)?)
    }
}

/// Seals a ring's text.
fn seal(text: &[u8], passphrase: &str) -> Result<Vec<u8>, KeyError> {
    if passphrase.chars().count() < MIN_PASSPHRASE_CHARACTERS {
        return Err(KeyError::ShortPassphrase);
    }
    let mut file = MAGIC.to_vec();
    file.extend_from_slice(&VERSION.to_le_bytes());
    for cost in [MEMORY_KIB, PASSES, LANES] {
        file.extend_from_slice(&cost.to_le_bytes());
    }
    let mut salt = [0; SALT_BYTES];
    getrandom::fill(&mut salt).map_err(KeyError::Random)?;
    file.extend_from_slice(&salt);
    let sealed = cipher(passphrase, &salt, [MEMORY_KIB, PASSES, LANES])?
        .encrypt(&Nonce::default(), Payload { msg: text, aad: &file })
        .map_err(|_| KeyError::Export("cannot be encrypted"))?;
    file.extend_from_slice(&sealed);
    Ok(file)
}

/// Opens a sealed ring.
pub(super) fn open(file: &[u8], passphrase: &str) -> Result<Vec<u8>, KeyError> {
    let (header, sealed) =
        file.split_at_checked(HEADER_BYTES).ok_or(KeyError::Export("is not an exported key ring"))?;
    if !header.starts_with(MAGIC) {
        return Err(KeyError::Export("is not an exported key ring"));
    }
    if header[8..10] != VERSION.to_le_bytes() {
        return Err(KeyError::Export("is of a version that is not known here"));
    }
    let number = |at: usize| u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    let cost = [number(10), number(14), number(18)];
    if cost[0] > MOST_MEMORY_KIB || cost[1] > MOST_PASSES || cost[2] > MOST_LANES {
        return Err(KeyError::Export("has a damaged header"));
    }
    cipher(passphrase, &header[22..], cost)?
        .decrypt(&Nonce::default(), Payload { msg: sealed, aad: header })
        .map_err(|_| KeyError::Passphrase)
}

fn cipher(passphrase: &str, salt: &[u8], cost: [u32; 3]) -> Result<ChaCha20Poly1305, KeyError> {
    let damaged = |_| KeyError::Export("has a damaged header");
    let params = Params::new(cost[0], cost[1], cost[2], Some(32)).map_err(damaged)?;
    let mut key = [0; 32];
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(passphrase.as_bytes(), salt, &mut key)
        .map_err(damaged)?;
    Ok(ChaCha20Poly1305::new(&key.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSPHRASE: &str = "correct horse battery";

    #[test]
    fn a_sealed_ring_opens_with_its_passphrase_only_and_not_when_a_byte_was_changed() {
        assert!(matches!(seal(b"ring", "eleven char"), Err(KeyError::ShortPassphrase)));
        let file = seal(b"ring", PASSPHRASE).expect("sealed");
        assert_eq!(open(&file, PASSPHRASE).expect("opened"), b"ring");
        assert!(matches!(open(&file, "correct horse batterx"), Err(KeyError::Passphrase)));
        // Not the costs: a changed one may be legal and slow.
        for at in (0..10).chain(22..file.len()) {
            let mut changed = file.clone();
            changed[at] ^= 1;
            assert!(open(&changed, PASSPHRASE).is_err(), "byte {at}");
        }
        assert!(open(&file[..file.len() - 1], PASSPHRASE).is_err());
        assert!(open(&file[..20], PASSPHRASE).is_err());
    }
}
