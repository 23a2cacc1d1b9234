//! Sync: what another ring knows is taken over into this one.
//!
//! For collectors of one site that cannot share a directory. In: another ring's
//! directory, or its exported file. The result is the union by purpose and id:
//!
//! - A key that only one ring has is in both afterwards; one that is retired in
//!   either is retired.
//! - A key that was destroyed in either is destroyed: no sync brings it back,
//!   whichever ring is the older copy.
//! - Different keys under one purpose and id are a conflict, which is said. If it is
//!   a purpose key, the rings were made apart, and nothing is changed. If it is an
//!   address or backup key, they have lived apart: ours stays, the rest is taken
//!   over, so that it holds up no destruction. `take_theirs` replaces ours in both
//!   cases, which makes unreadable here what was under it; it is how two rings
//!   that were made apart become one.
//! - The key of the audit trail is taken where there is none, and otherwise stays: the
//!   trail lies beside the ring and could not be verified under another's.
//! - A day's salt lives for two days, so the other ring's is taken without asking:
//!   from then on both count cookieless visitors alike.
//!
//! What it does not do: the other ring is only read. Rings that live apart each
//! make their own key for a new month, which is a conflict for that month; only a
//! shared directory prevents that.

use std::path::Path;

use jiff::Timestamp;
use jiff::civil::Date;
use serde::Serialize;

use super::change::{ALWAYS_THERE, calendar, complete, forget_oldest_backups, is_destroyed};
use super::file::{Contents, Key, Purpose, Store};
use super::master::Keeper;
use super::ring::Ring;
use super::salt::is_near;
use super::wrap::{unwrap_all, wrap_all};
use super::{KeyError, KeyRing, export};
use crate::config::Keys;

/// Another ring, with its secrets plain. Not printable.
pub struct OtherRing(Contents);

/// What a sync changed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Synced {
    /// Keys that were not here.
    pub added: usize,
    /// Keys that are not used for new values any more.
    pub retired: usize,
    /// Keys that were destroyed there and were still here.
    pub destroyed: usize,
    /// Keys of ours that gave way.
    pub replaced: usize,
    pub salts: usize,
    /// Destructions that were not known here.
    pub noted: usize,
    /// Keys of ours that stay although the other ring has others under their ids.
    pub conflicts: Vec<(Purpose, u32)>,
}

// === impl OtherRing ===

impl OtherRing {
    /// The ring in a directory, which is only read.
    pub fn in_dir(keys: &Keys) -> Result<OtherRing, KeyError> {
        let store = Store::existing(&keys.dir)?;
        let mut contents = store.read()?;
        if contents.is_wrapped() {
            let master = Keeper::new(keys.master.clone()).unlock(&contents, &store.path())?;
            unwrap_all(&mut contents, &master).map_err(|error| error.in_ring(&store.path()))?;
        }
        Ok(OtherRing(contents))
    }

    /// The ring in an exported file.
    pub fn exported(file: &[u8], passphrase: &str) -> Result<OtherRing, KeyError> {
        let text = export::open(file, passphrase)?;
        let mut contents = Contents::parse(Path::new("the exported key ring"), &text)?;
        if contents.is_wrapped() {
            return Err(KeyError::Export("is wrapped under a master key inside"));
        }
        // Earlier versions exported the daily salts too.
        contents.salts.clear();
        Ok(OtherRing(contents))
    }
}

// === impl KeyRing ===

impl KeyRing {
    /// Makes a ring of another one where there is none, and says how many keys it holds.
    pub fn found(keys: &Keys, other: OtherRing) -> Result<usize, KeyError> {
        let store = Store::open(&keys.dir)?;
        let mut keeper = Keeper::new(keys.master.clone());
        let path = store.path();
        let (contents, _) = store.update(|contents| {
            if contents.version != 0 {
                return Err(KeyError::Exists(path.clone()));
            }
            *contents = other.0;
            let master = keeper.unlock(contents, &path)?;
            wrap_all(contents, &master)?;
            // An earlier version's ring may lack what came later.
            complete(contents, &master)?;
            // What cannot be used is refused before it is written.
            Ring::decode(contents, store.stamp(), &master, &store)?;
            Ok(true)
        })?;
        Ok(contents.keys.len())
    }

    /// Takes over what another ring knows. `today_of` as for [`KeyRing::maintain`].
    pub fn sync(
        &self,
        other: OtherRing,
        take_theirs: bool,
        now: Timestamp,
        today_of: impl Fn(&str) -> Option<Date>,
    ) -> Result<Synced, KeyError> {
        let today = calendar(now, today_of);
        let mut done = Synced::default();
        self.change(&mut self.changing(), |contents, master| {
            let mut ours = contents.clone();
            unwrap_all(&mut ours, master)?;
            done = merge(&mut ours, &other.0, take_theirs, today)?;
            if !done.is_change() {
                return Ok(false);
            }
            wrap_all(&mut ours, master)?;
            complete(&mut ours, master)?;
            *contents = ours;
            Ok(true)
        })?;
        Ok(done)
    }
}

// === impl Synced ===

impl Synced {
    /// Whether the ring is another than before.
    pub fn is_change(&self) -> bool {
        *self != Synced { conflicts: self.conflicts.clone(), ..Synced::default() }
    }
}

/// Both rings with their secrets plain.
fn merge(
    ours: &mut Contents,
    theirs: &Contents,
    take_theirs: bool,
    today: impl Fn(&str) -> Date,
) -> Result<Synced, KeyError> {
    let mut done = Synced::default();
    let before = ours.keys.len();
    ours.keys.retain(|key| !is_destroyed(theirs, key.purpose, key.id));
    done.destroyed = before - ours.keys.len();
    for gone in &theirs.destroyed {
        if !is_destroyed(ours, gone.purpose, gone.id) {
            ours.destroyed.push(gone.clone());
            done.noted += 1;
        }
    }

    for their in &theirs.keys {
        if is_destroyed(ours, their.purpose, their.id) {
            continue;
        }
        let found = ours.keys.iter_mut().find(|key| key.purpose == their.purpose && key.id == their.id);
        match found {
            Some(our) if our.purpose == Purpose::Audit => {}
            None => {
                ours.keys.push(their.clone());
                done.added += 1;
            }
            Some(our) if our.secret == their.secret => {
                let was = our.retired.clone();
                our.retired = earlier(our, their);
                done.retired += usize::from(our.retired != was);
            }
            Some(our) if take_theirs => {
                *our = their.clone();
                done.replaced += 1;
            }
            Some(_) => done.conflicts.push((their.purpose, their.id)),
        }
    }
    if done.conflicts.iter().any(|(purpose, _)| ALWAYS_THERE.contains(purpose)) {
        return Err(KeyError::Conflict(done.conflicts));
    }

    for their in &theirs.salts {
        if !their.day.parse().is_ok_and(|day| is_near(day, today(&their.site))) {
            continue;
        }
        let found = ours.salts.iter_mut().find(|salt| salt.site == their.site && salt.day == their.day);
        match found {
            Some(our) if our.secret == their.secret => continue,
            Some(our) => *our = their.clone(),
            None => ours.salts.push(their.clone()),
        }
        done.salts += 1;
    }
    forget_oldest_backups(ours);
    Ok(done)
}

/// When a key was retired first; empty if it was in neither.
fn earlier(our: &Key, their: &Key) -> String {
    let dates = [&our.retired, &their.retired];
    dates.into_iter().filter(|date| !date.is_empty()).min().cloned().unwrap_or_default()
}
