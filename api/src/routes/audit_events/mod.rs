//! Who did what in the team.

pub mod list;
pub mod verify;
