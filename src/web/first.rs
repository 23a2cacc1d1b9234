//! The first sign-in: a code that makes the first owner.
//!
//! While nobody can sign in with a password, the server makes one code at its
//! start. It is printed if the output is a terminal, else written to
//! `first-sign-in` (0600) in the data directory. It is good for [`LIFE`], once,
//! and only while there still is nobody; then the file is removed. The session
//! it begins belongs to the account `owner`, whose login and password are set
//! by `POST /api/v1/account`. A server restarted before that makes a new code.

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use super::people::{People, PeopleError, Person, hash_secret};
use super::role::Role;
use crate::private_file as file;

/// How long the code is good, in milliseconds.
pub const LIFE: i64 = 15 * 60_000;
/// The login of the account that the code makes.
pub const FIRST_LOGIN: &str = "owner";

const FILE_NAME: &str = "first-sign-in";
/// Without letters and digits that are mistaken for others; 32 of them, so five
/// bits each.
const ALPHABET: &[u8; 32] = b"23456789ABCDEFGHJKLMNPQRSTUVWXYZ";
/// 80 random bits: beyond guessing within [`LIFE`].
const CODE_LETTERS: usize = 16;

/// The outstanding code, if any.
pub struct FirstSignIn {
    path: PathBuf,
    open: Mutex<Option<Open>>,
}

struct Open {
    hash: String,
    expires: i64,
}

/// What to tell the person who started the server.
#[derive(Debug, PartialEq, Eq)]
pub enum Offer {
    /// Somebody can sign in already.
    NotNeeded,
    /// To be printed.
    Code(String),
    /// Where the code was written.
    File(PathBuf),
}

// === impl FirstSignIn ===

impl FirstSignIn {
    pub fn new(data_dir: &Path) -> FirstSignIn {
        FirstSignIn { path: data_dir.join(FILE_NAME), open: Mutex::new(None) }
    }

    /// Makes a code if nobody can sign in. Call once, at the start.
    pub fn offer(&self, people: &People, to_terminal: bool, now: i64) -> Result<Offer, PeopleError> {
        self.remove_file();
        if people.read()?.anyone_can_sign_in() {
            return Ok(Offer::NotNeeded);
        }
        let code = random_code();
        *self.open.lock().expect("no panic holds this lock") =
            Some(Open { hash: hash_secret(&plain(&code)), expires: now + LIFE });
        if to_terminal {
            return Ok(Offer::Code(code));
        }
        file::replace(&self.path, format!("{code}\n").as_bytes())
            .map_err(|source| PeopleError::File { path: self.path.clone(), source })?;
        Ok(Offer::File(self.path.clone()))
    }

    /// Takes a code. If it is the one, it is used up, and the first owner's
    /// account is returned. `adding` is called before that account is made.
    pub fn redeem(
        &self,
        code: &str,
        people: &People,
        now: i64,
        adding: impl FnOnce() -> Result<(), PeopleError>,
    ) -> Result<Option<Person>, PeopleError> {
        let mut open = self.open.lock().expect("no panic holds this lock");
        let fits =
            open.as_ref().is_some_and(|open| now < open.expires && open.hash == hash_secret(&plain(code)));
        if !fits {
            return Ok(None);
        }
        let person = people.change(|roster| {
            if roster.anyone_can_sign_in() {
                return Ok(None);
            }
            if roster.person(FIRST_LOGIN).is_none() {
                roster.add(FIRST_LOGIN, Role::Owner, None, now)?;
                adding()?;
            }
            Ok(roster.person(FIRST_LOGIN).cloned())
        })?;
        *open = None;
        self.remove_file();
        Ok(person)
    }

    /// Forgets a code whose time is over. Call now and then.
    pub fn expire(&self, now: i64) {
        let mut open = self.open.lock().expect("no panic holds this lock");
        if open.as_ref().is_some_and(|open| now >= open.expires) {
            *open = None;
            self.remove_file();
        }
    }

    /// The server ends, and the code with it.
    pub fn close(&self) {
        if self.open.lock().expect("no panic holds this lock").take().is_some() {
            self.remove_file();
        }
    }

    fn remove_file(&self) {
        match std::fs::remove_file(&self.path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                tracing::warn!(path = %self.path.display(), %error, "the used sign-in code could not be removed");
            }
            _ => {}
        }
    }
}

/// Such as `7KQ2-M9XA-TT4C-WE5N`.
fn random_code() -> String {
    let mut bytes = [0u8; CODE_LETTERS];
    getrandom::fill(&mut bytes).expect("the kernel gives random bytes once it has booted");
    let letters: Vec<char> = bytes.iter().map(|byte| char::from(ALPHABET[usize::from(byte & 31)])).collect();
    letters.chunks(4).map(|part| part.iter().collect::<String>()).collect::<Vec<_>>().join("-")
}

/// As people type it: without dashes and spaces, in either case.
fn plain(code: &str) -> String {
    code.chars().filter(char::is_ascii_alphanumeric).map(|letter| letter.to_ascii_uppercase()).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    fn offered() -> (tempfile::TempDir, People, FirstSignIn, String) {
        let dir = tempfile::tempdir().expect("a directory");
        let people = People::new(dir.path());
        let first = FirstSignIn::new(dir.path());
        let Offer::File(path) = first.offer(&people, false, 0).expect("offered") else { panic!("a file") };
        assert_eq!(std::fs::metadata(&path).expect("it exists").mode() & 0o777, 0o600);
        let code = std::fs::read_to_string(&path).expect("readable");
        (dir, people, first, code)
    }

    #[test]
    fn a_code_works_once_and_its_file_goes() {
        let (dir, people, first, code) = offered();
        assert!(first.redeem("AAAA-AAAA-AAAA-AAAA", &people, 1, || Ok(())).expect("no error").is_none());
        let person =
            first.redeem(&code.to_lowercase(), &people, 1, || Ok(())).expect("no error").expect("the owner");
        assert_eq!((person.login.as_str(), person.role), ("owner", Role::Owner));
        assert!(first.redeem(&code, &people, 2, || Ok(())).expect("no error").is_none());
        assert!(!dir.path().join(FILE_NAME).exists());
    }

    #[test]
    fn a_code_ends_with_its_time_and_when_somebody_can_sign_in() {
        let (dir, people, first, code) = offered();
        assert!(first.redeem(&code, &people, LIFE, || Ok(())).expect("no error").is_none());
        first.expire(LIFE);
        assert!(!dir.path().join(FILE_NAME).exists());
        let (_dir, people, first, code) = offered();
        people.change(|roster| roster.add("olga", Role::Owner, Some("x".to_owned()), 0)).expect("added");
        assert!(first.redeem(&code, &people, 1, || Ok(())).expect("no error").is_none());
        assert_eq!(first.offer(&people, false, 1).expect("offered"), Offer::NotNeeded);
    }
}
