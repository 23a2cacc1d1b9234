//! What is in a ring, without changing anything: for `metka keys list` and `metka check`.

use super::change::complete;
use super::file::Store;
use super::master::Keeper;
use super::ring::{Ring, listed};
use super::wrap::{MasterKey, wrap_all};
use super::{KeyError, KeyInfo};
use crate::config::Keys;

/// A ring whose every secret was opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Look {
    pub keys: Vec<KeyInfo>,
    pub salts: usize,
    /// Not so for a ring of version 1, until it is used.
    pub is_wrapped: bool,
}

/// Looks at the ring: directory, modes, master key, and whether each secret opens.
pub fn look(keys: &Keys) -> Result<Look, KeyError> {
    let store = Store::existing(&keys.dir)?;
    let mut contents = store.read()?;
    let mut keeper = Keeper::new(keys.master.clone());
    let is_wrapped = contents.is_wrapped();
    let master = if is_wrapped {
        keeper.unlock(&contents, &store.path())?
    } else {
        keeper.check(&store.path())?;
        // In memory only, so that both versions are read by the same code.
        let master = MasterKey::random()?;
        wrap_all(&mut contents, &master).map_err(|error| error.in_ring(&store.path()))?;
        master
    };
    // An earlier version's ring lacks keys that the next start makes.
    let listed = listed(&contents);
    complete(&mut contents, &master)?;
    Ring::decode(&contents, store.stamp(), &master, &store)?;
    Ok(Look { keys: listed, salts: contents.salts.len(), is_wrapped })
}

/// The keys, for which no master key is needed; none if there is no ring.
pub fn list(keys: &Keys) -> Result<Vec<KeyInfo>, KeyError> {
    if !keys.dir.is_dir() {
        return Ok(Vec::new());
    }
    match Store::existing(&keys.dir)?.read() {
        Ok(contents) => Ok(listed(&contents)),
        Err(KeyError::NoRing(_)) => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}
