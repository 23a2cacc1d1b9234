//! Blocks: a person is in no number, though their rows are stored (policy clause 6.2.4).
//!
//! A block is a row of the table `blocked` ([`crate::store`]), which every question
//! asks. A copy of the list stands in `DATA/rights/blocks.json`, and beside the
//! backups: a restored backup knows only the blocks of its time. At each start
//! those of the copy that the table lacks are put into it; after a restore the
//! table becomes equal to the copy.
//!
//! ```text
//! {"version":1,"blocks":[{"site":"clinic","kind":"visitor","hash":"0123456789abcdef","since":MS}]}
//! ```
//!
//! Order: block: copies, then table (numbers change here), then holds. Unblock:
//! table and holds, then copies. A crash in between leaves the person blocked.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Office, Person, SubjectError, blocking};
use crate::private_file as file;
use crate::rights::request::Subject;
use crate::store::{Block, MAX_BLOCKS};

/// The name of the copy, in `DATA/rights` and in `backup.dir`.
pub const FILE_NAME: &str = "blocks.json";
const LOCK_NAME: &str = "blocks.lock";
const FILE_VERSION: u32 = 1;

/// The file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Contents {
    version: u32,
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

/// What a change of blocks did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Blocked {
    #[serde(flatten)]
    pub person: Person,
    /// Rows that are stored of them.
    pub rows: u64,
    pub blocked: bool,
}

// === impl Office ===

impl Office {
    /// From the return on the person is in no number.
    pub async fn block(&self, person: Person, now: Timestamp) -> Result<Blocked, SubjectError> {
        let blocks = blocks(&person);
        let since = now.as_millisecond();
        let added = blocks.clone();
        self.change_copies(move |known| {
            for block in added {
                known.entry(block).or_insert(since);
            }
        })
        .await?;
        self.storage.block(&blocks, since).await?;
        self.storage.hold_blocked().await?;
        let held = self.held(person).await?;
        Ok(Blocked { person: held.person, rows: held.rows, blocked: true })
    }

    /// From the return on the person counts again, as before.
    pub async fn unblock(&self, person: Person) -> Result<Blocked, SubjectError> {
        self.end_blocks(blocks(&person)).await?;
        let held = self.held(person).await?;
        Ok(Blocked { person: held.person, rows: held.rows, blocked: held.blocked })
    }

    /// Ends these, where they are blocks.
    pub(super) async fn end_blocks(&self, blocks: Vec<Block>) -> Result<(), SubjectError> {
        self.storage.unblock(&blocks).await?;
        self.change_copies(move |known| {
            for block in &blocks {
                known.remove(block);
            }
        })
        .await
    }

    /// Puts into storage what the copy has and it lacks, and holds what came since.
    pub async fn restore_blocks(&self) -> Result<(), SubjectError> {
        let path = self.dir().join(FILE_NAME);
        let known = blocking(move || read(&path)).await?;
        let blocks: Vec<Block> = known.into_keys().collect();
        self.storage.block(&blocks, Timestamp::now().as_millisecond()).await?;
        self.storage.hold_blocked().await?;
        Ok(())
    }

    async fn change_copies(
        &self,
        change: impl FnOnce(&mut BTreeMap<Block, i64>) + Send + 'static,
    ) -> Result<(), SubjectError> {
        let dir = self.dir();
        let places = [dir.join(FILE_NAME), self.config.backup.dir.join(FILE_NAME)];
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
            let contents = Contents { version: FILE_VERSION, blocks: blocks.collect() };
            let bytes = serde_json::to_vec(&contents).expect("plain values");
            for path in places {
                file::replace(&path, &bytes).map_err(|source| SubjectError::File { path, source })?;
            }
            Ok(())
        })
        .await
    }
}

/// The blocks in a copy, and since when; none if there is no file.
pub fn read(path: &Path) -> Result<BTreeMap<Block, i64>, SubjectError> {
    let at = |source| SubjectError::File { path: path.to_owned(), source };
    let Some(bytes) = file::read(path).map_err(at)? else { return Ok(BTreeMap::new()) };
    let wrong = |what: String| SubjectError::Format { path: PathBuf::from(path), what };
    let contents: Contents = serde_json::from_slice(&bytes).map_err(|error| wrong(error.to_string()))?;
    if contents.version != FILE_VERSION {
        return Err(wrong(format!("version {}", contents.version)));
    }
    let block = |entry: Entry| (Block { site: entry.site, subject: entry.subject.into() }, entry.since);
    Ok(contents.blocks.into_iter().map(block).collect())
}

/// What is blocked when a person is.
pub(super) fn blocks(person: &Person) -> Vec<Block> {
    person.subjects().map(|subject| Block { site: person.site.clone(), subject }).collect()
}
