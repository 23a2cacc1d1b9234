//! One geo database: its file in memory, what it tells, how old it is, whom it asks
//! to be named.
//!
//! A database is read into memory whole, not mapped: a mapped file that is
//! overwritten in place, which is how operators update one, ends the process
//! with SIGBUS.
//!
//! Its age is that of its build date, which its maker wrote into it, and not of
//! the file, which is as old as the download.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use maxminddb::{LookupResult, Reader, WithinOptions};
use serde::{Deserialize, Serialize};

use super::detail::Details;
use super::record::Record;
use super::{GeoError, Place, zones};

/// More than this is not an address database: the largest commercial ones have 1.5 GB.
pub(super) const MAX_FILE_BYTES: u64 = 4 << 30;
/// A database that is older is to be replaced: networks move, and makers publish at
/// least monthly, so that two were missed by then and the third is due.
pub const STALE_DAYS: i64 = 90;
/// MaxMind's licence asks that a GeoLite database is destroyed within thirty days
/// after a newer one is out, which is twice a week.
pub const STALE_GEOLITE_DAYS: i64 = 30;
const DAY_SECONDS: i64 = 86_400;
/// So many of a database's networks are looked at when it is opened, to see what it
/// tells: its first ones may lack a city, and decoding so many takes milliseconds.
const SAMPLED_NETWORKS: usize = 2000;

/// What databases are called that tell of networks: AS numbers, providers, proxies.
const NETWORK_WORDS: &[&str] =
    &["asn", "isp", "anonymous", "enterprise", "connection-type", "insights", "proxy", "vpn"];

/// Whom the licences ask to be named: words by which a database is told, in its
/// type, its description or its file's name.
const LICENCES: [(&[&str], Attribution); 4] = [
    (&["dbip", "db-ip"], Attribution { text: "IP Geolocation by DB-IP", url: "https://db-ip.com" }),
    (
        &[GEOLITE],
        Attribution {
            text: "This product includes GeoLite data created by MaxMind",
            url: "https://www.maxmind.com",
        },
    ),
    (
        &["ip2location", "ip2lite"],
        Attribution {
            text: "This site or product includes IP2Location LITE data",
            url: "https://lite.ip2location.com",
        },
    ),
    (&["ipinfo"], Attribution { text: "IP address data powered by IPinfo", url: "https://ipinfo.io" }),
];
const GEOLITE: &str = "geolite";

/// A line that a database's licence asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Attribution {
    pub text: &'static str,
    pub url: &'static str,
}

/// An open database as an operator sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatabaseInfo {
    /// The file's name, without its directory.
    pub file: String,
    /// The type that its maker gave it: `GeoLite2-City`.
    #[serde(rename = "type")]
    pub kind: String,
    /// 4, or 6, which has room for IPv4 too.
    pub ip_version: u16,
    /// What its first networks have that is understood here; nothing is a sign of
    /// another kind of database.
    pub tells: Vec<Told>,
    /// `None` where the file does not say it.
    pub built: Option<Timestamp>,
    pub age_days: Option<i64>,
    /// Beyond this age it is to be replaced.
    pub stale_after_days: i64,
    /// It is older, or of an unknown age.
    pub is_stale: bool,
}

/// What can be told of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Told {
    Country,
    City,
    Coordinates,
    TimeZone,
    Network,
    Kind,
}

pub(super) struct Database {
    reader: Reader<Vec<u8>>,
    tells: BTreeSet<Told>,
    pub path: PathBuf,
    pub stamp: Stamp,
}

/// Tells whether a file is the one that was read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    device: u64,
    inode: u64,
    bytes: u64,
    modified_s: i64,
    modified_ns: i64,
}

// === impl Database ===

impl Database {
    pub fn open(path: &Path, stamp: Stamp) -> Result<Database, GeoError> {
        if stamp.bytes > MAX_FILE_BYTES {
            return Err(GeoError::TooLarge { path: path.to_owned(), bytes: stamp.bytes });
        }
        let bytes = std::fs::read(path).map_err(|error| GeoError::Io { path: path.to_owned(), error })?;
        let reader =
            Reader::from_source(bytes).map_err(|error| GeoError::Format { path: path.to_owned(), error })?;
        Ok(Database { tells: told(&reader), reader, path: path.to_owned(), stamp })
    }

    /// The record of an address, not decoded yet.
    pub fn find(&self, address: IpAddr) -> Option<LookupResult<'_, Vec<u8>>> {
        if address.is_ipv6() && self.reader.metadata().ip_version == 4 {
            return None;
        }
        self.reader.lookup(address).ok().filter(|found| found.has_data())
    }

    pub fn info(&self, now: Timestamp) -> DatabaseInfo {
        let metadata = self.reader.metadata();
        let built = i64::try_from(metadata.build_epoch).ok().filter(|epoch| *epoch != 0);
        let built = built.and_then(|epoch| Timestamp::from_second(epoch).ok());
        let age_days = built.map(|built| ((now.as_second() - built.as_second()) / DAY_SECONDS).max(0));
        let stale_after_days = if self.is_called(&[GEOLITE]) { STALE_GEOLITE_DAYS } else { STALE_DAYS };
        DatabaseInfo {
            file: self.file_name(),
            kind: metadata.database_type.clone(),
            ip_version: metadata.ip_version,
            tells: self.tells.iter().copied().collect(),
            built,
            age_days,
            stale_after_days,
            is_stale: age_days.is_none_or(|days| days > stale_after_days),
        }
    }

    pub fn attribution(&self) -> Option<Attribution> {
        LICENCES.iter().find(|(words, _)| self.is_called(words)).map(|(_, line)| *line)
    }

    /// Whether it is one of those that tell of networks, by what it is called.
    pub fn knows_networks(&self) -> bool {
        self.is_called(NETWORK_WORDS)
    }

    /// Whether one of the words is in the type, the description or the file's name.
    fn is_called(&self, words: &[&str]) -> bool {
        let metadata = self.reader.metadata();
        let name = self.file_name();
        let texts = [metadata.database_type.as_str(), name.as_str()];
        let mut texts = texts.into_iter().chain(metadata.description.values().map(String::as_str));
        texts.any(|text| {
            let text = text.to_ascii_lowercase();
            words.iter().any(|word| text.contains(word))
        })
    }

    fn file_name(&self) -> String {
        self.path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
    }
}

/// What a database's first networks have.
fn told(reader: &Reader<Vec<u8>>) -> BTreeSet<Told> {
    let mut told = BTreeSet::new();
    let networks = reader.networks(WithinOptions::default()).into_iter().flatten();
    // Past a damaged node there is no way on.
    for found in networks.map_while(Result::ok).take(SAMPLED_NETWORKS) {
        let mut place = Place::default();
        if let Ok(Some(record)) = found.decode::<Record>() {
            place.add(&record);
        }
        let details = Details::of(&found);
        let has = [
            (Told::Country, !place.country.is_empty()),
            (Told::City, !place.city.is_empty()),
            (Told::Coordinates, details.coordinates().is_some()),
            (Told::TimeZone, details.time_zone().is_some_and(zones::is_known)),
            (Told::Network, place.asn != 0),
            (Told::Kind, details.kind().is_some()),
        ];
        told.extend(has.into_iter().filter(|(_, is_there)| *is_there).map(|(what, _)| what));
    }
    told
}

// === impl DatabaseInfo ===

impl DatabaseInfo {
    /// Whether an operator has something to do about it.
    pub fn is_lacking(&self) -> bool {
        self.is_stale || self.tells.is_empty()
    }
}

impl std::fmt::Display for DatabaseInfo {
    fn fmt(&self, formatter: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(formatter, "{} ({}, IPv{}): ", self.file, self.kind, self.ip_version)?;
        match (self.built, self.age_days) {
            (Some(built), Some(days)) => {
                write!(formatter, "built {}, {days} days old", built.strftime("%Y-%m-%d"))?
            }
            _ => formatter.write_str("does not say when it was built")?,
        }
        let tells: Vec<&str> = self.tells.iter().map(|told| told.name()).collect();
        match tells.as_slice() {
            [] => formatter.write_str("; tells nothing that is understood")?,
            _ => write!(formatter, "; tells {}", tells.join(", "))?,
        }
        if self.is_stale {
            write!(formatter, "; after {} days a newer one is wanted", self.stale_after_days)?;
        }
        Ok(())
    }
}

// === impl Told ===

impl Told {
    fn name(self) -> &'static str {
        match self {
            Told::Country => "country",
            Told::City => "city",
            Told::Coordinates => "coordinates",
            Told::TimeZone => "time zone",
            Told::Network => "network",
            Told::Kind => "kind of network",
        }
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
    pub fn of(metadata: &std::fs::Metadata) -> Stamp {
        Stamp {
            device: metadata.dev(),
            inode: metadata.ino(),
            bytes: metadata.len(),
            modified_s: metadata.mtime(),
            modified_ns: metadata.mtime_nsec(),
        }
    }
}
