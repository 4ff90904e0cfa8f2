//! Runs, restores, reconcilers and the data plane.
//!
//! `register.rs` lists every job, `schedules.rs` every periodic loop. Run rows are the truth and a queue job is a nudge:
//! nothing here may rely on a job being delivered once, or at all. What a job does for a team it does under a lease
//! ([`lease`]), and every write says which epoch it believes in.

pub mod context;
pub mod copy_reader;
pub mod data_plane;
pub mod faults;
pub mod lease;
pub mod places;
pub mod secrets;
pub mod server;

pub use context::WorkerContext;
