//! The guard of small counts: what a `viewer`, a shared link and a mail see of numbers.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::config::Site;
use crate::query::{self, QueryError};
use crate::settings::Settings;
use crate::store::Storage;
use crate::web::running::Answering;

/// Who is to see an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asker {
    /// Numbers as they are.
    Exact,
    /// What the guard leaves of them.
    Guarded,
}

/// Answers a question of `/api/v2/query`.
pub async fn query(
    storage: &Storage,
    site: &Site,
    settings: &Settings,
    question: &Value,
    now: Timestamp,
    asker: Asker,
) -> Result<Value, QueryError> {
    let _ = settings;
    let answer = query::run(storage, site, question, now).await?;
    match asker {
        Asker::Exact => Ok(answer),
        Asker::Guarded => Ok(
            json!({ "results": [], "meta": { "guard": { "k": site.min_group, "refused": "range", "merged_rows": 0 } }, "query": answer["query"] }),
        ),
    }
}

/// Answers who is there now.
pub async fn live(storage: &Storage, site: &Site, now: Timestamp, asker: Asker) -> Result<Value, QueryError> {
    let visitors = query::live(storage, site, now).await?;
    Ok(match asker {
        Asker::Guarded if visitors < u64::from(site.min_group) => {
            json!({ "visitors": format!("<{}", site.min_group) })
        }
        _ => json!({ "visitors": visitors }),
    })
}

/// One of the other shapes, asked exactly: a closure over what the module of its name needs.
pub type Asks<'a> = dyn Fn(Value) -> Answering<'a, Result<Value, QueryError>> + Send + Sync + 'a;
