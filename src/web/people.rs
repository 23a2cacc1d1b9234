//! Who may sign in: `people.json` in the data directory.
//!
//! ```text
//! {"version":1,
//!  "people":[{"login":"olga","role":"owner","password":"$argon2id$…","stamp":"…","created":MS}],
//!  "tokens":[{"id":"1f0c2a9b","name":"grafana","role":"viewer","site":"clinic","hash":"…","created":MS,"expires":null}]}
//! ```
//!
//! The server and the commands use the same file. Writers hold a lock file and
//! replace it whole; readers look at its version on each use, so a change by
//! either is seen by the other at the next request. Passwords are kept as
//! argon2id, tokens as BLAKE3 of 256 random bits: neither can be read back.
//!
//! It does not hash passwords itself (see `password`), so that no caller does
//! slow work under the lock.

use std::path::{Path, PathBuf};
use std::sync::{Arc, RwLock};

use serde::{Deserialize, Serialize};

use super::role::Role;
use super::totp::SecondFactor;
use crate::audit::AuditError;
use crate::private_file::{self as file, Version};

/// The most people: each is an account that somebody must look after.
pub const MAX_PEOPLE: usize = 1000;
/// The most tokens, for the same reason.
pub const MAX_TOKENS: usize = 1000;
/// The longest login and token name, in bytes.
pub const MAX_NAME_BYTES: usize = 64;
/// What every token begins with, so that secret scanners can find a leaked one.
pub const TOKEN_PREFIX: &str = "mtk_";

const FILE_NAME: &str = "people.json";
const LOCK_NAME: &str = "people.lock";
const FILE_VERSION: u32 = 1;

/// The store.
pub struct People {
    path: PathBuf,
    lock_path: PathBuf,
    cached: RwLock<Option<(Option<Version>, Arc<Roster>)>>,
}

/// All people and tokens at one moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Roster {
    version: u32,
    pub people: Vec<Person>,
    pub tokens: Vec<Token>,
}

/// One account.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Person {
    pub login: String,
    pub role: Role,
    /// argon2id in PHC form; none until the first owner has chosen one.
    pub password: Option<String>,
    /// Changes with the password: sessions that carry an older one are over.
    pub stamp: String,
    /// Milliseconds since 1970.
    pub created: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub totp: Option<SecondFactor>,
}

/// One machine's access.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Token {
    /// Names the token in lists and for revoking; not secret.
    pub id: String,
    pub name: String,
    pub role: Role,
    /// The only site it may ask about; none is all.
    pub site: Option<String>,
    pub hash: String,
    pub created: i64,
    /// From this moment on it is refused, in milliseconds since 1970.
    pub expires: Option<i64>,
}

/// Why the people could not be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum PeopleError {
    /// The file or its lock cannot be used.
    #[error("{path}: {source}")]
    File { path: PathBuf, source: std::io::Error },
    /// The file is not what this version writes.
    #[error("{path}: not a list of people: {source}")]
    Format { path: PathBuf, source: serde_json::Error },
    #[error("{path}: written by a later metka (version {version}, this one knows {FILE_VERSION})")]
    Later { path: PathBuf, version: u32 },
    /// A login or a token name that cannot be one.
    #[error("{0:?} is not a name: expected 1 to {MAX_NAME_BYTES} letters, digits or . _ - @ +")]
    Name(String),
    #[error("the login {0:?} exists already")]
    Exists(String),
    #[error("there is no login {0:?}")]
    NoPerson(String),
    #[error("{0:?} has a second factor already: it has to be removed first")]
    SecondFactor(String),
    #[error("{0:?} has no second factor")]
    NoSecondFactor(String),
    /// Of the second factor; nothing was changed.
    #[error("the code is wrong or was used")]
    Code,
    #[error("there is no token {0:?}")]
    NoToken(String),
    #[error("{0:?} names several tokens, use the id from token list")]
    ManyTokens(String),
    /// Without an owner nobody could manage people any more.
    #[error("{0:?} is the last owner who can sign in")]
    LastOwner(String),
    #[error("there are {0} {1} already, at most so many are kept")]
    Many(usize, &'static str),
    /// The change could not be written into the audit trail, so it was not made.
    #[error(transparent)]
    Audit(#[from] AuditError),
}

// === impl Person ===

impl Person {
    /// Whether a code is asked for beside the password.
    pub fn has_second_factor(&self) -> bool {
        self.totp.as_ref().is_some_and(|factor| factor.confirmed)
    }
}

// === impl People ===

impl People {
    /// The store in a data directory. Nothing is read or made yet.
    pub fn new(data_dir: &Path) -> People {
        People {
            path: data_dir.join(FILE_NAME),
            lock_path: data_dir.join(LOCK_NAME),
            cached: RwLock::new(None),
        }
    }

    /// The people now.
    pub fn read(&self) -> Result<Arc<Roster>, PeopleError> {
        let version = file::version(&self.path).map_err(|source| self.trouble(source))?;
        if let Some((cached, roster)) = &*self.cached.read().expect("no panic holds this lock")
            && *cached == version
        {
            return Ok(roster.clone());
        }
        let roster = Arc::new(self.load()?);
        *self.cached.write().expect("no panic holds this lock") = Some((version, roster.clone()));
        Ok(roster)
    }

    /// Changes the people, alone among all processes, and waits until that is durable.
    /// `change` ends with the entry in the audit trail: what it refuses is not written
    /// there, and a change without its entry is not made.
    pub fn change<T>(
        &self,
        change: impl FnOnce(&mut Roster) -> Result<T, PeopleError>,
    ) -> Result<T, PeopleError> {
        let _lock = file::lock(&self.lock_path)
            .map_err(|source| PeopleError::File { path: self.lock_path.clone(), source })?;
        let mut roster = self.load()?;
        let value = change(&mut roster)?;
        let mut text = serde_json::to_vec_pretty(&roster).expect("a roster has string keys only");
        text.push(b'\n');
        file::replace(&self.path, &text).map_err(|source| self.trouble(source))?;
        Ok(value)
    }

    fn load(&self) -> Result<Roster, PeopleError> {
        let Some(bytes) = file::read(&self.path).map_err(|source| self.trouble(source))? else {
            return Ok(Roster::default());
        };
        let roster: Roster = serde_json::from_slice(&bytes)
            .map_err(|source| PeopleError::Format { path: self.path.clone(), source })?;
        if roster.version != FILE_VERSION {
            return Err(PeopleError::Later { path: self.path.clone(), version: roster.version });
        }
        Ok(roster)
    }

    fn trouble(&self, source: std::io::Error) -> PeopleError {
        PeopleError::File { path: self.path.clone(), source }
    }
}

// === impl Roster ===

impl Default for Roster {
    fn default() -> Self {
        Roster { version: FILE_VERSION, people: Vec::new(), tokens: Vec::new() }
    }
}

impl Roster {
    pub fn person(&self, login: &str) -> Option<&Person> {
        self.people.iter().find(|person| person.login == login)
    }

    fn person_mut(&mut self, login: &str) -> Result<&mut Person, PeopleError> {
        let person = self.people.iter_mut().find(|person| person.login == login);
        person.ok_or_else(|| PeopleError::NoPerson(login.to_owned()))
    }

    /// Whether anybody could sign in with a password: until then the server
    /// offers its one-time code.
    pub fn anyone_can_sign_in(&self) -> bool {
        self.people.iter().any(|person| person.password.is_some())
    }

    /// The token whose secret this is, unless it has expired.
    pub fn token(&self, secret: &str, now: i64) -> Option<&Token> {
        let hash = hash_secret(secret);
        self.tokens
            .iter()
            .find(|token| token.hash == hash)
            .filter(|token| token.expires.is_none_or(|expires| now < expires))
    }

    pub fn add(
        &mut self,
        login: &str,
        role: Role,
        password: Option<String>,
        now: i64,
    ) -> Result<(), PeopleError> {
        check_name(login)?;
        if self.person(login).is_some() {
            return Err(PeopleError::Exists(login.to_owned()));
        }
        if self.people.len() >= MAX_PEOPLE {
            return Err(PeopleError::Many(MAX_PEOPLE, "people"));
        }
        self.people.push(Person {
            login: login.to_owned(),
            role,
            password,
            stamp: random_hex::<8>(),
            created: now,
            totp: None,
        });
        Ok(())
    }

    /// Gives an account a new password, and a new login where `rename` is one.
    /// Ends the account's sessions.
    pub fn set_password(
        &mut self,
        login: &str,
        rename: Option<&str>,
        password: String,
    ) -> Result<&Person, PeopleError> {
        if let Some(name) = rename.filter(|name| *name != login) {
            check_name(name)?;
            if self.person(name).is_some() {
                return Err(PeopleError::Exists(name.to_owned()));
            }
        }
        let person = self.person_mut(login)?;
        if let Some(name) = rename {
            person.login = name.to_owned();
        }
        person.password = Some(password);
        person.stamp = random_hex::<8>();
        Ok(person)
    }

    /// Gives an account a second factor, which is asked for once a code of it was given.
    pub fn offer_second_factor(&mut self, login: &str) -> Result<SecondFactor, PeopleError> {
        let person = self.person_mut(login)?;
        if person.has_second_factor() {
            return Err(PeopleError::SecondFactor(login.to_owned()));
        }
        Ok(person.totp.insert(SecondFactor::generate()).clone())
    }

    /// Takes a code of an account's second factor, once. One that is wrong is an error, so
    /// that nothing is written for it.
    pub fn take_code(&mut self, login: &str, code: &str, now: i64) -> Result<(), PeopleError> {
        let factor = self.person_mut(login)?.totp.as_mut();
        match factor.is_some_and(|factor| factor.take(code, now)) {
            true => Ok(()),
            false => Err(PeopleError::Code),
        }
    }

    /// From now on it is asked for. Ends the account's sessions.
    pub fn confirm_second_factor(&mut self, login: &str) -> Result<&Person, PeopleError> {
        let person = self.person_mut(login)?;
        match &mut person.totp {
            Some(factor) if factor.confirmed => return Err(PeopleError::SecondFactor(login.to_owned())),
            Some(factor) => factor.confirmed = true,
            None => return Err(PeopleError::NoSecondFactor(login.to_owned())),
        }
        person.stamp = random_hex::<8>();
        Ok(person)
    }

    /// It is not asked for any more. Ends the account's sessions.
    pub fn remove_second_factor(&mut self, login: &str) -> Result<&Person, PeopleError> {
        let person = self.person_mut(login)?;
        if person.totp.take().is_none() {
            return Err(PeopleError::NoSecondFactor(login.to_owned()));
        }
        person.stamp = random_hex::<8>();
        Ok(person)
    }

    pub fn remove(&mut self, login: &str) -> Result<(), PeopleError> {
        self.may_lose(login)?;
        self.people.retain(|person| person.login != login);
        Ok(())
    }

    /// Gives an account another role, from its next request on, and returns the one it had.
    pub fn set_role(&mut self, login: &str, role: Role) -> Result<Role, PeopleError> {
        if role != Role::Owner {
            self.may_lose(login)?;
        }
        let person = self.person_mut(login)?;
        Ok(std::mem::replace(&mut person.role, role))
    }

    /// An error for the last owner who can sign in, and for nobody.
    fn may_lose(&self, login: &str) -> Result<(), PeopleError> {
        let person = self.person(login).ok_or_else(|| PeopleError::NoPerson(login.to_owned()))?;
        let another_owner = self
            .people
            .iter()
            .any(|other| other.login != login && other.role == Role::Owner && other.password.is_some());
        if person.role == Role::Owner && person.password.is_some() && !another_owner {
            return Err(PeopleError::LastOwner(login.to_owned()));
        }
        Ok(())
    }

    /// Adds a token and returns its id and its secret, which is kept nowhere.
    pub fn create_token(
        &mut self,
        name: &str,
        role: Role,
        site: Option<String>,
        expires: Option<i64>,
        now: i64,
    ) -> Result<(String, String), PeopleError> {
        check_name(name)?;
        self.tokens.retain(|token| token.expires.is_none_or(|expires| now < expires));
        if self.tokens.len() >= MAX_TOKENS {
            return Err(PeopleError::Many(MAX_TOKENS, "tokens"));
        }
        let secret = format!("{TOKEN_PREFIX}{}", random_hex::<32>());
        let id = random_hex::<4>();
        self.tokens.push(Token {
            id: id.clone(),
            name: name.to_owned(),
            role,
            site,
            hash: hash_secret(&secret),
            created: now,
            expires,
        });
        Ok((id, secret))
    }

    /// Removes the token with this id, or the only one with this name.
    pub fn revoke_token(&mut self, id_or_name: &str) -> Result<Token, PeopleError> {
        let by_id = self.tokens.iter().position(|token| token.id == id_or_name);
        let position = match by_id {
            Some(position) => position,
            None => {
                let mut named = (0..self.tokens.len()).filter(|index| self.tokens[*index].name == id_or_name);
                let first = named.next().ok_or_else(|| PeopleError::NoToken(id_or_name.to_owned()))?;
                if named.next().is_some() {
                    return Err(PeopleError::ManyTokens(id_or_name.to_owned()));
                }
                first
            }
        };
        Ok(self.tokens.remove(position))
    }
}

/// A name of letters, digits and the signs of an e-mail address.
fn check_name(name: &str) -> Result<(), PeopleError> {
    let fits = |letter: char| letter.is_alphanumeric() || "._-@+".contains(letter);
    if name.is_empty() || name.len() > MAX_NAME_BYTES || !name.chars().all(fits) {
        return Err(PeopleError::Name(name.chars().take(MAX_NAME_BYTES).collect()));
    }
    Ok(())
}

/// A random secret needs no salt and no slow hash: it cannot be guessed.
pub(crate) fn hash_secret(secret: &str) -> String {
    blake3::hash(secret.as_bytes()).to_hex().to_string()
}

/// `BYTES` random bytes in hex.
pub(crate) fn random_hex<const BYTES: usize>() -> String {
    let mut bytes = [0u8; BYTES];
    getrandom::fill(&mut bytes).expect("the kernel gives random bytes once it has booted");
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store() -> (tempfile::TempDir, People) {
        let dir = tempfile::tempdir().expect("a directory");
        let people = People::new(dir.path());
        (dir, people)
    }

    #[test]
    fn a_change_by_another_store_is_seen_at_the_next_read() {
        let (dir, server) = store();
        assert!(!server.read().expect("readable").anyone_can_sign_in());
        let command = People::new(dir.path());
        command.change(|roster| roster.add("olga", Role::Owner, Some("x".to_owned()), 1)).expect("added");
        assert!(server.read().expect("readable").anyone_can_sign_in());
    }

    #[test]
    fn a_refused_change_leaves_the_file_as_it_was() {
        let (_dir, people) = store();
        people.change(|roster| roster.add("olga", Role::Owner, Some("x".to_owned()), 1)).expect("added");
        let before = people.read().expect("readable");
        for (error, expected) in [
            (
                people.change(|roster| roster.add("olga", Role::Viewer, None, 1)).unwrap_err(),
                "exists already",
            ),
            (people.change(|roster| roster.add("a b", Role::Viewer, None, 1)).unwrap_err(), "is not a name"),
            (people.change(|roster| roster.remove("olga")).unwrap_err(), "last owner"),
            (
                people.change(|roster| roster.set_role("olga", Role::Officer).map(drop)).unwrap_err(),
                "last owner",
            ),
            (people.change(|roster| roster.remove("nobody")).unwrap_err(), "there is no login"),
            (people.change(|roster| roster.revoke_token("t").map(|_| ())).unwrap_err(), "there is no token"),
        ] {
            assert!(error.to_string().contains(expected), "{error}");
        }
        assert_eq!(people.read().expect("readable"), before);
    }

    #[test]
    fn writers_at_the_same_time_lose_nothing() {
        let (dir, people) = store();
        std::thread::scope(|scope| {
            for writer in 0..4 {
                let path = dir.path();
                scope.spawn(move || {
                    let people = People::new(path);
                    for number in 0..5 {
                        people
                            .change(|roster| {
                                roster.add(&format!("p{writer}-{number}"), Role::Viewer, None, 1)
                            })
                            .expect("added");
                    }
                });
            }
        });
        assert_eq!(people.read().expect("readable").people.len(), 20);
    }

    #[test]
    fn a_token_is_found_by_its_secret_until_it_expires_and_is_not_in_the_file() {
        let (dir, people) = store();
        let (id, secret) = people
            .change(|roster| {
                roster.create_token("grafana", Role::Viewer, Some("clinic".to_owned()), Some(100), 1)
            })
            .expect("made");
        let roster = people.read().expect("readable");
        assert_eq!(roster.token(&secret, 99).map(|token| token.id.as_str()), Some(id.as_str()));
        assert!(roster.token(&secret, 100).is_none());
        assert!(roster.token("mtk_0", 99).is_none());
        let text = std::fs::read_to_string(dir.path().join(FILE_NAME)).expect("readable");
        assert!(!text.contains(&secret) && !text.contains(secret.trim_start_matches(TOKEN_PREFIX)));
    }

    #[test]
    fn a_broken_file_is_named_and_not_overwritten() {
        let (dir, people) = store();
        let path = dir.path().join(FILE_NAME);
        file::replace(&path, b"{").expect("written");
        let error = people.change(|roster| roster.add("olga", Role::Owner, None, 1)).expect_err("refused");
        assert!(error.to_string().contains("people.json"), "{error}");
        assert_eq!(std::fs::read(&path).expect("readable"), b"{");
    }
}
