//! A request becomes a hit, or a refusal.
