//! The configured sites, ready for the hit path: found by id at once, with
//! their counters, time zones and user key secrets at hand.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::tz::TimeZone;

use crate::config::{Config, Site};
use crate::count::{Counters, SiteCounters};

/// A secret shorter than this can be guessed: 16 bytes are 128 bits.
pub const MIN_SECRET_BYTES: usize = 16;

/// One site and what goes with it.
pub struct SiteState {
    pub site: Site,
    pub counters: Arc<SiteCounters>,
    pub timezone: TimeZone,
    /// What the clinic's server signs user keys with; `None`: it signs none.
    pub user_key_secret: Option<Vec<u8>>,
}

/// All configured sites.
#[derive(Default)]
pub struct SiteTable {
    by_id: HashMap<String, Arc<SiteState>>,
}

/// What is wrong with the files and names that the sites refer to, one line each.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub struct SitesError(pub Vec<String>);

// === impl SiteTable ===

impl SiteTable {
    /// Reads the sites' secrets and looks up their time zones.
    pub fn load(config: &Config, counters: &Counters) -> Result<SiteTable, SitesError> {
        let mut by_id = HashMap::new();
        let mut mistakes = Vec::new();
        for site in &config.sites {
            let timezone = TimeZone::get(&site.timezone).unwrap_or_else(|error| {
                mistakes.push(format!("site {:?}: time zone {:?}: {error}", site.id, site.timezone));
                TimeZone::UTC
            });
            let user_key_secret = site.user_key_secret_file.as_ref().and_then(|path| {
                match std::fs::read(path) {
                    Ok(bytes) => {
                        let secret = bytes.trim_ascii().to_vec();
                        if secret.len() < MIN_SECRET_BYTES {
                            mistakes.push(format!(
                                "site {:?}: user_key_secret_file {} holds {} bytes, at least {MIN_SECRET_BYTES} are needed",
                                site.id,
                                path.display(),
                                secret.len()
                            ));
                        }
                        Some(secret)
                    }
                    Err(error) => {
                        mistakes.push(format!("site {:?}: user_key_secret_file {}: {error}", site.id, path.display()));
                        None
                    }
                }
            });
            let counters = counters.site(&site.id);
            by_id.insert(
                site.id.clone(),
                Arc::new(SiteState { site: site.clone(), counters, timezone, user_key_secret }),
            );
        }
        if mistakes.is_empty() { Ok(SiteTable { by_id }) } else { Err(SitesError(mistakes)) }
    }

    /// The site with this id.
    pub fn get(&self, id: &str) -> Option<&Arc<SiteState>> {
        self.by_id.get(id)
    }

    /// All sites, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<SiteState>> {
        self.by_id.values()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sites_are_found_by_id_and_secrets_are_checked() {
        let dir = tempfile::tempdir().expect("directory");
        std::fs::write(dir.path().join("good"), "0123456789abcdef0123\n").expect("file");
        std::fs::write(dir.path().join("short"), "abc\n").expect("file");
        let text = |name: &str| {
            format!(
                "[[site]]\nid = \"clinic\"\nhosts = [\"clinic.example\"]\nuser_key_secret_file = \"{name}\""
            )
        };
        let load = |name: &str| {
            let config = Config::parse(&text(name), [], dir.path()).expect("valid");
            SiteTable::load(&config, &Counters::new(["clinic"]))
        };
        let table = load("good").expect("loads");
        let site = table.get("clinic").expect("known");
        assert_eq!(site.user_key_secret.as_deref(), Some(&b"0123456789abcdef0123"[..]));
        assert!(table.get("other").is_none());
        for (name, part) in [("short", "holds 3 bytes"), ("absent", "user_key_secret_file")] {
            let error = load(name).err().expect("a mistake").to_string();
            assert!(error.contains(part) && error.contains("clinic"), "{error}");
        }
    }
}
