//! The test's side of `shim.c`: builds it, writes its rules, reads its counts.
//! The layout of the shared file is told there.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use rustix::io::Errno;

const FILE_BYTES: u64 = 4096;
const CLOCK_OFFSET: u64 = 8;
const CLOCK_READS: u64 = 16;
const FIRST_RULE: u64 = 64;
const RULE_BYTES: u64 = 128;
const RULES: usize = 6;
const FIRED: u64 = 64;
const PATH: u64 = 72;
/// The room for a path's part, with the zero at its end.
const PATH_BYTES: usize = 56;
/// A rule that does not end by itself.
pub const FOR_EVER: u64 = u64::MAX;

/// Which call is watched; `shim.c` knows more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    Write = 1,
    Datasync = 2,
    Sync = 3,
}

/// Which calls fail, and how.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    pub call: Call,
    /// Part of the path.
    pub path: &'static str,
    /// The first matching call that fails, from 1.
    pub from: u64,
    /// After that, each so many-th.
    pub period: u64,
    /// At most so often.
    pub times: u64,
    /// `None`: the write is cut to half its length.
    pub error: Option<Errno>,
}

/// One server's shim.
#[derive(Clone)]
pub struct Shim {
    path: PathBuf,
    file: std::sync::Arc<File>,
}

// === impl Rule ===

impl Rule {
    /// Each call from now on fails.
    pub fn always(call: Call, path: &'static str, error: Errno) -> Rule {
        Rule { call, path, from: 1, period: 1, times: FOR_EVER, error: Some(error) }
    }
}

// === impl Shim ===

impl Shim {
    /// A shim without rules, for a server whose files are in `dir`.
    pub fn new(dir: &Path) -> Shim {
        let path = dir.join("shim");
        let file = File::options().read(true).write(true).create(true).truncate(true).open(&path);
        let file = file.expect("a file");
        file.set_len(FILE_BYTES).expect("its length");
        Shim { path, file: file.into() }
    }

    /// Puts it under a command.
    pub fn under(&self, command: &mut Command) {
        command.env("LD_PRELOAD", library()).env("METKA_SHIM", &self.path);
    }

    /// Arms a rule in a place of its own, with its counts at nothing.
    pub fn arm(&self, place: usize, rule: &Rule) {
        self.disarm(place);
        let at = rule_at(place);
        let errno = rule.error.map_or(0, |error| error.raw_os_error() as u64);
        let numbers = [rule.call as u64, 0, rule.from, rule.period, rule.times, errno, 0, 0];
        for (index, number) in numbers.into_iter().enumerate() {
            self.write(at + 8 * (index as u64 + 1), number);
        }
        let mut path = [0; PATH_BYTES];
        assert!(rule.path.len() < PATH_BYTES, "{} does not fit", rule.path);
        path[..rule.path.len()].copy_from_slice(rule.path.as_bytes());
        self.file.write_all_at(&path, at + PATH).expect("written");
        self.write(at, 1);
    }

    pub fn disarm(&self, place: usize) {
        self.write(rule_at(place), 0);
    }

    /// How many calls the rule made fail.
    pub fn fired(&self, place: usize) -> u64 {
        self.read(rule_at(place) + FIRED)
    }

    /// The server has it loaded.
    pub fn is_attached(&self) -> bool {
        self.read(0) == 1
    }

    /// Moves the wall clock to so many nanoseconds from the machine's.
    pub fn set_clock(&self, offset_ns: i64) {
        self.write(CLOCK_OFFSET, offset_ns as u64);
    }

    /// How often the server has read its wall clock.
    pub fn clock_reads(&self) -> u64 {
        self.read(CLOCK_READS)
    }

    // Both sides see one page of the page cache; eight aligned bytes go in one piece.
    fn write(&self, at: u64, number: u64) {
        self.file.write_all_at(&number.to_ne_bytes(), at).expect("written");
    }

    fn read(&self, at: u64) -> u64 {
        let mut bytes = [0; 8];
        self.file.read_exact_at(&mut bytes, at).expect("read");
        u64::from_ne_bytes(bytes)
    }
}

fn rule_at(place: usize) -> u64 {
    assert!(place < RULES, "the shim has {RULES} rules");
    FIRST_RULE + RULE_BYTES * place as u64
}

/// Builds the shim, once for all tests.
fn library() -> &'static Path {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/faults_disk/shim.c");
        let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("shim-{}.so", std::process::id()));
        let output = Command::new("cc")
            .args(["-shared", "-fPIC", "-O2", "-Wall", "-Wextra", "-Werror", "-o"])
            .args([&out, &source])
            .arg("-ldl")
            .output()
            .expect("a C compiler, cc, is there wherever Rust links");
        assert!(output.status.success(), "shim.c: {}", String::from_utf8_lossy(&output.stderr));
        out
    })
}
