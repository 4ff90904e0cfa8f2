//! Runs, restores, reconcilers and the data plane.
//!
//! `register.rs` lists every job, `schedules.rs` every periodic loop. Run rows are the truth and a queue job is a nudge:
//! nothing here may rely on a job being delivered once, or at all. What a job does for a team it does under a lease
//! ([`lease`]), and every write says which epoch it believes in.

pub mod account_letter;
pub mod cleanup;
pub mod context;
pub mod copy_reader;
pub mod data_plane;
pub mod database_login;
mod digest_text;
pub mod faults;
pub mod jobs;
pub mod lease;
pub mod notifying;
pub mod own_database;
pub mod places;
pub mod reconcile;
pub mod register;
pub mod schedules;
pub mod scripts;
pub mod secrets;
pub mod server;
pub mod start;
pub mod stream_target;
mod taking;
pub mod wakeups;

pub use context::WorkerContext;
pub use start::{run, run_worker};
