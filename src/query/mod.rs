//! Questions in, exact numbers out.
