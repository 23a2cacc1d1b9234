//! The collect address: sockets, limits, routes, drain.
