//! What a run did, as JSON, and the latest run's report on the disk.
//!
//! `DATA/retention/last.json` (0600, replaced whole) is the report of the last run
//! that removed and verified; `DATA/retention/lock` is held by whoever works.
//! Neither holds anything of a person: sites, kinds, counts, times.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::private_file as file;

/// One run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The moment that terms were compared with, RFC 3339.
    pub at: String,
    /// Nothing was removed: `removed` is what a run at that moment removes.
    pub dry_run: bool,
    /// By site and kind, sorted.
    pub kinds: Vec<KindReport>,
    /// Address keys of past months, by id.
    pub keys_destroyed: Vec<u32>,
    /// Backups past their age whose keys were destroyed.
    pub backups: u64,
    /// Parts that went whole, by `DROP PART`.
    pub parts_dropped: u64,
    /// How long it took.
    pub seconds: f64,
}

/// One kind of data of one site.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct KindReport {
    pub site: String,
    pub kind: String,
    /// Rows that went, or of which this column was wiped.
    pub removed: u64,
    /// Rows past this term that `hold` keeps.
    pub held_back: u64,
    /// Time of the oldest that is left and not held, RFC 3339.
    pub oldest_left: Option<String>,
}

// === impl Report ===

impl Report {
    /// The latest report of a data directory; `None` before the first run.
    pub fn last(data_dir: &Path) -> io::Result<Option<Report>> {
        let Some(bytes) = file::read(&last(data_dir))? else { return Ok(None) };
        serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|error| io::Error::other(format!("{}: not a report: {error}", last(data_dir).display())))
    }

    /// Keeps it as the latest.
    pub fn keep(&self, data_dir: &Path) -> io::Result<()> {
        let text = serde_json::to_vec_pretty(self).map_err(io::Error::other)?;
        file::replace(&last(data_dir), &text)
    }

    /// What was removed of all sites together.
    pub fn removed(&self) -> u64 {
        self.kinds.iter().map(|one| one.removed).sum()
    }
}

/// Waits until no other process removes on this data directory.
pub fn lock(data_dir: &Path) -> io::Result<File> {
    file::lock(&data_dir.join("retention/lock"))
}

fn last(data_dir: &Path) -> PathBuf {
    data_dir.join("retention/last.json")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_report_is_read_as_it_was_kept() {
        let dir = tempfile::tempdir().expect("a directory");
        assert_eq!(Report::last(dir.path()).expect("no error"), None);
        let line = KindReport {
            site: "clinic".to_owned(),
            kind: "ip".to_owned(),
            removed: 3,
            held_back: 1,
            oldest_left: Some("2026-11-25T00:00:00Z".to_owned()),
        };
        let report = Report {
            at: "2026-11-26T00:00:00Z".to_owned(),
            dry_run: false,
            kinds: vec![line],
            keys_destroyed: vec![20_260_801],
            backups: 2,
            parts_dropped: 1,
            seconds: 0.5,
        };
        report.keep(dir.path()).expect("kept");
        assert_eq!(Report::last(dir.path()).expect("read"), Some(report));
        file::replace(&last(dir.path()), b"[]").expect("written");
        let error = Report::last(dir.path()).expect_err("refused").to_string();
        assert!(error.contains("last.json: not a report"), "{error}");
    }
}
