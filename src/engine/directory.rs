//! The engine's part of the data directory: the lock, the secret, the
//! library's configuration.
//!
//! Invariants: the lock is an exclusive `flock`, which the kernel releases
//! however the process ends; directories are 0700 and the secret 0600 from
//! their first moment; the library reads no configuration but the one written
//! here (else it would take `config.xml` of the working directory or of the
//! user's home).

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};

/// 256 random bits.
const SECRET_BYTES: usize = 32;
/// How often a waiting engine tries the lock.
const LOCK_POLL: Duration = Duration::from_millis(50);
/// The longest path of a Unix socket that the kernel takes, without its NUL.
pub const MAX_SOCKET_PATH_BYTES: usize = 107;

/// Why the data directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    #[error("another engine{} runs on the data directory {}", match .1 { Some(pid) => format!(" (process {pid})"), None => String::new() }, .0.display())]
    Locked(PathBuf, Option<u32>),
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: std::io::Error },
    #[error("{}: mode {mode:o} lets others read the engine's secret; chmod it to 600", path.display())]
    SecretMode { path: PathBuf, mode: u32 },
    #[error("{}: not a secret of {} hex digits; remove the file and a new one is made", .0.display(), SECRET_BYTES * 2)]
    SecretText(PathBuf),
    #[error("{}: the path of the engine's socket has {} bytes, at most {MAX_SOCKET_PATH_BYTES} are possible; choose a shorter data_dir", .0.display(), .0.as_os_str().len())]
    SocketPath(PathBuf),
}

/// The engine's files, locked for this process.
pub struct Directory {
    pub root: PathBuf,
    /// Held for its lock.
    _lock: File,
}

/// The engine's socket in a data directory.
pub fn socket_path(data_dir: &Path) -> PathBuf {
    data_dir.join("engine.sock")
}

/// The engine's secret in a data directory.
pub fn secret_path(data_dir: &Path) -> PathBuf {
    data_dir.join("engine/secret")
}

/// Where the engine may write and read the files of `BACKUP` and `RESTORE`.
/// What is in there is of one backup or restore, and goes with it.
pub fn backups_path(data_dir: &Path) -> PathBuf {
    data_dir.join("engine/backups")
}

/// Reads the secret that a running engine has made.
pub fn read_secret(data_dir: &Path) -> Result<String, DirectoryError> {
    let path = secret_path(data_dir);
    let mut file = File::open(&path).map_err(io(&path))?;
    let mode = file.metadata().map_err(io(&path))?.permissions().mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(DirectoryError::SecretMode { path, mode });
    }
    let mut text = String::new();
    Read::by_ref(&mut file).take(4096).read_to_string(&mut text).map_err(io(&path))?;
    let secret = text.trim().to_owned();
    if secret.len() != SECRET_BYTES * 2 || !secret.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(DirectoryError::SecretText(path));
    }
    Ok(secret)
}

/// The secret; made by whoever needs it first, the engine or its supervisor.
pub fn secret(data_dir: &Path) -> Result<String, DirectoryError> {
    let path = secret_path(data_dir);
    if !path.try_exists().map_err(io(&path))? {
        make_directories(data_dir)?;
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let mut bytes = [0; SECRET_BYTES];
        getrandom::fill(&mut bytes).expect("the kernel has random bytes");
        // Written aside and linked: a crash leaves no half secret, and of two
        // who make it at the same time the first wins.
        let aside = path.with_extension(hex(&bytes[..4]));
        let mut file =
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(&aside).map_err(io(&aside))?;
        getrandom::fill(&mut bytes).expect("the kernel has random bytes");
        let written = file.write_all(hex(&bytes).as_bytes()).and_then(|()| file.sync_all());
        let linked = written.and_then(|()| match std::fs::hard_link(&aside, &path) {
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
            other => other,
        });
        let removed = std::fs::remove_file(&aside);
        linked.and(removed).map_err(io(&path))?;
    }
    read_secret(data_dir)
}

fn make_directories(data_dir: &Path) -> Result<(), DirectoryError> {
    for directory in [data_dir, &data_dir.join("engine")] {
        DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(io(directory))?;
    }
    Ok(())
}

// === impl Directory ===

impl Directory {
    /// Makes what is missing and takes the lock.
    pub fn open(data_dir: &Path, wait: bool) -> Result<Directory, DirectoryError> {
        let root = data_dir.join("engine");
        make_directories(data_dir)?;
        let path = root.join("lock");
        let mut lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(io(&path))?;
        let mut said = false;
        while let Err(error) = flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            if error != rustix::io::Errno::WOULDBLOCK && error != rustix::io::Errno::INTR {
                return Err(DirectoryError::Io { path, source: error.into() });
            }
            let mut holder = String::new();
            let _ = File::open(&path).and_then(|file| file.take(32).read_to_string(&mut holder));
            let locked = DirectoryError::Locked(data_dir.to_owned(), holder.trim().parse().ok());
            if !wait {
                return Err(locked);
            }
            if !said {
                eprintln!("engine: waiting: {locked}");
                said = true;
            }
            #[expect(clippy::disallowed_methods, reason = "the start of a process has nothing else to do")]
            std::thread::sleep(LOCK_POLL);
        }
        lock.set_len(0).and_then(|()| writeln!(lock, "{}", std::process::id())).map_err(io(&path))?;
        Ok(Directory { root, _lock: lock })
    }

    /// Writes the library's configuration and returns the arguments of the first connection.
    pub fn arguments(&self, max_memory_bytes: u64) -> Result<Vec<String>, DirectoryError> {
        let path = self.root.join("config.xml");
        std::fs::write(&path, configuration(max_memory_bytes)).map_err(io(&path))?;
        let store = self.root.join("clickhouse");
        DirBuilder::new().recursive(true).mode(0o700).create(&store).map_err(io(&store))?;
        let backups = self.root.join("backups");
        DirBuilder::new().recursive(true).mode(0o700).create(&backups).map_err(io(&backups))?;
        Ok(vec![
            format!("--config-file={}", path.display()),
            format!("--path={}", store.display()),
            format!("--backups.allowed_path={}", backups.display()),
        ])
    }
}

/// The library's server settings. Without a section for them the log tables
/// (`system.query_log`, `text_log`, `trace_log`, `metric_log`, …), which fill
/// disks, are never made.
fn configuration(max_memory_bytes: u64) -> String {
    // Caches follow the bound, so that they cannot eat it.
    let cache = (max_memory_bytes / 8).min(1 << 30);
    format!(
        r"<clickhouse>
    <!-- Written at each start of `metka engine`; changes here are lost. -->
    <max_server_memory_usage>{max_memory_bytes}</max_server_memory_usage>
    <mark_cache_size>{cache}</mark_cache_size>
    <uncompressed_cache_size>0</uncompressed_cache_size>
    <index_mark_cache_size>{cache}</index_mark_cache_size>
    <query_condition_cache_size>16777216</query_condition_cache_size>
    <send_crash_reports><enabled>false</enabled></send_crash_reports>
    <logger><level>none</level></logger>
</clickhouse>
"
    )
}

fn io(path: &Path) -> impl FnOnce(std::io::Error) -> DirectoryError + '_ {
    |source| DirectoryError::Io { path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_secret_is_made_once_and_is_for_its_owner_only() {
        let temporary = tempfile::tempdir().unwrap();
        let made: Vec<String> = std::thread::scope(|scope| {
            let makers: Vec<_> = (0..8).map(|_| scope.spawn(|| secret(temporary.path()).unwrap())).collect();
            makers.into_iter().map(|maker| maker.join().unwrap()).collect()
        });
        assert!(made.iter().all(|secret| *secret == made[0]));
        assert_eq!(made[0].len(), 64);
        let path = secret_path(temporary.path());
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(read_secret(temporary.path()), Err(DirectoryError::SecretMode { mode: 0o644, .. })));
    }

    #[test]
    fn a_second_lock_names_the_directory_and_the_holder() {
        let temporary = tempfile::tempdir().unwrap();
        let _held = Directory::open(temporary.path(), false).unwrap();
        let error = Directory::open(temporary.path(), false).err().expect("the lock is held").to_string();
        assert!(error.contains(&temporary.path().display().to_string()), "{error}");
        assert!(error.contains(&std::process::id().to_string()), "{error}");
    }
}
