//! The periodic jobs of the workers.

pub mod list;
pub mod run;
