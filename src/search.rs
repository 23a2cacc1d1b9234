//! Where the files are that the binary does not carry: the engine's library,
//! geo databases, user agent rules.
//!
//! In: a configured path or none, and the file's names. Out: its path, or an
//! error that names what was searched and the command that brings it.
//!
//! Order: the configured path (and then nothing else), `../lib/metka` beside
//! the binary, `node_modules` in the binary's directory and each one above it,
//! the same from the working directory. A configured path that does not exist
//! is an error even if another place has the file: settings are not guesses.

use std::path::{Path, PathBuf};

/// The command that brings every file of `node_modules`.
pub const COMMAND: &str = "npm ci";
/// How many directories upward are looked at: paths are not deeper in practice,
/// and a loop of links must end.
const MAX_LEVELS: usize = 32;

/// The places to search, in order.
#[derive(Clone, Debug)]
pub struct Search {
    library_dir: Option<PathBuf>,
    module_dirs: Vec<PathBuf>,
}

/// A file that one of the places may have.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// What it is, for errors: `the user agent rules`.
    pub what: &'a str,
    /// The key that sets its path: `enrich.user_agent_rules`.
    pub key: &'a str,
    /// Its name in `../lib/metka`.
    pub library_name: &'a str,
    /// Its path below `node_modules`.
    pub module_path: &'a str,
}

/// The file is in none of the places.
#[derive(Debug, thiserror::Error)]
pub enum SearchError {
    #[error("{what}: the configured file {} does not exist ({key}); `{COMMAND}` in the repository brings one", path.display())]
    Configured { what: String, key: String, path: PathBuf },
    #[error(
        "{what}: not found; searched {}; `{COMMAND}` in the repository brings it, or set {key}",
        searched.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
    )]
    NotFound { what: String, key: String, searched: Vec<PathBuf> },
}

// === impl Search ===

impl Search {
    /// The places for a binary in `exe_dir` started in `working_dir`.
    pub fn new(exe_dir: Option<&Path>, working_dir: &Path) -> Search {
        let mut module_dirs: Vec<PathBuf> = Vec::new();
        for start in exe_dir.into_iter().chain([working_dir]) {
            for level in start.ancestors().take(MAX_LEVELS) {
                let dir = level.join("node_modules");
                if !module_dirs.contains(&dir) {
                    module_dirs.push(dir);
                }
            }
        }
        let library_dir = exe_dir.and_then(Path::parent).map(|parent| parent.join("lib/metka"));
        Search { library_dir, module_dirs }
    }

    /// The places for this process. One that the system cannot name is left out.
    pub fn here() -> Search {
        let exe = std::env::current_exe().ok();
        let working_dir = std::env::current_dir().unwrap_or_default();
        Search::new(exe.as_deref().and_then(Path::parent), &working_dir)
    }

    /// Finds one file.
    pub fn find(&self, configured: Option<&Path>, wanted: Wanted) -> Result<PathBuf, SearchError> {
        if let Some(path) = configured {
            return match path.is_file() {
                true => Ok(path.to_owned()),
                false => Err(SearchError::Configured {
                    what: wanted.what.to_owned(),
                    key: wanted.key.to_owned(),
                    path: path.to_owned(),
                }),
            };
        }
        let beside = self.library_dir.iter().map(|dir| dir.join(wanted.library_name));
        let modules = self.module_dirs.iter().map(|dir| dir.join(wanted.module_path));
        let candidates: Vec<PathBuf> = beside.chain(modules).collect();
        match candidates.iter().find(|path| path.is_file()) {
            Some(path) => Ok(path.clone()),
            None => Err(SearchError::NotFound {
                what: wanted.what.to_owned(),
                key: wanted.key.to_owned(),
                searched: self.searched(wanted),
            }),
        }
    }

    /// The files with this extension in `../lib/metka`, by name.
    pub fn in_library_dir(&self, extension: &str) -> Vec<PathBuf> {
        let Some(entries) = self.library_dir.as_ref().and_then(|dir| std::fs::read_dir(dir).ok()) else {
            return Vec::new();
        };
        let mut files: Vec<PathBuf> = entries
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.extension().is_some_and(|found| found == extension) && path.is_file())
            .collect();
        files.sort();
        files
    }

    /// What an error names: the places that exist, and the first that could.
    fn searched(&self, wanted: Wanted) -> Vec<PathBuf> {
        let mut places: Vec<PathBuf> =
            self.library_dir.iter().map(|dir| dir.join(wanted.library_name)).collect();
        let existing = self.module_dirs.iter().filter(|dir| dir.is_dir());
        places.extend(existing.map(|dir| dir.join(wanted.module_path)));
        if places.len() < 2 {
            places.extend(self.module_dirs.last().map(|dir| dir.join(wanted.module_path)));
        }
        places
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: Wanted = Wanted {
        what: "the rules",
        key: "x.rules",
        library_name: "rules.yaml",
        module_path: "rules/rules.yaml",
    };

    fn put(path: PathBuf) -> PathBuf {
        std::fs::create_dir_all(path.parent().expect("has a parent")).expect("writable");
        std::fs::write(&path, "x").expect("writable");
        path
    }

    #[test]
    fn the_nearest_place_wins_and_a_configured_path_is_final() {
        let root = tempfile::tempdir().expect("temporary directory");
        let search = Search::new(Some(&root.path().join("target/bin")), &root.path().join("work"));
        let error = search.find(None, RULES).expect_err("nothing there").to_string();
        assert!(
            error.contains("npm ci") && error.contains("x.rules") && error.contains("lib/metka/rules.yaml"),
            "{error}"
        );

        let module = put(root.path().join("node_modules/rules/rules.yaml"));
        assert_eq!(search.find(None, RULES).expect("in node_modules"), module);
        let near = put(root.path().join("target/node_modules/rules/rules.yaml"));
        assert_eq!(search.find(None, RULES).expect("in node_modules"), near);
        let library = put(root.path().join("target/lib/metka/rules.yaml"));
        assert_eq!(search.find(None, RULES).expect("beside the binary"), library);
        assert_eq!(search.in_library_dir("yaml"), [library]);

        let gone = root.path().join("gone.yaml");
        let error = search.find(Some(&gone), RULES).expect_err("configured, absent").to_string();
        assert!(error.contains("gone.yaml does not exist (x.rules)"), "{error}");
    }
}
