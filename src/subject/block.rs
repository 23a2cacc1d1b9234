//! Blocks: a person is in no number, though their rows are stored (policy clause 6.2.4).
//! Holds: their rows are kept past their terms, for a claim, and counted as before.
//!
//! A block is a row of the table `blocked` ([`crate::store`]), which every question
//! asks, a hold one of `held`. A copy of each list stands in `DATA/rights/blocks.json`
//! and `holds.json`, and beside the backups: a restored backup knows only the lists of
//! its time. At each start those of a copy that its table lacks are put into it, but those
//! that have ended since at another collector on the same storage, which leave the copy: the
//! table `ended` knows them. After a restore the table becomes equal to the copy. Both files
//! have the same form:
//!
//! ```text
//! {"version":1,"written":MS,"blocks":[{"site":"clinic","kind":"visitor","hash":"0123456789abcdef","since":MS}]}
//! ```
//!
//! Order: block: copies, then table (numbers change here), then `hold` of the rows.
//! Unblock: table and `hold`, then copies. A crash in between leaves the person blocked.
//! A hold goes the same way. Whoever is held is not erased: the hold has to end first.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::erase::alone;
use super::find::Held;
use super::{Office, Person, SubjectError, blocking};
use crate::config::Config;
use crate::private_file as file;
use crate::rights::request::Subject;
use crate::store::{Block, List, MAX_BLOCKS, Storage};

const LOCK_NAME: &str = "blocks.lock";
const FILE_VERSION: u32 = 1;

/// The file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Contents {
    version: u32,
    /// When, in milliseconds since 1970: which of two copies is newer.
    #[serde(default)]
    written: i64,
    blocks: Vec<Entry>,
}

#[derive(Serialize, Deserialize)]
struct Entry {
    site: String,
    #[serde(flatten)]
    subject: Subject,
    /// Milliseconds since 1970.
    since: i64,
}

/// A copy of a list.
pub struct ListCopy {
    /// In milliseconds since 1970; 0 where it does not say.
    pub written_ms: i64,
    /// Since when each is on the list, in milliseconds since 1970.
    pub entries: BTreeMap<Block, i64>,
}

// === impl Office ===

impl Office {
    /// From the return on the person is in no number ([`List::Blocked`]), or kept past
    /// every term ([`List::Held`]).
    pub async fn enlist(&self, list: List, person: Person, now: Timestamp) -> Result<Held, SubjectError> {
        let blocks = blocks(&person);
        // An erasure looks at who is held when it begins, so that none begins in between.
        let _alone = match list {
            List::Held => Some(alone().await),
            List::Blocked => None,
        };
        if list == List::Held && self.is_being_erased(&blocks).await? {
            return Err(SubjectError::Erasing);
        }
        let ends = self.storage.ended(list).await?;
        // After every end, by whichever clock that was.
        let after = blocks.iter().filter_map(|block| Some(ends.get(block)? + 1)).max();
        let since = now.as_millisecond().max(after.unwrap_or_default());
        let added = blocks.clone();
        change_copies(&self.config, list, move |known| {
            for block in added {
                let has_ended = is_over(&ends, &block, known.get(&block).copied());
                let since_then = known.entry(block).or_insert(since);
                if has_ended {
                    *since_then = since;
                }
            }
        })
        .await?;
        self.storage.enlist(list, &blocks, since).await?;
        self.storage.hold_listed().await?;
        self.held(person).await
    }

    /// From the return on the person counts again, as before, or their terms run again.
    pub async fn delist(&self, list: List, person: Person) -> Result<Held, SubjectError> {
        self.end(list, blocks(&person)).await?;
        self.held(person).await
    }

    /// Ends these, where they are on the list.
    pub(super) async fn end(&self, list: List, blocks: Vec<Block>) -> Result<(), SubjectError> {
        self.storage.delist(list, &blocks).await?;
        change_copies(&self.config, list, move |known| {
            for block in &blocks {
                known.remove(block);
            }
        })
        .await
    }

    /// See [`restore`].
    pub async fn restore_blocks(&self) -> Result<(), SubjectError> {
        restore(&self.config, &self.storage).await
    }
}

/// Puts into storage what the copies have and it lacks, and holds what came since; what has ended
/// goes from the copies. Before that, nobody may remove rows past their terms: somebody who is held
/// may not be yet.
pub async fn restore(config: &Config, storage: &Storage) -> Result<(), SubjectError> {
    for list in List::ALL {
        let path = super::dir(config).join(file_name(list));
        let known = blocking(move || read(&path)).await?;
        let (ends, listed) = (storage.ended(list).await?, storage.listed(list).await?);
        // Whoever is on the list was put there anew, or has not been taken off it yet.
        let (over, blocks): (BTreeMap<Block, i64>, BTreeMap<Block, i64>) =
            known.into_iter().partition(|(block, since)| {
                is_over(&ends, block, Some(*since)) && listed.binary_search(block).is_err()
            });
        let blocks: Vec<Block> = blocks.into_keys().collect();
        storage.enlist(list, &blocks, Timestamp::now().as_millisecond()).await?;
        if !over.is_empty() {
            change_copies(config, list, move |known| {
                known.retain(|block, since| over.get(block) != Some(since));
            })
            .await?;
        }
    }
    storage.hold_listed().await?;
    Ok(())
}

async fn change_copies(
    config: &Config,
    list: List,
    change: impl FnOnce(&mut BTreeMap<Block, i64>) + Send + 'static,
) -> Result<(), SubjectError> {
    let dir = super::dir(config);
    let places = [dir.join(file_name(list)), config.backup.dir.join(file_name(list))];
    blocking(move || {
        let lock = dir.join(LOCK_NAME);
        let _lock = file::lock(&lock).map_err(|source| SubjectError::File { path: lock, source })?;
        let mut known = read(&places[0])?;
        change(&mut known);
        if known.len() > MAX_BLOCKS {
            return Err(SubjectError::TooManyBlocks);
        }
        let blocks = known.into_iter().map(|(block, since)| Entry {
            site: block.site,
            subject: block.subject.into(),
            since,
        });
        let written = Timestamp::now().as_millisecond();
        let contents = Contents { version: FILE_VERSION, written, blocks: blocks.collect() };
        let bytes = serde_json::to_vec(&contents).expect("plain values");
        for path in places {
            file::replace(&path, &bytes).map_err(|source| SubjectError::File { path, source })?;
        }
        Ok(())
    })
    .await
}

/// Whether an entry since then has ended.
fn is_over(ends: &BTreeMap<Block, i64>, block: &Block, since: Option<i64>) -> bool {
    matches!((ends.get(block), since), (Some(end), Some(since)) if since <= *end)
}

/// The name of the copy of a list, in `DATA/rights` and in `backup.dir`.
pub fn file_name(list: List) -> &'static str {
    match list {
        List::Blocked => "blocks.json",
        List::Held => "holds.json",
    }
}

/// The entries of a copy, and since when; none if there is no file.
pub fn read(path: &Path) -> Result<BTreeMap<Block, i64>, SubjectError> {
    Ok(read_copy(path)?.map(|copy| copy.entries).unwrap_or_default())
}

/// The copy at this path; none if there is no file.
pub fn read_copy(path: &Path) -> Result<Option<ListCopy>, SubjectError> {
    let at = |source| SubjectError::File { path: path.to_owned(), source };
    let Some(bytes) = file::read(path).map_err(at)? else { return Ok(None) };
    let wrong = |what: String| SubjectError::Format { path: PathBuf::from(path), what };
    let contents: Contents = serde_json::from_slice(&bytes).map_err(|error| wrong(error.to_string()))?;
    if contents.version != FILE_VERSION {
        return Err(wrong(format!("version {}", contents.version)));
    }
    let block = |entry: Entry| (Block { site: entry.site, subject: entry.subject.into() }, entry.since);
    let entries = contents.blocks.into_iter().map(block).collect();
    Ok(Some(ListCopy { written_ms: contents.written, entries }))
}

/// What is on a list when a person is.
pub(super) fn blocks(person: &Person) -> Vec<Block> {
    person.subjects().map(|subject| Block { site: person.site.clone(), subject }).collect()
}
