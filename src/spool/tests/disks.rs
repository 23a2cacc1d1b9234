//! Disks that fail as told, and say whether they did.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

use super::super::Tuning;
use super::super::disk::{Disk, RealDisk};
use super::super::shared::locked;

/// What can be made to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    Write,
    Datasync,
    SyncDir,
    Rename,
    Create,
}

/// Fails the nth call of one kind, and all later ones of that kind, or as many as
/// it is told to; of all files, or only of those of one name (see [`name_of`]).
pub struct FailingDisk {
    call: Call,
    of: Option<String>,
    error: fn() -> io::Error,
    nth: u64,
    times: u64,
    /// Calls so far that count.
    calls: AtomicU64,
    /// All calls of the kind so far, by name.
    seen: Mutex<BTreeMap<String, u64>>,
    pub fired: AtomicU64,
    /// What the first call that failed was for.
    first: Mutex<Option<String>>,
}

/// A disk that can be filled: while it is full, files grow only into what others
/// have left.
#[derive(Default)]
pub struct FullDisk {
    pub full: AtomicBool,
    left: AtomicU64,
    pub fired: AtomicU64,
}

/// Writes in pieces, with interruptions.
#[derive(Default)]
pub struct ChoppyDisk {
    calls: AtomicU64,
}

pub fn tuned(disk: Arc<dyn Disk>) -> Tuning {
    Tuning { disk, ..super::small() }
}

// === impl FailingDisk ===

impl FailingDisk {
    pub fn nth(call: Call, nth: u64, error: fn() -> io::Error) -> Arc<FailingDisk> {
        FailingDisk::some(call, None, nth, u64::MAX, error)
    }

    /// Fails so many calls from the nth on; then the disk is sound again.
    pub fn some(
        call: Call,
        of: Option<String>,
        nth: u64,
        times: u64,
        error: fn() -> io::Error,
    ) -> Arc<FailingDisk> {
        Arc::new(FailingDisk {
            call,
            of,
            error,
            nth: nth.max(1),
            times,
            calls: AtomicU64::new(0),
            seen: Mutex::default(),
            fired: AtomicU64::new(0),
            first: Mutex::default(),
        })
    }

    /// How many calls of its kind there were, by name.
    pub fn seen(&self) -> BTreeMap<String, u64> {
        locked(&self.seen).clone()
    }

    /// What the first call that failed was for: a kind of file, or a directory.
    pub fn first(&self) -> Option<String> {
        locked(&self.first).clone()
    }

    fn pass(&self, call: Call, path: impl FnOnce() -> PathBuf) -> io::Result<()> {
        if call != self.call {
            return Ok(());
        }
        let name = name_of(call, &path());
        *locked(&self.seen).entry(name.clone()).or_default() += 1;
        if self.of.as_ref().is_some_and(|of| *of != name) {
            return Ok(());
        }
        let number = self.calls.fetch_add(1, SeqCst) + 1;
        if number >= self.nth && number - self.nth < self.times {
            self.fired.fetch_add(1, SeqCst);
            locked(&self.first).get_or_insert(name);
            return Err((self.error)());
        }
        Ok(())
    }
}

/// What a call is for: a kind of file by its extension, or a file or directory by
/// its name; the same in every run.
fn name_of(call: Call, path: &Path) -> String {
    let text = |part: Option<&std::ffi::OsStr>| part.unwrap_or_default().to_string_lossy().into_owned();
    let kind = text(path.extension());
    match kind.as_str() {
        // The spool's own directory, under the test's name for it.
        "" if path.is_dir() && text(path.file_name()).starts_with(".tmp") => format!("{call:?} of spool"),
        "" => format!("{call:?} of {}", text(path.file_name())),
        "new" => format!("{call:?} of {}", text(path.file_stem())),
        _ => format!("{call:?} of .{kind}"),
    }
}

/// The name by which the kernel knows an open file.
fn path_of(file: &File) -> PathBuf {
    std::fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd())).unwrap_or_default()
}

impl Disk for FailingDisk {
    fn create(&self, path: &Path) -> io::Result<File> {
        self.pass(Call::Create, || path.to_owned())?;
        RealDisk.create(path)
    }

    fn open(&self, path: &Path) -> io::Result<File> {
        RealDisk.open(path)
    }

    fn write(&self, file: &File, bytes: &[u8], offset: u64) -> io::Result<usize> {
        self.pass(Call::Write, || path_of(file))?;
        RealDisk.write(file, bytes, offset)
    }

    fn datasync(&self, file: &File) -> io::Result<()> {
        self.pass(Call::Datasync, || path_of(file))?;
        RealDisk.datasync(file)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.pass(Call::SyncDir, || dir.to_owned())?;
        RealDisk.sync_dir(dir)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.pass(Call::Rename, || to.to_owned())?;
        RealDisk.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        RealDisk.remove(path)
    }

    fn make_dir(&self, path: &Path) -> io::Result<()> {
        RealDisk.make_dir(path)
    }
}

// === impl FullDisk ===

impl Disk for FullDisk {
    fn create(&self, path: &Path) -> io::Result<File> {
        RealDisk.create(path)
    }

    fn open(&self, path: &Path) -> io::Result<File> {
        RealDisk.open(path)
    }

    fn write(&self, file: &File, bytes: &[u8], offset: u64) -> io::Result<usize> {
        let length = file.metadata()?.len();
        let growth = (offset + bytes.len() as u64).saturating_sub(length);
        if self.full.load(SeqCst) && growth > 0 {
            let left = self.left.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(growth));
            // What still fits is written, as a real disk does.
            if left.is_err() && offset < length {
                return RealDisk.write(file, &bytes[..(length - offset) as usize], offset);
            }
            if left.is_err() {
                self.fired.fetch_add(1, SeqCst);
                return Err(rustix::io::Errno::NOSPC.into());
            }
        }
        RealDisk.write(file, bytes, offset)
    }

    fn datasync(&self, file: &File) -> io::Result<()> {
        RealDisk.datasync(file)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        RealDisk.sync_dir(dir)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.leave(to);
        RealDisk.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.leave(path);
        RealDisk.remove(path)
    }

    fn make_dir(&self, path: &Path) -> io::Result<()> {
        RealDisk.make_dir(path)
    }
}

impl FullDisk {
    fn leave(&self, path: &Path) {
        if self.full.load(SeqCst) {
            self.left.fetch_add(std::fs::metadata(path).map_or(0, |metadata| metadata.len()), SeqCst);
        }
    }

    /// Fills it to the last byte, or gives it room again.
    pub fn set_full(&self, full: bool) {
        self.left.store(0, SeqCst);
        self.full.store(full, SeqCst);
    }
}

// === impl ChoppyDisk ===

impl Disk for ChoppyDisk {
    fn create(&self, path: &Path) -> io::Result<File> {
        RealDisk.create(path)
    }

    fn open(&self, path: &Path) -> io::Result<File> {
        RealDisk.open(path)
    }

    fn write(&self, file: &File, bytes: &[u8], offset: u64) -> io::Result<usize> {
        match self.calls.fetch_add(1, SeqCst) % 3 {
            0 => Err(io::ErrorKind::Interrupted.into()),
            1 => RealDisk.write(file, &bytes[..bytes.len().div_ceil(2)], offset),
            _ => RealDisk.write(file, bytes, offset),
        }
    }

    fn datasync(&self, file: &File) -> io::Result<()> {
        match self.calls.fetch_add(1, SeqCst) % 2 {
            0 => Err(io::ErrorKind::Interrupted.into()),
            _ => RealDisk.datasync(file),
        }
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        RealDisk.sync_dir(dir)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        RealDisk.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        RealDisk.remove(path)
    }

    fn make_dir(&self, path: &Path) -> io::Result<()> {
        RealDisk.make_dir(path)
    }
}
