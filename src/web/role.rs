//! What a person or a token may do.
//!
//! `viewer` sees guarded aggregate numbers and changes nothing; `security` adds
//! fraud and address statistics; `officer` adds requests, retention, disclosure
//! and audit; `owner` may do everything, people included. `security` and
//! `officer` are two duties, not two heights: neither contains the other.

use serde::{Deserialize, Serialize};

use crate::guard::Asker;

/// A role, as stored and as named on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    Viewer,
    Security,
    Officer,
    Owner,
}

// === impl Role ===

impl Role {
    pub const ALL: [Role; 4] = [Role::Viewer, Role::Security, Role::Officer, Role::Owner];

    pub const fn name(self) -> &'static str {
        match self {
            Role::Viewer => "viewer",
            Role::Security => "security",
            Role::Officer => "officer",
            Role::Owner => "owner",
        }
    }

    /// Whether this role has every right of `needed`.
    pub fn includes(self, needed: Role) -> bool {
        self == needed || self == Role::Owner || needed == Role::Viewer
    }

    /// Whether numbers are shown as they are, without the small-count guard.
    pub fn sees_exact_numbers(self) -> bool {
        self != Role::Viewer
    }

    /// As whom this role asks for numbers.
    pub fn asker(self) -> Asker {
        if self.sees_exact_numbers() { Asker::Exact } else { Asker::Guarded }
    }
}

impl std::fmt::Display for Role {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_role_includes_exactly_the_declared_others() {
        let included =
            |role: Role| Role::ALL.into_iter().filter(|other| role.includes(*other)).collect::<Vec<_>>();
        assert_eq!(included(Role::Viewer), [Role::Viewer]);
        assert_eq!(included(Role::Security), [Role::Viewer, Role::Security]);
        assert_eq!(included(Role::Officer), [Role::Viewer, Role::Officer]);
        assert_eq!(included(Role::Owner), Role::ALL);
    }
}
