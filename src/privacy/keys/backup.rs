//! The keys of backups: made, used, destroyed, exported with the ring.
//!
//! Each backup has a key of its own. Once it is destroyed, every copy of the
//! archive is unreadable, wherever it went.

use std::path::Path;

use chacha20poly1305::{ChaCha20Poly1305, KeyInit};
use jiff::Timestamp;

use super::file::{Destroyed, Purpose, Store};
use super::{KeyError, KeyRing, Ring, Secret, export, new_key, next_id};

/// How many destroyed backup keys are remembered by name: a year of a backup every
/// eight hours. The last one always is, since ids count on from it.
const MAX_DESTROYED_KEPT: usize = 1000;

// === impl KeyRing ===

impl KeyRing {
    /// Makes the key of a new backup and says its id.
    pub fn make_backup_key(&self) -> Result<u32, KeyError> {
        let secret = Secret::random()?;
        let mut id = 0;
        self.change(&mut self.changing(), |contents| {
            id = next_id(contents, Purpose::Backup, 1);
            contents.keys.push(new_key(Purpose::Backup, id, secret));
            true
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
        let is_due = |id: u32, created: &str| match only {
            Some(only) => id == only,
            None => created.parse::<Timestamp>().is_ok_and(|created| created < before),
        };
        let due = |key: &super::KeyInfo| {
            key.purpose == Purpose::Backup && key.destroyed.is_empty() && is_due(key.id, &key.created)
        };
        if !self.ring.load().listed.iter().any(due) {
            return Ok(Vec::new());
        }
        let mut gone = Vec::new();
        self.change(&mut self.changing(), |contents| {
            let at = Timestamp::now().to_string();
            contents.keys.retain(|key| {
                let due = key.purpose == Purpose::Backup && is_due(key.id, &key.created);
                if due {
                    gone.push(key.id);
                }
                !due
            });
            for id in &gone {
                contents.destroyed.push(Destroyed { purpose: Purpose::Backup, id: *id, at: at.clone() });
            }
            let remembered = contents.destroyed.iter().filter(|key| key.purpose == Purpose::Backup).count();
            let mut surplus = remembered.saturating_sub(MAX_DESTROYED_KEPT);
            contents.destroyed.retain(|key| {
                let forget = surplus > 0 && key.purpose == Purpose::Backup;
                surplus -= usize::from(forget);
                !forget
            });
            !gone.is_empty()
        })?;
        Ok(gone)
    }

    /// The backups whose keys were destroyed.
    pub fn destroyed_backups(&self) -> Vec<u32> {
        let ring = self.ring.load();
        let destroyed = |key: &&super::KeyInfo| key.purpose == Purpose::Backup && !key.destroyed.is_empty();
        ring.listed.iter().filter(destroyed).map(|key| key.id).collect()
    }

    /// The whole ring but the salts, sealed with a passphrase. See `export`.
    pub fn export(dir: &Path, passphrase: &str) -> Result<Vec<u8>, KeyError> {
        export::seal(&Store::open(dir)?.text()?, passphrase)
    }

    /// Puts a sealed ring into a directory that has none, and says how many keys
    /// it holds.
    pub fn import(dir: &Path, file: &[u8], passphrase: &str) -> Result<usize, KeyError> {
        let text = export::open(file, passphrase)?;
        let store = Store::open(dir)?;
        let mut contents = Store::parse(&store.path(), &text)?;
        // Earlier versions exported the daily salts too.
        contents.salts.clear();
        // What cannot be used is refused before it is written.
        Ring::decode(&contents, store.stamp(), &store)?;
        let keys = contents.keys.len();
        store.create(contents)?;
        Ok(keys)
    }

    /// Whether there is a ring in `dir`.
    pub fn exists(dir: &Path) -> bool {
        dir.join(super::file::FILE_NAME).is_file()
    }
}
