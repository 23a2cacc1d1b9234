//! Who is kept past their terms, as the spool asks: the copies of both lists
//! ([`super::block`]), which are changed before storage is.
//!
//! They are read again whenever one of the files is another: people are put on the lists
//! by a server, and by commands without one.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use super::block::{file_name, read};
use crate::config::Config;
use crate::private_file::{self as file, Version};
use crate::spool::{Kept, WhoIsKept};
use crate::store::List;

/// The versions of the files, and what stood in them.
type Known = ([Option<Version>; List::ALL.len()], Arc<Kept>);

/// Answers from `DATA/rights`.
pub fn who(config: &Config) -> Arc<WhoIsKept> {
    let paths = List::ALL.map(|list| super::dir(config).join(file_name(list)));
    let known: Mutex<Option<Known>> = Mutex::default();
    Arc::new(move || {
        let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
        let mut versions = [None; List::ALL.len()];
        for (version, path) in versions.iter_mut().zip(&paths) {
            *version = file::version(path).map_err(|error| format!("{}: {error}", path.display()))?;
        }
        if let Some((of, kept)) = &*known
            && *of == versions
        {
            return Ok(kept.clone());
        }
        let kept = Arc::new(all_of(&paths)?);
        *known = Some((versions, kept.clone()));
        Ok(kept)
    })
}

fn all_of(paths: &[PathBuf]) -> Result<Kept, String> {
    let mut all = Vec::new();
    for path in paths {
        let blocks = read(path).map_err(|error| error.to_string())?;
        all.extend(blocks.into_keys().map(|block| (block.site, block.subject)));
    }
    Ok(all.into_iter().collect())
}
