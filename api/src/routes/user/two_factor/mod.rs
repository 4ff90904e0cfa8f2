//! A person's second factor.

pub mod begin;
pub mod confirm;
pub mod recovery_codes;
pub mod remove;
pub mod show;
