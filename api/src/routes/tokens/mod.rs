//! API tokens. A person makes them, in a session; no token makes another or sees them.

pub mod create;
pub mod delete;
pub mod list;
