//! The key ring's file: layout, modes, locking, atomic replacement.
//!
//! ```text
//! DIR/              0700
//!   ring.lock       0600  empty; flock: held by whoever reads or changes the ring
//!   ring.toml       0600  the keys
//!   ring.toml.new   0600  exists only while a change is being written
//!   master.key      0600  what wraps them, unless it comes from elsewhere (`master`)
//!   master.key.new  0600  exists only while it is being replaced
//!   rewrap.lock     0600  empty; flock: held by who replaces the master key
//! ```
//!
//! `ring.toml` is TOML: `version = 2`, `master` (the mark that tells the right
//! master key), then tables `[[key]]` (purpose, id, created, retired, secret),
//! `[[salt]]` (site, day, secret) and `[[destroyed]]` (purpose, id, at: no
//! secret). Secrets are wrapped (`wrap`). Version 1 held them in plain hex and had
//! no `master`; it is read, and written as version 2 by whoever opens it to use it;
//! an exported ring is still of that form inside. A purpose that an older
//! version does not know makes the ring unreadable to it, never to a newer one.
//!
//! A change is written to `ring.toml.new`, fsynced, renamed over `ring.toml`,
//! the directory fsynced; then the bytes of the replaced file are overwritten
//! with zeros and fsynced, so that a key which is gone from the ring is gone
//! from the file's old blocks too. (On media or file systems that write
//! elsewhere on overwriting, old blocks live until they are reused; that is why
//! the directory belongs on an encrypted volume, and out of backups.)
//! A crash at any point leaves either the old ring or the new one.
//!
//! New files belong to the directory's owner also when root makes them, so that a
//! command of root's does not lock the server out.
//!
//! Limits: the file is at most [`MAX_FILE_BYTES`].

use std::fmt;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::KeyError;

/// The version of the layout that this code writes.
pub(super) const VERSION: u32 = 2;
/// The version whose secrets are not wrapped.
pub(super) const PLAIN_VERSION: u32 = 1;
/// 256 sites with three salts each and ten years of keys are 400 kB; more is not a key ring.
const MAX_FILE_BYTES: u64 = 4 << 20;
pub(super) const FILE_NAME: &str = "ring.toml";
const NEW_FILE_NAME: &str = "ring.toml.new";
const LOCK_NAME: &str = "ring.lock";
const REWRAP_LOCK_NAME: &str = "rewrap.lock";
/// Permissions beyond the owner's: none may be set.
const WIDER_THAN_OWNER: u32 = 0o077;

/// The keys as they are on disk. Not printable.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Contents {
    /// 0 until there is a ring.
    pub version: u32,
    /// Tells the master key under which the ring is wrapped.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub master: String,
    #[serde(default, rename = "key")]
    pub keys: Vec<Key>,
    #[serde(default, rename = "salt")]
    pub salts: Vec<Salt>,
    #[serde(default)]
    pub destroyed: Vec<Destroyed>,
}

/// What a key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Purpose {
    /// Signs the visitor's cookie; the id is the cookie's `kid`.
    Cookie,
    /// Hashes a cookie's id with its site.
    Visitor,
    /// Hashes a user key with its site.
    UserKey,
    /// Hashes addresses for limiters and caches.
    Limiter,
    /// Chains the entries of the audit trail.
    Audit,
    /// Encrypts one month's addresses; the id is `yyyymmnn`.
    Ip,
    /// Encrypts one backup; the id is in the archive's header and name.
    Backup,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Key {
    pub purpose: Purpose,
    pub id: u32,
    /// RFC 3339.
    pub created: String,
    /// When it stopped being used for new values; empty while it is.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub retired: String,
    pub secret: String,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Salt {
    pub site: String,
    /// The calendar day in the site's time zone, `yyyy-mm-dd`.
    pub day: String,
    pub secret: String,
}

/// A key that was: its id is never used again.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Destroyed {
    pub purpose: Purpose,
    pub id: u32,
    pub at: String,
}

/// The directory of one key ring.
pub(super) struct Store {
    dir: PathBuf,
}

/// Which file was read: tells whether another process replaced it since.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Stamp {
    inode: u64,
    modified_ns: i64,
    bytes: u64,
}

// === impl Purpose ===

impl Purpose {
    /// As the file and the commands write it.
    pub const fn name(self) -> &'static str {
        match self {
            Purpose::Cookie => "cookie",
            Purpose::Visitor => "visitor",
            Purpose::UserKey => "user-key",
            Purpose::Limiter => "limiter",
            Purpose::Audit => "audit",
            Purpose::Ip => "ip",
            Purpose::Backup => "backup",
        }
    }
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

// === impl Contents ===

impl Contents {
    /// Whether the secrets are under a master key.
    pub fn is_wrapped(&self) -> bool {
        self.version == VERSION
    }

    pub fn find_destroyed(&self, purpose: Purpose, id: u32) -> Option<&Destroyed> {
        self.destroyed.iter().find(|key| key.purpose == purpose && key.id == id)
    }

    /// The text of a ring; `path` is for errors.
    pub fn parse(path: &Path, text: &[u8]) -> Result<Contents, KeyError> {
        let malformed = |what: String| KeyError::Malformed { path: path.to_owned(), what };
        let text = std::str::from_utf8(text).map_err(|_| malformed("not a key ring".to_owned()))?;
        // The parser's own message would quote the line, which holds a secret.
        let contents: Contents = toml::from_str(text).map_err(|error| {
            malformed(match error.span() {
                Some(span) => format!("not a key ring, at byte {}", span.start),
                None => "not a key ring".to_owned(),
            })
        })?;
        let version = contents.version;
        if !(PLAIN_VERSION..=VERSION).contains(&version) {
            return Err(malformed(format!("version {version} is not known, expected {VERSION}")));
        }
        Ok(contents)
    }

    /// The opposite.
    pub fn text(&self, path: &Path) -> Result<Vec<u8>, KeyError> {
        let malformed =
            |_| KeyError::Malformed { path: path.to_owned(), what: "cannot be encoded".to_owned() };
        toml::to_string(self).map(String::into_bytes).map_err(malformed)
    }
}

// === impl Store ===

impl Store {
    /// Opens the directory, making it when it is not there; refuses modes that
    /// let others in.
    pub fn open(dir: &Path) -> Result<Store, KeyError> {
        if !dir.exists() {
            DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(at(dir))?;
        }
        let store = Store::existing(dir)?;
        store.lock_file(LOCK_NAME)?;
        Ok(store)
    }

    /// Opens a directory only to read its ring.
    pub fn existing(dir: &Path) -> Result<Store, KeyError> {
        refuse_wider(dir, &std::fs::metadata(dir).map_err(at(dir))?)?;
        Ok(Store { dir: dir.to_owned() })
    }

    /// The ring's file.
    pub fn path(&self) -> PathBuf {
        self.dir.join(FILE_NAME)
    }

    /// The stamp of the ring's file, without reading it.
    pub fn stamp(&self) -> Stamp {
        std::fs::metadata(self.path()).map(|metadata| Stamp::of(&metadata)).unwrap_or_default()
    }

    /// Reads the ring, changes it and writes it back, with every other process
    /// locked out. `change` says whether it changed anything.
    pub fn update(
        &self,
        change: impl FnOnce(&mut Contents) -> Result<bool, KeyError>,
    ) -> Result<(Contents, Stamp), KeyError> {
        let lock = self.lock_file(LOCK_NAME)?;
        lock.lock().map_err(at(&self.dir.join(LOCK_NAME)))?;
        let (mut contents, stamp) = self.load()?;
        if !change(&mut contents).map_err(|error| error.in_ring(&self.path()))? {
            return Ok((contents, stamp));
        }
        let stamp = self.replace(&contents)?;
        Ok((contents, stamp))
    }

    /// Reads the ring and changes nothing in the directory.
    pub fn read(&self) -> Result<Contents, KeyError> {
        let path = self.dir.join(LOCK_NAME);
        // A copy of a ring may have come without it; then nobody changes the ring either.
        let lock = match File::open(&path) {
            Ok(lock) => Some(lock),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(at(&path)(error)),
        };
        if let Some(lock) = &lock {
            refuse_wider(&path, &lock.metadata().map_err(at(&path))?)?;
            lock.lock_shared().map_err(at(&path))?;
        }
        let (contents, _) = self.load()?;
        if contents.version == 0 { Err(KeyError::NoRing(self.dir.clone())) } else { Ok(contents) }
    }

    /// Held by whoever replaces the master key; an error if somebody does.
    pub fn rewrap_lock(&self) -> Result<File, KeyError> {
        let file = self.lock_file(REWRAP_LOCK_NAME)?;
        let path = self.dir.join(REWRAP_LOCK_NAME);
        file.try_lock().map_err(|error| match error {
            std::fs::TryLockError::WouldBlock => KeyError::Rewrapping(path.clone()),
            std::fs::TryLockError::Error(error) => at(&path)(error),
        })?;
        Ok(file)
    }

    fn lock_file(&self, name: &str) -> Result<File, KeyError> {
        let path = self.dir.join(name);
        let is_new = !path.exists();
        let file = owner_only().write(true).create(true).truncate(false).open(&path).map_err(at(&path))?;
        if is_new {
            give_to_owner_of_dir(&file, &path)?;
        }
        refuse_wider(&path, &file.metadata().map_err(at(&path))?)?;
        Ok(file)
    }

    fn load(&self) -> Result<(Contents, Stamp), KeyError> {
        let path = self.path();
        let mut file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok((Contents::default(), Stamp::default()));
            }
            Err(error) => return Err(at(&path)(error)),
        };
        let metadata = file.metadata().map_err(at(&path))?;
        refuse_wider(&path, &metadata)?;
        if metadata.len() > MAX_FILE_BYTES {
            return Err(KeyError::Malformed {
                path,
                what: format!("{} bytes are more than a key ring has", metadata.len()),
            });
        }
        let mut text = String::new();
        file.read_to_string(&mut text).map_err(at(&path))?;
        let contents = Contents::parse(&path, text.as_bytes())?;
        Ok((contents, Stamp::of(&metadata)))
    }

    fn replace(&self, contents: &Contents) -> Result<Stamp, KeyError> {
        let (path, new_path) = (self.path(), self.dir.join(NEW_FILE_NAME));
        let text = contents.text(&path)?;
        // A crash may have left one behind, with keys that are to be gone.
        discard(&new_path)?;
        let file = write_new(&new_path, &text)?;
        put_in_place(&new_path, &path)?;
        Ok(Stamp::of(&file.metadata().map_err(at(&path))?))
    }
}

// === impl Stamp ===

impl Stamp {
    fn of(metadata: &std::fs::Metadata) -> Stamp {
        Stamp {
            inode: metadata.ino(),
            modified_ns: metadata.mtime().wrapping_mul(1_000_000_000).wrapping_add(metadata.mtime_nsec()),
            bytes: metadata.len(),
        }
    }
}

/// Writes a file of mode 0600 where there is none, and syncs it.
pub(super) fn write_new(path: &Path, bytes: &[u8]) -> Result<File, KeyError> {
    let mut file = owner_only().write(true).create_new(true).open(path).map_err(at(path))?;
    give_to_owner_of_dir(&file, path)?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(at(path))?;
    Ok(file)
}

/// Renames a file over another, for good; the other's bytes become zeros.
pub(super) fn put_in_place(new_path: &Path, path: &Path) -> Result<(), KeyError> {
    let old = OpenOptions::new().write(true).open(path).ok();
    std::fs::rename(new_path, path).map_err(at(path))?;
    let dir = dir_of(path);
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(at(dir))?;
    match old {
        Some(mut old) => overwrite(&mut old).map_err(at(path)),
        None => Ok(()),
    }
}

/// Removes a file, if it is there, after its bytes became zeros.
pub(super) fn discard(path: &Path) -> Result<(), KeyError> {
    if let Ok(mut file) = OpenOptions::new().write(true).open(path) {
        overwrite(&mut file).map_err(at(path))?;
        std::fs::remove_file(path).map_err(at(path))?;
    }
    Ok(())
}

pub(super) fn refuse_wider(path: &Path, metadata: &std::fs::Metadata) -> Result<(), KeyError> {
    let mode = metadata.mode() & 0o7777;
    if mode & WIDER_THAN_OWNER != 0 {
        return Err(KeyError::Mode {
            path: path.to_owned(),
            mode,
            wanted: if metadata.is_dir() { 0o700 } else { 0o600 },
        });
    }
    Ok(())
}

pub(super) fn at(path: &Path) -> impl Fn(io::Error) -> KeyError + use<> {
    let path = path.to_owned();
    move |error| KeyError::Io { path: path.clone(), error }
}

fn owner_only() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.mode(0o600);
    options
}

fn overwrite(file: &mut File) -> io::Result<()> {
    let bytes = file.seek(SeekFrom::End(0))?;
    file.rewind()?;
    io::copy(&mut io::repeat(0).take(bytes), file)?;
    file.sync_all()
}

/// Only root can, and only root has to.
fn give_to_owner_of_dir(file: &File, path: &Path) -> Result<(), KeyError> {
    if !rustix::process::geteuid().is_root() {
        return Ok(());
    }
    let dir = std::fs::metadata(dir_of(path)).map_err(at(path))?;
    std::os::unix::fs::fchown(file, Some(dir.uid()), Some(dir.gid())).map_err(at(path))
}

fn dir_of(path: &Path) -> &Path {
    match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        _ => Path::new("."),
    }
}
