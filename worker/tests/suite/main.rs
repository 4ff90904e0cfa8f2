//! The worker against a real Postgres, a real sshd and a real disk.

mod claims;
mod endings;
mod harness;
mod process;
mod queue;
mod runs;
mod schedule;
mod takeover;
