//! The team that the caller acts in.

pub mod limits;
