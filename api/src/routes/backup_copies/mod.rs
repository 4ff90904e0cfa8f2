//! A backup at one destination.

pub mod cancel;
pub mod events;
