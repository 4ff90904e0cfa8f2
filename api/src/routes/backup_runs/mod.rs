//! Executions of tasks.

pub mod cancel;
pub mod events;
pub mod list;
pub mod log;
pub mod log_download;
pub mod retry;
pub mod show;
