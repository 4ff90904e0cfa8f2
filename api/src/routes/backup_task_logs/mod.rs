//! Runs under their name of page 003.

pub mod delete;
pub mod list;
pub mod show;
