//! A disk that notes every change, and what a loss of power leaves of them.
//!
//! [`PowerDisk`] works on real files and keeps a list of its operations. A
//! [`Medium`] is that list replayed up to some place: it knows what is durable
//! (contents as of a file's last `fdatasync`, names as of a directory's last
//! `fsync`) and what is only on its way. [`Medium::after_loss`] makes one of the
//! many disks that power loss there may leave: of each write any of its sectors,
//! of the changed names any that make sense without the others.
//!
//! Sectors of 512 bytes are written whole or not at all, and a rename is done or
//! not done; nothing else is taken for granted, no order either.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use super::super::disk::{Disk, RealDisk};
use super::super::record::{Kind, SEGMENT_HEADER_BYTES, padded, u32_at};

/// What a disk writes whole or not at all.
const SECTOR_BYTES: usize = 512;

/// A number generator with a seed, so that a failure can be had again.
pub struct Luck(u64);

/// What a disk holds: directories, and files with their contents.
#[derive(Clone, Debug, Default)]
pub struct Image {
    dirs: BTreeSet<PathBuf>,
    pub files: BTreeMap<PathBuf, Arc<Vec<u8>>>,
}

/// One change; files have numbers of their own, whatever they are called.
#[derive(Clone, Debug)]
enum Op {
    Create(u64),
    Write(u64, u64, Vec<u8>),
    Datasync(u64),
    SyncDir,
    Rename(PathBuf, u64),
    Remove,
    MakeDir,
}

/// A change with the name at that time, relative to the disk's root.
#[derive(Clone, Debug)]
pub struct Entry {
    op: Op,
    path: PathBuf,
}

pub struct PowerDisk<E> {
    root: PathBuf,
    base: Image,
    noted: Mutex<Noted<E>>,
}

struct Noted<E> {
    log: Vec<Entry>,
    /// What happened beside the disk, each with the number of operations before it.
    events: Vec<(usize, E)>,
    by_inode: HashMap<u64, u64>,
    /// The name of each file that has one, and the last one of each.
    names: HashMap<PathBuf, u64>,
    called: HashMap<u64, PathBuf>,
    next_file: u64,
    lose_at: Option<usize>,
    lost: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Node {
    Dir,
    File(u64),
}

#[derive(Clone)]
enum Change {
    Add(PathBuf, Node),
    Move(PathBuf, PathBuf, u64),
    Remove(PathBuf),
}

#[derive(Default)]
struct Contents {
    durable: Arc<Vec<u8>>,
    /// Written and not synced.
    pending: Vec<(u64, Vec<u8>)>,
}

pub struct Medium {
    files: HashMap<u64, Contents>,
    names: BTreeMap<PathBuf, Node>,
    /// Changes of names, by the directory that must be synced for them.
    pending: Vec<(PathBuf, Change)>,
}

// === impl Luck ===

impl Luck {
    pub fn new(seed: u64) -> Luck {
        Luck(seed)
    }

    pub fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ mixed >> 31) % end.max(1) as u64) as usize
    }

    fn percent(&mut self, chance: usize) -> bool {
        self.below(100) < chance
    }
}

// === impl Image ===

impl Image {
    pub fn write_to(&self, root: &Path) {
        for dir in &self.dirs {
            std::fs::create_dir(root.join(dir)).expect("a directory can be made");
        }
        for (path, bytes) in &self.files {
            std::fs::write(root.join(path), &**bytes).expect("a file can be written");
        }
    }
}

// === impl Entry ===

impl Entry {
    /// What kind of step this is, for counting.
    pub fn kind(&self) -> String {
        let class = class(&self.path);
        match &self.op {
            Op::Create(_) => format!("create {class}"),
            Op::Write(_, _, bytes) => match class {
                "segment" if bytes.iter().all(|byte| *byte == 0) => "cut segment".to_owned(),
                "segment" => format!("append {}", if has_seal(bytes) { "seal" } else { "hits" }),
                "spare" if bytes.len() == SEGMENT_HEADER_BYTES => "write header".to_owned(),
                _ => format!("write {class}"),
            },
            Op::Datasync(_) => format!("sync {class}"),
            Op::SyncDir => format!("sync directory of {class}"),
            Op::Rename(to, _) => format!("rename {class} to {}", self::class(to)),
            Op::Remove => format!("remove {class}"),
            Op::MakeDir => "make directory".to_owned(),
        }
    }
}

/// What a file or directory of the spool is for.
fn class(path: &Path) -> &'static str {
    let text = |part: Option<&std::ffi::OsStr>| part.and_then(|part| part.to_str()).unwrap_or("").to_owned();
    match (text(path.extension()).as_str(), text(path.file_stem()).as_str()) {
        ("seg", _) | ("", "00") => "segment",
        ("spare", _) => "spare",
        ("old", _) => "old",
        ("keys", _) | ("", "seen") => "keys",
        (_, "checkpoint") | ("", "spool") => "checkpoint",
        (_, "node") => "node",
        (_, "reserve") => "reserve",
        _ if path.iter().any(|part| part == "dead") => "dead letter",
        _ => "other",
    }
}

fn has_seal(group: &[u8]) -> bool {
    let mut at = 0;
    while at + 20 <= group.len() {
        if group[at + 16] == Kind::BatchSeal as u8 {
            return true;
        }
        at += padded(u32_at(group, at + 4) as usize);
    }
    false
}

// === impl PowerDisk ===

impl<E: Clone> PowerDisk<E> {
    /// A disk that holds `base`, in the empty directory `root`.
    pub fn new(root: &Path, base: &Image) -> PowerDisk<E> {
        base.write_to(root);
        let mut noted = Noted {
            log: Vec::new(),
            events: Vec::new(),
            by_inode: HashMap::new(),
            names: HashMap::new(),
            called: HashMap::new(),
            next_file: 0,
            lose_at: None,
            lost: false,
        };
        for path in base.files.keys() {
            let inode = std::fs::metadata(root.join(path)).expect("it was written").ino();
            noted.add(inode, path.clone());
        }
        PowerDisk { root: root.to_owned(), base: base.clone(), noted: Mutex::new(noted) }
    }

    /// The power fails in the operation with this number.
    pub fn lose_at(self, operation: usize) -> PowerDisk<E> {
        self.noted().lose_at = Some(operation);
        self
    }

    pub fn event(&self, event: E) {
        let mut noted = self.noted();
        let at = noted.log.len();
        noted.events.push((at, event));
    }

    /// The same for what the machine does to others, which it cannot without power;
    /// says whether it could.
    pub fn outside(&self, event: E) -> bool {
        let mut noted = self.noted();
        let at = noted.log.len();
        if !noted.lost {
            noted.events.push((at, event));
        }
        !noted.lost
    }

    pub fn was_lost(&self) -> bool {
        self.noted().lost
    }

    /// The operations so far, and what happened beside them.
    pub fn history(&self) -> (Vec<Entry>, Vec<(usize, E)>) {
        let noted = self.noted();
        (noted.log.clone(), noted.events.clone())
    }

    /// The disk before its first operation.
    pub fn medium(&self) -> Medium {
        let mut medium = Medium { files: HashMap::new(), names: BTreeMap::new(), pending: Vec::new() };
        medium.names.extend(self.base.dirs.iter().map(|dir| (dir.clone(), Node::Dir)));
        for (number, (path, bytes)) in self.base.files.iter().enumerate() {
            let number = number as u64;
            medium.names.insert(path.clone(), Node::File(number));
            medium.files.insert(number, Contents { durable: bytes.clone(), pending: Vec::new() });
        }
        medium
    }

    fn noted(&self) -> MutexGuard<'_, Noted<E>> {
        self.noted.lock().expect("no test panics while it holds this")
    }

    fn relative(&self, path: &Path) -> PathBuf {
        path.strip_prefix(&self.root).expect("the spool stays in its directory").to_owned()
    }
}

impl<E> Noted<E> {
    fn add(&mut self, inode: u64, path: PathBuf) -> u64 {
        let number = self.next_file;
        self.next_file += 1;
        self.by_inode.insert(inode, number);
        self.names.insert(path.clone(), number);
        self.called.insert(number, path);
        number
    }

    fn number(&self, file: &File) -> io::Result<u64> {
        Ok(self.by_inode[&file.metadata()?.ino()])
    }

    /// Whether the power lasts for one more operation.
    fn power(&mut self, op: impl FnOnce() -> Entry) -> io::Result<()> {
        if self.lose_at == Some(self.log.len()) && !self.lost {
            self.lost = true;
            self.log.push(op());
        }
        if self.lost { Err(rustix::io::Errno::IO.into()) } else { Ok(()) }
    }
}

impl<E: Clone + Send> Disk for PowerDisk<E> {
    fn create(&self, path: &Path) -> io::Result<File> {
        let mut noted = self.noted();
        let relative = self.relative(path);
        let number = noted.next_file;
        let entry = Entry { op: Op::Create(number), path: relative.clone() };
        noted.power(|| entry.clone())?;
        let file = RealDisk.create(path)?;
        noted.add(file.metadata()?.ino(), relative);
        noted.log.push(entry);
        Ok(file)
    }

    fn open(&self, path: &Path) -> io::Result<File> {
        RealDisk.open(path)
    }

    fn write(&self, file: &File, bytes: &[u8], offset: u64) -> io::Result<usize> {
        let mut noted = self.noted();
        let number = noted.number(file)?;
        let path = noted.called[&number].clone();
        noted.power(|| Entry { op: Op::Write(number, offset, bytes.to_vec()), path: path.clone() })?;
        let written = RealDisk.write(file, bytes, offset)?;
        noted.log.push(Entry { op: Op::Write(number, offset, bytes[..written].to_vec()), path });
        Ok(written)
    }

    fn datasync(&self, file: &File) -> io::Result<()> {
        let mut noted = self.noted();
        let number = noted.number(file)?;
        let entry = Entry { op: Op::Datasync(number), path: noted.called[&number].clone() };
        noted.power(|| entry.clone())?;
        noted.log.push(entry);
        Ok(())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut noted = self.noted();
        let entry = Entry { op: Op::SyncDir, path: self.relative(dir) };
        noted.power(|| entry.clone())?;
        noted.log.push(entry);
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut noted = self.noted();
        let (path, target) = (self.relative(from), self.relative(to));
        let Some(number) = noted.names.get(&path).copied() else { return RealDisk.rename(from, to) };
        let entry = Entry { op: Op::Rename(target.clone(), number), path: path.clone() };
        noted.power(|| entry.clone())?;
        RealDisk.rename(from, to)?;
        noted.names.remove(&path);
        noted.names.insert(target.clone(), number);
        noted.called.insert(number, target);
        noted.log.push(entry);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut noted = self.noted();
        let relative = self.relative(path);
        if !noted.names.contains_key(&relative) {
            return RealDisk.remove(path);
        }
        let entry = Entry { op: Op::Remove, path: relative.clone() };
        noted.power(|| entry.clone())?;
        RealDisk.remove(path)?;
        noted.names.remove(&relative);
        noted.log.push(entry);
        Ok(())
    }

    fn make_dir(&self, path: &Path) -> io::Result<()> {
        let mut noted = self.noted();
        let entry = Entry { op: Op::MakeDir, path: self.relative(path) };
        noted.power(|| entry.clone())?;
        RealDisk.make_dir(path)?;
        noted.log.push(entry);
        Ok(())
    }
}

// === impl Medium ===

impl Medium {
    /// Carries an operation out.
    pub fn apply(&mut self, entry: &Entry) {
        self.begin(entry);
        self.finish(entry);
    }

    /// Carries out what a sync promises.
    pub fn finish(&mut self, entry: &Entry) {
        match &entry.op {
            Op::Datasync(number) => {
                let contents = self.files.entry(*number).or_default();
                if !contents.pending.is_empty() {
                    let bytes = Arc::make_mut(&mut contents.durable);
                    for (offset, written) in contents.pending.drain(..) {
                        put(bytes, offset as usize, &written);
                    }
                }
            }
            Op::SyncDir => {
                let (now, later) =
                    std::mem::take(&mut self.pending).into_iter().partition(|(dir, _)| *dir == entry.path);
                self.pending = later;
                for (_, change) in now {
                    change.carry_out(&mut self.names);
                }
            }
            _ => {}
        }
    }

    /// Carries out what an operation does before it is durable: all but what a
    /// sync promises.
    pub fn begin(&mut self, entry: &Entry) {
        let path = entry.path.clone();
        let change = match &entry.op {
            Op::Datasync(_) | Op::SyncDir => return,
            Op::Write(number, offset, bytes) => {
                self.files.entry(*number).or_default().pending.push((*offset, bytes.clone()));
                return;
            }
            Op::Create(number) => {
                self.files.insert(*number, Contents::default());
                Change::Add(path, Node::File(*number))
            }
            Op::MakeDir => Change::Add(path, Node::Dir),
            Op::Remove => Change::Remove(path),
            Op::Rename(to, number) if to.parent() == path.parent() => Change::Move(path, to.clone(), *number),
            Op::Rename(to, number) => {
                // Between directories each of the two is durable on its own.
                let added = Change::Add(to.clone(), Node::File(*number));
                self.pending.push((to.parent().expect("it is in a directory").to_owned(), added));
                Change::Remove(path)
            }
        };
        self.pending.push((entry.path.parent().expect("it is in a directory").to_owned(), change));
    }

    /// One of the disks that a loss of power may leave now.
    pub fn after_loss(&self, luck: &mut Luck) -> Image {
        let mut names = self.names.clone();
        // None, all, the first few, or any.
        let (mode, kept) = (luck.below(4), luck.below(self.pending.len() + 1));
        for (index, (_, change)) in self.pending.iter().enumerate() {
            let keep = match mode {
                0 => false,
                1 => true,
                2 => index < kept,
                _ => luck.percent(50),
            };
            if keep && change.makes_sense(&names) {
                change.carry_out(&mut names);
            }
        }
        let mut image = Image::default();
        let chance = [0, 100, 50, 10, 90][luck.below(5)];
        for (path, node) in &names {
            let parent = path.parent().expect("it is in a directory");
            if !parent.as_os_str().is_empty() && !image.dirs.contains(parent) {
                continue;
            }
            match node {
                Node::Dir => drop(image.dirs.insert(path.clone())),
                Node::File(number) => {
                    let contents = self.files[number].after_loss(chance, luck);
                    image.files.insert(path.clone(), contents);
                }
            }
        }
        image
    }
}

impl Change {
    /// A name can only be taken from a file that has it.
    fn makes_sense(&self, names: &BTreeMap<PathBuf, Node>) -> bool {
        match self {
            Change::Add(..) => true,
            Change::Move(from, _, number) => names.get(from) == Some(&Node::File(*number)),
            Change::Remove(path) => names.contains_key(path),
        }
    }

    fn carry_out(&self, names: &mut BTreeMap<PathBuf, Node>) {
        match self {
            Change::Add(path, node) => drop(names.insert(path.clone(), *node)),
            Change::Move(from, to, number) => {
                names.remove(from);
                names.insert(to.clone(), Node::File(*number));
            }
            Change::Remove(path) => drop(names.remove(path)),
        }
    }
}

impl Contents {
    /// What is durable, and each sector that is on its way with this chance; the
    /// length may be there before the bytes.
    fn after_loss(&self, chance: usize, luck: &mut Luck) -> Arc<Vec<u8>> {
        if self.pending.is_empty() || chance == 0 && luck.percent(50) {
            return self.durable.clone();
        }
        let mut bytes = Vec::clone(&self.durable);
        for (offset, written) in &self.pending {
            let (mut at, end) = (*offset as usize, *offset as usize + written.len());
            if luck.percent(10) {
                bytes.resize(bytes.len().max(end), 0);
            }
            while at < end {
                let next = (at / SECTOR_BYTES + 1) * SECTOR_BYTES;
                let next = next.min(end);
                if luck.percent(chance) {
                    put(&mut bytes, at, &written[at - *offset as usize..next - *offset as usize]);
                }
                at = next;
            }
        }
        Arc::new(bytes)
    }
}

fn put(bytes: &mut Vec<u8>, offset: usize, written: &[u8]) {
    let end = offset + written.len();
    if bytes.len() < end {
        bytes.resize(end, 0);
    }
    bytes[offset..end].copy_from_slice(written);
}
