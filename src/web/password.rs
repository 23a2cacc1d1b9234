//! Passwords: argon2id, slow on purpose, so run on a blocking thread and by few
//! at a time.
//!
//! An unknown login costs the same work as a wrong password: the check runs
//! against a hash that nothing matches.

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use tokio::sync::Semaphore;

/// The shortest password, in characters (NIST SP 800-63B's floor).
pub const MIN_CHARACTERS: usize = 8;
/// The longest, in bytes: a passphrase fits, a megabyte to be hashed does not.
pub const MAX_BYTES: usize = 512;
/// How many are hashed at once: each takes 19 MiB and a core for some tens of
/// milliseconds.
const MAX_AT_ONCE: usize = 2;
/// How many may wait for that before the next is turned away.
const MAX_WAITING: usize = 32;

/// Well-formed, of the same cost as real ones, and the image of no password.
const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5J3Mgc2FsdC4uLg$\
                      AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// Bounds the work of hashing.
pub struct Passwords {
    at_once: Semaphore,
    waiting: Semaphore,
}

/// Why no password was hashed or compared.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum PasswordError {
    #[error("a password has at least {MIN_CHARACTERS} characters")]
    Short,
    #[error("a password has at most {MAX_BYTES} bytes")]
    Long,
    /// Too many are being hashed already.
    #[error("too many sign-ins at once")]
    Busy,
    /// The hash could not be computed (no memory).
    #[error("the password could not be hashed")]
    Failed,
}

// === impl Passwords ===

impl Default for Passwords {
    fn default() -> Self {
        Passwords { at_once: Semaphore::new(MAX_AT_ONCE), waiting: Semaphore::new(MAX_WAITING) }
    }
}

impl Passwords {
    /// The hash to be stored for a new password.
    pub async fn hash(&self, password: String) -> Result<String, PasswordError> {
        self.bounded(move || hash(&password)).await?
    }

    /// Whether the password is the one behind `stored`; `None` is nobody's.
    pub async fn verify(&self, password: String, stored: Option<String>) -> Result<bool, PasswordError> {
        if password.len() > MAX_BYTES {
            return Err(PasswordError::Long);
        }
        self.bounded(move || {
            let known = stored.is_some();
            let text = stored.as_deref().unwrap_or(NOBODY);
            let parsed = PasswordHash::new(text).map_err(|_| PasswordError::Failed)?;
            Ok(Argon2::default().verify_password(password.as_bytes(), &parsed).is_ok() && known)
        })
        .await?
    }

    async fn bounded<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, PasswordError> {
        let _place = self.waiting.try_acquire().map_err(|_| PasswordError::Busy)?;
        let _turn = self.at_once.acquire().await.map_err(|_| PasswordError::Busy)?;
        tokio::task::spawn_blocking(work).await.map_err(|_| PasswordError::Failed)
    }
}

/// The hash to be stored for a new password. Takes tens of milliseconds.
pub fn hash(password: &str) -> Result<String, PasswordError> {
    if password.chars().count() < MIN_CHARACTERS {
        return Err(PasswordError::Short);
    }
    if password.len() > MAX_BYTES {
        return Err(PasswordError::Long);
    }
    let mut salt = [0u8; 16];
    getrandom::fill(&mut salt).map_err(|_| PasswordError::Failed)?;
    let hashed: PasswordHash = Argon2::default()
        .hash_password_with_salt(password.as_bytes(), &salt)
        .map_err(|_| PasswordError::Failed)?;
    Ok(hashed.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_right_password_of_a_known_person_matches() {
        let passwords = Passwords::default();
        let stored = passwords.hash("correct horse".to_owned()).await.expect("hashed");
        // The check for an unknown login does the same work.
        let cost = |hash: &str| hash.split('$').take(4).map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(cost(&stored), cost(NOBODY));
        assert!(stored.starts_with("$argon2id$"), "{stored}");
        for (password, hash, expected) in [
            ("correct horse", Some(stored.clone()), true),
            ("wrong horse!!", Some(stored), false),
            ("correct horse", None, false),
        ] {
            assert_eq!(passwords.verify(password.to_owned(), hash).await, Ok(expected), "{password}");
        }
    }

    #[test]
    fn short_and_long_passwords_are_refused() {
        assert_eq!(hash("семьбук"), Err(PasswordError::Short));
        assert_eq!(hash(&"x".repeat(MAX_BYTES + 1)), Err(PasswordError::Long));
    }
}
