//! The keys of backups: made, used, destroyed.
//!
//! Each backup has a key of its own. Once it is destroyed, every copy of the
//! archive is unreadable, wherever it went.

use chacha20poly1305::{ChaCha20Poly1305, KeyInit};
use jiff::Timestamp;

use super::change::{destroy_where, new_key, next_id};
use super::file::Purpose;
use super::secret::Secret;
use super::{KeyError, KeyInfo, KeyRing};

// === impl KeyRing ===

impl KeyRing {
    /// Makes the key of a new backup and says its id.
    pub fn make_backup_key(&self) -> Result<u32, KeyError> {
        let secret = Secret::random()?;
        let mut id = 0;
        self.change(&mut self.changing(), |contents, master| {
            id = next_id(contents, Purpose::Backup, 1)?;
            contents.keys.push(new_key(Purpose::Backup, id, &secret, master)?);
            Ok(true)
        })?;
        Ok(id)
    }

    /// The cipher of a backup.
    pub fn backup_cipher(&self, id: u32) -> Result<ChaCha20Poly1305, KeyError> {
        let ring = self.ring.load();
        if let Some((_, secret)) = ring.backups.iter().find(|(candidate, _)| *candidate == id) {
            return Ok(ChaCha20Poly1305::new(secret.bytes().into()));
        }
        let gone = ring
            .listed
            .iter()
            .find(|key| key.purpose == Purpose::Backup && key.id == id && !key.destroyed.is_empty());
        Err(match gone {
            Some(key) => KeyError::Destroyed { id, at: key.destroyed.clone() },
            None => KeyError::Unknown { id },
        })
    }

    /// Destroys the keys of all backups begun before a time and says which; with
    /// `only`, that one key whatever its age.
    pub fn destroy_backup_keys(&self, before: Timestamp, only: Option<u32>) -> Result<Vec<u32>, KeyError> {
        let is_due = |purpose: Purpose, id: u32, created: &str| {
            purpose == Purpose::Backup
                && match only {
                    Some(only) => id == only,
                    None => created.parse::<Timestamp>().is_ok_and(|created| created < before),
                }
        };
        let due = |key: &KeyInfo| key.destroyed.is_empty() && is_due(key.purpose, key.id, &key.created);
        if !self.ring.load().listed.iter().any(due) {
            return Ok(Vec::new());
        }
        let mut gone = Vec::new();
        self.change(&mut self.changing(), |contents, _| {
            let now = Timestamp::now();
            gone = destroy_where(contents, now, |key| is_due(key.purpose, key.id, &key.created));
            Ok(!gone.is_empty())
        })?;
        Ok(gone.into_iter().map(|(_, id)| id).collect())
    }

    /// The backups whose keys were destroyed.
    pub fn destroyed_backups(&self) -> Vec<u32> {
        let ring = self.ring.load();
        let destroyed = |key: &&KeyInfo| key.purpose == Purpose::Backup && !key.destroyed.is_empty();
        ring.listed.iter().filter(destroyed).map(|key| key.id).collect()
    }
}
