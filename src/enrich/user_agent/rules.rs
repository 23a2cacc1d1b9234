//! The full answer: uap-core's rules by uaparser, and the crawler patterns.
//!
//! In: `regexes.yaml` of the npm package uap-core, and, when it is there, the
//! JSON of crawler-user-agents. Both are compiled without Unicode classes, which
//! halves their memory; user agents are ASCII.
//!
//! It is made for one thread: half a millisecond for each string.

use std::path::{Path, PathBuf};

use regex::bytes::{RegexSet, RegexSetBuilder};
use serde::Deserialize;
use uaparser::{Parser, UserAgentParser};

use super::device::Signs;
use super::{UserAgent, names, quick};

/// The largest file of rules that is read: uap-core has 0.2 MB, the patterns
/// with their examples 0.5 MB.
const MAX_FILE_BYTES: u64 = 16 << 20;
/// The most memory that the compiled crawler patterns may take.
const MAX_PATTERNS_BYTES: usize = 64 << 20;
/// What uap-core calls the device of a crawler.
const SPIDER: &str = "Spider";

/// Crawler patterns that are left out: they are names of telephones and parts
/// of browsers too (`HTC Butterfly`, `TeomaBar`, `Lucky Ultra Sonic`, build
/// numbers that end in 008).
const BROAD_PATTERNS: [&str; 5] = ["Teoma", "speedy", "Sonic", r"008\/", "Butterfly"];

/// The compiled rules.
pub struct Rules {
    parser: UserAgentParser,
    crawlers: Option<RegexSet>,
}

/// The rules cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RulesError {
    #[error("the user agent rules {}: {error}", path.display())]
    Io { path: PathBuf, error: std::io::Error },
    #[error("the user agent rules {}: {bytes} bytes are more than {MAX_FILE_BYTES}", path.display())]
    TooLarge { path: PathBuf, bytes: u64 },
    #[error("the user agent rules {}: {what}", path.display())]
    Format { path: PathBuf, what: String },
}

#[derive(Deserialize)]
struct CrawlerEntry {
    pattern: String,
}

// === impl Rules ===

impl Rules {
    /// Reads and compiles the rules: about a second of CPU.
    pub fn load(rules: &Path, crawlers: Option<&Path>) -> Result<Rules, RulesError> {
        let bytes = read(rules)?;
        let parser = UserAgentParser::builder()
            .with_unicode_support(false)
            .build_from_bytes(&bytes)
            .map_err(|error| RulesError::Format { path: rules.to_owned(), what: error.to_string() })?;
        Ok(Rules { parser, crawlers: crawlers.map(load_crawlers).transpose()? })
    }

    /// The full answer for a string that has been cut.
    pub fn classify(&self, text: &str) -> UserAgent {
        let quick = quick::classify(text);
        if quick.bot == "empty" {
            return quick;
        }
        let bot = match quick.bot {
            "" if self.is_crawler(text) => "crawler",
            bot => bot,
        };
        let (found, found_os) = (self.parser.parse_user_agent(text), self.parser.parse_os(text));
        let text_of = |part: &Option<std::borrow::Cow<str>>| part.as_deref().unwrap_or_default().to_owned();
        let browser = names::browser(&found.family).into_owned();
        let (os, os_version) =
            names::os(&found_os.family, &text_of(&found_os.major), &text_of(&found_os.minor));
        let browser_version = names::version(&format!("{}.{}", text_of(&found.major), text_of(&found.minor)));
        let (browser, browser_version) = match (bot, browser.as_str()) {
            // A crawler's name is in the rules as if it were a browser.
            ("crawler", _) => (String::new(), String::new()),
            (_, "") => (quick.browser, quick.browser_version),
            _ => (browser, browser_version),
        };
        let (os, os_version) = if os.is_empty() { (quick.os, quick.os_version) } else { (os, os_version) };
        UserAgent { browser, browser_version, os, os_version, device: quick.device, bot }
    }

    /// Lets go of what the expressions keep from one search to the next: each has
    /// automata that grow with the variety of the strings. What was compiled stays.
    pub fn forget_searches(&mut self) {
        // A clone shares the compiled expressions and begins with empty caches.
        self.parser = self.parser.clone();
        self.crawlers = self.crawlers.clone();
    }

    /// The patterns first, which are one search; the devices are hundreds, each of
    /// which keeps what it met.
    fn is_crawler(&self, text: &str) -> bool {
        let signs = Signs::of(text);
        self.crawlers.as_ref().is_some_and(|crawlers| crawlers.is_match(text.as_bytes()))
            || (!signs.is_cubot() && !signs.is_msie() && self.parser.parse_device(text).family == SPIDER)
    }
}

fn load_crawlers(path: &Path) -> Result<RegexSet, RulesError> {
    let format = |what: String| RulesError::Format { path: path.to_owned(), what };
    let entries: Vec<CrawlerEntry> =
        serde_json::from_slice(&read(path)?).map_err(|error| format(error.to_string()))?;
    let patterns = entries.iter().map(|entry| entry.pattern.as_str());
    RegexSetBuilder::new(patterns.filter(|pattern| !BROAD_PATTERNS.contains(pattern)))
        .unicode(false)
        .size_limit(MAX_PATTERNS_BYTES)
        .build()
        .map_err(|error| format(error.to_string()))
}

fn read(path: &Path) -> Result<Vec<u8>, RulesError> {
    let io = |error| RulesError::Io { path: path.to_owned(), error };
    let bytes = std::fs::metadata(path).map_err(io)?.len();
    if bytes > MAX_FILE_BYTES {
        return Err(RulesError::TooLarge { path: path.to_owned(), bytes });
    }
    std::fs::read(path).map_err(io)
}
