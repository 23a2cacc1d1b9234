//! One state of the ring, unwrapped for use. Never changed: another takes its place.

use std::collections::HashMap;
use std::sync::Arc;

use ipcrypt_rs::Ipcrypt;
use jiff::civil::Date;

use super::file::{Contents, Destroyed, Key, Purpose, Stamp};
use super::secret::Secret;
use super::wrap::{MasterKey, Place};
use super::{KeyError, KeyInfo, Store};

#[derive(Clone)]
pub(super) struct Ring {
    pub stamp: Stamp,
    /// The last one signs.
    pub cookies: Vec<(u32, Secret)>,
    pub visitor: Secret,
    pub user_key: Secret,
    pub limiter: Secret,
    pub audit: Secret,
    pub addresses: Vec<AddressKey>,
    pub backups: Vec<(u32, Secret)>,
    pub salts: HashMap<String, Vec<(Date, Secret)>>,
    pub listed: Vec<KeyInfo>,
}

#[derive(Clone)]
pub(super) struct AddressKey {
    pub id: u32,
    /// Year × 12 + month.
    month: u32,
    is_retired: bool,
    pub cipher: Arc<Ipcrypt>,
}

// === impl Ring ===

impl Ring {
    pub fn decode(
        contents: &Contents,
        stamp: Stamp,
        master: &MasterKey,
        store: &Store,
    ) -> Result<Ring, KeyError> {
        let path = store.path();
        let malformed = |what: String| KeyError::Malformed { path: path.clone(), what };
        let mut keys: Vec<(&Key, Secret)> = Vec::new();
        for key in &contents.keys {
            let secret = master
                .unwrap(Place::Key(key.purpose, key.id), &key.secret)
                .ok_or_else(|| KeyError::unreadable(key).in_ring(&path))?;
            keys.push((key, secret));
        }
        let last = |purpose: Purpose| {
            let found = keys.iter().rfind(|(key, _)| key.purpose == purpose && key.retired.is_empty());
            found.map(|(_, secret)| *secret).ok_or_else(|| malformed(format!("no key for {purpose}")))
        };
        let (visitor, user_key, limiter, audit) = (
            last(Purpose::Visitor)?,
            last(Purpose::UserKey)?,
            last(Purpose::Limiter)?,
            last(Purpose::Audit)?,
        );
        last(Purpose::Cookie)?;
        let of = |purpose: Purpose| keys.iter().filter(move |(key, _)| key.purpose == purpose);
        let mut cookies: Vec<&(&Key, Secret)> = of(Purpose::Cookie).collect();
        cookies.sort_by_key(|(key, _)| (key.retired.is_empty(), key.id));
        let addresses = of(Purpose::Ip).map(|(key, secret)| {
            let mut cipher_key = [0; Ipcrypt::KEY_BYTES];
            cipher_key.copy_from_slice(&secret.bytes()[..Ipcrypt::KEY_BYTES]);
            AddressKey {
                id: key.id,
                month: month_of_id(key.id),
                is_retired: !key.retired.is_empty(),
                cipher: Arc::new(Ipcrypt::new(cipher_key)),
            }
        });
        let mut salts: HashMap<String, Vec<(Date, Secret)>> = HashMap::new();
        for salt in &contents.salts {
            let wrong = || KeyError::unreadable_salt(salt).in_ring(&path);
            let day = salt.day.parse().map_err(|_| wrong())?;
            let place = Place::Salt { site: &salt.site, day: &salt.day };
            let secret = master.unwrap(place, &salt.secret).ok_or_else(wrong)?;
            salts.entry(salt.site.clone()).or_default().push((day, secret));
        }
        Ok(Ring {
            stamp,
            cookies: cookies.into_iter().map(|(key, secret)| (key.id, *secret)).collect(),
            visitor,
            user_key,
            limiter,
            audit,
            addresses: addresses.collect(),
            backups: of(Purpose::Backup).map(|(key, secret)| (key.id, *secret)).collect(),
            salts,
            listed: listed(contents),
        })
    }

    pub fn salt(&self, site: &str, day: Date) -> Option<Secret> {
        self.salts.get(site)?.iter().find(|(candidate, _)| *candidate == day).map(|(_, secret)| *secret)
    }

    /// What encrypts a month's addresses: the newest of its keys that is in use.
    pub fn address_key(&self, month: u32) -> Option<&AddressKey> {
        self.addresses.iter().filter(|key| key.month == month && !key.is_retired).max_by_key(|key| key.id)
    }
}

/// What may be known about the keys of a ring.
pub(super) fn listed(contents: &Contents) -> Vec<KeyInfo> {
    let mut listed: Vec<KeyInfo> = contents.keys.iter().map(KeyInfo::of).collect();
    listed.extend(contents.destroyed.iter().map(KeyInfo::of_destroyed));
    listed
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

/// The first id of a month's address keys: `yyyymm01`.
pub(super) fn first_id(month: u32) -> u32 {
    let zero_based = month.saturating_sub(1);
    (zero_based / 12 * 100 + zero_based % 12 + 1) * 100 + 1
}

/// The month (year × 12 + month) of an address key's id.
pub(super) fn month_of_id(id: u32) -> u32 {
    id / 10_000 * 12 + id / 100 % 100
}
