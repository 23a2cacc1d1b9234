//! The key ring: every secret of the collector, and all that is done with them.
//!
//! In: a directory. Out: signed cookies, keyed hashes, encrypted addresses; the
//! keys themselves never leave this module, and nothing here can be printed.
//!
//! Two sorts of keys. *Purpose keys* (cookie, visitor, user key, limiter) stay:
//! a hash made with one must be the same next year. *Destroyable keys* (each
//! month's address key, each site's daily salt, each backup's key) are independent
//! random numbers: once one is destroyed, what it protected is unreadable wherever
//! it was copied.
//!
//! Invariants:
//! - A site's salts live for its calendar day and the one after it (and a day
//!   ahead, for a neighbour whose clock is ahead); older ones are destroyed by
//!   the next use or by [`KeyRing::maintain`], whichever is first.
//! - All processes that share the directory agree: a missing key is made under
//!   an exclusive file lock, after looking again.
//! - The id of an address or backup key is never used twice, even after its destruction.
//! - If the directory cannot be written, hits go on: a new day's salt is kept in
//!   memory until [`KeyRing::maintain`] can write it, and addresses of a new
//!   month are not stored (key id 0) until their key is on disk.
//!
//! It reads the clock only to date its entries.

mod backup;
mod cookie;
mod export;
mod file;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use hmac::{Hmac, KeyInit, Mac};
use ipcrypt_rs::Ipcrypt;
use jiff::civil::Date;
use jiff::{Span, Timestamp, ToSpan};
use serde::Serialize;

pub use cookie::{CookieError, MAX_AGE_MONTHS, MAX_VALUE_BYTES, mint_day};
pub use export::MIN_PASSPHRASE_CHARACTERS;
pub use file::Purpose;
use file::{Contents, Destroyed, Key, Salt, Stamp, Store};

use super::address::ClientIp;
use crate::config::IpStorage;
use crate::event::MAX_USER_KEY_BYTES;

const SECRET_BYTES: usize = 32;
/// How long after a failed write the next one is tried on the hit path.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// The key ring. Shared by all threads; reading takes no lock.
pub struct KeyRing {
    store: Store,
    ring: ArcSwap<Ring>,
    changing: Mutex<Changing>,
}

/// What only the thread that changes the ring touches.
#[derive(Default)]
struct Changing {
    /// Salts that could not be written yet.
    unsaved: Vec<Salt>,
    failed: Option<Instant>,
}

/// One state of the ring, decoded for use.
#[derive(Clone)]
struct Ring {
    stamp: Stamp,
    /// The last one signs.
    cookies: Vec<(u32, Secret)>,
    visitor: Secret,
    user_key: Secret,
    limiter: Secret,
    /// By month (year × 12 + month); the last one of a month encrypts.
    addresses: Vec<AddressKey>,
    backups: Vec<(u32, Secret)>,
    salts: HashMap<String, Vec<(Date, Secret)>>,
    listed: Vec<KeyInfo>,
}

#[derive(Clone)]
struct AddressKey {
    id: u32,
    month: u32,
    cipher: Arc<Ipcrypt>,
}

/// 256 random bits. Not printable.
#[derive(Clone, Copy)]
struct Secret([u8; SECRET_BYTES]);

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
    #[error("{}: mode {mode:04o} lets others read keys, expected {wanted:04o}", path.display())]
    Mode { path: PathBuf, mode: u32, wanted: u32 },
    #[error("{}: {error}", path.display())]
    Io { path: PathBuf, error: std::io::Error },
    #[error("{}: {what}", path.display())]
    Malformed { path: PathBuf, what: String },
    #[error("key {id}: no such key in the key ring")]
    Unknown { id: u32 },
    /// What was under it cannot be read any more, by anyone.
    #[error("key {id} was destroyed on {at}")]
    Destroyed { id: u32, at: String },
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
    /// Opens the ring in `dir`, making it if there is none. Refuses a directory
    /// or file that others may read.
    pub fn open(dir: &Path) -> Result<KeyRing, KeyError> {
        let store = Store::open(dir)?;
        let mut fresh = Vec::new();
        for purpose in [Purpose::Cookie, Purpose::Visitor, Purpose::UserKey, Purpose::Limiter] {
            fresh.push(new_key(purpose, 1, Secret::random()?));
        }
        let (contents, stamp) = store.update(|contents| {
            let before = contents.keys.len();
            for key in fresh {
                if !contents.keys.iter().any(|existing| existing.purpose == key.purpose) {
                    contents.keys.push(key);
                }
            }
            contents.keys.len() != before
        })?;
        let ring = Ring::decode(&contents, stamp, &store)?;
        Ok(KeyRing { store, ring: ArcSwap::from_pointee(ring), changing: Mutex::default() })
    }

    /// The value of a new visitor's cookie.
    pub fn sign_cookie(&self, id: [u8; 16], today: Date) -> String {
        let ring = self.ring.load();
        let (kid, key) = ring.cookies.last().expect("decode() requires a cookie key");
        cookie::sign(key, *kid, id, today)
    }

    /// The id in a cookie that this ring signed.
    pub fn verify_cookie(&self, value: &str, today: Date) -> Result<[u8; 16], CookieError> {
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

    /// The hash of a visitor without a cookie, for one day of the site's
    /// calendar. Makes the day's salt if it is the first. Never 0.
    pub fn cookieless_visitor(&self, site: &str, day: Date, prefix: &[u8], user_agent: &str) -> u64 {
        let parts: [&[u8]; 3] = [site.as_bytes(), prefix, user_agent.as_bytes()];
        if let Some(salt) = self.ring.load().salt(site, day) {
            return salt.hash(&parts);
        }
        self.make_salt(site, day);
        match self.ring.load().salt(site, day) {
            Some(salt) => salt.hash(&parts),
            // The system gave no random numbers, which ends at the next try. The
            // hit must not be lost over it; the limiter's key is as secret.
            None => self.limiter_key(&parts.concat()),
        }
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

    /// The address behind a stored one; `None` if its key has been destroyed.
    pub fn reveal(&self, stored: [u8; 16], key: u32) -> Option<ClientIp> {
        let ring = self.ring.load();
        let key = ring.addresses.iter().find(|candidate| candidate.id == key)?;
        let mut bytes = stored;
        key.cipher.decrypt_ip16(&mut bytes);
        Some(ClientIp::new(std::net::Ipv6Addr::from(bytes).into()))
    }

    /// A keyed hash for limiters and caches: their memory holds no address.
    pub fn limiter_key(&self, bytes: &[u8]) -> u64 {
        self.ring.load().limiter.hash(&[bytes])
    }

    /// What is in the ring and what was destroyed; no secrets.
    pub fn list(&self) -> Vec<KeyInfo> {
        self.ring.load().listed.clone()
    }

    /// Housekeeping, to be called every minute or so: takes over what other
    /// processes changed, writes what could not be written, destroys salts of
    /// days past and cookie keys whose last cookies have run out. `today_of`
    /// gives a configured site's calendar day.
    pub fn maintain(&self, now: Timestamp, today_of: impl Fn(&str) -> Option<Date>) -> Result<(), KeyError> {
        let utc_today = now.to_zoned(jiff::tz::TimeZone::UTC).date();
        // A site that is no longer configured had its day somewhere on earth.
        let today = |site: &str| today_of(site).unwrap_or(utc_today);
        let mut changing = self.changing();
        let ring = self.ring.load();
        let expired = |salts: &HashMap<String, Vec<(Date, Secret)>>| {
            salts.iter().any(|(site, salts)| salts.iter().any(|(day, _)| !is_near(*day, today(site))))
        };
        let oldest_cookie = utc_today.saturating_sub(Span::new().months(MAX_AGE_MONTHS)).to_string();
        let run_out = |retired: &str| !retired.is_empty() && retired < oldest_cookie.as_str();
        if changing.unsaved.is_empty()
            && self.store.stamp() == ring.stamp
            && !expired(&ring.salts)
            && !ring.listed.iter().any(|key| key.purpose == Purpose::Cookie && run_out(&key.retired))
        {
            return Ok(());
        }
        self.change(&mut changing, |contents| {
            let before = (contents.salts.len(), contents.keys.len());
            contents.salts.retain(|salt| salt.day.parse().is_ok_and(|day| is_near(day, today(&salt.site))));
            contents.keys.retain(|key| key.purpose != Purpose::Cookie || !run_out(&key.retired));
            before != (contents.salts.len(), contents.keys.len())
        })
    }

    /// Makes a new cookie key; the ones before it verify for 13 months more.
    pub fn rotate_cookie_key(&self) -> Result<u32, KeyError> {
        let secret = Secret::random()?;
        let mut new_id = 0;
        self.change(&mut self.changing(), |contents| {
            new_id = next_id(contents, Purpose::Cookie, 1);
            let now = Timestamp::now().to_string();
            for key in contents
                .keys
                .iter_mut()
                .filter(|key| key.purpose == Purpose::Cookie && key.retired.is_empty())
            {
                key.retired.clone_from(&now);
            }
            contents.keys.push(new_key(Purpose::Cookie, new_id, secret));
            true
        })?;
        Ok(new_id)
    }

    /// Destroys an address key: every address under it is unreadable from now
    /// on, in the table, in the spool and in backups. If it is the current
    /// month's, the next hit makes another, under another id.
    pub fn destroy_address_key(&self, id: u32) -> Result<(), KeyError> {
        let mut found = false;
        self.change(&mut self.changing(), |contents| {
            let before = contents.keys.len();
            contents.keys.retain(|key| key.purpose != Purpose::Ip || key.id != id);
            found = contents.keys.len() != before;
            if found {
                contents.destroyed.push(Destroyed {
                    purpose: Purpose::Ip,
                    id,
                    at: Timestamp::now().to_string(),
                });
            }
            found
        })?;
        if found { Ok(()) } else { Err(KeyError::Unknown { id }) }
    }

    fn make_salt(&self, site: &str, day: Date) {
        let mut changing = self.changing();
        if self.ring.load().salt(site, day).is_some() {
            return; // Another thread was first.
        }
        let Ok(secret) = Secret::random() else { return };
        let salt = Salt { site: site.to_owned(), day: day.to_string(), secret: to_hex(&secret.0) };
        let result = self.change(&mut changing, |contents| {
            contents
                .salts
                .retain(|old| old.site != site || old.day.parse().is_ok_and(|old| is_near(old, day)));
            if !contents.salts.iter().any(|old| old.site == site && old.day == salt.day) {
                contents.salts.push(salt.clone());
            }
            true
        });
        if let Err(error) = result {
            tracing::error!(%error, site, "a new day's salt cannot be written; it is kept in memory");
            changing
                .unsaved
                .retain(|old| old.site != site || old.day.parse().is_ok_and(|old| is_near(old, day)));
            changing.unsaved.push(salt);
            let mut ring = Ring::clone(&self.ring.load());
            let salts = ring.salts.entry(site.to_owned()).or_default();
            salts.retain(|(old, _)| is_near(*old, day));
            salts.push((day, secret));
            self.ring.store(Arc::new(ring));
        }
    }

    fn make_address_key(&self, month: u32) {
        let mut changing = self.changing();
        if self.ring.load().address_key(month).is_some()
            || changing.failed.is_some_and(|failed| failed.elapsed() < RETRY_INTERVAL)
        {
            return;
        }
        let result = Secret::random().and_then(|secret| {
            self.change(&mut changing, |contents| {
                let exists = contents
                    .keys
                    .iter()
                    .any(|key| key.purpose == Purpose::Ip && month_of_id(key.id) == month);
                if !exists {
                    let id = next_id(contents, Purpose::Ip, first_id(month));
                    contents.keys.push(new_key(Purpose::Ip, id, secret));
                }
                !exists
            })
        });
        if let Err(error) = result {
            tracing::error!(%error, "a new month's address key cannot be written; addresses are not stored");
        }
    }

    /// Changes the ring on disk, then in memory.
    fn change(
        &self,
        changing: &mut Changing,
        change: impl FnOnce(&mut Contents) -> bool,
    ) -> Result<(), KeyError> {
        let unsaved = std::mem::take(&mut changing.unsaved);
        let result = self.store.update(|contents| {
            let mut changed = false;
            for salt in &unsaved {
                // A neighbour may have been able to write: then its salt is the day's.
                if !contents.salts.iter().any(|other| other.site == salt.site && other.day == salt.day) {
                    contents.salts.push(salt.clone());
                    changed = true;
                }
            }
            change(contents) || changed
        });
        let decoded = result.and_then(|(contents, stamp)| Ring::decode(&contents, stamp, &self.store));
        match decoded {
            Ok(ring) => {
                changing.failed = None;
                self.ring.store(Arc::new(ring));
                Ok(())
            }
            Err(error) => {
                changing.unsaved = unsaved;
                changing.failed = Some(Instant::now());
                Err(error)
            }
        }
    }

    fn changing(&self) -> MutexGuard<'_, Changing> {
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Ring ===

impl Ring {
    fn decode(contents: &Contents, stamp: Stamp, store: &Store) -> Result<Ring, KeyError> {
        let malformed = |what: String| KeyError::Malformed { path: store.path(), what };
        let mut keys: Vec<(&Key, Secret)> = Vec::new();
        for key in &contents.keys {
            let secret = from_hex(&key.secret).ok_or_else(|| {
                malformed(format!("key {} of {:?} is not 32 bytes in hex", key.id, key.purpose))
            })?;
            keys.push((key, Secret(secret)));
        }
        let last = |purpose: Purpose| {
            let found = keys.iter().rfind(|(key, _)| key.purpose == purpose && key.retired.is_empty());
            found.map(|(_, secret)| *secret).ok_or_else(|| malformed(format!("no key for {purpose:?}")))
        };
        let (visitor, user_key, limiter) =
            (last(Purpose::Visitor)?, last(Purpose::UserKey)?, last(Purpose::Limiter)?);
        last(Purpose::Cookie)?;
        let mut cookies: Vec<&(&Key, Secret)> =
            keys.iter().filter(|(key, _)| key.purpose == Purpose::Cookie).collect();
        cookies.sort_by_key(|(key, _)| (key.retired.is_empty(), key.id));
        let addresses = keys.iter().filter(|(key, _)| key.purpose == Purpose::Ip).map(|(key, secret)| {
            let mut cipher_key = [0; Ipcrypt::KEY_BYTES];
            cipher_key.copy_from_slice(&secret.0[..Ipcrypt::KEY_BYTES]);
            AddressKey { id: key.id, month: month_of_id(key.id), cipher: Arc::new(Ipcrypt::new(cipher_key)) }
        });
        let backups = keys.iter().filter(|(key, _)| key.purpose == Purpose::Backup);
        let backups = backups.map(|(key, secret)| (key.id, *secret)).collect();
        let mut salts: HashMap<String, Vec<(Date, Secret)>> = HashMap::new();
        for salt in &contents.salts {
            let wrong = || malformed(format!("the salt of {} on {} cannot be read", salt.site, salt.day));
            let day = salt.day.parse().map_err(|_| wrong())?;
            let secret = Secret(from_hex(&salt.secret).ok_or_else(wrong)?);
            salts.entry(salt.site.clone()).or_default().push((day, secret));
        }
        let mut listed: Vec<KeyInfo> = contents.keys.iter().map(KeyInfo::of).collect();
        listed.extend(contents.destroyed.iter().map(KeyInfo::of_destroyed));
        Ok(Ring {
            stamp,
            cookies: cookies.into_iter().map(|(key, secret)| (key.id, *secret)).collect(),
            visitor,
            user_key,
            limiter,
            addresses: addresses.collect(),
            backups,
            salts,
            listed,
        })
    }

    fn salt(&self, site: &str, day: Date) -> Option<Secret> {
        self.salts.get(site)?.iter().find(|(candidate, _)| *candidate == day).map(|(_, secret)| *secret)
    }

    fn address_key(&self, month: u32) -> Option<&AddressKey> {
        self.addresses.iter().rfind(|key| key.month == month)
    }
}

// === impl Secret ===

impl Secret {
    fn random() -> Result<Secret, KeyError> {
        let mut bytes = [0; SECRET_BYTES];
        getrandom::fill(&mut bytes).map_err(KeyError::Random)?;
        Ok(Secret(bytes))
    }

    fn bytes(&self) -> &[u8; SECRET_BYTES] {
        &self.0
    }

    /// A keyed hash of the parts, each with its length, so that no two lists of
    /// parts read alike. Never 0, which means "none" in a row.
    fn hash(&self, parts: &[&[u8]]) -> u64 {
        let mut hasher = blake3::Hasher::new_keyed(&self.0);
        for part in parts {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        let mut bytes = [0; 8];
        hasher.finalize_xof().fill(&mut bytes);
        u64::from_le_bytes(bytes).max(1)
    }
}

// === impl KeyInfo ===

impl KeyInfo {
    fn of(key: &Key) -> KeyInfo {
        KeyInfo {
            purpose: key.purpose,
            id: key.id,
            created: key.created.clone(),
            retired: key.retired.clone(),
            destroyed: String::new(),
        }
    }

    fn of_destroyed(key: &Destroyed) -> KeyInfo {
        KeyInfo {
            purpose: key.purpose,
            id: key.id,
            created: String::new(),
            retired: String::new(),
            destroyed: key.at.clone(),
        }
    }
}

fn new_key(purpose: Purpose, id: u32, secret: Secret) -> Key {
    Key {
        purpose,
        id,
        created: Timestamp::now().to_string(),
        retired: String::new(),
        secret: to_hex(&secret.0),
    }
}

/// The day itself, the one before and the one after.
fn is_near(day: Date, today: Date) -> bool {
    day >= today.saturating_sub(1.day()) && day <= today.saturating_add(1.day())
}

/// The first id of a month's address keys: `yyyymm01`.
fn first_id(month: u32) -> u32 {
    let zero_based = month.saturating_sub(1);
    (zero_based / 12 * 100 + zero_based % 12 + 1) * 100 + 1
}

/// The month (year × 12 + month) of an address key's id.
fn month_of_id(id: u32) -> u32 {
    id / 10_000 * 12 + id / 100 % 100
}

/// The next id that neither a key nor a destroyed one has; not below `first`.
fn next_id(contents: &Contents, purpose: Purpose, first: u32) -> u32 {
    let same_hundred = |id: &u32| purpose != Purpose::Ip || id / 100 == first / 100;
    let kept = contents.keys.iter().filter(|key| key.purpose == purpose).map(|key| key.id);
    let gone = contents.destroyed.iter().filter(|key| key.purpose == purpose).map(|key| key.id);
    kept.chain(gone).filter(same_hundred).max().map_or(first, |id| id + 1)
}

fn to_hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    text
}

/// Lower-case hex of exactly N bytes.
fn from_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let text = text.as_bytes();
    if text.len() != 2 * N {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}
