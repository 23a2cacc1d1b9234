//! Which site is meant: the one that is named, or the only one.
//!
//! One rule for all commands, and for the server that a command asks: only a running server knows
//! whether it has the demo clinic. What is wrong names the sites that there are.

use super::{Config, Site};

/// More names than these are not listed: an error is read in a terminal.
const MAX_NAMED: usize = 20;

/// Why no site is meant.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum SiteError {
    #[error("no site {id:?} is configured, there {}", list(there))]
    Unknown { id: String, there: Vec<String> },
    /// None is named.
    #[error("{} sites are configured, name one: {}", there.len(), names(there))]
    Several { there: Vec<String> },
    #[error("no site is configured")]
    None,
}

// === impl Config ===

impl Config {
    /// The site of this name; without one the only site that there is.
    pub fn chosen(&self, named: Option<&str>) -> Result<&Site, SiteError> {
        let there = || self.sites.iter().map(|site| site.id.clone()).collect();
        match (named, &self.sites[..]) {
            (Some(id), _) => {
                self.site(id).ok_or_else(|| SiteError::Unknown { id: id.to_owned(), there: there() })
            }
            (None, [site]) => Ok(site),
            (None, []) => Err(SiteError::None),
            (None, _) => Err(SiteError::Several { there: there() }),
        }
    }
}

fn list(there: &[String]) -> String {
    match there {
        [] => "is none".to_owned(),
        [one] => format!("is {one}"),
        several => format!("are {}", names(several)),
    }
}

fn names(there: &[String]) -> String {
    let more = there.len().saturating_sub(MAX_NAMED);
    let named = there[..there.len() - more].join(", ");
    if more == 0 { named } else { format!("{named} and {more} more") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_named_site_or_the_only_one_is_meant_and_an_error_says_which_there_are() {
        let config = |ids: &[&str]| {
            let sites: String = ids
                .iter()
                .map(|id| format!("[[site]]\nid = \"{id}\"\nhosts = [\"{id}.example\"]\n"))
                .collect();
            Config::parse(&sites, [], std::path::Path::new("/srv")).expect("valid")
        };
        let check = |ids: &[&str], named: Option<&str>, expected: Result<&str, &str>| {
            let config = config(ids);
            let found = config.chosen(named).map(|site| site.id.as_str()).map_err(|error| error.to_string());
            assert_eq!(found, expected.map_err(str::to_owned), "{named:?} of {ids:?}");
        };
        check(&["clinic"], None, Ok("clinic"));
        check(&["clinic", "shop"], Some("shop"), Ok("shop"));
        check(&[], None, Err("no site is configured"));
        check(&["clinic", "shop"], None, Err("2 sites are configured, name one: clinic, shop"));
        check(&[], Some("x"), Err("no site \"x\" is configured, there is none"));
        check(&["clinic"], Some("x"), Err("no site \"x\" is configured, there is clinic"));
        check(&["clinic", "shop"], Some("x"), Err("no site \"x\" is configured, there are clinic, shop"));
        let many: Vec<String> = (0..MAX_NAMED + 3).map(|number| format!("s{number}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let error = config(&many).chosen(None).expect_err("several").to_string();
        assert!(error.starts_with("23 sites are configured") && error.ends_with("s19 and 3 more"), "{error}");
    }
}
