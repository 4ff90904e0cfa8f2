//! About the process itself, and what operators do.

pub mod backups;
pub mod openapi;
pub mod readyz;
pub mod up;
