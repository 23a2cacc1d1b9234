//! The key ring: every secret of the collector, and all that is done with them.
//!
//! In: a directory and a master key. Out: signed cookies, keyed hashes, encrypted
//! addresses; the keys themselves never leave this module, but for an export under
//! a passphrase, and nothing here can be printed.
//!
//! Two sorts of keys. *Purpose keys* (cookie, visitor, user key, limiter, audit) stay:
//! a hash made with one must be the same next year. *Destroyable keys* (each
//! month's address key, each site's daily salt, each backup's key) are independent
//! random numbers: once one is destroyed, what it protected is unreadable wherever
//! it was copied.
//!
//! All of them are random, and stored only wrapped under the master key (`wrap`).
//! The purpose keys could be derived from it instead, and would then outlive a
//! lost ring; but then the master key could not be replaced without every visitor
//! becoming a new one, and a leaked one would tell them for good. `metka keys
//! export` is what outlives a lost ring.
//!
//! Invariants:
//! - A site's salts live for its calendar day and the one after it; how exactly
//!   is in `keys/salt.rs`.
//! - All processes that share the directory agree: a missing key is made under
//!   an exclusive file lock, after looking again.
//! - The id of an address, backup or cookie key is never used twice, even after its
//!   destruction, and a destroyed key does not come back by a sync.
//! - If the directory cannot be written, or the master key is not that of the ring
//!   any more, hits go on: a new day's salt is kept in memory until
//!   [`KeyRing::maintain`] can write it, and addresses of a new
//!   month are not stored (key id 0) until their key is on disk.
//! - Under a wrong master key nothing is written.
//!
//! It reads the clock only to date its entries.
//!
//! - `ring`: one state of the ring, unwrapped
//! - `change`: keys are made, retired, destroyed
//! - `cookie`: the signed value
//! - `salt`: the hash of whoever has no cookie, and how long it can be made
//! - `backup`: keys of backups
//! - `sync`: another ring's keys and destructions are taken over
//! - `export`: the ring as one file under a passphrase
//! - `rewrap`: another master key
//! - `look`: what is there, without changing anything
//! - `file`, `master`, `wrap`, `secret`: layout, the master key's places, the cipher, 256 bits

mod backup;
mod change;
mod cookie;
mod export;
mod file;
mod look;
mod master;
mod rewrap;
mod ring;
mod salt;
mod secret;
mod sync;
#[cfg(test)]
mod tests;
mod wrap;

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use arc_swap::ArcSwap;
use hmac::{Hmac, KeyInit, Mac};
use jiff::civil::Date;
use serde::Serialize;

use change::{Changing, complete, wrap_if_plain};
pub use cookie::{Cookie, CookieError, MAX_AGE_MONTHS, MAX_VALUE_BYTES};
pub use export::MIN_PASSPHRASE_CHARACTERS;
pub use file::Purpose;
use file::{Key, Salt, Store};
pub use look::{Look, list, look};
use master::Keeper;
use ring::Ring;
use secret::from_hex;
pub use sync::{OtherRing, Synced};

use super::address::ClientIp;
use crate::config::{IpStorage, Keys};
use crate::event::MAX_USER_KEY_BYTES;

/// 80 bits: nobody guesses it over the network, and it can be read out on the telephone.
pub const REQUEST_CODE_BYTES: usize = 10;
/// Tells the key of these codes from all others that come of the same secret.
const REQUEST_CODE_CONTEXT: &str = "metka 2026-11 code of a request on the visitor's page";

/// The key ring. Shared by all threads; reading takes no lock.
pub struct KeyRing {
    store: Store,
    ring: ArcSwap<Ring>,
    changing: Mutex<Changing>,
}

/// What one address is stored as.
#[derive(Default)]
pub struct Forms {
    /// As [`KeyRing::protect`] gives it: the bytes, and the key's id.
    pub stored: Vec<([u8; 16], u32)>,
    /// How many months' keys are destroyed: what they protected cannot be found.
    pub destroyed: usize,
}

/// What may be known about a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KeyInfo {
    pub purpose: Purpose,
    pub id: u32,
    /// RFC 3339.
    pub created: String,
    /// RFC 3339; empty while the key is used for new values.
    pub retired: String,
    /// RFC 3339; empty while the key exists.
    pub destroyed: String,
}

/// Why the key ring cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error("{}: mode {mode:04o} lets others read keys, expected {wanted:04o} or narrower", path.display())]
    Mode { path: PathBuf, mode: u32, wanted: u32 },
    #[error("{}: {error}", path.display())]
    Io { path: PathBuf, error: std::io::Error },
    #[error("{}: {what}", path.display())]
    Malformed { path: PathBuf, what: String },
    /// The master key is missing, so nothing can be read.
    #[error("{}: wrapped under a master key, and there is none in {place}", path.display())]
    NoMaster { path: PathBuf, place: String },
    #[error("{}: wrapped under another master key than that in {place}; nothing was changed", path.display())]
    WrongMaster { path: PathBuf, place: String },
    #[error("{place}: expected a master key, which is 64 hex digits")]
    MasterForm { place: String },
    #[error("{}: the master key is being replaced by another process", .0.display())]
    Rewrapping(PathBuf),
    /// The place of the master key is not ours to write to.
    #[error(
        "the master key is in {place}: name the file for the new one with --to, and put it there afterwards"
    )]
    FixedMaster { place: String },
    #[error("{}: no key ring", .0.display())]
    NoRing(PathBuf),
    #[error("key {id} of {purpose} does not open: it was changed, or belongs elsewhere")]
    Unreadable { purpose: Purpose, id: u32 },
    #[error("the salt of {site} on {day} does not open: it was changed, or belongs elsewhere")]
    UnreadableSalt { site: String, day: String },
    #[error("key {id}: no such key in the key ring")]
    Unknown { id: u32 },
    /// What was under it cannot be read any more, by anyone.
    #[error("key {id} was destroyed on {at}")]
    Destroyed { id: u32, at: String },
    #[error("keys of {purpose} are not destroyed: what they hash must be the same for good")]
    Permanent { purpose: Purpose },
    #[error("there is no id left for another key of {purpose}")]
    NoIdLeft { purpose: Purpose },
    /// Two rings have different keys under one id.
    #[error(
        "the rings were made apart, they differ in {}: nothing was changed \
         (--take-theirs replaces these keys by the other ring's)",
        named(.0)
    )]
    Conflict(Vec<(Purpose, u32)>),
    #[error("{}: there is a key ring already; it is not overwritten", .0.display())]
    Exists(PathBuf),
    #[error("the exported key ring {0}")]
    Export(&'static str),
    #[error("the passphrase is wrong, or the file is damaged")]
    Passphrase,
    #[error("a passphrase has at least {MIN_PASSPHRASE_CHARACTERS} characters")]
    ShortPassphrase,
    #[error("the system gives no random numbers: {0}")]
    Random(getrandom::Error),
}

/// Why a user key is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UserKeyError {
    #[error("the user key does not have the form KEY.MAC")]
    Form,
    #[error("the user key's signature is wrong")]
    Forged,
}

// === impl KeyRing ===

impl KeyRing {
    /// Opens the ring, making it if there is none, and wraps it if it is of
    /// version 1. Refuses a directory or file that others may read, and a master
    /// key that is not the ring's.
    pub fn open(keys: &Keys) -> Result<KeyRing, KeyError> {
        let store = Store::open(&keys.dir)?;
        let mut keeper = Keeper::new(keys.master.clone());
        let (mut master, path) = (None, store.path());
        let (contents, stamp) = store.update(|contents| {
            let key = keeper.unlock(contents, &path)?;
            master = Some(key);
            let was_plain = wrap_if_plain(contents, &key)?;
            Ok(complete(contents, &key)? || was_plain)
        })?;
        let master = master.ok_or(KeyError::NoRing(path))?;
        let ring = Ring::decode(&contents, stamp, &master, &store)?;
        Ok(KeyRing { store, ring: ArcSwap::from_pointee(ring), changing: Mutex::new(Changing::new(keeper)) })
    }

    /// Whether there is a ring in `dir`.
    pub fn exists(dir: &Path) -> bool {
        dir.join(file::FILE_NAME).is_file()
    }

    /// The value of a new visitor's cookie.
    pub fn sign_cookie(&self, id: [u8; 16], today: Date) -> String {
        let ring = self.ring.load();
        let (kid, key) = ring.cookies.last().expect("decode() requires a cookie key");
        cookie::sign(key, *kid, id, today)
    }

    /// The id in a cookie that this ring signed.
    pub fn verify_cookie(&self, value: &str, today: Date) -> Result<[u8; 16], CookieError> {
        self.read_cookie(value, today).map(|cookie| cookie.id)
    }

    /// What a cookie says that this ring signed.
    pub fn read_cookie(&self, value: &str, today: Date) -> Result<Cookie, CookieError> {
        let parsed = cookie::parse(value)?;
        let ring = self.ring.load();
        let (_, key) =
            ring.cookies.iter().find(|(kid, _)| *kid == parsed.kid).ok_or(CookieError::UnknownKey)?;
        parsed.verify(key, today)
    }

    /// The stored hash of a cookie: differs by site, so that sites cannot be
    /// joined. Never 0.
    pub fn cookie_visitor(&self, site: &str, id: &[u8; 16]) -> u64 {
        self.ring.load().visitor.hash(&[site.as_bytes(), id])
    }

    /// The stored hash of a user key. Never 0.
    pub fn user_key_hash(&self, site: &str, key: &str) -> u64 {
        self.ring.load().user_key.hash(&[site.as_bytes(), key.as_bytes()])
    }

    /// The KEY of `KEY.MAC`, if MAC is the hex HMAC-SHA-256 of `SITE:KEY` under
    /// the site's `secret`.
    pub fn verify_user_key<'a>(secret: &[u8], site: &str, text: &'a str) -> Result<&'a str, UserKeyError> {
        let (key, mac) = text.rsplit_once('.').ok_or(UserKeyError::Form)?;
        if key.is_empty() || key.len() > MAX_USER_KEY_BYTES {
            return Err(UserKeyError::Form);
        }
        let mac: [u8; 32] = from_hex(mac).ok_or(UserKeyError::Form)?;
        let mut hmac = Hmac::<sha2::Sha256>::new_from_slice(secret).expect("HMAC takes keys of any length");
        hmac.update(site.as_bytes());
        hmac.update(b":");
        hmac.update(key.as_bytes());
        hmac.verify_slice(&mac).map_err(|_| UserKeyError::Forged)?;
        Ok(key)
    }

    /// The address as it is stored, and the id of the month's key; zeros and 0
    /// when it is not stored. `month` is year × 12 + month.
    pub fn protect(&self, ip: &ClientIp, how: IpStorage, month: u32) -> ([u8; 16], u32) {
        let address = match how {
            IpStorage::Encrypted => *ip,
            IpStorage::Truncated => ip.truncated(),
            IpStorage::None => return ([0; 16], 0),
        };
        let mut ring = self.ring.load();
        if ring.address_key(month).is_none() {
            self.make_address_key(month);
            ring = self.ring.load();
        }
        let Some(key) = ring.address_key(month) else { return ([0; 16], 0) };
        let mut bytes = address.to_bytes();
        key.cipher.encrypt_ip16(&mut bytes);
        (bytes, key.id)
    }

    /// All that the address may be stored as: under each month's keys that are left.
    pub fn forms_of(&self, ip: &ClientIp, how: IpStorage) -> Forms {
        let address = match how {
            IpStorage::Encrypted => *ip,
            IpStorage::Truncated => ip.truncated(),
            IpStorage::None => return Forms::default(),
        };
        let ring = self.ring.load();
        let stored = ring.addresses.iter().map(|key| {
            let mut bytes = address.to_bytes();
            key.cipher.encrypt_ip16(&mut bytes);
            (bytes, key.id)
        });
        let is_gone = |key: &&KeyInfo| key.purpose == Purpose::Ip && !key.destroyed.is_empty();
        Forms { stored: stored.collect(), destroyed: ring.listed.iter().filter(is_gone).count() }
    }

    /// The address behind a stored one; `None` if its key has been destroyed.
    pub fn reveal(&self, stored: [u8; 16], key: u32) -> Option<ClientIp> {
        let ring = self.ring.load();
        let key = ring.addresses.iter().find(|candidate| candidate.id == key)?;
        let mut bytes = stored;
        key.cipher.decrypt_ip16(&mut bytes);
        Some(ClientIp::new(std::net::Ipv6Addr::from(bytes).into()))
    }

    /// A keyed hash for limiters and caches: their memory holds no address.
    pub fn limiter_key(&self, parts: &[&[u8]]) -> u64 {
        self.ring.load().limiter.hash(parts)
    }

    /// What stands for an address in statistics of a site, whatever month it was stored
    /// in. Never 0.
    pub fn address_mark(&self, site: &str, ip: &ClientIp) -> u64 {
        self.limiter_key(&[b"address of statistics", site.as_bytes(), &ip.to_bytes()])
    }

    /// The same for its network, /24 or /48. Never 0.
    pub fn network_mark(&self, site: &str, ip: &ClientIp) -> u64 {
        self.limiter_key(&[b"network of statistics", site.as_bytes(), &ip.network_prefix()])
    }

    /// The MAC of an entry of the audit trail behind the one with the MAC
    /// `previous`: BLAKE3 of both, keyed.
    pub fn audit_mac(&self, previous: &[u8; 32], entry: &[u8]) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new_keyed(self.ring.load().audit.bytes());
        hasher.update(previous).update(entry);
        *hasher.finalize().as_bytes()
    }

    /// Shows that whoever has it was given this number of a request: a MAC of 80 bits,
    /// under a key of its own that is derived from the audit trail's.
    pub fn request_code(&self, number: &str) -> [u8; REQUEST_CODE_BYTES] {
        let key = blake3::derive_key(REQUEST_CODE_CONTEXT, self.ring.load().audit.bytes());
        let mac = blake3::keyed_hash(&key, number.as_bytes());
        let mut code = [0; REQUEST_CODE_BYTES];
        code.copy_from_slice(&mac.as_bytes()[..REQUEST_CODE_BYTES]);
        code
    }

    /// What is in the ring and what was destroyed; no secrets.
    pub fn list(&self) -> Vec<KeyInfo> {
        self.ring.load().listed.clone()
    }
}

// === impl KeyError ===

impl KeyError {
    fn unreadable(key: &Key) -> KeyError {
        KeyError::Unreadable { purpose: key.purpose, id: key.id }
    }

    fn unreadable_salt(salt: &Salt) -> KeyError {
        KeyError::UnreadableSalt { site: salt.site.clone(), day: salt.day.clone() }
    }

    /// Names the ring of an entry that does not open.
    fn in_ring(self, path: &Path) -> KeyError {
        match self {
            KeyError::Unreadable { .. } | KeyError::UnreadableSalt { .. } => {
                KeyError::Malformed { path: path.to_owned(), what: self.to_string() }
            }
            other => other,
        }
    }

    /// What was asked is not there; the ring itself is well.
    fn is_about_the_question(&self) -> bool {
        matches!(self, KeyError::Unknown { .. } | KeyError::Destroyed { .. } | KeyError::Conflict(_))
    }
}

/// Keys as a sentence names them.
pub fn named(keys: &[(Purpose, u32)]) -> String {
    let names: Vec<String> = keys.iter().map(|(purpose, id)| format!("{purpose} {id}")).collect();
    names.join(", ")
}
