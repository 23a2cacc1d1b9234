//! Another master key for the same ring: nothing in it changes, but under what it lies.
//!
//! The new key is on the disk before the ring is wrapped under it, and stays there
//! if anything fails after that; a server that runs is told of it before. Copies of
//! the ring from before the change open under the old key only, which is
//! overwritten where it was replaced in place.

use std::path::{Path, PathBuf};

use super::wrap::{unwrap_all, wrap_all};
use super::{KeyError, KeyRing};

// === impl KeyRing ===

impl KeyRing {
    /// Wraps the ring under a new master key: a random one in the place of the old,
    /// or the one in the file `to`, where a random one is made if there is none.
    /// `announce` is given the new key's file before anything else is done; if it
    /// fails, nothing is. Says where the key is in the end.
    pub fn rewrap<E: From<KeyError>>(
        &self,
        to: Option<&Path>,
        announce: impl FnOnce(&Path) -> Result<(), E>,
    ) -> Result<PathBuf, E> {
        let _one_at_a_time = self.store.rewrap_lock()?;
        let mut changing = self.changing();
        // What an earlier one left unfinished comes first.
        self.change(&mut changing, |_, _| Ok(false))?;
        changing.master.finish()?;
        let new = changing.master.new_key(to)?;
        if let Err(error) = announce(&new.path) {
            new.discard()?;
            return Err(error);
        }
        changing.master.offer(&new.path)?;
        let path = self.store.path();
        self.store.update(|contents| {
            let old = changing.master.unlock(contents, &path)?;
            unwrap_all(contents, &old)?;
            wrap_all(contents, &new.key)?;
            Ok(true)
        })?;
        // From here on the new key is the ring's.
        let kept = new.keep()?;
        self.change(&mut changing, |_, _| Ok(false))?;
        Ok(kept)
    }

    /// Has a master key ready that somebody is about to wrap the ring under.
    pub fn expect_master(&self, file: &Path) -> Result<(), KeyError> {
        self.changing().master.offer(file)
    }
}
