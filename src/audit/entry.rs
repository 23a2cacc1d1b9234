//! One entry: who did what, when, about whom, and why.
//!
//! ```text
//! {"number":7,"at":"2026-11-26T08:30:42.5Z","actor":{"person":"olga"},"action":"case_file_opened",
//!  "site":"clinic","subject":"2026-0001","purpose":"fraud","words":"…","detail":"…","cut":12}
//! ```
//!
//! The keys stand in this order, without spaces; what is absent is left out. `cut`
//! is there when bytes of a torn line were cut off before this entry.
//!
//! What may name a visitor has no place here but [`Subject`], which is made of a
//! request's number or of a keyed hash only. Texts are bounded and hold no sign
//! that could forge a line or turn what a person reads.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::AuditError;

/// The longest name of an actor and the longest site id, in bytes: as of logins.
pub const MAX_NAME_BYTES: usize = 64;
/// The longest free text beside a purpose, in bytes: a sentence or two.
pub const MAX_WORDS_BYTES: usize = 256;
/// The longest detail, in bytes.
pub const MAX_DETAIL_BYTES: usize = 512;
/// What [`legible`] leaves of a text: a detail says something beside it.
const MAX_LEGIBLE_BYTES: usize = MAX_DETAIL_BYTES / 2;
/// The most digits of a request's number within its year.
const MAX_REQUEST_DIGITS: usize = 6;
/// Where the names of the system's users are.
const USERS_FILE: &str = "/etc/passwd";
/// A longer one is not searched.
const MAX_USERS_BYTES: u64 = 1 << 20;

/// What is written into the trail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub at: Timestamp,
    pub actor: Actor,
    pub action: Action,
    pub site: Option<String>,
    pub subject: Option<Subject>,
    pub purpose: Option<Stated>,
    pub detail: Option<String>,
}

/// Who acted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Actor {
    /// Who is signed in, by login.
    Person(String),
    /// A program.
    Token { id: String, name: String },
    /// The system's user who ran a command.
    Command(String),
    /// A job of the server.
    Job(String),
    /// Somebody who is not signed in; never named.
    Visitor,
}

/// Whom an entry is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Subject(String);

/// A purpose, and what was said besides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stated {
    pub purpose: Purpose,
    pub words: Option<String>,
}

/// A word that is not on a closed list.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{found:?} is not {what}: expected one of {expected}")]
pub struct UnknownWord {
    what: &'static str,
    found: String,
    expected: String,
}

/// An enum whose variants have one name each, in files and on the command line.
macro_rules! closed {
    ($(#[$doc:meta])* $name:ident, $what:literal: $($(#[$about:meta])* $variant:ident = $word:literal,)+) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum $name {
            $($(#[$about])* #[serde(rename = $word)] $variant,)+
        }

        impl $name {
            pub const ALL: &[$name] = &[$($name::$variant),+];

            /// As the trail writes it.
            pub const fn name(self) -> &'static str {
                match self {
                    $($name::$variant => $word,)+
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.name())
            }
        }

        impl FromStr for $name {
            type Err = UnknownWord;

            fn from_str(text: &str) -> Result<$name, UnknownWord> {
                $name::ALL.iter().find(|one| one.name() == text).copied().ok_or_else(|| UnknownWord {
                    what: $what,
                    found: text.chars().take(MAX_NAME_BYTES).collect(),
                    expected: $name::ALL.iter().map(|one| one.name()).collect::<Vec<_>>().join(", "),
                })
            }
        }
    };
}

closed! {
    /// What was done.
    Action, "an action":
    SignIn = "sign_in",
    SignInFailed = "sign_in_failed",
    SignOut = "sign_out",
    PasswordChanged = "password_changed",
    SecondFactorSet = "second_factor_set",
    SecondFactorRemoved = "second_factor_removed",
    PeopleListed = "people_listed",
    PersonAdded = "person_added",
    PersonChanged = "person_changed",
    PersonRemoved = "person_removed",
    TokenCreated = "token_created",
    TokenRevoked = "token_revoked",
    KeysRotated = "keys_rotated",
    KeysDestroyed = "keys_destroyed",
    KeysExported = "keys_exported",
    KeysSynced = "keys_synced",
    BackupMade = "backup_made",
    BackupRestored = "backup_restored",
    RetentionRun = "retention_run",
    RequestReceived = "request_received",
    RequestChanged = "request_changed",
    RequestClosed = "request_closed",
    SubjectFound = "subject_found",
    SubjectExported = "subject_exported",
    SubjectBlocked = "subject_blocked",
    SubjectUnblocked = "subject_unblocked",
    SubjectErased = "subject_erased",
    SubjectRectified = "subject_rectified",
    Disclosed = "disclosed",
    IncidentReported = "incident_reported",
    AddressOpened = "address_opened",
    CaseFileOpened = "case_file_opened",
    StatisticsExported = "statistics_exported",
    DemoRemoved = "demo_removed",
    SiteRemoved = "site_removed",
    ConfigurationReloaded = "configuration_reloaded",
    TrailExpired = "trail_expired",
    DeadLettersReplayed = "dead_letters_replayed",
    MarketingWithdrawn = "marketing_withdrawn",
    SubjectOptedOut = "subject_opted_out",
    SubjectHeld = "subject_held",
    SubjectReleased = "subject_released",
    IncidentChanged = "incident_changed",
    IncidentSubjects = "incident_subjects",
    SettingsChanged = "settings_changed",
    LinkMade = "link_made",
    LinkRemoved = "link_removed",
    ReportSent = "report_sent",
    FraudChecked = "fraud_checked",
    AddressesListed = "addresses_listed",
    AlertsRead = "alerts_read",
}

closed! {
    /// Why somebody looks: section 4 of the policy, and what law adds.
    Purpose, "a purpose":
    /// Clause 4.1.4: location, security, fraud.
    Fraud = "fraud",
    /// Clause 4.1.8: payments are confirmed or contested.
    Payments = "payments",
    /// Clause 4.1.9: technical support.
    Support = "support",
    /// Clause 4.1.10: marketing, with consent.
    Marketing = "marketing",
    /// A request of the subject.
    Rights = "rights",
    /// A claim, clause 8.2.
    Claim = "claim",
    /// Clause 3.3.2: technical problems and the lawfulness of payments.
    Security = "security",
    /// Clause 5.3: a state body asks.
    StateBody = "state_body",
}

/// An entry as it stands in a line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Written {
    pub number: u64,
    #[serde(with = "instant")]
    pub at: Timestamp,
    pub actor: Actor,
    pub action: Action,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub site: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Subject>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purpose: Option<Purpose>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub words: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// Bytes of a torn line that were cut off before this entry.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub cut: u64,
}

// === impl Purpose ===

impl Purpose {
    /// For which the role `security` looks at one visitor or one address.
    pub const OF_SECURITY: [Purpose; 5] =
        [Purpose::Fraud, Purpose::Payments, Purpose::Security, Purpose::Support, Purpose::Claim];
}

// === impl Entry ===

impl Entry {
    pub fn new(at: Timestamp, actor: Actor, action: Action) -> Entry {
        Entry { at, actor, action, site: None, subject: None, purpose: None, detail: None }
    }

    pub fn site(mut self, id: &str) -> Entry {
        self.site = Some(id.to_owned());
        self
    }

    pub fn subject(mut self, subject: Subject) -> Entry {
        self.subject = Some(subject);
        self
    }

    pub fn purpose(mut self, purpose: Purpose, words: Option<&str>) -> Entry {
        self.purpose = Some(Stated { purpose, words: words.map(str::to_owned) });
        self
    }

    pub fn detail(mut self, text: impl Into<String>) -> Entry {
        self.detail = Some(text.into());
        self
    }

    /// Refuses what is too long or would not stand in a line as it reads.
    pub(super) fn check(&self) -> Result<(), AuditError> {
        match &self.actor {
            Actor::Person(name) | Actor::Command(name) | Actor::Job(name) => {
                check("actor", name, MAX_NAME_BYTES)?;
            }
            Actor::Token { id, name } => {
                check("actor.id", id, MAX_NAME_BYTES)?;
                check("actor.name", name, MAX_NAME_BYTES)?;
            }
            Actor::Visitor => {}
        }
        let words = self.purpose.as_ref().and_then(|stated| stated.words.as_ref());
        for (field, text, most) in [
            ("site", &self.site.as_ref(), MAX_NAME_BYTES),
            ("words", &words, MAX_WORDS_BYTES),
            ("detail", &self.detail.as_ref(), MAX_DETAIL_BYTES),
        ] {
            text.map_or(Ok(()), |text| check(field, text, most))?;
        }
        Ok(())
    }
}

// === impl Actor ===

impl Actor {
    /// Who runs this process, as the system names its real user.
    pub fn running() -> Actor {
        Actor::user(rustix::process::getuid().as_raw())
    }

    /// A user of the system, who had a command run.
    pub fn user(uid: u32) -> Actor {
        Actor::Command(user_name(uid).unwrap_or_else(|| format!("uid {uid}")))
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Actor::Person(login) => write!(f, "{login}"),
            Actor::Token { id, name } => write!(f, "token {name} ({id})"),
            Actor::Command(user) => write!(f, "command of {user}"),
            Actor::Job(name) => write!(f, "job {name}"),
            Actor::Visitor => f.write_str("visitor"),
        }
    }
}

// === impl Subject ===

impl Subject {
    /// A request of the register, such as `2026-0001`.
    pub fn request(number: &str) -> Result<Subject, AuditError> {
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let fits = number.split_once('-').is_some_and(|(year, count)| {
            year.len() == 4
                && digits(year)
                && (4..=MAX_REQUEST_DIGITS).contains(&count.len())
                && digits(count)
        });
        match fits {
            true => Ok(Subject(number.to_owned())),
            // What stands there instead may be what must not be written down.
            false => Err(AuditError::Field {
                field: "subject",
                what: "expected a request such as 2026-0001".to_owned(),
            }),
        }
    }

    /// What the key ring hashed: a visitor, a user key.
    pub fn hash(keyed: u64) -> Subject {
        Subject(format!("{keyed:016x}"))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

// === impl Written ===

impl Written {
    pub fn new(entry: &Entry, number: u64, cut: u64) -> Written {
        let Entry { at, actor, action, site, subject, purpose, detail } = entry.clone();
        let (purpose, words) = match purpose {
            Some(Stated { purpose, words }) => (Some(purpose), words),
            None => (None, None),
        };
        Written { number, at, actor, action, site, subject, purpose, words, detail, cut }
    }

    pub fn entry(self) -> Entry {
        let Written { at, actor, action, site, subject, purpose, words, detail, .. } = self;
        let purpose = purpose.map(|purpose| Stated { purpose, words });
        Entry { at, actor, action, site, subject, purpose, detail }
    }
}

/// A text of somebody else's, such as a path, as a detail takes it: cut to its bound,
/// signs that would mislead replaced.
pub fn legible(text: &str) -> String {
    let mut clean = String::new();
    for letter in text.chars().map(|letter| if is_misleading(letter) { '?' } else { letter }) {
        if clean.len() + letter.len_utf8() > MAX_LEGIBLE_BYTES {
            break;
        }
        clean.push(letter);
    }
    clean
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

fn check(field: &'static str, text: &str, most: usize) -> Result<(), AuditError> {
    let refuse = |what: String| Err(AuditError::Field { field, what });
    if text.len() > most {
        return refuse(format!("{} bytes, at most {most} are taken", text.len()));
    }
    if text.chars().any(is_misleading) {
        return refuse("has control characters".to_owned());
    }
    Ok(())
}

/// Control characters, line separators, and what turns the direction of writing.
fn is_misleading(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The system's name of a user; none where it is kept elsewhere than in [`USERS_FILE`].
fn user_name(uid: u32) -> Option<String> {
    use std::io::Read;
    let mut text = Vec::new();
    std::fs::File::open(USERS_FILE).ok()?.take(MAX_USERS_BYTES).read_to_end(&mut text).ok()?;
    let text = String::from_utf8_lossy(&text);
    let mut lines = text.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let found = lines.find(|fields| fields.get(2).is_some_and(|field| field.parse() == Ok(uid)))?;
    let name = *found.first()?;
    check("actor", name, MAX_NAME_BYTES).ok().map(|()| name.to_owned())
}

/// An instant as RFC 3339.
mod instant {
    use jiff::Timestamp;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub fn serialize<S: Serializer>(at: &Timestamp, out: S) -> Result<S::Ok, S::Error> {
        out.collect_str(at)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Timestamp, D::Error> {
        String::deserialize(from)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> Entry {
        Entry::new(Timestamp::UNIX_EPOCH, Actor::Job("retention".to_owned()), Action::RetentionRun)
    }

    #[test]
    fn what_is_too_long_or_misleading_is_refused_by_the_name_of_its_field() {
        fn check(entry: Entry, field: &str) {
            let error = entry.check().expect_err(field).to_string();
            assert!(error.starts_with(&format!("audit entry: {field}: ")), "{error}");
        }
        let long = |most: usize| "x".repeat(most + 1);
        entry().check().expect("it is well");
        entry().detail("ж".repeat(MAX_DETAIL_BYTES / 2)).check().expect("it just fits");
        check(entry().site(&long(MAX_NAME_BYTES)), "site");
        check(entry().detail(long(MAX_DETAIL_BYTES)), "detail");
        check(entry().purpose(Purpose::Fraud, Some(&long(MAX_WORDS_BYTES))), "words");
        check(Entry { actor: Actor::Person(long(MAX_NAME_BYTES)), ..entry() }, "actor");
        let token = Actor::Token { id: "1".to_owned(), name: long(MAX_NAME_BYTES) };
        check(Entry { actor: token, ..entry() }, "actor.name");
        for sign in ['\n', '\r', '\0', '\u{1b}', '\u{85}', '\u{2028}', '\u{202e}', '\u{2066}'] {
            check(entry().detail(format!("a{sign}b")), "detail");
        }
    }

    #[test]
    fn a_path_of_any_form_fits_a_detail() {
        for path in ["/mnt/\u{1b}[31m\n".to_owned(), "ж".repeat(4096), String::new()] {
            entry().detail(format!("to {}", legible(&path))).check().expect("it fits");
        }
        assert_eq!(legible("/mnt/копии"), "/mnt/копии");
    }

    #[test]
    fn a_subject_is_a_request_or_a_keyed_hash_and_the_error_repeats_nothing() {
        for number in ["2026-0001", "2026-123456"] {
            assert_eq!(Subject::request(number).expect(number).as_str(), number);
        }
        assert_eq!(Subject::hash(0xAB).as_str(), "00000000000000ab");
        for number in ["", "2026", "2026-1", "26-0001", "2026-1234567", "192.0.2.1", "olga@clinic.example"] {
            let error = Subject::request(number).expect_err(number).to_string();
            assert!(
                number.is_empty() || number == "2026" || !error.contains(&format!("{number} ")),
                "{error}"
            );
        }
    }

    #[test]
    fn every_word_of_the_closed_lists_reads_back_and_others_are_named() {
        for action in Action::ALL {
            assert_eq!(action.name().parse(), Ok(*action));
            assert_eq!(serde_json::to_string(action).expect("text"), format!("\"{action}\""));
        }
        for purpose in Purpose::ALL {
            assert_eq!(purpose.name().parse(), Ok(*purpose));
        }
        assert!(
            "sign-in"
                .parse::<Action>()
                .expect_err("refused")
                .to_string()
                .contains("\"sign-in\" is not an action")
        );
    }

    #[test]
    fn an_entry_reads_as_it_was_written() {
        let full = entry()
            .site("clinic")
            .subject(Subject::hash(1))
            .purpose(Purpose::Claim, Some("\"8.2\""))
            .detail("ж");
        let text = serde_json::to_string(&Written::new(&full, 7, 3)).expect("text");
        assert_eq!(
            text,
            "{\"number\":7,\"at\":\"1970-01-01T00:00:00Z\",\"actor\":{\"job\":\"retention\"},\
             \"action\":\"retention_run\",\"site\":\"clinic\",\"subject\":\"0000000000000001\",\
             \"purpose\":\"claim\",\"words\":\"\\\"8.2\\\"\",\"detail\":\"ж\",\"cut\":3}"
        );
        let read: Written = serde_json::from_str(&text).expect("it reads back");
        assert_eq!(read.entry(), full);
        assert_eq!(user_name(0).as_deref(), Some("root"));
    }
}
