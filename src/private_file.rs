//! Small private files of the data directory: read whole, replaced whole.
//!
//! A file is written beside its place with mode 0600, synced, renamed over the
//! old one, and the directory is synced: after a crash the old or the new text
//! is there, never a part. A file that others can read is refused when read,
//! since what it holds must then be taken as known. What root makes is given to
//! the owner of the directory, so that a command of root's does not lock the
//! server out.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The largest such file that is read, in bytes: a thousand people and tokens
/// and ten thousand sessions stay below it.
const MAX_FILE_BYTES: u64 = 8 << 20;

/// Tells one version of a file from the next: every replacement is a new inode
/// with a new change time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Version {
    inode: u64,
    changed: (i64, i64),
    size: u64,
}

/// The file's version, `None` when there is no file.
pub(crate) fn version(path: &Path) -> io::Result<Option<Version>> {
    match std::fs::metadata(path) {
        Ok(found) => Ok(Some(Version {
            inode: found.ino(),
            changed: (found.ctime(), found.ctime_nsec()),
            size: found.size(),
        })),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The file's bytes; `None` when there is no file.
pub(crate) fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    read_within(path, MAX_FILE_BYTES)
}

/// The same for a file that may have up to `most` bytes.
pub(crate) fn read_within(path: &Path, most: u64) -> io::Result<Option<Vec<u8>>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let found = file.metadata()?;
    let mode = found.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(io::Error::other(format!("its mode is {mode:04o}, others can read it: expected 0600")));
    }
    if found.len() > most {
        return Err(io::Error::other(format!("it has {} bytes, at most {most} are read", found.len())));
    }
    let mut bytes = Vec::new();
    file.take(most).read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}

/// Replaces the file. Callers that may run at the same time hold [`lock`].
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let directory = directory_of(path)?;
    private_directory(directory)?;
    let (beside, file) = write_beside(path, bytes)?;
    file.sync_all()?;
    std::fs::rename(beside, path)?;
    File::open(directory)?.sync_all()
}

/// The same for many files of one directory, which cost the disk little more than one:
/// all of them are there afterwards; a crash may leave some.
pub(crate) fn replace_each(directory: &Path, files: &[(PathBuf, Vec<u8>)]) -> io::Result<()> {
    private_directory(directory)?;
    let written = files.iter().map(|(path, bytes)| Ok((write_beside(path, bytes)?.0, path)));
    let written = written.collect::<io::Result<Vec<_>>>()?;
    rustix::fs::syncfs(File::open(directory)?)?;
    for (beside, path) in written {
        std::fs::rename(beside, path)?;
    }
    File::open(directory)?.sync_all()
}

fn directory_of(path: &Path) -> io::Result<&Path> {
    path.parent().ok_or_else(|| io::Error::other("the path has no directory"))
}

/// Writes what is to replace a file, not synced yet.
fn write_beside(path: &Path, bytes: &[u8]) -> io::Result<(PathBuf, File)> {
    let directory = directory_of(path)?;
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    match std::fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
    give_to_owner_of(directory, &file)?;
    file.write_all(bytes)?;
    Ok((beside, file))
}

/// Waits for the lock file at `path` and holds it until dropped.
pub(crate) fn lock(path: &Path) -> io::Result<File> {
    if let Some(directory) = path.parent() {
        private_directory(directory)?;
    }
    let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)?;
    if let Some(directory) = path.parent() {
        give_to_owner_of(directory, &file)?;
    }
    rustix::fs::flock(&file, rustix::fs::FlockOperation::LockExclusive)?;
    Ok(file)
}

/// Makes the directory, for its owner only, if it does not exist.
pub(crate) fn private_directory(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    match path.parent() {
        Some(above) if !above.as_os_str().is_empty() => give_to_owner_of(above, &File::open(path)?),
        _ => Ok(()),
    }
}

/// Only root can, and only root has to.
pub(crate) fn give_to_owner_of(directory: &Path, file: &File) -> io::Result<()> {
    if !rustix::process::geteuid().is_root() {
        return Ok(());
    }
    let directory = std::fs::metadata(directory)?;
    std::os::unix::fs::fchown(file, Some(directory.uid()), Some(directory.gid()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_replaced_file_is_private_and_a_new_version() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("below/people.json");
        assert_eq!(read(&path).expect("no error"), None);
        assert_eq!(version(&path).expect("no error"), None);
        replace(&path, b"one").expect("written");
        let first = version(&path).expect("no error");
        replace(&path, b"two").expect("written");
        assert_ne!(version(&path).expect("no error"), first);
        assert_eq!(read(&path).expect("no error").as_deref(), Some(&b"two"[..]));
        assert_eq!(std::fs::metadata(&path).expect("it exists").mode() & 0o777, 0o600);
    }

    #[test]
    fn a_file_that_others_can_read_is_refused() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("people.json");
        replace(&path, b"{}").expect("written");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).expect("changed");
        assert!(read(&path).expect_err("refused").to_string().contains("0644"));
    }
}
