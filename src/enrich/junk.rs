//! Two lists: hosts that advertise themselves in statistics by false referrers,
//! and networks of rented servers. Each is a data file in the binary, with what
//! the operator adds.
//!
//! In: `[enrich]` of the configuration. Out: whether a referrer's host or a
//! network's number is in a list. A host is in it with all hosts below it.
//!
//! Hits are marked for their network only with `enrich.datacentres = "mark"`, since
//! many people come through rented servers: whoever uses a VPN does. What is told
//! of an address by [`super::place`] has it in either case.

use std::collections::HashSet;
use std::sync::LazyLock;

use crate::config::Enrich;

/// The most hosts or networks that the operator may add to either list.
pub const MAX_ADDED: usize = 1000;

static SPAM: LazyLock<HashSet<&'static str>> =
    LazyLock::new(|| entries(include_str!("junk/referrer_spam.txt")).collect());
static DATACENTRES: LazyLock<HashSet<u32>> = LazyLock::new(|| {
    entries(include_str!("junk/datacentres.txt")).filter_map(|entry| entry.parse().ok()).collect()
});

/// Both lists.
#[derive(Debug, Default)]
pub struct Junk {
    added_spam: HashSet<String>,
    /// Whether a contradiction is held against a hit.
    pub marks_contradictions: bool,
    mark_datacentres: bool,
    datacentres: Datacentres,
}

/// Networks of rented servers.
#[derive(Debug, Default)]
pub struct Datacentres {
    added: HashSet<u32>,
}

// === impl Junk ===

impl Junk {
    pub fn new(config: &Enrich) -> Junk {
        Junk {
            added_spam: config.referrer_spam.iter().cloned().collect(),
            marks_contradictions: config.mark_contradictions,
            mark_datacentres: config.mark_datacentres,
            datacentres: Datacentres::new(config),
        }
    }

    /// Whether `host`, or a host above it, is known for false referrers.
    pub fn is_spam(&self, host: &str) -> bool {
        // An empty host is no host; a top-level domain is nobody's.
        let mut rest = Some(host).filter(|host| host.contains('.'));
        while let Some(name) = rest {
            if SPAM.contains(name) || (!self.added_spam.is_empty() && self.added_spam.contains(name)) {
                return true;
            }
            rest = name.split_once('.').map(|(_, parent)| parent).filter(|parent| parent.contains('.'));
        }
        false
    }

    /// Whether a network is one of rented servers, and such are to be marked.
    pub fn is_datacentre(&self, asn: u32) -> bool {
        self.mark_datacentres && self.datacentres.contains(asn)
    }
}

// === impl Datacentres ===

impl Datacentres {
    pub fn new(config: &Enrich) -> Datacentres {
        Datacentres { added: config.datacentre_networks.iter().copied().collect() }
    }

    /// Whether a network is in either list; 0 is none.
    pub fn contains(&self, asn: u32) -> bool {
        asn != 0 && (DATACENTRES.contains(&asn) || self.added.contains(&asn))
    }
}

/// The entries of a data file: the first word of each line that is no comment.
fn entries(file: &'static str) -> impl Iterator<Item = &'static str> {
    file.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_whitespace().next())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_data_files_hold_what_they_should() {
        let file = |text| entries(text).count();
        assert_eq!(SPAM.len(), file(include_str!("junk/referrer_spam.txt")), "an entry is there twice");
        assert_eq!(
            DATACENTRES.len(),
            file(include_str!("junk/datacentres.txt")),
            "no number, or there twice"
        );
        for host in SPAM.iter() {
            assert!(host.contains('.') && *host == host.to_ascii_lowercase(), "{host}");
        }
        println!("{} hosts, {} networks", SPAM.len(), DATACENTRES.len());
    }

    #[test]
    fn a_host_is_spam_with_all_below_it_and_nothing_above_it() {
        let junk =
            Junk::new(&Enrich { referrer_spam: vec!["spam.clinic.example".to_owned()], ..Enrich::default() });
        for (host, expected) in [
            ("semalt.com", true),
            ("www.semalt.com", true),
            ("7.semalt.com", true),
            ("notsemalt.com", false),
            ("semalt.com.example", false),
            ("spam.clinic.example", true),
            ("a.b.spam.clinic.example", true),
            ("clinic.example", false),
            ("yandex.ru", false),
            ("com", false),
            ("", false),
            ("....", false),
        ] {
            assert_eq!(junk.is_spam(host), expected, "{host:?}");
        }
    }

    #[test]
    fn networks_are_marked_only_when_asked() {
        let enrich = Enrich { datacentre_networks: vec![64500], ..Enrich::default() };
        assert!(!Junk::new(&enrich).is_datacentre(24940) && !Junk::new(&enrich).is_datacentre(64500));
        let marking = Junk::new(&Enrich { mark_datacentres: true, ..enrich });
        for (asn, expected) in [(24940, true), (64500, true), (64501, false), (0, false), (13335, false)] {
            assert_eq!(marking.is_datacentre(asn), expected, "{asn}");
        }
    }
}
