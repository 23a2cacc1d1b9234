//! Reads an archive from its first byte to its last, comparing each file with the
//! manifest: the check after writing, `metka backup --verify`, and unpacking.

use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::path::{Component, Path};

use super::manifest::{self, Entry, Manifest};
use super::stream::{self, HEADER_BYTES, Header, HeaderError, Opener};
use super::{BackupError, at};
use crate::privacy::keys::KeyRing;

/// Whole chunks in large pieces.
const READ_BYTES: usize = 1 << 20;

/// An archive that is as it was written.
#[derive(Debug)]
pub struct Checked {
    pub header: Header,
    pub manifest: Manifest,
}

/// Counts and hashes what is read through it.
struct Hashing<R> {
    inner: R,
    hasher: blake3::Hasher,
    bytes: u64,
}

/// Reads the whole archive and compares it with its manifest.
pub fn check(path: &Path, keys: &KeyRing) -> Result<Checked, BackupError> {
    read(path, keys, |_, contents| io::copy(contents, &mut io::sink()).map(|_| ()))
}

/// The header of an archive.
pub(super) fn header(path: &Path) -> Result<Header, BackupError> {
    let mut file = File::open(path).map_err(at(path))?;
    read_header(path, &mut file).map(|(header, _)| header)
}

/// [`check`], giving each file's path and contents to `take`, which has to read
/// them to the end.
pub(super) fn read(
    path: &Path,
    keys: &KeyRing,
    mut take: impl FnMut(&Path, &mut dyn Read) -> io::Result<()>,
) -> Result<Checked, BackupError> {
    let mut file = File::open(path).map_err(at(path))?;
    let (header, bytes) = read_header(path, &mut file)?;
    let cipher =
        keys.backup_cipher(header.key).map_err(|error| BackupError::Key { path: path.to_owned(), error })?;
    let damaged = |what: String| BackupError::Damaged { path: path.to_owned(), what };
    // What is wrong with the contents, and with writing them elsewhere, look alike here.
    let broken = |error: io::Error| damaged(error.to_string());
    let mut opener = Opener::new(BufReader::with_capacity(READ_BYTES, file), bytes, cipher);
    let mut found: Vec<Entry> = Vec::new();
    let mut manifest: Option<Manifest> = None;
    {
        let mut tar = tar::Archive::new(&mut opener);
        for entry in tar.entries().map_err(broken)? {
            let mut entry = entry.map_err(broken)?;
            let inside = entry.path().map_err(broken)?.into_owned();
            let plain = inside.components().all(|part| matches!(part, Component::Normal(_)));
            let name = inside.to_str().filter(|_| plain && entry.header().entry_type().is_file());
            let name =
                name.ok_or_else(|| damaged(format!("{:?} is no file of a backup", inside)))?.to_owned();
            if manifest.is_some() {
                return Err(damaged(format!("{name} is behind the manifest")));
            }
            if name == manifest::NAME {
                let mut text = Vec::new();
                (&mut entry).take(manifest::MAX_BYTES).read_to_end(&mut text).map_err(broken)?;
                let read = serde_json::from_slice(&text);
                manifest = Some(read.map_err(|error| damaged(format!("the manifest: {error}")))?);
                continue;
            }
            let mut hashing = Hashing { inner: entry, hasher: blake3::Hasher::new(), bytes: 0 };
            take(&inside, &mut hashing).map_err(|error| match error.kind() {
                // The archive's own fault; all else is of where the file is written to.
                io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof | io::ErrorKind::Other => {
                    damaged(format!("{name}: {error}"))
                }
                _ => at(path)(io::Error::new(error.kind(), format!("{name}: {error}"))),
            })?;
            let blake3 = hashing.hasher.finalize().to_hex().to_string();
            found.push(Entry { path: name, bytes: hashing.bytes, zeros: 0, blake3 });
        }
    }
    // The tar may end before the stream does.
    io::copy(&mut opener, &mut io::sink()).map_err(broken)?;
    let manifest = manifest.ok_or_else(|| damaged("it has no manifest".to_owned()))?;
    if manifest.files.len() != found.len() {
        let (listed, found) = (manifest.files.len(), found.len());
        return Err(damaged(format!("the manifest lists {listed} files, {found} are there")));
    }
    for (listed, found) in manifest.files.iter().zip(&found) {
        if listed.path != found.path || listed.bytes != found.bytes || listed.blake3 != found.blake3 {
            return Err(damaged(format!("{} is not what the manifest says", found.path)));
        }
    }
    Ok(Checked { header, manifest })
}

fn read_header(path: &Path, file: &mut File) -> Result<(Header, [u8; HEADER_BYTES]), BackupError> {
    let mut bytes = [0; HEADER_BYTES];
    let damaged = |what: &str| BackupError::Damaged { path: path.to_owned(), what: what.to_owned() };
    match file.read_exact(&mut bytes) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Err(damaged("it is cut short")),
        read => read.map_err(at(path))?,
    }
    match Header::decode(&bytes) {
        Ok(header) => Ok((header, bytes)),
        Err(HeaderError::Foreign) => Err(BackupError::Foreign(path.to_owned())),
        Err(HeaderError::Checksum) => Err(damaged("its header is not as it was written")),
        Err(HeaderError::Version(found)) => {
            Err(BackupError::Version { path: path.to_owned(), found, known: stream::VERSION })
        }
    }
}

/// Writes a file's contents. A restore syncs the whole file system at its end.
pub(super) fn write_file(target: &Path, contents: &mut dyn Read) -> io::Result<()> {
    if let Some(parent) = target.parent() {
        use std::os::unix::fs::DirBuilderExt;
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(parent)?;
    }
    let mut file = super::private().write(true).create_new(true).open(target)?;
    io::copy(contents, &mut file)?;
    file.flush()
}

// === impl Hashing ===

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(out)?;
        self.hasher.update(&out[..read]);
        self.bytes += read as u64;
        Ok(read)
    }
}
