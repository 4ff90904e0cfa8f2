//! The worker against a real Postgres, a real sshd and a real disk.

mod claims;
mod harness;
mod queue;
mod runs;
mod schedule;
