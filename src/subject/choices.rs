//! What an officer has noted for a visitor's browser: no marketing, or no hits at all.

use std::path::{Path, PathBuf};

/// The name of the file in `DATA/rights`.
pub const FILE_NAME: &str = "choices.json";

/// The store.
pub struct Choices {
    path: PathBuf,
}

// === impl Choices ===

impl Choices {
    /// The list of a data directory. Nothing is read or made yet.
    pub fn new(data_dir: &Path) -> Choices {
        Choices { path: data_dir.join("rights").join(FILE_NAME) }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }
}
