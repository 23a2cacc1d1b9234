//! The journal of hit ids made by pages: the same id from the same visitor
//! counts once in 24 hours, across restarts, so that a page may retry.
//!
//! In: keys, which are keyed hashes of visitor and id (never 0). A key is
//! *claimed* before its hit is appended, *confirmed* when the hit is durable and
//! *forgotten* when it could not be made so. Shared by all hit threads.
//!
//! On the disk a key first lives in its hit's own record; before that segment is
//! released the keeper appends it to a side file, so no moment loses it:
//! `seen/SECONDS.keys` = `METKASEE`, version u16, zeros to 16 bytes, then blocks
//! `crc32c u32 | count u32 | count × (key u64, seconds u32)`, the checksum over
//! all of the block after itself. A side file is begun every hour and removed
//! when its newest key is older than a day.
//!
//! Bounds: [`MAX_KEYS_HELD`] keys; beyond that the oldest go first.

use std::collections::{HashMap, VecDeque};
use std::fs::File;
use std::hash::{BuildHasherDefault, Hasher};
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use super::disk::{Disk, datasync, write_all};
use super::shared::locked;

/// How many keys are held: 46 new ids a second, all day. Full, they take about
/// 200 MB; a site with fewer takes accordingly less.
pub const MAX_KEYS_HELD: usize = 4 << 20;
/// How long an id counts once.
pub const WINDOW_SECONDS: u32 = 24 * 60 * 60;
/// A side file holds the keys of segments released within this time.
const ROTATE_SECONDS: u32 = 60 * 60;
/// Enough that hit threads rarely meet.
const SHARDS: usize = 16;
/// The most keys of one block, so that reading allocates no more.
const MAX_BLOCK_KEYS: usize = 1 << 16;
const MAGIC: [u8; 8] = *b"METKASEE";
const VERSION: u16 = 1;
const HEADER_BYTES: u64 = 16;
const ENTRY_BYTES: usize = 12;
/// Seconds are counted from 2020, so that 31 bits last until 2088.
const EPOCH_SECONDS: u64 = 1_577_836_800;
/// Set while the key's hit is not yet durable.
const PENDING: u32 = 1 << 31;

/// What claiming a key gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// Not seen within the window: the caller now owns it, and must append its
    /// hit or forget it.
    New,
    /// Another request has claimed it and its hit is not durable yet: neither
    /// answer would be true, so the page should try again.
    Pending,
    /// Its hit is durable.
    Duplicate,
}

/// The journal.
pub struct Seen {
    shards: [Mutex<Shard>; SHARDS],
    side: Mutex<Side>,
    max_per_shard: usize,
}

#[derive(Default)]
struct Shard {
    /// When each key was claimed, in seconds since 2020, and [`PENDING`].
    keys: HashMap<u64, u32, BuildHasherDefault<KeyHasher>>,
    /// The same in the order of claiming; entries of forgotten keys stay until
    /// their turn.
    order: VecDeque<(u64, u32)>,
}

struct Side {
    dir: PathBuf,
    current: Option<SideFile>,
    /// Older files, with the time of their newest key.
    older: Vec<(PathBuf, u32)>,
}

struct SideFile {
    file: File,
    path: PathBuf,
    begun: u32,
    newest: u32,
    offset: u64,
}

/// The keys are hashes already.
#[derive(Default)]
struct KeyHasher(u64);

// === impl Seen ===

impl Seen {
    /// Reads the side files in `dir`, which exists.
    pub fn open(dir: &Path, now_ms: u64) -> io::Result<Seen> {
        let side = Side { dir: dir.to_owned(), current: None, older: Vec::new() };
        let mut seen = Seen {
            shards: std::array::from_fn(|_| Mutex::default()),
            side: Mutex::new(side),
            max_per_shard: MAX_KEYS_HELD / SHARDS,
        };
        let now = seconds(now_ms);
        let mut paths: Vec<PathBuf> =
            std::fs::read_dir(dir)?.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>()?;
        paths.retain(|path| path.extension().is_some_and(|extension| extension == "keys"));
        paths.sort();
        for path in paths {
            let mut newest = 0;
            read_side_file(&path, |key, time| {
                newest = newest.max(time);
                if now.saturating_sub(time) < WINDOW_SECONDS {
                    seen.insert(key, time);
                }
            })?;
            seen.side.get_mut().unwrap_or_else(|e| e.into_inner()).older.push((path, newest));
        }
        Ok(seen)
    }

    /// Claims a key at the time `now_ms`.
    pub fn claim(&self, key: u64, now_ms: u64) -> Claim {
        let now = seconds(now_ms);
        let mut shard = self.shard(key);
        match shard.keys.get(&key) {
            Some(time) if time & PENDING != 0 => return Claim::Pending,
            Some(time) if now.saturating_sub(*time) < WINDOW_SECONDS => return Claim::Duplicate,
            _ => {}
        }
        shard.put(key, now | PENDING, self.max_per_shard);
        shard.expire(now);
        Claim::New
    }

    /// Whether the key is new, claiming it if so. A key whose hit is not yet
    /// durable is not new; [`Seen::claim`] tells the two apart.
    pub fn check_and_insert(&self, key: u64, now_ms: u64) -> bool {
        self.claim(key, now_ms) == Claim::New
    }

    /// The keys' hits will not become durable.
    pub fn forget(&self, keys: &[u64]) {
        for key in keys {
            let mut shard = self.shard(*key);
            if shard.keys.get(key).is_some_and(|time| time & PENDING != 0) {
                shard.keys.remove(key);
            }
        }
    }

    /// The keys' hits are durable.
    pub(super) fn confirm(&self, keys: &[u64]) {
        for key in keys {
            if let Some(time) = self.shard(*key).keys.get_mut(key) {
                *time &= !PENDING;
            }
        }
    }

    /// A key found in a record by recovery.
    pub(super) fn restore(&self, key: u64, time_ms: u64) {
        self.insert(key, seconds(time_ms));
    }

    /// Makes keys durable on their own, before their records go.
    pub(super) fn save(&self, disk: &dyn Disk, keys: &[(u64, u64)]) -> io::Result<()> {
        let mut side = locked(&self.side);
        for block in keys.chunks(MAX_BLOCK_KEYS) {
            side.append(disk, block)?;
        }
        Ok(())
    }

    /// How many keys are held.
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| locked(shard).keys.len()).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn insert(&self, key: u64, time: u32) {
        self.shard(key).put(key, time, self.max_per_shard);
    }

    fn shard(&self, key: u64) -> std::sync::MutexGuard<'_, Shard> {
        // The map uses the low bits.
        locked(&self.shards[(key >> 60) as usize % SHARDS])
    }
}

// === impl Shard ===

impl Shard {
    fn put(&mut self, key: u64, time: u32, max: usize) {
        self.keys.insert(key, time);
        self.order.push_back((key, time & !PENDING));
        while self.order.len() > max {
            self.drop_oldest();
        }
    }

    /// Drops what is past the window, a few at a time.
    fn expire(&mut self, now: u32) {
        for _ in 0..2 {
            match self.order.front() {
                Some((_, time)) if now.saturating_sub(*time) >= WINDOW_SECONDS => self.drop_oldest(),
                _ => return,
            }
        }
    }

    fn drop_oldest(&mut self) {
        if let Some((key, time)) = self.order.pop_front()
            && self.keys.get(&key).is_some_and(|held| held & !PENDING == time)
        {
            self.keys.remove(&key);
        }
    }
}

// === impl Side ===

impl Side {
    fn append(&mut self, disk: &dyn Disk, keys: &[(u64, u64)]) -> io::Result<()> {
        let newest = keys.iter().map(|(_, time)| seconds(*time)).max().unwrap_or(0);
        let now = seconds(super::shared::now_ms());
        if self.current.as_ref().is_none_or(|current| now.saturating_sub(current.begun) >= ROTATE_SECONDS) {
            self.begin(disk, now)?;
        }
        let current = self.current.as_mut().expect("it has been begun");
        let mut block = vec![0; 4];
        block.extend_from_slice(&(keys.len() as u32).to_le_bytes());
        for (key, time) in keys {
            block.extend_from_slice(&key.to_le_bytes());
            block.extend_from_slice(&seconds(*time).to_le_bytes());
        }
        let crc = crc32c::crc32c(&block[4..]);
        block[..4].copy_from_slice(&crc.to_le_bytes());
        write_all(disk, &current.file, &block, current.offset)?;
        datasync(disk, &current.file)?;
        current.offset += block.len() as u64;
        current.newest = current.newest.max(newest);
        Ok(())
    }

    /// Begins a new file and removes those that are past the window.
    fn begin(&mut self, disk: &dyn Disk, now: u32) -> io::Result<()> {
        let mut begun = now;
        let path = loop {
            let path = self.dir.join(format!("{begun:010}.keys"));
            if !path.exists() {
                break path;
            }
            begun += 1;
        };
        let file = disk.create(&path)?;
        let mut header = [0; HEADER_BYTES as usize];
        header[..8].copy_from_slice(&MAGIC);
        header[8..10].copy_from_slice(&VERSION.to_le_bytes());
        write_all(disk, &file, &header, 0)?;
        datasync(disk, &file)?;
        disk.sync_dir(&self.dir)?;
        let next = SideFile { file, path, begun: now, newest: 0, offset: HEADER_BYTES };
        if let Some(last) = self.current.replace(next) {
            self.older.push((last.path, last.newest));
        }
        self.older.retain(|(path, newest)| {
            let live = now.saturating_sub(*newest) < WINDOW_SECONDS;
            live || disk.remove(path).is_err()
        });
        Ok(())
    }
}

// === impl KeyHasher ===

impl Hasher for KeyHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("keys are u64")
    }

    fn write_u64(&mut self, key: u64) {
        // The shard took the top bits; the map wants them varied too.
        self.0 = key.rotate_left(8);
    }
}

fn seconds(time_ms: u64) -> u32 {
    (time_ms / 1000).saturating_sub(EPOCH_SECONDS).min(u64::from(PENDING - 1)) as u32
}

/// Reads a side file up to the first block that is not whole: what stands there
/// was being written when the process ended, and its segment still has the keys.
fn read_side_file(path: &Path, mut key: impl FnMut(u64, u32)) -> io::Result<()> {
    let mut reader = BufReader::new(File::open(path)?);
    let mut header = [0; HEADER_BYTES as usize];
    if !filled(&mut reader, &mut header)? || header[..8] != MAGIC || header[8..10] != VERSION.to_le_bytes() {
        return Ok(());
    }
    loop {
        let mut head = [0; 8];
        if !filled(&mut reader, &mut head)? {
            return Ok(());
        }
        let count = u32::from_le_bytes([head[4], head[5], head[6], head[7]]) as usize;
        if count > MAX_BLOCK_KEYS {
            return Ok(());
        }
        let mut entries = vec![0; count * ENTRY_BYTES];
        if !filled(&mut reader, &mut entries)? {
            return Ok(());
        }
        let crc = crc32c::crc32c_append(crc32c::crc32c(&head[4..]), &entries);
        if crc.to_le_bytes() != head[..4] {
            return Ok(());
        }
        for entry in entries.chunks_exact(ENTRY_BYTES) {
            let (id, time) = entry.split_at(8);
            key(
                u64::from_le_bytes(id.try_into().expect("eight bytes")),
                u32::from_le_bytes(time.try_into().expect("four bytes")) & !PENDING,
            );
        }
    }
}

/// Fills the buffer; `false` at the end of the file.
fn filled(reader: &mut impl Read, buffer: &mut [u8]) -> io::Result<bool> {
    match reader.read_exact(buffer) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::super::disk::RealDisk;
    use super::super::shared::now_ms;
    use super::*;

    fn saved(dir: &Path, keys: std::ops::Range<u64>, time_ms: u64) {
        let seen = Seen::open(dir, time_ms).expect("it opens");
        let keys: Vec<(u64, u64)> = keys.map(|key| (key, time_ms)).collect();
        seen.save(&RealDisk, &keys).expect("it is written");
    }

    #[test]
    fn a_side_file_is_read_up_to_what_a_crash_left_unfinished() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let now = now_ms();
        saved(dir.path(), 1..100, now);
        saved(dir.path(), 100..200, now);
        let mut paths: Vec<PathBuf> =
            std::fs::read_dir(dir.path()).expect("it lists").flatten().map(|entry| entry.path()).collect();
        paths.sort();
        assert_eq!(paths.len(), 2);
        let bytes = std::fs::read(&paths[1]).expect("it reads");
        for length in 0..bytes.len() {
            std::fs::write(&paths[1], &bytes[..length]).expect("it is written");
            assert_eq!(Seen::open(dir.path(), now).expect("it opens").len(), 99, "{length} bytes");
        }
        for at in HEADER_BYTES as usize..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 4;
            std::fs::write(&paths[1], &changed).expect("it is written");
            assert_eq!(Seen::open(dir.path(), now).expect("it opens").len(), 99, "byte {at}");
        }
        std::fs::write(&paths[1], &bytes).expect("it is written");
        assert_eq!(Seen::open(dir.path(), now).expect("it opens").len(), 199);
    }

    #[test]
    fn side_files_past_the_window_are_neither_read_nor_kept() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let day = 1000 * u64::from(WINDOW_SECONDS);
        saved(dir.path(), 1..10, now_ms() - day - 1000);
        let seen = Seen::open(dir.path(), now_ms()).expect("it opens");
        assert!(seen.is_empty());
        seen.save(&RealDisk, &[(77, now_ms())]).expect("it is written");
        assert_eq!(std::fs::read_dir(dir.path()).expect("it lists").count(), 1);
    }

    #[test]
    fn beyond_its_bound_the_oldest_keys_go_first() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let mut seen = Seen::open(dir.path(), 0).expect("it opens");
        seen.max_per_shard = 10;
        let now = now_ms();
        for key in 1..=1000u64 {
            assert!(seen.check_and_insert(key, now + key));
            seen.confirm(&[key]);
        }
        assert_eq!(seen.len(), 10);
        assert_eq!(seen.claim(1000, now), Claim::Duplicate);
        assert_eq!(seen.claim(1, now), Claim::New);
        // What is past the window goes without being asked for.
        for key in 2000..2020u64 {
            seen.claim(key, now + 2000 * u64::from(WINDOW_SECONDS));
        }
        assert!(seen.len() <= 10);
    }
}
