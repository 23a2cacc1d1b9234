//! Where exact numbers come from: the seam between the guard and the query compiler.

use jiff::Timestamp;
use serde_json::Value;

use crate::config::Site;
use crate::query::{self, QueryError, Together};
use crate::settings::Settings;
use crate::store::Storage;
use crate::web::running::Answering;

/// Answers questions exactly.
pub trait Exact: Send + Sync {
    /// The question as it is understood (`query` of an answer), or its mistakes.
    fn understood(&self, question: &Value) -> Result<Value, QueryError>;

    /// The answer of `/api/v2/query`.
    fn answer<'a>(&'a self, question: &'a Value) -> Answering<'a, Result<Value, QueryError>>;
}

/// Answers of storage about one site, as of now.
pub struct Stored<'a> {
    pub storage: &'a Storage,
    pub site: &'a Site,
    pub settings: &'a Settings,
    pub now: Timestamp,
    /// What was read for this and other questions.
    pub together: Option<&'a Together>,
}

// === impl Stored ===

impl Exact for Stored<'_> {
    fn understood(&self, question: &Value) -> Result<Value, QueryError> {
        let query =
            query::parse(question, self.site, self.settings, self.now).map_err(QueryError::Invalid)?;
        Ok(query.normalised())
    }

    fn answer<'a>(&'a self, question: &'a Value) -> Answering<'a, Result<Value, QueryError>> {
        Box::pin(query::run_with(self.storage, self.site, self.settings, question, self.now, self.together))
    }
}
