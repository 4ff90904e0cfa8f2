//! Getting in.

pub mod setup;
