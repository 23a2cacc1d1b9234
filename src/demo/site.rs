//! The demo clinic's site. Its pages (`pixel/demo-clinic`) are served at `/demo/`
//! of the web address and carry the real pixel: what their visitors do is real,
//! and only the history is made up.

use crate::config::{Config, Fields, PathRules, Site};

/// The id of the demo's site.
pub const SITE: &str = "demo";
/// What the demo groups: who reads about a doctor, and how far a booking came.
const PATH_RULES: [&str; 2] =
    ["/demo/vrachi/* => /demo/vrachi/:doctor", "/demo/zapis/** => /demo/zapis/:step"];

/// Adds the demo's site, unless the configuration has one of its name.
pub fn add_site(config: &mut Config) {
    if config.site(SITE).is_some() {
        return;
    }
    let mut site = Site::with_defaults(SITE, &["127.0.0.1", "localhost"]);
    // A dashboard that is looked at from another machine embeds the same pages.
    for host in [config.web.listen.ip().to_string(), host_of(&config.web.public_url)] {
        if !host.is_empty() && !site.hosts.contains(&host) {
            site.hosts.push(host);
        }
    }
    site.fields = Fields::ALL;
    site.path_rules = PathRules::read(&PATH_RULES).0;
    site.policy_version = "demo".to_owned();
    config.sites.push(site);
}

fn host_of(url: &str) -> String {
    url::Url::parse(url).ok().and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn the_demo_site_is_added_once_and_never_over_a_configured_one() {
        let mut config = Config::parse("", [], Path::new("/srv")).expect("valid");
        add_site(&mut config);
        add_site(&mut config);
        assert_eq!(config.sites.len(), 1);
        assert!(config.sites[0].has_host("localhost"));
        assert_eq!(PathRules::read(&PATH_RULES).1, Vec::<String>::new());
        let mut config =
            Config::parse("[[site]]\nid='demo'\nhosts=['clinic.example']", [], Path::new("/srv"))
                .expect("valid");
        add_site(&mut config);
        assert_eq!(config.sites[0].hosts, ["clinic.example"]);
    }
}
