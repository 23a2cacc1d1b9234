//! The end of backups: older than `backup.max_age`, their keys are destroyed, so
//! that every copy is unreadable, and their files in `backup.dir` are removed.

use jiff::{SignedDuration, Timestamp};

use super::read::header;
use super::{BackupError, EXTENSION, at, entries};
use crate::config::Config;
use crate::privacy::keys::KeyRing;

/// What was done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expired {
    pub keys: usize,
    pub files: usize,
}

/// To be called now and then; reads the names in `backup.dir`, and no more when
/// nothing is due.
pub fn expire(config: &Config, keys: &KeyRing, now: Timestamp) -> Result<Expired, BackupError> {
    let age = SignedDuration::from_hours(i64::from(config.backup.max_age_days) * 24);
    let before = now.checked_sub(age).unwrap_or(Timestamp::MIN);
    let mut done = Expired { keys: keys.destroy_backup_keys(before, None)?.len(), files: 0 };
    let destroyed = keys.destroyed_backups();
    if destroyed.is_empty() {
        return Ok(done);
    }
    for path in entries(&config.backup.dir)? {
        if path.extension().is_none_or(|extension| extension != EXTENSION) {
            continue;
        }
        // One that is no backup of this ring, or is damaged, is not ours to remove.
        let Ok(header) = header(&path) else { continue };
        if destroyed.contains(&header.key) && header.made_ms < before.as_millisecond() {
            std::fs::remove_file(&path).map_err(at(&path))?;
            done.files += 1;
        }
    }
    Ok(done)
}
