//! Giving data back.

pub mod cancel;
pub mod events;
pub mod list;
pub mod show;
