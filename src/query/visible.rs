//! Which rows a question may see: all but those of blocked subjects.
//!
//! A row is covered by a block as by an erasure ([`crate::spool::tombstone`]): by
//! its `visitor`, the cookie `minted` for it, its hash `before` midnight, or its
//! `user_key`. The blocks are rows of `blocked`, so that no subject stands in a
//! statement. An answer is what a recount would be if the covered rows were not there:
//! each place that reads `hits` has the condition, also where a person is put together.

/// The rows of `hits` in a database that a question sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Visible<'a> {
    pub database: &'a str,
    blocks: bool,
}

// === impl Visible ===

impl<'a> Visible<'a> {
    /// Nobody is blocked on the site: columns that only a block needs are not read.
    pub fn all(database: &'a str) -> Visible<'a> {
        Visible { database, blocks: false }
    }

    /// Somebody may be.
    pub fn unblocked(database: &'a str) -> Visible<'a> {
        Visible { database, blocks: true }
    }

    /// To follow another condition, where `{site:String}` is bound.
    pub fn condition(self) -> String {
        if !self.blocks {
            return String::new();
        }
        let blocked = format!("(SELECT subject FROM {}.blocked WHERE site = {{site:String}})", self.database);
        ["visitor", "minted", "before", "user_key"]
            .map(|column| format!(" AND {column} NOT IN {blocked}"))
            .concat()
    }
}
