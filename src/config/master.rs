//! Where the key that wraps the key ring comes from: exactly one place.
//!
//! | place | given by |
//! |---|---|
//! | a file | the key `keys.master_key_file` |
//! | the environment | `METKA_KEYS__MASTER_KEY`, 64 hex digits; no key of `metka.toml`, where it would lie in the clear |
//! | a systemd credential | a file `metka-master-key` in `$CREDENTIALS_DIRECTORY` |
//! | beside the ring | none of the above: `master.key` in `keys.dir`, made with the ring |
//!
//! Two of the first three are a mistake, whatever they hold: which one wins must
//! not be a question. One of them with a `master.key` beside the ring is none:
//! that file is not read then.
//!
//! Only the place is decided here; the key is read by `privacy::keys`.

use std::fmt;
use std::path::{Path, PathBuf};

/// The environment variable with the key itself.
pub const MASTER_KEY_VARIABLE: &str = "METKA_KEYS__MASTER_KEY";
/// Set by systemd for a unit with credentials.
const CREDENTIALS_VARIABLE: &str = "CREDENTIALS_DIRECTORY";
/// What the credential is called.
const CREDENTIAL_NAME: &str = "metka-master-key";
/// The file beside the ring.
const BESIDE_NAME: &str = "master.key";
/// A key of 32 bytes in hex.
const HEX_DIGITS: usize = 64;

/// The place of the master key.
#[derive(Clone, Debug, PartialEq)]
pub enum MasterKeySource {
    /// `keys.master_key_file`: 64 hex digits in a file of mode 0600 or narrower.
    File(PathBuf),
    /// [`MASTER_KEY_VARIABLE`].
    Environment(Hidden),
    /// A file that systemd made for this service alone.
    Credential(PathBuf),
    /// A file in `keys.dir`, made when there is none: protects copies of the ring
    /// that are without it, and no more.
    Beside(PathBuf),
}

/// Text that is not printed.
#[derive(Clone, PartialEq)]
pub struct Hidden(pub String);

/// What the environment says about the master key.
#[derive(Default)]
pub(super) struct Surroundings {
    key: Option<String>,
    credentials: Option<PathBuf>,
}

// === impl Surroundings ===

impl Surroundings {
    /// Takes what is about the master key out of the environment.
    pub fn take(environment: &mut Vec<(String, String)>) -> Surroundings {
        let mut found = Surroundings::default();
        environment.retain_mut(|(name, value)| match name.as_str() {
            MASTER_KEY_VARIABLE => {
                found.key = Some(std::mem::take(value));
                false
            }
            CREDENTIALS_VARIABLE => {
                found.credentials = Some(std::mem::take(value).into());
                false
            }
            _ => true,
        });
        found
    }

    /// The one source, for a ring in `dir`.
    pub fn source(self, file: Option<PathBuf>, dir: &Path, mistakes: &mut Vec<String>) -> MasterKeySource {
        let mut given = Vec::new();
        if let Some(file) = file {
            given.push(("keys.master_key_file", MasterKeySource::File(file)));
        }
        if let Some(key) = self.key {
            if key.len() != HEX_DIGITS || !key.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                mistakes.push(format!("{MASTER_KEY_VARIABLE}: expected {HEX_DIGITS} hex digits"));
            }
            given.push((MASTER_KEY_VARIABLE, MasterKeySource::Environment(Hidden(key))));
        }
        // The directory may hold other credentials only.
        if let Some(path) = self.credentials.map(|dir| dir.join(CREDENTIAL_NAME)).filter(|path| path.exists())
        {
            given.push(("the systemd credential metka-master-key", MasterKeySource::Credential(path)));
        }
        if given.len() > 1 {
            let names: Vec<&str> = given.iter().map(|(name, _)| *name).collect();
            mistakes.push(format!(
                "keys: a master key comes from {}: exactly one is used, keep one",
                names.join(" and from ")
            ));
        }
        given.into_iter().next().map_or_else(|| MasterKeySource::beside(dir), |(_, source)| source)
    }
}

// === impl MasterKeySource ===

impl MasterKeySource {
    /// The file beside a ring in `dir`.
    pub fn beside(dir: &Path) -> MasterKeySource {
        MasterKeySource::Beside(dir.join(BESIDE_NAME))
    }
}

/// As errors and `metka check` name it.
impl fmt::Display for MasterKeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MasterKeySource::File(path) | MasterKeySource::Beside(path) => write!(f, "{}", path.display()),
            MasterKeySource::Environment(_) => f.write_str(MASTER_KEY_VARIABLE),
            MasterKeySource::Credential(path) => write!(f, "the systemd credential {}", path.display()),
        }
    }
}

// === impl Hidden ===

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(hidden)")
    }
}
