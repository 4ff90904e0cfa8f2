//! This crate against a real `sshd`, whole and through a link that goes wrong.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod link_faults;
mod log_in;
mod programs;
mod support;
