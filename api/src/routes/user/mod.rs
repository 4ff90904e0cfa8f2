//! The person behind the token.

pub mod show;
pub mod update;
