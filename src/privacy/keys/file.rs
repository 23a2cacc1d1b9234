//! The key ring's file: layout, modes, locking, atomic replacement.
//!
//! ```text
//! DIR/            0700
//!   ring.lock     0600  empty; flock: held by whoever reads or changes the ring
//!   ring.toml     0600  the keys
//!   ring.toml.new 0600  exists only while a change is being written
//! ```
//!
//! `ring.toml` is TOML: `version = 1`, then tables `[[key]]` (purpose, id,
//! created, retired, secret in hex), `[[salt]]` (site, day, secret) and
//! `[[destroyed]]` (purpose, id, at: no secret). A purpose that an older version
//! does not know makes the ring unreadable to it, never to a newer one.
//!
//! A change is written to `ring.toml.new`, fsynced, renamed over `ring.toml`,
//! the directory fsynced; then the bytes of the replaced file are overwritten
//! with zeros and fsynced, so that a key which is gone from the ring is gone
//! from the file's old blocks too. (On media or file systems that write
//! elsewhere on overwriting, old blocks live until they are reused; that is why
//! the directory belongs on an encrypted volume, and out of backups.)
//! A crash at any point leaves either the old ring or the new one.
//!
//! Limits: the file is at most [`MAX_FILE_BYTES`].

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::KeyError;

/// The version of the layout that this code reads and writes.
const VERSION: u32 = 1;
/// 256 sites with three salts each and ten years of keys are 200 kB; more is not a key ring.
const MAX_FILE_BYTES: u64 = 4 << 20;
pub(super) const FILE_NAME: &str = "ring.toml";
const NEW_FILE_NAME: &str = "ring.toml.new";
const LOCK_NAME: &str = "ring.lock";
/// Permissions beyond the owner's: none may be set.
const WIDER_THAN_OWNER: u32 = 0o077;

/// The keys as they are on disk. Not printable.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Contents {
    version: u32,
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

// === impl Store ===

impl Store {
    /// Opens the directory, making it when it is not there; refuses modes that
    /// let others in.
    pub fn open(dir: &Path) -> Result<Store, KeyError> {
        if !dir.exists() {
            DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(at(dir))?;
        }
        refuse_wider(dir, &std::fs::metadata(dir).map_err(at(dir))?)?;
        let store = Store { dir: dir.to_owned() };
        store.lock_file()?;
        Ok(store)
    }

    /// The ring's file, for errors.
    pub fn path(&self) -> PathBuf {
        self.dir.join(FILE_NAME)
    }

    /// The stamp of the ring's file, without reading it.
    pub fn stamp(&self) -> Stamp {
        std::fs::metadata(self.dir.join(FILE_NAME)).map(|metadata| Stamp::of(&metadata)).unwrap_or_default()
    }

    /// Reads the ring, changes it and writes it back, with every other process
    /// locked out. `change` says whether it changed anything.
    pub fn update(&self, change: impl FnOnce(&mut Contents) -> bool) -> Result<(Contents, Stamp), KeyError> {
        let lock = self.lock_file()?;
        lock.lock().map_err(at(&self.dir.join(LOCK_NAME)))?;
        let (mut contents, stamp) = self.load()?;
        if !change(&mut contents) {
            return Ok((contents, stamp));
        }
        contents.version = VERSION;
        let stamp = self.replace(&contents)?;
        Ok((contents, stamp))
    }

    fn lock_file(&self) -> Result<File, KeyError> {
        let path = self.dir.join(LOCK_NAME);
        let file = owner_only().write(true).create(true).truncate(false).open(&path).map_err(at(&path))?;
        refuse_wider(&path, &file.metadata().map_err(at(&path))?)?;
        Ok(file)
    }

    fn load(&self) -> Result<(Contents, Stamp), KeyError> {
        let path = self.dir.join(FILE_NAME);
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
        let contents = Store::parse(&path, text.as_bytes())?;
        Ok((contents, Stamp::of(&metadata)))
    }

    /// Reads the text of a ring; `path` is for errors.
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
        if contents.version != VERSION {
            let version = contents.version;
            return Err(malformed(format!("version {version} is not known, expected {VERSION}")));
        }
        Ok(contents)
    }

    /// The ring as it is on the disk, without its salts: a copy would outlive their
    /// destruction, and the next hit makes new ones.
    pub fn text(&self) -> Result<Vec<u8>, KeyError> {
        let lock = self.lock_file()?;
        lock.lock().map_err(at(&self.dir.join(LOCK_NAME)))?;
        let (mut contents, _) = self.load()?;
        contents.salts.clear();
        let malformed = || KeyError::Malformed { path: self.path(), what: "cannot be encoded".to_owned() };
        toml::to_string(&contents).map(String::into_bytes).map_err(|_| malformed())
    }

    /// Writes a ring where there is none.
    pub fn create(&self, contents: Contents) -> Result<(), KeyError> {
        let lock = self.lock_file()?;
        lock.lock().map_err(at(&self.dir.join(LOCK_NAME)))?;
        if self.path().exists() {
            return Err(KeyError::Exists(self.path()));
        }
        self.replace(&contents).map(|_| ())
    }

    fn replace(&self, contents: &Contents) -> Result<Stamp, KeyError> {
        let (path, new_path) = (self.dir.join(FILE_NAME), self.dir.join(NEW_FILE_NAME));
        let text = toml::to_string(contents)
            .map_err(|_| KeyError::Malformed { path: path.clone(), what: "cannot be encoded".to_owned() })?;
        // A crash may have left one behind, with keys that are to be gone.
        if let Ok(mut stale) = OpenOptions::new().write(true).open(&new_path) {
            overwrite(&mut stale).map_err(at(&new_path))?;
            std::fs::remove_file(&new_path).map_err(at(&new_path))?;
        }
        let mut file = owner_only().write(true).create_new(true).open(&new_path).map_err(at(&new_path))?;
        file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(at(&new_path))?;
        let old = OpenOptions::new().write(true).open(&path).ok();
        std::fs::rename(&new_path, &path).map_err(at(&path))?;
        File::open(&self.dir).and_then(|dir| dir.sync_all()).map_err(at(&self.dir))?;
        if let Some(mut old) = old {
            overwrite(&mut old).map_err(at(&path))?;
        }
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

fn refuse_wider(path: &Path, metadata: &std::fs::Metadata) -> Result<(), KeyError> {
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

fn at(path: &Path) -> impl Fn(io::Error) -> KeyError + use<> {
    let path = path.to_owned();
    move |error| KeyError::Io { path: path.clone(), error }
}
