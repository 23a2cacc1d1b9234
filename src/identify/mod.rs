//! Which site, which visitor, with what consent.
