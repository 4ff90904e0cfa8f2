//! The caller's own account.

pub mod delete;
pub mod export;
