//! What went and can still come back.

pub mod empty;
pub mod list;
