//! Wrapping: every secret of the ring is stored only encrypted under the master key.
//!
//! A wrapped secret is, in hex, `nonce 24 | ciphertext 32 | tag 16`, made by
//! XChaCha20-Poly1305 with a random nonce, which is long enough to be drawn anew
//! without end. The associated data name the place: `metka key ring`, then for a
//! key its purpose and id, for a salt its site and day, each with its length. An
//! entry that is moved to another's place, or changed, does not open.
//!
//! The ring's own mark ([`Contents::master`]) is 32 zeros wrapped in the same way:
//! it tells a wrong master key from a damaged entry.
//!
//! A whole older `ring.toml` in the place of a newer one is not noticed here: who
//! can put it there and has the master key has the old keys anyway.
//! `metka keys rewrap` ends that: copies from before it open under the old key only.

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};

use super::KeyError;
use super::file::{Contents, PLAIN_VERSION, Purpose, VERSION};
use super::secret::{SECRET_BYTES, Secret, from_hex, to_hex};

const NONCE_BYTES: usize = 24;
const TAG_BYTES: usize = 16;
const WRAPPED_BYTES: usize = NONCE_BYTES + SECRET_BYTES + TAG_BYTES;

/// The key that wraps a ring. Not printable.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct MasterKey(Secret);

/// The place of a wrapped secret.
#[derive(Clone, Copy)]
pub(super) enum Place<'a> {
    Mark,
    Key(Purpose, u32),
    Salt { site: &'a str, day: &'a str },
}

// === impl MasterKey ===

impl MasterKey {
    pub fn random() -> Result<MasterKey, KeyError> {
        Ok(MasterKey(Secret::random()?))
    }

    /// Reads 64 hex digits, of either case, and perhaps the end of the line.
    pub fn parse(text: &str) -> Option<MasterKey> {
        from_hex(&text.trim_ascii_end().to_ascii_lowercase()).map(|bytes| MasterKey(Secret(bytes)))
    }

    /// The key as a file holds it.
    pub fn text(&self) -> String {
        to_hex(self.0.bytes()) + "\n"
    }

    pub fn wrap(&self, place: Place, secret: &Secret) -> Result<String, KeyError> {
        let mut wrapped = vec![0; NONCE_BYTES];
        getrandom::fill(&mut wrapped).map_err(KeyError::Random)?;
        let nonce = XNonce::try_from(&wrapped[..]).expect("the length is the nonce's");
        let sealed = self
            .cipher()
            .encrypt(&nonce, Payload { msg: secret.bytes(), aad: &place.associated() })
            .expect("32 bytes can be encrypted");
        wrapped.extend_from_slice(&sealed);
        Ok(to_hex(&wrapped))
    }

    /// `None` if it was wrapped under another key or for another place, or was changed.
    pub fn unwrap(&self, place: Place, wrapped: &str) -> Option<Secret> {
        let wrapped: [u8; WRAPPED_BYTES] = from_hex(wrapped)?;
        let (nonce, sealed) = wrapped.split_at(NONCE_BYTES);
        let nonce = XNonce::try_from(nonce).ok()?;
        let secret = self.cipher().decrypt(&nonce, Payload { msg: sealed, aad: &place.associated() }).ok()?;
        secret.try_into().ok().map(Secret)
    }

    /// Whether the ring is wrapped under this key.
    pub fn opens(&self, contents: &Contents) -> bool {
        self.unwrap(Place::Mark, &contents.master).is_some()
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(self.0.bytes().into())
    }
}

// === impl Place ===

impl Place<'_> {
    fn associated(self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut part = |text: &str| {
            bytes.extend_from_slice(&(text.len() as u64).to_le_bytes());
            bytes.extend_from_slice(text.as_bytes());
        };
        part("metka key ring");
        match self {
            Place::Mark => part("mark"),
            Place::Key(purpose, id) => {
                part("key");
                part(purpose.name());
                part(&id.to_string());
            }
            Place::Salt { site, day } => {
                part("salt");
                part(site);
                part(day);
            }
        }
        bytes
    }
}

/// Wraps every secret of a ring that holds them plainly: a new one, one of
/// version 1, one that was exported.
pub(super) fn wrap_all(contents: &mut Contents, master: &MasterKey) -> Result<(), KeyError> {
    rewrite(contents, |place, text| match from_hex(text) {
        Some(secret) => master.wrap(place, &Secret(secret)).map(Some),
        None => Ok(None),
    })?;
    contents.master = master.wrap(Place::Mark, &Secret([0; SECRET_BYTES]))?;
    contents.version = VERSION;
    Ok(())
}

/// The opposite: for an export, and for another master key.
pub(super) fn unwrap_all(contents: &mut Contents, master: &MasterKey) -> Result<(), KeyError> {
    rewrite(contents, |place, text| Ok(master.unwrap(place, text).map(|secret| to_hex(secret.bytes()))))?;
    contents.master = String::new();
    contents.version = PLAIN_VERSION;
    Ok(())
}

/// Writes every secret anew; `None` says that it cannot be read.
fn rewrite(
    contents: &mut Contents,
    anew: impl Fn(Place, &str) -> Result<Option<String>, KeyError>,
) -> Result<(), KeyError> {
    for key in &mut contents.keys {
        let text = anew(Place::Key(key.purpose, key.id), &key.secret)?;
        key.secret = text.ok_or_else(|| KeyError::unreadable(key))?;
    }
    for salt in &mut contents.salts {
        let text = anew(Place::Salt { site: &salt.site, day: &salt.day }, &salt.secret)?;
        salt.secret = text.ok_or_else(|| KeyError::unreadable_salt(salt))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrapped_secret_opens_in_its_place_and_under_its_key_only() {
        let (master, other) = (MasterKey::random().expect("random"), MasterKey::random().expect("random"));
        let secret = Secret([7; SECRET_BYTES]);
        let place = Place::Key(Purpose::Ip, 20261101);
        let wrapped = master.wrap(place, &secret).expect("wrapped");
        assert!(master.unwrap(place, &wrapped) == Some(secret));
        assert_ne!(wrapped, master.wrap(place, &secret).expect("wrapped"), "the nonce is drawn anew");
        assert!(other.unwrap(place, &wrapped).is_none());
        for elsewhere in [
            Place::Mark,
            Place::Key(Purpose::Ip, 20261102),
            Place::Key(Purpose::Backup, 20261101),
            Place::Salt { site: "ip", day: "20261101" },
        ] {
            assert!(master.unwrap(elsewhere, &wrapped).is_none());
        }
        let salt = Place::Salt { site: "clinic", day: "2026-11-23" };
        let wrapped_salt = master.wrap(salt, &secret).expect("wrapped");
        assert!(master.unwrap(salt, &wrapped_salt) == Some(secret));
        assert!(master.unwrap(Place::Salt { site: "clinic", day: "2026-11-24" }, &wrapped_salt).is_none());
        assert!(master.unwrap(Place::Salt { site: "clinic2026-11-23", day: "" }, &wrapped_salt).is_none());
        for at in 0..wrapped.len() {
            let mut changed = wrapped.clone().into_bytes();
            changed[at] = if changed[at] == b'0' { b'1' } else { b'0' };
            let changed = String::from_utf8(changed).expect("digits");
            assert!(master.unwrap(place, &changed).is_none(), "digit {at}");
        }
        assert!(master.unwrap(place, &wrapped[2..]).is_none());
        assert!(master.unwrap(place, "").is_none());
    }

    #[test]
    fn a_master_key_is_64_hex_digits() {
        let master = MasterKey::random().expect("random");
        assert!(MasterKey::parse(&master.text()) == Some(master));
        assert!(MasterKey::parse(&master.text().to_uppercase()) == Some(master));
        for text in
            ["", "00", &"0".repeat(63), &"0".repeat(65), &"g".repeat(64), &format!(" {}", "0".repeat(64))]
        {
            assert!(MasterKey::parse(text).is_none(), "{text:?}");
        }
    }
}
