//! Signed-in browsers: `sessions.json` in the data directory, so that a restart
//! signs nobody out.
//!
//! A session's id is 256 random bits, made anew at every sign-in and never taken
//! from a request; the file and the memory hold its hash only. A session ends by
//! signing out, [`IDLE`] after its last use, [`ABSOLUTE`] after its beginning,
//! or when its person is removed or gets another password (the stamp differs).
//!
//! Only the server writes the file. The time of last use is written at most
//! each [`SAVE_EVERY`], so a crash can shorten a session's life by that much.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use serde::{Deserialize, Serialize};

use super::people::{Person, hash_secret, random_hex};
use crate::private_file as file;

/// A session ends so long after its last use, in milliseconds: a working day.
pub const IDLE: i64 = 12 * 3_600_000;
/// A session ends so long after the sign-in, in milliseconds.
pub const ABSOLUTE: i64 = 7 * 24 * 3_600_000;
/// The most sessions; beyond it the one unused the longest ends.
pub const MAX_SESSIONS: usize = 10_000;
/// How often a mere use is written down, in milliseconds.
const SAVE_EVERY: i64 = 300_000;

const FILE_NAME: &str = "sessions.json";

/// All sessions.
pub struct Sessions {
    path: PathBuf,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    by_hash: HashMap<String, Session>,
    saved: i64,
}

/// One signed-in browser.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Session {
    hash: String,
    pub login: String,
    /// The person's stamp at sign-in.
    pub stamp: String,
    pub created: i64,
    pub seen: i64,
}

// === impl Sessions ===

impl Sessions {
    /// Reads what the last run left.
    pub fn open(data_dir: &Path) -> std::io::Result<Sessions> {
        let path = data_dir.join(FILE_NAME);
        let bytes = file::read(&path)
            .map_err(|error| std::io::Error::new(error.kind(), format!("{}: {error}", path.display())))?;
        // A file that cannot be read as sessions only signs people out.
        let sessions: Vec<Session> =
            bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
        let by_hash = sessions.into_iter().map(|session| (session.hash.clone(), session)).collect();
        Ok(Sessions { path, held: Mutex::new(Held { by_hash, saved: 0 }) })
    }

    /// Begins a session and returns its id, the cookie's value.
    pub fn begin(&self, person: &Person, now: i64) -> std::io::Result<String> {
        let id = random_hex::<32>();
        let hash = hash_secret(&id);
        let session = Session {
            hash: hash.clone(),
            login: person.login.clone(),
            stamp: person.stamp.clone(),
            created: now,
            seen: now,
        };
        let mut held = self.held.lock().expect("no panic holds this lock");
        held.by_hash.retain(|_, session| session.lives(now));
        if held.by_hash.len() >= MAX_SESSIONS
            && let Some(oldest) =
                held.by_hash.values().min_by_key(|session| session.seen).map(|s| s.hash.clone())
        {
            held.by_hash.remove(&oldest);
        }
        held.by_hash.insert(hash, session);
        self.save(&mut held, now)?;
        Ok(id)
    }

    /// The session of this cookie value, which is used now.
    pub fn find(&self, id: &str, now: i64) -> Option<Session> {
        let hash = hash_secret(id);
        let mut held = self.held.lock().expect("no panic holds this lock");
        let session = held.by_hash.get_mut(&hash).filter(|session| session.lives(now))?;
        session.seen = now;
        let found = session.clone();
        if now - held.saved >= SAVE_EVERY
            && let Err(error) = self.save(&mut held, now)
        {
            tracing::warn!(path = %self.path.display(), %error, "sessions could not be saved");
        }
        Some(found)
    }

    /// Ends the session of this cookie value.
    pub fn end(&self, id: &str, now: i64) -> std::io::Result<()> {
        let mut held = self.held.lock().expect("no panic holds this lock");
        if held.by_hash.remove(&hash_secret(id)).is_some() {
            self.save(&mut held, now)?;
        }
        Ok(())
    }

    fn save(&self, held: &mut Held, now: i64) -> std::io::Result<()> {
        let sessions: Vec<&Session> = held.by_hash.values().filter(|session| session.lives(now)).collect();
        let text = serde_json::to_vec(&sessions).expect("sessions have string keys only");
        held.saved = now;
        file::replace(&self.path, &text)
    }
}

impl Session {
    fn lives(&self, now: i64) -> bool {
        now - self.seen < IDLE && now - self.created < ABSOLUTE
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::role::Role;

    fn person() -> Person {
        Person {
            login: "olga".to_owned(),
            role: Role::Owner,
            password: None,
            stamp: "1".to_owned(),
            created: 0,
            totp: None,
        }
    }

    #[test]
    fn sessions_end_when_idle_and_at_their_absolute_age() {
        let dir = tempfile::tempdir().expect("a directory");
        let sessions = Sessions::open(dir.path()).expect("opened");
        let id = sessions.begin(&person(), 0).expect("begun");
        assert!(sessions.find(&id, IDLE - 1).is_some());
        assert!(sessions.find(&id, 2 * IDLE - 1).is_none());
        let id = sessions.begin(&person(), 0).expect("begun");
        let mut now = 0;
        while now + IDLE / 2 < ABSOLUTE {
            now += IDLE / 2;
            assert!(sessions.find(&id, now.min(ABSOLUTE - 1)).is_some(), "at {now}");
        }
        assert!(sessions.find(&id, ABSOLUTE).is_none());
    }

    #[test]
    fn a_restart_keeps_sessions_and_an_ended_one_stays_ended() {
        let dir = tempfile::tempdir().expect("a directory");
        let sessions = Sessions::open(dir.path()).expect("opened");
        let kept = sessions.begin(&person(), 0).expect("begun");
        let ended = sessions.begin(&person(), 0).expect("begun");
        sessions.end(&ended, 1).expect("ended");
        let sessions = Sessions::open(dir.path()).expect("opened");
        assert!(sessions.find(&kept, 2).is_some());
        assert!(sessions.find(&ended, 2).is_none());
        let text = std::fs::read_to_string(dir.path().join(FILE_NAME)).expect("readable");
        assert!(!text.contains(&kept));
    }
}
