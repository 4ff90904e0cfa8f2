//! About the process itself, and what operators do.

pub mod backups;
pub mod jobs;
pub mod metrics;
pub mod openapi;
pub mod readyz;
pub mod teams;
pub mod up;
pub mod users;
pub mod workers;
