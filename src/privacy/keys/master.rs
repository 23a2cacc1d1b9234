//! The master key: read from its one place, made beside a new ring, replaced.
//!
//! The places and which is used: [`MasterKeySource`]. A file that others than its
//! owner may read is refused. A credential's mode is systemd's business (its
//! access list shows as group bits).
//!
//! A replacement in place is three steps: `FILE.new` is written, the ring is
//! wrapped under it, `FILE.new` is renamed over `FILE` (and the old key's bytes
//! overwritten with zeros). Whoever does not find the key of the ring in `FILE`
//! looks into `FILE.new`: a crash between two steps loses nothing, and other
//! processes follow as soon as they look at the ring.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::KeyError;
use super::file::{self, Contents, at};
use super::wrap::MasterKey;
use crate::config::MasterKeySource;

/// 64 digits and the end of a line; more is not a master key.
const MAX_FILE_BYTES: u64 = 1024;

/// The master key of one ring, and where another is looked for.
pub(super) struct Keeper {
    source: MasterKeySource,
    current: Option<MasterKey>,
    /// One that the ring will be wrapped under soon.
    offered: Option<MasterKey>,
}

/// A new master key that lies in its file already, and that no ring is wrapped under yet.
pub(super) struct NewMasterKey {
    /// Where it is now.
    pub path: PathBuf,
    /// Where it goes once the ring is wrapped under it.
    goes_to: Option<PathBuf>,
    was_made: bool,
    pub key: MasterKey,
}

// === impl Keeper ===

impl Keeper {
    pub fn new(source: MasterKeySource) -> Keeper {
        Keeper { source, current: None, offered: None }
    }

    /// The key that opens the ring at `ring`. A ring without secrets in it, or with
    /// plain ones, opens under any: it gets the source's, which is made if it is to
    /// be beside the ring and is not.
    pub fn unlock(&mut self, contents: &Contents, ring: &Path) -> Result<MasterKey, KeyError> {
        if !contents.is_wrapped() {
            let key = match (self.current, &self.source) {
                (Some(current), _) => current,
                (None, MasterKeySource::Beside(path)) => match read(&self.source)? {
                    Some(key) => key,
                    None => make(path)?,
                },
                (None, _) => read(&self.source)?.ok_or_else(|| self.missing(ring))?,
            };
            self.current = Some(key);
            return Ok(key);
        }
        if let Some(current) = self.current.filter(|key| key.opens(contents)) {
            return Ok(current);
        }
        // Twice, since a replacement may have gone to its place between the two looks.
        for _ in 0..2 {
            let candidates = [read(&self.source)?, self.offered, self.next()];
            if let Some(key) = candidates.into_iter().flatten().find(|key| key.opens(contents)) {
                self.current = Some(key);
                self.offered = None;
                return Ok(key);
            }
        }
        match read(&self.source)? {
            None => Err(self.missing(ring)),
            Some(_) => Err(KeyError::WrongMaster { path: ring.to_owned(), place: self.source.to_string() }),
        }
    }

    /// Whether the source has a key, or will have one once a ring is made.
    pub fn check(&self, ring: &Path) -> Result<(), KeyError> {
        match (read(&self.source)?, &self.source) {
            (Some(_), _) | (None, MasterKeySource::Beside(_)) => Ok(()),
            (None, _) => Err(self.missing(ring)),
        }
    }

    /// Has a key ready that the ring will be wrapped under.
    pub fn offer(&mut self, path: &Path) -> Result<(), KeyError> {
        let key = read_file(path)?.ok_or_else(|| at(path)(io::ErrorKind::NotFound.into()))?;
        self.offered = Some(key);
        Ok(())
    }

    /// A new key for the ring: one made beside the source's file, which is to take
    /// its place, or the one in another file, made there if there is none.
    pub fn new_key(&self, to: Option<&Path>) -> Result<NewMasterKey, KeyError> {
        match (self.file(), to) {
            (Some(file), Some(to)) if file == to => NewMasterKey::in_place_of(file),
            (_, Some(to)) => NewMasterKey::in_file(to),
            (Some(file), None) => NewMasterKey::in_place_of(file),
            (None, None) => Err(KeyError::FixedMaster { place: self.source.to_string() }),
        }
    }

    /// The source's file, if it is one that can be replaced.
    fn file(&self) -> Option<&Path> {
        match &self.source {
            MasterKeySource::File(path) | MasterKeySource::Beside(path) => Some(path),
            MasterKeySource::Environment(_) | MasterKeySource::Credential(_) => None,
        }
    }

    /// Ends a replacement that was interrupted after the ring had been wrapped.
    pub fn finish(&mut self) -> Result<(), KeyError> {
        let Some(path) = self.file() else { return Ok(()) };
        let next = self.next();
        if next.is_some() && next == self.current {
            file::put_in_place(&beside(path), path)?;
        }
        Ok(())
    }

    /// The key of an unfinished replacement.
    fn next(&self) -> Option<MasterKey> {
        read_file(&beside(self.file()?)).ok().flatten()
    }

    fn missing(&self, ring: &Path) -> KeyError {
        KeyError::NoMaster { path: ring.to_owned(), place: self.source.to_string() }
    }
}

// === impl NewMasterKey ===

impl NewMasterKey {
    /// A random key beside `path`, which is to take its place.
    fn in_place_of(path: &Path) -> Result<NewMasterKey, KeyError> {
        let new_path = beside(path);
        file::discard(&new_path)?;
        let key = MasterKey::random()?;
        file::write_new(&new_path, key.text().as_bytes())?;
        Ok(NewMasterKey { path: new_path, goes_to: Some(path.to_owned()), was_made: true, key })
    }

    /// The key in `path`; a random one is made there if there is no file.
    fn in_file(path: &Path) -> Result<NewMasterKey, KeyError> {
        let found = read_file(path)?;
        let key = match found {
            Some(key) => key,
            None => make(path)?,
        };
        Ok(NewMasterKey { path: path.to_owned(), goes_to: None, was_made: found.is_none(), key })
    }

    /// The ring is wrapped under it: it goes to its place.
    pub fn keep(self) -> Result<PathBuf, KeyError> {
        match self.goes_to {
            Some(path) => file::put_in_place(&self.path, &path).map(|()| path),
            None => Ok(self.path),
        }
    }

    /// It is not to be used after all.
    pub fn discard(self) -> Result<(), KeyError> {
        if self.was_made { file::discard(&self.path) } else { Ok(()) }
    }
}

/// Makes a random key in `path`, where there is none.
fn make(path: &Path) -> Result<MasterKey, KeyError> {
    let new_path = beside(path);
    file::discard(&new_path)?;
    let key = MasterKey::random()?;
    file::write_new(&new_path, key.text().as_bytes())?;
    file::put_in_place(&new_path, path)?;
    Ok(key)
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    name.into()
}

/// The key of a source; `None` if it has none.
fn read(source: &MasterKeySource) -> Result<Option<MasterKey>, KeyError> {
    let wrong = || KeyError::MasterForm { place: source.to_string() };
    match source {
        MasterKeySource::File(path) | MasterKeySource::Beside(path) => read_file(path),
        MasterKeySource::Environment(text) => MasterKey::parse(&text.0).map(Some).ok_or_else(wrong),
        MasterKeySource::Credential(path) => match File::open(path) {
            Ok(file) => parse(file, path).map(Some),
            Err(error) => Err(at(path)(error)),
        },
    }
}

/// The key in a file that nobody else may read; `None` if there is no file.
fn read_file(path: &Path) -> Result<Option<MasterKey>, KeyError> {
    let file = match OpenOptions::new().read(true).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(at(path)(error)),
    };
    file::refuse_wider(path, &file.metadata().map_err(at(path))?)?;
    parse(file, path).map(Some)
}

fn parse(file: File, path: &Path) -> Result<MasterKey, KeyError> {
    let mut text = String::new();
    let read = file.take(MAX_FILE_BYTES).read_to_string(&mut text);
    let key = match read {
        Ok(_) => MasterKey::parse(&text),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => None,
        Err(error) => return Err(at(path)(error)),
    };
    key.ok_or_else(|| KeyError::MasterForm { place: path.display().to_string() })
}
