//! `manifest.json`: what is in an archive. It is its last file, since the hashes of
//! the others are known only once they were written.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The name in the archive.
pub(super) const NAME: &str = "manifest.json";
/// A part has about twelve files of 150 bytes each here: this is for 30,000 parts.
pub(super) const MAX_BYTES: u64 = 64 << 20;

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// RFC 3339.
    pub made: String,
    /// The version of the program that made it.
    pub product: String,
    /// The database's name in ClickHouse.
    pub database: String,
    /// Rows, by table and partition.
    pub tables: BTreeMap<String, BTreeMap<String, u64>>,
    /// The numbers of the applied migrations.
    pub migrations: Vec<u32>,
    /// The lines of the spool's checkpoint with its positions.
    pub spool: Vec<String>,
    /// All files but this one, in their order.
    pub files: Vec<Entry>,
}

/// One file of an archive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    pub path: String,
    pub bytes: u64,
    /// So many zeros followed, and were left out.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub zeros: u64,
    /// Of the bytes, without the zeros.
    pub blake3: String,
}

// === impl Manifest ===

impl Manifest {
    /// Rows of hits.
    pub fn rows(&self) -> u64 {
        self.tables.get("hits").into_iter().flat_map(BTreeMap::values).sum()
    }

    /// Notes a file of ClickHouse's backup: a part says in `count.txt` how many rows
    /// it has. `path` is `data/DATABASE/TABLE/PARTITION_…/count.txt`.
    pub(super) fn count(&mut self, path: &str, text: &str) {
        let parts: Vec<&str> = path.split('/').collect();
        if let ["data", _, table, part, "count.txt"] = parts[..]
            && let Some((partition, _)) = part.split_once('_')
            && let Ok(rows) = text.trim().parse::<u64>()
        {
            let partitions = self.tables.entry(table.to_owned()).or_default();
            *partitions.entry(partition.to_owned()).or_default() += rows;
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(zeros: &u64) -> bool {
    *zeros == 0
}
