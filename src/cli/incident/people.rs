//! `metka incident subjects` and `match`

use std::collections::HashSet;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::super::context::{Context, Failure, Outcome};
use super::{ask, ask_one};
use crate::incident::{Asked, Change, MAX_MATCHED};
use crate::subject::identity::check_user_key;

/// A clinic's users, one key a line.
const MAX_KEYS: usize = 100_000;
/// The longest file of them, in bytes.
const MAX_FILE_BYTES: u64 = 16 << 20;
/// The keys of one question as JSON, in bytes: less than the control socket takes.
const MAX_ASKED_BYTES: usize = 48 << 10;

#[derive(clap::Args)]
pub struct SubjectsArgs {
    #[arg(value_name = "NUMBER")]
    number: String,
}

#[derive(clap::Args)]
pub struct MatchArgs {
    #[arg(value_name = "NUMBER")]
    number: String,
    /// A file of user keys, without their signatures, one a line; - reads standard input
    #[arg(long, value_name = "FILE")]
    users: PathBuf,
}

pub fn subjects(args: &SubjectsArgs, context: &Context) -> Outcome {
    let asked = Asked::Subjects { number: args.number.clone() };
    let answer = ask_one(asked, context.config()?, context)?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let all = answer["subjects"].as_array().into_iter().flatten();
    let lines: Vec<String> =
        all.map(|one| format!("{:<8} {}", text(&one["kind"]), text(&one["hash"]))).collect();
    context.print(&answer, lines)
}

pub fn matched(args: &MatchArgs, context: &Context) -> Outcome {
    let keys = read(&args.users)?;
    let given = keys.len();
    let asked = |keys| Asked::Change { number: args.number.clone(), change: Change::Match(keys) };
    let all: Vec<Asked> = pieces(keys).into_iter().map(asked).collect();
    let answers = ask(all, context.config()?, context)?;
    let found = answers.iter().filter_map(|answer| answer["affected"].as_array()).flatten();
    let affected: Vec<String> = found.filter_map(|key| key.as_str().map(str::to_owned)).collect();
    let value = json!({ "number": args.number, "given": given, "affected": affected });
    context.print(&value, affected)
}

/// The keys of a file, each once. An error names the line and not what stands there.
fn read(path: &Path) -> Result<Vec<String>, Failure> {
    let named = |error: &dyn std::fmt::Display| Failure::usage(format_args!("--users: {error}"));
    let mut text = String::new();
    let source: Box<dyn Read> = match path == Path::new("-") {
        true => Box::new(std::io::stdin()),
        false => Box::new(std::fs::File::open(path).map_err(|error| named(&error))?),
    };
    source.take(MAX_FILE_BYTES + 1).read_to_string(&mut text).map_err(|error| named(&error))?;
    if text.len() as u64 > MAX_FILE_BYTES {
        return Err(named(&format_args!("more than {MAX_FILE_BYTES} bytes")));
    }
    let (mut keys, mut seen) = (Vec::new(), HashSet::new());
    for (number, line) in text.lines().enumerate() {
        let key = line.trim();
        if key.is_empty() || !seen.insert(key) {
            continue;
        }
        check_user_key(key).map_err(|error| named(&format_args!("line {}: {error}", number + 1)))?;
        keys.push(key.to_owned());
    }
    match keys.len() {
        0 => Err(named(&"there is no user key")),
        count if count > MAX_KEYS => {
            Err(named(&format_args!("{count} user keys, at most {MAX_KEYS} are compared")))
        }
        _ => Ok(keys),
    }
}

/// The keys in lists that one question can have.
fn pieces(keys: Vec<String>) -> Vec<Vec<String>> {
    let mut pieces: Vec<Vec<String>> = Vec::new();
    let mut bytes = 0;
    for key in keys {
        // With a comma.
        let size = json!(key).to_string().len() + 1;
        match pieces.last_mut() {
            Some(piece) if piece.len() < MAX_MATCHED && bytes + size <= MAX_ASKED_BYTES => {
                bytes += size;
                piece.push(key);
            }
            _ => {
                bytes = size;
                pieces.push(vec![key]);
            }
        }
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_asked_for_once_in_lists_that_fit() {
        for (count, length, lists) in [(1, 4, 1), (1000, 10, 1), (1001, 10, 2), (100, 512, 2)] {
            let keys: Vec<String> = (0..count).map(|number| format!("{number:0length$}")).collect();
            let pieces = pieces(keys.clone());
            assert_eq!(pieces.len(), lists, "{count} keys of {length} bytes");
            assert_eq!(pieces.concat(), keys);
        }
    }
}
