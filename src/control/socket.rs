//! Unix sockets in the data directory, whatever the length of its path.
//!
//! The kernel takes socket paths of at most 107 bytes. A longer one is reached
//! through an open descriptor of its directory: `/proc/self/fd/N/control.sock`.
//! That needs Linux's `/proc`; elsewhere a long path is an error that says so.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

/// The longest path of a Unix socket in bytes, by `sockaddr_un` with its final
/// zero; macOS has four bytes less.
pub const MAX_SOCKET_PATH_BYTES: usize = 103;

/// A path that the kernel takes for a socket. Good as long as it is held.
#[derive(Debug)]
pub struct Reachable {
    path: PathBuf,
    _directory: Option<File>,
}

// === impl Reachable ===

impl Reachable {
    /// A way to the socket at `path`; its directory must exist.
    pub fn new(path: &Path) -> io::Result<Reachable> {
        if path.as_os_str().len() <= MAX_SOCKET_PATH_BYTES {
            return Ok(Reachable { path: path.to_owned(), _directory: None });
        }
        let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(io::Error::other(format!("{}: not a path of a socket", path.display())));
        };
        let directory = File::open(directory)?;
        let through = PathBuf::from(format!("/proc/self/fd/{}", directory.as_raw_fd()));
        if !through.is_dir() {
            return Err(io::Error::other(format!(
                "{}: longer than the {MAX_SOCKET_PATH_BYTES} bytes a socket's path may have here: \
                 use a data directory with a shorter path",
                path.display()
            )));
        }
        Ok(Reachable { path: through.join(name), _directory: Some(directory) })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Listens at `path`, for this user only. A socket that nobody serves any more
/// is replaced; one that is served is an error of the kind `AddrInUse`.
pub fn bind(path: &Path) -> io::Result<UnixListener> {
    if connect(path).is_ok() {
        return Err(io::Error::new(
            io::ErrorKind::AddrInUse,
            format!("{}: another process serves this socket", path.display()),
        ));
    }
    // Bound beside and moved into place, so that it is never there with the wrong mode.
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    match std::fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(Reachable::new(&beside)?.path())?;
    std::fs::set_permissions(&beside, std::fs::Permissions::from_mode(0o600))?;
    std::fs::rename(&beside, path)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Connects to the socket at `path`.
pub fn connect(path: &Path) -> io::Result<UnixStream> {
    UnixStream::connect(Reachable::new(path)?.path())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    fn check(directory: &Path) {
        std::fs::create_dir_all(directory).expect("made");
        let path = directory.join("control.sock");
        let listener = bind(&path).expect("bound");
        assert_eq!(std::fs::metadata(&path).expect("it exists").mode() & 0o777, 0o600);
        assert!(connect(&path).is_ok());
        assert_eq!(bind(&path).expect_err("in use").kind(), io::ErrorKind::AddrInUse);
        drop(listener);
        assert!(connect(&path).is_err());
        bind(&path).expect("what is left of a dead server is replaced");
    }

    #[test]
    fn sockets_work_below_short_and_long_paths() {
        let dir = tempfile::tempdir().expect("a directory");
        check(dir.path());
        check(&dir.path().join("x".repeat(120)).join("y".repeat(120)));
    }
}
