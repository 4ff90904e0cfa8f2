//! The key that servers must let in.

pub mod show;
