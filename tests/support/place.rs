//! A directory with a configuration: where a server runs, and the commands beside it.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::server::Server;

/// A directory with a configuration, for a server and its commands.
pub struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    pub fn with(config: &str) -> Place {
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::write(dir.path().join("metka.toml"), config).expect("written");
        Place { dir }
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    pub fn data(&self) -> PathBuf {
        self.path().join("data")
    }

    pub fn serve(&self) -> Server {
        Server::start(self.path(), &[])
    }

    /// Runs a command of the binary with this text on its standard input.
    pub fn run(&self, arguments: &[&str], input: &str) -> Output {
        let mut child = Command::new(env!("CARGO_BIN_EXE_metka"))
            .args(arguments)
            .args(["--json", "--config", "metka.toml"])
            .current_dir(self.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary runs");
        // A command that reads nothing may be gone already.
        let _ = child.stdin.take().expect("piped").write_all(input.as_bytes());
        child.wait_with_output().expect("it ends")
    }

    /// The same, which succeeds.
    pub fn done(&self, arguments: &[&str], input: &str) -> serde_json::Value {
        let output = self.run(arguments, input);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).expect("JSON")
    }

    /// The same, which fails with this code; its error.
    pub fn refused(&self, arguments: &[&str], input: &str, code: i32) -> String {
        let output = self.run(arguments, input);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {text}");
        text
    }

    /// The names in the data directory.
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(self.data())
            .map(|all| all.map(|entry| entry.expect("readable").file_name().to_string_lossy().into_owned()))
            .into_iter()
            .flatten()
            .collect();
        names.sort();
        names
    }
}

/// Every file below a directory with its contents.
pub fn files_below(dir: &Path, found: &mut Vec<(PathBuf, Vec<u8>)>) {
    for entry in std::fs::read_dir(dir).expect("readable") {
        let path = entry.expect("readable").path();
        if path.is_dir() {
            files_below(&path, found);
        } else if path.is_file() {
            let contents = std::fs::read(&path).expect("readable");
            found.push((path, contents));
        }
    }
}

pub fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    let first = needle[0];
    haystack.iter().enumerate().any(|(at, byte)| *byte == first && haystack[at..].starts_with(needle))
}
