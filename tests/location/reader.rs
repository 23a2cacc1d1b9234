//! The other reader: `expected.py` in the tests' Python environment.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use serde_json::{Value, json};

use crate::root;

/// Python with the packages of the tests; made once, for all tests that want it.
static PYTHON: LazyLock<PathBuf> = LazyLock::new(|| {
    let made = Command::new(root().join("tests/venv")).output().expect("tests/venv runs");
    assert!(made.status.success(), "tests/venv: {}", String::from_utf8_lossy(&made.stderr));
    root().join(String::from_utf8(made.stdout).expect("a path").trim()).join("bin/python")
});

/// What should be told of each of the addresses.
pub fn expected(files: &[PathBuf], datacentres: &[u32], addresses: &[String]) -> Vec<Value> {
    let mut child = Command::new(&*PYTHON)
        .arg(root().join("tests/location/expected.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("Python runs");
    let zones = root().join("src/enrich/place/zones.txt");
    let question = json!({ "files": files, "datacentres": datacentres, "zones": zones });
    let input = format!("{question}\n{}\n", addresses.join("\n"));
    let mut stdin = child.stdin.take().expect("piped");
    let stdout = BufReader::new(child.stdout.take().expect("piped"));
    // Both ends at once: the pipes hold less than the test has.
    let told = std::thread::scope(|scope| {
        // It may have ended early: its exit code tells.
        scope.spawn(move || drop(stdin.write_all(input.as_bytes())));
        let lines = stdout.lines().map(|line| line.expect("readable"));
        lines.map(|line| serde_json::from_str(&line).expect("JSON")).collect::<Vec<Value>>()
    });
    assert!(child.wait().expect("a child of ours").success(), "the other reader failed");
    assert_eq!(told.len(), addresses.len());
    told
}
