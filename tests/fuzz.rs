//! The fuzz targets on the stable compiler: all seeds of `fuzz/corpus`, and what
//! becomes of them by seeded changes. The same functions run under the fuzzer
//! proper where there is a nightly compiler (`tests/fuzz`).

#[path = "../fuzz/src/targets.rs"]
mod targets;

use std::path::{Path, PathBuf};

use targets::TARGETS;

/// The longest changed input, in bytes.
const MAX_BYTES: usize = 4096;
/// The fewest seeds of a target.
const MIN_SEEDS: usize = 4;

/// A generator whose numbers are the same on each machine (xorshift64*).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize % bound.max(1)
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz")
}

fn seeds(target: &str) -> Vec<Vec<u8>> {
    let directory = root().join("corpus").join(target);
    let mut paths: Vec<PathBuf> = std::fs::read_dir(&directory)
        .unwrap_or_else(|error| panic!("{}: {error}", directory.display()))
        .map(|entry| entry.expect("an entry").path())
        .collect();
    paths.sort();
    paths.iter().map(|path| std::fs::read(path).expect("a seed")).collect()
}

/// One to four changes: a byte, a stretch of another seed, a cut, a repetition.
fn changed(random: &mut Random, seeds: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = seeds[random.below(seeds.len())].clone();
    for _ in 0..=random.below(4) {
        let at = random.below(bytes.len() + 1);
        match random.below(6) {
            0 if at < bytes.len() => bytes[at] = random.below(256) as u8,
            1 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
            2 => bytes.insert(at, b"%@+-.,;=\"&/0987\r\n\0\xff"[random.below(19)]),
            3 => bytes.truncate(at),
            4 => {
                let other = &seeds[random.below(seeds.len())];
                let from = random.below(other.len() + 1);
                let to = from + random.below(other.len() - from + 1);
                bytes.splice(at..at, other[from..to].iter().copied());
            }
            _ => {
                let stretch = bytes[at..(at + random.below(32)).min(bytes.len())].to_vec();
                bytes.splice(at..at, stretch);
            }
        }
        bytes.truncate(MAX_BYTES);
    }
    bytes
}

#[test]
fn seeds_and_what_becomes_of_them_hold_what_the_targets_ask() {
    let changes = if std::env::var_os("METKA_SOAK").is_some() { 1_000_000 } else { 3_000 };
    for (number, (name, target)) in TARGETS.iter().enumerate() {
        let seeds = seeds(name);
        assert!(seeds.len() >= MIN_SEEDS, "{name}: {} seeds", seeds.len());
        for seed in &seeds {
            target(seed);
        }
        let mut random = Random(0x9E37_79B9_7F4A_7C15 ^ number as u64);
        for _ in 0..changes {
            let input = changed(&mut random, &seeds);
            // Seen only if the target fails.
            if let Err(panic) = std::panic::catch_unwind(|| target(&input)) {
                eprintln!("{name}: {}", input.escape_ascii());
                std::panic::resume_unwind(panic);
            }
        }
        println!("{name}: {} seeds, {changes} changed inputs", seeds.len());
    }
}

#[test]
fn each_target_is_a_binary_of_the_fuzzer_with_seeds() {
    let names = |directory: &str| -> Vec<String> {
        let entries = std::fs::read_dir(root().join(directory)).expect("a directory");
        let mut names: Vec<String> = entries
            .map(|entry| {
                entry.expect("an entry").path().file_stem().expect("a name").to_string_lossy().into_owned()
            })
            .collect();
        names.sort();
        names
    };
    let mut targets: Vec<String> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    targets.sort();
    assert_eq!(names("fuzz_targets"), targets);
    assert_eq!(names("corpus"), targets);
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).expect("the manifest");
    for target in &targets {
        assert!(manifest.contains(&format!("name = \"{target}\"")), "{target} is not in fuzz/Cargo.toml");
    }
}
