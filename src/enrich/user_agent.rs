//! Which browser, system and device a user agent string names, and whether a
//! machine sent it.
//!
//! Two answers. The *quick* one (`quick`: woothee and our own list of tokens,
//! some microseconds) is given at once. The *full* one (`rules`: uap-core's
//! rules by uaparser, and the crawler patterns of the npm package
//! crawler-user-agents; half a millisecond) is made on a helper thread
//! (`helper`) within a CPU budget, and is what rows after it get. Beyond the
//! budget the quick answer stays. Both speak the same closed vocabulary
//! (`names`), so that a browser does not appear under two names.
//!
//! In: the string, cut at [`MAX_USER_AGENT_BYTES`]. Out: a shared [`UserAgent`].
//!
//! Bounds: [`CACHE_ENTRIES`] answers, found by a keyed hash of the string (the
//! string itself is kept only while it waits for the helper), about 8 MB;
//! [`QUEUE_ENTRIES`] waiting strings. The rules take 85 MB at most: about 40 compiled,
//! the rest what their searches keep, of which they let go now and then (`helper`).
//! They are loaded by the helper when it gets its first string. Without the rules everything
//! works, with the quick answers, and a warning says what is missing.

mod cache;
mod device;
mod helper;
pub mod names;
mod quick;
mod rules;
#[cfg(test)]
mod tests;

use std::hash::{BuildHasher, RandomState};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::SyncSender;

use serde::Serialize;

use crate::config::Enrich;
use crate::event::MAX_USER_AGENT_BYTES;
use crate::search::{Search, SearchError, Wanted};

use cache::Cache;
use helper::Job;
pub use rules::{Rules, RulesError};

/// How many answers are kept: a busy site sees some thousand user agents in a
/// day; 2^14 leave room for several.
pub const CACHE_ENTRIES: usize = 16_384;
/// How many strings wait for the helper; one that finds no room asks again with
/// its next hit.
pub const QUEUE_ENTRIES: usize = 1024;

const RULES: Wanted = Wanted {
    what: "the user agent rules",
    key: "enrich.user_agent_rules",
    library_name: "regexes.yaml",
    module_path: "uap-core/regexes.yaml",
};
const CRAWLERS: Wanted = Wanted {
    what: "the crawler patterns",
    key: "enrich.user_agent_rules",
    library_name: "crawler-user-agents.json",
    module_path: "crawler-user-agents/crawler-user-agents.json",
};

/// What a user agent string says. Names are those of the vocabulary in `names`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct UserAgent {
    /// `Chrome`, `Yandex Browser`, …; empty when not known.
    pub browser: String,
    /// `131`, or `17.4` where the second number says something.
    pub browser_version: String,
    /// `Windows`, `Android`, `iOS`, `macOS`, `Linux`, …; empty when not known.
    pub os: String,
    pub os_version: String,
    /// `desktop`, `mobile`, `tablet`, `tv`, `console` or `other`.
    pub device: &'static str,
    /// What gave a machine away: `crawler`, `headless`, `automation`, `library`
    /// or `empty`; empty for people.
    pub bot: &'static str,
}

/// Classifies user agents. Shared by all threads; never waits.
pub struct Classifier {
    shared: Arc<Shared>,
    /// Absent when there are no rules or no budget.
    jobs: Option<SyncSender<Job>>,
    files: Files,
    warnings: Vec<String>,
}

/// What the classifier and its helper thread share.
struct Shared {
    cache: Cache,
    hasher: RandomState,
    hits: AtomicU64,
    misses: AtomicU64,
    refined: AtomicU64,
    postponed: AtomicU64,
    helper_cpu_ns: AtomicU64,
}

/// The files and settings a classifier was made from.
#[derive(Clone, PartialEq, Eq, Default)]
struct Files {
    rules: Option<(PathBuf, std::time::SystemTime)>,
    crawlers: Option<(PathBuf, std::time::SystemTime)>,
    cpu_percent: u32,
}

/// Counts since the start or the last reload.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct UserAgentStats {
    pub cache_entries: usize,
    pub cache_hits: u64,
    pub cache_misses: u64,
    /// Full answers made.
    pub refined: u64,
    /// Times a string found no room in the helper's queue.
    pub postponed: u64,
    /// What the helper thread has used of a core, loading the rules included.
    pub helper_cpu_ns: u64,
}

/// The configured rules cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum UserAgentError {
    #[error(transparent)]
    Search(#[from] SearchError),
    #[error("the thread that classifies user agents cannot be started: {0}")]
    Thread(std::io::Error),
}

// === impl Classifier ===

impl Classifier {
    /// Finds the rules and starts the helper thread, which sleeps until the
    /// first unknown user agent.
    pub fn open(config: &Enrich, search: &Search) -> Result<Classifier, UserAgentError> {
        let mut warnings = Vec::new();
        let rules = match search.find(config.user_agent_rules.as_deref(), RULES) {
            Ok(path) => Some(path),
            Err(error) if config.user_agent_rules.is_some() => return Err(error.into()),
            Err(error) => {
                warnings.push(format!("browsers are named by the quick rules only: {error}"));
                None
            }
        };
        let crawlers = search.find(None, CRAWLERS).ok();
        if rules.is_some() && crawlers.is_none() {
            warnings.push(format!(
                "crawlers are told by the built-in list and the rules only: {} is not found; `{}` in the repository brings it",
                CRAWLERS.module_path,
                crate::search::COMMAND
            ));
        }
        let files = Files {
            rules: rules.clone().map(with_time),
            crawlers: crawlers.clone().map(with_time),
            cpu_percent: config.user_agent_cpu_percent,
        };
        let shared = Arc::new(Shared::new());
        let jobs = match rules {
            Some(rules) if config.user_agent_cpu_percent > 0 => Some(
                helper::start(shared.clone(), rules, crawlers, config.user_agent_cpu_percent)
                    .map_err(UserAgentError::Thread)?,
            ),
            _ => None,
        };
        Ok(Classifier { shared, jobs, files, warnings })
    }

    /// What is missing, one sentence each.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Whether another classifier was made from the same files.
    pub fn is_same(&self, other: &Classifier) -> bool {
        self.files == other.files
    }

    /// The best answer there is now.
    pub fn classify(&self, text: &str) -> Arc<UserAgent> {
        let text = cut(text);
        let key = self.shared.hasher.hash_one(text);
        let (answer, wants_full) = match self.shared.cache.get(key) {
            Some(found) => {
                self.shared.hits.fetch_add(1, Relaxed);
                found
            }
            None => {
                self.shared.misses.fetch_add(1, Relaxed);
                let answer = Arc::new(quick::classify(text));
                self.shared.cache.insert(key, answer.clone());
                (answer, true)
            }
        };
        if wants_full
            && let Some(jobs) = &self.jobs
            && self.shared.cache.set_queued(key)
            && jobs.try_send(Job { key, text: text.into() }).is_err()
        {
            self.shared.cache.clear_queued(key);
            self.shared.postponed.fetch_add(1, Relaxed);
        }
        answer
    }

    pub fn stats(&self) -> UserAgentStats {
        UserAgentStats {
            cache_entries: self.shared.cache.len(),
            cache_hits: self.shared.hits.load(Relaxed),
            cache_misses: self.shared.misses.load(Relaxed),
            refined: self.shared.refined.load(Relaxed),
            postponed: self.shared.postponed.load(Relaxed),
            helper_cpu_ns: self.shared.helper_cpu_ns.load(Relaxed),
        }
    }
}

/// The quick answer alone, without a cache: what a first hit's row gets.
pub fn classify_quickly(text: &str) -> UserAgent {
    quick::classify(cut(text))
}

// === impl Shared ===

impl Shared {
    fn new() -> Shared {
        Shared {
            cache: Cache::new(CACHE_ENTRIES),
            hasher: RandomState::new(),
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
            refined: AtomicU64::new(0),
            postponed: AtomicU64::new(0),
            helper_cpu_ns: AtomicU64::new(0),
        }
    }
}

fn cut(text: &str) -> &str {
    let mut end = text.len().min(MAX_USER_AGENT_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].trim()
}

fn with_time(path: PathBuf) -> (PathBuf, std::time::SystemTime) {
    let time = std::fs::metadata(&path).and_then(|metadata| metadata.modified());
    (path, time.unwrap_or(std::time::SystemTime::UNIX_EPOCH))
}
