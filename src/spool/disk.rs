//! The file operations that change something, behind one trait, so that tests
//! can make the nth call of any kind fail. Reads go straight to the file: they
//! cannot lose anything.
//!
//! Invariant: [`write_all`] and [`datasync`] are the only ways in which the
//! spool writes and syncs; short writes and `EINTR` are handled here, every
//! other error goes to the caller unretried (a second `fsync` after a failed
//! one returns success with the data gone).

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;

/// Zeros are written in pieces of this size: large enough for the disk's full
/// rate, small enough to stay in a cache.
const ZERO_CHUNK_BYTES: usize = 256 << 10;

/// What the spool asks of a file system.
pub trait Disk: Send + Sync {
    /// Makes a new file, mode 0600, open for reading and writing.
    fn create(&self, path: &Path) -> io::Result<File>;
    /// Opens a file for reading and writing.
    fn open(&self, path: &Path) -> io::Result<File>;
    /// One `pwrite`: may write less than asked.
    fn write(&self, file: &File, bytes: &[u8], offset: u64) -> io::Result<usize>;
    /// One `fdatasync`.
    fn datasync(&self, file: &File) -> io::Result<()>;
    /// `fsync` of a directory.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
    /// `rename`, which replaces the target.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// `unlink`.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// `mkdir`, mode 0700.
    fn make_dir(&self, path: &Path) -> io::Result<()>;
}

/// The machine's own file system, by way of the C library, so that a test can
/// stand between the two.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealDisk;

// === impl RealDisk ===

impl Disk for RealDisk {
    fn create(&self, path: &Path) -> io::Result<File> {
        OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path)
    }

    fn open(&self, path: &Path) -> io::Result<File> {
        OpenOptions::new().read(true).write(true).open(path)
    }

    fn write(&self, file: &File, bytes: &[u8], offset: u64) -> io::Result<usize> {
        file.write_at(bytes, offset)
    }

    fn datasync(&self, file: &File) -> io::Result<()> {
        file.sync_data()
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        File::open(dir)?.sync_all()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }

    fn make_dir(&self, path: &Path) -> io::Result<()> {
        DirBuilder::new().mode(0o700).create(path)
    }
}

/// A disk of which one failed sync is enough: what it said before is in doubt, on
/// whichever file it was. No room is not a failure.
pub(super) struct FailStop<F> {
    pub disk: Arc<dyn Disk>,
    /// Told of the first failure and of later ones.
    pub failed: F,
}

// === impl FailStop ===

impl<F: Fn(String) + Send + Sync> FailStop<F> {
    fn watch(&self, what: &str, result: io::Result<()>) -> io::Result<()> {
        if let Err(error) = &result
            && error.kind() != io::ErrorKind::Interrupted
            && !is_no_space(error)
        {
            (self.failed)(format!("{what}: {error}"));
        }
        result
    }
}

impl<F: Fn(String) + Send + Sync> Disk for FailStop<F> {
    fn create(&self, path: &Path) -> io::Result<File> {
        self.disk.create(path)
    }

    fn open(&self, path: &Path) -> io::Result<File> {
        self.disk.open(path)
    }

    fn write(&self, file: &File, bytes: &[u8], offset: u64) -> io::Result<usize> {
        self.disk.write(file, bytes, offset)
    }

    fn datasync(&self, file: &File) -> io::Result<()> {
        self.watch("fdatasync of a file of the spool", self.disk.datasync(file))
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.watch("fsync of a directory of the spool", self.disk.sync_dir(dir))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.disk.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.disk.remove(path)
    }

    fn make_dir(&self, path: &Path) -> io::Result<()> {
        self.disk.make_dir(path)
    }
}

/// Writes all of `bytes` at `offset`.
pub(super) fn write_all(disk: &dyn Disk, file: &File, mut bytes: &[u8], mut offset: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        match disk.write(file, bytes, offset) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => {
                bytes = &bytes[written.min(bytes.len())..];
                offset += written as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Writes zeros over `from..to`.
pub(super) fn write_zeros(disk: &dyn Disk, file: &File, from: u64, to: u64) -> io::Result<()> {
    let zeros = vec![0u8; ZERO_CHUNK_BYTES.min((to - from.min(to)) as usize)];
    let mut offset = from;
    while offset < to {
        let length = zeros.len().min((to - offset) as usize);
        write_all(disk, file, &zeros[..length], offset)?;
        offset += length as u64;
    }
    Ok(())
}

/// `fdatasync`; an interrupted one has not reported on any page, so it is asked again.
pub(super) fn datasync(disk: &dyn Disk, file: &File) -> io::Result<()> {
    loop {
        match disk.datasync(file) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

/// Whether the error says that there is no room (disk or quota).
pub(super) fn is_no_space(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// Copies a file to a name that is not taken. The copy is for people and nothing
/// waits for it, so it is not synced.
pub(super) fn copy(disk: &dyn Disk, from: &Path, to: &Path) -> io::Result<()> {
    let mut source = File::open(from)?;
    let target = disk.create(to)?;
    let mut piece = vec![0; ZERO_CHUNK_BYTES];
    let mut offset = 0;
    loop {
        match source.read(&mut piece) {
            Ok(0) => return Ok(()),
            Ok(length) => {
                write_all(disk, &target, &piece[..length], offset)?;
                offset += length as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Replaces `path` by a file with these contents, atomically and durably:
/// temporary file, `fdatasync`, rename, `fsync` of the directory.
pub(super) fn replace(disk: &dyn Disk, path: &Path, contents: &[u8]) -> io::Result<()> {
    let temporary = path.with_extension("new");
    match disk.remove(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let file = disk.create(&temporary)?;
    write_all(disk, &file, contents, 0)?;
    datasync(disk, &file)?;
    disk.rename(&temporary, path)?;
    match path.parent() {
        Some(dir) => disk.sync_dir(dir),
        None => Ok(()),
    }
}
