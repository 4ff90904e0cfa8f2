//! Executions of tasks.

pub mod cancel;
pub mod list;
pub mod log;
pub mod show;
