//! Whose an address was: the one place where an [`AddressInTime`] becomes subjects.
//!
//! Rows hold addresses encrypted under the month's key, so that storage has to be
//! asked; the register alone cannot.

use super::super::context::{Context, Failure};
use super::identify::AddressInTime;
use crate::config::{Config, Site};
use crate::rights::request::Subject;

/// The visitors and user keys that had this address in this time.
pub fn resolve(
    _context: &Context,
    _config: &Config,
    _site: &Site,
    _asked: AddressInTime,
) -> Result<Vec<Subject>, Failure> {
    Err(Failure::failed(
        "--ip: whose an address was is looked up in storage by metka subject find, which this version does not have: \
         register the request by --cookie or --user, or by none of them",
    ))
}
